"""Predictions as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from zoo.images import STANDARD_INPUT, shown
from zoo_images.formulas import no_formula

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.images import Prediction


def as_lines(predictions: Sequence[Prediction]) -> str:
    """Return one line per file: ``shoe.jpg  Sneaker 98.1 %, Sandal 1.2 %``."""
    names = [shown(each.file) for each in predictions]
    width = max(map(len, names), default=0)
    return "".join(
        f"{name:<{width}}  {', '.join(f'{shown(text)} {share:.1%}' for text, share in each.classes)}\n"
        for name, each in zip(names, predictions, strict=True)
    )


def as_json_text(predictions: Sequence[Prediction]) -> str:
    r"""Return an array of ``{"file", "inverted", "uneven_background", "predictions": [{"class", "probability"}]}``.

    The text is ASCII. Bytes of a file name that are not UTF-8 are written as Python escapes them: ``"\udcff"``.
    """
    rows = [
        {
            "file": each.file,
            "inverted": each.inverted,
            "uneven_background": each.has_uneven_background,
            "predictions": [{"class": text, "probability": share} for text, share in each.classes],
        }
        for each in predictions
    ]
    return json.dumps(rows, indent=2) + "\n"


def as_csv_text(predictions: Sequence[Prediction]) -> str:
    """Return one line per file and class: ``file,inverted,rank,class,probability``.

    A file name that a spreadsheet would read as a formula is prefixed with ``./``, and such a class with an apostrophe.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("file", "inverted", "rank", "class", "probability"))
    for each in predictions:
        for rank, (text, share) in enumerate(each.classes, 1):
            name = each.file if each.file == STANDARD_INPUT else no_formula(shown(each.file), "./")
            row = (name, str(each.inverted).lower(), rank, no_formula(shown(text), "'"), repr(share))
            writer.writerow(row)
    return file.getvalue()
