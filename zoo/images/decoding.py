"""Decodes image files of all supported formats to ``L`` or ``RGB``; headers are checked before any pixel is decoded."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import DataError, ZooError
from zoo.images.flattening import flattened
from zoo.images.formats import unidentified
from zoo.images.jpeg_scans import MOST_SCANS, scans_kept
from zoo.images.natural_sort import shown
from zoo.images.orientation import orientation_of, upright
from zoo.images.stripping import without_metadata
from zoo.images.tiff_headers import prepare_tiff
from zoo.images.workers import PixelBudget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from zoo.images.deep_gray import ValueRange

MAX_PIXELS = 1 << 26
"""Maximum number of pixels in an image: 67 million."""

_UNSUPPORTED_MODES = ("F", "HSV", "LAB")
_BUDGET = PixelBudget(MAX_PIXELS)


class LargeImageError(ZooError):
    """An image has more pixels than a caller wants to decode, though not too many."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a decoded image file has.

    Args:
        is_gray: Whether it is stored as grayscale.
        largest: The largest value of an image of 16 bits per channel, 0 to 65,535; None for other images.
    """

    is_gray: bool
    largest: int | None


@contextlib.contextmanager
def warnings_are_errors() -> Iterator[None]:
    """Turn warnings from Pillow about pixels into errors of the file; those about metadata are ignored."""
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):
            warnings.filterwarnings("error", category=category, module=r"PIL\.")
        # of tags: without those that a TIFF needs for its pixels, it is refused anyway
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
        yield


@contextlib.contextmanager
def decoded(
    data: bytes,
    source: str,
    *,
    background: int,
    near: tuple[int, int] | None = None,
    value_range: ValueRange | None = None,
) -> Iterator[Image]:
    """Yield what `decode` returns, and reserve its share of the pixel budget until the block ends.

    Images that are open at the same time have at most `MAX_PIXELS` in total: other threads wait.
    """
    with contextlib.ExitStack() as held:
        yield _decode(data, source, background, near, value_range, held)[0]


def decode(
    data: bytes,
    source: str,
    *,
    background: int,
    near: tuple[int, int] | None = None,
    value_range: ValueRange | None = None,
) -> Image:
    """Return an image, upright, in mode ``L`` if it is stored as grayscale, else in mode ``RGB``.

    The content determines the format, whatever the file name. If a file has more than one image, the first one is used.
    16-bit channels are reduced to their upper eight bits. Metadata other than the orientation are ignored: color
    profiles, comments and damaged EXIF cost no image.

    Args:
        data: Content of the file.
        source: Name of the file in error messages.
        background: Brightness of the background behind transparent parts, 0 to 255.
        near: Height and width that the image will be scaled to: a JPEG at least four times as large on both sides is
            decoded at a lower resolution.
        value_range: Values of 16-bit grayscale that become 0 and 255; None for 0 and 65,535.

    Raises:
        DataError: The format is not supported, the file is damaged, or it has more than `MAX_PIXELS` pixels or
            `MOST_SCANS` scans.
    """
    with decoded(data, source, background=background, near=near, value_range=value_range) as image:
        return image


@contextlib.contextmanager
def inspected(
    data: bytes,
    source: str,
    *,
    background: int,
    near: tuple[int, int] | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[Image, Inspection]]:
    """Yield what `decode` returns and what the file has.

    The arguments and errors are those of `decoded`. More than ``most_pixels``, after a JPEG is scaled down, raise
    `LargeImageError`.
    """
    with contextlib.ExitStack() as held:
        image, largest = _decode(data, source, background, near, None, held, most_pixels)
        yield image, Inspection(is_gray=image.mode == "L", largest=largest)


def _decode(
    data: bytes,
    source: str,
    background: int,
    near: tuple[int, int] | None,
    value_range: ValueRange | None,
    held: contextlib.ExitStack,
    most_pixels: int = MAX_PIXELS,
) -> tuple[Image, int | None]:
    """Return the image, and its largest value if it has 16 bits per channel."""
    import PIL.Image

    file = without_metadata(data, source)
    try:
        with PIL.Image.open(io.BytesIO(file.data), formats=file.formats) as image:
            _check_header(image, source)
            stored = image.width * image.height
            is_jpeg = image.format in ("JPEG", "MPO")
            if near is not None and is_jpeg:
                side = 2 * max(near)  # for both sides, since EXIF may turn the image by 90 degrees
                image.draft(image.mode, (side, side))
            # the full image is in memory until the last scan is read, even if it is decoded at a lower resolution
            is_kept = is_jpeg and _check_scans(file.data, source) > 0
            is_tiff = image.format == "TIFF"
            orientation = prepare_tiff(image, source) if is_tiff else orientation_of({**image.info, **file.info})
            pixels = stored if is_kept else image.width * image.height
            if pixels > most_pixels:
                raise LargeImageError(f"{source} has {pixels:,} pixels, more than the {most_pixels:,} asked for.")
            held.enter_context(_BUDGET.taken(pixels))
            image.load()
            flat, largest = flattened(image, file, background, value_range)
            return upright(flat, orientation), largest
    except ZooError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise DataError(f"{source} {unidentified(data)}.", path=source) from error
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
    if image.mode in _UNSUPPORTED_MODES or (image.mode == "I" and image.format == "TIFF"):
        raise DataError(
            f"{source} has values that are not brightnesses of 8 or 16 bits, but floats, 32-bit integers or another "
            f"color space: save it as 8-bit or 16-bit PNG. Received: mode={image.mode!r}",
            path=source,
        )


def _check_scans(data: bytes, source: str) -> int:
    """Return `scans_kept`, or raise `DataError`: a scan of a few bytes takes as long to decode as a full image."""
    count = scans_kept(data)
    if count > MOST_SCANS:
        raise DataError(f"{source} has too many JPEG scans: save it again with at most {MOST_SCANS}.", path=source)
    return count
