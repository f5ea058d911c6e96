"""Reads tables in Parquet (extra ``parquet``): a child process with limits writes them as CSV to a temporary file."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import open_regular, shown
from zoo.utils import ChildProcess, missing_extra, usable_memory
from zoo_images.tables.temporary import TemporaryText
from zoo_images.tables.text import open_table

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_images.tables.text import TextTable

MAGIC = b"PAR1"
"""First bytes of a file in Parquet."""

_SHARE = 0.25  # maximum share of the memory
_MOST_BYTES = 1 << 30  # of text, which is on a disk for a while
_SECONDS = 900.0  # the process limits its processor time itself


def open_parquet(path: Path) -> TextTable:
    """Return a table in Parquet as one of text. Its temporary file is gone with the table.

    Raises:
        DataError: The file is damaged or too large, or a column has images.
        PluginError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise missing_extra("A table in Parquet", "parquet", "no module named 'pyarrow'")
    text = TemporaryText()
    with open_regular(path) as file:
        descriptors = (file.fileno(), text.descriptor)
        limit = str(min(_MOST_BYTES, int(_SHARE * usable_memory())))
        process = ChildProcess(
            "zoo_images.tables.parquet_worker", *map(str, descriptors), limit, descriptors=descriptors
        )
        try:
            process.wait(_SECONDS)
        finally:
            status = process.end()
    if status:
        said = process.last_words if status > 0 else f"the reader was ended by signal {-status}"
        raise DataError(
            f"{shown(path)} cannot be read as Parquet: {shown(said.rstrip('.'))}. Write the table again, or save it as "
            "CSV.",
            path=path,
        )
    return open_table(path, text.open)
