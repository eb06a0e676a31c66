"""A PDF of many pages, offline, against PDFium alone rendering the same pages in a plain loop; and its memory.

Run: ``python tests/benchmarks/bench_pages.py [PAGES]``; the document has 400 pages unless told otherwise, of text and a picture each.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import sys
import time
import zlib
from typing import Any

import psutil
import pypdfium2
from PIL import Image

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import AsyncBatchAnnotateFilesRequest, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock

PAGES, ROUNDS = 400, 3
METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateFiles"]
SENTENCE = "The quick brown fox jumps over the lazy dog while the committee reads a report"
THUMBNAIL_SIDE = 256  # pixels: as large as pages are drawn for those who look at colours


def document(count: int) -> bytes:
    """A report: 45 lines of text and a photograph of 480 by 320 pixels on each page, another on each."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, b" ".join(b"%d 0 R" % (4 + 3 * page) for page in range(count))),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for page in range(count):
        photo = io.BytesIO()
        ground = Image.linear_gradient("L").resize((480, 320))
        Image.merge("RGB", (ground, ground.rotate(page % 360), Image.new("L", ground.size, page % 256))).save(photo, "JPEG")
        text = b" T* ".join(b"(%d %s) Tj" % (page * 45 + row, SENTENCE.encode()) for row in range(45))
        content = zlib.compress(b"q 240 0 0 160 72 40 cm /I Do Q BT /F1 11 Tf 12 TL 72 760 Td " + text + b" ET")
        own = 4 + 3 * page
        resources = b"<< /Font << /F1 3 0 R >> /XObject << /I %d 0 R >> >>" % (own + 2)
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources %s /Contents %d 0 R >>" % (resources, own + 1),
            b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /XObject /Subtype /Image /Width 480 /Height 320 /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
            b" /Length %d >>\nstream\n%s\nendstream" % (photo.tell(), photo.getvalue()),
        ]
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, table, size, start)
    return bytes(out)


def rendered(data: bytes, scale: float) -> float:
    """Seconds in which PDFium alone makes a picture of every page, one after the other."""
    start = time.perf_counter()
    pdf = pypdfium2.PdfDocument(data)
    for index in range(len(pdf)):
        page = pdf[index]
        page.render(scale=scale).to_pil()
        page.close()
    pdf.close()
    return time.perf_counter() - start


async def batch(vision: Any, feature: int) -> float:
    """Seconds from the create call to the result, pace instant."""
    element = {
        "input_config": {"gcs_source": {"uri": "gs://inputs/report.pdf"}, "mime_type": "application/pdf"},
        "features": [{"type": feature}],
        "output_config": {"gcs_destination": {"uri": "gs://results/run/"}, "batch_size": 20},
    }
    start = time.perf_counter()
    operation = await vision.call(Call(METHOD, AsyncBatchAnnotateFilesRequest(requests=[element]), {"x-vision-emulator-pace": "instant"}))
    seconds = time.perf_counter() - start
    assert operation.HasField("response"), operation
    return seconds


async def measure(data: bytes) -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim)."""
    async with core(Config(bucket=("inputs", "results")), SystemClock(), Chance()) as (vision, storage):
        await (await storage.bucket("inputs")).write("report.pdf", data, "application/pdf")
        colours, text = [], []
        for _ in range(ROUNDS):  # in turns, each beside its yardstick
            colours.append(rendered(data, THUMBNAIL_SIDE / 792) / await batch(vision, Feature.IMAGE_PROPERTIES))
            text.append(rendered(data, 200 / 72) / await batch(vision, Feature.DOCUMENT_TEXT_DETECTION))
    return [
        ("IMAGE_PROPERTIES of a PDF, pages per second", "bare PDFium drawing them at that size", statistics.median(colours), "≥ 0.9"),
        ("DOCUMENT_TEXT of a PDF, pages per second", "bare PDFium drawing them at 200 dpi", statistics.median(text), "≥ 0.9"),
    ]


async def memory(data: bytes) -> float:
    """MB by which the resident sets of this process and PDFium's peak over idle while all pages are looked at."""
    async with core(Config(bucket=("inputs", "results")), SystemClock(), Chance()) as (vision, storage):
        bucket = await storage.bucket("inputs")
        await bucket.write("report.pdf", document(20), "application/pdf")
        await batch(vision, Feature.IMAGE_PROPERTIES)  # libraries loaded, threads and processes started
        await bucket.write("report.pdf", data, "application/pdf")
        processes = [psutil.Process(), *psutil.Process().children()]
        idle = peak = resident(processes)
        running = asyncio.get_running_loop().create_task(batch(vision, Feature.IMAGE_PROPERTIES))
        while not running.done():
            await asyncio.wait((running,), timeout=0.02)
            peak = max(peak, resident(processes))
        await running
    return (peak - idle) / 1e6


def resident(processes: list[psutil.Process]) -> int:
    """Bytes, all together."""
    return sum(process.memory_info().rss for process in processes)


def rows(count: int = PAGES) -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    data = document(count)
    peak = asyncio.run(memory(data))
    found = asyncio.run(measure(data))
    return [
        *found,
        (f"peak memory of a {count}-page PDF over idle, MB", f"a file of {len(data) / 1e6:.0f} MB, which two hold", peak, "≤ 60"),
    ]


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows(*(int(argument) for argument in sys.argv[1:2])):
        sys.stdout.write(f"{what:50} {yardstick:40} {ratio:8.2f}   {aim}\n")
