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
    shares: Sequence[float],
) -> list[NDArray[np.intp]]:
    """Return the indices of each part in order: one for each share, then the rest.

    Args:
        labels: ``(n,)``, from 0.
        ranks: ``(n,)``; of each class, those of lowest rank are taken first.
        class_names: Names of the classes, for messages.
        shares: Of each class, how much of it goes into each part: rounded, but one image at least. A share of 0 is for
            an empty part.

    Raises:
        DataError: A class has too few images to be cut.
    """
    import numpy as np

    parts: list[list[NDArray[np.intp]]] = [[] for _ in range(len(shares) + 1)]
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        counts = [max(1, round(share * len(members))) if share else 0 for share in shares]
        if sum(counts) >= len(members):
            wanted = 1 + sum(1 for share in shares if share)
            raise DataError(
                f"Class {name!r} has too few images to be cut into parts: give it {wanted} or more, or take smaller "
                f"shares. Received: {len(members)} images"
            )
        ends = np.cumsum([0, *counts])
        for part, start, end in zip(parts, ends, [*ends[1:], len(members)], strict=True):
            part.append(members[start:end])
    return [np.sort(np.concatenate(part)) for part in parts]
