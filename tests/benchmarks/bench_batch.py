"""The offline batch against a plain loop that reads the same objects and writes the same bytes; and its memory.

Run: ``python tests/benchmarks/bench_batch.py``. Every row is a ratio measured in one run, side by side with its yardstick. Against the
plain loop it is the process's own time that counts, which hardly depends on what else the machine does; against decoding it is the clock's,
since all cores decode.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageDraw

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesRequest, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock

IMAGES, ROUNDS, BATCH_SIZE = 2000, 9, 20
PLAIN = "plain loop over the same bucket"
METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
LABELS = [{"mid": f"/m/0{n}", "description": f"Label {n}", "score": 0.97 - n / 50, "topicality": 0.96 - n / 50} for n in range(10)]


def photo(number: int) -> bytes:
    """A JPEG of about 100 KB: gradients with noise, another for each number."""
    noise = Image.effect_noise((640, 480), 60)
    image = Image.merge("RGB", (noise, Image.linear_gradient("L").resize((640, 480)), noise.rotate(180)))
    ImageDraw.Draw(image).ellipse((number % 400, 100, number % 400 + 150, 300), fill=(200, number % 256, 40))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=83)
    return buffer.getvalue()


def request(feature: int, count: int = IMAGES) -> AsyncBatchAnnotateImagesRequest:
    elements = [{"image": {"source": {"image_uri": f"gs://inputs/{n:04}.jpg"}}, "features": [{"type": feature}]} for n in range(count)]
    output = {"gcs_destination": {"uri": "gs://results/run/"}, "batch_size": BATCH_SIZE}
    return AsyncBatchAnnotateImagesRequest(requests=elements, output_config=output)


async def batch(vision: Any, message: AsyncBatchAnnotateImagesRequest, clock: Callable[[], float]) -> float:
    """Seconds by this clock from the create call to the result, pace instant."""
    start = clock()
    operation = await vision.call(Call(METHOD, message, {"x-vision-emulator-pace": "instant"}))
    seconds = clock() - start
    assert operation.HasField("response"), operation
    return seconds


async def plain_loop(storage: Any, count: int) -> float:
    """Seconds of process time to read every image and write again what the batch wrote."""
    inputs, results = await storage.bucket("inputs"), await storage.bucket("results")
    shards = [(info.name, await results.read(info.name)) async for info in results.list("run/")]
    start = time.process_time()
    for number in range(count):
        await inputs.read(f"{number:04}.jpg")
    for name, data in shards:
        await results.write(name, data, "application/octet-stream")
    return time.process_time() - start


def decode_rate(photos: list[bytes]) -> float:
    """Images a second that one thread decodes in full."""
    start = time.perf_counter()
    for data in photos:
        Image.open(io.BytesIO(data)).convert("RGB").load()
    return len(photos) / (time.perf_counter() - start)


async def filled(storage: Any, photos: list[bytes], count: int, turn: int = 0) -> None:
    """Puts so many images into the input bucket, each a file of its own, and another one each turn: what was seen before is remembered."""
    bucket = await storage.bucket("inputs")
    for number in range(count):
        mark = (turn * count + number).to_bytes(4)
        await bucket.write(f"{number:04}.jpg", photos[number % len(photos)] + mark, "image/jpeg")


async def against_plain_loop(config: Config, photos: list[bytes]) -> float:
    """How many times as long as the plain loop a 2000-image batch takes, labels from fixtures; the median of interleaved rounds."""
    async with core(config, SystemClock(), Chance()) as (vision, storage):
        await filled(storage, photos, IMAGES)
        message, ratios = request(Feature.LABEL_DETECTION), []
        await batch(vision, message, time.process_time)
        for _ in range(ROUNDS):
            whole, loop = await batch(vision, message, time.process_time), await plain_loop(storage, IMAGES)
            ratios.append(whole / loop)
    return statistics.median(ratios)


async def against_decoding(photos: list[bytes]) -> float:
    """IMAGE_PROPERTIES, images per second, as a share of what all cores could decode in full; the median of interleaved rounds."""
    async with core(Config(bucket=("inputs", "results")), SystemClock(), Chance()) as (vision, storage):
        count = 300
        await filled(storage, photos, count)
        message, ratios = request(Feature.IMAGE_PROPERTIES, count), []
        await batch(vision, message, time.perf_counter)
        for turn in range(ROUNDS):
            await filled(storage, photos, count, turn + 1)
            rate = decode_rate(photos * 5) * len(os.sched_getaffinity(0))
            ratios.append(count / await batch(vision, message, time.perf_counter) / rate)
    return statistics.median(ratios)


async def measure() -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim)."""
    photos = [photo(number) for number in range(20)]
    with tempfile.TemporaryDirectory() as rules, tempfile.TemporaryDirectory() as tree:
        rule = {"match": {"uri": "gs://inputs/*"}, "response": {"labelAnnotations": LABELS}}
        Path(rules, "labels.json").write_text(json.dumps([rule]))
        memory = Config(bucket=("inputs", "results"), fixtures=(Path(rules),))
        files = Config(bucket=("inputs", "results"), fixtures=(Path(rules),), buckets=Path(tree))
        return [
            ("2000-image batch, labels from fixtures, in memory", PLAIN, await against_plain_loop(memory, photos), "≤ 3"),
            ("2000-image batch, labels from fixtures, in a folder", PLAIN, await against_plain_loop(files, photos), "≤ 3"),
            (
                "IMAGE_PROPERTIES in a batch, images per second",
                "cores × one thread decoding in full",
                await against_decoding(photos),
                "≥ 0.9",
            ),
        ]


async def memory() -> float:
    """MB by which the resident set peaks over idle during a 2000-image batch read from a directory."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        inputs.mkdir()
        Path(folder, "results").mkdir()
        photos = [photo(number) for number in range(20)]
        for number in range(IMAGES):
            (inputs / f"{number:04}.jpg").write_bytes(photos[number % len(photos)])
        async with core(Config(buckets=Path(folder)), SystemClock(), Chance()) as (vision, _):
            await batch(vision, request(Feature.LABEL_DETECTION, 20), time.process_time)
            process = psutil.Process()
            idle = peak = process.memory_info().rss
            running = asyncio.get_running_loop().create_task(batch(vision, request(Feature.LABEL_DETECTION), time.process_time))
            while not running.done():
                await asyncio.wait((running,), timeout=0.02)
                peak = max(peak, process.memory_info().rss)
            await running
    return (peak - idle) / 1e6


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    measured = asyncio.run(measure())
    with ThreadPoolExecutor(1):
        measured.append(("peak memory of a 2000-image batch over idle, MB", "100 KB images", asyncio.run(memory()), "≤ 60"))
    return measured


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows():
        sys.stdout.write(f"{what:50} {yardstick:36} {ratio:8.2f}   {aim}\n")
