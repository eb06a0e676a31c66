"""One picture's answer among 100,000 rules: found by its uri, its bytes, or a pattern.

Run: ``python tests/benchmarks/bench_fixtures.py``. A look-up is what the core does: ask what is claimed, then for the answer.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from vision_emulator.annotators import Picture
from vision_emulator.annotators.fixtures import Fixtures
from vision_emulator.contract.messages import Feature, ImageContext

RULES, LOOKUPS, ROUNDS = 100_000, 2000, 5
ANSWER = {"labelAnnotations": [{"mid": "/m/01yrx", "description": "Cat", "score": 0.98, "topicality": 0.98}]}
LABELS = [Feature(type=Feature.LABEL_DETECTION)]


def content(number: int) -> bytes:
    """Bytes of a picture, 1 KB of them, another for each number."""
    return number.to_bytes(4, "big") * 256


def look_ups(fixtures: Fixtures, pictures: Callable[[], list[Picture]]) -> float:
    """Microseconds that a picture takes, the median of rounds."""

    async def one_round() -> float:
        asked = pictures()
        start = time.perf_counter()
        for picture in asked:
            if (work := fixtures.prepare(picture)) is not None:
                await work
            assert fixtures.claims(picture, Feature.LABEL_DETECTION)
            await fixtures.annotate(picture, LABELS, ImageContext())
        return (time.perf_counter() - start) / len(asked) * 1e6

    async def rounds() -> float:
        return statistics.median([await one_round() for _ in range(ROUNDS)])

    return asyncio.run(rounds())


def among(matches: Callable[[int], dict[str, Any]], picture: Callable[[int], Picture]) -> float:
    """Microseconds a picture, among rules that match as said."""
    with tempfile.TemporaryDirectory() as folder:
        rules = [{"match": matches(number), "response": ANSWER} for number in range(RULES)]
        Path(folder, "rules.json").write_text(json.dumps(rules))
        start = time.perf_counter()
        fixtures = Fixtures([Path(folder)])
        sys.stderr.write(f"{RULES} rules read in {time.perf_counter() - start:.1f} s\n")
        return look_ups(fixtures, lambda: [picture(number * RULES // LOOKUPS) for number in range(LOOKUPS)])


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    kinds: list[tuple[str, Callable[[int], dict[str, Any]], Callable[[int], Picture]]] = [
        ("by uri", lambda n: {"uri": f"gs://pets/{n:06}.jpg"}, lambda n: Picture(b"", f"gs://pets/{n:06}.jpg")),
        ("by sha256", lambda n: {"sha256": sha256(content(n)).hexdigest()}, lambda n: Picture(content(n))),
        ("by the start of the uri", lambda n: {"uri": f"gs://pets/{n:06}/*"}, lambda n: Picture(b"", f"gs://pets/{n:06}/cat.jpg")),
        ("by the inside of the uri", lambda n: {"uri": f"gs://*/{n:06}/*.jpg"}, lambda n: Picture(b"", f"gs://pets/{n:06}/cat.jpg")),
    ]
    return [
        (f"µs a look-up among 100,000 rules, {how}", "no yardstick", among(matches, picture), "≤ 50") for how, matches, picture in kinds
    ]


if __name__ == "__main__":
    for what, yardstick, figure, aim in rows():
        sys.stdout.write(f"{what:60} {yardstick:16} {figure:8.2f}   {aim}\n")
