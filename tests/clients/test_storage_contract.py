"""Google's storage clients in other languages through one table of scenarios: on buckets in memory, in a directory, and unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toolchains
from storage_scenarios import check

from vision_emulator.surfaces.tls import Authority

HERE = Path(__file__).parent
NO_BATCH = {"batch": "the client has no batches"}
Note = Callable[[str, object], None]

pytestmark = pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)


def _version(file: Path, pattern: str) -> str:
    found = re.search(pattern, file.read_text())
    assert found
    return found[1]


@pytest.fixture(params=["memory", "directory", "exec"])
def where(request: pytest.FixtureRequest, tmp_path: Path, authority: Authority) -> dict[str, Any]:
    """What the emulator is started with."""
    if request.param == "exec":
        return {"authority": authority}
    return {"buckets": str(tmp_path / "tree")} if request.param == "directory" else {}


def test_go(where: dict[str, Any], tmp_path: Path, record_property: Note) -> None:
    """Every scenario of the Go client gives what the table says."""
    row = {"language": "Go", "client": f"storage {_version(HERE / 'go' / 'go.mod', r'go/storage (v[0-9.]+)')}"}
    check([toolchains.go() / "stored"], tmp_path, NO_BATCH, record_property, row, **where)
