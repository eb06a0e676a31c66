"""The offline batch against a plain loop that reads the same objects and writes the same bytes; and its memory.

Run: ``python tests/benchmarks/bench_batch.py``. Every row is a ratio measured in one run, side by side with its yardstick.
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

IMAGES, ROUNDS, BATCH_SIZE = 2000, 5, 20
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


async def batch(vision: Any, message: AsyncBatchAnnotateImagesRequest) -> float:
    """Seconds from the create call to the result, pace instant."""
    start = time.perf_counter()
    operation = await vision.call(Call(METHOD, message, {"x-vision-emulator-pace": "instant"}))
    seconds = time.perf_counter() - start
    assert operation.HasField("response"), operation
    return seconds


async def plain_loop(storage: Any, count: int) -> float:
    """Seconds to read every image and write again what the batch wrote."""
    inputs, results = await storage.bucket("inputs"), await storage.bucket("results")
    shards = [(info.name, await results.read(info.name)) async for info in results.list("run/")]
    start = time.perf_counter()
    for number in range(count):
        await inputs.read(f"{number:04}.jpg")
    for name, data in shards:
        await results.write(name, data, "application/octet-stream")
    return time.perf_counter() - start


def decode_rate(photos: list[bytes]) -> float:
    """Images a second that one thread decodes in full."""
    start = time.perf_counter()
    for data in photos:
        Image.open(io.BytesIO(data)).convert("RGB").load()
    return len(photos) / (time.perf_counter() - start)


async def measure() -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim)."""
    photos = [photo(number) for number in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        rule = {"match": {"uri": "gs://inputs/*"}, "response": {"labelAnnotations": LABELS}}
        Path(folder, "labels.json").write_text(json.dumps([rule]))
        config = Config(bucket=("inputs", "results"), fixtures=(Path(folder),))
        async with core(config, SystemClock(), Chance()) as (vision, storage):
            bucket = await storage.bucket("inputs")
            for number in range(IMAGES):
                await bucket.write(f"{number:04}.jpg", photos[number % len(photos)], "image/jpeg")
            labels, ratios = request(Feature.LABEL_DETECTION), []
            await batch(vision, labels)
            for _ in range(ROUNDS):
                whole, loop = await batch(vision, labels), await plain_loop(storage, IMAGES)
                ratios.append(whole / loop)
            rows = [("2000-image batch, labels from fixtures", "plain loop over the same bucket", statistics.median(ratios), "≤ 3")]
            count = 300
            colours, ratios = request(Feature.IMAGE_PROPERTIES, count), []
            await batch(vision, colours)
            for _ in range(3):
                rate = decode_rate(photos * 5)
                ratios.append(count / await batch(vision, colours) / (rate * len(os.sched_getaffinity(0))))
            rows.append(("IMAGE_PROPERTIES, images per second", "cores × one thread decoding", statistics.median(ratios), "≥ 0.9"))
    return rows


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
            await batch(vision, request(Feature.LABEL_DETECTION, 20))
            process = psutil.Process()
            idle = peak = process.memory_info().rss
            running = asyncio.get_running_loop().create_task(batch(vision, request(Feature.LABEL_DETECTION)))
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
