"""What reads files of a user's own, as fuzz targets: image files, arrays, IDX files, tables."""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from zoo_fashion.dataset import FashionMnist
from zoo_images.idx import IdxFiles
from zoo_images.npz import NpzFile
from zoo_images.table import Table

from zoo import DataError
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
    try:
        split = NpzFile().load(path)
    except DataError:
        return False
    images, labels = split.train[np.arange(len(split.train))]
    assert (images.dtype.name, images.ndim) == ("uint8", 4)
    assert labels.max() < len(split.class_names)
    return True


def own_idx(data: bytes) -> bool:
    """Read four IDX files, of which this is the training images."""
    for name, content in zip(_IDX_NAMES, (data, *_idx_files()[1:]), strict=True):
        (_FOLDER / name).write_bytes(content)
    try:
        split = IdxFiles(validation_share=0).load(_FOLDER)
    except DataError:
        return False
    assert len(split.train) == 20
    return True


def table(data: bytes) -> bool:
    """Read a table of pixels, or of files that exist."""
    path = _table_folder() / "it.csv"
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZooWarning)
            split = Table(size=(8, 8), skip_bad=True).load(path)
    except DataError:
        return False
    images, labels = split.train[np.arange(len(split.train))]
    assert (images.dtype.name, images.ndim) == ("uint8", 4)
    assert labels.max() < len(split.class_names)
    assert len(split.train_ids) == len(split.train)
    return True


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
