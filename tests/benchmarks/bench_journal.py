"""What the journal costs a call: calls per second with it as it is, with readers of its events, and without it.

A small call is an image asked for its labels with nobody to annotate it: the least that a call can be, so that what is noted weighs most.
A large one is a photograph's worth of pixels with the annotators as they are configured by default.
The three kinds of emulator take turns in short rounds, each time another first, and the medians of what the process computed count: what
else the machine does meets none of them.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # wire

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.messages import BatchAnnotateImagesRequest
from vision_emulator.contract.methods import METHODS, Call
from wire import connected, request

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
CALLS, ROUNDS, READERS = 100, 60, 5
SMALL = b"x" * 2_000


class Nothing:
    """A journal that notes nothing."""

    readers = 0

    @contextmanager
    def entry(self, call: Call) -> Iterator[Any]:
        del call
        yield SimpleNamespace(number=0, answer=None)

    def reset(self, project: str = "") -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nobody listens."""


def rows() -> list[tuple[str, str, float, str]]:
    """What was measured: calls per second relative to an emulator without a journal, and the aim."""
    return asyncio.run(_rows())


async def _rows() -> list[tuple[str, str, float, str]]:
    yardstick = "calls per second of computing without a journal"
    small = await measured(SMALL, CALLS, annotators=())
    large = await measured(photograph(), 5)
    return [
        ("Journal over gRPC", f"{yardstick} ({small[0]:.0f})", small[1], "≥ 0.9"),
        (f"Journal over gRPC, {READERS} readers of events", yardstick, small[2], "≥ 0.7"),
        ("Journal over gRPC, photographs of 2 MB", f"{yardstick} ({large[0]:.0f})", large[1], "≥ 0.9"),
    ]


def photograph() -> bytes:
    """A JPEG of two million pixels that compress badly, about 2 MB."""
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


async def measured(content: bytes, calls: int, **options: Any) -> tuple[float, float, float]:
    """Calls per second without a journal, and how many times that with one, and with one that has readers."""
    async with AsyncExitStack() as stack:
        without, plain, watched = [await stack.enter_async_context(running(options)) for _ in range(3)]
        without.vision.journal = Nothing()  # type: ignore[assignment]
        for _ in range(READERS):
            stack.enter_context(_listening(await stack.enter_async_context(connected(watched.address))))
        channels = [await stack.enter_async_context(grpc.aio.insecure_channel(one.address)) for one in (without, plain, watched)]
        taken: list[list[float]] = [[], [], []]
        for turn in range(ROUNDS + 3):
            for place in range(3):
                kind = (turn + place) % 3
                taken[kind].append(await _round(channels[kind], content, calls))
    alone, noted, told = (statistics.median(times[3:]) for times in taken)
    return calls / alone, alone / noted, alone / told


@asynccontextmanager
async def running(options: dict[str, Any]) -> AsyncIterator[Emulator]:
    """An emulator of its own."""
    async with Emulator(Config(port=0, **options)) as emulator:
        yield emulator


@contextmanager
def _listening(connection: Any) -> Iterator[None]:
    """Somebody who takes all events and looks at none."""

    async def take() -> None:
        while await connection.reader.read(1 << 16):
            pass

    connection.send(request("GET", "/_emulator/v1/events"))
    task = asyncio.get_running_loop().create_task(take())
    try:
        yield
    finally:
        task.cancel()


async def _round(channel: grpc.aio.Channel, content: bytes, calls: int) -> float:
    stub = channel.unary_unary(METHOD.grpc_path)
    data = BatchAnnotateImagesRequest(requests=[{"image": {"content": content}, "features": [{"type": 4}]}]).SerializeToString()
    start = time.process_time()
    for _ in range(calls):
        await stub(data)
    return time.process_time() - start
