"""The range of values that 16-bit grayscale files use: often those of 10, 12 or 14 bits."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from zoo.errors import ZooWarning
from zoo.images import FULL_RANGE, ValueRange, range_holding, shown

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.folders.scanning import Scan

Range = Literal["auto", "full"] | ValueRange


def find_range(root: Path, scanned: Scan, train: NDArray[np.intp], asked: Range) -> Literal["full"] | ValueRange:
    """Return the range of values to use, and warn if it leaves images nearly black or cuts off others.

    Args:
        root: Folder of the files, for the warning.
        scanned: Results of scanning them.
        train: Positions of the training files among the valid ones.
        asked: The setting.
    """
    largest, is_gray = scanned.largest[train], scanned.is_gray[train]
    gray, color = (int(values.max(initial=-1)) for values in (largest[is_gray], largest[~is_gray]))
    if asked == "auto":
        found = range_holding(gray) if gray >= 0 else FULL_RANGE
        _warn_of_brighter(root, scanned, train, found)
        return "full" if found == FULL_RANGE else found
    middle = FULL_RANGE[1] // 2
    if asked == "full" and 0 <= gray <= middle:
        low, high = range_holding(gray)
        cure = f"0,{gray}" if (low, high) == FULL_RANGE else f"auto, here {low},{high}"
        _warn(root, gray, f"Spread them over the full brightness with --set dataset.range={cure}")
    if 0 <= color <= middle:
        _warn(root, color, "Convert these color images to bright ones of 8 bits: dataset.range is for grayscale")
    return "full" if asked == "full" else asked


def _warn_of_brighter(root: Path, scanned: Scan, train: NDArray[np.intp], found: ValueRange) -> None:
    """Warn if images that are not trained on have values above the range of those that are."""
    import numpy as np

    largest = np.delete(np.where(scanned.is_gray, scanned.largest, -1), train)
    if count := np.count_nonzero(largest > found[1]):
        low, high = range_holding(int(largest.max()))
        cure = "full" if (low, high) == FULL_RANGE else f"{low},{high}"
        warnings.warn(
            f"{count:,} of {len(largest):,} validation and test images in {shown(root)} have values above "
            f"{found[1]:,}, which become white, because dataset.range=auto is the range of the training images. Use a "
            f"range that has all values with --set dataset.range={cure}.",
            ZooWarning,
            stacklevel=4,
        )


def _warn(root: Path, largest: int, cure: str) -> None:
    warnings.warn(
        f"The 16-bit images in {shown(root)} use only values up to {largest:,} of {FULL_RANGE[1]:,}, so they are dark. "
        f"{cure}.",
        ZooWarning,
        stacklevel=4,
    )
