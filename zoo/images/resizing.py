"""Converts decoded images to the size and the number of channels of a model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zoo.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Crop = Literal["center", "pad", "stretch"]
Shape = tuple[int, int, int]


def fit(image: Image, shape: Shape, crop: Crop, background: int) -> NDArray[np.uint8]:
    """Return an image as an array ``(height, width, channels)``, 0 to 255.

    An image that already has the size is not scaled; others are scaled with a bicubic filter.

    Args:
        image: In mode ``L`` or ``RGB``.
        shape: Height, width and channels (one or three).
        crop: As for `zoo.ImageInput`.
        background: Brightness of padding.

    Raises:
        DataError: The number of channels is neither one nor three.
    """
    import numpy as np

    height, width, channels = shape
    if channels not in (1, 3):
        raise DataError(f"Image files cannot have this number of channels. Use 1 or 3. Received: channels={channels}")
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)  # which copies it in any case
    if image.size != (width, height):
        image = _scaled(image, (width, height), crop, background)
    return np.asarray(image).reshape(shape)


def _scaled(image: Image, size: tuple[int, int], crop: Crop, background: int) -> Image:
    import PIL.Image
    from PIL import ImageOps

    bicubic = PIL.Image.Resampling.BICUBIC
    if crop == "stretch":
        return image.resize(size, bicubic)
    if crop == "center":
        return ImageOps.fit(image, size, bicubic)
    scale = min(size[0] / image.width, size[1] / image.height)
    # a very long and thin image keeps at least one pixel
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    ground = PIL.Image.new(image.mode, size, (background,) * len(image.getbands()))
    ground.paste(image.resize(inner, bicubic), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return ground
