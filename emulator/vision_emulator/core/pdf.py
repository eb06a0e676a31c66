"""PDF by PDFium: how many pages, how large, their pixels, and the text that stands in the file itself.

PDFium may not be entered by two threads at once, not even for two documents, and a hostile file can hang or crash it. So it lives in one
other process, which ``pdf_worker`` is, and one thread of this one talks to it, whatever event loop or thread asks.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import math
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.text import Block, Line, Symbol, letters
from vision_emulator.contract import limits
from vision_emulator.core import pdf_worker

if TYPE_CHECKING:
    import PIL.Image

P = ParamSpec("P")
T = TypeVar("T")

_THREAD: Final = ThreadPoolExecutor(1, "pdfium")

POINTS_PER_INCH: Final = 72
DOTS_PER_INCH: Final = 200  # of rendered pages: what readers of text ask for
_OUT_OF_FILE: Final = 1.0  # confidence of a character that was not recognized but read from the file: no measurement, by definition sure
_BAD_SHARE_MAX: Final = 0.2  # of characters that name nothing: beyond it the fonts do not say what they show
_SCAN_CHARS_MAX: Final = 64  # fewer characters over a page-filling picture are a stamp on a scan
_SCAN_SHARE_MIN: Final = 0.5  # of the page that such a picture covers


class PdfBroken(Exception):
    """What PDFium cannot open or load."""


class PdfLocked(PdfBroken):
    """A document that opens only with a password."""


class PdfStuck(PdfBroken):
    """What PDFium did not come to an end with, in its time and memory."""


class Pdf:
    """An open document; pages are counted from 0. Every method runs on the one thread: reach it by ``on_thread`` or ``from_thread``.

    All of them raise PdfBroken, or one of its kinds.
    """

    _numbers = itertools.count(1)

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._number = next(self._numbers)
        self._worker: _Worker | None = None  # that has it open
        self._closed = False
        self.count: Final[int] = self._open()["count"]

    def close(self) -> None:
        """Lets the document go; what is asked of it later is PdfBroken: of a cancelled batch, whose pages nobody waits for."""
        if self._worker is not None and self._worker is _Worker.current:
            self._worker.ask("close", document=self._number)
        self._closed = True

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of a page as it is shown, in whole points, cut as the real service cuts them (A4 is 595 by 841)."""
        answer, _ = self._ask("size", page=index)
        return _whole(*answer["size"])

    def render(self, index: int, side_max: float = math.inf) -> PIL.Image.Image:
        """The page as an RGB picture, at 200 dots per inch or as many as give 20 megapixels and ``side_max`` pixels a side."""
        from PIL import Image

        bounds = {"scale_max": DOTS_PER_INCH / POINTS_PER_INCH, "pixels_max": limits.RENDERED_PIXELS_MAX, "side_max": side_max}
        answer, pixels = self._ask("render", page=index, **bounds)
        return Image.frombytes("RGB", tuple(answer["size"]), pixels, "raw", "BGR", answer["row_bytes"])

    def text(self, index: int) -> list[Block] | None:
        """What the file says is written on the page, in PDFium's reading order, boxes in points from the top left; None when nothing
        is or it is unusable."""
        answer, _ = self._ask("text", page=index, chars_max=limits.PAGE_CHARS_MAX)
        lines = list(_placed(answer["lines"], answer["shown"], answer["turn"]))
        symbols = [symbol for line in lines for word in line for symbol in word]
        if not symbols or sum(map(_names_nothing, symbols)) > _BAD_SHARE_MAX * len(symbols):
            return None
        if len(symbols) < _SCAN_CHARS_MAX and answer["picture"] >= _SCAN_SHARE_MIN:
            return None
        return _blocks(lines)

    def _ask(self, question: str, **fields: Any) -> pdf_worker.Message:
        if self._closed:
            raise PdfBroken("The document is closed.")
        if self._worker is not _Worker.current:  # another document was its end
            self._open()
        assert self._worker is not None, "opened by now"
        return self._worker.ask(question, document=self._number, **fields)

    def _open(self) -> dict[str, Any]:
        self._worker = _Worker.current or _Worker()
        answer, _ = self._worker.ask("open", self._data, document=self._number)
        return answer


async def on_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs it on the thread that talks to PDFium while the event loop goes on."""
    return await asyncio.wrap_future(_THREAD.submit(work, *arguments, **named))


def from_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs it on the thread that talks to PDFium while this one, which may not be the event loop's, waits."""
    return _THREAD.submit(work, *arguments, **named).result()


class _Worker:
    """The process with PDFium. There is at most one, ``current``; one that died is followed by another when it is needed."""

    current: _Worker | None = None

    def __init__(self) -> None:
        script = [sys.executable, "-P", str(Path(pdf_worker.__file__)), str(limits.PDF_MEMORY_BYTES_MAX)]
        self._process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own file
        _Worker.current = self
        atexit.register(self.end)

    def ask(self, question: str, raw: bytes = b"", **fields: Any) -> pdf_worker.Message:
        """The answer to one question; PdfStuck when the process ended over it."""
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None, "a pipe"
        assert sink is not None, "a pipe"
        try:
            pdf_worker.send(sink, {"ask": question, "seconds": limits.PDF_SECONDS_MAX, **fields}, raw)
            answer = pdf_worker.receive(source)
        except BrokenPipeError:
            answer = None
        if answer is None:
            self.end()
            raise PdfStuck(f"PDFium ended with {self._process.returncode}")
        if "broken" in answer[0]:
            raise (PdfLocked if answer[0]["locked"] else PdfBroken)(answer[0]["broken"])
        return answer

    def end(self) -> None:
        """Stops the process."""
        _Worker.current = None
        atexit.unregister(self.end)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None, "a pipe"
            with contextlib.suppress(BrokenPipeError):  # the rest of a question that nobody reads any more
                pipe.close()


# ---- text ----


def _whole(width: float, height: float) -> tuple[int, int]:
    return max(1, int(width)), max(1, int(height))


def _placed(lines: Iterable[Any], shown: tuple[float, ...], turn: int) -> Iterator[list[list[Symbol]]]:
    """The words that lie on the page, line by line. All symbols of a word have its box: pages answer none of their own."""
    for line in lines:
        words = [
            [Symbol(symbol, box, _OUT_OF_FILE) for symbol in letters(text)] for text, *edges in line if (box := _box(edges, shown, turn))
        ]
        if words:
            yield words


def _box(edges: list[float], shown: tuple[float, ...], turn: int) -> Box | None:
    """A rectangle of PDF's (left, bottom, right, top, from the bottom left of the unturned page) in whole points from the top left of
    the page as it is shown; None when it lies outside."""
    (x0, y0, x1, y1), (left, bottom, right, top) = edges, shown
    width, height = right - left, top - bottom
    match turn:
        case 90:
            turned = (y0 - bottom, x0 - left, y1 - bottom, x1 - left)
        case 180:
            turned = (right - x1, y0 - bottom, right - x0, y1 - bottom)
        case 270:
            turned = (top - y1, right - x1, top - y0, right - x0)
        case _:
            turned = (x0 - left, top - y1, x1 - left, top - y0)
    size = _whole(height, width) if turn in (90, 270) else _whole(width, height)
    across, down = (turned[0] + turned[2]) / 2, (turned[1] + turned[3]) / 2
    if not (0 <= across <= size[0] + 1 and 0 <= down <= size[1] + 1):  # NaN, too
        return None
    return Box.within(size, *turned)


def _names_nothing(symbol: Symbol) -> bool:
    return symbol.text == "\ufffd" or unicodedata.category(symbol.text[0]) in ("Co", "Cn")


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
