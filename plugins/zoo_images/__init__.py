"""Images of one's own: data sets from folders, arrays and IDX files, and ``zoo predict``."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_datasets() -> list[Entry]:
    """Return the data sets."""
    return [
        Entry(
            name="digits",
            target="zoo_images.digits:Digits",
            summary="1,797 gray 8x8 handwritten digits, which come with scikit-learn (extra digits).",
        ),
        Entry(
            name="idx",
            target="zoo_images.idx:IdxFiles",
            summary="Four IDX files of your own, as MNIST has them: --data-dir DIR.",
        ),
        Entry(
            name="image-folder",
            target="zoo_images.folder:ImageFolder",
            summary="Image files of your own, one folder a class: --data-dir DIR.",
        ),
        Entry(
            name="npz",
            target="zoo_images.npz:NpzFile",
            summary="NumPy arrays of your own in an .npz file: --data-dir FILE.npz.",
        ),
    ]


@hookimpl
def register_commands() -> list[Entry]:
    """Return the command ``predict``."""
    return [Entry(name="predict", target="zoo_images.command:predict", summary="Predict the classes of image files.")]
