"""The bytes of an image file, decoded: its header is believed before its pixels are, and every kind ends up alike."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

from zoo import DataError, ZooError
from zoo_images.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""What the names of image files end with, in small letters or capitals."""

MAX_PIXELS = 1 << 26
"""Most pixels of an image: 67 million."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Let what Pillow warns of, as odd metadata or sizes, be an error of the file."""
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("error", category=category, module=r"PIL\.")
        yield


def decode(data: bytes, source: str, *, background: int, near: tuple[int, int] | None = None) -> Image:
    """Return an image, upright, grey (``L``) if it is stored so, else in colour (``RGB``).

    The content says what kind of file it is, whatever its name. Of a file with several pictures the first is taken,
    of 16 bits the upper eight; colour profiles are left out of account.

    Args:
        data: The content of the file.
        source: What to call it in messages.
        background: Brightness of what transparent parts are laid upon, 0 to 255.
        near: Height and width that it will be scaled to: a JPEG several times as large is decoded smaller.

    Raises:
        DataError: It is none of the kinds that are read, is damaged, or has more than `MAX_PIXELS`.
    """
    import PIL.Image
    from PIL import ImageOps

    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_header(image, source)
            if near is not None and image.format in ("JPEG", "MPO"):
                side = 2 * max(near)  # of both sides, since it may lie on one
                image.draft(image.mode, (side, side))
            image.load()
            return _flat(ImageOps.exif_transpose(image), background)
    except ZooError:
        raise
    except PIL.UnidentifiedImageError as error:
        kinds = ", ".join(_FORMATS)
        raise DataError(f"{source} is not an image of a kind that is read: {kinds}.") from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise DataError(f"{source} has too many pixels: at most {MAX_PIXELS:,} are read.") from error
    except Exception as error:  # a damaged file can end in any of many
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote the file
        raise DataError(f"{source} is damaged: {said:.200}.") from error


def _check_header(image: Image, source: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{source} has too many pixels: at most {MAX_PIXELS:,} are read. Received: width={width}, height={height}"
        )


def _flat(image: Image, background: int) -> Image:
    """Return an image of any mode as ``L`` or ``RGB``, without transparency."""
    import PIL.Image

    if image.mode in _DEEP:
        import numpy as np

        stored = np.asarray(image)
        upper = (stored >> 8).clip(0, 255).astype(np.uint8)
        if isinstance(transparent := image.info.get("transparency"), int):  # the one value that is seen through
            upper[stored == transparent] = background
        return PIL.Image.fromarray(upper)
    mode = "L" if image.mode in _GREY else "RGB"
    if image.mode in _ALPHA or "transparency" in image.info:
        ground = PIL.Image.new("RGBA", image.size, (background, background, background, 255))
        image = PIL.Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert(mode)
