"""gcloud through those scenarios that it has commands for: told its endpoints, over TLS, and unchanged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import toolchains
from scenarios import EMULATOR, INSTALLED, SECONDS_MAX, SECURITIES, Client, check, without_proxies

from vision_emulator import VisionEmulator
from vision_emulator.surfaces.tls import Authority

PROGRAM = Path(__file__).with_name("gcloud") / "contract.sh"
pytestmark = pytest.mark.timeout(SECONDS_MAX + 60)
WITHOUT: Final = {
    "batch-offline": "no command",
    "image-error": "one picture a call",
    "17-images": "one picture a call",
    "2001-images": "no command",
    "not-found-operation": "no command",
    "deadline": "no option",
}


@pytest.fixture(scope="session")
def version() -> str:
    """gcloud's; the program reads JSON with jq."""
    toolchains.tool("gcloud")
    toolchains.tool("jq")
    told = subprocess.run(["gcloud", "version", "--format=json"], capture_output=True, text=True, check=True).stdout
    return str(json.loads(told)["Google Cloud SDK"])


@pytest.mark.parametrize("security", SECURITIES)
def test_gcloud(security: str, version: str, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]) -> None:
    """Every scenario gives what the table says."""
    environ = {"EMULATOR": str(EMULATOR), "CLOUDSDK_CONFIG": str(INSTALLED / "gcloud")}
    client = Client("gcloud", f"gcloud {version}", "rest", WITHOUT)
    check(client, ["sh", PROGRAM], security, tmp_path, authority, record_property, environ)


@pytest.mark.usefixtures("version")
def test_unchanged(authority: Authority) -> None:
    """A program that was written for the real service runs under exec as it is."""
    assert toolchains.unchanged(["sh", PROGRAM.with_name("unchanged.sh")], authority) == "Cat\nhello\n"


@pytest.mark.usefixtures("version")
def test_the_snippet() -> None:
    """What ``vision-emulator snippet gcloud`` prints runs as it is, in a shell."""
    with VisionEmulator() as emulator:
        lines = toolchains.printed("gcloud", emulator.address)
        done = subprocess.run(["sh", "-euc", lines], env=without_proxies(), capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    assert {"description": "Cat", "mid": "/m/01yrx"}.items() <= json.loads(done.stdout)["responses"][0]["labelAnnotations"][0].items()
