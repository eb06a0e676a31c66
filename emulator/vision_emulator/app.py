"""The composition root: a Config goes in, a running emulator comes out. Everything is put together here, and only here."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

from aiohttp import web

from vision_emulator.annotators import Settings, opened
from vision_emulator.annotators.fixtures import Fixtures
from vision_emulator.config import Config, cache_folder, join_address
from vision_emulator.control.clock import Chance, Clock
from vision_emulator.control.faults import Faults
from vision_emulator.control.instructions import RetryTests
from vision_emulator.control.journal import Journal
from vision_emulator.core.admission import Admission
from vision_emulator.core.annotate import ImageAnnotation
from vision_emulator.core.batch import Batches
from vision_emulator.core.library import StoredPictures
from vision_emulator.core.operations import Operations, Pace
from vision_emulator.core.pictures import described
from vision_emulator.core.service import Vision
from vision_emulator.core.usage import Ledger, Prices
from vision_emulator.remote import RemoteEmulator
from vision_emulator.storage import Storage
from vision_emulator.storage.data_dir import BUCKETS, DataDirectory
from vision_emulator.storage.directory import DirectoryStorage
from vision_emulator.storage.embedded import EmbeddedStorage, MemoryStorage
from vision_emulator.storage.operation_store import OperationStore
from vision_emulator.storage.web import WebImages
from vision_emulator.surfaces import http, rpc
from vision_emulator.surfaces.accounts import AccountsSurface
from vision_emulator.surfaces.control import ControlSurface
from vision_emulator.surfaces.control.buckets import BucketsResource
from vision_emulator.surfaces.control.clock import ClockResource
from vision_emulator.surfaces.control.events import EventsResource
from vision_emulator.surfaces.control.faults import FaultsResource
from vision_emulator.surfaces.control.fixtures import FixturesResource
from vision_emulator.surfaces.control.guard import Guard, is_loopback
from vision_emulator.surfaces.control.journal import JournalResource
from vision_emulator.surfaces.control.operations import OperationsResource
from vision_emulator.surfaces.control.retry_test import RetryTestSurface
from vision_emulator.surfaces.control.route import Route
from vision_emulator.surfaces.control.server import ServerResource
from vision_emulator.surfaces.control.upstream import UpstreamResource
from vision_emulator.surfaces.control.usage import UsageResource
from vision_emulator.surfaces.dashboard import DashboardSurface
from vision_emulator.surfaces.gcs import StorageSurface
from vision_emulator.surfaces.port import BACKLOG, Port
from vision_emulator.surfaces.proxy import Proxy
from vision_emulator.surfaces.rest import RestSurface
from vision_emulator.surfaces.tls import Tls

if TYPE_CHECKING:
    from vision_emulator.annotators.upstream import Upstream

log = logging.getLogger(__name__)

CORES: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TOKEN_DIGITS: Final = 32  # of a control token that an emulator makes for itself
CLOSE_SECONDS: Final = 1.0  # for answers that are being written when the server stops


class Core(NamedTuple):
    """The emulator without a socket: the API, and the buckets it reads and writes."""

    vision: Vision
    storage: Storage


@asynccontextmanager
async def core(config: Config, clock: Clock, chance: Chance, url: Callable[[], str] = str) -> AsyncIterator[Core]:
    """The API put together as configured; leaving the block stops its operations and lets its annotators and storage go.

    ``url`` answers, once it is known, where the server around it is reached.
    """
    async with AsyncExitStack() as stack:
        data = stack.enter_context(DataDirectory(config.data_dir)) if config.data_dir is not None else None
        store = OperationStore(data.operations) if data is not None else None
        if store is not None:
            stack.callback(store.close)
        storage = await stack.enter_async_context(_storage(config, clock))
        threads = stack.enter_context(ThreadPoolExecutor(CORES, thread_name_prefix="annotate"))
        library = StoredPictures(storage, url) if isinstance(storage, EmbeddedStorage) else None
        settings = Settings(config.seed, config.fixtures, config.shipped_fixtures, threads, clock, library=library)
        annotators = await stack.enter_async_context(opened((*config.annotator, *config.annotators), settings, _tables(config)))
        web = await stack.enter_async_context(WebImages(config.allow_url))
        usage = Ledger(clock, config.project, Prices.read(config.prices) if config.prices is not None else None)
        annotation = ImageAnnotation(storage, annotators, web, config.annotate_timeout, usage)
        batches = Batches(annotation, storage, config.output_content_type)
        pace, kept_seconds = Pace.parse(config.pace), config.operations_kept_seconds
        operations = await stack.enter_async_context(Operations(clock, chance, pace, config.project, kept_seconds, store))
        admission = Admission(clock, config.project, credentials_required=config.auth == "required", calls_per_minute=config.quota)
        journal = Journal(clock, config.journal_entries, project=config.project, describe=described)
        faults = Faults(clock, chance, config.project)
        vision = Vision(annotation, batches, operations, journal, admission, faults)
        vision.resume()
        yield Core(vision, storage)


def _tables(config: Config) -> Mapping[str, Mapping[str, Any]]:
    """What each annotator is told: the settings, and the options that are short for one."""
    if config.synthetic_density is None:
        return config.settings
    synthetic = {**config.settings.get("synthetic", {}), "density": config.synthetic_density}
    return {**config.settings, "synthetic": synthetic}


def _storage(config: Config, clock: Clock) -> Storage:
    if config.storage is not None:
        from vision_emulator.storage.remote import RemoteStorage

        return RemoteStorage(config.storage, Clock())  # its retries wait for another machine, not for a test
    if config.buckets is not None:
        return DirectoryStorage(config.buckets, clock, config.bucket, auto_create=config.auto_create_buckets)
    if config.data_dir is not None:
        folder = config.data_dir / BUCKETS
        return DirectoryStorage(folder, clock, config.bucket, auto_create=config.auto_create_buckets, durable=True)
    return MemoryStorage(clock, config.bucket, auto_create=config.auto_create_buckets)


class Emulator:
    """A running emulator: ``async with Emulator(config) as emulator``. Ready when entered; every surface answers then."""

    def __init__(self, config: Config, clock: Clock | None = None, chance: Chance | None = None) -> None:
        self.config = config
        self.clock = clock or Clock("manual" if config.clock == "manual" else "system")
        self._chance = chance or Chance()
        self._stack = AsyncExitStack()
        self._ports: list[Port] = []
        self.address = ""  # host:port of everything
        self.grpc_address = ""  # of the direct port, when one is configured
        self.rest_address = ""

    async def __aenter__(self) -> Self:
        self._ports.clear()
        async with AsyncExitStack() as stack:
            self.tls = Tls(self.config.certificates or cache_folder() / "ca", self.config.tls_cert, self.config.tls_key)
            self.vision, self.storage = await stack.enter_async_context(core(self.config, self.clock, self._chance, lambda: self.url))
            http_server = await self._start_http(stack)
            stack.push_async_callback(self._end_connections)  # after the gRPC server, which first answers what it has begun
            grpc_socket = await self._start_grpc(stack)
            self.address = self._listen(stack, self.config.port, http_server, grpc_socket)
            if self.config.rest_port is not None:
                self.rest_address = self._listen(stack, self.config.rest_port, http_server, grpc_socket)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """The address as clients of REST and Cloud Storage want it."""
        return f"http://{self.address}"

    def reset(self, project: str = "") -> None:
        """Back to how it was at the start: no operations, journal, usage, used quota; buckets as configured (a served folder keeps its
        files). Of one project: all of that which is its own, and the buckets stay, which belong to nobody.
        """
        self.vision.operations.reset(project)
        self.vision.journal.reset(project)
        self.vision.admission.reset(project)
        self.vision.usage.reset(project)
        self.vision.faults.reset(project)
        if self._fixtures is not None:
            self._fixtures.reset(project)
        if project:
            return
        if self._upstream is not None:
            self._upstream.reset()
        self.clock.reset()
        if isinstance(self.storage, MemoryStorage):
            self.storage.reset(self.config.bucket)

    @property
    def _fixtures(self) -> Fixtures | None:
        """The annotator of given answers, where it is configured."""
        return next((annotator for annotator in self.vision.annotators if isinstance(annotator, Fixtures)), None)

    @property
    def _upstream(self) -> Upstream | None:
        """The annotator that asks another Vision, where it is configured."""
        found = (annotator for annotator in self.vision.annotators if annotator.trusted and annotator.name == "upstream")
        return cast("Upstream | None", next(found, None))

    async def drain(self, seconds: float) -> None:
        """Takes no more connections and lets accepted work finish, at most so long."""
        for port in self._ports:
            port.close()
        try:
            async with asyncio.timeout(seconds):
                await self.vision.operations.drain()
        except TimeoutError:
            log.warning("%d operations were still running after %g s and were stopped", self.vision.operations.running, seconds)

    async def _end_connections(self) -> None:
        for port in self._ports:
            await port.end()

    async def _start_http(self, stack: AsyncExitStack) -> web.Server:
        rest = RestSurface(self.vision)
        guard = Guard(self.config.host, self.config.control_token)
        if guard.closed:
            log.warning(
                "the control API is closed: others may reach %s; --control-token TOKEN opens it to whoever has it", self.config.host
            )
        control = ControlSurface(self._control_routes(), guard)
        buckets = StorageSurface(self.storage, self._chance, self.vision.faults) if isinstance(self.storage, EmbeddedStorage) else None
        retry_tests = RetryTestSurface(RetryTests(self.vision.faults, self._chance), guard)
        accounts = AccountsSurface(self.config.project)
        dashboard = DashboardSurface()

        async def dispatch(request: web.BaseRequest) -> web.StreamResponse:
            path = request.raw_path
            if accounts.claims(request.method, path):
                return await accounts.handle(request)
            if rest.claims(path):
                return await rest.handle(request)
            if dashboard.claims(request.method, path, request.headers.get("Accept", "")):
                return await dashboard.handle(request)
            if control.claims(path):
                return await control.handle(request)
            if retry_tests.claims(path):
                return await retry_tests.handle(request)
            if buckets is not None and buckets.claims(path):
                return await buckets.handle(request)
            return await rest.handle(request)  # its page for unknown paths

        server = http.server(dispatch)
        stack.push_async_callback(http.close, server, CLOSE_SECONDS)
        stack.callback(self.vision.journal.close)  # before: who listens to events is an unanswered request
        return server

    def _control_routes(self) -> list[Route]:
        resources = (
            ServerResource(self.vision, self.reset),
            BucketsResource(self.storage),
            JournalResource(self.vision.journal),
            EventsResource(self.vision.journal, self.vision.operations, self.clock),
            UsageResource(self.vision.usage),
            OperationsResource(self.vision.operations, self.clock),
            FaultsResource(self.vision.faults),
            ClockResource(self.clock),
            FixturesResource(self._fixtures),
            UpstreamResource(self._upstream),
        )
        return [route for resource in resources for route in resource.routes()]

    async def _start_grpc(self, stack: AsyncExitStack) -> str:
        """Starts the gRPC server on a private socket (and on its direct port); answers the socket's name."""
        server = rpc.server(self.vision)
        if self.config.grpc_port is not None:
            address = join_address(self.config.host, self.config.grpc_port)
            try:
                port = server.add_insecure_port(address)
            except RuntimeError as failure:
                raise OSError(f"the gRPC port {address} cannot be used: {failure}") from failure
            self.grpc_address = join_address(self.config.host, port)
        if sys.platform == "linux":  # a name without a file: nothing stays behind, whatever ends this process
            name = f"vision-emulator-{Chance().hex(32)}"
            target, path = f"unix-abstract:{name}", f"\0{name}"
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vision-emulator-"))  # readable by its owner only
            path = str(Path(folder, "grpc"))
            target = f"unix:{path}"
        server.add_insecure_port(target)  # last: a server that was never started cannot let a socket go
        await server.start()
        stack.push_async_callback(server.stop, CLOSE_SECONDS)
        return path

    def _listen(self, stack: AsyncExitStack, port: int, http_server: web.Server, grpc_socket: str) -> str:
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        listener = socket.create_server((self.config.host, port), family=family, backlog=BACKLOG)
        opened = Port(listener, http_server, grpc_socket, self.tls, Proxy(self.config.proxy_others))
        self._ports.append(opened)
        stack.callback(opened.close)
        return join_address(self.config.host, listener.getsockname()[1])


