"""Google's storage clients in other languages through one table of scenarios: on buckets in memory, in a directory, and unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toolchains
from storage_scenarios import check
from test_contract_node import modules  # noqa: F401 - a fixture

from vision_emulator.surfaces.tls import Authority

HERE = Path(__file__).parent
UNCHECKED = {"corrupted": "the client does not check what it downloads"}
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
    version = _version(HERE / "go" / "go.mod", r"go/storage (v[0-9.]+)")
    check([toolchains.go() / "stored"], tmp_path, NO_BATCH, record_property, {"language": "Go", "client": f"storage {version}"}, **where)


def test_java(where: dict[str, Any], tmp_path: Path, record_property: Note) -> None:
    """Every scenario of the Java client gives what the table says."""
    version = _version(HERE / "java" / "pom.xml", r"cloud-storage</artifactId>\s*<version>([0-9.]+)")
    row = {"language": "Java", "client": f"google-cloud-storage {version}"}
    check([*toolchains.java(), "Stored"], tmp_path, UNCHECKED, record_property, row, **where)


def test_node(where: dict[str, Any], modules: Path, tmp_path: Path, record_property: Note) -> None:
    """Every scenario of the Node client gives what the table says."""
    version = json.loads((modules / "@google-cloud" / "storage" / "package.json").read_text())["version"]
    row = {"language": "Node", "client": f"@google-cloud/storage {version}"}
    check(["node", HERE / "node" / "stored.js"], tmp_path, NO_BATCH, record_property, row, environ={"NODE_PATH": str(modules)}, **where)
