"""Hold out validation examples from the training examples, and balance the classes of those that are left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.data.examples import Joined, Subset, labels_of
from zoo.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Split

_SEED = 0
"""Seed of every selection: it does not depend on the run's, so that the metrics of runs are on the same images."""


def cut_validation(split: Split, count: int) -> Split:
    """Return a split with validation examples: its own, or ``count`` held-out training examples.

    The selection is random but fixed: it does not depend on the run's seed, so the validation metrics of different runs
    are measured on the same images.

    Raises:
        SettingError: No training examples would be left.
    """
    import numpy as np

    if split.validation is not None or count == 0:
        return split
    if count >= len(split.train):
        raise SettingError(
            f"Setting 'validation' leaves none of the {len(split.train)} training images to train on. Choose a smaller "
            f"number with --set validation=N, or 0 for none. Received: validation={count}",
            name="validation",
            value=count,
        )
    order = np.random.default_rng(_SEED).permutation(len(split.train))
    return _divided(split, np.sort(order[count:]), np.sort(order[:count]))


def cut_fold(split: Split, number: int, count: int) -> Split:
    """Return a split that validates on one of several folds of its images, and trains on the others.

    The folds are those of `fold_numbers`, of the training images together with the split's own validation images, if
    there are any. Test images are in no fold.

    Args:
        split: The split.
        number: Number of the fold to validate on, from 1.
        count: Number of folds.

    Raises:
        SettingError: There are fewer images or groups than folds.
    """
    import numpy as np

    whole = without_validation(split)
    folds = fold_numbers(labels_of(whole.train, len(split.class_names)), whole.train_groups, count)
    return _divided(whole, np.flatnonzero(folds != number), np.flatnonzero(folds == number))


def without_validation(split: Split) -> Split:
    """Return a split whose training images include its own validation images, after the others."""
    if split.validation is None:
        return split
    has_ids = bool(split.train_ids) and bool(split.validation_ids)
    own = tuple(f"validation image {i}" for i in range(len(split.validation)))  # each is a group of its own
    return replace(
        split,
        train=Joined(split.train, split.validation),
        validation=None,
        train_ids=split.train_ids + split.validation_ids if has_ids else (),
        validation_ids=(),
        train_groups=split.train_groups + own if split.train_groups else (),
    )


def fold_numbers(labels: NDArray[np.integer[Any]], groups: Sequence[str], count: int) -> NDArray[np.intp]:
    """Return the number of each image's fold, from 1.

    Each fold has as equal a share of each class as possible. All images of a group are in one fold: the largest groups
    are placed first, each where it makes the numbers of images of its classes most even.

    Args:
        labels: ``(n,)``, integers from 0.
        groups: What each image belongs to; empty if each image is on its own.
        count: Number of folds.

    Raises:
        SettingError: There are fewer images or groups than folds.
    """
    import numpy as np

    names, members = np.unique(np.array(groups), return_inverse=True) if groups else (labels, np.arange(len(labels)))
    if len(names) < count:
        raise SettingError(
            f"There are fewer {'groups of images' if groups else 'images'} than folds. Use at most {len(names)} folds. "
            f"Received: folds={count}",
            name="fold",
            value=count,
        )
    order = np.random.default_rng(_SEED).permutation(len(names))
    if not groups:
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each dealt out in turn
        dealt = np.empty(len(labels), np.intp)
        dealt[order] = np.arange(len(labels)) % count + 1
        return dealt
    table = np.zeros((len(names), int(labels.max()) + 1))
    np.add.at(table, (members, labels), 1)
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    filled, found = np.zeros((count, table.shape[1])), np.empty(len(names), np.intp)
    share = 1 / np.maximum(table.sum(axis=0), 1)  # a rare class weighs as much as a frequent one
    for group in order:
        # the sum of squares of the shares grows least where the group's classes are rarest; then the smallest fold
        cost = (filled * share**2) @ table[group]
        best = int(np.lexsort((filled.sum(axis=1), cost))[0])
        filled[best] += table[group]
        found[group] = best + 1
    numbers: NDArray[np.intp] = found[members.ravel()]
    return numbers


def balanced(split: Split) -> Split:
    """Return a split that has the training images of each class as often as those of the largest class.

    Images of smaller classes are repeated, each as often as the others up to one. A split that does not ask for it
    (``sampling="balanced"``) is returned unchanged.
    """
    import numpy as np

    if split.sampling != "balanced":
        return split
    labels = labels_of(split.train, len(split.class_names))
    most = int(np.bincount(labels).max())
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    indices = np.sort(np.concatenate([np.resize(each, most) for each in members]))
    return replace(
        split,
        train=Subset(split.train, indices),
        train_ids=tuple(split.train_ids[i] for i in indices) if split.train_ids else (),
        train_groups=tuple(split.train_groups[i] for i in indices) if split.train_groups else (),
    )


def _divided(split: Split, train: NDArray[np.intp], validation: NDArray[np.intp]) -> Split:
    """Return a split whose training and validation examples are these training examples of another."""
    ids, groups = split.train_ids, split.train_groups
    return replace(
        split,
        train=Subset(split.train, train),
        validation=Subset(split.train, validation),
        train_ids=tuple(ids[i] for i in train) if ids else (),
        validation_ids=tuple(ids[i] for i in validation) if ids else (),
        train_groups=tuple(groups[i] for i in train) if groups else (),
    )
