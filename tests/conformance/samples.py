"""What the variants' URIs and contents mean: a few small files, so that an answer depends on the request and on nothing else."""

from __future__ import annotations

import struct
from functools import cache
from typing import Final

from documents import frames, text_pdf
from vision_emulator.contract import limits


def bmp(width: int = 96, height: int = 72, colour: bytes = b"\x01\x4b\x0b") -> bytes:
    """A picture of one colour, a bit per pixel and no compression: the same bytes whichever library draws or packs."""
    pixels = bytes((width + 31) // 32 * 4) * height
    size = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 1, 0, len(pixels), 0, 0, 2, 0)
    return struct.pack("<2sIII", b"BM", 62 + len(pixels), 0, 62) + size + colour + b"\0\xff\xff\xff\0" + pixels


PICTURE: Final = bmp()  # of a colour for which the synthetic annotator finds something of every kind
PICTURE_URI: Final = "gs://inputs/picture.bmp"
DOCUMENT_URI: Final = "gs://inputs/two-pages.tiff"
PDF_URI: Final = "gs://inputs/seven-pages.pdf"
RESULTS_URI: Final = "gs://results/run/"


@cache
def document() -> bytes:
    """Two pages."""
    return frames("TIFF", 2, (96, 72))


def objects() -> dict[str, bytes]:
    """The bucket ``inputs``: what there is to read, good and broken."""
    return {
        "picture.bmp": PICTURE,
        "wide picture ü.bmp": bmp(64, 8),
        "empty.bmp": b"",
        "broken.bmp": PICTURE[:40],
        "text.txt": b"no picture",
        "two-pages.tiff": document(),
        "seven-pages.tiff": frames("TIFF", 7, (96, 72)),
        "seven-frames.gif": frames("GIF", 7, (96, 72)),
        "seven-pages.pdf": text_pdf(7, size=(72, 72)),
        "broken.pdf": b"%PDF-1.7\nnothing more",
    }


def picture_of_bytes(count: int) -> bytes:
    """A picture file of exactly so many bytes: the picture, and nothing behind it."""
    return PICTURE + bytes(count - len(PICTURE))


TOO_LARGE: Final = limits.IMAGE_BYTES_MAX + 1
