"""IMAGE_PROPERTIES on 100 KB JPEGs against what the machine's cores could at best decode, side by side in one run.

The yardstick is cores × the rate at which one thread decodes the same files fully with Pillow. Both run in turns on the same pictures,
and the median of the rounds' ratios is what counts. Beyond 1 the emulator is faster than that, since it decodes at a fraction of the size.
"""

from __future__ import annotations

import asyncio
import io
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from vision_emulator.annotators import Picture, Settings
from vision_emulator.annotators.local import Local
from vision_emulator.annotators.local.properties import Properties
from vision_emulator.contract.messages import Feature, ImageContext

YARDSTICK = "cores × one thread decoding in full"
PICTURES = 60
ROUNDS = 9
FILE_BYTES = 100_000
CORES = len(os.sched_getaffinity(0))


def rows() -> list[tuple[str, float, float]]:
    """What was measured: its name, the share of cores × full-decode rate that was reached, and the aim."""
    photos = [photo(number) for number in range(PICTURES)]
    both = [Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS]
    return [
        ("IMAGE_PROPERTIES, 100 KB JPEG", share(photos, [Feature.IMAGE_PROPERTIES]), 0.9),
        ("IMAGE_PROPERTIES + CROP_HINTS, 100 KB JPEG", share(photos, both), 0.9),
        ("the same, cropped around faces, 100 KB JPEG", share(photos, both, (1.0, 1.5)), 0.8),
        ("IMAGE_PROPERTIES, 12-megapixel JPEG", share(copies(photo(0, (4000, 3000), 2_000_000), 4), [Feature.IMAGE_PROPERTIES]), 0.9),
    ]


def copies(data: bytes, count: int) -> list[bytes]:
    """The same picture so often, each a file of its own: what was seen before is remembered."""
    return [data + bytes([number]) for number in range(count)]


def share(photos: Sequence[bytes], kinds: Sequence[int], ratios: Sequence[float] = ()) -> float:
    """The rate of annotating on all cores over cores × the rate of decoding on one; the median of the rounds after one to warm up."""
    with ThreadPoolExecutor(CORES) as threads:
        ratios = [seconds_to_decode(photos) / CORES / seconds_to_annotate(photos, kinds, ratios, threads) for _ in range(ROUNDS + 1)]
    return statistics.median(ratios[1:])


def seconds_to_decode(photos: Sequence[bytes]) -> float:
    """In one thread, to full-size RGB."""
    start = time.perf_counter()
    for data in photos:
        Image.open(io.BytesIO(data)).convert("RGB")
    return time.perf_counter() - start


def seconds_to_annotate(photos: Sequence[bytes], kinds: Sequence[int], ratios: Sequence[float], threads: ThreadPoolExecutor) -> float:
    """With two pictures per core under way, as a batch has them."""
    annotator = Local([Properties.create(Settings())], threads)  # a new one: it remembers what it has seen
    features = [Feature(type=kind) for kind in kinds]
    context = ImageContext(crop_hints_params={"aspect_ratios": ratios})
    waiting = iter(photos)

    async def annotate(photos: Iterator[bytes]) -> None:
        for data in photos:
            await annotator.annotate(Picture(data), features, context)

    async def all_of_them() -> None:
        await asyncio.gather(*(annotate(waiting) for _ in range(2 * CORES)))

    start = time.perf_counter()
    asyncio.run(all_of_them())
    return time.perf_counter() - start


def photo(number: int, size: tuple[int, int] = (1024, 768), file_bytes: int = FILE_BYTES) -> bytes:
    """A JPEG of about this many bytes: soft shapes and grain, different for each number."""
    chance = np.random.default_rng(number)
    shapes = Image.fromarray(chance.integers(0, 256, (9, 12, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = chance.normal(0, 6, (size[1], size[0], 1))
    image = Image.fromarray((np.asarray(shapes) + grain).clip(0, 255).astype(np.uint8))
    for quality in range(95, 5, -5):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= file_bytes:
            break
    return file.getvalue()


if __name__ == "__main__":
    for name, ratio, aim in rows():
        print(f"{name:50} {ratio:6.2f}   aim {aim}")
