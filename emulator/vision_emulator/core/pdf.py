"""PDF by PDFium: how many pages, how large, their pixels, and the text that stands in the file itself.

PDFium may not be entered by two threads at once, not even for two documents, and its binding lets go of the interpreter's lock. So one
thread of the process does all of it, whatever event loop or thread asks; and every object of it is closed there by hand, because a
finalizer would run in the thread that happens to collect garbage.
"""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, Self, TypeVar

from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.text import Block, Line, Symbol
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
                picture: PIL.Image.Image = bitmap.to_pil().convert("RGB").copy()  # its own memory
            finally:
                bitmap.close()
        return picture

    def text(self, index: int) -> list[Block] | None:
        """What the file says is written on the page, in PDFium's reading order, boxes in points from the top left; None when nothing
        is or it is unusable."""
        with self._page(index) as page:
            marks = _marks(page)
            visible = [mark for mark in marks if mark.text.strip()]
            if not visible or sum(map(_names_nothing, visible)) > _BAD_SHARE_MAX * len(visible):
                return None
            if len(visible) < _SCAN_CHARS_MAX and _is_scan(page):
                return None
        return _blocks(marks)

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


class _Mark(NamedTuple):
    """One character of PDFium's: a letter with its box, or a white space; "\n" ends a line."""

    text: str
    box: Box


def _marks(page: Any) -> list[_Mark]:
    """All characters of a page that lie on it; none of a page that has more than anybody could read."""
    import pypdfium2.raw as pdfium

    text_page = pdfium.FPDFText_LoadPage(page)
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count > limits.PAGE_CHARS_MAX:
            return []
        place = _placer(page)
        rectangle = pdfium.FS_RECTF()
        marks = []
        for index in range(count):
            character = _character(pdfium.FPDFText_GetUnicode(text_page, index))
            if not character:
                continue
            pdfium.FPDFText_GetLooseCharBox(text_page, index, rectangle)
            box = place(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
            if box or character.isspace():
                marks.append(_Mark(character, box or _NOWHERE))
        return marks
    finally:
        pdfium.FPDFText_ClosePage(text_page)


_NOWHERE: Final = Box(0, 0, 0, 0)


def _character(code: int) -> str:
    """What stands for PDFium's code: nothing for control characters, U+FFFD for what is no character."""
    character = "\ufffd" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)
    if character in _HYPHENS:
        return "-"
    if character.isspace():
        return "\n" if character == "\n" else "" if character == "\r" else " "
    return "" if unicodedata.category(character) in ("Cc", "Cf") else character


def _placer(page: Any) -> Callable[[float, float, float, float], Box | None]:
    """What turns a rectangle of PDF's (left, bottom, right, top, from the bottom left of the unturned page) into a box in whole points
    from the top left of the page as it is shown; None for one that lies outside."""
    left, bottom, right, top = page.get_bbox()
    turn = page.get_rotation()
    size = max(1, int(page.get_width())), max(1, int(page.get_height()))

    def place(x0: float, y0: float, x1: float, y1: float) -> Box | None:
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


def _names_nothing(mark: _Mark) -> bool:
    return mark.text == "\ufffd" or unicodedata.category(mark.text) in ("Co", "Cn")


def _is_scan(page: Any) -> bool:
    """Whether one picture covers most of the page."""
    import pypdfium2.raw as pdfium

    area = page.get_width() * page.get_height()
    for picture in page.get_objects((pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) >= _SCAN_SHARE_MIN * area:
            return True
    return False


def _blocks(marks: Sequence[_Mark]) -> list[Block]:
    """Lines that follow each other closely are one block of one paragraph; a wide gap, or a step up or aside, begins another."""
    blocks: list[list[Line]] = []
    above: Box | None = None
    for line in _lines(marks):
        box = Box.around(symbol.box for word in line for symbol in word)
        if above is None or not _continues(above, box):
            blocks.append([])
        blocks[-1].append(line)
        above = box
    return [[block] for block in blocks]


def _continues(above: Box, below: Box) -> bool:
    gap = below.top - above.bottom
    overlap = min(above.right, below.right) - max(above.left, below.left)
    return -above.height < gap < 0.8 * min(above.height, below.height) and overlap > 0 and below.top > above.top


def _lines(marks: Sequence[_Mark]) -> Iterator[Line]:
    """Lines of words of symbols; white space is not among them."""
    line: list[list[Symbol]] = [[]]
    for mark in (*marks, _Mark("\n", _NOWHERE)):
        if mark.text == "\n":
            words = [word for word in line if word]
            if words:
                yield words
            line = [[]]
        elif mark.text == " ":
            line.append([])
        elif line[-1] and unicodedata.category(mark.text).startswith("M"):  # a combining mark belongs to the letter before it
            letter = line[-1].pop()
            line[-1].append(Symbol(letter.text + mark.text, Box.around((letter.box, mark.box)), _OUT_OF_FILE))
        else:
            line[-1].append(Symbol(mark.text, mark.box, _OUT_OF_FILE))
