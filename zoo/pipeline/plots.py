"""The two pictures of a run: predictions on test images, and the curves of its history."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, ZooWarning
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from zoo.runs.records import EpochRecord

GRID = 30
"""Number of test images in the picture of predictions: the first ones, whatever became of them."""

_COLUMNS = 6
_WIDEST = 90  # characters of a line of a heading
_RIGHT, _WRONG = "#1b7f4b", "#c62828"
_TRAINING, _VALIDATION = "#8a8f98", "#1f5fbf"


def draw_predictions(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    class_names: Sequence[str],
    title: str,
) -> bytes:
    """Return a PNG: images in a grid, each with predicted class and confidence; wrong ones marked, with the truth.

    Args:
        images: ``(n, height, width, channels)`` uint8.
        labels: ``(n,)``, the true classes.
        probabilities: ``(n, num_classes)``.
        class_names: Names of the classes, in the order of the labels.
        title: Heading of the picture.
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
        truth_text = _short(class_names[truth]) if is_right else f"truly {_short(class_names[truth])}"
        axis.set_xlabel(truth_text, fontsize=8.5, color="black" if is_right else color, parse_math=False)
    return _png(figure)


def draw_curves(history: Sequence[EpochRecord], best_epoch: int | None, title: str) -> bytes:
    """Return a PNG: loss and accuracy over the epochs, training and validation, the best epoch marked."""
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
            axis.axvline(best_epoch, color=_RIGHT, linestyle="--", linewidth=1, label=f"best epoch, {best_epoch}")
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
    """Return a figure, in inches, with a heading; a long one has several lines, and makes it higher."""
    # matplotlib tells of its font cache and of missing glyphs; neither is the user's concern
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
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
    """Turn whatever goes wrong with a picture into a warning: a run is not lost for it."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, ZooError) else one_line(error)
        warnings.warn(f"There is no picture {path.name}: {reason}", ZooWarning, stacklevel=3)
