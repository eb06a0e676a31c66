"""The Cloud Storage surface on real sockets: what only shows on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage.embedded import MemoryStorage
from vision_emulator.surfaces.gcs import StorageSurface

UPLOAD = b"POST /upload/storage/v1/b/bkt/o?uploadType=media&name=x HTTP/1.1\r\nHost: h\r\n"


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage(SystemClock(), ["bkt"])


@pytest.fixture
async def port(storage: MemoryStorage) -> AsyncIterator[int]:
    surface = StorageSurface(storage, Chance(1))
    runner = web.ServerRunner(web.Server(surface.handle, auto_decompress=False), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def exchange(port: int, sent: bytes) -> bytes:
    """Sends bytes and reads until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


async def names(storage: MemoryStorage) -> list[str]:
    return [info.name async for info in (await storage.bucket("bkt")).list()]


async def test_continue_is_said_before_the_body(port: int, storage: MemoryStorage) -> None:
    """curl waits for it with large uploads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPLOAD + b"Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"data")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert await (await storage.bucket("bkt")).read("x") == b"data"


async def test_head_says_the_length_and_sends_nothing(port: int, storage: MemoryStorage) -> None:
    """Go decides by it whether there is something to read."""
    await (await storage.bucket("bkt")).write("a b", b"12345", "text/plain")
    received = await exchange(port, b"HEAD /bkt/a%20b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\ncontent-length: 5" in head.lower()
    assert body == b""


async def test_an_encoded_slash_stays_encoded(port: int, storage: MemoryStorage) -> None:
    """``/o/a%2Fb`` is one object, not a path."""
    await (await storage.bucket("bkt")).write("a/b", b"12345", "text/plain")
    received = await exchange(port, b"GET /storage/v1/b/bkt/o/a%2Fb?alt=media HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert received.endswith(b"\r\n\r\n12345")


async def test_a_path_that_is_no_text_is_refused(port: int) -> None:
    """Raw bytes beyond UTF-8 in a path or a header end in an answer, not in a fault."""
    for line in (b"GET /storage/v1/b/\xff\xfe", b"GET /bkt/\xff", b"GET /storage/v1/b/bkt/o?prefix=\xff"):
        received = await exchange(port, line + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert received.split()[1] == b"400"
    received = await exchange(port, UPLOAD + b"Content-Type: text/\xff\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
    assert received.split()[1] == b"200"


async def test_chunked_bodies_are_taken(port: int, storage: MemoryStorage) -> None:
    """Node sends uploads without a length."""
    received = await exchange(port, UPLOAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert await (await storage.bucket("bkt")).read("x") == b"abcde"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\nonly the beginning", b"Transfer-Encoding: chunked\r\n\r\nff\r\nonly the beginning"]
)
async def test_a_client_that_hangs_up_leaves_nothing(port: int, storage: MemoryStorage, framing: bytes) -> None:
    """A truncated upload stores nothing, and the server goes on serving."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(UPLOAD + framing)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    received = await exchange(port, b"GET /storage/v1/b/bkt/o HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert received.endswith(b'{"kind":"storage#objects"}')
    assert await names(storage) == []


async def test_a_broken_chunk_is_refused(port: int, storage: MemoryStorage) -> None:
    """Bytes that are no chunk end the request with a clean refusal."""
    received = await exchange(port, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")
    assert received.split()[1] == b"400"
    assert await names(storage) == []


async def test_an_object_that_is_too_large_is_refused(port: int, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its announced length before a byte of it, else as soon as it is too long."""
    monkeypatch.setattr("vision_emulator.surfaces.gcs.surface.OBJECT_BYTES_MAX", 10)
    for framing in (b"Content-Length: 11\r\n\r\n01234567890", b"Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n"):
        received = await exchange(port, UPLOAD + b"Connection: close\r\n" + framing)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b'"reason":"uploadTooLarge"' in received
    assert await names(storage) == []


async def test_the_reason_of_308_is_not_a_redirect(port: int) -> None:
    """Resumable uploads borrow the number; the reason says so."""
    end = b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n"
    received = await exchange(port, b"POST /upload/storage/v1/b/bkt/o?uploadType=resumable&name=x" + end + b"\r\n")
    location = next(line for line in received.split(b"\r\n") if line.lower().startswith(b"location: ")).split()[1]
    target = location.removeprefix(b"http://h")
    received = await exchange(port, b"PUT " + target + end + b"Content-Range: bytes */*\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 308 Resume Incomplete\r\n")
    assert b"content-length: 0" in received.lower()


async def test_pages_of_other_origins_may_do_everything(port: int) -> None:
    """A browser that asks first is answered yes, and the script may read what it needs to go on with an upload; others hear none of it."""
    asked = b"OPTIONS /upload/storage/v1/b/bkt/o HTTP/1.1\r\nHost: h\r\nConnection: close\r\nOrigin: http://page.test\r\n"
    asked += b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-goog-hash\r\n\r\n"
    answer = await exchange(port, asked)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Access-Control-Allow-Origin: http://page.test\r\n" in answer
    assert b"Access-Control-Allow-Headers: x-goog-hash\r\n" in answer
    assert b"PUT" in answer.partition(b"Access-Control-Allow-Methods: ")[2].partition(b"\r\n")[0]
    sent = UPLOAD + b"Content-Length: 1\r\nConnection: close\r\n"
    answer = await exchange(port, sent + b"Origin: http://page.test\r\n\r\nx")
    assert b"Access-Control-Allow-Origin: http://page.test\r\n" in answer
    exposed = answer.partition(b"Access-Control-Expose-Headers: ")[2].partition(b"\r\n")[0].split(b", ")
    assert {b"Location", b"Range", b"ETag"} <= set(exposed)
    assert b"Access-Control" not in await exchange(port, sent + b"\r\nx")
    assert b"allow: DELETE, GET" in await exchange(port, b"OPTIONS /bkt/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
