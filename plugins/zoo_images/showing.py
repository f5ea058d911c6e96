"""Predictions as lines of text, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from zoo_images.inputs import STANDARD_INPUT
from zoo_images.names import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_images.predicting import Prediction


def as_lines(predictions: Sequence[Prediction]) -> str:
    """Return a line for each file: ``shoe.jpg  Sneaker 98.1 %, Sandal 1.2 %``."""
    names = [shown(each.file) for each in predictions]
    width = max(map(len, names), default=0)
    return "".join(
        f"{name:<{width}}  {', '.join(f'{shown(text)} {share:.1%}' for text, share in each.classes)}\n"
        for name, each in zip(names, predictions, strict=True)
    )


def as_json_text(predictions: Sequence[Prediction]) -> str:
    r"""Return an array of ``{"file", "inverted", "predictions": [{"class", "probability"}]}``.

    It is ASCII; bytes of a file's name that are no UTF-8 stand in it as Python has them, ``"\udcff"``.
    """
    rows = [
        {
            "file": each.file,
            "inverted": each.inverted,
            "predictions": [{"class": text, "probability": share} for text, share in each.classes],
        }
        for each in predictions
    ]
    return json.dumps(rows, indent=2) + "\n"


def as_csv_text(predictions: Sequence[Prediction]) -> str:
    """Return a line for each file and class: ``file,inverted,rank,class,probability``.

    Before a file's name that a spreadsheet would take for a formula stands ``./``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("file", "inverted", "rank", "class", "probability"))
    for each in predictions:
        for rank, (text, share) in enumerate(each.classes, 1):
            writer.writerow((_no_formula(shown(each.file)), str(each.inverted).lower(), rank, shown(text), repr(share)))
    return file.getvalue()


def _no_formula(name: str) -> str:
    """Return a file's name so that it begins like none; standard input's stays."""
    return f"./{name}" if name.startswith(("=", "+", "-", "@")) and name != STANDARD_INPUT else name
