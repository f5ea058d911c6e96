"""The surest mistakes as pictures inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split
    from zoo.runs import Predictions
    from zoo_results.metrics import Mistake

_MOST = 256  # pixels of a side; larger images are thinned out


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A test image.

    Args:
        address: It as a PNG file, ``data:...``; None if it cannot be had.
        name: What the data set calls it, its file for example; empty if it has no name.
    """

    address: str | None = None
    name: str = ""


def pictures_of(mistakes: Sequence[Mistake], split: Split, found: Predictions) -> list[Picture]:
    """Return the test images of mistakes.

    Raises:
        DataError: The test images are not those that were predicted.
    """
    import numpy as np

    if len(split.test) != len(found.labels):
        raise DataError(
            f"The data have other test images than the run. Received: {len(split.test):,} for {len(found.labels):,}"
        )
    if not mistakes:
        return []
    images, labels = split.test[np.array([mistake.index for mistake in mistakes])]
    if [mistake.truth for mistake in mistakes] != labels.tolist():
        raise DataError("The data have other test images than the run: their classes are others.")
    names = [split.test_ids[mistake.index] if split.test_ids else "" for mistake in mistakes]
    return [Picture(address=_address(image), name=name) for image, name in zip(images, names, strict=True)]


def _address(image: NDArray[np.uint8]) -> str:
    from matplotlib.image import imsave

    step = -(-max(image.shape[:2]) // _MOST)
    image = image[::step, ::step]
    gray = image.shape[-1] not in (3, 4)
    data = io.BytesIO()
    imsave(data, image.mean(axis=-1) if gray else image, format="png", cmap="gray", vmin=0, vmax=255)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
