"""The epochs of a run so far, and which was the best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs.records import EpochRecord, Metrics
    from zoo.types import Monitor


@dataclass(frozen=True, kw_only=True)
class History:
    """What training came to.

    Args:
        epochs: A record for each epoch.
        monitor: Validation metric that the best epoch is chosen by.
        best_epoch: Its number, from 1; without validation, that of the last.
        validation: Validation metrics of that epoch.
    """

    epochs: tuple[EpochRecord, ...] = ()
    monitor: Monitor = "loss"
    best_epoch: int = 0
    validation: Metrics | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs, their validation included."""
        return sum(record.seconds for record in self.epochs)

    def with_epoch(self, record: EpochRecord) -> History:
        """Return the history with one epoch more."""
        best, new = self.validation, record.validation
        longer = replace(self, epochs=(*self.epochs, record))
        if new is None or best is None or self._sort_key(new) < self._sort_key(best):
            return replace(longer, best_epoch=record.epoch, validation=new)
        return longer

    def _sort_key(self, metrics: Metrics) -> tuple[float, ...]:
        return (metrics.loss,) if self.monitor == "loss" else (-metrics.accuracy, metrics.loss)
