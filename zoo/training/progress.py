"""What is told how far a run is, and says nothing: for a run that nobody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs.records import EpochRecord, Metrics


class Silent:
    """Progress that nobody watches."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Say nothing."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Say nothing."""

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Say nothing."""
