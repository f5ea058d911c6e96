"""The search for near copies among all pairs of images, in bounded time and memory.

Hashes of all pairs are compared, block by block: 70,000 images are 2.4 billion pairs, and a CPU compares a billion in a
second. Pairs whose hashes differ in few bits are compared by their lowest waves, which can rule out that the images
correlate, then by all pixels of their thumbnails.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.images import WORKERS, in_order
from zoo_data.hashing import SMALLEST, Hashes, hash_images, standardize
from zoo_data.similarity import CORRELATION, are_copies

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_IMAGES = 200_000
"""Number of images beyond which no near copies are looked for: the pairs grow with its square."""

_BITS = 10  # largest number of different bits, of 63
_CONTRAST = 5.0  # standard deviation of a thumbnail, of 255, below which an image has too little in it to be compared
_COLOR = 24.0  # largest difference of the mean colors, of 255, after that of brightness
_MOST_ALIKE = 200_000_000  # pairs of similar hashes, in which the search ends: most images are then the same
_MOST_CLOSE = 500_000  # the same for pairs that may correlate, whose pixels a CPU compares in about a minute
_ROWS, _COLUMNS = 64, 4096  # of a block: its hashes take 2 MiB, which fits a CPU's cache
_AT_ONCE = 2048  # pairs of thumbnails compared at once


@dataclass(frozen=True, kw_only=True)
class NearCopies:
    """Pairs of images that are near copies.

    Args:
        first: ``(n,)``, positions of the first images.
        second: ``(n,)``, positions of the second images, larger than those of the first.
        similarity: ``(n,)`` float32, correlation of the pixels of their thumbnails.
        is_mirrored: ``(n,)``, whether the second is a mirror image of the first.
        compared: Number of images that were compared.
        is_complete: Whether the search was carried to its end.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    similarity: NDArray[np.float32]
    is_mirrored: NDArray[np.bool_]
    compared: int
    is_complete: bool


def find_near_copies(thumbnails: NDArray[np.uint8], colors: NDArray[np.float32]) -> NearCopies:
    """Return all pairs of near copies: saved again, scaled, made brighter, or mirrored.

    Images with less than 16 pixels a side, or with too little contrast, are not compared.

    Args:
        thumbnails: ``(n, height, width)``, of different images.
        colors: ``(n, channels)``, their mean colors.
    """
    import numpy as np

    is_possible = min(thumbnails.shape[1:]) >= SMALLEST
    chosen = np.flatnonzero(_contrasts(thumbnails) >= _CONTRAST) if is_possible else np.arange(0)
    is_complete = is_possible and len(chosen) <= MOST_IMAGES
    chosen = chosen[:MOST_IMAGES]
    found: list[_Pairs] = []
    if len(chosen) > 1:
        images, tints = thumbnails[chosen], _tints(colors[chosen])
        plain, mirrored = hash_images(images)
        for other in (plain, mirrored):
            close, ended = _close_pairs(plain, other)
            is_complete &= ended
            found.append(_confirmed(images, tints, close, is_mirrored=other is mirrored))
    pairs = _merged(found)
    return NearCopies(
        first=chosen[pairs.first],
        second=chosen[pairs.second],
        similarity=pairs.similarity,
        is_mirrored=pairs.is_mirrored,
        compared=len(chosen),
        is_complete=bool(is_complete),
    )


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    similarity: NDArray[np.float32]
    is_mirrored: NDArray[np.bool_]


