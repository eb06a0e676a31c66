"""Online calls against the servers that the emulator is made of: bare aiohttp and bare grpc.aio, answering with the same bytes.

Run: ``python tests/benchmarks/bench_port.py``. All servers live in one process, the clients in another. They take turns in short rounds,
each time another first, and what counts is the server's process time for a call, so that neither the clients nor what else the machine
does is in the figures: a ratio of 0.8 means 0.8 times as many calls per second and core. ``the one port alone`` has the yardstick's very
handlers behind it; ``the whole emulator`` reads the picture from its bucket, asks its annotators, notes the call and writes the answer.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))  # wire

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract import codec
from vision_emulator.contract.messages import BatchAnnotateImagesRequest, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.surfaces import http, rpc
from vision_emulator.surfaces.port import Port
from vision_emulator.surfaces.proxy import Proxy
from vision_emulator.surfaces.tls import Authority, Tls
from wire import Connection, request

ROUNDS, CALLS, AT_ONCE = 15, 320, 8
LARGE, LARGE_CALLS = 1_000_000, 48  # bytes of an inline picture
METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
LABELS = [{"mid": f"/m/0{n}", "description": f"Label {n}", "score": 0.97 - n / 50, "topicality": 0.96 - n / 50} for n in range(10)]
HOST = "vision.googleapis.com"  # what clients of the tunnel ask for


def asked(count: int) -> BatchAnnotateImagesRequest:
    """A call for the labels of so many pictures in Cloud Storage."""
    element = {"image": {"source": {"image_uri": "gs://inputs/cat.jpg"}}, "features": [{"type": Feature.LABEL_DETECTION}]}
    return BatchAnnotateImagesRequest(requests=[element] * count)


ONE, SIXTEEN = asked(1), asked(16)
PICTURE = BatchAnnotateImagesRequest(requests=[{"image": {"content": b"x" * LARGE}, "features": [{"type": Feature.LABEL_DETECTION}]}])


# ---- the servers ----


async def serve(folder: Path) -> None:
    """Starts all servers, says where they are as a line of JSON, then answers each line with the process time used so far."""
    rules = folder / "rules"
    rules.mkdir()
    (rules / "labels.json").write_text(json.dumps([{"match": {"uri": "gs://inputs/*"}, "response": {"labelAnnotations": LABELS}}]))
    certificates = folder / "ca"
    config = Config(port=0, bucket=("inputs",), fixtures=(rules,), certificates=certificates)
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(config))
        await (await emulator.storage.bucket("inputs")).write("cat.jpg", b"x" * 100_000, "image/jpeg")
        answers = {count: await emulator.vision.call(Call(METHOD, asked(count), {})) for count in (1, 16)}
        texts = {count: codec.encode(answer, pretty=True) for count, answer in answers.items()}
        messages = {count: answer.SerializeToString() for count, answer in answers.items()}

        async def canned_text(asking: web.BaseRequest) -> web.StreamResponse:
            count = 16 if len(await asking.read()) > 1000 else 1
            return web.Response(body=texts[count], content_type="application/json")

        async def canned_message(data: bytes, context: Any) -> bytes:
            del context
            return messages[16 if 1000 < len(data) < LARGE else 1]

        bare_http = http.server(canned_text)
        listening = await asyncio.get_running_loop().create_server(bare_http, "127.0.0.1", 0)
        stack.callback(listening.close)
        bare_grpc = grpc.aio.server(options=rpc.OPTIONS)
        handler = grpc.unary_unary_rpc_method_handler(canned_message)
        bare_grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD.grpc_path.split("/")[1], {METHOD.name: handler}),))
        grpc_port = bare_grpc.add_insecure_port("127.0.0.1:0")
        bare_grpc.add_insecure_port(f"unix:{folder}/grpc")
        await bare_grpc.start()
        stack.push_async_callback(bare_grpc.stop, None)
        listener = socket.create_server(("127.0.0.1", 0))
        port = Port(listener, bare_http, f"{folder}/grpc", Tls(certificates), Proxy())
        stack.push_async_callback(port.end)
        addresses = {
            "http": f"127.0.0.1:{listening.sockets[0].getsockname()[1]}",
            "grpc": f"127.0.0.1:{grpc_port}",
            "port": f"127.0.0.1:{listener.getsockname()[1]}",
            "emulator": emulator.address,
        }
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(f"{time.process_time()}\n")
            sys.stdout.flush()


# ---- the clients ----

Round = Callable[[], Awaitable[None]]  # makes a round's calls


async def opened(address: str, context: ssl.SSLContext | None, tunnel: bool) -> Connection:
    """A connection of HTTP/1.1: plain, over TLS, or over TLS through a tunnel."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    if tunnel:
        writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    if context is not None:
        await writer.start_tls(context, server_hostname=HOST)
    return Connection(reader, writer)


