"""Files of pages, below the API: what is opened, what a page is, and what it costs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from documents import assembled, frames, lines, locked_pdf, pdf, scanned_pdf, text_pdf
from pictures import drawn
from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.text import Block
from vision_emulator.contract import limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.core.pages import opened
from vision_emulator.core.pdf import Pdf, PdfBroken, on_thread
from vision_emulator.core.pdf import _Worker as pdf_process

PDF, TIFF, GIF = "application/pdf", "image/tiff", "image/gif"


async def read(data: bytes, number: int = 1) -> Sequence[Block] | None:
    """The embedded text of one page."""
    async with opened(data, PDF) as document:
        return (await document.page(number, with_text=True)).embedded_text


def words(blocks: Sequence[Block] | None) -> list[list[str]]:
    """The words of each line."""
    return [
        ["".join(symbol.text for symbol in word) for word in line] for block in blocks or () for paragraph in block for line in paragraph
    ]


def box(blocks: Sequence[Block] | None) -> Box:
    """Around the first word."""
    assert blocks
    return Box.around(symbol.box for symbol in blocks[0][0][0][0])


# ---- what a page is ----


async def test_pages_of_a_pdf_are_measured_in_points() -> None:
    """Sizes are whole points, cut as the real service cuts them; a turned page is as wide as it is shown, a cropped one as is left."""
    for data, size in (
        (text_pdf(1, (595.28, 841.89)), (595, 841)),
        (text_pdf(1, (612, 792), "/Rotate 90"), (792, 612)),
        (text_pdf(1, extra="/MediaBox [0 0 612 792] /CropBox [100 100 300 200]"), (200, 100)),
    ):
        async with opened(data, PDF) as document:
            assert (await document.page(1, with_text=False)).size == size


@pytest.mark.parametrize(("mime_type", "kind"), [(TIFF, "TIFF"), (GIF, "GIF")])
async def test_frames_are_measured_in_pixels(mime_type: str, kind: str) -> None:
    """Each frame is a page with the size it has."""
    async with opened(frames(kind, 3), mime_type, "gs://b/o") as document:
        pages = [await document.page(number, with_text=True) for number in (3, 1)]
        assert document.count == 3
        assert [(page.size, page.uri, page.known, page.embedded_text) for page in pages] == [((160, 120), "gs://b/o", True, None)] * 2


async def test_frames_of_a_tiff_may_differ_in_size() -> None:
    """A TIFF is a stack of pictures; each keeps its own size."""
    buffer = io.BytesIO()
    Image.new("L", (30, 20)).save(buffer, "TIFF", save_all=True, append_images=[Image.new("RGB", (50, 60))])
    async with opened(buffer.getvalue(), TIFF) as document:
        assert [(await document.page(number, with_text=False)).size for number in (1, 2)] == [(30, 20), (50, 60)]


async def test_every_page_has_a_digest_of_its_own() -> None:
    """Invented answers derive from it: the same for the same file and page, another for every other."""

    async def digests(data: bytes, mime_type: str) -> list[str]:
        async with opened(data, mime_type) as document:
            return [(await document.page(number, with_text=False)).sha256 for number in range(1, document.count + 1)]

    one, again, other = await digests(text_pdf(3), PDF), await digests(text_pdf(3), PDF), await digests(frames("GIF"), GIF)
    assert one == again
    assert len({*one, *other}) == 6
    assert one[0] != hashlib.sha256(text_pdf(3)).hexdigest()


@pytest.mark.parametrize(
    ("mime_type", "data"), [(PDF, scanned_pdf(4)), (TIFF, frames("TIFF", 4)), (GIF, frames("GIF", 4))], ids=["pdf", "tiff", "gif"]
)
async def test_pixels_come_in_any_order(mime_type: str, data: bytes) -> None:
    """A page shows its own picture whatever was looked at before, also when many look at once."""
    async with opened(data, mime_type) as document:
        pages = [await document.page(number, with_text=False) for number in (4, 1, 3, 2)]
        shown = await asyncio.gather(*(asyncio.to_thread(lambda page=page: page.thumbnail) for page in pages))
    for number, thumbnail in zip((3, 0, 2, 1), shown, strict=True):
        ground = Image.open(io.BytesIO(drawn(number))).convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        mean = thumbnail.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert thumbnail.mode == "RGB"
        assert max(thumbnail.size) <= 128
        assert all(abs(a - b) <= 6 for a, b in zip(mean, ground, strict=True)), number


async def test_nothing_is_drawn_unless_somebody_looks() -> None:
    """Size, digest and text of a page cost no pixels, so a page that claims 200 by 200 inches costs as little as any other."""
    drawn_pages = []

    class Watched(Pdf):
        def render(self, index: int, side_max: float = 0) -> Image.Image:
            drawn_pages.append(index)
            return super().render(index, side_max)

    async with opened(text_pdf(2), PDF) as document:
        document._pdf.__class__ = Watched  # type: ignore[attr-defined]
        page = await document.page(2, with_text=True)
        assert (page.size, page.embedded_text is not None, len(page.sha256)) == ((612, 792), True, 64)
        assert drawn_pages == []
        await asyncio.to_thread(lambda: page.thumbnail)
        await asyncio.to_thread(lambda: page.thumbnail)
        assert drawn_pages == [1]


async def test_a_page_is_rendered_at_200_dpi_and_never_beyond_the_cap() -> None:
    """Resolution yields to the pixel cap, whatever size the page claims."""

    async def rendered(size: tuple[float, float]) -> tuple[int, int]:
        document = await on_thread(Pdf, text_pdf(1, size))
        try:
            return (await on_thread(document.render, 0)).size
        finally:
            await on_thread(document.close)

    assert await rendered((360, 720)) == (1000, 2000)
    width, height = await rendered((14400, 14400))
    assert width * height <= limits.RENDERED_PIXELS_MAX * 1.001
    width, height = await rendered((14400, 3))
    assert width * height <= limits.RENDERED_PIXELS_MAX
    assert height >= 1


async def test_a_closed_document_says_so() -> None:
    """A page that outlives its document is an error of that page, never a crash of the process."""
    async with opened(text_pdf(), PDF) as document:
        page = await document.page(1, with_text=False)
    with pytest.raises(VisionError, match="Bad image data"):
        await asyncio.to_thread(lambda: page.thumbnail)


# ---- embedded text ----


async def test_words_lines_and_blocks() -> None:
    """Lines that follow closely are one block; a gap begins another; words are cut at white space."""
    content = lines("One two", "three") + b" " + lines("far below", at=(72, 300))
    blocks = await read(pdf(content))
    assert words(blocks) == [["One", "two"], ["three"], ["far", "below"]]
    assert blocks is not None
    assert [len(paragraph) for block in blocks for paragraph in block] == [2, 1]


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        ("", (72, 81)),
        ("/MediaBox [0 0 612 792] /CropBox [20 30 500 720]", (52, 9)),
        ("/MediaBox [-100 -50 512 742]", (172, 31)),
    ],
)
async def test_boxes_are_where_the_word_is_shown(extra: str, place: tuple[int, int]) -> None:
    """Points from the top left of the page as it is shown, whatever the origin of its boxes."""
    found = box(await read(pdf(lines("Word"), extra=extra)))
    assert (found.left, found.top) == pytest.approx(place, abs=1)
    assert found.width == pytest.approx(31, abs=4)
    assert found.height == pytest.approx(14, abs=2)


@pytest.mark.parametrize("turn", [90, 180, 270])
async def test_boxes_turn_with_the_page(turn: int) -> None:
    """The text of a turned page lies where a reader sees ink when it is drawn."""
    data = pdf(lines("Word"), extra=f"/MediaBox [0 0 612 792] /CropBox [20 30 600 780] /Rotate {turn}")
    found = box(await read(data))
    document = await on_thread(Pdf, data)
    try:
        image = (await on_thread(document.render, 0)).convert("L").point(lambda value: 255 if value < 128 else 0)
    finally:
        await on_thread(document.close)
    left, top, right, bottom = (edge * 72 / 200 for edge in image.getbbox() or ())
    assert found.left - 1 <= left <= right <= found.right + 2
    assert found.top - 1 <= top <= bottom <= found.bottom + 2


async def test_letters_beyond_ascii_and_marks() -> None:
    """Letters come as the file maps them."""
    assert words(await read(pdf(lines("Käse für 5 €")))) == [["Käse", "für", "5", "€"]]


async def test_text_that_cannot_be_used_is_none() -> None:
    """No text, white space alone, text off the page, and a stamp on a scan leave the page to those who look at pixels."""
    assert await read(pdf(b"")) is None
    assert await read(pdf(lines("   "))) is None
    assert await read(pdf(lines("outside", at=(5000, 5000)))) is None
    assert await read(scanned_pdf()) is None
    scan = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q "
    assert await read(pdf(scan + lines("Received 1 May"))) is None
    assert words(await read(pdf(scan + lines(*["A page of text over a picture of it."] * 3))))[2][:3] == ["A", "page", "of"]
    assert words(await read(pdf(scan.replace(b"612 0 0 792", b"61 0 0 79") + lines("A logo beside it")))) == [["A", "logo", "beside", "it"]]


async def test_fonts_that_say_nothing_are_not_believed() -> None:
    """Private-use and replacement characters in more than a few places mean that the codes are no letters."""
    broken = text_with_font("/Encoding << /Type /Encoding /Differences [65 /uniE001 /uniE002 /uniE003] >>")
    assert await read(broken) is None


def text_with_font(encoding: str) -> bytes:
    return pdf(lines("ABCABC")).replace(b"/Encoding /WinAnsiEncoding", encoding.encode())


# ---- what cannot be opened ----


@pytest.mark.parametrize("mime_type", [PDF, TIFF, GIF])
@given(data=st.one_of(st.binary(max_size=200), st.integers(0, 600).map(lambda cut: text_pdf(1)[:cut])))
@settings(max_examples=30, deadline=None)
async def test_garbage_is_an_error_never_a_crash(mime_type: str, data: bytes) -> None:
    """Whatever the bytes: a document, or a VisionError."""
    try:
        async with opened(data, mime_type):
            pass
    except VisionError as failure:
        assert "Error in extracting images" in failure.message  # noqa: PT017 - one of two outcomes


WHOLE = {PDF: scanned_pdf(2), TIFF: frames("TIFF", 2), GIF: frames("GIF", 2)}


@pytest.mark.parametrize("mime_type", WHOLE)
@given(cut=st.integers(1, 4000), flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4))
@example(cut=1, flips=[(130, 0)])  # a second frame without its width
@settings(max_examples=30, deadline=None)
async def test_damaged_files_are_errors_never_crashes(mime_type: str, cut: int, flips: list[tuple[int, int]]) -> None:
    """A file cut off or with wrong bytes is refused whole, or page by page, or shown as far as it goes."""
    damaged = bytearray(WHOLE[mime_type])
    for place, value in flips:
        damaged[place % len(damaged)] = value
    try:
        async with opened(bytes(damaged[: len(damaged) - cut % len(damaged)]), mime_type) as document:
            for number in range(1, min(document.count, 2) + 1):
                page = await document.page(number, with_text=True)
                await asyncio.to_thread(lambda page=page: page.thumbnail)
    except VisionError as failure:
        assert failure.message  # noqa: PT017 - one of two outcomes


async def test_passwords() -> None:
    """A user password keeps a document shut; an owner's restrictions do not."""
    with pytest.raises(VisionError, match="protected by a password"):
        async with opened(locked_pdf(b"secret"), PDF):
            pass
    assert words(await read(locked_pdf(b""))) == [["Locked", "words."]]


