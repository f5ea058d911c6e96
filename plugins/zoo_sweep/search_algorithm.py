"""Where the trials of a sweep come from, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoo_sweep.records import TrialRecord
    from zoo_sweep.store import SweepStore


class Source(Protocol):
    """Says what to try next, and what is hopeless."""

    @property
    def total(self) -> int:
        """How many trials there will be in all."""
        ...

    def next(self) -> TrialRecord | None:
        """Return the next trial to start, from the store; None if there is none left."""
        ...

    def should_prune(self, trial: TrialRecord) -> bool:
        """Return whether a trial should be stopped, now that the last of its values is known."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """Hear what became of a trial that `next` returned."""
        ...


class Grid:
    """The trials that are in the store, in their order; none is hopeless.

    Args:
        store: The store.
    """

    def __init__(self, store: SweepStore) -> None:
        """Hold the store."""
        self._store = store

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._store.record.trials)

    def next(self) -> TrialRecord | None:
        """Return the first that waits."""
        return next((trial for trial in self._store.record.trials if trial.status == "waiting"), None)

    def should_prune(self, trial: TrialRecord) -> bool:  # noqa: ARG002  # others look at it
        """Return False: all were asked for."""
        return False

    def ended(self, trial: TrialRecord) -> None:
        """Do nothing: what is tried does not depend on it."""
