"""Where the trials of a sweep come from, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoo_ray.sweeps.book import Book
    from zoo_ray.sweeps.records import TrialRecord


class Source(Protocol):
    """Says what to try next, and what is hopeless."""

    @property
    def total(self) -> int:
        """How many trials there will be in all."""
        ...

    def next(self) -> TrialRecord | None:
        """Return the next trial to start, from the book; None if there is none left."""
        ...

    def is_hopeless(self, trial: TrialRecord) -> bool:
        """Return whether a trial should be stopped, now that the last of its values is known."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """Hear what became of a trial that `next` returned."""
        ...


class Grid:
    """The trials that are in the book, in their order; none is hopeless.

    Args:
        book: The book.
    """

    def __init__(self, book: Book) -> None:
        """Hold the book."""
        self._book = book

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._book.record.trials)

    def next(self) -> TrialRecord | None:
        """Return the first that waits."""
        return next((trial for trial in self._book.record.trials if trial.status == "waiting"), None)

    def is_hopeless(self, trial: TrialRecord) -> bool:  # noqa: ARG002  # others look at it
        """Return False: all were asked for."""
        return False

    def ended(self, trial: TrialRecord) -> None:
        """Do nothing: what is tried does not depend on it."""
