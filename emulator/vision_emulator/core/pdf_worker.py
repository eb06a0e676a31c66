"""PDFium in a process of its own: a program that answers questions about PDF files on its standard input and output.

A file can keep PDFium busy for ever (forms that draw each other), fill the memory, or crash it. Here each question has its seconds, after
which the system ends the process, and the process has its memory; whoever asked sees the end of the pipe, and starts another.

A message is two lengths, a JSON object and raw bytes; nothing of it can make the reader run code. This file is run as a script and imports
nothing of the package, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import json
import math
import resource
import signal
import struct
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any, Final

LENGTHS: Final = struct.Struct("<IQ")  # of the JSON and of the raw bytes
_ERROR_PASSWORD: Final = 4  # FPDF_ERR_PASSWORD; owner restrictions do not count, such a file opens
_HYPHENS: Final = "\x02\ufffe"  # PDFium's marks for a hyphen at the end of a line

Message = tuple[dict[str, Any], bytes]


def send(sink: IO[bytes], fields: dict[str, Any], raw: bytes = b"") -> None:
    """Writes one message."""
    text = json.dumps(fields).encode()
    sink.write(LENGTHS.pack(len(text), len(raw)))
    sink.write(text)
    sink.write(raw)
    sink.flush()


def receive(source: IO[bytes]) -> Message | None:
    """The next message; None when the other side has gone."""
    head = source.read(LENGTHS.size)
    if len(head) < LENGTHS.size:
        return None
    text_bytes, raw_bytes = LENGTHS.unpack(head)
    text, raw = source.read(text_bytes), source.read(raw_bytes)
    return (json.loads(text), raw) if len(raw) == raw_bytes else None


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answers until the other side goes."""
    import pypdfium2

    desk = Desk()
    while (message := receive(source)) is not None:
        question, raw = message
        signal.alarm(question.pop("seconds"))  # nobody handles it: the process ends
        try:
            answer = getattr(desk, question.pop("ask"))(raw=raw, **question)
        except pypdfium2.PdfiumError as broken:
            answer = {"broken": str(broken), "locked": broken.err_code == _ERROR_PASSWORD}, b""
        signal.alarm(0)
        send(sink, *answer)


class Desk:
    """The open documents, by number, and what may be asked about them; pages are counted from 0."""

    def __init__(self) -> None:
        self._documents: dict[int, Any] = {}

    def open(self, document: int, raw: bytes) -> Message:
        """How many pages the file has that is from now on this document."""
        import pypdfium2

        self._documents[document] = opened = pypdfium2.PdfDocument(raw)
        return {"count": len(opened)}, b""

    def close(self, document: int, raw: bytes) -> Message:  # noqa: ARG002
        """Nothing."""
        self._documents.pop(document).close()
        return {}, b""

    def size(self, document: int, page: int, raw: bytes) -> Message:  # noqa: ARG002
        """Width and height of a page as it is shown, in points."""
        return {"size": self._documents[document].get_page_size(page)}, b""

    def render(self, document: int, page: int, scale_max: float, pixels_max: float, side_max: float, raw: bytes) -> Message:  # noqa: ARG002
        """The page in pixels, blue, green and red, and how many across and down: as many as the three bounds allow."""
        with self._page(document, page) as sheet:
            width, height = sheet.get_size()
            scale = min(scale_max, math.sqrt(pixels_max / (width * height)), side_max / max(width, height))
            bitmap = sheet.render(scale=scale, may_draw_forms=False)
            answer = {"size": (bitmap.width, bitmap.height), "row_bytes": bitmap.stride}, bytes(bitmap.buffer)
            bitmap.close()
        return answer

    def text(self, document: int, page: int, chars_max: int, raw: bytes) -> Message:  # noqa: ARG002
        """The lines of a page in PDFium's order, each of words with their edges (left, bottom, right, top, in points from the bottom left
        of the unturned page); what of the page is shown, in the same way; its turn in degrees; the share its largest picture covers."""
        with self._page(document, page) as sheet:
            lines = _lines(sheet, chars_max)
            return {"lines": lines, "shown": sheet.get_bbox(), "turn": sheet.get_rotation(), "picture": _picture_share(sheet)}, b""

    @contextmanager
    def _page(self, document: int, page: int) -> Iterator[Any]:
        opened = self._documents[document].get_page(page)
        try:
            yield opened
        finally:
            opened.close()


def _lines(page: Any, chars_max: int) -> list[list[tuple[str, float, float, float, float]]]:
    """None of a page that has more characters than anybody could read."""
    import ctypes  # here: the emulator imports this file for what a message is

    import pypdfium2.raw as pdfium

    text_page = pdfium.FPDFText_LoadPage(page)
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count > chars_max:
            return []
        rectangle = pdfium.FS_RECTF()
        place = ctypes.byref(rectangle)
        lines: list[list[_Word]] = [[_Word()]]
        for index in range(count):
            character = _character(pdfium.FPDFText_GetUnicode(text_page, index))
            if character == "\n":
                lines.append([_Word()])
            elif character == " ":
                lines[-1].append(_Word())
            elif character:
                pdfium.FPDFText_GetLooseCharBox(text_page, index, place)
                lines[-1][-1].add(character, rectangle)
        return [words for line in lines if (words := [word.told() for word in line if word.text])]
    finally:
        pdfium.FPDFText_ClosePage(text_page)


class _Word:
    """Characters that stand together, and the edges around them."""

    __slots__ = ("bottom", "left", "right", "text", "top")

    def __init__(self) -> None:
        self.text = ""
        self.left = self.bottom = math.inf
        self.right = self.top = -math.inf

    def add(self, character: str, edges: Any) -> None:
        self.text += character
        self.left, self.bottom = min(self.left, edges.left), min(self.bottom, edges.bottom)
        self.right, self.top = max(self.right, edges.right), max(self.top, edges.top)

    def told(self) -> tuple[str, float, float, float, float]:
        return self.text, self.left, self.bottom, self.right, self.top


@lru_cache(4096)
def _character(code: int) -> str:
    """What stands for PDFium's code: nothing for control characters, U+FFFD for what is no character."""
    character = "\ufffd" if 0xD800 <= code < 0xE000 or code > 0x10FFFF else chr(code)
    if character in _HYPHENS:
        return "-"
    if character.isspace():
        return "\n" if character == "\n" else "" if character == "\r" else " "
    return "" if unicodedata.category(character) in ("Cc", "Cf") else character


def _picture_share(page: Any) -> float:
    import pypdfium2.raw as pdfium

    area = page.get_width() * page.get_height()
    bounds = (picture.get_bounds() for picture in page.get_objects((pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2))
    return max(((right - left) * (top - bottom) / area for left, bottom, right, top in bounds), default=0.0)


def main(memory_bytes_max: int) -> None:
    """Serves on standard input and output with this much memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process too, but the server may still have work to finish
    with contextlib.suppress(ValueError, OSError):  # a system without such a limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
