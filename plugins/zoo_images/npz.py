"""The data set ``npz``: NumPy arrays of one's own, in the format of `numpy.savez`."""

from __future__ import annotations

import contextlib
import hashlib
import math
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from zoo import DataError
from zoo.utils import usable_memory
from zoo_images.labeled import Labeled
from zoo_images.natural_sort import natural, shown
from zoo_images.reading import BLOCK, fill, open_regular
from zoo_images.splitting import PositiveShare, Share  # noqa: TC001  # the settings' types are looked up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split

_KINDS = {"images": "u", "labels": "iu", "class_names": "U"}
_SHARE = 0.25  # of the memory that the arrays may take
_MOST_CLASSES = 1 << 16
_LONGEST = 1 << 16  # bytes of a header
_NPY = b"\x93NUMPY"  # what a file of numpy.save begins with
# what savez and savez_compressed use; zipfile inflates bzip2 and LZMA without bound, however little is asked for
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, kw_only=True)
class NpzFile:
    """Arrays of one's own.

    Args:
        test_share: Share of each class that is for testing, where there are no test arrays.
        validation_share: Share of what is left that is for validation, where there are no validation arrays; 0 leaves
            the cut to the recipe.
    """

    test_share: PositiveShare = 0.2
    validation_share: Share = 0.1

    takes_file = True
    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless there is one file that can be opened; it is not read."""
        path = _file_in(data_dir)
        with open_regular(path) as file:
            _check_kind(file, path)

    def load(self, data_dir: Path | None) -> Split:
        """Return the arrays of a file.

        Args:
            data_dir: The file, or a folder with no other file that ends with ``.npz``. Its arrays are called
                ``train_images`` and ``train_labels``, perhaps ``test_...`` and ``validation_...``; or ``images`` and
                ``labels``, and then the test part is cut out of them. Images are ``(n, height, width)`` or
                ``(n, height, width, channels)``, uint8; labels ``(n,)`` or ``(n, 1)``, integers from 0. ``class_names``
                is an array of texts; without it, classes are called by their numbers.

        Raises:
            DataError: There is no such file, or an array is not as it must be.
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
                raise DataError(
                    f"{shown(path)} has one of {name}images and {name}labels: it must have both.", path=path
                )
            return Labeled(several[0], several[1], class_names, f"{shown(path)}, {name or 'all '}images and labels")

        whole, train, test, validation = (part(name) for name in ("", "train_", "test_", "validation_"))
        if (whole is None) == (train is None) or (whole and (test or validation)):
            raise DataError(
                f"{shown(path)} holds either images and labels, or train_images, train_labels and further parts. "
                f"Received: {sorted(arrays)!r:.200}",
                path=path,
            )
        if whole is not None:
            return whole.cut(self.test_share, self.validation_share, digests=digests)
        if train is None:
            raise DataError(f"{shown(path)} has no training arrays.", path=path)
        if test is None:
            return train.cut(self.test_share, self.validation_share, digests=digests, validation=validation)
        return train.beside(test, validation, self.validation_share, digests=digests)


