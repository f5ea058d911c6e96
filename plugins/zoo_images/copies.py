"""Copies of an image: which images are, and whether they are in more than one class or split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray


def first_copies(contents: Iterable[Hashable]) -> NDArray[np.intp]:
    """Return ``(n,)``: for each image, the position of the first one with the same content, as digests or ranks say."""
    import numpy as np

    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(content, i) for i, content in enumerate(contents)], np.intp)


class Conflict(NamedTuple):
    """Copies of images that should not be where they are.

    Args:
        where: What they are in more than one of: ``"class"`` or ``"split"``.
        images: Number of different images.
        one: Position of an image, as an example.
        other: Position of a copy of it in another class or split.
        cure: What to do about them, for messages.
    """

    where: str
    images: int
    one: int
    other: int
    cure: str


def find_conflicts(first: NDArray[np.intp], labels: NDArray[Any], part_of: NDArray[Any]) -> Iterator[Conflict]:
    """Find images with copies in more than one class, and in more than one split.

    Only one label can be right, and a model must not be trained on test or validation images.

    Args:
        first: ``(n,)``, as of `first_copies`.
        labels: ``(n,)``.
        part_of: ``(n,)``, number of the split of each image.
    """
    import numpy as np

    for numbers, where, cure in (
        (labels, "class", "Keep only the copies with the right label"),
        (part_of, "split", "Keep one copy of each: otherwise, metrics look better than they are"),
    ):
        others = np.flatnonzero(numbers != numbers[first])
        if len(others):
            other = int(others[0])
            yield Conflict(where, len(np.unique(first[others])), int(first[other]), other, cure)