@asynccontextmanager
async def rest(
    address: str, message: BatchAnnotateImagesRequest, calls: int, context: ssl.SSLContext | None = None, tunnel: bool = False
) -> AsyncIterator[Round]:
    """Clients of REST, each on a connection of its own."""
    said = request("POST", "/v1/images:annotate", codec.encode(message), {"Content-Type": "application/json"})
    connections = [await opened(address, context, tunnel) for _ in range(AT_ONCE)]

    async def client(connection: Connection) -> None:
        for _ in range(calls // AT_ONCE):
            connection.send(said)
            assert (await connection.reply()).status == 200

    async def one_round() -> None:
        await asyncio.gather(*(client(connection) for connection in connections))

    try:
        yield one_round
    finally:
        for connection in connections:
            connection.writer.close()


@asynccontextmanager
async def rpcs(address: str, message: BatchAnnotateImagesRequest, calls: int, pem: bytes | None = None) -> AsyncIterator[Round]:
    """Clients of gRPC, all on one connection, as the official ones are."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", HOST))
    made = (
        grpc.aio.insecure_channel(address, options)
        if pem is None
        else grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(pem), options)
    )
    data = message.SerializeToString()
    async with made as channel:
        stub: Any = channel.unary_unary(METHOD.grpc_path)

        async def client() -> None:
            for _ in range(calls // AT_ONCE):
                assert await stub(data)

        async def one_round() -> None:
            await asyncio.gather(*(client() for _ in range(AT_ONCE)))

        yield one_round


# ---- the measurement ----


class Servers:
    """The process of the servers: where they are, and the time that they have used."""

    def __init__(self, process: asyncio.subprocess.Process, addresses: dict[str, str]) -> None:
        self._process = process
        self.addresses = addresses

    async def seconds(self) -> float:
        """Process time up to now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())

    async def against(self, measured: Round, yardstick: Round) -> float:
        """How many calls the measured one answers per second of computing, relative to the yardstick; the median of the rounds."""
        ratios = []
        for turn in range(ROUNDS + 1):
            taken = {}
            for kind in (measured, yardstick) if turn % 2 else (yardstick, measured):
                before = await self.seconds()
                await kind()
                taken[kind] = await self.seconds() - before
            ratios.append(taken[yardstick] / taken[measured])
        return statistics.median(ratios[1:])


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Servers]:
    """The servers in a process of their own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, str(folder), stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Servers(process, json.loads(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


BARE_HTTP: Final = "bare aiohttp, the same bytes"
BARE_GRPC: Final = "bare grpc.aio, the same messages"


async def measure() -> list[tuple[str, str, float, str]]:
    """Rows of (what, yardstick, ratio, aim)."""
    with tempfile.TemporaryDirectory() as name:
        pem = Authority(Path(name, "ca")).pem
        async with started(Path(name)) as servers, AsyncExitStack() as stack:
            at, enter, against = servers.addresses, stack.enter_async_context, servers.against
            context = ssl.create_default_context(cadata=pem.decode())
            bare = await enter(rest(at["http"], ONE, CALLS))
            bare_sixteen = await enter(rest(at["http"], SIXTEEN, CALLS // 4))
            bare_grpc = await enter(rpcs(at["grpc"], ONE, CALLS))
            bare_grpc_sixteen = await enter(rpcs(at["grpc"], SIXTEEN, CALLS // 4))
            bare_grpc_large = await enter(rpcs(at["grpc"], PICTURE, LARGE_CALLS))
            port = await enter(rest(at["port"], ONE, CALLS))
            port_grpc = await enter(rpcs(at["port"], ONE, CALLS))
            port_grpc_large = await enter(rpcs(at["port"], PICTURE, LARGE_CALLS))
            whole = await enter(rest(at["emulator"], ONE, CALLS))
            whole_sixteen = await enter(rest(at["emulator"], SIXTEEN, CALLS // 4))
            whole_grpc = await enter(rpcs(at["emulator"], ONE, CALLS))
            whole_grpc_sixteen = await enter(rpcs(at["emulator"], SIXTEEN, CALLS // 4))
            over_tls = await enter(rest(at["emulator"], ONE, CALLS, context))
            through_tunnel = await enter(rest(at["emulator"], ONE, CALLS, context, tunnel=True))
            grpc_over_tls = await enter(rpcs(at["emulator"], ONE, CALLS, pem))
            return [
                ("REST, the one port alone", BARE_HTTP, await against(port, bare), "≥ 0.9"),
                ("gRPC, the one port alone", BARE_GRPC, await against(port_grpc, bare_grpc), "≥ 0.8"),
                ("gRPC, the one port alone, pictures of 1 MB", BARE_GRPC, await against(port_grpc_large, bare_grpc_large), "≥ 0.8"),
                ("REST, the whole emulator", BARE_HTTP, await against(whole, bare), "≥ 0.8"),
                ("REST, the whole emulator, 16 images", BARE_HTTP, await against(whole_sixteen, bare_sixteen), "≥ 0.8"),
                ("gRPC, the whole emulator", BARE_GRPC, await against(whole_grpc, bare_grpc), "≥ 0.8"),
                ("gRPC, the whole emulator, 16 images", BARE_GRPC, await against(whole_grpc_sixteen, bare_grpc_sixteen), "≥ 0.8"),
                ("REST over TLS", "the same in clear text", await against(over_tls, whole), "≥ 0.8"),
                ("REST over TLS through the proxy", "the same in clear text", await against(through_tunnel, whole), "≥ 0.8"),
                ("gRPC over TLS", "the same in clear text", await against(grpc_over_tls, whole_grpc), "≥ 0.8"),
            ]


def rows() -> list[tuple[str, str, float, str]]:
    """All rows of this file, for the table of ``make bench``."""
    return asyncio.run(measure())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(serve(Path(sys.argv[1])))
    else:
        for what, yardstick, ratio, aim in rows():
            sys.stdout.write(f"{what:46} {yardstick:34} {ratio:8.2f}   {aim}\n")
