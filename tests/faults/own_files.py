"""What reads files of a user's own, as fuzz targets: image files, arrays, IDX files, tables."""

from __future__ import annotations

import io
import struct
import tempfile
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from zoo_fashion.dataset import FashionMnist
from zoo_images.arrays.cifar import Cifar
from zoo_images.arrays.idx import IdxFiles
from zoo_images.arrays.npz import NpzFile
from zoo_images.arrays.svhn import Svhn
from zoo_images.tables.table import Table

from zoo import DataError, Dataset, Split
from zoo.errors import ZooWarning
from zoo.images import MAX_PIXELS, decode, fit, warnings_are_errors

if TYPE_CHECKING:
    import random

    from .fuzz import Mutate

_FOLDER = Path(tempfile.mkdtemp())
_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def image(data: bytes) -> bool:
    """Decode an image file and fit it."""
    try:
        with warnings_are_errors():
            found = decode(data, "it", background=255, near=(8, 8))
    except DataError:
        return False
    assert found.mode in ("L", "RGB")
    assert found.width * found.height <= MAX_PIXELS
    assert fit(found, (8, 8, 3), "pad", 255).shape == (8, 8, 3)
    return True


def npz(data: bytes) -> bool:
    """Read a file of arrays."""
    path = _FOLDER / "it.npz"
    path.write_bytes(data)
    return _load(NpzFile(), path) is not None


def own_idx(data: bytes) -> bool:
    """Read four IDX files, of which this is the training images."""
    split = _load_files(IdxFiles(validation_share=0), dict(zip(_IDX_NAMES, (data, *_idx_files()[1:]), strict=True)))
    assert split is None or len(split.train) == 20
    return split is not None


def emnist_mapping(data: bytes) -> bool:
    """Read four IDX files with names as EMNIST's, of which this is the file of class names."""
    files = {f"emnist-it-{name}": content for name, content in zip(_IDX_NAMES, _idx_files(), strict=True)}
    return _load_files(IdxFiles(), {**files, "emnist-it-mapping.txt": data}) is not None


def cifar(data: bytes) -> bool:
    """Read the files of CIFAR-100, of which this is the training images."""
    return _load_files(Cifar(labels="coarse"), {"train.bin": data, "test.bin": cifar_seeds()[0]}) is not None


def svhn(data: bytes) -> bool:
    """Read two MAT files, both of which are this."""
    return _load_files(Svhn(validation_share=0), {"train_32x32.mat": data, "test_32x32.mat": data}) is not None


def _load_files(dataset: Dataset, files: dict[str, bytes]) -> Split | None:
    """Load a dataset from a folder with these files."""
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        return _load(dataset, Path(folder))


def _load(dataset: Dataset, path: Path) -> Split | None:
    """Load a dataset, or return None if it is refused; check what every trainer relies on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZooWarning)  # of copies and conversions
            split = dataset.load(path)
    except DataError:
        return None
    images, labels = split.train[np.arange(len(split.train))]
    assert (images.dtype.name, images.ndim) == ("uint8", 4)
    assert 0 <= labels.min() <= labels.max() < len(split.class_names)
    return split


def table(data: bytes) -> bool:
    """Read a table of pixels, or of files that exist."""
    path = _table_folder() / "it.csv"
    path.write_bytes(data)
    split = _load(Table(size=(8, 8), skip_bad=True), path)
    assert split is None or len(split.train_ids) == len(split.train)
    return split is not None


def image_seeds() -> list[bytes]:
    """Return files of every kind that is read."""
    pixels = FashionMnist().load(None).test[np.arange(1)][0][0, ..., 0]
    gray = Image.fromarray(pixels)
    several = [gray, gray.convert("RGB"), gray.convert("RGB").quantize(8), gray.convert("LA"), gray.convert("CMYK")]
    seeds = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for each in several:
        for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
            file = io.BytesIO()
            try:
                each.save(file, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}))
            except (OSError, ValueError):  # not every kind has every mode
                continue
            seeds.append(file.getvalue())
    return seeds


def npz_seeds() -> list[bytes]:
    """Return files of arrays, compressed and not."""
    seeds = []
    images, labels = FashionMnist().load(None).test[np.arange(40)]
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, images=images[:, ::7, ::7], labels=labels % 3, class_names=np.array(["a", "b", "c"]))
        seeds.append(file.getvalue())
    return seeds


def table_seeds() -> list[bytes]:
    """Return tables of files and of pixels, as they are written in several ways."""
    images, labels = FashionMnist().load(None).test[np.arange(24)]
    files = "".join(f'{i}.png,"{"cat" if i % 2 else "dog"}",g{i // 2}\n' for i in range(24))
    pixels = [",".join(map(str, row)) for row in images[:, ::7, ::7].reshape(24, -1).tolist()]
    plain = "".join(f"{label % 2},{row}\n" for label, row in zip(labels, pixels, strict=True))
    header = "label," + ",".join(f"pixel{i}" for i in range(16)) + "\n"
    texts = [
        "file,label,group\n" + files,
        header + plain,
        plain.replace("\n", "\r\n"),
        "emotion,pixels\n" + "".join(f"{line[:2]}{line[2:].replace(',', ' ')}\n" for line in plain.splitlines()),
        header.replace(",", ";") + plain.replace(",", ";"),
    ]
    return [text.encode() for text in texts]


def idx_seeds() -> list[bytes]:
    """Return an IDX file of images."""
    return _idx_files()[:1]


def mapping_seeds() -> list[bytes]:
    """Return a file of EMNIST's class names."""
    return [b"0 48 48\n1 49\n2 65 97\n3 66 98\n"]


