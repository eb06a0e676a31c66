"""One emulator a test, asked for its health when the test is over: whatever a client did, the server lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from plain import PLAIN
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from wire import check_health


@pytest.fixture
async def emulator(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> AsyncIterator[Emulator]:
    """Running on a free port; at the end it must be well, and must have logged no error."""
    caplog.set_level("INFO")
    async with Emulator(Config(port=0, bucket=("inputs", "results"), certificates=tmp_path / "ca", settings=PLAIN)) as running:
        yield running
        await check_health(running)
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.fixture
async def channel(emulator: Emulator) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(emulator.address) as opened:
        yield opened
