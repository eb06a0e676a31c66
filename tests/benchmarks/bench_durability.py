"""What it costs that state survives: a batch and single uploads with --data-dir against what they must cost, in one run.

Run: ``python tests/benchmarks/bench_durability.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_batch import IMAGES, LABELS, batch, filled, photo, request

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import Feature
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage.embedded import Attributes

ROUNDS, UPLOADS = 5, 300


async def upload(storage: Any) -> float:
    """Seconds for so many small objects, one after the other."""
    bucket = await storage.bucket("inputs")
    start = time.perf_counter()
    for number in range(UPLOADS):
        await bucket.put(f"small/{number}", b"x" * 1000, Attributes("text/plain"))
    return time.perf_counter() - start


def bare(folder: Path) -> float:
    """Seconds to write as many files so that they outlive the machine's end, and nothing else."""
    handle = os.open(folder, os.O_RDONLY)
    start = time.perf_counter()
    for number in range(UPLOADS):
        with Path(folder, "temporary").open("wb") as file:
            file.write(b"x" * 1000)
            file.flush()
            os.fsync(file.fileno())
        Path(folder, "temporary").replace(folder / str(number))
        os.fsync(handle)
    seconds = time.perf_counter() - start
    os.close(handle)
    return seconds


async def measure() -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim); medians of interleaved rounds."""
    served_yardstick, bare_yardstick = "the same with --buckets", "bare files, each and its folder synchronized"
    photos = [photo(number) for number in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        rules, tree, data = Path(folder, "rules"), Path(folder, "tree"), Path(folder, "data")
        rules.mkdir()
        rule = {"match": {"uri": "gs://inputs/*"}, "response": {"labelAnnotations": LABELS}}
        (rules / "labels.json").write_text(json.dumps([rule]))
        served = Config(bucket=("inputs", "results"), fixtures=(rules,), buckets=tree)
        kept = Config(bucket=("inputs", "results"), fixtures=(rules,), data_dir=data)
        async with core(served, SystemClock(), Chance()) as plain, core(kept, SystemClock(), Chance()) as durable:
            message, batches, uploads = request(Feature.LABEL_DETECTION), [], []
            for each in (plain, durable):
                await filled(each.storage, photos, IMAGES)
                await batch(each.vision, message, time.perf_counter)
            await upload(durable.storage)
            for _ in range(ROUNDS):
                yardstick, measured = [await batch(each.vision, message, time.perf_counter) for each in (plain, durable)]
                batches.append(measured / yardstick)
                uploads.append(await upload(durable.storage) / bare(data))
    return [
        ("2000-image batch, labels from fixtures, --data-dir", served_yardstick, statistics.median(batches), "≤ 2"),
        ("objects of 1 KB one after the other, --data-dir", bare_yardstick, statistics.median(uploads), "≤ 3"),
    ]


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    return asyncio.run(measure())


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows():
        sys.stdout.write(f"{what:52} {yardstick:28} {ratio:8.2f}   {aim}\n")
