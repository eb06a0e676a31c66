"""PDF by PDFium: how many pages, how large, their pixels, and the text that stands in the file itself.

PDFium may not be entered by two threads at once, not even for two documents, and its binding lets go of the interpreter's lock. So one
thread of the process does all of it, whatever event loop or thread asks; and every object of it is closed there by hand, because a
finalizer would run in the thread that happens to collect garbage.
"""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, Self, TypeVar

from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.text import Block, Line, Symbol, letters
from vision_emulator.contract import limits

if TYPE_CHECKING:
    import PIL.Image

P = ParamSpec("P")
T = TypeVar("T")

_THREAD: Final = ThreadPoolExecutor(1, "pdfium")

POINTS_PER_INCH: Final = 72
DOTS_PER_INCH: Final = 200  # of rendered pages: what readers of text ask for
_ERROR_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD; owner restrictions do not count, such a file opens
_OUT_OF_FILE: Final = 1.0  # confidence of a character that was not recognized but read from the file: no measurement, by definition sure
_BAD_SHARE_MAX: Final = 0.2  # of characters that name nothing: beyond it the fonts do not say what they show
_SCAN_CHARS_MAX: Final = 64  # fewer characters over a page-filling picture are a stamp on a scan
_SCAN_SHARE_MIN: Final = 0.5  # of the page that such a picture covers
_HYPHENS: Final = "\x02\ufffe"  # PDFium's marks for a hyphen at the end of a line


class PdfBroken(Exception):
    """What PDFium cannot open or load."""


class PdfLocked(PdfBroken):
    """A document that opens only with a password."""


class Pdf:
    """An open document; pages are counted from 0. Every method runs on PDFium's thread: reach it by ``on_thread`` or ``from_thread``."""

    def __init__(self, document: Any) -> None:
        self._document: Any = document
        self.count: Final[int] = len(document)

    @classmethod
    def open(cls, data: bytes) -> Self:
        """The document in these bytes, which stay in memory with it; PdfLocked, or PdfBroken."""
        import pypdfium2

        try:
            return cls(pypdfium2.PdfDocument(data))
        except pypdfium2.PdfiumError as broken:
            raise (PdfLocked if broken.err_code == _ERROR_PASSWORD else PdfBroken)(str(broken)) from broken

    def close(self) -> None:
        """Lets the document go; what is asked of it later is PdfBroken."""
        self._document.close()
        self._document = None

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of a page as it is shown, in whole points, cut as the real service cuts them (A4 is 595 by 841)."""
        import pypdfium2

        try:
            width, height = self._open_document().get_page_size(index)
        except pypdfium2.PdfiumError as broken:
            raise PdfBroken(str(broken)) from broken
        return max(1, int(width)), max(1, int(height))

    def render(self, index: int, side_max: float = math.inf) -> PIL.Image.Image:
        """The page as an RGB picture, at 200 dots per inch or as many as give 20 megapixels and ``side_max`` pixels a side."""
        with self._page(index) as page:
            width, height = page.get_size()
            scale = min(
                DOTS_PER_INCH / POINTS_PER_INCH,
                math.sqrt(limits.RENDERED_PIXELS_MAX / (width * height)),
                side_max / max(width, height),
            )
            bitmap = page.render(scale=scale, may_draw_forms=False)
            try:
                picture: PIL.Image.Image = bitmap.to_pil()  # a copy, since PDFium's order of colours is another
            finally:
                bitmap.close()
        return picture

    def text(self, index: int) -> list[Block] | None:
        """What the file says is written on the page, in PDFium's reading order, boxes in points from the top left; None when nothing
        is or it is unusable."""
        with self._page(index) as page:
            lines = list(_lines(_rows(page), _placer(page)))
            symbols = [symbol for line in lines for word in line for symbol in word]
            if not symbols or sum(map(_names_nothing, symbols)) > _BAD_SHARE_MAX * len(symbols):
                return None
            if len(symbols) < _SCAN_CHARS_MAX and _is_scan(page):
                return None
        return _blocks(lines)

    @contextmanager
    def _page(self, index: int) -> Iterator[Any]:
        import pypdfium2

        try:
            page = self._open_document().get_page(index)
        except pypdfium2.PdfiumError as broken:
            raise PdfBroken(str(broken)) from broken
        try:
            yield page
        finally:
            page.close()

    def _open_document(self) -> Any:
        if self._document is None:
            raise PdfBroken("The document is closed.")  # a cancelled batch: nobody waits for the page any more
        return self._document


async def on_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs it on PDFium's thread while the event loop goes on."""
    return await asyncio.wrap_future(_THREAD.submit(work, *arguments, **named))


