"""What is checked of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo import parts, plan
from zoo.examples import ArrayExamples
from zoo.testing.common import LIMIT, Subject, require

if TYPE_CHECKING:
    from zoo.interfaces import Examples, Split


def _load(subject: Subject) -> Split:
    return parts.load_split(plan.default_part(subject.registered), subject.data_dir)


def gives(subject: Subject) -> None:
    """Ask for images, labels and class names as they must be, in the order that is asked for."""
    import numpy as np

    split = _load(subject)
    names = split.class_names
    require(
        isinstance(names, tuple) and len(names) > 1 and all(isinstance(name, str) and name for name in names),
        f"{subject.title}: class_names must be a tuple of two texts or more. Received: {names!r:.200}",
    )
    require(len(set(names)) == len(names), f"{subject.title}: two classes have one name. Received: {names!r:.200}")
    shapes = set()
    for part in ("train", "validation", "test"):
        examples: Examples | None = getattr(split, part)
        if examples is None:
            continue
        require(len(examples) > 0, f"{subject.title}: {part} has no examples.")
        images, labels = examples[np.arange(min(len(examples), LIMIT))]
        ArrayExamples(images, labels)  # checks shapes and types
        shapes.add(images.shape[1:])
        require(
            labels.min() >= 0 and labels.max() < len(names),
            f"{subject.title}: labels of {part} must be from 0 to {len(names) - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}",
        )
    require(len(shapes) == 1, f"{subject.title}: its parts have images of several sizes. Received: {sorted(shapes)}")
    first = split.train[np.arange(2)][0]
    swapped = split.train[np.array([1, 0])][0]
    require(
        (first == swapped[::-1]).all(),
        f"{subject.title}: examples asked for in another order do not come in that order: return them as the "
        "indices say.",
    )


def gives_the_same(subject: Subject) -> None:
    """Ask for the same when it is loaded twice."""
    import numpy as np

    first, again = (_load(subject) for _ in range(2))
    for part in ("train", "validation", "test"):
        pair = [getattr(split, part) for split in (first, again)]
        if pair[0] is None:
            continue
        indices = np.arange(min(len(pair[0]), LIMIT))
        same = len(pair[0]) == len(pair[1]) and all(
            (one == other).all() for one, other in zip(pair[0][indices], pair[1][indices], strict=True)
        )
        require(
            same,
            f"{subject.title}: loaded twice, {part} differs: sort what the file system lists, and seed what is random.",
        )
