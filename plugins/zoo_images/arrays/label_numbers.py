"""Brings labels to numbers from 0, as people store them: one-hot, texts, numbers from 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import natural, shown
from zoo_images.arrays.class_names import cleaned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_MOST_CLASSES = 1 << 16
_MISSING = frozenset({"", "nan", "NaN", "None", "<NA>"})  # what NumPy and pandas make of a missing text


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
        DataError: An image has no label or more than one, a label is not a number or name of a class, or there are too
            many classes or only one.
    """
    flat = {
        part: each.reshape(len(each)) if each.ndim == 2 and each.shape[1] == 1 else each
        for part, each in labels.items()
    }
    first, *_ = flat
    is_text = flat[first].dtype.kind in "US"
    for part, each in flat.items():
        _check_form(each, titles[part], path, is_text=is_text)
    numbered = (_from_texts if is_text else _from_numbers)(flat, class_names, titles, path)
    if len(numbered.class_names) < 2:
        raise DataError(
            f"{titles[first]} has labels of one class only, but a model needs at least two. Add images of other "
            f"classes. Received: class_names={[shown(name) for name in numbered.class_names]}",
            path=path,
        )
    return numbered


def _check_form(labels: NDArray[Any], title: str, path: Path, *, is_text: bool) -> None:
    """Raise `DataError` unless there is one label for each image, and it is a text if the training labels are."""
    import numpy as np

    if labels.ndim == 2 and labels.dtype.kind in "US":
        raise _several_labels(labels, title, path)
    if (labels.dtype.kind in "US") != is_text:
        kinds = ("numbers", "texts") if is_text else ("texts", "numbers")
        raise DataError(
            f"{title} has {kinds[0]}, but the training labels are {kinds[1]}. Save both in the same form. "
            f"Received: labels.dtype={labels.dtype}",
            path=path,
        )
    if labels.dtype.kind == "f":
        _check_none_missing(np.isnan(labels).reshape(len(labels), -1).any(axis=1), "NaN", title, path)


def _check_none_missing(missing: NDArray[np.bool_], label: str, title: str, path: Path, cure: str = "") -> None:
    """Raise `DataError` if an image has no label.

    Args:
        missing: ``(n,)``, whether the image has none.
        label: What is in its place.
        title: Name of the array.
        path: Its file.
        cure: What else can be done.
    """
    import numpy as np

    if missing.any():
        raise DataError(
            f"{title} has no label for {np.count_nonzero(missing):,} of {len(missing):,} images. Add labels, or remove "
            f"these images. {cure}Received: label={label} of image {missing.argmax()}, counted from 0",
            path=path,
        )


def _from_numbers(
    labels: Mapping[str, NDArray[Any]], class_names: tuple[str, ...] | None, titles: Mapping[str, str], path: Path
) -> NumberedLabels:
    """Return whole numbers from 0 or 1, or the positions of the ones in one-hot labels, as numbers from 0."""
    done: list[str] = []
    first = next(iter(labels.values()))
    is_one_hot = {each.ndim == 2 for each in labels.values()}
    if True in is_one_hot:
        done.append("one-hot labels to numbers")
    if any(each.ndim == 1 and each.dtype.kind == "f" for each in labels.values()):
        done.append("labels to integers")
    flat = {
        part: (_from_one_hot if each.ndim == 2 else _whole)(each, titles[part], path) for part, each in labels.items()
    }
    highest = max(int(next(iter(flat.values())).max(initial=0)), first.shape[1] - 1 if first.ndim == 2 else 0)
    if highest >= _MOST_CLASSES:
        raise DataError(
            f"{shown(path)} has a label that is too large. Number the classes from 0, to less than {_MOST_CLASSES:,}. "
            f"Received: label={highest}",
            path=path,
        )
    start = 0 if len(is_one_hot) > 1 else _start(flat, highest, class_names)  # positions of ones are from 0
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

    counts = np.count_nonzero(labels, axis=1)
    if (counts <= 1).all() and (labels.sum(axis=1) == counts).all():
        _check_none_missing(counts == 0, "a row of zeros", title, path)
        numbers: NDArray[Any] = labels.argmax(axis=1)
        return numbers
    received = f", {counts.min(initial=0)} to {counts.max(initial=0)} of each row not 0"
    raise _several_labels(labels, title, path, received)


def _several_labels(labels: NDArray[Any], title: str, path: Path, received: str = "") -> DataError:
    return DataError(
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
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int64)
    odd = (whole != labels) | (np.abs(labels) >= _MOST_CLASSES)
    if odd.any():
        raise DataError(
            f"{title} must be the numbers of the classes, from 0 to less than {_MOST_CLASSES:,}. "
            "Save numpy.unique(labels, return_inverse=True)[1]. "
            f"Received: labels.dtype={labels.dtype}, label={labels[odd.argmax()]:g}",
            path=path,
        )
    return whole


def _from_texts(
    labels: Mapping[str, NDArray[Any]], class_names: tuple[str, ...] | None, titles: Mapping[str, str], path: Path
) -> NumberedLabels:
    """Return the number of each text among the class names, by default the different texts in natural order."""
    import numpy as np

    numbered = {}
    names = class_names
    forms: set[str] = set()  # of all labels as they are stored
    classes: set[str] = set()
    for part, each in labels.items():
        stored, which = np.unique(each, return_inverse=True)
        decoded = [
            text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text) for text in stored
        ]
        texts = [cleaned(text) for text in decoded]
        _check_texts(texts, which.reshape(len(each)), class_names or (), titles[part], path)
        found = set(texts)
        forms.update(decoded)
        classes |= found
        names = tuple(sorted(found, key=natural)) if names is None else names
        number = {name: i for i, name in enumerate(names)}
        if unknown := sorted(found - set(number), key=natural):
            received = f"Received: labels={[shown(text) for text in unknown[:5]]!r:.300}"
            if class_names is not None:
                raise DataError(
                    f"{titles[part]} has labels that are not in class_names. Name every class. {received}", path=path
                )
            raise DataError(
                f"{titles[part]} has labels that are not classes of the training images. Remove those images, or add "
                f"training images of these classes. {received}",
                path=path,
            )
        numbered[part] = np.array([number[text] for text in texts], np.int64)[which.reshape(len(each))]
    done = ("labels that differ only in spaces or in Unicode's form to one class",)
    return NumberedLabels(labels=numbered, class_names=names or (), done=done if len(forms) > len(classes) else ())


def _check_texts(
    texts: list[str], which: NDArray[np.intp], class_names: tuple[str, ...], title: str, path: Path
) -> None:
    """Raise `DataError` unless different texts are names of classes.

    Args:
        texts: The texts.
        which: ``(n,)``, which of them the label of each image is.
        class_names: Texts that are classes, even if they are words for missing labels.
        title: Name of the array.
        path: Its file.
    """
    import numpy as np

    if len(texts) > _MOST_CLASSES:
        raise DataError(
            f"{title} has too many different texts. Save the names of at most {_MOST_CLASSES:,} classes. "
            f"Received: {len(texts):,} different texts",
            path=path,
        )
    if missing := [i for i, text in enumerate(texts) if text in _MISSING and text not in class_names]:
        cure = "nan, NaN, None and <NA> are no labels: rename a class with such a name, or add class_names. "
        _check_none_missing(np.isin(which, missing), f"'{texts[missing[0]]}'", title, path, cure)
    if odd := [text for text in texts if shown(text) != text]:
        raise DataError(
            f"{title} has a label that is not printable text. Rename the class. Received: label='{shown(odd[0]):.100}'",
            path=path,
        )
