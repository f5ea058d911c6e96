"""Photographs to plant copies among: parts of those that scikit-image brings."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 120


@functools.cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """Return square parts of photographs that do not overlap, so that no two are copies."""
    from skimage import data

    pictures: Any = data  # has no types
    found = []
    for picture in (pictures.astronaut(), pictures.coffee(), pictures.chelsea(), pictures.rocket()):
        for top in range(0, picture.shape[0] - SIDE, SIDE):
            for left in range(0, picture.shape[1] - SIDE, SIDE):
                part = np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE, :3])
                if part.std() > 25:  # not only sky
                    found.append(part)
    return tuple(found)


def write_folder(root: Path, classes: dict[str, int]) -> Path:
    """Write so many photographs for each class, as PNG files ``CLASS/0.png`` and so on."""
    pictures = iter(photographs())
    for name, count in classes.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(next(pictures)).save(root / name / f"{number}.png")
    return root
