"""The emulator in pytest: fixtures ``vision_emulator`` and ready official clients; nothing is imported or started until one is asked for.

One server serves the session: in a thread of the test process, in a process of its own, or one that runs elsewhere and is shared. It
is as at its start when a test begins. A failing test's report shows the calls that reached the emulator.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from google.cloud import vision
    from google.cloud.storage import Client as StorageClient

    from vision_emulator.client import Control
    from vision_emulator.config import Config
    from vision_emulator.remote import RemoteEmulator

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 15.0
CALLS_SHOWN_MAX: Final = 50
USED: Final = pytest.StashKey["RemoteEmulator"]()
MARKERS: Final = (
    "vision_fixture(...): what the emulator answers in this test; takes what vision_emulator.fixtures.add() takes",
    "vision_fault(...): what goes wrong in this test; a preset's name, or what vision_emulator.faults.add() takes",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--vision-emulator`` and ``vision_emulator_options``."""
    parser.getgroup("vision-emulator").addoption(
        "--vision-emulator",
        metavar="WHERE",
        default="thread",
        help="where the emulator of the fixture vision_emulator runs: thread (of the test process), process (of its own), "
        "or HOST:PORT of a running one, which workers share, each under a project of its own [default: thread]",
    )
    parser.addini("vision_emulator_options", "options of the emulator, one NAME=VALUE a line, as bucket=photos,results", "linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Says which markers there are, and gives whoever runs asynchronous tests their client."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    decorate: Any = pytest.fixture
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio

        decorate = pytest_asyncio.fixture
    config.pluginmanager.register(_asynchronous(decorate), "vision-emulator-asynchronous")


@pytest.fixture(scope="session")
def vision_emulator_server(pytestconfig: pytest.Config) -> Iterator[RemoteEmulator]:
    """The emulator of the whole session, for fixtures that outlive a test; it is reset whenever a test asks for ``vision_emulator``."""
    where = pytestconfig.getoption("--vision-emulator")
    options = _options(pytestconfig)
    if where == "thread":
        from vision_emulator.app import VisionEmulator

        with VisionEmulator(options) as emulator:
            yield emulator
    elif where == "process":
        with _process(options, pytestconfig.rootpath) as emulator:
            yield emulator
    else:
        with _shared(where, options, pytestconfig) as emulator:
            yield emulator


@pytest.fixture
def vision_emulator(request: pytest.FixtureRequest, vision_emulator_server: RemoteEmulator) -> Iterator[RemoteEmulator]:
    """The emulator, as at its start but for what the test's markers say: its address, levers and clients."""
    emulator = vision_emulator_server
    emulator.reset()
    request.node.stash[USED] = emulator
    for marker in request.node.iter_markers("vision_fixture"):  # the nearest first, which is asked first
        _obey(marker, emulator.fixtures.add)
    for marker in request.node.iter_markers("vision_fault"):
        preset = bool(marker.args) and isinstance(marker.args[0], str)
        _obey(marker, emulator.faults.preset if preset else emulator.faults.add)
    yield emulator
    emulator.close()


def _obey(marker: pytest.Mark, lever: Callable[..., object]) -> None:
    """Does what a marker says; a test whose marker the emulator refuses fails with its sentence."""
    from vision_emulator.client import ControlError

    try:
        lever(*marker.args, **marker.kwargs)
    except ControlError as refused:
        pytest.fail(f"@pytest.mark.{marker.name}: {refused}", pytrace=False)


@pytest.fixture
def vision_client(vision_emulator: RemoteEmulator) -> vision.ImageAnnotatorClient:
    """Google's client over gRPC."""
    return vision_emulator.client()


@pytest.fixture
def vision_rest_client(vision_emulator: RemoteEmulator) -> vision.ImageAnnotatorClient:
    """Google's client over REST."""
    return vision_emulator.rest_client()


@pytest.fixture
def storage_client(vision_emulator: RemoteEmulator) -> StorageClient:
    """Google's client of Cloud Storage."""
    return vision_emulator.storage_client()


def _asynchronous(fixture: Callable[..., Any]) -> object:
    """A plugin with the fixtures that need a running loop, made by whichever plugin runs asynchronous tests."""

    class Asynchronous:
        @fixture
        async def vision_async_client(self, vision_emulator: RemoteEmulator) -> AsyncIterator[vision.ImageAnnotatorAsyncClient]:
            """Google's client for asyncio."""
            client = vision_emulator.async_client()
            yield client
            await client.transport.close()  # type: ignore[no-untyped-call]

    return Asynchronous()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Shows, below a failure, what reached the emulator."""
    del call
    report: Any = yield
    emulator = item.stash.get(USED, None)
    if emulator is not None and report.failed and report.when != "teardown":
        report.sections.append((f"Calls that reached the Vision emulator at {emulator.address}", _calls(emulator)))
    return report  # type: ignore[no-any-return]


def _calls(emulator: Control) -> str:
    """The journal as lines; why there is none when the emulator does not say."""
    from vision_emulator.client import ControlError
    from vision_emulator.control.assertions import line

    try:
        entries = emulator.journal.entries()
    except ControlError as failure:
        return str(failure)
    left_out = [f"… {len(entries) - CALLS_SHOWN_MAX} earlier ones"] if len(entries) > CALLS_SHOWN_MAX else []
    return "\n".join([*left_out, *(line(entry) for entry in entries[-CALLS_SHOWN_MAX:])]) or "none"


# ---- where it runs ----


def _options(pytestconfig: pytest.Config) -> Config:
    """The emulator's configuration from the ini file, on a free port; UsageError names the line that cannot be used."""
    from vision_emulator.config import OPTIONS
    from vision_emulator.config import Config as Chosen
    from vision_emulator.written import suggestion

    given: dict[str, Any] = {"port": 0, "log_level": "warning"}
    for line in pytestconfig.getini("vision_emulator_options"):
        name, equals, value = (part.strip() for part in line.partition("="))
        option = OPTIONS.get(name.replace("-", "_"))
        if option is None or not equals:
            hint = suggestion(name, OPTIONS, "vision-emulator config lists them")
            raise pytest.UsageError(f"vision_emulator_options: {line!r} is no option of the emulator with its value; {hint}")
        try:
            given[option.name] = option.read(value, pytestconfig.rootpath)
        except ValueError as wrong:
            raise pytest.UsageError(f"vision_emulator_options: {line!r}: {wrong}") from wrong
    return Chosen(**given)


@contextmanager
def _process(config: Config, folder: Path) -> Iterator[RemoteEmulator]:
    """An emulator in a process of its own, told everything by a file, and nothing by the environment."""
    from vision_emulator.config import OPTIONS, PREFIX, Loaded, as_toml
    from vision_emulator.remote import RemoteEmulator
    from vision_emulator.swept import Swept

    token = config.control_token or uuid.uuid4().hex
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}  # noqa: TID251 - handed on
    environment[PREFIX + "CONTROL_TOKEN"] = token  # not as a flag, which others on this machine could read
    with Swept() as swept, (swept.folder / "log").open("w+b") as log:
        told = swept.folder / "vision-emulator.toml"
        told.write_text(as_toml(Loaded(config, dict.fromkeys(OPTIONS, "pytest"), ())), encoding="utf-8")
        command = [sys.executable, "-m", "vision_emulator", "serve", "--config", str(told)]
        with subprocess.Popen(  # noqa: S603 - this very interpreter
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process:
            swept.tell(process.pid)  # it ends with this process, also when that is killed
            late = threading.Timer(START_SECONDS_MAX, process.kill)
            late.start()
            try:
                assert process.stdout is not None
                ready = process.stdout.readline()
                late.cancel()
                if not ready.startswith("Ready on "):
                    log.seek(0)
                    raise pytest.UsageError(f"the emulator did not start: {log.read().decode(errors='replace').strip()}")
                with RemoteEmulator(ready.removeprefix("Ready on ").rpartition(": ")[0], token) as emulator:
                    yield emulator
            finally:
                late.cancel()
                process.terminate()
                try:
                    process.wait(STOP_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    process.kill()
                swept.tell(0)


@contextmanager
def _shared(address: str, config: Config, pytestconfig: pytest.Config) -> Iterator[RemoteEmulator]:
    """An emulator that runs already, seen through a project of this worker's own."""
    from vision_emulator.config import PREFIX
    from vision_emulator.remote import RemoteEmulator

    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    token = config.control_token or os.environ.get(PREFIX + "CONTROL_TOKEN")  # noqa: TID251 - the test process's own
    with RemoteEmulator(address, token, f"pytest-{worker}-{uuid.uuid4().hex[:12]}") as emulator:
        emulator.health()
        yield emulator
        emulator.reset()
