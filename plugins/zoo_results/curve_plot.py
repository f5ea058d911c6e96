"""A plot of the learning curves of multiple runs."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from zoo.utils import import_matplotlib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo import Run

_COLORS = ("#1f5fbf", "#c2410c", "#1b7f4b", "#8b3fb5", "#b8860b", "#0e7490", "#b91c5c", "#55606e")
_STYLES = ("-", "--", ":", "-.")


def draw_overlay(runs: Mapping[str, Run]) -> bytes:
    """Return a PNG of the validation loss and accuracy of runs over their epochs, with each best epoch marked.

    For a run without a validation split, the training curves are drawn.

    Args:
        runs: Runs by their names in the legend.
    """
    import_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    for axis, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for number, (name, run) in enumerate(runs.items()):
            history, best = run.record.history, run.record.best_epoch
            is_validated = any(epoch.validation for epoch in history)
            points = [
                (epoch.epoch, getattr(metrics, metric))
                for epoch in history
                if (metrics := epoch.validation if is_validated else epoch.train) is not None
            ]
            color = _COLORS[number % len(_COLORS)]
            style = _STYLES[number // len(_COLORS) % len(_STYLES)]
            label = name if is_validated else f"{name} (training)"
            if points:
                axis.plot(*zip(*points, strict=True), style, lw=1.5, color=color, label=label)
            for point in points:
                if point[0] == best:
                    axis.plot(*point, "o", ms=6, color=color)
        axis.set(xlabel="epoch", title=f"validation {metric}")
        axis.locator_params(axis="x", integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(data, format="png", dpi=100)
    return data.getvalue()
