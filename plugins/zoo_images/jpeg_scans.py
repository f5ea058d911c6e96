"""The scans of a JPEG: passes over the picture, each of which may have a part of its colors or of their precision.

ITU-T T.81, annex B, has the format: markers of two bytes, the first of which is 255, with their content behind them.
"""

from __future__ import annotations

import re

MOST_SCANS = 500
"""Most scans of a JPEG that is kept whole until the last one: cameras and programs make 3 to 20."""

_START = 2  # what a file begins with
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # those with content; 255 and 0 stand for a value
_END, _SCAN = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # with the size and the number of colors
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


def scans_kept(data: bytes) -> int:
    """Return how many scans of a JPEG are kept in memory before a pixel of it is known.

    That is 0 where the first scan has all colors in full: a row of pixels is made as soon as it is read. Counting ends
    after `MOST_SCANS` and one.
    """
    at, colors, count, is_progressive = _START, 0, 0, False
    while count <= MOST_SCANS and (found := _MARKER.search(data, at)) is not None:
        kind, at = data[found.end() - 1], found.end()
        if kind == _END:
            break
        if kind in _FRAMES:
            is_progressive, colors = kind in _PROGRESSIVE, int.from_bytes(data[at + 7 : at + 8])
        if kind == _SCAN:
            if not count and not is_progressive and int.from_bytes(data[at + 2 : at + 3]) >= colors:
                return 0
            count += 1
        at += int.from_bytes(data[at : at + 2])
    return count
