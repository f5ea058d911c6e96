"""Brings labels to numbers from 0, as people store them: one-hot, texts, numbers from 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import natural, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_CLASSES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class NumberedLabels:
    """Labels as numbers.

    Args:
        labels: ``(n,)`` integers of each part, the first of which is trained on.
        class_names: Names of the classes.
        done: What was done to the labels, as clauses of a warning.
    """

    labels: Mapping[str, NDArray[Any]]
    class_names: tuple[str, ...]
    done: tuple[str, ...] = ()


def number_labels(
    labels: Mapping[str, NDArray[Any]], class_names: tuple[str, ...] | None, titles: Mapping[str, str], path: Path
) -> NumberedLabels:
    """Return labels as numbers from 0, with the names of their classes.

    Args:
        labels: Labels of each part, the first of which is trained on. ``(n,)`` or ``(n, 1)`` integers from 0 or 1,
            whole floating-point numbers, or texts; or ``(n, k)`` with exactly one 1 in each row.
        class_names: Names of the classes; None for the texts or numbers themselves.
        titles: Names of the parts' arrays in error messages.
        path: File or folder, for errors.

    Raises:
        DataError: An image has more than one label, a label is not a number or name of a class, or there are too many.
    """
    done: list[str] = []
    flat = {
        part: each.reshape(len(each)) if each.ndim == 2 and each.shape[1] == 1 else each
        for part, each in labels.items()
    }
    first = next(iter(flat.values()))
    classes = None
    if any(each.ndim == 2 for each in flat.values()):
        classes = first.shape[1] if first.ndim == 2 else None
        flat = {part: _from_one_hot(each, titles[part], path) for part, each in flat.items()}
        done.append("one-hot labels to numbers")
    elif first.dtype.kind in "US":
        return _from_texts(flat, class_names, titles, path)
    flat = {part: _whole(each, titles[part], path) for part, each in flat.items()}
    if any(each.dtype.kind == "f" for each in labels.values()) and classes is None:
        done.append("labels to integers")
    highest = max(int(next(iter(flat.values())).max(initial=0)), (classes or 0) - 1)
    if highest >= _MOST_CLASSES:
        raise DataError(
            f"{shown(path)} has a label that is too large. Number the classes from 0, to less than {_MOST_CLASSES:,}. "
            f"Received: label={highest}",
            path=path,
        )
    start = _start(flat, highest, class_names)
    if start:
        flat = {part: each - each.dtype.type(start) for part, each in flat.items()}
        if class_names is None:
            done.append(f"labels from {start} to {highest} to labels from 0")
    elif class_names is not None and highest >= len(class_names):
        raise DataError(
            f"{shown(path)} has too few class_names for labels up to {highest}. Name every class, in the order of "
            f"the labels. Received: {len(class_names)} names",
            path=path,
        )
    names = class_names or tuple(map(str, range(start, highest + 1)))
    return NumberedLabels(labels=flat, class_names=names, done=tuple(done))


def _start(labels: Mapping[str, NDArray[Any]], highest: int, class_names: tuple[str, ...] | None) -> int:
    """Return the label of the first class: 1 if that of every image is at least 1 and no class is left out, else 0."""
    import numpy as np

    first = next(iter(labels.values()))
    is_named = class_names is not None and len(class_names) != highest
    if is_named or not all(len(each) and each.min() >= 1 for each in labels.values()):
        return 0
    return int(len(np.unique(first)) == highest)


def _from_one_hot(labels: NDArray[Any], title: str, path: Path) -> NDArray[Any]:
    """Return the position of the only 1 in each row."""
    import numpy as np

    if labels.ndim == 2 and labels.dtype.kind not in "US":
        counts = np.count_nonzero(labels, axis=1)
        if (counts == 1).all() and (labels.sum(axis=1) == 1).all():
            numbers: NDArray[Any] = labels.argmax(axis=1)
            return numbers
        received = f", {counts.min(initial=0)} to {counts.max(initial=0)} of each row not 0"
    else:
        received = ""
    raise DataError(
        f"{title} has several labels for each image, but zoo trains models that give an image one label. Save one "
        f"column, for example labels[:, 0], to train on it alone. Received: labels.shape={labels.shape}{received}",
        path=path,
    )


def _whole(labels: NDArray[Any], title: str, path: Path) -> NDArray[Any]:
    """Return labels as integers."""
    import numpy as np

    if labels.dtype.kind == "b":
        return labels.astype(np.uint8)
    if labels.dtype.kind in "iu":
        return labels
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (np.abs(labels) < _MOST_CLASSES).all():
        whole = labels.astype(np.int64)
        if (whole == labels).all():
            return whole
    raise DataError(
        f"{title} must be the numbers of the classes, from 0. Save numpy.unique(labels, return_inverse=True)[1]. "
        f"Received: labels.dtype={labels.dtype}",
        path=path,
    )


def _from_texts(
    labels: Mapping[str, NDArray[Any]], class_names: tuple[str, ...] | None, titles: Mapping[str, str], path: Path
) -> NumberedLabels:
    """Return the number of each text among the class names, by default the different texts in natural order."""
    import numpy as np

    numbered = {}
    names = class_names
    for part, each in labels.items():
        if each.dtype.kind not in "US":
            raise DataError(
                f"{titles[part]} has numbers, but the training labels are texts. Save both in the same form. "
                f"Received: labels.dtype={each.dtype}",
                path=path,
            )
        texts, which = np.unique(each, return_inverse=True)
        found = [text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text) for text in texts]
        if len(found) > _MOST_CLASSES:
            raise DataError(
                f"{titles[part]} has too many different texts. Save the names of at most {_MOST_CLASSES:,} classes. "
                f"Received: {len(found):,} different texts",
                path=path,
            )
        names = tuple(sorted(found, key=natural)) if names is None else names
        number = {name: i for i, name in enumerate(names)}
        if unknown := [text for text in found if text not in number]:
            raise DataError(
                f"{titles[part]} has labels that are not classes of the training images. Remove those images, or add "
                f"training images of these classes. Received: labels={[shown(text) for text in unknown[:5]]!r:.300}",
                path=path,
            )
        numbered[part] = np.array([number[text] for text in found], np.int64)[which.reshape(len(each))]
    return NumberedLabels(labels=numbered, class_names=names or ())
