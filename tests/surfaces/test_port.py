"""The one port: who is to speak with a connection, and what becomes of connections that say nothing sensible."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from vision_emulator import app
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.messages import ListOperationsRequest, ListOperationsResponse
from vision_emulator.surfaces import port as port_module
from vision_emulator.surfaces.port import BACKLOG, PREFACE, Port
from vision_emulator.surfaces.proxy import Proxy
from vision_emulator.surfaces.tls import Tls
from wire import ask, check_health, connected, eventually, open_files, request

HEALTH = request("GET", "/_emulator/health")
LIST = "/google.longrunning.Operations/ListOperations"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def list_over_grpc(channel: grpc.aio.Channel) -> ListOperationsResponse:
    stub = channel.unary_unary(LIST, ListOperationsRequest.SerializeToString, ListOperationsResponse.FromString)
    return await stub(ListOperationsRequest(name="operations"), timeout=20)


async def test_rest_and_grpc_on_one_port(emulator: Emulator, channel: grpc.aio.Channel) -> None:
    """The same address answers HTTP/1.1 and gRPC."""
    assert (await ask(emulator, "GET", "/v1/operations")).json == {}
    assert not (await list_over_grpc(channel)).operations


OPENINGS = {
    "nothing": b"",
    "one byte": b"G",
    "the start of a preface": PREFACE[:2],
    "a preface cut off": PREFACE,
    "a preface and nothing": HTTP2_PREFACE,
    "a preface and garbage": HTTP2_PREFACE + bytes(range(256)) * 40,
    "something like a preface": b"PRINT everything\r\n\r\n",
    "garbage": bytes(range(256)) * 40,
    "a TLS hello that is none": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "a TLS record of nonsense": b"\x16\x03\x01\x00\x05\x63\x00\x00\x01\x00",
    "half a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
    "half a CONNECT": b"CONNECT vision.googleapis.com:443 HTTP/1.1\r\nHost: vis",
    "a CONNECT and silence": b"CONNECT vision.googleapis.com:443 HTTP/1.1\r\n\r\n",
    "a CONNECT to a private address": b"CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n",
    "a CONNECT with an endless head": b"CONNECT vision.googleapis.com:443 HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
    "half a request line": b"POST /v1/ima",
    "half the headers": b"POST /v1/images:annotate HTTP/1.1\r\nHost: x\r\nContent-",
    "half a body": request("POST", "/v1/images:annotate", b'{"requests": [', {"Content-Length": "100"}),
    "a broken chunk": request("POST", "/v1/images:annotate", b"5\r\n{    \r\nzz\r\n", {"Transfer-Encoding": "chunked"}).replace(
        b"Content-Length: 15\r\n", b""
    ),
    "a request, unread": HEALTH * 3,
}


@pytest.mark.parametrize("leaving", ["close", "half-close", "reset"])
@pytest.mark.parametrize("opening", OPENINGS)
async def test_a_strange_client_harms_nobody(emulator: Emulator, opening: str, leaving: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a connection says before it goes, and however it goes: no traceback, no descriptor kept, no call noted, the server lives."""
    before = open_files()
    async with connected(emulator.address) as connection:
        connection.send(OPENINGS[opening])
        await connection.writer.drain()
        if leaving == "half-close":
            connection.writer.write_eof()
            await connection.rest()
        elif leaving == "reset":
            connection.reset()
    await eventually(lambda: open_files() <= before)
    assert "Traceback" not in caplog.text
    assert len(emulator.vision.journal) == 0


@pytest.mark.parametrize(
    "opening", ["garbage", "something like a preface", "a TLS record of nonsense", "a broken chunk", "a preface and garbage"]
)
async def test_nonsense_is_not_waited_upon(emulator: Emulator, opening: str) -> None:
    """What no protocol here can mean is hung up on, though its sender stays."""
    async with connected(emulator.address) as connection:
        connection.send(OPENINGS[opening])
        await connection.rest()


