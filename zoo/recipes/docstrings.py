"""Descriptions of settings: those of parameters in docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap

_SECTION = re.compile(r"^Arg(?:ument)?s:[ ]*\n((?:[ ].*\n|\n)*)", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+)(?: \(.*?\))?:\s(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def parameter_descriptions(target: object) -> dict[str, str]:
    """Return the descriptions of a target's parameters, each on one line, from sections ``Args:`` of its docstring.

    For a class, they are those of its docstring, of its ``__init__`` and of its base classes.
    """
    parts: list[object] = [target]
    if inspect.isclass(target):
        parts = [part for base in reversed(inspect.getmro(target)) for part in (base, vars(base).get("__init__"))]
    found: dict[str, str] = {}
    for part in parts:
        text = getattr(part, "__doc__", None)
        if isinstance(text, str) and (section := _SECTION.search(inspect.cleandoc(text) + "\n")):
            found |= {name: " ".join(words.split()) for name, words in _ARGUMENT.findall(textwrap.dedent(section[1]))}
    return {name: words.replace("``", "`") for name, words in found.items() if words}
