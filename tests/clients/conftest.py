"""One emulator for the tests of a file, reset for each, and the official clients on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage, vision
from official import by_discovery, over_grpc, over_rest

from plain import PLAIN
from vision_emulator import VisionEmulator
from vision_emulator.surfaces.tls import Authority


@pytest.fixture(scope="module")
def emulator() -> Iterator[VisionEmulator]:
    with VisionEmulator(bucket=("inputs", "results"), settings=PLAIN) as running:
        yield running


@pytest.fixture
def buckets(emulator: VisionEmulator) -> Iterator[storage.Client]:
    """The official storage client on an emulator that is as at its start."""
    emulator.reset()
    client = storage.Client("p", AnonymousCredentials(), client_options={"api_endpoint": emulator.url})
    yield client
    client.close()


@pytest.fixture(params=[over_grpc, over_rest], ids=["grpc", "rest"])
def client(request: pytest.FixtureRequest, emulator: VisionEmulator) -> Iterator[vision.ImageAnnotatorClient]:
    """The synchronous official client over one of its transports."""
    with request.param(emulator) as made:
        yield made


@pytest.fixture
def service(emulator: VisionEmulator) -> Iterator[Any]:
    """google-api-python-client, built from the discovery document it brings along."""
    with by_discovery(emulator) as made:
        yield made


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """What clients of TLS trust, in all tests of a session."""
    return Authority(tmp_path_factory.mktemp("authority"))
