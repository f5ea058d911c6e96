"""Writes a table in Parquet as CSV, in a child process: pyarrow decompresses what a file declares, or crashes.

``python -m zoo_images.tables.parquet_worker INPUT OUTPUT BYTES``: two file descriptors, and the most memory for the
table.
"""

from __future__ import annotations

import csv
import io
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_PROGRAM = 2 << 30  # bytes of address space for Python and pyarrow themselves
_SECONDS = 600  # of processor time
_ROWS = 512  # rows converted at a time
_LONGEST_NAME = 1 << 20  # bytes of the metadata's texts, and their number


def main(arguments: list[str]) -> None:
    """Convert one file."""
    source, target, limit = map(int, arguments)
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, limit),
        (resource.RLIMIT_AS, _PROGRAM + limit),
    ):
        resource.setrlimit(which, (most, most))
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others reserve address space
    with os.fdopen(source, "rb") as file, os.fdopen(target, "wb") as output:
        try:
            for block in _convert(file):
                output.write(block)
        except (ValueError, OSError, MemoryError, NotImplementedError) as error:  # pyarrow's errors are such
            sys.exit(" ".join(str(error).split())[:200] or type(error).__name__)


def _convert(file: BinaryIO) -> Iterator[bytes]:
    """Iterate over the lines of a table as CSV, a header first."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    pa.set_cpu_count(1)
    table = ParquetFile(
        file,
        memory_map=False,
        pre_buffer=False,
        thrift_string_size_limit=_LONGEST_NAME,
        thrift_container_size_limit=_LONGEST_NAME,
    )
    for field in table.schema_arrow:
        if _has_bytes(field.type):
            raise ValueError(
                f"column {field.name!r:.100} has the images themselves: write each to a file, and its name to a table"
            )
    yield _as_csv([table.schema_arrow.names])
    for batch in table.iter_batches(batch_size=_ROWS, use_threads=False):
        yield _plain(batch) or _as_csv(zip(*map(_texts, batch.columns), strict=True))


def _plain(batch: Any) -> bytes:
    """Return rows of integers and texts as CSV, which pyarrow writes faster; nothing if there are others."""
    from pyarrow import csv as arrow_csv
    from pyarrow import types

    if not all(types.is_integer(column.type) or types.is_string(column.type) for column in batch.columns):
        return b""
    text = io.BytesIO()
    arrow_csv.write_csv(batch, text, arrow_csv.WriteOptions(include_header=False))
    return text.getvalue()


def _as_csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _has_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(_has_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _texts(column: Any) -> list[str]:
    """Return the values of a column as texts, a list of numbers with spaces between them, and a missing one as none."""
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values = column.to_pylist()
    if types.is_boolean(column.type):
        values = [None if value is None else int(value) for value in values]
    elif types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type):
        values = [None if value is None else " ".join(map(str, value)) for value in values]
    return ["" if value is None or value != value else str(value) for value in values]  # NaN is another than itself


if __name__ == "__main__":
    main(sys.argv[1:])
