"""The built-in Cloud Storage against fake-gcs-server: uploads, downloads and listings of small objects, in one run.

Run: ``python tests/benchmarks/bench_storage.py``. Each server is a process of its own with its objects in memory. One client, aiohttp,
makes 16 calls at once; rounds alternate between the servers, and the median of their ratios is told. fake-gcs-server is built from its
Go module; without Go there are no rows, and a line that says so.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "clients")]  # modules that tests share
import toolchains  # noqa: E402

ROUNDS, OBJECTS, AT_ONCE = 3, 1000, 16
CONTENT = b"k" * 1024
YARDSTICK = "fake-gcs-server, in memory"
EMULATOR = Path(sys.executable).with_name("vision-emulator")


@contextmanager
def built_in() -> Iterator[str]:
    """The emulator with a bucket, in a process of its own; its URL."""
    command = [EMULATOR, "serve", "--port", "0", "--bucket", "bench"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            ready = process.stdout.readline()
            yield "http://" + ready.removeprefix("Ready on ").partition(": ")[0]
        finally:
            process.terminate()


async def seconds(call: Callable[[int], Awaitable[None]], count: int, at_once: int) -> float:
    """How long so many calls take."""
    waiting = iter(range(count))

    async def caller() -> None:
        for number in waiting:
            await call(number)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(at_once)))
    return time.perf_counter() - start


async def round_of(session: aiohttp.ClientSession, url: str) -> list[float]:
    """Seconds for uploads, downloads and listings."""

    async def upload(number: int) -> None:
        query = f"uploadType=media&name=small/{number}"
        async with session.post(f"{url}/upload/storage/v1/b/bench/o?{query}", data=CONTENT) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    async def download(number: int) -> None:
        async with session.get(f"{url}/storage/v1/b/bench/o/small%2F{number}?alt=media") as answer:
            assert await answer.read() == CONTENT

    async def listing(_: int) -> None:
        async with session.get(f"{url}/storage/v1/b/bench/o?prefix=small/") as answer:
            assert (await answer.read()).count(b'"storage#object"') == OBJECTS  # to parse it would take the client longer than the server

    return [await seconds(upload, OBJECTS, AT_ONCE), await seconds(download, OBJECTS, AT_ONCE), await seconds(listing, 10, 1)]


async def measure(ours: str, theirs: str) -> list[list[float]]:
    """For each kind of call how many times as fast the built-in storage is, round by round."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        await round_of(session, ours), await round_of(session, theirs)
        ratios = []
        for _ in range(ROUNDS):
            own, other = await round_of(session, ours), await round_of(session, theirs)
            ratios.append([right / left for left, right in zip(own, other, strict=True)])
    return ratios


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    if not shutil.which("go") and not shutil.which("go", path=":".join(toolchains.ELSEWHERE)):
        sys.stderr.write("bench_storage: no rows, for Go is not installed, which builds fake-gcs-server\n")
        return []
    with ExitStack() as stack:
        ours, theirs = stack.enter_context(built_in()), stack.enter_context(toolchains.fake_gcs_serving(["bench"]))
        uploads, downloads, listings = (statistics.median(column) for column in zip(*asyncio.run(measure(ours, theirs)), strict=True))
    return [
        ("uploads of 1 KB per second, built-in Cloud Storage", YARDSTICK, uploads, "≥ 1"),
        ("downloads of 1 KB per second", YARDSTICK, downloads, "≥ 1"),
        ("listings of 1,000 objects per second", YARDSTICK, listings, "≥ 1"),
    ]


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows():
        sys.stdout.write(f"{what:66} {yardstick:30} {ratio:8.2f}   {aim}\n")
