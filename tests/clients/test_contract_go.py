"""Google's Go client through the table of scenarios, over each of its transports, plainly, over TLS and unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import toolchains
from scenarios import SECURITIES, Client, check

from vision_emulator.surfaces.tls import Authority

MODULE = Path(__file__).with_name("go") / "go.mod"


@pytest.fixture(scope="session")
def programs() -> Path:
    return toolchains.go()


def client(transport: str) -> Client:
    found = re.search(r"cloud.google.com/go/(vision/\S+ v\S+)", MODULE.read_text())
    assert found
    return Client("Go", found[1], transport)


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_newest(
    transport: str, security: str, programs: Path, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]
) -> None:
    """Every scenario gives what the table says, as the Go client sees it."""
    check(client(transport), [programs / "contract"], security, tmp_path, authority, record_property)


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
def test_unchanged(programs: Path, authority: Authority) -> None:
    """A program that was written for the real service runs under exec as it is."""
    assert toolchains.unchanged([programs / "unchanged"], authority) == "Cat\n"
