"""Cuts test and validation images so that no group, such as the images of one patient, is divided."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

from zoo import DataError
from zoo.data import first_joined
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.copies import first_copies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_NAMED = 3  # groups named in a message
_NEVER = float("inf")


def connect(groups: Sequence[str], ranks: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Return ``(n,)``: for each image, the first one that groups and copies join it with, directly or through others.

    Args:
        groups: Group of each image.
        ranks: ``(n,)``, the same for copies.
    """
    firsts = (first_copies(groups), first_copies(ranks.tolist()))
    return first_joined(len(groups), itertools.chain.from_iterable(enumerate(each.tolist()) for each in firsts))


def joint_groups(
    contents: Sequence[bytes], groups: Sequence[str], parts: Mapping[str, NDArray[np.intp]]
) -> dict[str, Any]:
    """Return ``train_groups`` and ``validation_groups`` of a `zoo.Split`, in which copies of an image are in one group.

    Args:
        contents: Digest of each image.
        groups: Group of each image; empty if there are none.
        parts: Positions of the images of each split.
    """
    if not groups and len(set(contents)) == len(contents):
        return {}
    first = first_copies(contents)
    if groups:
        first = connect(groups, first)
    names = groups or [f"image {i}" for i in range(len(contents))]
    return {
        f"{part}_groups": tuple(names[first[i]] for i in parts[part])
        for part in ("train", "validation")
        if part in parts
    }


def check_enough_groups(
    labels: NDArray[np.integer[Any]], groups: NDArray[np.intp], class_names: Sequence[str], parts: Sequence[str]
) -> None:
    """Check that each class has a group for each split that is made, and one left for training.

    Args:
        labels: ``(n,)``, from 0.
        groups: ``(n,)``, number of the group of each image.
        class_names: Names of the classes.
        parts: Splits that are made: ``"test"``, ``"validation"``.

    Raises:
        DataError: A class is in too few groups.
    """
    import numpy as np

    needed = 1 + len(parts)
    for label, name in enumerate(class_names):
        count = len(np.unique(groups[labels == label]))
        if count < needed:
            raise DataError(
                f"Class {name!r} is in too few groups: it needs {needed}, one for training and one each for "
                f"{' and '.join(parts)}, because no group is divided. Add images of other groups, or choose the splits "
                f"yourself in a column split. Received: {count} group{'' if count == 1 else 's'}"
            )


def split_off_groups(
    labels: NDArray[np.integer[Any]],
    ranks: NDArray[np.uint64],
    groups: NDArray[np.intp],
    class_names: Sequence[str],
    share: float,
    part: str,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the images in a split, and those of the rest, both in order.

    Groups are tried in the order of their lowest ranks. One is taken if that brings the numbers of images of its
    classes closer to their shares, as squared differences relative to the class.

    Args:
        labels: ``(n,)``, from 0.
        ranks: ``(n,)``.
        groups: ``(n,)``, number of the group of each image.
        class_names: Names of the classes, for error messages.
        share: Share of each class that goes into the split, as far as groups allow: at least one image.
        part: Name of the split, for error messages.

    Raises:
        DataError: The groups of a class cannot be divided between the split and the rest.
    """
    import numpy as np

    cut = _Cut(labels, groups, np.argsort(ranks, kind="stable"), share)
    for group in cut.counts:
        if cut.cost(group) < 0:
            cut.take(group)
    for label, name in enumerate(class_names):
        if not cut.taken[label]:
            best = min((each for each in cut.counts if label in cut.counts[each]), key=cut.cost, default=None)
            if best is None or cut.cost(best) == _NEVER:
                raise DataError(
                    f"No {part} images of class {name!r} can be split off without dividing a group. Choose the splits "
                    "yourself in a column split, or add images of other groups. "
                    f"Received: {cut.totals[label]} images in "
                    f"{sum(label in each for each in cut.counts.values())} groups"
                )
            cut.take(best)
    is_chosen = np.isin(groups, list(cut.chosen))
    return np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)


class _Cut:
    """Which groups are taken so far.

    Args:
        labels: ``(n,)``, from 0.
        groups: ``(n,)``, number of the group of each image.
        order: ``(n,)``, indices of the images, in the order in which groups are tried.
        share: Share of each class to take.
    """

    def __init__(
        self, labels: NDArray[np.integer[Any]], groups: NDArray[np.intp], order: NDArray[np.intp], share: float
    ) -> None:
        """Count the images of each class in each group."""
        import numpy as np

        self.totals: list[int] = np.bincount(labels).tolist()
        self.taken = [0] * len(self.totals)
        self.chosen: set[int] = set()
        self.counts: dict[int, dict[int, int]] = {}
        self._share = share
        for group, label in zip(groups[order].tolist(), labels[order].tolist(), strict=True):
            of_group = self.counts.setdefault(group, {})
            of_group[label] = of_group.get(label, 0) + 1

    def cost(self, group: int) -> float:
        """Return how much farther from their shares the classes are with this group; infinity if it is needed."""
        of_group = self.counts[group].items()
        if group in self.chosen or any(self.taken[label] + count >= self.totals[label] for label, count in of_group):
            return _NEVER
        return sum(
            count * (count + 2 * (self.taken[label] - self._share * self.totals[label])) / self.totals[label] ** 2
            for label, count in of_group
        )

    def take(self, group: int) -> None:
        """Take a group."""
        self.chosen.add(group)
        for label, count in self.counts[group].items():
            self.taken[label] += count


def warn_of_divided_groups(groups: Sequence[str], parts: Mapping[str, NDArray[np.intp]], source: str) -> None:
    """Warn about groups with images in more than one of the given splits.

    Args:
        groups: Group of each image.
        parts: Indices of the splits.
        source: What the splits come from, for the message.
    """
    found: dict[str, list[str]] = {}
    for part, indices in parts.items():
        for group in {groups[i] for i in indices}:
            found.setdefault(group, []).append(part)
    divided = sorted(group for group, several in found.items() if len(several) > 1)
    if not divided:
        return
    count = len(divided)
    examples = ", ".join(f"{shown(group)!r:.60} ({' and '.join(found[group])})" for group in divided[:_NAMED])
    warnings.warn(
        f"{count} group{'s are' if count > 1 else ' is'} in more than one split of {source}, for example {examples}. "
        "Keep each group in one split: otherwise, metrics look better than they are.",
        ZooWarning,
        stacklevel=5,
    )
