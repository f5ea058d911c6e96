"""Sound pixels are read whatever is broken around them, and a picture in doubt is refused: checked byte by byte."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from zoo_images.folders.folder import ImageFolder

from tests.plugins.images.test_image_folder import chunk, encoded, fill, one, pixels, png, write
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, ImageInput
from zoo.images import decode, is_web_page, prepare, warnings_are_errors

SIGNATURE = b"\x89PNG\r\n\x1a\n"
UPRIGHT = pixels(6, 4)
STORED = np.ascontiguousarray(np.rot90(UPRIGHT))  # orientation 6 turns it back


def exif(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """Return a TIFF block of entries (tag, type, count, value or offset)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(f"{order}H", len(entries)) + body + bytes(4)


TURN = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
BLOCKS: dict[str, bytes] = {
    "sound": exif(TURN),
    "big-endian": exif((0x0112, 3, 1, struct.pack(">HH", 6, 0)), order=">"),
    "a long number": exif((0x0112, 4, 1, struct.pack("<I", 6))),
    "two resolutions": exif(TURN, (0x011A, 5, 2, struct.pack("<I", 26))),
    "resolution of minus one by zero": exif(TURN, (0x011A, 10, 1, struct.pack("<I", 38))) + struct.pack("<ii", -1, 0),
    "resolution by zero": exif(TURN, (0x011A, 5, 1, struct.pack("<I", 38))) + bytes(8),
    "value far beyond": exif(TURN, (0x010F, 2, 40, struct.pack("<I", 1 << 30))),
    "value of 4 GiB": exif(TURN, (0x010F, 2, (1 << 32) - 1, struct.pack("<I", 8))),
    "directory within itself": exif(TURN, (0x8769, 4, 1, struct.pack("<I", 8))),
    "GPS nowhere": exif(TURN, (0x8825, 4, 1, struct.pack("<I", 1 << 31))),
    "unknown types": exif(TURN, (0x9286, 99, 5, bytes(4))),
    "more entries than there are": exif(TURN)[:8] + struct.pack("<H", 500) + exif(TURN)[10:],
    "cut off behind it": exif(TURN)[:-4],
}


