"""Converts decoded images of any mode to ``L`` or ``RGB``: 8 bits per channel, without transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.images.deep_gray import MODES, reduced, stored_values
from zoo.images.tiff_headers import bits_per_value, is_white_zero

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.images.deep_gray import ValueRange
    from zoo.images.stripping import StrippedFile

_GRAY = ("1", "L", "LA", "La")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_DEEP_GRAY_ALPHA = (16, 4)  # bit depth and color type of a PNG which Pillow decodes as color
_SCALED_GRAY = ((2, 0), (4, 0))  # whose pixels Pillow scales to 8 bits


def flattened(
    image: Image, file: StrippedFile, background: int, value_range: ValueRange | None
) -> tuple[Image, int | None]:
    """Return a loaded image as ``L`` or ``RGB``, and its largest value if it has 16 bits per channel.

    Args:
        image: The image.
        file: The file that it was read from.
        background: Brightness of the background behind transparent parts, 0 to 255.
        value_range: As for `zoo.images.decode`.
    """
    if image.mode in MODES:
        return _flat_deep(image, background, value_range)
    seen_through = image.info.get("transparency")  # must be scaled like the pixels that Pillow returns
    if file.depth == 16 and isinstance(seen_through, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in seen_through)
    if (file.depth, file.color) in _SCALED_GRAY and isinstance(seen_through, int):
        image.info["transparency"] = seen_through * (255 // (2**file.depth - 1))
    flat = _flat(image, background)
    if file.depth < 16:
        return flat, None
    extrema = flat.getextrema()
    highest = max(high for _, high in extrema) if isinstance(extrema[0], tuple) else extrema[1]
    return flat.convert("L") if (file.depth, file.color) == _DEEP_GRAY_ALPHA else flat, int(highest) << 8 | 255


def _flat_deep(image: Image, background: int, value_range: ValueRange | None) -> tuple[Image, int]:
    """Return a 16-bit grayscale image as ``L``, without transparency, and its largest value."""
    import PIL.Image

    stored = stored_values(image)
    if image.format == "TIFF":
        stored = stored << (16 - bits_per_value(image)) if bits_per_value(image) < 16 else stored
        stored = 65535 - stored if is_white_zero(image) else stored
    values = reduced(stored, value_range)
    if isinstance(transparent := image.info.get("transparency"), int):  # the one transparent value
        values[stored == transparent] = background
    return PIL.Image.fromarray(values), int(stored.max())


def _flat(image: Image, background: int) -> Image:
    """Return an image of any other mode as ``L`` or ``RGB``, without transparency."""
    import PIL.Image

    mode = "L" if image.mode in _GRAY else "RGB"
    if image.mode in _ALPHA or "transparency" in image.info:
        ground = PIL.Image.new("RGBA", image.size, (background, background, background, 255))
        image = PIL.Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image if image.mode == mode else image.convert(mode)
