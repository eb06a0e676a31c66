"""Google's storage clients in other languages through one table of scenarios: on buckets in memory, in a directory, and unchanged."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
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
    installed = _version(HERE / "go" / "go.mod", r"go/storage (v[0-9.]+)")
    check([toolchains.go() / "stored"], tmp_path, NO_BATCH, record_property, {"language": "Go", "client": f"storage {installed}"}, **where)


def test_java(where: dict[str, Any], tmp_path: Path, record_property: Note) -> None:
    """Every scenario of the Java client gives what the table says."""
    installed = _version(HERE / "java" / "pom.xml", r"cloud-storage</artifactId>\s*<version>([0-9.]+)")
    row = {"language": "Java", "client": f"google-cloud-storage {installed}"}
    check([*toolchains.java(), "Stored"], tmp_path, UNCHECKED, record_property, row, **where)


def test_node(where: dict[str, Any], modules: Path, tmp_path: Path, record_property: Note) -> None:  # noqa: F811 - the fixture
    """Every scenario of the Node client gives what the table says."""
    installed = json.loads((modules / "@google-cloud" / "storage" / "package.json").read_text())["version"]
    row = {"language": "Node", "client": f"@google-cloud/storage {installed}"}
    check(["node", HERE / "node" / "stored.js"], tmp_path, NO_BATCH, record_property, row, environ={"NODE_PATH": str(modules)}, **where)


def test_python(where: dict[str, Any], tmp_path: Path, record_property: Note) -> None:
    """Every scenario of the Python client gives what the table says."""
    row = {"language": "Python", "client": f"google-cloud-storage {version('google-cloud-storage')}"}
    check([sys.executable, HERE / "python" / "stored.py"], tmp_path, {}, record_property, row, **where)


@pytest.mark.parametrize("where", ["memory"], indirect=True)
def test_gcloud(where: dict[str, Any], tmp_path: Path, record_property: Note) -> None:
    """Every scenario that gcloud has commands for gives what the table says."""
    toolchains.tool("gcloud")
    toolchains.tool("jq")
    without = {
        "corrupted": "it looks at the object before it downloads it",
        "pages": "it has no size of pages to choose",
        "batch": "it deletes one by one",
    }
    row = {"language": "gcloud", "client": "gcloud storage"}
    environ = {"CLOUDSDK_CONFIG": str(tmp_path / "config")}
    check(["sh", HERE / "gcloud" / "stored.sh"], tmp_path, without, record_property, row, environ=environ, **where)
