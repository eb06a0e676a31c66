"""Pages and signs with known words that tests draw, and how much of them was read. Fonts are Pillow's own: none need be installed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from documents import assembled

DOTS_PER_INCH = 200
A4 = (1654, 2339)  # pixels at that many dots
PARAGRAPHS = (
    (
        "The committee met on the first Monday of March to hear the report of the treasurer, who had been asked to explain why the cost of "
        "paper had risen by a third. He said that the mill had burned down in November and that nobody else made the same grade."
    ),
    (
        "The chair thanked him and moved to the next item. There were 14 letters from members, of which three asked for money back and "
        "one, dated 7 February, praised the new catalogue of the library. It was agreed to answer all of them before Easter."
    ),
    (
        "Under any other business Mrs Whitfield asked when the roof of the reading room would be mended. The architect had promised a plan "
        "by the end of the month; the builder could start in May, provided that the weather was dry and the scaffolding arrived on time."
    ),
    (
        "The next meeting will be held on Tuesday, 9 April, at 18:30 in the small hall. Members who cannot attend are asked to tell the "
        "secretary by telephone (555 0147) not later than the day before."
    ),
)
GERMAN = (
    (
        "Der Ausschuss tagte am ersten Montag im März, um den Bericht des Kassenführers über die gestiegenen Kosten zu hören. Er erklärte, "
        "dass die Mühle im November abgebrannt sei und weitere Mengen erst im nächsten Frühjahr wieder geliefert würden."
    ),
)
SIGN = ("CAUTION", "Wet floor", "Please use the", "other entrance")


def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own face."""
    made = ImageFont.load_default(size)
    assert isinstance(made, ImageFont.FreeTypeFont), "Pillow without FreeType"
    return made


def page(
    paragraphs: Sequence[str] = PARAGRAPHS,
    *,
    size: tuple[int, int] = A4,
    columns: int = 1,
    ink: int = 0,
    ground: int = 255,
    height: int = 32,
) -> Image.Image:
    """A grey page of these paragraphs, set in columns one after the other."""
    image = Image.new("L", size, ground)
    pen, face = ImageDraw.Draw(image), font(height)
    gap = size[0] // 12
    width = (size[0] - gap * (columns + 1)) // columns
    share = -(-len(paragraphs) // columns)
    for column in range(columns):
        y = size[1] // 16
        for paragraph in paragraphs[column * share : (column + 1) * share]:
            for line in broken(paragraph, face, width):
                written(pen, (gap + column * (width + gap), y), line, ink, face)
                y += int(height * 1.4)
            y += height
    return image


UMLAUTS = str.maketrans("äöü", "aou")  # Pillow's own face has none: their dots are drawn


def written(pen: ImageDraw.ImageDraw, at: tuple[float, float], line: str, ink: int, face: ImageFont.FreeTypeFont) -> None:
    """One line, dots over letters included."""
    pen.text(at, line.translate(UMLAUTS), ink, face)
    dot = face.size / 16
    for place, letter in enumerate(line):
        if letter in "äöü":
            left = at[0] + face.getlength(line[:place].translate(UMLAUTS))
            wide = face.getlength(letter.translate(UMLAUTS))
            for x in (left + 0.3 * wide, left + 0.7 * wide):
                y = at[1] + 0.36 * face.size
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), ink)


