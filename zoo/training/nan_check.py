"""Training that has diverged: NaN or infinity in what it came to."""

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
    """Raise `DivergedError` if something is NaN or infinite: one in a kernel can leave the losses finite.

    Args:
        at: The epoch, and the step in it, after which it was found.
        seen: Metrics on the training examples.
        validation: Metrics on the validation examples.
        arrays: Weights, or the state of a training, by name.

    Raises:
        DivergedError: The message says what is NaN or infinite, and where.
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
            f"Training diverged in epoch {at[0]}, step {at[1]}: {what[0]} is NaN or infinite. Try a lower learning "
            "rate, and check the data.",
            epoch=at[0],
            step=at[1],
        )
