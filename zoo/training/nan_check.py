"""Detect divergence: NaN or infinity in metrics or weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.errors import DivergedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from zoo.runs.records import Metrics


def check_finite(
    at: tuple[int, int],
    seen: Metrics | None = None,
    validation: Metrics | None = None,
    arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Raise `DivergedError` if a metric or an array is NaN or infinite.

    Arrays are checked as well as metrics, because the losses can be finite although a weight is not.

    Args:
        at: The epoch, and the step in that epoch, at which the values were taken.
        seen: Training metrics.
        validation: Validation metrics.
        arrays: Weights or the state of a training, by name.

    Raises:
        DivergedError: The message says what is NaN or infinite, and at which epoch and step.
    """
    import numpy as np

    what = [
        f"the {name} {kind}"
        for name, metrics in (("training", seen), ("validation", validation))
        if metrics is not None
        for kind in ("loss", "accuracy")
        if not math.isfinite(getattr(metrics, kind))
    ]
    what += [f"weight {name!r}" for name, array in (arrays or {}).items() if not np.isfinite(array).all()]
    if what:
        raise DivergedError(
            f"Training diverged in epoch {at[0]}, step {at[1]}: {what[0]} is NaN or infinite. Lower the learning "
            "rate, and check the data.",
            epoch=at[0],
            step=at[1],
        )
