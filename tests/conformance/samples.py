"""What the variants' URIs and contents mean: a few small files, written byte by byte.

What is seen in a picture is invented from its bytes, so they must not depend on how a library packs them.
"""

from __future__ import annotations

import struct
from typing import Final

from documents import text_pdf
from vision_emulator.contract import limits


def bmp(width: int = 96, height: int = 72, colour: bytes = b"\x01\x4b\x0b") -> bytes:
    """A picture of one colour, a bit per pixel and no compression."""
    pixels = bytes((width + 31) // 32 * 4) * height
    size = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 1, 0, len(pixels), 0, 0, 2, 0)
    return struct.pack("<2sIII", b"BM", 62 + len(pixels), 0, 62) + size + colour + b"\0\xff\xff\xff\0" + pixels


def tiff(pages: int, side: int = 64) -> bytes:
    """White squares, a bit per pixel and no compression, each with its directory behind its pixels."""
    pixels = b"\xff" * (side * side // 8)
    file = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    for page in range(1, pages + 1):
        start = len(file)
        tags = {256: side, 257: side, 258: 1, 259: 1, 262: 1, 273: start, 277: 1, 278: side, 279: len(pixels)}
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        following = start + len(pixels) + 2 + len(directory) + 4 + len(pixels) if page < pages else 0
        file += pixels + struct.pack("<H", len(tags)) + directory + struct.pack("<I", following)
    return file


def gif(frames: int, side: int = 64) -> bytes:
    """Squares of one grey each; its codes stay a byte wide because the dictionary is cleared before it grows."""
    clear, end, run = b"\x80", b"\x81", 64
    file = struct.pack("<6sHHBBB", b"GIF89a", side, side, 0xF6, 0, 0) + b"".join(bytes((2 * grey,) * 3) for grey in range(128))
    for frame in range(frames):
        codes = (clear + bytes((frame,)) * run) * (side * side // run) + end
        blocks = b"".join(bytes((len(part),)) + part for part in (codes[at : at + 255] for at in range(0, len(codes), 255)))
        file += struct.pack("<BHHHHBB", 0x2C, 0, 0, side, side, 0, 7) + blocks + b"\0"
    return file + b"\x3b"


PICTURE: Final = bmp()  # of a colour for which the synthetic annotator finds something of every kind
PICTURE_URI: Final = "gs://inputs/picture.bmp"
DOCUMENT_URI: Final = "gs://inputs/two-pages.tiff"
PDF_URI: Final = "gs://inputs/seven-pages.pdf"
DOCUMENT: Final = tiff(2)
RESULTS_URI: Final = "gs://results/run/"


def objects() -> dict[str, bytes]:
    """The bucket ``inputs``: what there is to read, good and broken."""
    return {
        "picture.bmp": PICTURE,
        "wide picture ü.bmp": bmp(64, 8),
        "empty.bmp": b"",
        "broken.bmp": PICTURE[:40],
        "text.txt": b"no picture",
        "two-pages.tiff": DOCUMENT,
        "seven-pages.tiff": tiff(7),
        "seven-frames.gif": gif(7),
        "seven-pages.pdf": text_pdf(7, size=(72, 72)),
        "broken.pdf": b"%PDF-1.7\nnothing more",
    }


def picture_of_bytes(count: int) -> bytes:
    """A picture file of exactly so many bytes: the picture, and nothing behind it."""
    return PICTURE + bytes(count - len(PICTURE))


TOO_LARGE: Final = limits.IMAGE_BYTES_MAX + 1
