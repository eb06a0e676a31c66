"""Google's Python clients through the table of scenarios, over each of their transports, plainly, over TLS and unchanged."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import toolchains
from scenarios import EMULATOR, SECONDS_MAX, SECURITIES, Client, check

from vision_emulator.surfaces.tls import Authority

PROGRAM = Path(__file__).with_name("python") / "contract.py"
pytestmark = pytest.mark.timeout(SECONDS_MAX + 60)
VISION = f"google-cloud-vision {version('google-cloud-vision')}"
DISCOVERY = f"google-api-python-client {version('google-api-python-client')}, with PySocks"
OLD = ("1.0.0", "2.0.0")  # the last without proto-plus, the first with it
CLIENTS = [*(Client("Python", VISION, transport) for transport in ("grpc", "asyncio", "rest")), Client("Python", DISCOVERY, "discovery")]


@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("client", CLIENTS, ids=[client.transport for client in CLIENTS])
def test_newest(
    client: Client, security: str, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]
) -> None:
    """Every scenario gives what the table says, as the newest clients see it."""
    check(client, [sys.executable, PROGRAM], security, tmp_path, authority, record_property, {"EMULATOR": str(EMULATOR)})


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("release", OLD)
def test_old(release: str, security: str, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]) -> None:
    """The same for clients that programs were written for years ago, with the libraries of their time."""
    python = toolchains.python(f"python-{release}", f"google-cloud-vision=={release}", "google-cloud-storage<3", "setuptools<80")
    environ = {"EMULATOR": str(EMULATOR), "PYTHONWARNINGS": "ignore"}
    client = Client("Python", f"google-cloud-vision {release}", "grpc")
    check(client, [python, PROGRAM], security, tmp_path, authority, record_property, environ)


def test_unchanged(authority: Authority) -> None:
    """A program that was written for the real service runs under exec as it is."""
    assert toolchains.unchanged([sys.executable, PROGRAM.with_name("unchanged.py")], authority) == "Cat\nCat\nCat\nhello\n"
