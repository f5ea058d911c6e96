"""Sources of the trials of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoo_sweep.records import TrialRecord
    from zoo_sweep.store import SweepStore


class Source(Protocol):
    """Decides which trial to start next, and which to prune."""

    @property
    def total(self) -> int:
        """Total number of trials."""
        ...

    def next(self) -> TrialRecord | None:
        """Return the next trial to start, from the store, or None if there are no more."""
        ...

    def should_prune(self, trial: TrialRecord) -> bool:
        """Return whether to stop a trial early, given its values so far."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """Receive the outcome of a trial that `next` returned."""
        ...


class Grid:
    """The trials in the store, in their order; none is pruned.

    Args:
        store: The store.
    """

    def __init__(self, store: SweepStore) -> None:
        """Keep a reference to the store of the sweep."""
        self._store = store

    @property
    def total(self) -> int:
        """Total number of trials."""
        return len(self._store.record.trials)

    def next(self) -> TrialRecord | None:
        """Return the first waiting trial."""
        return next((trial for trial in self._store.record.trials if trial.status == "waiting"), None)

    def should_prune(self, trial: TrialRecord) -> bool:  # noqa: ARG002  # required by the protocol
        """Return False, because a grid trains every trial."""
        return False

    def ended(self, trial: TrialRecord) -> None:
        """Do nothing, because a grid does not depend on outcomes."""
