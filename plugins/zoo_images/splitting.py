"""Cuts test and validation images from labeled images: a share of each class, the same images every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from zoo import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

Share = Annotated[float, Meta(ge=0, lt=1)]
PositiveShare = Annotated[float, Meta(gt=0, lt=1)]
Sampling = Literal["natural", "balanced"]


def check_enough_images(
    labels: NDArray[np.integer[Any]], ranks: NDArray[np.uint64], class_names: Sequence[str], parts: Sequence[str]
) -> None:
    """Check that each class has a different image for each split that is made, and one left for training.

    Where images have groups, `zoo_images.grouping.check_enough_groups` checks this of groups.

    Args:
        labels: As for `split_off`.
        ranks: As for `split_off`.
        class_names: As for `split_off`.
        parts: Splits that are made: ``"test"``, ``"validation"``.

    Raises:
        DataError: A class has too few different images.
    """
    import numpy as np

    different = [len(np.unique(ranks[labels == label])) for label in range(len(class_names))]
    needed = 1 + len(parts)
    few = [(name, count) for name, count in zip(class_names, different, strict=True) if count < needed]
    if not few or not parts:
        return
    (name, count), others = few[0], len(few) - 1
    more = f" (and {others} more)" if others else ""
    cure = ", or hold out none for validation with --set dataset.validation_share=0 --set validation=0"
    cure = cure if "validation" in parts and min(count for _, count in few) >= needed - 1 else ""
    raise DataError(
        f"Class {name!r}{more} has too few images: each class needs {needed} different images, one for training and "
        f"one each for {' and '.join(parts)}. Add images{cure}. "
        f"Received: {count} different image{'' if count == 1 else 's'}"
    )


def split_off(
    labels: NDArray[np.integer[Any]],
    ranks: NDArray[np.uint64],
    class_names: Sequence[str],
    share: float,
    part: str,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the images in a split, and those of the rest, both in order.

    Args:
        labels: ``(n,)``, from 0.
        ranks: ``(n,)``; the images of each class with the lowest ranks are split off first. Images with the same rank
            are copies and stay together, because a model must not be trained on test images.
        class_names: Names of the classes, for error messages.
        share: Share of each class that goes into the split: rounded, but at least one image. 0 makes an empty split.
        part: Name of the split, for error messages.

    Raises:
        DataError: No image of a class would be left.
    """
    import numpy as np

    chosen, rest = [], []
    for label, name in enumerate(class_names):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(ranks[members], kind="stable")]
        count = max(1, round(share * len(members))) if share else 0
        if share:
            ends = np.flatnonzero(np.diff(ranks[members])) + 1  # copies stay together
            if count >= len(members) or not len(ends):
                raise DataError(
                    f"A {part} share of {share:g} leaves no training image of class {name!r}. Use a smaller share, or "
                    f"add images. Received: {len(members)} images before the split, "
                    f"{len(np.unique(ranks[members]))} of them different"
                )
            count = int(ends[np.abs(ends - count).argmin()])
        chosen.append(members[:count])
        rest.append(members[count:])
    return np.sort(np.concatenate(chosen)), np.sort(np.concatenate(rest))
