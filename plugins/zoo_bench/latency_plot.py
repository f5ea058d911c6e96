"""A plot of accuracy over latency."""

from __future__ import annotations

import io
import logging
import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo_bench.records import Latency, Report

_COLORS = ("#1f5fbf", "#c2410c", "#1b7f4b", "#8b3fb5", "#b8860b", "#0e7490", "#b91c5c", "#55606e")
_DISTANCES = (7, 14, 24, 36, 50, 66)  # of a label from its point, in points of 1/72 inch
_LONGEST = 32  # characters of a label's name


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model in the plot.

    Args:
        label: Name and format.
        format: Format, which has a color.
        accuracy: Test accuracy, 0 to 1.
        latency: Latency at the first batch size.
    """

    label: str
    format: str
    accuracy: float
    latency: Latency


def points_of(report: Report) -> tuple[list[Point], list[str]]:
    """Return the models whose accuracy and latency are known, and the labels of the others."""
    points, left_out = [], []
    sizes = [result.latency[0].batch_size for result in report.results if result.latency]
    for result in report.results:
        name = result.name if len(result.name) <= _LONGEST else f"…{result.name[1 - _LONGEST :]}"
        label = f"{name}, {result.format}"
        latency = next((each for each in result.latency if each.batch_size == sizes[0]), None)
        if result.accuracy is None or latency is None:
            left_out.append(label)
        else:
            points.append(Point(label=label, format=result.format, accuracy=result.accuracy, latency=latency))
    return points, left_out


def draw(points: Sequence[Point], report: Report) -> bytes:
    """Return a PNG of accuracy over latency, with a bar from the fastest to the slowest round.

    Args:
        points: The models; at least one.
        report: The report that they are from.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # hide messages about its font cache
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    axis = figure.subplots()
    formats = list(dict.fromkeys(point.format for point in points))
    for point in points:
        rounds, color = point.latency.round_medians_ms, _COLORS[formats.index(point.format) % len(_COLORS)]
        axis.plot([min(rounds), max(rounds)], [100 * point.accuracy] * 2, "-", lw=1.5, color=color)
        axis.plot(point.latency.median_ms, 100 * point.accuracy, "o", ms=6, color=color)
    middles, shares = [point.latency.median_ms for point in points], [100 * point.accuracy for point in points]
    axis.set_xscale("log")
    axis.set_xlim(min(middles) / 2, max(middles) * 2)
    room = max(0.5, 0.25 * (max(shares) - min(shares)))
    axis.set_ylim(min(shares) - room, max(shares) + room)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    images = points[0].latency.batch_size
    threads = report.machine.threads
    axis.set(
        xlabel=f"latency of {images} image{'s' if images > 1 else ''}, ms",
        ylabel="test accuracy, %",
        title=f"{report.machine.processor or 'CPU'}, {threads} thread{'s' if threads > 1 else ''}",
    )
    axis.title.set_parse_math(False)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.draw_without_rendering()  # so that positions are known
        _label(figure, axis, points)
        figure.savefig(data, format="png", dpi=100)
    return data.getvalue()


def _label(figure: Any, axis: Any, points: Sequence[Point]) -> None:
    """Label the points, each at the nearest place where its label covers no other label and no point."""
    from matplotlib.transforms import Bbox

    renderer = figure.canvas.get_renderer()
    inside = axis.get_window_extent(renderer)
    taken = []
    for point in points:
        x, y = axis.transData.transform((point.latency.median_ms, 100 * point.accuracy))
        taken.append(Bbox.from_extents(x - 6, y - 6, x + 6, y + 6))
    for point in sorted(points, key=lambda each: each.latency.median_ms):
        where = (point.latency.median_ms, 100 * point.accuracy)
        label = axis.annotate(
            point.label, where, (0, 0), textcoords="offset points", fontsize=9, parse_math=False,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "#888888", "shrinkA": 0, "shrinkB": 4},
        )  # fmt: skip
        best = None
        for offset, horizontal, vertical in _places():
            label.set(position=offset, ha=horizontal, va=vertical)
            text = _text_box(label, renderer)
            outside = not (
                inside.x0 <= text.x0 and text.x1 <= inside.x1 and inside.y0 <= text.y0 and text.y1 <= inside.y1
            )
            cost = outside + sum(text.overlaps(each) for each in taken)
            if best is None or cost < best[0]:
                best = cost, offset, horizontal, vertical, text
            if cost == 0:
                break
        if best is not None:
            label.set(position=best[1], ha=best[2], va=best[3])
            taken.append(best[4])


def _text_box(label: Any, renderer: Any) -> Any:
    """Return the box of a label's text, without its line to the point."""
    from matplotlib.text import Text

    label.update_positions(renderer)
    return Text.get_window_extent(label, renderer).padded(2)


def _places() -> Iterator[tuple[tuple[int, int], str, str]]:
    """Iterate over the places of a label, nearest first: its offset and its alignments."""
    for distance, (right, up) in product(
        _DISTANCES, ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
    ):
        horizontal = {1: "left", 0: "center", -1: "right"}[right]
        vertical = {1: "bottom", 0: "center", -1: "top"}[up]
        yield (right * distance, up * distance), horizontal, vertical
