"""Turns the labels of a table, texts or numbers, into classes."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import Counter
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import natural, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_CLASSES = 1 << 16
_LONGEST = 200  # characters of a class name
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.0*)?")
_PADDED = re.compile(r"-?0[0-9]+")
_MISSING = frozenset({"", "nan", "none", "null", "n/a", "na"})
_SEPARATORS = ("|", ";", ",", " ")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?")
_FEW = 0.01  # share of images with several labels below which these are taken for the names of classes
_MOST_DIFFERENT = 0.9  # share of rows; more different numbers are measurements or numbers of rows, not classes
_FEWEST_ROWS = 20  # that this is said of
_NAMED = 3  # classes named in a message


def is_missing(text: str) -> bool:
    """Return whether a cell has no label or group: it is empty, or has a word that other programs write for it."""
    return text.strip().casefold() in _MISSING


def number_classes(labels: Sequence[str], path: Path, column: str) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the classes, in order, and the class number of each label.

    Numbers are sorted as numbers (``3.0`` is ``3``), texts in natural order, without spaces around them and in NFC.
    Numbers keep the zeros before them, as in ``007``, unless the same number is also written in another way.

    Args:
        labels: The labels; none is empty.
        path: The table, for messages.
        column: The column, for messages.

    Raises:
        DataError: There are fewer than two classes, too many, or several labels per image; or nearly each image has a
            number of its own.
    """
    _warn_of_spaces(labels, path, column)
    labels = [unicodedata.normalize("NFC", label.strip()) for label in labels]
    counts = Counter(labels)
    _refuse_measurements(counts, path, column)
    if len(counts) > 1 and all(_NUMBER.fullmatch(text) for text in counts):
        named = {text: str(int(text.partition(".")[0])) for text in counts}
        if len(set(named.values())) == len(counts):
            named = {text: text if _PADDED.fullmatch(text) else number for text, number in named.items()}
        class_names = tuple(sorted(set(named.values()), key=int))
    else:
        _refuse_several(counts, path, column)
        _warn_of_case(counts, path, column)
        named = {text: text for text in counts}
        class_names = tuple(sorted(counts, key=natural))
    _check(class_names, path, column)
    numbers = {name: number for number, name in enumerate(class_names)}
    return class_names, [numbers[named[label]] for label in labels]


def _warn_of_spaces(labels: Sequence[str], path: Path, column: str) -> None:
    """Warn about labels that are read as one class although they differ in the spaces around them."""
    forms: dict[str, set[str]] = {}
    for text in set(labels):
        forms.setdefault(text.strip(), set()).add(text)
    several = sorted(text for text, found in forms.items() if len(found) > 1)
    if several:
        found = ", ".join(repr(shown(text))[:_LONGEST] for text in sorted(forms[several[0]]))
        warnings.warn(
            f"Labels in column {shown(column)} of {shown(path)} that differ only in spaces around them are read as one "
            f"class: {found}{f' (and {len(several) - 1} more)' if len(several) > 1 else ''}.",
            ZooWarning,
            stacklevel=5,
        )


def _refuse_measurements(counts: Counter[str], path: Path, column: str) -> None:
    """Raise `DataError` if nearly each row has a number of its own."""
    total = sum(counts.values())
    is_different = total >= _FEWEST_ROWS and len(counts) > _MOST_DIFFERENT * total
    if is_different and all(_DECIMAL.fullmatch(text) for text in counts):
        raise DataError(
            f"Column {shown(column)} of {shown(path)} has {len(counts)} different numbers in {total} rows, but the "
            "images of a class share one. Choose the column of classes with --set dataset.labels=COLUMN. "
            f"Received: labels={list(counts)[:_NAMED]}",
            path=path,
        )


def _refuse_several(counts: Counter[str], path: Path, column: str) -> None:
    """Raise `DataError` if many labels are lists of others: models have one label per image."""
    total = sum(counts.values())
    for separator in _SEPARATORS:
        several = [text for text in counts if separator in text.strip(separator)]
        rows = sum(counts[text] for text in several)
        tokens = {token.strip() for text in several for token in text.split(separator) if token.strip()}
        known = sum(token in counts for token in tokens)
        # words of a name, unlike labels, are rarely names themselves
        needed = len(tokens) if separator == " " else len(tokens) / 2
        if several and rows >= max(2, _FEW * total) and known >= needed:
            joined = "+".join(token.strip() for token in several[0].split(separator))
            raise DataError(
                f"Column {shown(column)} of {shown(path)} has several labels for some images, such as "
                f"'{shown(several[0]):.100}', but zoo trains models of one label per image. Pass a table of the images "
                "with one label each, or another column. If such a label is a class of its own, write it without "
                f"{separator!r}, for example '{shown(joined):.100}'. "
                f"Received: {rows} of {total} labels with {separator!r}",
                path=path,
            )


def _warn_of_case(counts: Counter[str], path: Path, column: str) -> None:
    forms: dict[str, list[str]] = {}
    for text in counts:
        forms.setdefault(" ".join(text.casefold().split()), []).append(text)
    several = [sorted(found) for found in forms.values() if len(found) > 1]
    if several:
        examples = "; ".join(" and ".join(map(repr, map(shown, found))) for found in sorted(several)[:_NAMED])
        warnings.warn(
            f"Classes in column {shown(column)} of {shown(path)} differ only in case or spaces: {examples:.300}. "
            "If they are the same, write them alike.",
            ZooWarning,
            stacklevel=5,
        )


def _check(class_names: Sequence[str], path: Path, column: str) -> None:
    fault = None
    if len(class_names) < 2:
        fault = "must have at least two different labels. Add images of other classes, or name the column of labels"
        fault += " with --set dataset.labels=COLUMN"
    elif len(class_names) > _MOST_CLASSES:
        fault = f"must have at most {_MOST_CLASSES:,} different labels. Name the column of labels with "
        fault += "--set dataset.labels=COLUMN"
    elif odd := [name for name in class_names if shown(name) != name or len(name) > _LONGEST]:
        raise DataError(
            f"Column {shown(column)} of {shown(path)}: A label must be printable text of at most {_LONGEST} "
            f"characters. Rename the class. Received: label='{shown(odd[0]):.100}'",
            path=path,
        )
    if fault:
        few = [shown(name) for name in class_names[:_NAMED]]
        raise DataError(
            f"Column {shown(column)} of {shown(path)} {fault}. Received: {len(class_names)} different, {few}",
            path=path,
        )
