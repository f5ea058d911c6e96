"""Datasets from your own images (folders, arrays, IDX files), and the command ``zoo predict``."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_datasets() -> list[Entry]:
    """Return the datasets."""
    return [
        Entry(
            name="cifar",
            target="zoo_images.arrays.cifar:Cifar",
            summary="CIFAR-10 or CIFAR-100 in the binary version (--data-dir DIR).",
        ),
        Entry(
            name="digits",
            target="zoo_images.arrays.digits:Digits",
            summary="1,797 handwritten digits, 8x8 grayscale, from scikit-learn (extra: digits).",
        ),
        Entry(
            name="idx",
            target="zoo_images.arrays.idx:IdxFiles",
            summary="Images as four IDX files: MNIST, EMNIST, QMNIST, or your own (--data-dir DIR).",
        ),
        Entry(
            name="image-folder",
            target="zoo_images.folders.folder:ImageFolder",
            summary="Your image files, one folder per class (--data-dir DIR).",
        ),
        Entry(
            name="npz",
            target="zoo_images.arrays.npz:NpzFile",
            summary="Images as NumPy arrays in an .npz file (--data-dir FILE.npz).",
        ),
        Entry(
            name="svhn",
            target="zoo_images.arrays.svhn:Svhn",
            summary="Street View House Numbers, cropped digits, as MAT files (--data-dir DIR).",
        ),
        Entry(
            name="table",
            target="zoo_images.tables.table:Table",
            summary="Your image files, or their pixels, with labels in a table (--data-dir labels.csv).",
        ),
    ]


@hookimpl
def register_commands() -> list[Entry]:
    """Return the command ``predict``."""
    return [Entry(name="predict", target="zoo_images.command:predict", summary="Predict the classes of image files.")]
