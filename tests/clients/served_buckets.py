"""Embedded buckets on a port of their own, in a thread of their own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from aiohttp import web

from vision_emulator.control.clock import Chance
from vision_emulator.storage.embedded import EmbeddedStorage
from vision_emulator.surfaces.gcs import StorageSurface


@contextmanager
def serve(buckets: EmbeddedStorage) -> Iterator[str]:
    """Serves until the block is left; gives the URL that clients are pointed at."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(buckets, ready)))
    thread.start()
    loop, stop, url = ready.result(timeout=10)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve(buckets: EmbeddedStorage, ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]]) -> None:
    surface = StorageSurface(buckets, Chance())
    runner = web.ServerRunner(web.Server(surface.handle, auto_decompress=False), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stop = asyncio.Event()
    ready.set_result((asyncio.get_running_loop(), stop, f"http://127.0.0.1:{runner.addresses[0][1]}"))
    await stop.wait()
    await runner.cleanup()
