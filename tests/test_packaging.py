"""What a stranger installs: an sdist builds the wheel, the wheel holds all it needs, and what it installs runs outside this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
SECONDS_MAX = 60


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, as ``python -m build --sdist`` makes it."""
    return Path(next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"])))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but the unpacked sdist."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    source = unpacked / sdist.name.removesuffix(".tar.gz")
    return Path(next(WheelBuilder(str(source)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment with the wheel; its dependencies are those of this one, since they cost a minute."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    site.joinpath("dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--ignore-installed", str(wheel)], check=True, timeout=SECONDS_MAX)
    return home / "bin"


def test_the_sdist_can_build_and_says_what_it_is(sdist: Path) -> None:
    """It carries the .proto text, the fixtures and the papers, and nothing that a build would make."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"protos/vision.proto", "protos/build_hook.py", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= names
    assert {f"fixtures/{path.name}" for path in (ROOT / "fixtures").glob("*.json")} <= names
    assert not {name for name in names if name.endswith((".fds", ".pyc", "_pb2.pyi"))}


def test_the_wheel_holds_the_contract_the_fixtures_and_the_type_marker(wheel: Path) -> None:
    """What is not Python text would be missed only when it is first used."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert {f"vision_emulator/{name}" for name in ("contract/contract.fds", "contract/vision_pb2.pyi", "py.typed")} <= names
    assert {f"vision_emulator/shipped_fixtures/{path.name}" for path in (ROOT / "fixtures").glob("*.json")} <= names
    assert {path.relative_to(ROOT / "emulator").as_posix() for path in (ROOT / "emulator").rglob("*.py")} <= names
    snippets = [f"snippets/{path.name}" for path in (ROOT / "emulator" / "vision_emulator" / "snippets").glob("*.txt")]
    assert snippets
    assert {f"vision_emulator/{name}" for name in ("preload.js", *snippets)} <= names
    dashboard = ROOT / "emulator" / "vision_emulator" / "surfaces" / "dashboard"
    assert {f"vision_emulator/surfaces/dashboard/{path.name}" for path in dashboard.iterdir() if path.is_file()} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"vision_emulator"}
    assert "Requires-Python: >=3.11.3" in metadata
    assert "Provides-Extra: demo" in metadata


def test_the_installed_command_serves(installed: Path, tmp_path: Path) -> None:
    """From the wheel alone: the version, a server that is ready, a healthy answer, and an answer from the shipped fixtures."""
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    command = str(installed / "vision-emulator")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=True
        )

    assert run("--version").stdout.startswith("vision-emulator 0.")
    where = "import vision_emulator; print(vision_emulator.__file__)"
    found = subprocess.run([installed / "python", "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).is_relative_to(installed.parent), "the working tree was tested, not the wheel"
    with subprocess.Popen([command, "serve", "--port", "0"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().removeprefix("Ready on ").partition(": ")[0]
            run("healthcheck", "--host", address)
            image = b'{"source": {"imageUri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}}'
            body = b'{"requests": [{"image": ' + image + b', "features": [{"type": "LABEL_DETECTION"}]}]}'
            with urllib.request.urlopen(f"http://{address}/v1/images:annotate", body, timeout=SECONDS_MAX) as answer:
                assert b'"Cat"' in answer.read()
        finally:
            server.terminate()
        assert server.wait(timeout=SECONDS_MAX) == 0
