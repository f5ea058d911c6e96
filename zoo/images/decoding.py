"""Decodes image files of all supported formats to ``L`` or ``RGB``; headers are checked before any pixel is decoded."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

from zoo.errors import DataError, ZooError
from zoo.images.jpeg_scans import MOST_SCANS, scans_kept
from zoo.images.natural_sort import shown
from zoo.images.workers import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""Suffixes of image file names, in lowercase or uppercase."""

MAX_PIXELS = 1 << 26
"""Maximum number of pixels in an image: 67 million."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
_GRAY = ("1", "L", "LA", "La")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_PNG_HEADER = slice(12, 16)  # in a PNG: name of the first chunk
_PNG_KIND = slice(24, 26)  # in a PNG: bit depth and color type
_DEEP_GRAY_ALPHA = (16, 4)  # which Pillow decodes as color
_SCALED_GRAY = ((2, 0), (4, 0))  # whose pixels Pillow scales to 8 bits
_BUDGET = PixelBudget(MAX_PIXELS)
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Turn warnings from Pillow, for example about odd metadata or sizes, into errors of the file."""
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("error", category=category, module=r"PIL\.")
        yield


@contextlib.contextmanager
def decoded(data: bytes, source: str, *, background: int, near: tuple[int, int] | None = None) -> Iterator[Image]:
    """Yield what `decode` returns, and reserve its share of the pixel budget until the block ends.

    Images that are open at the same time have at most `MAX_PIXELS` in total: other threads wait.
    """
    with contextlib.ExitStack() as held:
        yield _decode(data, source, background, near, held)


def decode(data: bytes, source: str, *, background: int, near: tuple[int, int] | None = None) -> Image:
    """Return an image, upright, in mode ``L`` if it is stored as grayscale, else in mode ``RGB``.

    The content determines the format, whatever the file name. If a file has more than one image, the first one is used.
    16-bit channels are reduced to their upper eight bits. Color profiles are ignored.

    Args:
        data: Content of the file.
        source: Name of the file in error messages.
        background: Brightness of the background behind transparent parts, 0 to 255.
        near: Height and width that the image will be scaled to: a JPEG at least four times as large on both sides is
            decoded at a lower resolution.

    Raises:
        DataError: The format is not supported, the file is damaged, or it has more than `MAX_PIXELS` pixels or
            `MOST_SCANS` scans.
    """
    with decoded(data, source, background=background, near=near) as image:
        return image


def _decode(
    data: bytes, source: str, background: int, near: tuple[int, int] | None, held: contextlib.ExitStack
) -> Image:
    import PIL.Image
    from PIL import ImageOps

    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_header(image, source)
            depth, color = _png_kind(data, source) if image.format == "PNG" else (8, 0)
            stored = image.width * image.height
            is_jpeg = image.format in ("JPEG", "MPO")
            if near is not None and is_jpeg:
                side = 2 * max(near)  # for both sides, since EXIF may turn the image by 90 degrees
                image.draft(image.mode, (side, side))
            # the full image is in memory until the last scan is read, even if it is decoded at a lower resolution
            is_kept = is_jpeg and _check_scans(data, source) > 0
            held.enter_context(_BUDGET.taken(stored if is_kept else image.width * image.height))
            image.load()
            seen_through = image.info.get("transparency")  # must be scaled like the pixels that Pillow returns
            if depth == 16 and isinstance(seen_through, tuple):
                image.info["transparency"] = tuple(value >> 8 for value in seen_through)
            if (depth, color) in _SCALED_GRAY and isinstance(seen_through, int):
                image.info["transparency"] = seen_through * (255 // (2**depth - 1))
            flat = _flat(ImageOps.exif_transpose(image), background)
            return flat.convert("L") if (depth, color) == _DEEP_GRAY_ALPHA else flat
    except ZooError:
        raise
    except PIL.UnidentifiedImageError as error:
        kinds = ", ".join(_FORMATS)
        raise DataError(
            f"{source} is not an image in a supported format: convert it to one of {kinds}.", path=source
        ) from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise DataError(f"{source} has too many pixels: scale it to at most {MAX_PIXELS:,}.", path=source) from error
    except Exception as error:  # damaged files raise many types of exceptions
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote bytes of the file
        raise DataError(f"{source} is damaged: {said:.200}.", path=source) from error


def _check_header(image: Image, source: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{source} has too many pixels: scale it to at most {MAX_PIXELS:,}. "
            f"Received: width={width}, height={height}",
            path=source,
        )


def _check_scans(data: bytes, source: str) -> int:
    """Return `scans_kept`, or raise `DataError`: a scan of a few bytes takes as long to decode as a full image."""
    count = scans_kept(data)
    if count > MOST_SCANS:
        raise DataError(f"{source} has too many JPEG scans: save it again with at most {MOST_SCANS}.", path=source)
    return count


def _png_kind(data: bytes, source: str) -> tuple[int, int]:
    """Return the bit depth and the color type of a PNG."""
    if data[_PNG_HEADER] != b"IHDR":  # Pillow also accepts a header that comes later
        raise DataError(f"{source} is damaged: the PNG does not begin with its header.", path=source)
    depth, color = data[_PNG_KIND]
    return depth, color


def _flat(image: Image, background: int) -> Image:
    """Return an image of any mode as ``L`` or ``RGB``, without transparency."""
    import PIL.Image

    if image.mode in _DEEP:
        import numpy as np

        stored = np.asarray(image)
        upper = (stored >> 8).clip(0, 255).astype(np.uint8)
        if isinstance(transparent := image.info.get("transparency"), int):  # the one transparent value
            upper[stored == transparent] = background
        return PIL.Image.fromarray(upper)
    mode = "L" if image.mode in _GRAY else "RGB"
    if image.mode in _ALPHA or "transparency" in image.info:
        ground = PIL.Image.new("RGBA", image.size, (background, background, background, 255))
        image = PIL.Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert(mode)
