"""Programs in other languages, built once into .clients, and again when their text changes; where their toolchain is missing it is said."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import pytest
from scenarios import EMULATOR, INSTALLED, SECONDS_MAX, without_proxies

from vision_emulator import config as configuration
from vision_emulator.surfaces.tls import Authority

HERE: Final = Path(__file__).parent
BUILD_SECONDS_MAX: Final = 900  # the first time hundreds of modules are fetched and compiled
START_SECONDS_MAX: Final = 20.0
FAKE_GCS_SERVER: Final = "github.com/fsouza/fake-gcs-server@v1.56.1"
ELSEWHERE: Final = ("/usr/local/go/bin",)  # where Go's own installer puts it, which is on few paths


def printed(language: str, address: str) -> str:
    """What ``vision-emulator snippet`` prints."""
    return subprocess.run([EMULATOR, "snippet", language, "--host", address], capture_output=True, text=True, check=True).stdout


def snippet(language: str, address: str) -> str:
    """The same with this expression in place of the address."""
    said = printed(language, "localhost:8970")
    assert said.count("localhost:8970") == 1, said
    return said.replace("localhost:8970", f'" + {address} + "')


def tool(name: str) -> str:
    """The path of a program; a test that needs one that is not there is skipped, with a line that says so."""
    found = shutil.which(name) or shutil.which(name, path=":".join(ELSEWHERE))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def go(folder: Path = INSTALLED / "go") -> Path:
    """The folder with the Go programs: contract, stored, unchanged."""
    compiler = tool("go")
    sources = folder / "src"
    written = {path.relative_to(HERE / "go"): path.read_text() for path in (HERE / "go").rglob("*") if path.is_file()}
    for language, function in (("go", "snippetClient"), ("go-rest", "snippetRESTClient")):
        written[Path("contract", f"{language.replace('-', '_')}_snippet.go")] = snippet(language, "address").replace("newClient", function)
    with _alone(folder):
        if not _is_built(folder, written):
            _write(sources, written)
            _run([compiler, "build", "-o", f"{folder}/", "./..."], sources)
            _built(folder, written)
    return folder


def java(folder: Path = INSTALLED / "java") -> list[str]:
    """The command that runs a Java program; its class comes behind."""
    maven, runtime = tool("mvn"), tool("java")
    written = {path.relative_to(HERE / "java"): path.read_text() for path in (HERE / "java").rglob("*") if path.is_file()}
    for language, name in (("java", "EmulatedGrpc"), ("java-rest", "EmulatedRest")):
        text = snippet(language, 'System.getenv("VISION_EMULATOR_HOST")')
        written[Path(f"{name}.java")] = re.sub(r"\bEmulated\b", name, text)
    with _alone(folder):
        if not _is_built(folder, written):
            sources = folder / "src"
            _write(sources, written)
            for made in ("classes", "lib"):  # no library of an earlier version may stay
                shutil.rmtree(folder / made, ignore_errors=True)
            command = [maven, "--batch-mode", "--quiet", "package", f"-Dbuild.folder={folder}"]
            if _run([*command, "--offline"], sources, is_needed=False):  # what is here already need not be asked for
                _run(command, sources)
            _built(folder, written)
    return [runtime, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{folder}/classes:{folder}/lib/*"]


def node(folder: Path = INSTALLED / "node") -> Path:
    """The folder of the packages that the Node programs need, for $NODE_PATH."""
    tool("node")
    npm = tool("npm")
    listed = {Path("package.json"): (HERE / "node" / "package.json").read_text()}
    with _alone(folder):
        if not _is_built(folder, listed):
            (folder / "package.json").write_text(listed[Path("package.json")])
            _run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error"], folder)
            _built(folder, listed)
    return folder / "node_modules"


def python(name: str, *packages: str) -> Path:
    """A Python that has these packages and nothing else."""
    folder = INSTALLED / name
    with _alone(folder):
        if not _is_built(folder, {Path(package): "" for package in packages}):
            _run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")], folder)
            _run([str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], folder)
            _built(folder, {Path(package): "" for package in packages})
    return folder / "venv" / "bin" / "python"


def unchanged(command: Iterable[str | Path], authority: Authority) -> str:
    """What a program prints when it runs under exec."""
    program = [EMULATOR, "exec", "--certificates", authority.certificate_file.parent, "--", *command]
    done = subprocess.run(program, env=without_proxies(), capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def fake_gcs_server() -> Path:
    """Another storage server, built from its Go module."""
    compiler = tool("go")
    installed = INSTALLED / "bin" / "fake-gcs-server"
    with _alone(installed.parent):
        if not _is_built(installed.parent, {Path(FAKE_GCS_SERVER): ""}):
            _run([compiler, "install", FAKE_GCS_SERVER], installed.parent, environ={"GOBIN": str(installed.parent)})
            _built(installed.parent, {Path(FAKE_GCS_SERVER): ""})
    return installed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Workers build one after the other; the second finds it done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def fake_gcs_serving(buckets: Iterable[str] = ()) -> Iterator[str]:
    """fake-gcs-server with buckets in memory, on loopback, until the block is left; its URL."""
    program = fake_gcs_server()
    with socket.create_server(("127.0.0.1", 0)) as found:  # it does not tell which port it chose
        address = f"127.0.0.1:{found.getsockname()[1]}"
    port = address.rpartition(":")[2]
    options = ("-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", port, "-public-host", address, "-log-level", "error")
    with subprocess.Popen([program, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            _wait_for(f"http://{address}/_internal/healthcheck", process)
            for bucket in buckets:
                body = json.dumps({"name": bucket}).encode()
                with urlopen(Request(f"http://{address}/storage/v1/b", body, {"Content-Type": "application/json"})):
                    pass
            yield f"http://{address}"
        finally:
            process.kill()


def _wait_for(url: str, process: subprocess.Popen[str]) -> None:
    """Returns when a server answers; its own last words in the failure when it ended instead."""
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            with urlopen(url, timeout=1):  # noqa: S310 - http
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                pytest.fail(f"fake-gcs-server does not answer: {process.communicate()[0]}")
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)


def _write(folder: Path, written: Mapping[Path, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _run(command: Iterable[str], folder: Path, environ: Mapping[str, str] | None = None, *, is_needed: bool = True) -> int:
    done = subprocess.run(
        list(command),
        cwd=folder,
        env={**configuration.environment(), **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    assert not (is_needed and done.returncode), f"{done.args}:\n{done.stdout[-8000:]}"
    return done.returncode


def _stamp(written: Mapping[Path, str]) -> str:
    return hashlib.sha256(repr(sorted((str(name), text) for name, text in written.items())).encode()).hexdigest()


def _is_built(folder: Path, written: Mapping[Path, str]) -> bool:
    stamp = folder / "built"
    return stamp.is_file() and stamp.read_text() == _stamp(written)


def _built(folder: Path, written: Mapping[Path, str]) -> None:
    (folder / "built").write_text(_stamp(written))


if __name__ == "__main__":  # builds everything
    sys.stdout.write(f"{go()}\n{java()}\n{node()}\n{fake_gcs_server()}\n")
