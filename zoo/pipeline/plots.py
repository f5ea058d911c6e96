"""The two plots of a run: predictions for test images, and the curves of its history."""

from __future__ import annotations

import contextlib
import io
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, ZooWarning
from zoo.utils.matplotlib_import import import_matplotlib
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from zoo.runs.records import EpochRecord

GRID = 30
"""Number of test images in the plot of predictions: the first ones, right or wrong."""

_COLUMNS = 6
_WIDEST = 90  # maximum length of a line of the title, in characters
_RIGHT, _WRONG = "#1b7f4b", "#c62828"
_TRAINING, _VALIDATION = "#8a8f98", "#1f5fbf"


def draw_predictions(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    class_names: Sequence[str],
    title: str,
) -> bytes:
    """Return a PNG of images in a grid, with predicted class, confidence and true class; wrong ones are marked.

    Args:
        images: ``(n, height, width, channels)`` uint8.
        labels: ``(n,)``, the true classes.
        probabilities: ``(n, num_classes)``.
        class_names: Names of the classes, in the order of the labels.
        title: Title of the plot.
    """
    figure = _figure(9.6, 0.6 + 1.75 * math.ceil(len(images) / _COLUMNS), title)
    axes = list(figure.subplots(math.ceil(len(images) / _COLUMNS), _COLUMNS, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for axis, image, truth, predicted in zip(axes, images, labels, probabilities, strict=False):
        axis.set_axis_on()
        axis.set_xticks([])
        axis.set_yticks([])
        axis.imshow(image if image.shape[-1] in (3, 4) else image.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
        guess = int(predicted.argmax())
        is_right = guess == truth
        color = _RIGHT if is_right else _WRONG
        for spine in axis.spines.values():
            spine.set(color=color, linewidth=1 if is_right else 3)
        text = f"{'' if is_right else '✗ '}{_short(class_names[guess])} {predicted[guess]:.0%}"
        axis.set_title(text, fontsize=8.5, color=color, fontweight="normal" if is_right else "bold", parse_math=False)
        truth_text = _short(class_names[truth]) if is_right else f"true: {_short(class_names[truth])}"
        axis.set_xlabel(truth_text, fontsize=8.5, color="black" if is_right else color, parse_math=False)
    return _png(figure)


def draw_curves(history: Sequence[EpochRecord], best_epoch: int | None, title: str) -> bytes:
    """Return a PNG of training and validation loss and accuracy over the epochs, with the best epoch marked."""
    figure = _figure(9.6, 4.0, title)
    epochs = [record.epoch for record in history]
    for axis, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axis.plot(
            epochs, [getattr(record.train, name) for record in history], "o-", ms=3, color=_TRAINING, label="training"
        )
        validated = [(record.epoch, getattr(record.validation, name)) for record in history if record.validation]
        if validated:
            axis.plot(*zip(*validated, strict=True), "o-", ms=3, color=_VALIDATION, label="validation")
        if best_epoch is not None:
            axis.axvline(best_epoch, color=_RIGHT, linestyle="--", linewidth=1, label=f"best epoch: {best_epoch}")
        axis.set(xlabel="epoch", title=name)
        axis.locator_params(axis="x", integer=True)
        if len(epochs) == 1:
            axis.set_xlim(epochs[0] - 1, epochs[0] + 1)
            axis.set_xticks(epochs)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=9)
    return _png(figure)


def _figure(width: float, height: float, title: str) -> Figure:
    """Return a figure, sized in inches, with a title. A long title is wrapped and makes the figure taller."""
    import_matplotlib()
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, _WIDEST)
    figure = Figure(figsize=(width, height + 0.25 * (len(lines) - 1)), layout="constrained")
    figure.suptitle("\n".join(lines), fontsize=12, parse_math=False)
    return figure


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(data, format="png", dpi=100)
    return data.getvalue()


def _short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@contextlib.contextmanager
def optional_picture(path: Path) -> Iterator[None]:
    """Turn any error in drawing or writing a plot into a warning, so that the run continues."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, ZooError) else one_line(error)
        warnings.warn(f"The picture {path.name} was not written: {reason}", ZooWarning, stacklevel=3)
