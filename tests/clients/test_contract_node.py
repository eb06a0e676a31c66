"""Google's Node clients through the table of scenarios, over gRPC and REST, plainly, over TLS and unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import toolchains
from scenarios import EMULATOR, SECURITIES, Client, check

from vision_emulator.surfaces.tls import Authority

HERE = Path(__file__).with_name("node")


@pytest.fixture(scope="session")
def modules() -> Path:
    return toolchains.node()


def version(modules: Path, package: str) -> str:
    """Of an installed package."""
    return str(json.loads((modules / package / "package.json").read_text())["version"])


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_node(
    transport: str, security: str, modules: Path, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]
) -> None:
    """Every scenario gives what the table says."""
    client = Client("Node", f"@google-cloud/vision {version(modules, '@google-cloud/vision')}", transport)
    environ = {"NODE_PATH": str(modules), "EMULATOR": str(EMULATOR), "NODE_NO_WARNINGS": "1"}
    check(client, ["node", HERE / "contract.js"], security, tmp_path, authority, record_property, environ)


@pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)
@pytest.mark.parametrize("program", ["unchanged.js", "unchanged_fetch.mjs"])
def test_unchanged(program: str, modules: Path, authority: Authority) -> None:
    """Programs that were written for the real service run under exec as they are, also one that knows no client and no proxy."""
    command = ["env", f"NODE_PATH={modules}", "node", HERE / program]
    assert toolchains.unchanged(command, authority) == "Cat\n"
