"""Files of CIFAR-10 and CIFAR-100: which version is in a folder, and the names of its classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import open_regular, shown
from zoo_images.data_dirs import require

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 1 << 16  # bytes of a file of class names
_FOLDERS = ("cifar-10-batches-bin", "cifar-100-binary")  # in the published archives
_PICKLED_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")
_PICKLED = ("data_batch_1", "test_batch", "train", "test")


@dataclass(frozen=True, kw_only=True)
class CifarLabels:
    """A kind of labels.

    Args:
        column: Which byte of a record they are.
        count: Number of classes.
        file: Name of the file of their names.
        names: Their names without that file; None for numbers.
    """

    column: int
    count: int
    file: str
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class CifarVersion:
    """CIFAR-10 or CIFAR-100.

    Args:
        train: Names of the files of training images.
        test: Name of the file of test images.
        labels: Its labels, ``"fine"`` and ``"coarse"``, in the order of a record.
    """

    train: tuple[str, ...]
    test: str
    labels: dict[str, CifarLabels]


_TEN = CifarLabels(
    column=0,
    count=10,
    file="batches.meta.txt",
    names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_CIFAR_10 = CifarVersion(
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)), test="test_batch.bin", labels={"fine": _TEN}
)
_CIFAR_100 = CifarVersion(
    train=("train.bin",),
    test="test.bin",
    labels={
        "coarse": CifarLabels(column=0, count=20, file="coarse_label_names.txt"),
        "fine": CifarLabels(column=1, count=100, file="fine_label_names.txt"),
    },
)


def find_folder(data_dir: Path | None) -> Path:
    """Return the folder of the files: the one given, or one from a published archive in it.

    Raises:
        DataError: No folder is given, or both versions are in it.
    """
    data_dir = require(data_dir, "cifar")
    found = [data_dir / name for name in _FOLDERS if os.path.isdir(data_dir / name)]
    if len(found) > 1:
        raise DataError(
            f"{shown(data_dir)} has both CIFAR-10 and CIFAR-100. Pass one of their folders: "
            f"--data-dir {shown(found[0])}. Received: folders={list(_FOLDERS)}",
            path=data_dir,
        )
    return found[0] if found else data_dir


def find_version(folder: Path) -> CifarVersion:
    """Return the version of which a folder has files.

    Raises:
        DataError: There is none, a file is missing, or the files are those of the Python version.
    """
    for version in (_CIFAR_10, _CIFAR_100):
        names = (*version.train, version.test)
        missing = [name for name in names if not os.path.exists(folder / name)]
        if not missing:
            return version
        if len(missing) < len(names):
            raise DataError(
                f"{shown(folder)} has no file {missing[0]}. Unpack the whole archive of the binary version. "
                f"Received: {len(names) - len(missing)} of {len(names)} files",
                path=folder,
            )
    if any(os.path.isdir(folder / name) for name in _PICKLED_FOLDERS) or any(
        os.path.isfile(folder / name) for name in _PICKLED
    ):
        raise DataError(
            f"{shown(folder)} has the Python version of CIFAR, whose files are pickles, which could run code and are "
            "not read. Use the binary version: cifar-10-binary.tar.gz or cifar-100-binary.tar.gz.",
            path=folder,
        )
    raise DataError(
        f"{shown(folder)} has no files of CIFAR. Pass a folder with {_CIFAR_10.train[0]} to {_CIFAR_10.train[-1]} and "
        f"{_CIFAR_10.test}, or with {_CIFAR_100.train[0]} and {_CIFAR_100.test}: unpack the archive of the binary "
        "version.",
        path=folder,
    )


def read_class_names(folder: Path, labels: CifarLabels) -> tuple[str, ...]:
    """Return the lines of the file of class names or, without it, the known names or the numbers.

    Raises:
        DataError: The file has another number of names, or one twice.
    """
    path = folder / labels.file
    if not os.path.exists(path):
        return labels.names or tuple(map(str, range(labels.count)))
    with open_regular(path) as file:
        lines = file.read(_LONGEST).decode("utf-8-sig", "replace").splitlines()
    names = tuple(line.strip() for line in lines if line.strip())
    odd = [shown(name) for name in names if shown(name) != name]
    if len(names) != labels.count or len(set(names)) != len(names) or odd:
        received = f"name='{odd[0]:.100}'" if odd else f"{len(set(names))} different names"
        raise DataError(
            f"{shown(path)} must have the names of {labels.count} classes, printable, one a line. Unpack the archive "
            f"again, or remove the file. Received: {received}",
            path=path,
        )
    return names
