"""The dataset ``npz``: NumPy arrays in a file written by `numpy.savez`."""

from __future__ import annotations

import contextlib
import hashlib
import math
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from zoo import DataError, Dataset
from zoo.images import BLOCK, fill, natural, open_regular, shown
from zoo.utils import usable_memory
from zoo_images.labeled import Labeled
from zoo_images.splitting import PositiveShare, Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split

_KINDS = {"images": "u", "labels": "iu", "class_names": "U"}
_SHARE = 0.25  # maximum share of the memory for the arrays
_MOST_CLASSES = 1 << 16
_LONGEST = 1 << 16  # maximum bytes of a header
_NPY = b"\x93NUMPY"  # first bytes of a file written by numpy.save
# those of savez and savez_compressed; zipfile decompresses bzip2 and LZMA without limit, whatever is requested
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, kw_only=True)
class NpzFile(Dataset):
    """Images and labels in an .npz file.

    Args:
        test_share: Share of each class used for testing, if there are no test arrays.
        validation_share: Share of the rest used for validation, if there are no validation arrays; 0 leaves the split
            to the recipe.
    """

    test_share: PositiveShare = 0.2
    validation_share: Share = 0.1

    takes_file = True
    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless there is exactly one file and it can be opened; arrays are not read."""
        path = _file_in(data_dir)
        with open_regular(path) as file:
            _check_kind(file, path)

    def load(self, data_dir: Path | None) -> Split:
        """Return the arrays of a file.

        Args:
            data_dir: The file, or a folder with exactly one ``.npz`` file. Its arrays are named ``train_images`` and
                ``train_labels``, optionally with ``test_...`` and ``validation_...``; or ``images`` and ``labels``,
                from which all splits are made. Images are ``(n, height, width)`` or ``(n, height, width, channels)``,
                uint8; labels ``(n,)`` or ``(n, 1)``, integers from 0. ``class_names`` is an array of strings; without
                it, the class names are the label numbers.

        Raises:
            DataError: The file does not exist, or an array is invalid.
        """
        path = _file_in(data_dir)
        with open_regular(path) as file:
            _check_kind(file, path)
            digest = hashlib.sha256()
            with _telling(path):
                while block := file.read(BLOCK):
                    digest.update(block)
                with zipfile.ZipFile(file) as archive:
                    arrays = _arrays(archive, path)
        return self._split(arrays, {path.name: digest.hexdigest()}, path)

    def _split(self, arrays: dict[str, NDArray[Any]], digests: dict[str, str], path: Path) -> Split:
        class_names = _class_names(arrays, path)

        def part(name: str) -> Labeled | None:
            several = [arrays.get(f"{name}images"), arrays.get(f"{name}labels")]
            if several[0] is None and several[1] is None:
                return None
            if several[0] is None or several[1] is None:
                raise DataError(f"{shown(path)} has only one of {name}images and {name}labels. Save both.", path=path)
            source = f"{shown(path)}, {name or 'all '}images and labels"
            return Labeled(several[0], several[1], class_names, source, path)

        whole, train, test, validation = (part(name) for name in ("", "train_", "test_", "validation_"))
        if (whole is None) == (train is None) or (whole and (test or validation)):
            raise DataError(
                f"{shown(path)} has an invalid combination of arrays. Save either images and labels, or train_images "
                "and train_labels, optionally with test_... and validation_... arrays. "
                f"Received: arrays={sorted(arrays)!r:.200}",
                path=path,
            )
        if whole is not None:
            return whole.split_off(self.test_share, self.validation_share, digests=digests)
        if train is None:
            raise DataError(f"{shown(path)} has no training arrays. Add train_images and train_labels.", path=path)
        if test is None:
            return train.split_off(self.test_share, self.validation_share, digests=digests, validation=validation)
        return train.beside(test, validation, self.validation_share, digests=digests)


def _class_names(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    """Remove the class names from the arrays and return them, or the label numbers if there are none."""
    names = arrays.pop("class_names", None)
    labels = arrays.get("train_labels", arrays.get("labels"))
    if labels is None:
        raise DataError(
            f"{shown(path)} has no training labels. Save train_images and train_labels, or images and labels. "
            f"Received: arrays={sorted(arrays)!r:.200}",
            path=path,
        )
    highest = int(labels.max(initial=0))
    if highest >= _MOST_CLASSES:
        raise DataError(
            f"{shown(path)} has a label that is too large. Number the classes from 0, to less than {_MOST_CLASSES:,}. "
            f"Received: label={highest}",
            path=path,
        )
    if names is not None and highest >= names.size:
        raise DataError(
            f"{shown(path)} has too few class_names for labels up to {highest}. Name every class, in the order of "
            "the labels. "
            f"Received: {names.size} names",
            path=path,
        )
    return tuple(map(str, range(highest + 1) if names is None else names.ravel()))


def _file_in(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError("Dataset 'npz' needs an .npz file. Pass it with --data-dir FILE.npz. Received: data_dir=None")
    if not data_dir.is_dir():
        return data_dir
    found = sorted(data_dir.glob("*.npz"), key=lambda path: natural(path.name))
    if len(found) != 1:
        raise DataError(
            f"{shown(data_dir)} does not contain exactly one .npz file. Put one there, written by numpy.savez, or pass "
            "the file itself. "
            f"Received: files={[shown(path.name) for path in found][:5]}",
            path=data_dir,
        )
    return found[0]


def _check_kind(file: IO[bytes], path: Path) -> None:
    """Raise `DataError` if a file is a single array written by `numpy.save`; leave the file at its start."""
    with _telling(path):
        start = file.read(len(_NPY))
        file.seek(0)
    if start == _NPY:
        raise DataError(
            f"{shown(path)} is a single array, written by numpy.save, but images and labels belong in one file. Save "
            "both with numpy.savez('mine.npz', images=images, labels=labels).",
            path=path,
        )


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn any exception that a damaged archive raises into a `DataError` that names it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's reader raise many types
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote bytes of the file
        raise DataError(
            f"{shown(path)} is not a valid .npz file: {said:.200}. Save it with numpy.savez.", path=path
        ) from error


def _arrays(archive: zipfile.ZipFile, path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays with known names; all headers are checked before any content is read."""
    wanted = [f"{part}{kind}" for part in ("", "train_", "test_", "validation_") for kind in ("images", "labels")]
    names = archive.namelist()
    known = [name for name in (*wanted, "class_names") if f"{name}.npy" in names]
    odd = sorted(set(names) - {f"{name}.npy" for name in known})
    if odd or len(set(names)) < len(names):
        received = ", ".join(shown(name.removesuffix(".npy")) for name in odd) or "a duplicate name"
        raise DataError(
            f"{shown(path)} has unknown or duplicate arrays. Rename or remove them; known names are "
            f"{', '.join(wanted)} and class_names. "
            f"Received: {received:.200}",
            path=path,
        )
    sizes = 0
    for name in known:
        if archive.getinfo(f"{name}.npy").compress_type not in _METHODS:
            raise DataError(
                f"Array {name} in {shown(path)} has an unsupported compression. Save it with numpy.savez. "
                f"Received: compress_type={archive.getinfo(f'{name}.npy').compress_type}",
                path=path,
            )
        with archive.open(f"{name}.npy") as member:
            shape, _, dtype = _header(member, name, path)
            sizes += math.prod(shape) * dtype.itemsize
    if sizes > _SHARE * usable_memory():
        raise DataError(
            f"{shown(path)} declares {sizes:.3g} bytes of arrays, more than a quarter of the memory. Save the images "
            "as files and use dataset 'image-folder', which streams them from disk.",
            path=path,
        )
    return {name: _array(archive, name, path) for name in known}


