"""CONNECT on the one port: Google's hosts are answered here, others are refused or reached."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from vision_emulator.app import Emulator
from vision_emulator.surfaces import proxy as proxy_module
from vision_emulator.surfaces.port import Port
from vision_emulator.surfaces.proxy import HEAD_BYTES_MAX, Proxy, Refusal, Target
from vision_emulator.surfaces.tls import Authority, Tls
from wire import Connection, connected, eventually, open_files, request

HEALTH = request("GET", "/_emulator/health")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def connect_to(authority: str, *headers: str) -> bytes:
    return "\r\n".join([f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *headers, "", ""]).encode()


HERE = [
    "vision.googleapis.com",
    "VISION.GoogleAPIs.com",
    "vision.googleapis.com.",
    "us-vision.googleapis.com",
    "eu-vision.googleapis.com",
    "vision.mtls.googleapis.com",
    "storage.googleapis.com",
    "my-bucket.storage.googleapis.com",
    "oauth2.googleapis.com",
    "www.googleapis.com",
    "iamcredentials.googleapis.com",
    "metadata.google.internal",
]


@pytest.mark.parametrize("host", HERE)
async def test_hosts_that_are_answered_here(emulator: Emulator, host: str, tmp_path: Path) -> None:
    """A tunnel to them ends here, and carries what the port carries: TLS with a certificate for that host, or clear text."""
    name, _, port = emulator.address.rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(connect_to(f"{host}:443"))
    assert await reader.readuntil(b"\r\n\r\n") == ESTABLISHED
    context = ssl.create_default_context(cadata=Authority(tmp_path / "ca").pem.decode())
    await writer.start_tls(context, server_hostname=host.lower().removesuffix("."))
    connection = Connection(reader, writer)
    connection.send(HEALTH)
    assert (await connection.reply()).json == {"status": "serving"}
    writer.close()


async def test_clear_text_through_a_tunnel(emulator: Emulator) -> None:
    """Inside a tunnel every protocol of the port is understood; the head may come in pieces, and what follows at once is not lost."""
    async with connected(emulator.address) as connection:
        head = connect_to("vision.googleapis.com:443", "User-Agent: " + "x" * 2000)
        for piece in (head[:3], head[3:20], head[20:-1]):
            connection.send(piece)
            await connection.writer.drain()
        connection.send(head[-1:] + HEALTH)
        assert await connection.reader.readuntil(b"\r\n\r\n") == ESTABLISHED
        assert (await connection.reply()).json == {"status": "serving"}


REFUSED = {
    "example.com:443": (403, "--proxy-others"),
    "vision.googleapis.com.evil.test:443": (403, "not answered here"),
    "notvision.example:443": (403, "not answered here"),
    "127.0.0.1:22": (403, "not answered here"),
    "[::1]:22": (403, "not answered here"),
    "vision.googleapis.com": (400, "CONNECT HOST:PORT"),
    "vision.googleapis.com:0": (400, "CONNECT HOST:PORT"),
    "vision.googleapis.com:99999": (400, "CONNECT HOST:PORT"),
    "vision googleapis.com:443": (400, "CONNECT HOST:PORT"),
}


@pytest.mark.parametrize("authority", REFUSED)
async def test_what_is_refused(emulator: Emulator, authority: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another host, an address, or what is no CONNECT: an answer that says what to do, a line in the log, and the end."""
    status, words = REFUSED[authority]
    async with connected(emulator.address) as connection:
        connection.send(connect_to(authority))
        reply = await connection.reply()
        assert (reply.status, await connection.rest()) == (status, b"")
    assert words in reply.body.decode()
    assert "CONNECT refused" in caplog.text


async def test_an_endless_head(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A head is read up to a bound, and the connection closed beyond it."""
    async with connected(emulator.address) as connection:
        connection.send(b"CONNECT vision.googleapis.com:443 HTTP/1.1\r\n" + b"X: y\r\n" * HEAD_BYTES_MAX)
        assert await connection.rest() == b""
    assert f"{HEAD_BYTES_MAX} bytes" in caplog.text


async def test_a_proxy_for_others_keeps_out_of_this_machine_and_its_network() -> None:
    """Names are resolved here, and the address decides, whatever the name; a client elsewhere gets into no private network."""
    proxy = Proxy(others=True)
    for host in ("127.0.0.1", "169.254.169.254", "::1", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "fe80::1"):
        with pytest.raises(Refusal, match="no public address"):
            await proxy.reach(Target(host, 443), "127.0.0.1")
    for host in ("10.1.2.3", "192.168.1.1", "fd00::1"):
        with pytest.raises(Refusal, match="no public address"):
            await proxy.reach(Target(host, 443), "203.0.113.7")
    with pytest.raises(Refusal, match="cannot be reached") as refusal:
        await proxy.reach(Target("nobody.invalid", 443), "127.0.0.1")
    assert refusal.value.answer.startswith(b"HTTP/1.1 502 ")


async def test_a_tunnel_to_another_host_carries_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes go to the far end and back, and when one side ends the other does."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    before = open_files()
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as far:
        number = far.sockets[0].getsockname()[1]
        listener = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setattr(proxy_module, "is_public", lambda _: True)  # the only other host that a test can have is this one
        port = Port(listener, asyncio.Protocol, str(tmp_path / "grpc"), Tls(tmp_path / "ca"), Proxy(others=True))
        async with connected(f"127.0.0.1:{listener.getsockname()[1]}") as connection:
            connection.send(connect_to(f"localhost:{number}"))
            assert await connection.reader.readuntil(b"\r\n\r\n") == ESTABLISHED
            sent = bytes(range(256)) * 5000
            connection.send(sent)
            assert await connection.reader.readexactly(len(sent)) == sent
            connection.writer.write_eof()
            assert await connection.rest() == b""
        async with connected(f"127.0.0.1:{listener.getsockname()[1]}") as connection:
            connection.send(connect_to("localhost:1"))
            assert (await connection.reply()).status == 502
        await port.end()
    await eventually(lambda: open_files() <= before)
