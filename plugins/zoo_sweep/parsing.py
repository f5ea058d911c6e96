"""What the options of ``zoo sweep`` say, as values; what makes no sense in itself is a `ValueError`."""

from __future__ import annotations

import math
import re

_MOST_SEEDS = 2**32
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>[^:]+)(?P<log>:log)?")


def split_values(text: str) -> list[str]:
    """Return the values in ``V1,V2``; one that is itself a list stands in brackets: ``[32,64],[16,32]``.

    Raises:
        ValueError: There is none, one is there twice, or a bracket has no partner.
    """
    values, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if depth not in (0, 1):
            raise ValueError("the brackets do not match")
        if character == "," and not depth:
            values.append("")
        else:
            values[-1] += character
    if depth:
        raise ValueError("the brackets do not match")
    values = [value.strip() for value in values]
    if not all(values):
        raise ValueError("a value is empty: write V1,V2, and a list in brackets, [32,64],[16,32]")
    values = [value[1:-1].strip() if value[0] == "[" and value[-1] == "]" else value for value in values]
    if len(set(values)) < len(values):
        raise ValueError("a value is there twice")
    return values


def read_seeds(text: str) -> list[int]:
    """Return the seeds that ``5`` (0 to 4), ``0,3,7``, or ``7,`` (that one alone) stand for.

    Raises:
        ValueError: It is something else, or a seed is too large or there twice.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise ValueError(f"{text!r} is neither how many, 5, nor which, 0,3,7")
    if "," not in text:
        if not 1 <= numbers[0] <= _MOST_SEEDS:
            raise ValueError(f"{text!r} is none or too many; seed 0 alone is written 0,")
        return list(range(min(numbers[0], 1 << 20)))  # more are refused when trials are counted
    if max(numbers) >= _MOST_SEEDS:
        raise ValueError(f"{text!r} has a seed that is not below {_MOST_SEEDS}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{text!r} has a seed twice")
    return numbers


def read_range(text: str) -> tuple[str, str, bool]:
    """Return low end, high end and whether it is logarithmic of ``LOW..HIGH`` or ``LOW..HIGH:log``.

    Raises:
        ValueError: It is something else, empty, or logarithmic and not above 0.
    """
    found = _RANGE.fullmatch(text)
    try:
        low, high = (float(found["low"]), float(found["high"])) if found else (math.nan, math.nan)
    except ValueError:
        low = high = math.nan
    if found is None or not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a range is LOW..HIGH or LOW..HIGH:log")
    if low >= high:
        raise ValueError("the range is empty: the low end comes first")
    if found["log"] and low <= 0:
        raise ValueError("the range is logarithmic and does not begin above 0")
    return found["low"].strip(), found["high"].strip(), bool(found["log"])