def cifar_seeds() -> list[bytes]:
    """Return a file of CIFAR-100: an image of each class."""
    chance = np.random.default_rng(0)
    return [b"".join(bytes([label // 5, label]) + chance.bytes(3072) for label in range(100))]


def svhn_seeds() -> list[bytes]:
    """Return MAT files of 20 small images, compressed and not."""
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    pixels = np.random.default_rng(0).bytes(20 * 3 * 4 * 4)
    arrays = [_variable(b"X", (4, 4, 3, 20), pixels), _variable(b"y", (20, 1), bytes(range(1, 11)) * 2)]
    packed = [_element(15, zlib.compress(each)) for each in arrays]
    return [header + b"".join(arrays), header + b"".join(packed)]


def _variable(name: bytes, sizes: tuple[int, ...], content: bytes) -> bytes:
    flags, shape = struct.pack("<II", 9, 0), struct.pack(f"<{len(sizes)}i", *sizes)
    parts = [_element(6, flags), _element(5, shape), _element(1, name), _element(2, content)]
    return _element(14, b"".join(each + bytes(-len(each) % 8) for each in parts))


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content


def mutate_svhn(mutate: Mutate) -> Mutate:
    """Return what mutates a MAT file, as a whole or inside a compressed element."""

    def change(data: bytes, chance: random.Random) -> bytes:
        kind, size = struct.unpack("<II", data[128:136])
        if kind != 15 or chance.random() < 0.3:
            return mutate(data, chance)
        inner = zlib.decompress(data[136 : 136 + size])
        changed = mutate(inner[:96], chance) + inner[96:] if chance.random() < 0.7 else mutate(inner, chance)
        return data[:128] + _element(15, zlib.compress(changed)) + data[136 + size :]

    return change


def mutate_npz(mutate: Mutate) -> Mutate:
    """Return what mutates a file of arrays, as a whole or one array in it."""

    def change(data: bytes, chance: random.Random) -> bytes:
        if chance.random() < 0.3:
            return mutate(data, chance)
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
            chosen = chance.choice(old.namelist())
            for name in old.namelist():
                content = old.read(name)
                new.writestr(name, mutate(content[:128], chance) + content[128:] if name == chosen else content)
        return file.getvalue()

    return change


@cache
def _table_folder() -> Path:
    folder = _FOLDER / "table"
    folder.mkdir()
    for i, image in enumerate(FashionMnist().load(None).test[np.arange(24)][0]):
        Image.fromarray(image[::4, ::4, 0]).save(folder / f"{i}.png")
    return folder


@cache
def _idx_files() -> list[bytes]:
    pixels = FashionMnist().load(None).test[np.arange(20)][0]
    images = bytes([0, 0, 8, 3]) + np.array([20, 28, 28], ">u4").tobytes() + pixels.tobytes()
    labels = bytes([0, 0, 8, 1]) + np.array([20], ">u4").tobytes() + bytes(i % 4 for i in range(20))
    return [images, labels, images, labels]
