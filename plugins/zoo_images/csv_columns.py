"""CSV with chosen columns and one line per file, as competitions take predictions."""

from __future__ import annotations

import csv
import io
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import ZooWarning
from zoo.images import STANDARD_INPUT, shown
from zoo_images.formulas import no_formula

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.images import Prediction

FIELDS = ("file", "name", "stem", "class", "probability", "probabilities", "inverted")
"""What a column may have: the file as given, without its folder, without folder and suffix; the most likely class and
its probability; the probabilities of all classes, in a column each; and whether the image was inverted.
"""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, or one for each class.

    Args:
        title: Its name in the header; that of ``probabilities`` is not used.
        field: What it has, one of `FIELDS`.
    """

    title: str
    field: str


def parse_columns(text: str) -> tuple[Column, ...]:
    """Return the columns that a text such as ``id=stem,label=class`` describes.

    Raises:
        ValueError: A field is unknown, ``probabilities`` has a title, or two columns have the same.
    """
    columns: list[Column] = []
    for part in text.split(","):
        title, is_titled, field = part.strip().rpartition("=")
        field = field.strip()
        if field not in FIELDS:
            raise ValueError(f"{field!r} is not one of {', '.join(FIELDS)}.")
        if is_titled and field == "probabilities":
            raise ValueError("'probabilities' takes no title: its columns have the names of the classes.")
        column = Column(title=title.strip() if is_titled else field, field=field)
        if column.title in {each.title for each in columns}:
            raise ValueError(f"Two columns have the title {column.title!r}. Give each column its own title.")
        columns.append(column)
    return tuple(columns)


def as_columns_text(predictions: Sequence[Prediction], columns: Sequence[Column], class_names: Sequence[str]) -> str:
    """Return a header and one line per file, in the order of the files.

    Names of files and classes that a spreadsheet would read as a formula are prefixed, see `no_formula`.

    Args:
        predictions: Predictions with the probabilities of all classes.
        columns: The columns.
        class_names: Names of the classes, in the order of their columns.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    header: list[str] = []
    for column in columns:
        is_several = column.field == "probabilities"
        header += [no_formula(shown(name), "'") for name in class_names] if is_several else [column.title]
    writer.writerow(header)
    for each in predictions:
        row: list[str] = []
        for column in columns:
            row += _values(each, column.field, class_names)
        writer.writerow(row)
    return file.getvalue()


def warn_of_repeated(predictions: Sequence[Prediction], columns: Sequence[Column]) -> None:
    """Warn of files that have the same name in the columns as others."""
    fields = {column.field for column in columns}
    if "file" in fields or not fields & {"name", "stem"}:
        return
    field = "name" if "name" in fields else "stem"
    first: dict[str, str] = {}
    files = [each.file for each in predictions if first.setdefault(_name(each.file, field), each.file) != each.file]
    if files:
        warnings.warn(
            f"{len(files)} file{'s have' if len(files) > 1 else ' has'} the same name in the CSV as another, for "
            f"example {shown(files[0])}. Use the field file, which has the folder too.",
            ZooWarning,
            stacklevel=2,
        )


def _values(prediction: Prediction, field: str, class_names: Sequence[str]) -> list[str]:
    name, probability = prediction.classes[0]
    match field:
        case "class":
            return [no_formula(shown(name), "'")]
        case "probability":
            return [repr(probability)]
        case "probabilities":
            found = dict(prediction.classes)
            return [repr(found[name]) for name in class_names]
        case "inverted":
            return [str(prediction.inverted).lower()]
        case _:
            return [_name(prediction.file, field)]


def _name(file: str, field: str) -> str:
    if file == STANDARD_INPUT:
        return file
    if field == "file":
        return no_formula(shown(file), "./")
    name = os.path.basename(file)
    return no_formula(shown(name if field == "name" else os.path.splitext(name)[0]), "'")
