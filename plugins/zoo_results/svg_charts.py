"""SVG charts for a page, with lines and bars colored by its style sheet, and with escaped text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.runs import Bin

_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 42  # margins
_DOTS = 40  # maximum number of points of a line that are marked

Line = tuple[str, "Sequence[tuple[float, float]]"]
"""A CSS class and the points of the line."""


def line_chart(
    name: str, title: str, description: str, lines: Sequence[Line], *, across: str, mark: float | None = None
) -> Markup:
    """Return a line chart.

    Args:
        name: Prefix of its element ids, unique in a page.
        title: Title for screen readers.
        description: Description for screen readers.
        lines: The lines to draw.
        across: Label of the horizontal axis.
        mark: Where to draw a vertical line.

    Returns:
        The chart; empty if there are no points, or if their range exceeds that of a float.
    """
    points = [point for _, several in lines for point in several]
    if not points:
        return Markup()
    (left, right), (low, high) = ([min(axis), max(axis)] for axis in zip(*points, strict=True))
    if left == right:
        left, right = left - 1, right + 1
    least = 1e-9 * max(1.0, abs(low), abs(high))  # smaller differences do not show in the labels
    if high - low < least:
        high = low + max(1e-3, least)
    ticks = _ticks(low, high) if math.isfinite(high - low) else []
    if not ticks or not math.isfinite(ticks[-1] - ticks[0]):  # the values are near the limits of a float
        return Markup()
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    plot = _Plot(left, right, low, high)
    whole = [tick for tick in _ticks(left, right, 6) if tick == int(tick) and left <= tick <= right]
    parts = [*plot.horizontals(ticks), *plot.labels_below(whole)]
    if mark is not None:
        x = plot.x(mark)
        parts.append(Markup('<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, _TOP, plot.floor))
    for css, several in lines:
        path = " ".join(f"{plot.x(x)},{plot.y(y)}" for x, y in several)
        parts.append(Markup('<polyline class="line {}" points="{}"/>').format(css, path))
        if len(several) <= _DOTS:
            parts += [
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="3"/>').format(css, plot.x(x), plot.y(y))
                for x, y in several
            ]
    return _svg(name, title, description, parts, across)


def reliability_diagram(name: str, bins: Sequence[Bin]) -> Markup:
    """Return a chart of accuracy by confidence, in which calibrated bars end on the diagonal.

    Args:
        name: Prefix of its element ids, unique in a page.
        bins: Bins of equal width, from 0 to 1.
    """
    plot = _Plot(0, 1, 0, 1)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    parts = [*plot.horizontals(ticks), *plot.labels_below(ticks)]
    for each in bins:
        if each.images:
            x, width = plot.x(each.low) + 1, plot.x(each.high) - plot.x(each.low) - 2
            top = plot.y(each.accuracy)
            parts.append(
                Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                    round(x, 1),
                    top,
                    round(width, 1),
                    round(plot.floor - top, 1),
                    f"{each.images:,} images, confidence {each.confidence:.3f}, accuracy {each.accuracy:.3f}",
                )
            )
    parts.append(
        Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            plot.x(0), plot.y(0), plot.x(1), plot.y(1)
        )
    )
    description = "One bar per confidence bin, with the accuracy as its height; the dashed line is perfect calibration."
    return _svg(name, "Accuracy by confidence", description, parts, "confidence")


class _Plot:
    """Maps values to positions in the chart."""

    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self._left, self._right, self._low, self._high = left, right, low, high
        self.floor = _HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        share = (value - self._left) / (self._right - self._left)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return round(self.floor - share * (self.floor - _TOP), 1)

    def horizontals(self, ticks: Sequence[float]) -> Iterator[Markup]:
        for tick in ticks:
            yield Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                _LEFT, _WIDTH - _RIGHT, self.y(tick), self.y(tick)
            )
            yield Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{:g}</text>').format(
                _LEFT - 7, self.y(tick) + 4, round(tick, 9)
            )

    def labels_below(self, ticks: Sequence[float]) -> Iterator[Markup]:
        for tick in ticks:
            yield Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{:g}</text>').format(
                self.x(tick), self.floor + 17, round(tick, 9)
            )


def _svg(name: str, title: str, description: str, parts: Sequence[Markup], across: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-title {name}-text">'
        '<title id="{name}-title">{title}</title><desc id="{name}-text">{description}</desc>{inside}'
        '<text class="tick" x="{middle}" y="{below}" text-anchor="middle">{across}</text></svg>'
    ).format(
        width=_WIDTH,
        height=_HEIGHT,
        name=name,
        title=title,
        description=description,
        inside=Markup().join(parts),
        middle=(_LEFT + _WIDTH - _RIGHT) // 2,
        below=_HEIGHT - 6,
        across=across,
    )


def _ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return about ``about`` round numbers, of which the first is at most ``low`` and the last at least ``high``."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
