"""``make bench``: every benchmark of this folder, each in a process of its own, as one table for the README.

A benchmark is a file ``bench_*.py`` with ``rows()``: what was measured, its yardstick, the figure, and the aim ("≤ 1.5" or "≥ 0.9").
A file that measures everything by one yardstick names it once, as ``YARDSTICK``, and leaves it out of its rows; its aims are numbers to be
reached. With ``--write`` the table is also kept in ``results.md``, with the machine and the versions that it holds for.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from vision_emulator.control.clock import SystemClock

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.md"
SHOWN = ("aiohttp", "grpcio", "protobuf", "orjson", "msgspec", "pillow", "numpy", "tesserocr", "onnxruntime")  # what the figures hang on
Row = tuple[str, str, float, str]


def measure(name: str) -> list[Row]:
    """The rows of one benchmark, from a fresh process: no figure depends on what ran before it."""
    run = subprocess.run([sys.executable, __file__, name], stdout=subprocess.PIPE, text=True, check=True)
    return [(what, yardstick, figure, aim) for what, yardstick, figure, aim in json.loads(run.stdout)]


def rows(name: str) -> list[Row]:
    """What a benchmark measured, in this process."""
    benchmark = importlib.import_module(name)
    return [row if len(row) == 4 else (row[0], benchmark.YARDSTICK, row[1], f"≥ {row[2]}") for row in benchmark.rows()]


def met(figure: float, aim: str) -> bool:
    """Whether a figure is what was aimed at; ValueError for an aim that is neither "≤ N" nor "≥ N"."""
    sign, _, bound = aim.partition(" ")
    if sign not in ("≤", "≥"):
        raise ValueError(f"{aim!r} is no aim; write '≤ 1.5' or '≥ 0.9'")
    return figure <= float(bound) if sign == "≤" else figure >= float(bound)


def table() -> Iterator[str]:
    """The lines of the table, each as soon as it is measured; a benchmark that fails has its traceback on stderr and no row."""
    yield "| What | Yardstick | Measured | Aim | |"
    yield "|---|---|---|---|---|"
    for name in sorted(path.stem for path in FOLDER.glob("bench_*.py")):
        try:
            for what, yardstick, figure, aim in measure(name):
                yield f"| {what} | {yardstick} | {figure:.2f} | {aim} | {'✓' if met(figure, aim) else '✗'} |"
        except subprocess.CalledProcessError:
            print(f"{name} failed", file=sys.stderr)


def machine() -> str:
    """Where and with what it was measured."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if sys.platform == "linux" else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    busy = os.getloadavg()[2] / (os.cpu_count() or 1)
    day = datetime.fromtimestamp(SystemClock().now(), UTC)
    return (
        f"{day:%Y-%m-%d}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores of {(models or ['?'])[0]}, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB, {busy:.1f} tasks waiting for each core while it was measured; "
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in SHOWN)}."
    )


def main(write: bool) -> None:
    """Prints the lines as they are measured, and keeps them when told to."""
    lines = []
    for line in table():
        print(line, flush=True)
        lines.append(line)
    if write:
        RESULTS.write_text("\n".join(("# What `make bench` measured", "", machine(), "", *lines, "")), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--write"]):
        main(write=bool(sys.argv[1:]))
    else:
        print(json.dumps(rows(sys.argv[1])))
