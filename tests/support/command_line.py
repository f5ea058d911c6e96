"""What a call of the command line gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line came to."""

    status: int
    out: str
    err: str


Zoo = Callable[..., Outcome]
