"""Counts the scans of a JPEG: passes over the image, each with some of its color channels or of their precision.

ITU-T T.81, annex B, describes the format: two-byte markers, the first byte of which is 255, followed by their content.
"""

from __future__ import annotations

import re

MOST_SCANS = 500
"""Maximum number of scans of a JPEG that is held in memory until the last scan; cameras and programs write 3 to 20."""

_START = 2  # bytes of the marker that begins a file
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # markers with content; 255 followed by 0 is a value
_END, _SCAN = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers followed by image size and number of channels
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


def scans_kept(data: bytes) -> int:
    """Return how many scans of a JPEG are held in memory before any pixel is final.

    This is 0 if the first scan has all color channels at full precision: each row of pixels is then decoded as it is
    read. Counting stops at `MOST_SCANS` plus one.
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
