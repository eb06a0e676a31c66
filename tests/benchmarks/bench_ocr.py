"""Reading: pages per second through the emulator beside bare tesserocr, and how many words are wrong.

Run: ``python tests/benchmarks/bench_ocr.py``, or ``… --wer`` for the README's table of word error rates, which is what a client gets over
gRPC from an emulator with both extras installed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(FOLDER), str(FOLDER / "clients")) if path not in sys.path]

import tesserocr  # noqa: E402
from google.cloud import vision  # noqa: E402
from official import over_grpc  # noqa: E402

import pages_of_text as pages  # noqa: E402 - beside this folder
from vision_emulator import VisionEmulator  # noqa: E402
from vision_emulator.annotators.local.ocr import tessdata  # noqa: E402
from vision_emulator.app import CORES, core  # noqa: E402
from vision_emulator.config import Config  # noqa: E402
from vision_emulator.contract.messages import BatchAnnotateImagesRequest, Feature  # noqa: E402
from vision_emulator.contract.methods import METHODS, Call  # noqa: E402
from vision_emulator.control.clock import Chance, SystemClock  # noqa: E402
from vision_emulator.core.service import Vision  # noqa: E402

YARDSTICK = "bare tesserocr, as many threads, text only"
PAGES, ROUNDS = 6, 3
METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]


# ---- speed ----


class Spent(NamedTuple):
    """Seconds by the clock, and of all cores together."""

    clock: float
    cores: float

    @classmethod
    def since(cls, start: Spent) -> Spent:
        """From then until now."""
        return cls(time.perf_counter() - start.clock, time.process_time() - start.cores)

    @classmethod
    def now(cls) -> Spent:
        """Where both stand."""
        return cls(time.perf_counter(), time.process_time())


def bare(images: list[Any]) -> Spent:
    """Time in which tesserocr reads the decoded pages, an engine in each of as many threads as there are cores."""
    engines = [
        tesserocr.PyTessBaseAPI(path=f"{tessdata()}/", lang="eng", psm=tesserocr.PSM.AUTO, oem=tesserocr.OEM.LSTM_ONLY)
        for _ in range(CORES)
    ]

    def read(turn: int) -> None:
        for image in images[turn::CORES]:
            engines[turn].SetImageBytes(image.tobytes(), image.width, image.height, 1, image.width)
            engines[turn].SetSourceResolution(pages.DOTS_PER_INCH)
            engines[turn].GetUTF8Text()

    with ThreadPoolExecutor(CORES) as threads:
        start = Spent.now()
        list(threads.map(read, range(CORES)))
        spent = Spent.since(start)
    for engine in engines:
        engine.End()
    return spent


async def emulated(api: Vision, images: list[Any], turn: int) -> Spent:
    """Time in which the emulator reads the pages, each a little greyer in every turn: what it has read it remembers."""
    files = [pages.encoded(image.point(lambda value: max(0, value - turn)), "PNG", compress_level=1) for image in images]
    features = [{"type": Feature.DOCUMENT_TEXT_DETECTION}]
    request = BatchAnnotateImagesRequest(requests=[{"image": {"content": data}, "features": features} for data in files])
    start = Spent.now()
    answer: Any = await api.call(Call(METHOD, request, {}))
    spent = Spent.since(start)
    assert all(response.full_text_annotation.text for response in answer.responses)
    return spent


async def measure() -> tuple[float, float]:
    """How many pages the emulator reads while bare tesserocr reads one: in the same time, and for the same work of the cores."""
    images = [
        pages.page((f"Page {number} of {PAGES}.", *pages.PARAGRAPHS, *pages.PARAGRAPHS, *pages.PARAGRAPHS[2:])) for number in range(PAGES)
    ]
    async with core(Config(settings={"local": {"parts": ["ocr"]}}), SystemClock(), Chance()) as made:
        await emulated(made.vision, images, ROUNDS)  # engines made, libraries loaded
        rounds = [
            (bare(images), await emulated(made.vision, images, turn)) for turn in range(ROUNDS)
        ]  # in turns, each beside its yardstick
    clock = statistics.median(yardstick.clock / spent.clock for yardstick, spent in rounds)
    return clock, statistics.median(yardstick.cores / spent.cores for yardstick, spent in rounds)


def rows() -> list[tuple[str, float, float]]:
    """Rows of (what, ratio, aim), for the table of ``make bench``."""
    clock, cores = asyncio.run(measure())
    return [
        ("DOCUMENT_TEXT of A4 pages at 200 dpi, pages per second", clock, 0.9),
        ("DOCUMENT_TEXT of A4 pages at 200 dpi, pages per second of a core's work", cores, 0.9),
    ]


# ---- words ----


def read(client: Any, case: pages.Case, feature: Any) -> str:
    """What the client gets to read."""
    features = [vision.Feature(type_=feature)]
    if not case.mime_type:
        image = vision.Image(content=case.data)
        answer = client.batch_annotate_images(requests=[vision.AnnotateImageRequest(image=image, features=features)]).responses[0]
        return str(answer.full_text_annotation.text)
    source = vision.InputConfig(content=case.data, mime_type=case.mime_type)
    file = client.batch_annotate_files(requests=[vision.AnnotateFileRequest(input_config=source, features=features)]).responses[0]
    return " ".join(page.full_text_annotation.text for page in file.responses)


def word_errors() -> list[str]:
    """The table, row by row."""
    table = ["| What is read | `DOCUMENT_TEXT_DETECTION` | `TEXT_DETECTION` |", "|---|---|---|"]
    with VisionEmulator() as emulator, over_grpc(emulator) as client:
        for case in pages.cases():
            rates = [
                pages.word_error_rate(case.expected, read(client, case, feature))
                for feature in (vision.Feature.Type.DOCUMENT_TEXT_DETECTION, vision.Feature.Type.TEXT_DETECTION)
            ]
            table.append(f"| {case.what} | {' | '.join(f'{100 * rate:.1f} %' for rate in rates)} |")
    return table


if __name__ == "__main__":
    if "--wer" in sys.argv:
        print("\n".join(word_errors()))
    else:
        for what, ratio, aim in rows():
            print(f"{what:75} {YARDSTICK:45} {ratio:8.2f}   ≥ {aim}")
