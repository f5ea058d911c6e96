"""The most confident mistakes as inline images for a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.utils import import_matplotlib

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split
    from zoo.runs import Predictions
    from zoo_results.metrics import Mistake

_MOST = 256  # pixels per side; larger images are subsampled


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A test image.

    Args:
        address: ``data:`` URL of the image as PNG; None if the image is not available.
        name: Its name in the dataset, such as its file name; empty if it has none.
    """

    address: str | None = None
    name: str = ""


def pictures_of(mistakes: Sequence[Mistake], split: Split, found: Predictions) -> list[Picture]:
    """Return the test images of mistakes as inline images.

    Raises:
        DataError: The test images differ from those of the predictions.
    """
    import numpy as np

    if len(split.test) != len(found.labels):
        raise DataError(
            "The number of test images differs from that of the run. Load the data that the run was tested on. "
            f"Received: {len(split.test):,} instead of {len(found.labels):,}"
        )
    if not mistakes:
        return []
    images, labels = split.test[np.array([mistake.index for mistake in mistakes])]
    if [mistake.truth for mistake in mistakes] != labels.tolist():
        raise DataError(
            "The classes of the test images differ from those of the run. Load the data that the run was tested on."
        )
    names = [split.test_ids[mistake.index] if split.test_ids else "" for mistake in mistakes]
    return [Picture(address=_address(image), name=name) for image, name in zip(images, names, strict=True)]


def _address(image: NDArray[np.uint8]) -> str:
    import_matplotlib()
    from matplotlib.image import imsave

    step = -(-max(image.shape[:2]) // _MOST)
    image = image[::step, ::step]
    gray = image.shape[-1] not in (3, 4)
    data = io.BytesIO()
    imsave(data, image.mean(axis=-1) if gray else image, format="png", cmap="gray", vmin=0, vmax=255)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