def _contrasts(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    import numpy as np

    steps = range(0, len(thumbnails), 4096)
    found = [thumbnails[start : start + 4096].std(axis=(1, 2), dtype=np.float32) for start in steps]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _tints(colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean colors without brightness."""
    tints: NDArray[np.float32] = colors - colors.mean(axis=1, keepdims=True)
    return tints


def _close_pairs(plain: Hashes, other: Hashes) -> tuple[NDArray[np.int32], bool]:
    """Return pairs ``(n, 2)`` whose hashes agree and whose images may correlate, and whether these are all."""
    import numpy as np

    def search(start: int) -> tuple[NDArray[np.int32], int]:
        return _search(plain, other, start)

    found, alike, close = [np.zeros((0, 2), np.int32)], 0, 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for pairs, count in in_order(pool, search, range(0, len(plain.bits), _ROWS), ahead=4 * WORKERS, per_task=1):
            found.append(pairs)
            alike, close = alike + count, close + len(pairs)
            if alike > _MOST_ALIKE or close > _MOST_CLOSE:
                return np.concatenate(found)[:_MOST_CLOSE], False
    return np.concatenate(found), True


def _search(plain: Hashes, other: Hashes, start: int) -> tuple[NDArray[np.int32], int]:
    """Return the close pairs of which the first is in a block of rows, and how many hashes are alike.

    The block ends with the first pair beyond a limit of the whole search: if most images are the same, the pairs of all
    blocks that are compared at once would not fit into memory.
    """
    import numpy as np

    # two images that correlate by c have the squared distance 2 - 2 c, of which their lowest waves have a part
    farthest = 2 - 2 * CORRELATION
    rows, found, alike, close = plain.bits[start : start + _ROWS, None], [np.zeros((0, 2), np.int32)], 0, 0
    for begin in range(start, len(plain.bits), _COLUMNS):
        different = np.bitwise_count(rows ^ other.bits[None, begin : begin + _COLUMNS])
        places = np.flatnonzero(different <= _BITS)  # much faster than two indices at once
        first, second = np.divmod(places, different.shape[1])
        first, second = first + start, second + begin
        later = first < second
        first, second = first[later].astype(np.int32), second[later].astype(np.int32)
        alike += len(first)
        for at in range(0, len(first), 1 << 16):
            left, right = first[at : at + (1 << 16)], second[at : at + (1 << 16)]
            distance = ((plain.low[left] - other.low[right]) ** 2).sum(axis=1)
            near = distance <= farthest
            found.append(np.stack([left[near], right[near]], axis=1))
            close += len(found[-1])
            if close > _MOST_CLOSE:
                return np.concatenate(found)[: _MOST_CLOSE + 1], alike
        if alike > _MOST_ALIKE:
            break
    return np.concatenate(found), alike


def _confirmed(
    images: NDArray[np.uint8], tints: NDArray[np.float32], close: NDArray[np.int32], *, is_mirrored: bool
) -> _Pairs:
    """Return the pairs of close images that are copies."""
    import numpy as np

    def look(start: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        pairs = close[start : start + _AT_ONCE]
        pairs = pairs[abs(tints[pairs[:, 0]] - tints[pairs[:, 1]]).max(axis=1) <= _COLOR]
        first, second = images[pairs[:, 0]], images[pairs[:, 1]]
        second = second[..., ::-1] if is_mirrored else second
        similarity = (standardize(first) * standardize(second)).sum(axis=(1, 2))
        near = np.flatnonzero(similarity >= CORRELATION)
        near = near[are_copies(first[near], second[near])]
        return pairs[near], similarity[near]

    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(look, range(0, len(close), _AT_ONCE)))
    pairs = np.concatenate([np.zeros((0, 2), np.int32), *(each for each, _ in found)])
    similarity = np.concatenate([np.zeros(0, np.float32), *(each for _, each in found)])
    return _Pairs(
        first=pairs[:, 0],
        second=pairs[:, 1],
        similarity=np.minimum(similarity, 1),
        is_mirrored=np.full(len(pairs), is_mirrored),
    )


def _merged(found: list[_Pairs]) -> _Pairs:
    """Return all pairs once, the most similar first: a symmetric image is found as its own mirror image too."""
    import numpy as np

    first, second = (
        np.concatenate([np.zeros(0, np.int32), *(getattr(each, name) for each in found)])
        for name in ("first", "second")
    )
    similarity = np.concatenate([np.zeros(0, np.float32), *(each.similarity for each in found)])
    is_mirrored = np.concatenate([np.zeros(0, np.bool_), *(each.is_mirrored for each in found)])
    order = np.lexsort((second, first, is_mirrored, -similarity))
    _, once = np.unique(np.stack([first, second])[:, order], axis=1, return_index=True)
    order = order[np.sort(once)]
    return _Pairs(
        first=first[order], second=second[order], similarity=similarity[order], is_mirrored=is_mirrored[order]
    )
