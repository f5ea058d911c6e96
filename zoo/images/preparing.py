"""Preprocesses an image file to match the images that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

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
_NEAR = 12  # of 255: how much trimmed edges may differ from the corners' brightness, 5 % as in Fashion-MNIST


def prepare(data: bytes, source: str, shape: Shape, form: ImageInput, invert: Invert) -> tuple[NDArray[np.uint8], bool]:
    """Return an image ``(height, width, channels)``, and whether it was inverted.

    Args:
        data: Content of an image file.
        source: Name of the file in error messages.
        shape: Height, width and channels of the model's input.
        form: How the model's training images were made.
        invert: Whether to invert the image; ``"auto"`` inverts it if the training images are light on dark and the
            border of this image is light.

    Raises:
        DataError: The file cannot be decoded.
    """
    may_invert = invert == "yes" or (invert == "auto" and form.inverted is True)
    # transparent parts count as white paper, which becomes the background when the image is inverted
    background = 255 if may_invert and form.inverted else form.background
    with decoded(data, source, background=background, near=None if form.trimmed else shape[:2]) as whole:
        image = whole.convert("L" if shape[-1] == 1 else "RGB")
        inverted = invert == "yes" or (may_invert and border_brightness(image) > _LIGHT)
        if inverted:
            from PIL import ImageOps

            image = ImageOps.invert(image)
        if form.trimmed and image.size != (shape[1], shape[0]):
            image = trim(image)
        return fit(image, shape, form.crop, form.background), inverted


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
    box = differences.point(lambda value: 255 if value > _NEAR else 0).getbbox()
    return image if box is None else image.crop(box)