class VisionEmulator(RemoteEmulator):
    """An emulator for a test or a program: ``with VisionEmulator() as emulator``, or ``async with``, runs it in a thread of its own,
    so that its levers and blocking clients work in either.

    Takes a Config, or the same options as keywords; unlike the command it listens on a free port unless told otherwise and reads
    neither files nor environment. ``address`` is ``host:port``, ``url`` the same with ``http://``; both once entered.
    """

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        if config is not None and options:
            raise TypeError("give a Config or options, not both")
        config = config or Config(**{"port": 0, **options})
        if config.control_token is None and not is_loopback(config.host):
            config = replace(config, control_token=Chance().hex(TOKEN_DIGITS))  # or its own levers would be refused
        super().__init__("", config.control_token)
        self._emulator = Emulator(config)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def emulator(self) -> Emulator:
        """What runs; it belongs to another thread's loop."""
        return self._emulator

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self.__exit__, *exc)

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError(f"this emulator runs already, on {self.address}; make another VisionEmulator for a second one")
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), name="vision-emulator", daemon=True)
        self._thread.start()
        try:
            ready.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        self._wire.address = self._emulator.address
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        assert self._thread is not None
        self.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = self._loop = self._stop = None

    async def _run(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._emulator.__aenter__()
        except BaseException as failure:  # noqa: BLE001 - handed to whoever entered and waits
            ready.set_exception(failure)
            return
        ready.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await self._emulator.__aexit__()
