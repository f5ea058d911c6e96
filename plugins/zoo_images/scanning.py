"""Image files, each read once before anything is made of them: which are sound, gray, and what exactly is in them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo_images.decoding import decode, warnings_are_errors
from zoo_images.natural_sort import shown
from zoo_images.reading import read
from zoo_images.workers import COUNT

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.reading import Signature

_AT_ONCE = 256  # files that are under way together


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What is known of image files that were read.

    Args:
        sound: ``(m,)``, the positions of those that are sound; what follows is about these.
        is_gray: ``(m,)``, whether it is stored without colors.
        digests: ``(m, 32)`` uint8, SHA-256 of the contents.
        signatures: ``(m, 4)`` uint64, as `zoo_images.reading.Signature`.
        bad: The positions of the others, and what is wrong with each.
    """

    sound: NDArray[np.intp]
    is_gray: NDArray[np.bool_]
    digests: NDArray[np.uint8]
    signatures: NDArray[np.uint64]
    bad: list[tuple[int, str]]


def scan(root: Path, names: list[str], near: tuple[int, int]) -> Scan:
    """Read and decode every file once, several at a time.

    Args:
        root: The folder that they lie in.
        names: Their paths within it.
        near: As for `zoo_images.decoding.decode`.
    """
    import numpy as np

    def examine(name: str) -> tuple[bool, bytes, Signature] | str:
        try:
            data, signature = read(root / name, shown(name))
            image = decode(data, shown(name), background=0, near=near)
            return image.mode == "L", hashlib.sha256(data).digest(), signature
        except DataError as error:
            return str(error)

    count = len(names)
    gray, sound = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    digests, signatures = np.zeros((count, 32), np.uint8), np.zeros((count, 4), np.uint64)
    bad = []
    with warnings_are_errors(), ThreadPoolExecutor(COUNT) as pool:
        for start in range(0, count, _AT_ONCE):
            for i, found in enumerate(pool.map(examine, names[start : start + _AT_ONCE]), start):
                if isinstance(found, str):
                    bad.append((i, found))
                    continue
                sound[i], gray[i] = True, found[0]
                digests[i] = np.frombuffer(found[1], np.uint8)
                signatures[i] = found[2]
    return Scan(
        sound=np.flatnonzero(sound),
        is_gray=gray[sound],
        digests=digests[sound],
        signatures=signatures[sound],
        bad=bad,
    )
