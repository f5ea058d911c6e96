"""Preprocesses an image file to match the images that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo.images.backgrounds import NEAR, find_background, is_darker, on_black
from zoo.images.decoding import decoded
from zoo.images.resizing import fit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from zoo.images.resizing import Shape
    from zoo.interfaces import ImageInput

Invert = Literal["auto", "yes", "no"]

_LIGHT = 127  # a brighter border counts as light; none of Fashion-MNIST's 70,000 images has one


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An image that matches the images that a model was trained on.

    Args:
        pixels: ``(height, width, channels)`` uint8.
        inverted: Whether it was inverted.
        has_uneven_background: Whether the model's training images are light on black, and the background of this one
            could not be brought to black, so that the prediction may be wrong.
    """

    pixels: NDArray[np.uint8]
    inverted: bool
    has_uneven_background: bool = False


def prepare(data: bytes, source: str, shape: Shape, form: ImageInput, invert: Invert) -> Prepared:
    """Return an image as a model takes it.

    Args:
        data: Content of an image file.
        source: Name of the file in error messages.
        shape: Height, width and channels of the model's input.
        form: How the model's training images were made.
        invert: Whether to invert the image; ``"auto"`` inverts it if the training images are light on dark and this
            image is dark on light.

    Raises:
        DataError: The file cannot be decoded.
    """
    may_invert = invert == "yes" or (invert == "auto" and form.inverted is True)
    # transparent parts count as white paper, which becomes the background when the image is inverted
    background = 255 if may_invert and form.inverted else form.background
    near = None if form.trimmed else shape[:2]
    with decoded(data, source, background=background, near=near, value_range=form.value_range) as whole:
        image = whole.convert("L" if shape[-1] == 1 else "RGB")
        has_size = image.size == (shape[1], shape[0])
        inverted = invert == "yes" or (may_invert and border_brightness(image) > _LIGHT)
        is_uneven = False
        if may_invert and form.inverted and (inverted or not has_size):
            image, inverted, is_uneven = _on_black(image, inverted=inverted, is_forced=invert == "yes")
        elif inverted:
            from PIL import ImageOps

            image = ImageOps.invert(image)
        if form.trimmed and not has_size:
            image = trim(image)
        pixels = fit(image, shape, form.crop, form.background)
        return Prepared(pixels=pixels, inverted=inverted, has_uneven_background=is_uneven)


def _on_black(image: Image, *, inverted: bool, is_forced: bool) -> tuple[Image, bool, bool]:
    """Return an image on black, whether it was inverted, and whether its background could not be brought to black.

    Args:
        image: In mode ``L`` or ``RGB``.
        inverted: Whether to invert it if its background is black, white or unknown.
        is_forced: Whether to invert it anyway.
    """
    from PIL import ImageOps

    background = find_background(image)
    if background.kind == "shaded":
        darker = is_darker(image, background)
        invert = is_forced or (inverted if darker is None else darker)
        if (shifted := on_black(image, background, invert=invert)) is not None:
            return shifted, invert, False
    return ImageOps.invert(image) if inverted else image, inverted, background.kind != "plain"


def border_brightness(image: Image) -> float:
    """Return the mean brightness of the outermost pixels, 0 to 255."""
    import numpy as np

    width, height = image.size
    sides = [(0, 0, width, 1), (0, height - 1, width, height), (0, 1, 1, height - 1), (width - 1, 1, width, height - 1)]
    strips = [np.asarray(image.crop(side).convert("L")).ravel() for side in sides if side[3] > side[1]]
    return float(np.concatenate(strips).mean())


def trim(image: Image) -> Image:
    """Return an image without edges as bright as its corners, or unchanged if nothing would be left."""
    import numpy as np
    import PIL.Image
    from PIL import ImageChops

    width, height = image.size
    places = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    corners = np.median([np.atleast_1d(np.asarray(image.getpixel(place))) for place in places], axis=0)
    ground = PIL.Image.new(image.mode, image.size, tuple(int(value) for value in corners))
    differences = ImageChops.difference(image, ground)
    box = differences.point(lambda value: 255 if value > NEAR else 0).getbbox()
    return image if box is None else image.crop(box)
