"""The completed epochs of a run, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs.records import EpochRecord, Metrics


@dataclass(frozen=True, kw_only=True)
class History:
    """The results of training.

    Args:
        epochs: A record for each epoch.
        monitor: Validation metric that selects the best epoch.
        mode: Whether its largest (``"max"``) or smallest value (``"min"``) is best.
        best_epoch: Number of the best epoch, from 1; of the last epoch without validation; 0 before the first.
        validation: Validation metrics of the best epoch.
    """

    epochs: tuple[EpochRecord, ...] = ()
    monitor: str = "loss"
    mode: str = "min"
    best_epoch: int = 0
    validation: Metrics | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs, including validation."""
        return sum(record.seconds for record in self.epochs)

    def with_epoch(self, record: EpochRecord) -> History:
        """Return a new history with one more epoch."""
        best, new = self.validation, record.validation
        longer = replace(self, epochs=(*self.epochs, record))
        if new is None or best is None or self._sort_key(new) < self._sort_key(best):
            return replace(longer, best_epoch=record.epoch, validation=new)
        return longer

    def _sort_key(self, metrics: Metrics) -> tuple[float, ...]:
        value = metrics.value(self.monitor)
        return (value if self.mode == "min" else -value, metrics.loss)
