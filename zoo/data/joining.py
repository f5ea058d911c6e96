"""Groups of items, such as copies of an image, from pairs that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


def first_joined(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.intp]:
    """Return ``(count,)``: for each item, the first item of its group. Pairs join items, directly or through others.

    Args:
        count: Number of items; they are numbered from 0.
        pairs: Numbers of two items each.
    """
    import numpy as np

    parents = list(range(count))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = i = parents[parents[i]]
        return i

    for pair in pairs:
        low, high = sorted(map(root, pair))
        parents[high] = low
    return np.array([root(i) for i in range(count)], np.intp)
