"""Files of pages: PDF, TIFF, animated GIF. A page is a Picture that is loaded on demand, its pixels only when an annotator looks at them.

So a document of 2000 pages costs its bytes and the few pages in flight, and a page that a fixture or its own text answers is never drawn.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from vision_emulator.annotators import BROKEN, Picture, PictureHeader, text
from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.core import pdf

if TYPE_CHECKING:
    import PIL.Image

FORMATS: Final = {"application/pdf": "PDF", "image/tiff": "TIFF", "image/gif": "GIF"}  # of the documented mime types


class Page(Picture):
    """One page of an open document, of no use when the document is closed.

    ``data`` are the bytes of the whole document; ``size`` is in points for a PDF (documented) and in pixels otherwise.
    """

    def __init__(self, document: Document, number: int, size: tuple[int, int], blocks: Sequence[text.Block] | None) -> None:
        super().__init__(document.data, document.uri)
        self.number = number  # from 1
        self._header = PictureHeader(document.format, *size)
        self.sha256 = hashlib.sha256(f"{document.sha256}:{number}".encode()).hexdigest()
        self.embedded_text = blocks
        self._document = document

    @contextmanager
    def _open(self, side_max: float = math.inf) -> Iterator[PIL.Image.Image]:
        with self._document.pixels(self.number, side_max) as image:
            yield image


class Document(ABC):
    """An open file of pages."""

    in_flight_max: ClassVar[int] = 4  # pages looked at at once: they keep PDFium busy, and leave threads to other calls

    def __init__(self, data: bytes, image_format: str, uri: str, count: int) -> None:
        self.data = data
        self.format = image_format
        self.uri = uri
        self.count = count
        self.sha256 = hashlib.sha256(data).hexdigest()

    @abstractmethod
    async def page(self, number: int, *, with_text: bool) -> Page:
        """The page of this number, from 1; its embedded text only where asked for, since reading it takes time. VisionError when this
        page is broken."""

    @abstractmethod
    @contextmanager
    def pixels(self, number: int, side_max: float) -> Iterator[PIL.Image.Image]:
        """The page as a picture of the reader's own; a renderer gives no more than ``side_max`` pixels a side. VisionError. CPU work."""

    @abstractmethod
    async def close(self) -> None:
        """Lets the file go."""


@asynccontextmanager
async def opened(data: bytes, mime_type: str, uri: str = "") -> AsyncIterator[Document]:
    """The document in these bytes, whose ``mime_type`` is a key of FORMATS; VisionError when they are none or it asks for too much."""
    kind = FORMATS[mime_type]
    document = await (_opened_pdf(data, uri) if kind == "PDF" else asyncio.to_thread(_opened_frames, data, kind, uri))
    try:
        yield document
    finally:
        await document.close()


# ---- PDF ----


class _PdfDocument(Document):
    def __init__(self, data: bytes, uri: str, opened_pdf: pdf.Pdf) -> None:
        super().__init__(data, "PDF", uri, opened_pdf.count)
        self._pdf = opened_pdf

    async def page(self, number: int, *, with_text: bool) -> Page:
        index = number - 1
        try:
            size = await pdf.on_thread(self._pdf.size, index)
            blocks = await pdf.on_thread(self._pdf.text, index) if with_text else None
        except pdf.PdfBroken as broken:
            raise self._page_error(broken) from broken
        return Page(self, number, size, blocks)

    @contextmanager
    def pixels(self, number: int, side_max: float) -> Iterator[PIL.Image.Image]:
        try:
            yield pdf.from_thread(self._pdf.render, number - 1, side_max)
        except pdf.PdfBroken as broken:
            raise self._page_error(broken) from broken

    def _page_error(self, broken: pdf.PdfBroken) -> VisionError:
        return errors.page_unfinished(self.uri) if isinstance(broken, pdf.PdfStuck) else errors.bad_image_data()

    async def close(self) -> None:
        await pdf.on_thread(self._pdf.close)


async def _opened_pdf(data: bytes, uri: str) -> Document:
    try:
        opened_pdf = await pdf.on_thread(pdf.Pdf, data)
    except pdf.PdfLocked as locked:
        raise errors.file_locked(uri) from locked
    except pdf.PdfBroken as broken:
        raise errors.file_broken("PDF", uri) from broken
    return await asyncio.to_thread(_PdfDocument, data, uri, opened_pdf)


# ---- TIFF and GIF ----

# What Pillow raises on the way from frame to frame of a damaged file, found by feeding it such.
_BROKEN_FRAMES: Final = (*BROKEN, EOFError, LookupError, TypeError, ArithmeticError, struct.error)


class _Frames(Document):
    """The frames of one open Pillow image, which is positioned on one frame at a time: a lock goes around every use."""

    def __init__(self, data: bytes, image_format: str, uri: str, image: PIL.Image.Image, count: int) -> None:
        super().__init__(data, image_format, uri, count)
        self._image = image
        self._lock = threading.Lock()

    async def page(self, number: int, *, with_text: bool) -> Page:  # noqa: ARG002 - frames have pixels and nothing else
        return Page(self, number, await asyncio.to_thread(self._size, number), None)

    def _size(self, number: int) -> tuple[int, int]:
        with self._at(number) as image:
            return image.size

    @contextmanager
    def pixels(self, number: int, side_max: float) -> Iterator[PIL.Image.Image]:  # noqa: ARG002 - they have the size they have
        with self._at(number) as image:
            copy = image.copy()
        yield copy

    @contextmanager
    def _at(self, number: int) -> Iterator[PIL.Image.Image]:
        from PIL import Image

        with self._lock:
            try:
                self._image.seek(number - 1)
                if self._image.width * self._image.height > limits.IMAGE_PIXELS_MAX:
                    raise errors.image_too_many_pixels()
                yield self._image
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
                raise errors.image_too_many_pixels() from bomb
            except _BROKEN_FRAMES as broken:
                raise errors.bad_image_data() from broken

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._image.close()


class _Animation(_Frames):
    """A GIF draws each frame over the ones before: one after the other, or every step back would draw all of them again."""

    in_flight_max: ClassVar[int] = 1


def _opened_frames(data: bytes, kind: str, uri: str) -> Document:
    from PIL import GifImagePlugin, Image, TiffImagePlugin  # noqa: F401 - they register themselves

    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
        count: int = getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise errors.file_too_large(uri) from bomb
    except _BROKEN_FRAMES as broken:
        raise errors.file_broken(kind, uri) from broken
    pixels = image.width * image.height
    if pixels > limits.IMAGE_PIXELS_MAX or (kind == "GIF" and pixels * count > limits.FRAMES_PIXELS_MAX):
        raise errors.file_too_large(uri)
    if kind == "TIFF":
        return _Frames(data, kind, uri, image, count)
    return _Animation(data, kind, uri, image, count)