def _class_names(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    """Take the names of the classes out of the arrays, or call them by their numbers."""
    names = arrays.pop("class_names", None)
    labels = arrays.get("train_labels", arrays.get("labels"))
    if labels is None:
        raise DataError(
            f"{shown(path)} must hold train_images and train_labels, or images and labels. "
            f"Received: {sorted(arrays)!r:.200}",
            path=path,
        )
    highest = int(labels.max(initial=0))
    if highest >= _MOST_CLASSES:
        raise DataError(
            f"{shown(path)}: labels are the numbers of the classes, from 0, and less than {_MOST_CLASSES:,}. "
            f"Received: label={highest}",
            path=path,
        )
    if names is not None and highest >= names.size:
        raise DataError(
            f"{shown(path)}: class_names must name every class, in the order of the labels, which go to {highest}. "
            f"Received: {names.size} names",
            path=path,
        )
    return tuple(map(str, range(highest + 1) if names is None else names.ravel()))


def _file_in(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError("The data set npz is made of your own arrays: give their file, --data-dir FILE.npz.")
    if not data_dir.is_dir():
        return data_dir
    found = sorted(data_dir.glob("*.npz"), key=lambda path: natural(path.name))
    if len(found) != 1:
        raise DataError(
            f"{shown(data_dir)} must hold one .npz file, as numpy.savez writes it, or give the file itself. "
            f"Received: {[shown(path.name) for path in found][:5]}",
            path=data_dir,
        )
    return found[0]


def _check_kind(file: IO[bytes], path: Path) -> None:
    """Raise `DataError` if a file is a single array, in the format of `numpy.save`; leave it at its start."""
    with _telling(path):
        start = file.read(len(_NPY))
        file.seek(0)
    if start == _NPY:
        raise DataError(
            f"{shown(path)} is one array, as numpy.save writes it, and images and labels belong into one file: save it "
            "with numpy.savez('mine.npz', images=images, labels=labels).",
            path=path,
        )


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what a damaged archive ends in into an error that names it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's reader have many
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote the file
        raise DataError(f"{shown(path)} is not a sound .npz file: {said:.200}.", path=path) from error


def _arrays(archive: zipfile.ZipFile, path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that are known by name, all headers checked before any content is read."""
    wanted = [f"{part}{kind}" for part in ("", "train_", "test_", "validation_") for kind in ("images", "labels")]
    names = archive.namelist()
    known = [name for name in (*wanted, "class_names") if f"{name}.npy" in names]
    odd = sorted(set(names) - {f"{name}.npy" for name in known})
    if odd or len(set(names)) < len(names):
        received = ", ".join(shown(name.removesuffix(".npy")) for name in odd) or "an array twice"
        raise DataError(
            f"{shown(path)} holds something else than {', '.join(wanted)} and class_names: rename it or leave it out. "
            f"Received: {received:.200}",
            path=path,
        )
    sizes = 0
    for name in known:
        if archive.getinfo(f"{name}.npy").compress_type not in _METHODS:
            raise DataError(
                f"{shown(path)}, {name} is packed in a way that numpy.savez does not use: save it with that. "
                f"Received: compress_type={archive.getinfo(f'{name}.npy').compress_type}",
                path=path,
            )
        with archive.open(f"{name}.npy") as member:
            shape, _, dtype = _header(member, name, path)
            sizes += math.prod(shape) * dtype.itemsize
    if sizes > _SHARE * usable_memory():
        raise DataError(
            f"{shown(path)} says that its arrays take {sizes:.3g} bytes, more than a quarter of the memory: put the "
            "images into files, and use the data set image-folder, which reads them in turn.",
            path=path,
        )
    return {name: _array(archive, name, path) for name in known}


def _header(member: IO[bytes], name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether it is in Fortran's order, and type of an array, its type checked."""
    from numpy.lib import format as npy

    readers: dict[tuple[int, int], Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(member)
    if version not in readers:
        raise DataError(f"{shown(path)}, {name}: save it with numpy.savez. Received: version={version}", path=path)
    shape, fortran, dtype = readers[version](member, max_header_size=_LONGEST)
    kind = name.rpartition("_")[2] if name != "class_names" else name
    if dtype.kind not in _KINDS[kind] or (kind == "images" and dtype.itemsize != 1):
        wanted = {"images": "uint8, 0 to 255", "labels": "integers from 0", "class_names": "texts"}[kind]
        raise DataError(
            f"{shown(path)}, {name} must be an array of {wanted}{_cure(kind, dtype.kind)}. Received: dtype={dtype}",
            path=path,
        )
    if any(size < 0 for size in shape):  # it would make room for others under the memory's limit
        raise DataError(f"{shown(path)}, {name} must have sizes from 0. Received: shape={shape}", path=path)
    return shape, fortran, dtype


def _cure(kind: str, received: str) -> str:
    """Return how to make an array of the type that it must have of one that has another, if there is a way."""
    if kind == "labels":
        texts = ": class_names, labels = numpy.unique(labels, return_inverse=True) makes both of texts"
        return {"f": ": save labels.astype(int)", "U": texts}.get(received, "")
    if kind == "class_names":
        return ""
    scaled = ": if they are from 0 to 1, save (images * 255).round().astype('uint8'), else images.astype('uint8')"
    return {"f": scaled, "i": ": save images.astype('uint8')", "u": ": save images.astype('uint8')"}.get(received, "")


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Return an array, of as many bytes as its header says and no more."""
    import numpy as np

    with archive.open(f"{name}.npy") as member:
        shape, fortran, dtype = _header(member, name, path)
        array = np.empty(math.prod(shape), dtype)
        fill(array.view(np.uint8), member, f"{shown(path)}, {name}")
    ordered: NDArray[Any] = array.reshape(shape, order="F" if fortran else "C")
    return ordered
