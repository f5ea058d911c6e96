"""Formats of image files: those that are read, and what to do about images in others."""

from __future__ import annotations

import os
import re

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP", "PPM", "TIFF", "AVIF")
"""Names of the formats that are read, as Pillow has them."""

SUFFIXES = (
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff",
    ".webp",
)  # fmt: skip
"""Suffixes of image file names, in lowercase or uppercase."""

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx")
_HEIC = (".heic", ".heif", ".hif")
_RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw")
_OTHERS = (
    ".dcm", ".dds", ".djvu", ".eps", ".exr", ".hdr", ".icns", ".ico", ".j2k", ".jp2", ".jxl", ".pcx", ".pfm", ".psd",
    ".sgi", ".svg", ".tga", ".xcf",
)  # fmt: skip
_WEB_PAGE = re.compile(rb"[\xef\xbb\xbf\s]*(<!doctype\s*html|<html)", re.IGNORECASE)  # after a byte order mark, or not
_LFS = b"version https://git-lfs.github.com/"
_START = 512  # bytes in which a web page begins


def is_web_page(data: bytes) -> bool:
    """Return whether a file is a web page, as a failed download leaves it.

    Args:
        data: Content of the file, or some hundred bytes from its start.
    """
    return _WEB_PAGE.match(data[:_START]) is not None


def unsupported(name: str) -> str | None:
    """Return what to do about an image in a format that is not read, by its suffix; None for any other file."""
    suffix = os.path.splitext(name)[1].casefold()
    if suffix in _HEIC:
        return "zoo does not read HEIC images: convert it to JPEG, for example with `magick IMAGE.heic IMAGE.jpg`"
    if suffix in _RAW:
        return "zoo does not read raw images of cameras: export it as JPEG or 16-bit TIFF from a raw converter"
    if suffix in _OTHERS:
        return f"zoo does not read {suffix} images: convert it to JPEG or PNG"
    return None


def unreadable(data: bytes) -> str | None:
    """Return what to do about an image of the HEIF family that is not read, to follow its name; None for other files.

    Args:
        data: Content of the file.
    """
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in _HEIC_BRANDS:
        return f"is a HEIC image: {unsupported('x.heic')}"
    if brand in _AVIF_BRANDS:
        from PIL import features

        if not features.check("avif"):
            return "is an AVIF image, which this Pillow cannot read: update Pillow, or convert it to JPEG or PNG"
    return None


def unidentified(data: bytes) -> str:
    """Return what is wrong with a file that Pillow does not recognize, and what to do, to follow its name.

    Args:
        data: Content of the file.
    """
    if is_web_page(data):
        return "is a web page, not an image: download the image itself"
    if data.startswith(_LFS):
        return "is a pointer to a file in Git LFS: fetch the file with `git lfs pull`"
    return f"is not an image in a supported format: convert it to one of {', '.join(FORMATS)}"