def _header(member: IO[bytes], name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return an array's shape, whether it is in Fortran order, and its type, which is checked."""
    from numpy.lib import format as npy

    readers: dict[tuple[int, int], Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(member)
    if version not in readers:
        raise DataError(
            f"Array {name} in {shown(path)} has an unknown format version. Save it with numpy.savez. "
            f"Received: version={version}",
            path=path,
        )
    shape, fortran, dtype = readers[version](member, max_header_size=_LONGEST)
    kind = name.rpartition("_")[2] if name != "class_names" else name
    if dtype.kind not in _KINDS[kind] or (kind == "images" and dtype.itemsize != 1):
        wanted = {"images": "uint8, 0 to 255", "labels": "integers from 0", "class_names": "strings"}[kind]
        raise DataError(
            f"Array {name} in {shown(path)} must be {wanted}{_cure(kind, dtype.kind)}. Received: dtype={dtype}",
            path=path,
        )
    if any(size < 0 for size in shape):  # a negative size would let other arrays exceed the memory limit
        raise DataError(
            f"Array {name} in {shown(path)} has a negative size. Save it with numpy.savez. Received: shape={shape}",
            path=path,
        )
    return shape, fortran, dtype


def _cure(kind: str, received: str) -> str:
    """Return how to convert an array to the required type, or an empty string if there is no way."""
    if kind == "labels":
        texts = ". Convert strings with class_names, labels = numpy.unique(labels, return_inverse=True)"
        return {"f": ". Save labels.astype(int)", "U": texts}.get(received, "")
    if kind == "class_names":
        return ""
    scaled = ". If they are from 0 to 1, save (images * 255).round().astype('uint8'), else images.astype('uint8')"
    return {"f": scaled, "i": ". Save images.astype('uint8')", "u": ". Save images.astype('uint8')"}.get(received, "")


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Return an array of exactly as many bytes as its header declares."""
    import numpy as np

    with archive.open(f"{name}.npy") as member:
        shape, fortran, dtype = _header(member, name, path)
        array = np.empty(math.prod(shape), dtype)
        fill(array.view(np.uint8), member, f"Array {name} in {shown(path)}", path)
    ordered: NDArray[Any] = array.reshape(shape, order="F" if fortran else "C")
    return ordered
