"""Google's Java client through the table of scenarios, over each of its transports, plainly, over TLS and unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import toolchains
from scenarios import SECURITIES, Client, check

from vision_emulator.surfaces.tls import Authority

POM = Path(__file__).with_name("java") / "pom.xml"


@pytest.fixture(scope="session")
def command() -> list[str]:
    return toolchains.java()


def client(transport: str) -> Client:
    found = re.search(r"google-cloud-vision</artifactId>\s*<version>([^<]+)", POM.read_text())
    assert found
    return Client("Java", f"google-cloud-vision {found[1]}", transport)


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_newest(
    transport: str, security: str, command: list[str], tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]
) -> None:
    """Every scenario gives what the table says, as the Java client sees it; under exec the JVM is led by JAVA_TOOL_OPTIONS alone."""
    check(client(transport), [*command, "Contract"], security, tmp_path, authority, record_property)


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
def test_unchanged(command: list[str], authority: Authority) -> None:
    """A program that was written for the real service runs under exec as it is."""
    assert toolchains.unchanged([*command, "Unchanged"], authority) == "Cat\n"
