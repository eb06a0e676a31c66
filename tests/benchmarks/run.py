"""``make bench``: every benchmark of this folder, each in a process of its own, as one table for the README.

A benchmark is a file ``bench_*.py`` with ``rows()``: what was measured, its yardstick, the figure, and the aim ("≤ 1.5" or "≥ 0.9").
A file that measures everything by one yardstick names it once, as ``YARDSTICK``, and leaves it out of its rows; its aims are numbers to be
reached.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
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


def main() -> None:
    """Prints the rows as they are measured."""
    print("| What | Yardstick | Measured | Aim | |\n|---|---|---|---|---|")
    for name in sorted(path.stem for path in FOLDER.glob("bench_*.py")):
        for what, yardstick, figure, aim in measure(name):
            print(f"| {what} | {yardstick} | {figure:.2f} | {aim} | {'✓' if met(figure, aim) else '✗'} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(rows(sys.argv[1])))
    else:
        main()
