"""Examines an image file: whether it is valid, what it has, and its pixels as they are kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from zoo import DataError, ImageInput
from zoo.images import MAX_PIXELS, fit, inspected, read, shown

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the files of a dataset are examined.

    Args:
        size: Height and width that the images will have.
        form: How files are brought to this size.
        is_gray: Whether all images are kept in grayscale, rather than as they are stored.
    """

    size: tuple[int, int]
    form: ImageInput
    is_gray: bool

    @property
    def image_size(self) -> int:
        """Maximum size of an image that is kept, in bytes."""
        return (1 if self.is_gray else 3) * self.size[0] * self.size[1]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A valid file.

    Args:
        is_gray: Whether it is stored as grayscale.
        largest: See `zoo.images.Inspection`.
        digest: SHA-256 of its content.
        signature: See `zoo.images.read`.
    """

    is_gray: bool
    largest: int | None
    digest: bytes
    signature: tuple[int, int, int, int]


def examine(
    root: Path, name: str, rules: Rules, *, is_kept: bool, most_pixels: int = MAX_PIXELS
) -> tuple[Examined, NDArray[np.uint8] | None] | str:
    """Return what a file has and its image; or what is wrong with it.

    Args:
        root: The folder.
        name: Path of the file, relative to ``root``.
        rules: How to examine it.
        is_kept: Whether to return the image. Those of 16 bits are never returned: which of their values to use is not
            known yet.
        most_pixels: As for `zoo.images.inspected`.

    Raises:
        LargeImageError: The image has more than ``most_pixels``.
    """
    source, form = shown(name), rules.form
    try:
        data, signature = read(root / name, source)
        image = None
        opened = inspected(data, source, background=form.background, near=rules.size, most_pixels=most_pixels)
        with opened as (whole, found):
            if is_kept and found.largest is None:
                channels = 1 if rules.is_gray or found.is_gray else 3
                image = fit(whole, (*rules.size, channels), form.crop, form.background)
    except DataError as error:
        return str(error)
    digest = hashlib.sha256(data).digest()
    return Examined(is_gray=found.is_gray, largest=found.largest, digest=digest, signature=signature), image