async def test_frame_bombs() -> None:
    """Frames that would fill the memory are refused before a pixel is decoded: the first with the file, a later one as its page's error."""

    def claiming(data: bytes, width: int, height: int) -> bytes:
        return data[:6] + struct.pack("<HH", width, height) + data[10:]

    for width, height in ((65535, 65535), (9000, 9000), (8000, 9000)):  # too large each; too large each; too large together
        with pytest.raises(VisionError, match="too large"):
            async with opened(claiming(frames("GIF", 60), width, height), GIF):
                pass
    large = io.BytesIO()
    Image.new("1", (30, 20)).save(large, "TIFF", save_all=True, append_images=[Image.new("1", (8700, 8700))], compression="group4")
    async with opened(large.getvalue(), TIFF) as document:
        await document.page(1, with_text=False)
        with pytest.raises(VisionError, match="75 megapixels"):
            await document.page(2, with_text=False)


async def test_many_documents_at_once() -> None:
    """PDFium is asked one question at a time, so documents worked on side by side do not disturb each other."""

    async def look(number: int) -> list[list[str]]:
        async with opened(pdf(*[lines(f"Document {number}")] * 3), PDF) as document:
            pages = await asyncio.gather(*(document.page(place, with_text=True) for place in (1, 2, 3)))
            await asyncio.gather(*(asyncio.to_thread(lambda page=page: page.thumbnail) for page in pages))
            return words(pages[2].embedded_text)

    found = await asyncio.gather(*(look(number) for number in range(8)))
    assert found == [[["Document", str(number)]] for number in range(8)]


