"""Images of every broken and odd kind, made here byte by byte, for every layer."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image

from pictures import drawn

SIZE = (160, 120)


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """The image as a file of this format."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def scene() -> Image.Image:
    """A drawn picture of SIZE."""
    return Image.open(io.BytesIO(drawn(3))).convert("RGB")


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, pixels: bytes, *extra: bytes) -> bytes:
    """An RGB PNG of this size with these bytes as its pixel stream, and extra chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def deflated(size: int) -> bytes:
    """So many zeros as a zlib stream, made piece by piece."""
    squeeze = zlib.compressobj(9)
    return b"".join(squeeze.compress(bytes(min(1 << 20, size - at))) for at in range(0, size, 1 << 20)) + squeeze.flush()


def gif(width: int, height: int, data: bytes) -> bytes:
    """A GIF of two colours, this canvas and one frame of the same size with these sub-blocks of LZW codes."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes((0, 0, 0, 255, 255, 255))
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + data + b"\x00;"


def bmp(width: int, height: int) -> bytes:
    """A BMP header of this size with a few pixels."""
    return (
        b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)
    )


def padded(data: bytes, size: int) -> bytes:
    """The image with bytes behind it that nobody reads, up to this size."""
    return data + bytes(size - len(data))


def animated(image_format: str) -> bytes:
    """Three frames, the first of which is the scene."""
    others = [Image.new("RGB", SIZE, color) for color in ("red", "blue")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    return saved(scene(), image_format, save_all=True, append_images=others, duration=100, **options)


def rotated() -> bytes:
    """A JPEG of SIZE whose EXIF says that it is to be turned by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(scene(), "JPEG", exif=exif.tobytes())


def cut(image_format: str, kept: float, **options: Any) -> bytes:
    """The start of a file."""
    data = saved(scene(), image_format, **options)
    return data[: int(kept * len(data))]


ODD: dict[str, Callable[[], tuple[bytes, tuple[int, int]]]] = {
    "one pixel": lambda: (saved(Image.new("RGB", (1, 1)), "PNG"), (1, 1)),
    "one row": lambda: (saved(Image.new("RGB", (3000, 1)), "JPEG"), (3000, 1)),
    "16-bit PNG": lambda: (saved(Image.new("I;16", SIZE, 30000), "PNG"), SIZE),
    "1-bit PNG": lambda: (saved(scene().convert("1"), "PNG"), SIZE),
    "palette with transparency": lambda: (saved(scene().convert("P"), "PNG", transparency=0), SIZE),
    "transparent PNG": lambda: (saved(scene().convert("RGBA"), "PNG"), SIZE),
    "CMYK JPEG": lambda: (saved(scene().convert("CMYK"), "JPEG"), SIZE),
    "grey JPEG": lambda: (saved(scene().convert("L"), "JPEG"), SIZE),
    "progressive JPEG": lambda: (saved(scene(), "JPEG", progressive=True), SIZE),
    "animated GIF": lambda: (animated("GIF"), SIZE),
    "animated WEBP": lambda: (animated("WEBP"), SIZE),
    "turned by EXIF": lambda: (rotated(), SIZE),
    "BMP": lambda: (saved(scene(), "BMP"), SIZE),
    "ICO": lambda: (saved(scene(), "ICO", sizes=[SIZE]), SIZE),
    "TIFF": lambda: (saved(scene(), "TIFF"), SIZE),
    "TIFF of pages": lambda: (animated("TIFF"), SIZE),
    "CMYK TIFF": lambda: (saved(scene().convert("CMYK"), "TIFF"), SIZE),
    "PNG with a bomb behind its pixels": lambda: (png(2, 2, zlib.compress(bytes(14)) + deflated(1 << 26)), (2, 2)),
}
BAD: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"plain text",
    "one byte": lambda: b"\xff",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
    "HTML": lambda: b"<!DOCTYPE html><title>404</title>",
    "PNG magic on a JPEG": lambda: b"\x89PNG\r\n\x1a\n" + drawn()[8:],
    "JPEG magic on nothing": lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\xff\xd9",
    "PNG of no pixels": lambda: png(0, 0, zlib.compress(b"")),
    "PNG of no width": lambda: png(0, 5, zlib.compress(bytes(5))),
    "GIF of no pixels": lambda: gif(0, 0, b"\x01\x44"),
    "BMP of no pixels": lambda: bmp(0, 0),
    "cut JPEG": lambda: cut("JPEG", 0.5),
    "cut PNG": lambda: cut("PNG", 0.5),
    "cut GIF": lambda: cut("GIF", 0.3),
    "cut WEBP": lambda: cut("WEBP", 0.5),
    "cut TIFF": lambda: cut("TIFF", 0.5, compression="tiff_lzw"),
    "cut BMP": lambda: cut("BMP", 0.5),
    "header of a JPEG": lambda: cut("JPEG", 0.1),
    "PNG with too few pixels": lambda: png(100, 100, zlib.compress(bytes(100))),
    "PNG with no zlib stream": lambda: png(100, 100, b"no zlib"),
    "GIF with no codes": lambda: gif(100, 100, b""),
    "PNG with a bomb as text": lambda: png(2, 2, zlib.compress(bytes(14)), chunk(b"zTXt", b"Comment\0\0" + deflated(1 << 26))),
}
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "PNG one pixel over": lambda: png(75_000_001, 1, zlib.compress(bytes(100))),
    "PNG one row over": lambda: png(1000, 75_001, zlib.compress(bytes(100))),
    "PNG bomb": lambda: png(60_000, 60_000, deflated(1 << 26)),
    "largest PNG": lambda: png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(100))),
    "GIF bomb": lambda: gif(65_535, 65_535, b"\x02\x4c\x01"),
    "BMP bomb": lambda: bmp(40_000, 40_000),
}
