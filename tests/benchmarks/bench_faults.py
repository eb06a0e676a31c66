"""What fault rules cost the calls that they do not strike: calls per second with rules against the same without.

Run: ``python tests/benchmarks/bench_faults.py``. The calls go straight into the core, so that no transport hides the cost: polls, which
do the least of all, and pictures answered by a fixture's rule. Rounds with and without rules alternate.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesRequest, BatchAnnotateImagesRequest, Feature, GetOperationRequest
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.control.faults import Reject, Rule

ROUNDS, CALLS = 30, 300
YARDSTICK = "the same calls without rules"
HEADERS = {f"x-header-{number}": "some value" for number in range(10)} | {"user-agent": "bench", "x-goog-api-client": "gl-python/3"}
OFFLINE = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
ONLINE = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
POLL = METHODS["/google.longrunning.Operations/GetOperation"]
ELEMENT = {
    "image": {"source": {"image_uri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}},
    "features": [{"type": Feature.LABEL_DETECTION}],
}


def rules(count: int) -> list[Rule]:
    """So many rules that never strike what is called here."""
    kinds = (
        Rule((Reject("UNAVAILABLE"),), method="storage.*"),
        Rule((Reject("UNAVAILABLE"),), selected=True),
        Rule((Reject("UNAVAILABLE"),), transport="rest", times=None),
    )
    return [kinds[number % len(kinds)] for number in range(count)]


async def seconds(vision: Any, call: Any) -> float:
    """How long so many calls take, one after the other."""
    start = time.perf_counter()
    for _ in range(CALLS):
        await vision.call(call())
    return time.perf_counter() - start


async def against_none(vision: Any, call: Any, count: int) -> float:
    """Calls per second with so many rules, as a share of those without; the median of alternating rounds."""
    shares = []
    await seconds(vision, call)
    for _ in range(ROUNDS):
        without = await seconds(vision, call)
        for rule in rules(count):
            vision.faults.add(rule)
        shares.append(without / await seconds(vision, call))
        vision.faults.reset()
    return statistics.median(shares)


async def look(vision: Any, call: Any) -> float:
    """The time that a call takes to see that there is no rule, as a share of its whole time."""
    whole = min([await seconds(vision, call) for _ in range(ROUNDS)]) / CALLS
    start = time.perf_counter()
    for _ in range(100_000):
        vision.faults.concern(HEADERS)
    return (time.perf_counter() - start) / 100_000 / whole


async def measure() -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim)."""
    async with core(Config(bucket=("results",)), SystemClock(), Chance(0)) as (vision, _):
        output = {"gcs_destination": {"uri": "gs://results/run/"}}
        batch = Call(
            OFFLINE, AsyncBatchAnnotateImagesRequest(requests=[ELEMENT], output_config=output), {"x-vision-emulator-pace": "instant"}
        )
        operation = await vision.call(batch)

        def poll() -> Call:
            return Call(POLL, GetOperationRequest(name=operation.name), HEADERS)

        def picture() -> Call:
            return Call(ONLINE, BatchAnnotateImagesRequest(requests=[ELEMENT]), HEADERS)

        return [
            ("polls per second, 1 fault rule for other calls", YARDSTICK, await against_none(vision, poll, 1), "≥ 0.9"),
            ("polls per second, 10 fault rules for other calls", YARDSTICK, await against_none(vision, poll, 10), "≥ 0.6"),
            ("images:annotate per second, 10 fault rules for other calls", YARDSTICK, await against_none(vision, picture, 10), "≥ 0.8"),
            ("a poll's look whether there are fault rules, when there are none", "the whole poll", await look(vision, poll), "≤ 0.02"),
        ]


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    return asyncio.run(measure())


if __name__ == "__main__":
    for what, yardstick, ratio, aim in rows():
        sys.stdout.write(f"{what:66} {yardstick:30} {ratio:8.3f}   {aim}\n")
