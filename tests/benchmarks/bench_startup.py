"""Start-up against the least that it can cost: importing the two servers.

Run: ``python tests/benchmarks/bench_startup.py``.
"""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from pathlib import Path

import vision_emulator

ROUNDS = 7


def ready() -> float:
    """Seconds from starting the command until it says Ready."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "vision_emulator", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.terminate()
    assert line.startswith("Ready"), line
    return seconds


def imports() -> float:
    """Seconds to import aiohttp and grpc.aio and do nothing."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import aiohttp, grpc.aio"], check=True)
    return time.perf_counter() - start


def rows() -> list[tuple[str, str, float, str]]:
    """One row: the median of the ratios of interleaved rounds."""
    compileall.compile_dir(Path(vision_emulator.__file__).parent, quiet=1)  # as an installed package is
    ready(), imports()  # warm caches
    ratio = statistics.median(ready() / imports() for _ in range(ROUNDS))
    return [("start-up until Ready", "python -c 'import aiohttp, grpc.aio'", ratio, "≤ 1.5")]


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows():
        sys.stdout.write(f"{what:50} {yardstick:36} {ratio:8.2f}   {aim}\n")