def with_exif(kind: str, block: bytes) -> bytes:
    if kind == "PNG":
        data = png(STORED)
        return data[:33] + chunk(b"eXIf", block) + data[33:]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    return encoded(Image.fromarray(STORED), kind, exif=b"Exif\0\0" + block if kind == "JPEG" else block, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", BLOCKS)
def test_broken_exif_costs_neither_picture_nor_orientation(kind: str, name: str) -> None:
    with warnings_are_errors():
        found = one(with_exif(kind, BLOCKS[name]))
    assert found.shape == UPRIGHT.shape
    assert abs(found.astype(int) - UPRIGHT).max() <= (90 if kind == "JPEG" else 0)  # of noise, which JPEG blurs


@pytest.mark.parametrize("block", [b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\xff", b"no TIFF", exif(), exif()[:9]])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_without_orientation_leaves_the_picture_as_it_is(kind: str, block: bytes) -> None:
    with warnings_are_errors():
        assert one(with_exif(kind, block)).shape == STORED.shape


def test_every_byte_of_exif_may_be_any_other() -> None:
    block = exif((0x0112, 3, 1, struct.pack("<HH", 1, 0)), (0x011A, 5, 1, struct.pack("<I", 38))) + bytes(8)
    data = with_exif("JPEG", block)
    start = data.index(b"II*\0")
    wanted = np.sort(one(data), axis=None)
    with warnings_are_errors():
        for i in range(start, start + len(block)):
            for value in (0, 1, 6, 127, 255):
                found = one(data[:i] + bytes([value]) + data[i + 1 :])
                np.testing.assert_array_equal(np.sort(found, axis=None), wanted)  # turned at most


def segment(marker: int, content: bytes) -> bytes:
    return bytes([255, marker]) + struct.pack(">H", len(content) + 2) + content


SEGMENTS: dict[str, bytes] = {
    "broken index of pictures": segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + b"\xff" * 20),
    "index of pictures that are not there": segment(
        0xE2,
        b"MPF\0"
        + exif(
            (0xB000, 7, 4, b"0100"),
            (0xB001, 4, 1, struct.pack("<I", 2)),
            (0xB002, 7, 32, struct.pack("<I", 50)),
        )
        + b"\xff" * 32,
    ),
    "profile without its number": segment(0xE2, b"ICC_PROFILE\0"),
    "profile of no end": segment(0xE2, b"ICC_PROFILE\0\x01\x09abc"),
    "header twice": segment(0xE1, b"Exif\0\0Exif\0\0" + exif()),
    "JFIF of two bytes": segment(0xE0, b"JFIF\0\x01"),
    "Adobe of no byte": segment(0xEE, b"Adobe"),
    "Photoshop's cut off": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x10abc"),
    "comments": segment(0xFE, b"x" * 60_000) * 200,
    "metadata of someone else": b"".join(segment(0xE0 + i, bytes(range(256))) for i in range(1, 14)),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_of_a_jpeg_that_hold_no_pixels_cost_none(name: str) -> None:
    for mode in ("L", "RGB", "CMYK"):
        data = encoded(Image.fromarray(pixels(16, 16)).convert(mode), "JPEG")
        with warnings_are_errors():
            np.testing.assert_array_equal(one(data[:2] + SEGMENTS[name] + data[2:]), one(data))


def test_orientation_of_xmp_counts_if_exif_has_none() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    jpeg = encoded(Image.fromarray(STORED), "JPEG")
    assert one(jpeg[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp) + jpeg[2:]).shape == UPRIGHT.shape
    data = png(STORED)
    for text in (b"\0\0\0\0" + xmp, b"\x01\0\0\0" + zlib.compress(xmp)):
        np.testing.assert_array_equal(
            one(data[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0" + text) + data[33:]), UPRIGHT
        )
    profile = b"\nexif\n%8d\n%s\n" % (len(exif(TURN)), exif(TURN).hex().encode())
    for kind, text in ((b"tEXt", profile), (b"zTXt", b"\0" + zlib.compress(profile))):
        np.testing.assert_array_equal(
            one(data[:33] + chunk(kind, b"Raw profile type exif\0" + text) + data[33:]), UPRIGHT
        )


MEBIBYTES = zlib.compress(bytes((1 << 20) + 1))
CHUNKS: dict[str, bytes] = {
    "profile": chunk(b"iCCP", b"scanner\0\0" + MEBIBYTES),
    "profile of another compression": chunk(b"iCCP", b"scanner\0\x07abc"),
    "compressed comment": chunk(b"zTXt", b"Comment\0\0" + MEBIBYTES),
    "compressed comment in Unicode": chunk(b"iTXt", b"Comment\0\x01\0\0\0" + MEBIBYTES),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + MEBIBYTES),
    "many comments": chunk(b"tEXt", b"Comment\0" + bytes(1 << 20)) * 65,
    "short ones": b"".join(chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"eXIf", b"tIME")),
    "wrong checksum": chunk(b"tEXt", b"Comment\0abc")[:-1] + b"\0",
    "animation of no picture": chunk(b"acTL", bytes(8)),
    "two animations": chunk(b"acTL", struct.pack(">II", 1, 0)) * 2,
    "short animation": chunk(b"acTL", b"\0"),
    "frame beyond the picture": chunk(b"acTL", struct.pack(">II", 1, 0))
    + chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 99, 99, 9, 9, 1, 1, 0, 0)),
    "short frame": chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", bytes(4)),
    "frames out of order": chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fdAT", bytes(4)),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_a_png_that_hold_no_pixels_cost_none(name: str) -> None:
    array = pixels(16, 16)
    data = png(array)
    for at in (33, len(data) - 12):  # behind the header, and before the end
        with warnings_are_errors():
            np.testing.assert_array_equal(one(data[:at] + CHUNKS[name] + data[at:]), array)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
def test_texts_that_may_have_the_orientation_are_inflated_once(kind: str) -> None:
    head = b"Raw profile type exif\0\0" if kind == "zTXt" else b"XML:com.adobe.xmp\0\x01\0\0\0"
    data = png(UPRIGHT)
    data = data[:33] + chunk(kind.encode(), head + MEBIBYTES) * 2000 + data[33:]
    started = time.process_time()
    np.testing.assert_array_equal(one(data), UPRIGHT)
    assert time.process_time() - started < 1


def test_last_text_with_the_orientation_counts() -> None:
    data = png(STORED)
    texts = [b'<rdf:Description tiff:Orientation="%d"/>' % value for value in (3, 6)]
    chunks = [chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(text)) for text in texts]
    np.testing.assert_array_equal(one(data[:33] + b"".join(chunks) + data[33:]), UPRIGHT)


def test_comment_between_the_pixels_costs_none() -> None:
    array = pixels(64, 64)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in array))
    parts = [chunk(b"IDAT", packed[:4000]), chunk(b"tEXt", b"Comment\0abc"), chunk(b"IDAT", packed[4000:])]
    data = png(array)
    np.testing.assert_array_equal(one(data[:33] + b"".join(parts) + chunk(b"IEND", b"")), array)


