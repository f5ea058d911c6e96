"""The bytes of an image file, decoded: its header is believed before its pixels are, and every kind ends up alike."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

from zoo import DataError, ZooError
from zoo_images.jpeg_scans import MOST_SCANS, scans_kept
from zoo_images.natural_sort import shown
from zoo_images.workers import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
"""What the names of image files end with, in small letters or capitals."""

MAX_PIXELS = 1 << 26
"""Most pixels of an image: 67 million."""

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
_GRAY = ("1", "L", "LA", "La")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_PNG_HEADER = slice(12, 16)  # bytes of a PNG: the name of its first chunk
_PNG_KIND = slice(24, 26)  # bits a channel, and the number of its kind of colors
_DEEP_GRAY_ALPHA = (16, 4)  # which Pillow gives as colors
_SCALED_GRAY = ((2, 0), (4, 0))  # whose pixels Pillow brings to 8 bits
_BUDGET = PixelBudget(MAX_PIXELS)
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Let what Pillow warns of, as odd metadata or sizes, be an error of the file."""
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("error", category=category, module=r"PIL\.")
        yield


@contextlib.contextmanager
def decoded(data: bytes, source: str, *, background: int, near: tuple[int, int] | None = None) -> Iterator[Image]:
    """Give what `decode` returns, and keep the room that it takes until it is no longer needed.

    All images that are given at a time have no more than `MAX_PIXELS` together: other threads wait.
    """
    with contextlib.ExitStack() as held:
        yield _decode(data, source, background, near, held)


def decode(data: bytes, source: str, *, background: int, near: tuple[int, int] | None = None) -> Image:
    """Return an image, upright, gray (``L``) if it is stored so, else in color (``RGB``).

    The content says what kind of file it is, whatever its name. Of a file with several pictures the first is taken,
    of 16 bits the upper eight; color profiles are left out of account.

    Args:
        data: The content of the file.
        source: What to call it in messages.
        background: Brightness of what transparent parts are laid upon, 0 to 255.
        near: Height and width that it will be scaled to: a JPEG several times as large is decoded smaller.

    Raises:
        DataError: It is none of the kinds that are read, is damaged, or has more than `MAX_PIXELS` or
            `MOST_SCANS`.
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
                side = 2 * max(near)  # of both sides, since it may lie on one
                image.draft(image.mode, (side, side))
            # all is kept in memory until the last scan is read, however small it will be
            is_kept = is_jpeg and _check_scans(data, source) > 0
            held.enter_context(_BUDGET.taken(stored if is_kept else image.width * image.height))
            image.load()
            seen_through = image.info.get("transparency")  # which is to be as Pillow has the pixels
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
        raise DataError(f"{source} is not an image of a kind that is read: {kinds}.", path=source) from error
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise DataError(f"{source} has too many pixels: at most {MAX_PIXELS:,} are read.", path=source) from error
    except Exception as error:  # a damaged file can end in any of many
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote the file
        raise DataError(f"{source} is damaged: {said:.200}.", path=source) from error


def _check_header(image: Image, source: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{source} has too many pixels: at most {MAX_PIXELS:,} are read. Received: width={width}, height={height}",
            path=source,
        )


def _check_scans(data: bytes, source: str) -> int:
    """Return what `scans_kept` does; each of them costs as much time as a picture, and takes a few bytes."""
    count = scans_kept(data)
    if count > MOST_SCANS:
        raise DataError(f"{source} has too many scans: at most {MOST_SCANS} of a JPEG are read.", path=source)
    return count


def _png_kind(data: bytes, source: str) -> tuple[int, int]:
    """Return the bits a channel of a PNG and the number of its kind of colors."""
    if data[_PNG_HEADER] != b"IHDR":  # Pillow takes a header that comes later
        raise DataError(f"{source} is damaged: it does not begin with its header.", path=source)
    depth, color = data[_PNG_KIND]
    return depth, color


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
    mode = "L" if image.mode in _GRAY else "RGB"
    if image.mode in _ALPHA or "transparency" in image.info:
        ground = PIL.Image.new("RGBA", image.size, (background, background, background, 255))
        image = PIL.Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert(mode)
