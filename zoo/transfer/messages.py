"""Messages from the process that reads a weights file: first a `Header` or `Failure`, then each array's bytes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=10_000)]


class ArrayHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The facts of one array. Its values follow as float32, little-endian, in a message of their own."""

    name: Name
    layer: Name
    role: Name | None
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]], msgspec.Meta(max_length=32)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, kw_only=True):
    """What the file contains."""

    format: str
    layout: Literal["keras", "pytorch"]
    is_ordered: bool
    arrays: Annotated[list[ArrayHeader], msgspec.Meta(max_length=100_000)]


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, kw_only=True):
    """Why the file cannot be used.

    Attributes:
        fault: The end of a sentence that begins with the file's path.
        extra: The extra of keras-zoo that is missing, if that is the reason.
    """

    fault: str
    extra: str | None = None
