"""Cuts test and validation images out of labelled images: from each class its share, the same ones every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from zoo import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

Share = Annotated[float, Meta(ge=0, lt=1)]
PositiveShare = Annotated[float, Meta(gt=0, lt=1)]


def cut(
    labels: NDArray[np.integer[Any]],
    ranks: NDArray[np.uint64],
    class_names: Sequence[str],
    share: float,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of a part, and of the rest, each in order.

    Args:
        labels: ``(n,)``, from 0.
        ranks: ``(n,)``; of each class, those of lowest rank are taken first. Images of the same rank are copies of one,
            and stay together: what is tested must not have been trained on.
        class_names: Names of the classes, for messages.
        share: How much of each class goes into the part: rounded, but one image at least. 0 is for an empty part.

    Raises:
        DataError: A class has too few images to be cut.
    """
    import numpy as np

    part, rest = [], []
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        count = max(1, round(share * len(members))) if share else 0
        if share:
            ends = np.flatnonzero(np.diff(ranks[members])) + 1  # between copies there is none
            if count >= len(members) or not len(ends):
                raise DataError(
                    f"Class {name!r} has too few images to be cut into parts: give it 2 or more that differ, or take "
                    f"a smaller share. Received: {len(members)} images, {len(np.unique(ranks[members]))} different"
                )
            count = int(ends[np.abs(ends - count).argmin()])
        part.append(members[:count])
        rest.append(members[count:])
    return np.sort(np.concatenate(part)), np.sort(np.concatenate(rest))
