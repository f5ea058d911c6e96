"""Descriptions of setting types: in words with their bounds, and as code."""

from __future__ import annotations

import types
import typing
from typing import Any

_KINDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    type(None): "none",
    None: "none",
}
_FURTHER = ("multiple_of", "pattern", "min_length", "max_length")  # constraints of `msgspec.Meta` other than bounds


def describe_type(annotation: Any) -> str:
    """Return the allowed values of a type in words: ``"an integer from 1 to 4096"``, ``"adam, sgd or muon"``.

    Args:
        annotation: The type of a setting, optionally with bounds (`msgspec.Meta`).
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return describe_type(arguments[0]) + "".join(map(_bounds, arguments[1:]))
    if origin is typing.Literal:
        return _either([str(value).lower() if isinstance(value, bool) else str(value) for value in arguments])
    if origin in (typing.Union, types.UnionType):
        return _either([describe_type(argument) for argument in arguments])
    if origin in (tuple, list):
        return _several(arguments, is_fixed=origin is tuple and ... not in arguments)
    return _KINDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def name_type(annotation: Any) -> str:
    """Return a type as written in code: ``float``, ``tuple[int, ...]``, ``'a' | 'b'``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return name_type(arguments[0])
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(name_type, arguments))
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if part is ... else name_type(part) for part in arguments)}]"
    return "none" if annotation in (None, type(None)) else getattr(annotation, "__name__", str(annotation))


def _several(arguments: tuple[Any, ...], *, is_fixed: bool) -> str:
    each = [describe_type(argument) for argument in arguments if argument is not ...]
    count = f"{len(each)} comma-separated values" if is_fixed else "comma-separated values"
    if len(set(each)) == 1:
        return f"{count}, each {each[0]}"
    return f"{count}: {', '.join(each)}"


def _either(several: list[str]) -> str:
    several = ["none" if each == "None" else each for each in several]
    if len(several) < 2:
        return "".join(several)
    between = ", or " if any(" " in each for each in several) else " or "
    return ", ".join(several[:-1]) + between + several[-1]


def _bounds(bounds: Any) -> str:
    """Return the bounds of `msgspec.Meta` in words, to follow the description of a type."""
    low, high = getattr(bounds, "ge", None), getattr(bounds, "le", None)
    above, below = getattr(bounds, "gt", None), getattr(bounds, "lt", None)
    lowest = f"from {low}" if low is not None else f"above {above}" if above is not None else ""
    if low is not None and high is None:
        lowest = f"of at least {low}"
    highest = f"to {high}" if high is not None else f"below {below}" if below is not None else ""
    if high is not None and low is None:
        highest = f"up to {high}"
    between = " " if low is not None and high is not None else " and "
    text = between.join(part for part in (lowest, highest) if part)
    further = [f"({name}={getattr(bounds, name)!r})" for name in _FURTHER if getattr(bounds, name, None) is not None]
    return "".join(f" {part}" for part in (text, *further) if part)
