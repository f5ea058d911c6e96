"""Recognize the format of a weights file by its first bytes."""

from __future__ import annotations

import string
from importlib import import_module
from typing import TYPE_CHECKING

from zoo.transfer.readers.contents import Contents, FileFault, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.transfer.readers.contents import Budget, Source

    Reader = Callable[[Source, Budget], Contents]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE = b"\x80"
_LFS = b"version https://git-lfs.github.com/"
_LONGEST_HEADER = 1 << 40  # of safetensors: a larger number is something else
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")
_TEXT = frozenset(map(ord, string.printable))
_SUPPORTED = "Keras (.h5, .weights.h5, .keras), PyTorch (.pt, .pth, .bin), safetensors or ONNX"


def reader_of(head: bytes) -> Reader:
    """Import and return the function that reads a file.

    Args:
        head: Its first bytes, a few hundred.

    Raises:
        FileFault: It is not a weights file.
        MissingExtra: The library that reads it is not installed.
    """
    if not head:
        raise FileFault("is empty. Download or save it again.")
    if head.startswith(_HDF5):
        return _reader("keras_hdf5", "read")
    if head.startswith(_ZIPS):
        import zoo.transfer.readers.keras_weights
        import zoo.transfer.readers.pytorch  # noqa: F401

        return _read_archive
    if head.startswith(_PICKLE):
        return _reader("pytorch", "read_legacy")
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _LONGEST_HEADER:
        return _reader("safetensors", "read")
    _check_text(head)
    if head[0] == 8 and 0 < head[1] < 64:  # the field ir_version, and its value
        return _onnx_reader()
    raise FileFault(f"is not a weights file of {_SUPPORTED}. Received: it begins with {head[:8]!r}")


def _reader(module: str, function: str) -> Reader:
    found: Reader = getattr(import_module(f"zoo.transfer.readers.{module}"), function)
    return found


def _onnx_reader() -> Reader:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtra("onnx", " ".join(str(error).split())) from None
    return _reader("onnx", "read")


def _check_text(head: bytes) -> None:
    """Raise `FileFault` if a file is a text, such as the page of a failed download."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_PAGE):
        raise FileFault("is a web page, not weights: the download failed. Download it again.")
    if start.startswith(_LFS):
        raise FileFault("is a reference of Git LFS, not weights. Fetch the file with: git lfs pull")
    if _TEXT.issuperset(head):
        raise FileFault(
            f"is a text file, not weights. Use a file of {_SUPPORTED}. Received: it begins with {head[:20]!r}"
        )


def _read_archive(source: Source, budget: Budget) -> Contents:
    from zoo.transfer.readers import keras_weights, pytorch
    from zoo.transfer.readers.archives import open_archive

    with open_archive(source.file) as archive:
        names = archive.namelist()
        if keras_weights.WEIGHTS in names or keras_weights.DESCRIPTION in names:
            return keras_weights.read_archive(archive, budget)
        if any(name.rpartition("/")[2] == pytorch.PICKLE for name in names):
            return pytorch.read_archive(archive, budget)
    raise FileFault(f"is a zip archive, but not one of Keras or PyTorch. Received: files={names[:3]!r:.200}")
