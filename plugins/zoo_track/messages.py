"""What a run tells its tracker, as JSON from one process to another."""

from __future__ import annotations

from typing import Protocol

import msgspec

Value = bool | int | float | str | None | list[bool | int | float | str | None]


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """A run begins, or goes on.

    Args:
        run: What it is called in its record, the same when it goes on.
        path: The run folder.
        recipe: Name of the recipe.
        settings: Every setting by the name that ``--set`` takes.
    """

    run: str
    path: str
    recipe: str
    settings: dict[str, Value]


class Epoch(msgspec.Struct, frozen=True, kw_only=True, tag="epoch"):
    """An epoch, counted from 1, is done: its loss and accuracy, with ``val_`` before them those of validation."""

    epoch: int
    metrics: dict[str, float]


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """A run is over.

    Args:
        status: As in its record: ``trained``, ``tested``, ``failed``, ``interrupted``.
        epochs: Epochs that were done.
        metrics: Test metrics and the best epoch, as far as it has them.
        files: The files that it made.
    """

    status: str
    epochs: int
    metrics: dict[str, float]
    files: list[str]


Message = Start | Epoch | End


class Writer(Protocol):
    """Takes messages to where they are kept."""

    def start(self, message: Start) -> None:
        """A run begins, or goes on."""
        ...

    def epoch(self, message: Epoch) -> None:
        """An epoch is done."""
        ...

    def end(self, message: End) -> None:
        """The run is over."""
        ...