def endless_pdf() -> bytes:
    """A page whose form draws itself twice: small, and never done."""
    resources = b"/Resources << /XObject << /I 3 0 R >> >>"
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] " + resources + b" /Length 11 >>\nstream\n/I Do /I Do\nendstream"
    plain = pdf(b"/I Do").replace(b"/Font << /F1 3 0 R >>", b"/XObject << /I 3 0 R >>")
    body = plain[len(b"%PDF-1.7\n") : plain.index(b"xref\n0")]
    objects = [part.partition(b" 0 obj\n")[2] for part in body.split(b"\nendobj\n") if part]
    return assembled([*objects[:2], form, *objects[3:]])


async def test_a_page_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFium is stopped when it takes too long over a page: that page's error, and every other document goes on."""
    monkeypatch.setattr(limits, "PDF_SECONDS_MAX", 1)
    async with opened(text_pdf(), PDF) as good, opened(endless_pdf(), PDF, "gs://b/endless.pdf") as bad:
        with pytest.raises(VisionError, match=r"Error reading file: gs://b/endless\.pdf") as failure:
            await bad.page(1, with_text=True)
        assert failure.value.code == Code.DEADLINE_EXCEEDED
        assert words((await good.page(2, with_text=True)).embedded_text)[0] == ["Page", "2", "of", "3."]


async def test_pdfium_may_die() -> None:
    """When its process is gone, the question it was asked fails, and the next one starts another."""
    async with opened(text_pdf(), PDF) as document:
        worker = pdf_process.current
        assert worker is not None
        worker._process.kill()
        with pytest.raises(VisionError, match="Error reading file: inline content"):
            await document.page(1, with_text=False)
        assert (await document.page(1, with_text=False)).size == (612, 792)


async def test_a_page_that_cannot_be_loaded_is_that_pages_error() -> None:
    """The others are answered."""
    data = text_pdf(2).replace(b"/Type /Page /Parent 2 0 R", b"/Type /Pxge /Parent 2 0 R", 1)
    async with opened(data, PDF) as document:
        assert document.count == 2
        assert words((await document.page(2, with_text=True)).embedded_text)[0] == ["Page", "2", "of", "2."]
    document = await on_thread(Pdf, text_pdf(1))
    try:
        with pytest.raises(PdfBroken):
            await on_thread(document.size, 7)
        with pytest.raises(PdfBroken):
            await on_thread(document.render, 7)
    finally:
        await on_thread(document.close)
