"""Every test here runs three times: straight into the core, over REST and over gRPC. What differs is a bug."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import grpc.aio
import pytest
from transports import Api, Direct, Files, Grpc, Rest

from plain import PLAIN
from vision_emulator.app import Emulator
from vision_emulator.config import Config


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(Config(port=0, bucket=("inputs", "results"), settings=PLAIN)) as running:
        yield running


@pytest.fixture(params=["direct", "rest", "grpc"])
async def api(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Api]:
    if request.param == "direct":
        yield Direct(emulator)
    elif request.param == "rest":
        async with aiohttp.ClientSession() as session:
            yield Rest(emulator, session)
    else:
        async with grpc.aio.insecure_channel(emulator.address) as channel:
            yield Grpc(channel)


@pytest.fixture
def files(emulator: Emulator) -> Files:
    return Files(emulator)
