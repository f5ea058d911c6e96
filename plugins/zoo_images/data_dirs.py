"""The file or folder that a dataset is read from, which `zoo.Dataset` types as optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo import DataError

if TYPE_CHECKING:
    from pathlib import Path


def require(data_dir: Path | None, dataset: str, needed: str = "a folder", example: str = "DIR") -> Path:
    """Return the file or folder.

    Args:
        data_dir: The file or folder.
        dataset: Name of the dataset, for the message, as the others.
        needed: What it needs.
        example: Value of ``--data-dir``.

    Raises:
        DataError: None is given.
    """
    if data_dir is None:
        raise DataError(
            f"Dataset {dataset!r} needs {needed}. Pass it with --data-dir {example}. Received: data_dir=None"
        )
    return data_dir
