"""Google's Node clients through the table of scenarios, over gRPC and REST, plainly, over TLS and unchanged."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scenarios import EMULATOR, INSTALLED, SECURITIES, Client, check, installed_once

from vision_emulator.surfaces.tls import Authority

HERE = Path(__file__).with_name("node")
INSTALL_SECONDS_MAX = 300


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder of the installed packages; renewed when package.json changes."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node: there is no node or no npm here")
    folder = INSTALLED / "node"
    with installed_once(folder, HERE / "package.json") as missing:
        if missing:
            shutil.copy(HERE / "package.json", folder)
            quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error")
            subprocess.run(["npm", "install", *quiet], cwd=folder, check=True, timeout=INSTALL_SECONDS_MAX)
    return folder / "node_modules"


def version(modules: Path, package: str) -> str:
    """Of an installed package."""
    return str(json.loads((modules / package / "package.json").read_text())["version"])


@pytest.mark.timeout(INSTALL_SECONDS_MAX)
@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_node(
    transport: str, security: str, modules: Path, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]
) -> None:
    """Every scenario gives what the table says."""
    client = Client("Node", f"@google-cloud/vision {version(modules, '@google-cloud/vision')}", transport)
    environ = {"NODE_PATH": str(modules), "EMULATOR": str(EMULATOR), "NODE_NO_WARNINGS": "1"}
    check(client, ["node", HERE / "contract.js"], security, tmp_path, authority, record_property, environ)
