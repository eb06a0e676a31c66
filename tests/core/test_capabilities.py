"""The ledger tells the truth: every method and feature has its line, and what it says is not emulated is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, ManualClock
from vision_emulator.core.capabilities import LEVELS, as_markdown, ledger
from vision_emulator.core.service import Vision


@pytest.fixture
async def vision() -> AsyncIterator[Vision]:
    async with core(Config(), ManualClock(), Chance(0)) as (made, _):
        yield made


async def test_every_method_is_listed_as_it_answers(vision: Vision) -> None:
    """A method is refused as unimplemented exactly where the ledger says so."""
    listed = {line.name: line for line in ledger(vision) if line.kind == "method"}
    for method in METHODS.values():
        refusal = None
        try:
            await vision.call(Call(method, method.request(), {}))
        except VisionError as refused:
            refusal = refused.code
        line = listed[f"{method.service}.{method.name}"]
        assert (refusal == Code.UNIMPLEMENTED) == (line.level == "not emulated"), line
        assert line.level != "not emulated" or line.note == "answers UNIMPLEMENTED"


async def test_every_feature_is_listed(vision: Vision) -> None:
    """A feature that is added to the proto needs a line."""
    listed = [line.name for line in ledger(vision) if line.kind == "feature"]
    assert sorted(listed) == sorted(name for name in Feature.Type.keys() if name != "TYPE_UNSPECIFIED")  # noqa: SIM118 - no dict


async def test_lines_are_complete(vision: Vision) -> None:
    """Only known levels; what is not exact says why; no line twice; the table holds them all."""
    lines = list(ledger(vision))
    assert all(line.level in LEVELS and (line.note or line.level == "exact") for line in lines)
    assert len({line.name for line in lines}) == len(lines)
    table = as_markdown(lines)
    assert [line.name for line in lines if (line.name.rpartition(".")[2] if line.kind == "method" else line.name) not in table] == []
