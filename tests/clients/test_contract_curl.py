"""curl through the table of scenarios: plainly, over TLS and through the proxy, as any program does that speaks HTTP."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import toolchains
from scenarios import SECONDS_MAX, SECURITIES, Client, check, without_proxies

from vision_emulator import VisionEmulator
from vision_emulator.surfaces.tls import Authority

PROGRAM = Path(__file__).with_name("curl") / "contract.sh"
pytestmark = pytest.mark.timeout(SECONDS_MAX + 60)


@pytest.fixture(scope="session")
def version() -> str:
    """curl's; the program reads JSON with jq."""
    toolchains.tool("curl")
    toolchains.tool("jq")
    return subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


@pytest.mark.parametrize("security", SECURITIES)
def test_curl(security: str, version: str, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]) -> None:
    """Every scenario gives what the table says."""
    check(Client("curl", f"curl {version}", "rest"), ["sh", PROGRAM], security, tmp_path, authority, record_property)


@pytest.mark.usefixtures("version")
def test_unchanged(authority: Authority) -> None:
    """A program that was written for the real service runs under exec as it is."""
    assert toolchains.unchanged(["sh", PROGRAM.with_name("unchanged.sh")], authority) == "Cat\n"


@pytest.mark.usefixtures("version")
def test_the_snippet() -> None:
    """What ``vision-emulator snippet curl`` prints runs as it is, in a shell."""
    with VisionEmulator() as emulator:
        lines = toolchains.printed("curl", emulator.address)
        done = subprocess.run(["sh", "-euc", lines], env=without_proxies(), capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    assert {"description": "Cat", "mid": "/m/01yrx"}.items() <= json.loads(done.stdout)["responses"][0]["labelAnnotations"][0].items()