async def test_what_is_no_http_is_answered_in_plain_words_and_one_line(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A bad request line, a bad length and headers too large: 400 with the reason, one line in the log, no traceback."""
    bad_lines = [
        b"GET / \r\n\r\n",
        b"FETCH / HTTP/1.1\r\n\r\n",
        request("POST", "/v1/images:annotate", headers={"Content-Length": "many"}),
        request("GET", "/v1/operations", headers={"X-Long": "x" * 100_000}),
        request("GET", "/v1/" + "x" * 100_000),
    ]
    for said in bad_lines:
        caplog.clear()
        async with connected(emulator.address) as connection:
            connection.send(said)
            reply = await connection.reply()
        assert reply.status == 400
        assert reply.body
        (line,) = [record for record in caplog.records if record.name.endswith("surfaces.http")]
        assert "no HTTP" in line.getMessage()
        assert "\n" not in line.getMessage()
        assert line.exc_info is None


async def test_a_client_that_hangs_up_in_its_body_is_one_line(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A body that ends early never reaches the API; the log says which request it was."""
    async with connected(emulator.address) as connection:
        connection.send(OPENINGS["half a body"])
        await connection.writer.drain()
        connection.reset()
    await eventually(lambda: "broke off" in caplog.text)
    (line,) = [record for record in caplog.records if "broke off" in record.getMessage()]
    assert "/v1/images:annotate" in line.getMessage()
    assert line.exc_info is None
    assert len(emulator.vision.journal) == 0


async def test_who_says_nothing_is_dropped_in_time(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has not said enough to be told apart is closed after the time allowed; one that spoke is not."""
    async with connected(emulator.address) as talking:
        talking.send(HEALTH)
        assert (await talking.reply()).status == 200
        monkeypatch.setattr(port_module, "SILENCE_SECONDS_MAX", 0.02)
        for said in (b"", b"P", PREFACE[:2]):
            async with connected(emulator.address) as silent:
                silent.send(said)
                await silent.rest()
        talking.send(HEALTH)
        assert (await talking.reply()).status == 200


async def test_idle_connections_hold_up_nobody(emulator: Emulator, channel: grpc.aio.Channel) -> None:
    """500 connections that say nothing do not keep others from being answered, and are answered themselves once they speak."""
    await list_over_grpc(channel)  # what a channel opens it keeps
    before = open_files()
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(emulator.address)) for _ in range(500)]
        await check_health(emulator)
        assert not (await list_over_grpc(channel)).operations
        for connection in idle[::50]:
            connection.send(HEALTH)
            assert (await connection.reply()).status == 200
    await eventually(lambda: open_files() <= before)


async def test_keep_alive_and_pipelining(emulator: Emulator) -> None:
    """One connection carries many requests, also when they are sent before their answers are read; answers come in order."""
    async with connected(emulator.address) as connection:
        for _ in range(3):
            connection.send(HEALTH)
            assert (await connection.reply()).status == 200
        connection.send(HEALTH, request("GET", "/v1/nowhere"), request("POST", "/v1/images:annotate", b"{}"), HEALTH)
        assert [(await connection.reply()).status for _ in range(4)] == [200, 404, 200, 200]


async def test_an_offer_of_http2_is_answered_in_http1(emulator: Emulator) -> None:
    """Clients that offer an upgrade with every request (Java's own) are answered without one, body and all."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"}
    async with connected(emulator.address) as connection:
        for _ in range(2):
            connection.send(request("POST", "/v1/images:annotate", b"{}", offer))
            assert (await connection.reply()).json == {}


@pytest.mark.parametrize("kind", ["port", "rest_port", "grpc_port"])
async def test_a_taken_port_is_a_clear_error(emulator: Emulator, kind: str) -> None:
    """A second emulator on the same port is refused with the address, on each kind of port, and leaves nothing open."""
    host, _, number = emulator.address.rpartition(":")
    before = open_files()
    with pytest.raises(OSError, match=rf"{host}.*{number}"):
        await Emulator(Config(**{"port": 0, kind: int(number)})).__aenter__()
    await eventually(lambda: open_files() <= before)


@pytest.mark.parametrize("said", [b"", PREFACE[:2], PREFACE, HTTP2_PREFACE, OPENINGS["half a body"], HEALTH])
async def test_closing_drops_every_connection(said: bytes) -> None:
    """A closed emulator leaves no connection open, whatever that has said so far."""
    async with AsyncExitStack() as stack:
        async with Emulator(Config(port=0)) as emulator:
            connection = await stack.enter_async_context(connected(emulator.address))
            connection.send(said)
            await check_health(emulator)  # the port has seen the other connection by now
            address = emulator.address
        await connection.rest()
        with pytest.raises(ConnectionRefusedError):
            await stack.enter_async_context(connected(address))


async def test_idle_connections_do_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that running calls are given at the end is not waited out for clients that only keep their connection."""
    monkeypatch.setattr(app, "CLOSE_SECONDS", 1000.0)
    async with Emulator(Config(port=0)) as emulator, AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connected(emulator.address))
        connection.send(HEALTH)
        await connection.reply()
        await list_over_grpc(await stack.enter_async_context(grpc.aio.insecure_channel(emulator.address)))
        await emulator.__aexit__()


async def test_draining_takes_no_more_connections(emulator: Emulator) -> None:
    """While it drains, an emulator answers whom it has and takes nobody new."""
    async with connected(emulator.address) as connection:
        connection.send(HEALTH)
        await connection.reply()
        other = Emulator(Config(port=0))
        async with other:
            await other.drain(1)
            with pytest.raises(ConnectionRefusedError):
                await ask(other, "GET", "/_emulator/health")
        connection.send(HEALTH)
        assert (await connection.reply()).status == 200


# ---- the splice, between a real client and a far end that the test plays ----


class FarEnd(asyncio.Protocol):
    """What a gRPC server is to the port: a listener on a unix socket. It notes what it hears."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.heard = 0
        self.ended = self.stalled = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += len(data)

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def pause_writing(self) -> None:
        self.stalled = True

    def resume_writing(self) -> None:
        self.stalled = False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True


class Nobody(asyncio.Protocol):
    """An HTTP server that is never asked."""


@asynccontextmanager
async def spliced(far: FarEnd, folder: Path) -> AsyncIterator[str]:
    """A port whose gRPC side is ``far``; the address to connect to."""
    path = str(folder / "far")
    before = open_files()
    async with await asyncio.get_running_loop().create_unix_server(lambda: far, path):
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        opened = Port(listener, Nobody, path, Tls(folder / "ca"), Proxy())
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            opened.close()
            if far.transport:
                far.transport.abort()
    await eventually(lambda: open_files() <= before)


LOT = 64 * 1024 * 1024  # more than the kernel's buffers take on any path


async def stuck(sender: asyncio.WriteTransport) -> int:
    """How many bytes are left to send once none has gone for a while."""
    left: list[int] = []

    def stands_still() -> bool:
        left.append(sender.get_write_buffer_size())
        return left[-1] == 0 or (len(left) > 50 and left[-1] == left[-50])

    await eventually(stands_still)
    return left[-1]


async def test_a_slow_client_stalls_the_server(tmp_path: Path) -> None:
    """What a client does not read is not piled up in memory: the server is made to wait, and all arrives in the end."""
    far = FarEnd()
    async with spliced(far, tmp_path) as address, connected(address) as client:
        client.send(PREFACE)
        await eventually(lambda: far.heard == len(PREFACE))
        assert far.transport is not None
        far.transport.write(bytes(LOT))
        assert await stuck(far.transport) > 0
        assert len(await client.reader.readexactly(LOT)) == LOT


async def test_a_slow_server_stalls_the_client(tmp_path: Path) -> None:
    """The same in the other direction."""
    far = FarEnd()
    async with spliced(far, tmp_path) as address, connected(address) as client:
        client.send(PREFACE)
        await eventually(lambda: far.heard == len(PREFACE))
        assert far.transport is not None
        far.transport.pause_reading()
        client.send(bytes(LOT))
        assert await stuck(client.writer.transport) > 0
        far.transport.resume_reading()
        await eventually(lambda: far.heard == len(PREFACE) + LOT)


async def test_half_closing_and_hanging_up_are_passed_on(tmp_path: Path) -> None:
    """A client that has no more to say still hears the answer; when either side hangs up, so does the other."""
    far = FarEnd()
    async with spliced(far, tmp_path) as address, connected(address) as client:
        client.send(PREFACE)
        client.writer.write_eof()
        await eventually(lambda: far.ended)
        assert far.transport is not None
        far.transport.write(b"answer")
        far.transport.close()
        assert await client.reader.read() == b"answer"
    for hang_up in (lambda client: client.writer.close(), lambda client: client.reset()):
        far = FarEnd()
        (tmp_path / "far").unlink(missing_ok=True)
        async with spliced(far, tmp_path) as address, connected(address) as client:
            client.send(PREFACE)
            await eventually(lambda far=far: far.heard > 0)
            hang_up(client)
            await eventually(lambda far=far: far.ended or far.lost)
            assert far.transport is not None
            far.transport.close()


async def test_without_a_grpc_server_the_client_is_hung_up_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A gRPC client meets a closed connection, not silence, when the server behind the port does not answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    before = open_files()
    opened = Port(listener, Nobody, str(tmp_path / "nobody"), Tls(tmp_path / "ca"), Proxy())
    async with connected(f"127.0.0.1:{listener.getsockname()[1]}") as client:
        client.send(PREFACE)
        await client.rest()
    opened.close()
    await eventually(lambda: open_files() < before)
    assert "the other end of a connection is not there" in caplog.text


class Exhausted(socket.socket):
    """A listener in a process that is out of file descriptors, for as long as ``failures`` says."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_out_of_descriptors_it_pauses_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Running out of file descriptors is logged, does not spin, and ends when there are some again."""
    monkeypatch.setattr(port_module, "ACCEPT_PAUSE_SECONDS", 0.01)
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    heard: Callable[[], asyncio.Protocol] = FarEnd
    before = open_files()
    opened = Port(listener, heard, str(tmp_path / "nobody"), Tls(tmp_path / "ca"), Proxy())
    async with connected(f"127.0.0.1:{listener.getsockname()[1]}") as client:
        client.send(PREFACE)
        await client.rest()
    opened.close()
    await eventually(lambda: open_files() < before)
    assert caplog.text.count("Too many open files") == 1
