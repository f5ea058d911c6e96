"""Scans image files before training: which ones are valid, which are grayscale, and the digests of their contents."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import WORKERS, fit, in_order, inspected, read, shown, warnings_are_errors

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import ImageInput
    from zoo.images import Inspection, Signature
    from zoo_images.folders.decoded_images import DecodedImages

_AT_ONCE = 256  # files in progress at the same time


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Results of reading image files.

    Args:
        sound: ``(m,)``, positions of the valid files; the other arrays have one entry for each of these.
        is_gray: ``(m,)``, whether the file is stored as grayscale.
        digests: ``(m, 32)`` uint8, SHA-256 of the contents.
        signatures: ``(m, 4)`` uint64, see `zoo.images.read`.
        largest: ``(m,)`` int32, the largest value of an image of 16 bits per channel, see `zoo.images.Inspection`; -1
            for other images.
        bad: Positions of the other files, each with what is wrong.
    """

    sound: NDArray[np.intp]
    is_gray: NDArray[np.bool_]
    digests: NDArray[np.uint8]
    signatures: NDArray[np.uint64]
    largest: NDArray[np.int32]
    bad: list[tuple[int, str]]


def scan(
    root: Path,
    names: list[str],
    size: tuple[int, int],
    form: ImageInput,
    kept: DecodedImages | None = None,
    *,
    is_gray: bool = False,
) -> Scan:
    """Read and decode every file once, in parallel.

    Args:
        root: Folder that contains the files.
        names: Their paths, relative to ``root``.
        size: Height and width that the images will have.
        form: How files are brought to this size.
        kept: Keeps the images, except those of 16 bits, by the positions of their files; None to keep none.
        is_gray: Whether all images are kept in grayscale, rather than as they are stored.
    """
    import numpy as np

    def examine(i: int) -> tuple[Inspection, bytes, Signature] | str:
        name = names[i]
        try:
            data, signature = read(root / name, shown(name))
            with inspected(data, shown(name), background=form.background, near=size) as (image, found):
                if kept is not None and found.largest is None:  # which values of 16 bits to use is not known yet
                    channels = 1 if is_gray or found.is_gray else 3
                    kept.put(i, fit(image, (*size, channels), form.crop, form.background))
            return found, hashlib.sha256(data).digest(), signature
        except DataError as error:
            return str(error)

    count = len(names)
    gray, sound = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    digests, signatures = np.zeros((count, 32), np.uint8), np.zeros((count, 4), np.uint64)
    largest = np.full(count, -1, np.int32)
    bad = []
    with warnings_are_errors(), ThreadPoolExecutor(WORKERS) as pool:
        for i, found in enumerate(in_order(pool, examine, range(count), ahead=_AT_ONCE)):
            if isinstance(found, str):
                bad.append((i, found))
                continue
            sound[i], gray[i] = True, found[0].is_gray
            largest[i] = -1 if found[0].largest is None else found[0].largest
            digests[i] = np.frombuffer(found[1], np.uint8)
            signatures[i] = found[2]
    return Scan(
        sound=np.flatnonzero(sound),
        is_gray=gray[sound],
        digests=digests[sound],
        signatures=signatures[sound],
        largest=largest[sound],
        bad=bad,
    )
