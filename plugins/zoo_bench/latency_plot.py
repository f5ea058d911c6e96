"""A plot of accuracy over latency."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from zoo.utils import import_matplotlib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    axis = figure.subplots()
    formats = list(dict.fromkeys(point.format for point in points))
    colors = {each: _COLORS[number % len(_COLORS)] for number, each in enumerate(formats)}
    for point in points:
        rounds, color = point.latency.round_medians_ms, colors[point.format]
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
        _label(canvas.get_renderer(), axis, points, colors)
        figure.savefig(data, format="png", dpi=100)
    return data.getvalue()


def _label(renderer: Any, axis: Any, points: Sequence[Point], colors: Mapping[str, str]) -> None:
    """Label the points, each at the nearest place where its label and its line cover no other label and no point."""
    from matplotlib.path import Path
    from matplotlib.transforms import Bbox

    inside = axis.get_window_extent(renderer)
    marks: list[Any] = []
    labels: list[Any] = []
    for point in points:
        rounds = point.latency.round_medians_ms
        (left, y), (right, _) = (
            axis.transData.transform((ms, 100 * point.accuracy)) for ms in (min(rounds), max(rounds))
        )
        marks.append(Bbox.from_extents(left - 6, y - 6, right + 6, y + 6))
    for point in sorted(points, key=lambda each: each.latency.median_ms):
        where = (point.latency.median_ms, 100 * point.accuracy)
        at = axis.transData.transform(where)
        label = axis.annotate(
            point.label,
            where,
            (0, 0),
            textcoords="offset points",
            fontsize=9,
            color=colors[point.format],
            parse_math=False,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "#888888", "shrinkA": 0, "shrinkB": 4},
        )
        costs: list[tuple[int, int, tuple[tuple[int, int], str, str], Any]] = []
        for place in _places():
            label.set(position=place[0], ha=place[1], va=place[2])
            box = _text_box(label, renderer)
            line = Path([at, label.get_transform().transform(place[0])])
            is_inside = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
            covered = 3 * sum(map(box.overlaps, labels)) + 2 * sum(map(box.overlaps, marks))
            cost = covered + sum(map(line.intersects_bbox, labels)) + 3 * (not is_inside)
            costs.append((cost, len(costs), place, box))
            if cost == 0:
                break
        _, _, place, box = min(costs)
        label.set(position=place[0], ha=place[1], va=place[2])
        labels.append(box)


def _text_box(label: Any, renderer: Any) -> Any:
    """Return the box of a label's text, without its line to the point."""
    from matplotlib.text import Text

    label.update_positions(renderer)
    return Text.get_window_extent(label, renderer).padded(2)


def _places() -> Iterator[tuple[tuple[int, int], str, str]]:
    """Iterate over the places of a label, nearest first: its offset and its alignments."""
    for distance in _DISTANCES:
        for right, up in product((1, -1), (0, 0.5, -0.5, 1, -1)):
            vertical = "bottom" if up > 0 else "top" if up < 0 else "center"
            yield (right * distance, round(up * distance)), "left" if right > 0 else "right", vertical
        for up, horizontal in product((1, -1), ("center", "left", "right")):
            yield (0, up * distance), horizontal, "bottom" if up > 0 else "top"