def kinds_of_png() -> dict[str, bytes]:
    """Return PNG files of 28x28 pixels."""
    seen, gray = pixels(28, 28), pixels(28, 28, 1)
    palette = Image.fromarray(seen).quantize(16)
    with_alpha = encoded(palette, "PNG", transparency=bytes([0, 128, *[255] * 14]))
    deep = png(gray.astype(np.uint16) * 257)
    described = png(gray)
    described = described[:33] + chunk(b"tEXt", b"Comment\0abc") + chunk(b"gAMA", bytes(4)) + described[33:]
    many = zlib.compress(b"".join(b"\0" + row.tobytes() for row in gray))
    pieces = b"".join(chunk(b"IDAT", many[i : i + 52]) for i in range(0, len(many), 52))
    return {
        "color": png(seen),
        "gray": png(gray),
        "palette": with_alpha,
        "deep": deep,
        "described": described,
        "pieces": png(gray)[:33] + pieces + chunk(b"IEND", b""),
    }


PNGS = kinds_of_png()


@pytest.mark.parametrize("name", PNGS)
def test_png_with_a_flipped_bit_is_the_same_or_refused(name: str) -> None:
    data = PNGS[name]
    wanted, refused = one(data, 0), 0
    with warnings_are_errors():
        for bit in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                found = one(bytes(flipped), 0)
            except DataError:
                refused += 1
                continue
            assert found.shape == wanted.shape, bit
            assert (found == wanted).all(), bit
    assert refused > 0.8 * 8 * len(data)


BROKEN: dict[str, bytes] = {
    "cut in the last checksum": png(pixels())[:-1],
    "cut before the end": png(pixels())[:-12],
    "checksum of the pixels": png(pixels())[:-13] + b"\0" + png(pixels())[-12:],
    "no palette": SIGNATURE
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0"))
    + chunk(b"IEND", b""),
    "no pixels": png(pixels())[:33] + chunk(b"IEND", b""),
    "two headers": png(pixels())[:33] + png(pixels())[8:],
    "a chunk that matters": png(pixels())[:33] + chunk(b"CgBI", bytes(4)) + png(pixels())[33:],
    "no name": png(pixels())[:33] + chunk(b"\0\0\0\0", b"") + png(pixels())[33:],
    "too many chunks": png(pixels())[:33] + chunk(b"teSt", b"") * 140_000 + png(pixels())[33:],
}


@pytest.mark.parametrize("name", BROKEN)
def test_png_whose_pixels_are_in_doubt_is_refused(name: str, golden: Golden) -> None:
    with golden.raises(DataError, path="it"):
        one(BROKEN[name])


def test_jpeg_of_very_many_segments_is_refused(golden: Golden) -> None:
    data = encoded(Image.fromarray(pixels()), "JPEG")
    with golden.raises(DataError, path="it"):
        one(data[:2] + segment(0xFE, b"") * 17_000 + data[2:])


def test_bytes_between_the_segments_of_a_jpeg_cost_no_time(golden: Golden) -> None:
    data = encoded(Image.fromarray(pixels()), "JPEG")
    for junk in (b"\xff" * (1 << 24), b"\x12" * (1 << 24)):  # Pillow would read them one by one
        np.testing.assert_array_equal(one(data[:20] + junk + data[20:]), one(data))
        with golden.raises(DataError, path="it"):
            one(data[:20] + junk)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_deflate"}), ("PPM", {})],
)
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_tiff_and_pnm_are_read(kind: str, options: dict[str, Any], mode: str) -> None:
    image = Image.fromarray(pixels(28, 20)).convert(mode)
    with warnings_are_errors():
        np.testing.assert_array_equal(one(encoded(image, kind, **options)), image.convert("L" if mode == "1" else mode))


