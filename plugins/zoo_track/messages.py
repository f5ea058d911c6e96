"""Messages from a run to its tracker's process, as JSON."""

from __future__ import annotations

from typing import Protocol

import msgspec

Value = bool | int | float | str | None | list[bool | int | float | str | None]


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """A run starts or resumes.

    Args:
        run: Id of the run in its record; it stays the same when the run is resumed.
        path: The run folder.
        recipe: Name of the recipe.
        settings: Every setting, by its name in ``--set``.
    """

    run: str
    path: str
    recipe: str
    settings: dict[str, Value]


class Epoch(msgspec.Struct, frozen=True, kw_only=True, tag="epoch"):
    """An epoch, numbered from 1, is complete: its loss and accuracy, and those of validation prefixed ``val_``."""

    epoch: int
    metrics: dict[str, float]


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """A run has ended.

    Args:
        status: Status in its record: ``trained``, ``tested``, ``failed`` or ``interrupted``.
        epochs: Number of completed epochs.
        metrics: Test metrics and the best epoch, as far as they exist.
        files: Paths of its result files.
    """

    status: str
    epochs: int
    metrics: dict[str, float]
    files: list[str]


Message = Start | Epoch | End


class Writer(Protocol):
    """Writes messages to a tracker's storage."""

    def start(self, message: Start) -> None:
        """Record that the run starts or resumes."""
        ...

    def epoch(self, message: Epoch) -> None:
        """Record an epoch."""
        ...

    def end(self, message: End) -> None:
        """Record the end of the run."""
        ...