def broken(paragraph: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The paragraph in lines no wider than that."""
    lines = [""]
    for word in paragraph.split():
        longer = f"{lines[-1]} {word}".strip()
        if face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def scanned(image: Image.Image, degrees: float = 1.7, noise: float = 18.0, seed: int = 1) -> Image.Image:
    """The page as a scanner gives it: askew, a little soft, with specks, in black and white."""
    askew = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255).filter(ImageFilter.GaussianBlur(0.7))
    specks = np.random.default_rng(seed).normal(0, noise, (askew.height, askew.width))
    return (
        Image.fromarray(np.clip(np.asarray(askew, np.float32) + specks, 0, 255).astype(np.uint8))
        .point(lambda v: 255 * (v > 140))
        .convert("1")
    )


def photographed_sign(lines: Sequence[str] = SIGN, size: tuple[int, int] = (800, 600), seed: int = 1) -> Image.Image:
    """A sign in a street: seen from the side, before a ground of many colours, with a camera's noise."""
    random = np.random.default_rng(seed)
    board = Image.new("RGB", (640, 110 * len(lines) + 60), (250, 214, 60))
    pen = ImageDraw.Draw(board)
    pen.rectangle((8, 8, board.width - 9, board.height - 9), outline=(20, 20, 20), width=6)
    for row, line in enumerate(lines):
        pen.text((board.width / 2, 30 + 110 * row), line, (20, 20, 20), font(72), anchor="ma")
    coarse = Image.fromarray(random.integers(40, 200, (6, 8, 3)).astype(np.uint8))
    street = coarse.resize(size, Image.Resampling.BICUBIC)
    shares = ((0.25, 0.21), (0.775, 0.13), (0.79, 0.84), (0.23, 0.77))  # where the board's corners are, from the top left clockwise
    corners = [(across * size[0], down * size[1]) for across, down in shares]
    seen = board.transform(size, Image.Transform.PERSPECTIVE, perspective(corners, board.size), Image.Resampling.BICUBIC)
    mask = Image.new("L", board.size, 255).transform(size, Image.Transform.PERSPECTIVE, perspective(corners, board.size))
    street.paste(seen, mask=mask)
    noisy = np.asarray(street.filter(ImageFilter.GaussianBlur(0.8)), np.float32) + random.normal(0, 9, (size[1], size[0], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def perspective(corners: Sequence[tuple[float, float]], size: tuple[int, int]) -> tuple[float, ...]:
    """What Pillow wants to know to lay a picture of this size with its corners there."""
    width, height = size
    rows, ends = [], []
    for (x, y), (u, v) in zip(corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        ends += [u, v]
    return tuple(np.linalg.solve(np.array(rows, float), np.array(ends, float)).tolist())


def encoded(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def born_digital(paragraphs: Sequence[str] = PARAGRAPHS) -> bytes:
    """A PDF that says these paragraphs in its own text."""
    y, shown = 760.0, []
    for paragraph in paragraphs:
        for line in broken(paragraph, font(11), 460):
            shown.append(f"1 0 0 1 72 {y:g} Tm ({line.translate(ESCAPED)}) Tj")
            y -= 14
        y -= 14
    content = f"BT /F1 11 Tf {' '.join(shown)} ET".encode("cp1252")
    return assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    )


ESCAPED = str.maketrans({"(": r"\(", ")": r"\)", "\\": r"\\"})


def pdf_of(*images: Image.Image) -> bytes:
    """A PDF of these pages and nothing but pixels, each at the resolution of the A4 page."""
    return encoded(
        images[0].convert("L"), "PDF", save_all=True, append_images=[image.convert("L") for image in images[1:]], resolution=200.0
    )


def tiff_of(*images: Image.Image) -> bytes:
    """A fax: black and white, compressed as group 4."""
    first, *others = (image.convert("1") for image in images)
    return encoded(first, "TIFF", save_all=True, append_images=others, compression="group4", dpi=(DOTS_PER_INCH, DOTS_PER_INCH))


def word_error_rate(expected: str, read: str) -> float:
    """Words to be changed, left out or put in to make one text of the other, by how many there are; order counts."""
    wanted, got = expected.split(), read.split()
    costs = list(range(len(got) + 1))
    for row, word in enumerate(wanted, 1):
        above, costs = costs, [row]
        for column, (other, (before, over)) in enumerate(zip(got, pairwise(above), strict=True), 1):
            costs.append(min(before + (word != other), over + 1, costs[column - 1] + 1))
    return costs[-1] / len(wanted)


class Case(NamedTuple):
    """Something to read, what stands on it, and how many of its words may be wrong as a page and as a photograph."""

    what: str
    data: bytes
    mime_type: str  # of a file; "" for a picture
    expected: str
    document_errors_max: float
    text_errors_max: float


def cases() -> list[Case]:
    """What the README's table of word error rates names."""
    whole, sign = page(), " ".join(SIGN)
    text = " ".join(PARAGRAPHS)
    return [
        Case("rendered page, A4 at 200 dpi", encoded(whole), "", text, 0.01, 0.03),
        Case("the same in two columns", encoded(page(columns=2, height=26)), "", text, 0.02, 0.05),
        Case("the same, light grey on white", encoded(page(ink=190)), "", text, 0.01, 0.03),
        Case("the same, turned by 90°", encoded(whole.transpose(Image.Transpose.ROTATE_90)), "", text, 0.01, 0.03),
        Case("the same, upside down", encoded(whole.transpose(Image.Transpose.ROTATE_180)), "", text, 0.01, 0.03),
        Case("photographed sign: from the side, with noise", encoded(photographed_sign(), "JPEG", quality=80), "", sign, 1.0, 0.0),
        Case("born-digital PDF", born_digital(), "application/pdf", text, 0.0, 0.0),
        Case("PDF of a scan: askew by 1.7°, specks, black and white", pdf_of(scanned(whole)), "application/pdf", text, 0.03, 0.05),
        Case("TIFF of a scan, group 4: the same, askew by 4°", tiff_of(scanned(whole, -4.0)), "image/tiff", text, 0.03, 0.05),
    ]