def test_tiff_is_turned_and_has_sixteen_bits_like_a_png() -> None:
    block = Image.Exif()
    block[0x0112] = 6
    np.testing.assert_array_equal(one(encoded(Image.fromarray(STORED), "TIFF", exif=block)), UPRIGHT)
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    assert one(encoded(Image.fromarray(deep), "TIFF")).tolist() == one(png(deep)).tolist()
    data = encoded(Image.fromarray(deep), "TIFF")
    inverted = data.replace(struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 0))
    assert inverted != data
    assert one(inverted).tolist() == (255 - one(png(deep)).astype(int)).tolist()
    pages = encoded(Image.fromarray(UPRIGHT), "TIFF", save_all=True, append_images=[Image.fromarray(STORED)])
    np.testing.assert_array_equal(one(pages), UPRIGHT)


def test_tiff_of_other_values_or_of_huge_tiles_is_refused(golden: Golden) -> None:
    for array in (pixels(8, 8, 1).astype(np.float32), pixels(8, 8, 1).astype(np.int32)):
        with golden.raises(DataError, path="it"):
            one(encoded(Image.fromarray(array), "TIFF"))
    tiles = [(322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 8)]
    plain = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    with golden.raises(DataError, path="it"):
        one(exif(*((tag, kind, count, struct.pack("<I", value)) for tag, kind, count, value in plain + tiles)))


def test_heic_raw_and_pages_are_told_what_to_do(golden: Golden) -> None:
    for data in (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), b"\n<!DOCTYPE html><title>403</title>"):
        with golden.raises(DataError, path="it"):
            one(data)


@pytest.mark.parametrize(
    ("data", "is_it"),
    [
        (b"<!DOCTYPE html PUBLIC", True), (b"<!doctypehtml><title>", True), (b"\xef\xbb\xbf\r\n <HTML lang=en>", True),
        (b"<!DOCTYPE svg>", False), (b"text about <html>", False), (b" " * 600 + b"<html>", False), (b"", False),
    ],
)  # fmt: skip
def test_web_page_is_told_by_its_beginning(data: bytes, is_it: bool) -> None:
    assert is_web_page(data) == is_it


def test_avif_is_read_or_said_to_need_another_pillow(monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    pytest.importorskip("PIL._avif")
    data = encoded(Image.new("RGB", (16, 16), (200, 10, 10)), "AVIF")
    assert abs(one(data)[8, 8].astype(int) - [200, 10, 10]).max() < 16
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    with golden.raises(DataError, path="it"):
        one(data)


def test_training_and_prediction_read_the_same(run_zoo: Zoo, tmp_path: Path) -> None:
    """A photograph with broken metadata becomes the same pixels for training, `zoo predict` and `zoo serve`."""
    fill(tmp_path, count=4, channels=3)
    data = with_exif("JPEG", BLOCKS["resolution of minus one by zero"])
    write(tmp_path / "cat" / "img0.jpe", data)
    split = ImageFolder(size=(6, 4), color_mode="rgb").load(tmp_path)
    form = ImageInput(background=255, inverted=False)
    wanted = prepare(data, "it", (6, 4, 3), form, "auto").pixels
    every = [part[np.arange(len(part))][0] for part in (split.train, split.test, split.validation) if part]
    assert any((image == wanted).all() for images in every for image in images)
    done = run_zoo("predict", "fashion-cnn", tmp_path / "cat" / "img0.jpe", "--json")
    assert (done.status, len(json.loads(done.out))) == (0, 1)


def of_pillow(data: bytes) -> NDArray[np.uint8]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


@pytest.mark.full
def test_pictures_of_installed_packages_are_read_as_pillow_reads_them() -> None:
    """All pictures that packages bring: what Pillow reads is read, to the same pixels."""
    roots = {Path(module.__file__ or "").parent.parent for module in (np, pytest)}
    suffixes = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
    count = 0
    for path in sorted(path for root in roots for path in root.rglob("*") if path.suffix.casefold() in suffixes):
        data = path.read_bytes()
        try:
            with Image.open(io.BytesIO(data)) as image:
                is_plain = image.mode in ("1", "L", "RGB") and "transparency" not in image.info
            wanted = of_pillow(data)
        except Exception:  # noqa: S112  # what Pillow does not read, or reads only in part
            continue
        count += 1
        found = decode(data, str(path), background=255)
        assert found.size == wanted.shape[1::-1], path
        assert not is_plain or (np.asarray(found) == wanted).all(), path
    assert count > 10
