"""Raw connections to a running emulator, and waiting for what happens on its other side."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from vision_emulator.app import Emulator


@dataclass
class Reply:
    """One HTTP/1.1 answer as it came."""

    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]


class Connection:
    """One TCP connection, spoken byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def reply(self) -> Reply:
        """Reads one answer whole, and no byte more."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        return Reply(int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0))))

    async def rest(self) -> bytes:
        """Whatever comes until the other side hangs up; a reset counts as hanging up."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self) -> None:
        """Hangs up at once, as a process does that dies with unread bytes."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """A connection to ``host:port``, closed at the end of the block."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def request(verb: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP/1.1 request as bytes; ``headers`` may say another Content-Length."""
    named = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
    return f"{verb} {path} HTTP/1.1\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in named.items()).encode() + b"\r\n" + body


async def ask(emulator: Emulator, verb: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """One request on a connection of its own."""
    async with connected(emulator.address) as connection:
        connection.send(request(verb, path, body, headers))
        return await connection.reply()


async def check_health(emulator: Emulator) -> None:
    """The server lives."""
    assert (await ask(emulator, "GET", "/_emulator/health")).json == {"status": "serving"}


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; the suite's own timeout ends a test in which it never does."""
    loop = asyncio.get_running_loop()
    while not condition():
        later = loop.create_future()
        loop.call_later(0.002, later.set_result, None)
        await later


def open_files() -> int:
    """How many file descriptors this process holds."""
    return psutil.Process().num_fds()