def from_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs it on PDFium's thread while this one, which may not be the event loop's, waits."""
    return _THREAD.submit(work, *arguments, **named).result()


# ---- text ----


class _Letter(NamedTuple):
    """One character of PDFium's with its edges, in points from the bottom left of the unturned page."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


_Row = list[list[_Letter]]  # the words of a line


def _rows(page: Any) -> list[_Row]:
    """The lines of a page in PDFium's order; none of a page that has more characters than anybody could read."""
    import ctypes

    import pypdfium2.raw as pdfium

    # PDFium gives characters one by one. Its binding would let go of the interpreter's lock for each of these thousands of tiny calls,
    # and every busy thread would take its chance; called as Python's own functions they keep it.
    unicode_of = ctypes.PYFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_int)(_address(pdfium.FPDFText_GetUnicode))
    box_of = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(_address(pdfium.FPDFText_GetLooseCharBox))
    text_page = pdfium.FPDFText_LoadPage(page)
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count > limits.PAGE_CHARS_MAX:
            return []
        handle, rectangle = ctypes.cast(text_page, ctypes.c_void_p), pdfium.FS_RECTF()
        place = ctypes.byref(rectangle)
        rows: list[_Row] = [[[]]]
        for index in range(count):
            character = _character(unicode_of(handle, index))
            if character == "\n":
                rows.append([[]])
            elif character == " ":
                rows[-1].append([])
            elif character:
                box_of(handle, index, place)
                rows[-1][-1].append(_Letter(character, rectangle.left, rectangle.bottom, rectangle.right, rectangle.top))
        return rows
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def _address(function: Any) -> int:
    import ctypes

    return ctypes.cast(function, ctypes.c_void_p).value or 0


@lru_cache(4096)
def _character(code: int) -> str:
    """What stands for PDFium's code: nothing for control characters, U+FFFD for what is no character."""
    character = "\ufffd" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)
    if character in _HYPHENS:
        return "-"
    if character.isspace():
        return "\n" if character == "\n" else "" if character == "\r" else " "
    return "" if unicodedata.category(character) in ("Cc", "Cf") else character


def _placer(page: Any) -> Callable[[Sequence[_Letter]], Box | None]:
    """What finds the box of a word, in whole points from the top left of the page as it is shown; None for one that lies outside."""
    left, bottom, right, top = page.get_bbox()
    turn = page.get_rotation()
    size = max(1, int(page.get_width())), max(1, int(page.get_height()))

    def place(word: Sequence[_Letter]) -> Box | None:
        _, lefts, bottoms, rights, tops = zip(*word, strict=True)
        x0, y0, x1, y1 = min(lefts), min(bottoms), max(rights), max(tops)
        match turn:
            case 90:
                edges = (y0 - bottom, x0 - left, y1 - bottom, x1 - left)
            case 180:
                edges = (right - x1, y0 - bottom, right - x0, y1 - bottom)
            case 270:
                edges = (top - y1, right - x1, top - y0, right - x0)
            case _:
                edges = (x0 - left, top - y1, x1 - left, top - y0)
        across, down = (edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2
        if not (0 <= across <= size[0] + 1 and 0 <= down <= size[1] + 1):  # NaN, too
            return None
        return Box.within(size, *edges)

    return place


def _lines(rows: Sequence[_Row], place: Callable[[Sequence[_Letter]], Box | None]) -> Iterator[list[list[Symbol]]]:
    """The words that lie on the page, line by line. All symbols of a word have its box: pages answer none of their own."""
    for row in rows:
        line = [
            [Symbol(text, box, _OUT_OF_FILE) for text in letters("".join(letter.text for letter in word))]
            for word in row
            if word and (box := place(word))
        ]
        if line:
            yield line


def _names_nothing(symbol: Symbol) -> bool:
    return symbol.text == "\ufffd" or unicodedata.category(symbol.text[0]) in ("Co", "Cn")


def _is_scan(page: Any) -> bool:
    """Whether one picture covers most of the page."""
    import pypdfium2.raw as pdfium

    area = page.get_width() * page.get_height()
    for picture in page.get_objects((pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) >= _SCAN_SHARE_MIN * area:
            return True
    return False


def _blocks(lines: Iterable[list[list[Symbol]]]) -> list[Block]:
    """Lines that follow each other closely are one block of one paragraph; a wide gap, or a step up or aside, begins another."""
    blocks: list[list[Line]] = []
    above: Box | None = None
    for line in lines:
        box = Box.around(word[0].box for word in line)
        if above is None or not _continues(above, box):
            blocks.append([])
        blocks[-1].append(line)
        above = box
    return [[block] for block in blocks]


def _continues(above: Box, below: Box) -> bool:
    gap = below.top - above.bottom
    overlap = min(above.right, below.right) - max(above.left, below.left)
    return -above.height < gap < 0.8 * min(above.height, below.height) and overlap > 0 and below.top > above.top
