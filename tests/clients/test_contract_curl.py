"""curl through the table of scenarios: plainly, over TLS and through the proxy, as any program does that speaks HTTP."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scenarios import SECURITIES, Client, check

from vision_emulator.surfaces.tls import Authority

PROGRAM = Path(__file__).with_name("curl") / "contract.sh"


@pytest.fixture(scope="session")
def version() -> str:
    """curl's; the program reads JSON with jq."""
    for name in ("curl", "jq"):
        if not shutil.which(name):
            pytest.skip(f"curl: there is no {name} here")
    return subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


@pytest.mark.parametrize("security", SECURITIES)
def test_curl(security: str, version: str, tmp_path: Path, authority: Authority, record_property: Callable[[str, object], None]) -> None:
    """Every scenario gives what the table says."""
    check(Client("curl", f"curl {version}", "rest"), ["sh", PROGRAM], security, tmp_path, authority, record_property)
