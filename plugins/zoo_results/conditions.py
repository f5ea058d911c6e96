"""Conditions of ``zoo runs --where``."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.toolkit import setting_text

if TYPE_CHECKING:
    from collections.abc import Callable

_CONDITION = re.compile(r"([\w.-]+)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of ``--where``: ``test>0.92``, ``recipe=fashion-*``, ``model.dropout=0.1``."""

    key: str
    operator: str
    value: str

    def holds(self, facts: dict[str, Any]) -> bool:
        """Return whether facts meet it: numbers as numbers, text as a pattern; a missing value only meets ``=none``."""
        fact = facts.get(self.key)
        if fact is None:
            return self.value == "none" and self.operator == "=" and self.key in facts
        number = _number(self.value)
        if number is not None and isinstance(fact, int | float) and not isinstance(fact, bool):
            return _COMPARE[self.operator](fact, number)
        if self.operator in ("=", "!="):
            return fnmatchcase(setting_text(fact), self.value) == (self.operator == "=")
        return isinstance(fact, str) and _COMPARE[self.operator](fact, self.value)


def read_conditions(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Condition]:
    """Return the conditions of an option that may be repeated."""
    conditions = []
    for text in texts:
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise click.BadParameter(
                f"{text!r} is not a condition. Write KEY=VALUE, or use !=, <, >, <= or >= in place of =."
            )
        key, sign, value = found.groups()
        conditions.append(Condition(key=key, operator=sign, value=value.strip()))
    return conditions


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
