"""Hold out validation examples from the training examples, and balance the classes of those that are left."""

from __future__ import annotations

import hashlib
import json
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
    are measured on the same images. If the split has groups, whole groups are held out, and ``count`` is approximate.

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
    held = order[:count] if not split.train_groups else _whole_groups(split.train_groups, order, count)
    is_held = np.zeros(len(split.train), np.bool_)
    is_held[held] = True
    return _divided(split, np.flatnonzero(~is_held), np.flatnonzero(is_held))


def _whole_groups(groups: Sequence[str], order: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return about ``count`` images: those of the groups that come first in an order.

    Raises:
        SettingError: There is only one group.
    """
    import numpy as np

    _, members, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise SettingError(
            "All training images are in one group, which cannot be divided, so none can be held out. Use --set "
            f"validation=0. Received: validation={count}",
            name="validation",
            value=count,
        )
    members = members.ravel()
    first = np.full(len(sizes), len(order))
    np.minimum.at(first, members[order], np.arange(len(order)))
    ranked = np.argsort(first)
    held = np.cumsum(sizes[ranked])[:-1]  # one group is left for training
    chosen = ranked[: int(abs(held - count).argmin()) + 1]
    return np.flatnonzero(np.isin(members, chosen))


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
    held = fold_indices(whole, number, count)
    return _divided(whole, np.setdiff1d(np.arange(len(whole.train)), held), held)


def fold_indices(split: Split, number: int, count: int) -> NDArray[np.intp]:
    """Return the positions of a fold's images among the training images of a split without validation images.

    Args:
        split: As `without_validation` returns it.
        number: Number of the fold, from 1.
        count: Number of folds.

    Raises:
        SettingError: There are fewer images or groups than folds.
    """
    import numpy as np

    labels = labels_of(split.train, len(split.class_names))
    return np.flatnonzero(fold_numbers(labels, split.train_groups, count) == number)


def without_validation(split: Split) -> Split:
    """Return a split whose training images include its own validation images, after the others."""
    if split.validation is None:
        return split
    has_ids = bool(split.train_ids) and bool(split.validation_ids)
    return replace(
        split,
        train=Joined(split.train, split.validation),
        validation=None,
        train_ids=split.train_ids + split.validation_ids if has_ids else (),
        validation_ids=(),
        train_groups=_joined_groups(split, len(split.train), len(split.validation)),
        validation_groups=(),
    )


def _joined_groups(split: Split, train: int, validation: int) -> tuple[str, ...]:
    """Return the groups of all images; an image of unknown group is one of its own."""
    if not split.train_groups and not split.validation_groups:
        return ()
    own = [f"{part} image {i}" for part, count in (("train", train), ("validation", validation)) for i in range(count)]
    return (split.train_groups or tuple(own[:train])) + (split.validation_groups or tuple(own[train:]))


def digest_of_split(split: Split) -> bytes:
    """Return a SHA-256 that identifies the training and validation images of a split and their order.

    It covers the digests of the dataset, the names and numbers of its images, and the names of its classes.
    """
    counts = [len(split.train), 0 if split.validation is None else len(split.validation), len(split.test)]
    ids = [list(split.train_ids), list(split.validation_ids)]
    content = [sorted(split.digests.items()), counts, ids, list(split.class_names)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).digest()


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
    filled = np.zeros((count, int(labels.max()) + 1), np.int64)
    if not groups:
        return _dealt(labels, order, filled)
    members = members.ravel()
    numbers = np.zeros(len(labels), np.intp)
    is_alone = np.bincount(members)[members] == 1
    numbers[~is_alone] = _placed(labels[~is_alone], members[~is_alone], order, filled)
    alone = np.flatnonzero(is_alone)
    numbers[alone] = _dealt(labels[alone], np.random.default_rng(_SEED).permutation(len(alone)), filled)
    return numbers


def _dealt(labels: NDArray[np.integer[Any]], order: NDArray[np.intp], filled: NDArray[np.int64]) -> NDArray[np.intp]:
    """Deal out single images class by class, in an order: each to the fold with the fewest of its class.

    Args:
        labels: ``(n,)``.
        order: ``(n,)``, positions of the images.
        filled: ``(folds, classes)``, the numbers of images that the folds have; updated.
    """
    import numpy as np

    numbers, sizes = np.empty(len(labels), np.intp), filled.sum(axis=1)
    for label in range(filled.shape[1]):
        members = order[labels[order] == label]
        # the folds in the order in which they are the emptiest, as often as there are images
        levels = [np.arange(have, have + len(members)) for have in filled[:, label]]
        folds = np.repeat(np.arange(len(filled)), len(members))
        turns = np.lexsort((folds, sizes[folds], np.concatenate(levels)))[: len(members)]
        numbers[members] = folds[turns] + 1
        added = np.bincount(folds[turns], minlength=len(filled))
        filled[:, label] += added
        sizes += added
    return numbers


def _placed(
    labels: NDArray[np.integer[Any]], members: NDArray[np.intp], order: NDArray[np.intp], filled: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Place groups of several images, the largest first, each where the shares of its classes are the smallest."""
    import numpy as np

    share = 1 / np.maximum(np.bincount(labels, minlength=filled.shape[1]), 1)  # a rare class counts as a frequent one
    numbers, rank = np.empty(len(labels), np.intp), np.argsort(order)
    groups, sizes = np.unique(members, return_counts=True)
    starts = np.searchsorted(members[by_group := np.argsort(members, kind="stable")], groups)
    for i in np.lexsort((rank[groups], -sizes)):
        images = by_group[starts[i] : starts[i] + sizes[i]]
        classes, counts = np.unique(labels[images], return_counts=True)
        cost = (filled[:, classes] * share[classes] ** 2) @ counts
        best = int(np.lexsort((filled.sum(axis=1), cost))[0])
        filled[best, classes] += counts
        numbers[images] = best + 1
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
        validation_groups=tuple(groups[i] for i in validation) if groups else (),
    )
