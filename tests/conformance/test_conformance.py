"""The wire contract in small steps: thousands of generated variants of every annotation method.

Each is answered as it was before, over every transport alike, and never with a fault of the emulator's own.

``pytest tests/conformance --record-baseline`` records the answers anew, and the README's count; read the difference before you commit it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from json_variants import JsonVariant
from outcomes import Outcome, Transports
from shapes import ANNOTATE, OPERATIONS, method
from variants import Variant, variants

from vision_emulator.app import Emulator
from vision_emulator.config import Config

BASELINE = Path(__file__).parent / "baseline"
README = Path(__file__).parents[2] / "README.md"
RECORD = "pytest tests/conformance --record-baseline"
SHOWN_MAX = 20  # differences printed
WHOLE_CHARS_MAX = 1000  # of an answer in one of them
SENTENCE = re.compile(r"(<!-- conformance: .* -->\n).*\n(<!-- end of conformance -->)")
VARIANTS_MIN = 5000
ANNOTATORS = ("fixtures", "synthetic")  # what else is installed must not change an answer


@pytest.fixture
async def transports() -> AsyncIterator[Transports]:
    async with (
        Emulator(Config(port=0, bucket=("inputs", "results"), annotators=ANNOTATORS)) as emulator,
        aiohttp.ClientSession() as session,
        grpc.aio.insecure_channel(emulator.address) as channel,
    ):
        ways = Transports(emulator, session, channel)
        await ways.prepare()
        yield ways


async def outcomes(transports: Transports, rpc: str, variant: Variant) -> dict[str, Outcome]:
    if isinstance(variant, JsonVariant):
        return {"rest": await transports.rest(variant.verb, variant.path, variant.body)}
    return await transports.all(method(rpc, variant.package), variant.fields, staged=rpc in OPERATIONS)


def disagreement(answers: Mapping[str, Outcome]) -> str:
    """What the transports say when they do not say the same."""
    first, *others = answers.values()
    if all(other == first for other in others):
        return ""
    return "".join(f"\n    {way:7} {answer} {answer.details or ''}" for way, answer in answers.items())


def listed(rpc: str, title: str, entries: list[str]) -> str:
    more = f"\n  … and {len(entries) - SHOWN_MAX} more" if len(entries) > SHOWN_MAX else ""
    return f"{len(entries)} {title}" + "".join(f"\n  {rpc}: {entry}" for entry in entries[:SHOWN_MAX]) + more


def differences(expected: Mapping[str, str], got: Mapping[str, str], whole: Mapping[str, str]) -> list[str]:
    """Each variant that is answered otherwise than recorded, is not recorded, or is recorded and no longer there."""
    nothing = "nothing"
    return [
        f"{name}\n    expected {expected.get(name, nothing)}\n    got      {whole.get(name, nothing)}"
        for name in [*got, *(name for name in expected if name not in got)]
        if expected.get(name) != got.get(name)
    ]


@pytest.mark.parametrize("rpc", [*ANNOTATE, *OPERATIONS])
async def test_every_variant_is_answered_as_recorded_and_over_every_transport_alike(
    rpc: str,
    transports: Transports,
    request: pytest.FixtureRequest,
    record_property: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """REST, gRPC and a direct call agree on code, message, details and answer; nothing is ever INTERNAL; nothing changes unnoticed."""
    caplog.set_level(logging.CRITICAL)
    file = BASELINE / f"{rpc}.json"
    expected = json.loads(file.read_text()) if file.exists() else {}
    disagreements, faults, got, whole = [], [], {}, {}
    for variant in variants(rpc):
        answers = await outcomes(transports, rpc, variant)
        if found := disagreement(answers):
            disagreements.append(variant.name + found)
        outcome = next(iter(answers.values()))
        if outcome.is_our_fault:
            faults.append(f"{variant.name}\n    {outcome}")
        got[variant.name] = str(outcome)
        if got[variant.name] != expected.get(variant.name):
            whole[variant.name] = outcome.text[:WHOLE_CHARS_MAX]
    if request.config.getoption("--record-baseline", default=False):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(got, indent=0, ensure_ascii=False) + "\n")
        expected = got
    changes = differences(expected, got, whole)
    record_property("conformance", [len(got), len(got) - len(disagreements) - len(faults) - len(changes)])
    assert not disagreements, listed(rpc, "variants on which transports disagree", disagreements)
    assert not faults, listed(rpc, "variants answered with a fault of the emulator itself", faults)
    assert not changes, listed(rpc, f"variants answered otherwise than recorded; when that is right: {RECORD}", changes)


def test_a_difference_says_what_was_expected_and_what_came() -> None:
    """Changed, new and stale records are all differences; of many the first twenty are shown."""
    got = {"same": "OK {}", "changed": "NOT_FOUND: x", "new": "OK {}"}
    found = differences({"same": "OK {}", "changed": "OK {}", "stale": "OK {}"}, got, got)
    assert [entry.split("\n")[0] for entry in found] == ["changed", "new", "stale"]
    assert found[0] == "changed\n    expected OK {}\n    got      NOT_FOUND: x"
    assert listed("Rpc", "differences", [str(number) for number in range(25)]).splitlines()[-1] == "  … and 5 more"


def test_transports_disagree_over_code_text_details_or_answer() -> None:
    """Whatever a client could tell apart is a disagreement, and each transport's answer is shown."""
    same = Outcome("OK", answer={"responses": [{"labelAnnotations": [{"score": 0.5}]}]})
    assert not disagreement({"direct": same, "grpc": same, "rest": same})
    for other in (
        Outcome("NOT_FOUND"),
        Outcome("OK", "text", answer=same.answer),
        Outcome("OK", details=[{"@type": "type.googleapis.com/google.rpc.BadRequest"}], answer=same.answer),
        Outcome("OK", answer={"responses": [{"labelAnnotations": [{"score": 0.4}]}]}),
    ):
        assert "rest" in disagreement({"direct": same, "grpc": same, "rest": other})


def test_a_fault_of_the_emulator_is_found_wherever_it_stands() -> None:
    """INTERNAL over the call, in an operation, in a written file or over one image; the documented code 13 of a PDF is none."""
    image = {"error": {"code": 13, "message": "Internal server error. Error processing features."}}
    assert Outcome("INTERNAL").is_our_fault
    assert Outcome("OK", answer={"done": True, "error": {"code": 13, "message": "Internal error"}}).is_our_fault
    assert Outcome("OK", answer={"written": {"output-1-to-1.json": {"responses": [{}, image]}}}).is_our_fault
    assert not Outcome("OK", answer={"responses": [{"error": {"code": 3, "message": "Bad image data."}}]}).is_our_fault


def sentence() -> str:
    count = sum(len(variants(rpc)) for rpc in (*ANNOTATE, *OPERATIONS))
    assert count >= VARIANTS_MIN
    return f"{count:,} variants of the annotation methods and of operations are answered as recorded, over REST and gRPC alike: 100 % pass."


def test_the_readme_says_how_many_variants_there_are(request: pytest.FixtureRequest) -> None:
    """The count in the README is the one of the generator, and there are no records of methods that are not run."""
    text = README.read_text()
    current = SENTENCE.sub(lambda found: f"{found[1]}{sentence()}\n{found[2]}", text)
    if request.config.getoption("--record-baseline", default=False) and current != text:
        README.write_text(current)
        text = current
    assert SENTENCE.search(text)
    assert text == current, f"the README's sentence about conformance is stale: {RECORD}"
    assert {file.stem for file in BASELINE.iterdir()} == {*ANNOTATE, *OPERATIONS}
