"""Parse the option values of ``zoo sweep``; a value that is not valid raises `ValueError`."""

from __future__ import annotations

import math
import re

_MOST_SEEDS = 2**32
_RANGE = re.compile(r"(?P<low>.+?)\.\.(?P<high>[^:]+)(?P<log>:log)?")
_NUMBER = re.compile(r"[-+.\d]+(e[-+]?\d+)?")  # a setting with several of them may be a list


def split_values(text: str) -> list[str]:
    """Return the values in ``V1,V2``. A value that is a list is written in brackets: ``[32,64],[16,32]``.

    Raises:
        ValueError: A value is empty or repeated, or brackets do not match.
    """
    values, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if depth not in (0, 1):
            raise ValueError("the brackets do not match. Write a list as [32,64]")
        if character == "," and not depth:
            values.append("")
        else:
            values[-1] += character
    if depth:
        raise ValueError("the brackets do not match. Write a list as [32,64]")
    values = [value.strip() for value in values]
    if not all(values):
        raise ValueError("a value is empty. Write V1,V2, and a list in brackets: [32,64],[16,32]")
    values = [value[1:-1].strip() if value[0] == "[" and value[-1] == "]" else value for value in values]
    if len(set(values)) < len(values):
        cure = f", or write a list in brackets: [{text}]" if all(_NUMBER.fullmatch(value) for value in values) else ""
        raise ValueError(f"a value is repeated. Give each value once{cure}")
    return values


def read_seeds(text: str) -> list[int]:
    """Return the seeds for ``5`` (0 to 4), ``0,3,7``, or ``7,`` (only 7).

    Raises:
        ValueError: The text has another form, or a seed is too large or repeated.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0:
        raise ValueError(
            f"{text!r} is not a number or list of seeds. Give a number, such as 5, or a list, such as 0,3,7"
        )
    if "," not in text:
        if not 1 <= numbers[0] <= _MOST_SEEDS:
            raise ValueError(f"{text!r} is not a valid number of seeds. For seed 0 only, write '0,'")
        return list(range(min(numbers[0], 1 << 20)))  # larger numbers are refused when trials are counted
    if max(numbers) >= _MOST_SEEDS:
        raise ValueError(f"{text!r} has a seed that is too large. Give seeds below {_MOST_SEEDS}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{text!r} has a repeated seed. Give each seed once")
    return numbers


def read_range(text: str) -> tuple[str, str, bool]:
    """Return the low end and high end of ``LOW..HIGH`` or ``LOW..HIGH:log``, and whether it is logarithmic.

    Raises:
        ValueError: The text has another form, or the range is empty, or logarithmic and not above 0.
    """
    found = _RANGE.fullmatch(text)
    try:
        low, high = (float(found["low"]), float(found["high"])) if found else (math.nan, math.nan)
    except ValueError:
        low = high = math.nan
    if found is None or not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("not a range. Write LOW..HIGH or LOW..HIGH:log")
    if low >= high:
        raise ValueError("the range is empty. Give the low end first")
    if found["log"] and low <= 0:
        raise ValueError("a logarithmic range must be above 0. Give a positive low end")
    return found["low"].strip(), found["high"].strip(), bool(found["log"])
