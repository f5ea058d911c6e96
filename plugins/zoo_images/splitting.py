"""Cuts test and validation images out of labeled images: from each class its share, the same ones every time."""

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


def check_enough(
    labels: NDArray[np.integer[Any]], ranks: NDArray[np.uint64], class_names: Sequence[str], parts: Sequence[str]
) -> None:
    """Check that each class has an image for each part that is cut out, and one that is left.

    Args:
        labels: As for `cut`.
        ranks: As for `cut`.
        class_names: As for `cut`.
        parts: What is cut out: ``"test"``, ``"validation"``.

    Raises:
        DataError: A class has too few.
    """
    import numpy as np

    different = [len(np.unique(ranks[labels == label])) for label in range(len(class_names))]
    needed = 1 + len(parts)
    few = [(name, count) for name, count in zip(class_names, different, strict=True) if count < needed]
    if not few or not parts:
        return
    (name, count), others = few[0], len(few) - 1
    more = f" (and {others} more)" if others else ""
    cure = ", or cut none for validation: --set dataset.validation_share=0 --set validation=0"
    cure = cure if "validation" in parts else ""
    raise DataError(
        f"Class {name!r}{more} has too few images: {needed} that differ are needed in each, one to train on and one "
        f"each for {' and '.join(parts)}, which are cut out of them. Add images{cure}. "
        f"Received: {count} that differ"
    )


def cut(
    labels: NDArray[np.integer[Any]],
    ranks: NDArray[np.uint64],
    class_names: Sequence[str],
    share: float,
    part: str,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of a part, and of the rest, each in order.

    Args:
        labels: ``(n,)``, from 0.
        ranks: ``(n,)``; of each class, those of lowest rank are taken first. Images of the same rank are copies of one,
            and stay together: what is tested must not have been trained on.
        class_names: Names of the classes, for messages.
        share: How much of each class goes into the part: rounded, but one image at least. 0 is for an empty part.
        part: What it is for, for messages.

    Raises:
        DataError: Nothing of a class would be left.
    """
    import numpy as np

    chosen, rest = [], []
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        count = max(1, round(share * len(members))) if share else 0
        if share:
            ends = np.flatnonzero(np.diff(ranks[members])) + 1  # between copies there is none
            if count >= len(members) or not len(ends):
                raise DataError(
                    f"A share of {share:g} for {part} leaves no image of class {name!r} to train on: take a smaller "
                    f"share, or add images. Received: {len(members)} images before it, "
                    f"{len(np.unique(ranks[members]))} that differ"
                )
            count = int(ends[np.abs(ends - count).argmin()])
        chosen.append(members[:count])
        rest.append(members[count:])
    return np.sort(np.concatenate(chosen)), np.sort(np.concatenate(rest))
