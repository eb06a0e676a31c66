"""One port for everything: the first bytes of a connection say who is to speak with it.

``PRI`` is HTTP/2 with prior knowledge, hence gRPC: spliced to the gRPC server's private socket, because grpc takes no accepted
connections. A TLS hello is hung up on, with a hint in the log. Anything else is HTTP/1.1: the accepted socket itself is handed to
aiohttp, at no cost per byte.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

PREFACE: Final = b"PRI"
TLS_HELLO: Final = b"\x16"  # the type of a handshake record
TLS_HELLO_BYTES_MAX: Final = 64 * 1024
BACKLOG: Final = 1024
SILENCE_SECONDS_MAX: Final = 120.0  # a connection that says nothing for so long is closed
ACCEPT_PAUSE_SECONDS: Final = 1.0  # out of file descriptors: let some be freed
SPLICE_BYTES_MAX: Final = 256 * 1024  # what may wait in one direction before the other side is paused

Speaker = Callable[[], asyncio.BaseProtocol]


class Port:
    """Listens, looks at the first bytes of each connection and hands it on. Call ``close`` to stop listening."""

    def __init__(self, listener: socket.socket, http: Speaker, grpc_socket: str) -> None:
        self._listener = listener
        self._http = http
        self._grpc_socket = grpc_socket
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._handovers: set[asyncio.Task[None]] = set()
        self._splices: set[Splice] = set()
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Stops listening and drops the connections that have said nothing yet; those handed on are their speakers' to close.

        A second call does nothing.
        """
        if self._listener.fileno() < 0:
            return
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for connection in list(self._silent):
            self._forget(connection)
            connection.close()

    async def end(self) -> None:
        """Closes, cuts what still stands between clients and the gRPC server, and returns when the event loop has let it go."""
        self.close()
        while self._handovers:
            await asyncio.wait(self._handovers)
        while self._splices:
            await next(iter(self._splices)).cut()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as failure:
                if failure.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                log.error("no more connections can be taken for now: %s", failure)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(ACCEPT_PAUSE_SECONDS, self._resume)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Readable only once the preface can be told from POST, or when the other side hangs up.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(PREFACE))
            self._silent[connection] = self._loop.call_later(SILENCE_SECONDS_MAX, self._give_up, connection)
            self._loop.add_reader(connection, self._look, connection)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _give_up(self, connection: socket.socket) -> None:
        log.info("a connection said nothing for %d s and was closed", SILENCE_SECONDS_MAX)
        self._forget(connection)
        connection.close()

    def _forget(self, connection: socket.socket) -> None:
        self._silent.pop(connection).cancel()
        self._loop.remove_reader(connection)

    def _look(self, connection: socket.socket) -> None:
        self._forget(connection)
        try:
            first = connection.recv(len(PREFACE), socket.MSG_PEEK)
        except OSError:
            first = b""
        if not first:  # hung up before a word
            connection.close()
            return
        if first.startswith(TLS_HELLO):
            log.warning("a client spoke TLS, which this port does not: use http:// or an insecure channel")
            connection.recv(TLS_HELLO_BYTES_MAX)  # closing over unread bytes would be a reset
            connection.close()
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        task = self._loop.create_task(self._hand_over(connection, self._speaker(first)))
        self._handovers.add(task)
        task.add_done_callback(self._handovers.discard)

    def _speaker(self, first: bytes) -> Speaker:
        """Who is to speak with a connection that starts like this."""
        return self._splice if first == PREFACE else self._http

    def _splice(self) -> asyncio.BaseProtocol:
        splice = Splice(self._grpc_socket, self._splices.discard)
        self._splices.add(splice)
        return splice

    async def _hand_over(self, connection: socket.socket, speaker: Speaker) -> None:
        try:
            await self._loop.connect_accepted_socket(speaker, connection)
        except OSError as failure:
            log.info("a connection broke before it was answered: %s", failure)
            connection.close()


class Splice(asyncio.Protocol):
    """Carries bytes between a client and the gRPC server's socket, both ways, with back-pressure and half-closing."""

    def __init__(self, path: str, ended: Callable[[Splice], None]) -> None:
        self._path = path
        self._ended = ended
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is there: connect to the server; what the client says meanwhile waits."""
        assert isinstance(transport, asyncio.Transport)
        self._client = transport
        transport.set_write_buffer_limits(SPLICE_BYTES_MAX)
        transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _FarEnd(self), self._path)
        except OSError as failure:
            log.warning("the gRPC server does not take connections: %s", failure)
            if self._client is not None:
                self._client.abort()
        finally:
            self._connecting = None
            self._check_over()

    def joined(self, server: asyncio.Transport) -> None:
        """The server is there as well: let bytes flow."""
        self._server = server
        if self._client is None:
            server.abort()
            return
        server.set_write_buffer_limits(SPLICE_BYTES_MAX)
        self._client.resume_reading()

    def parted(self) -> None:
        """The server is gone: what it said is still written to the client."""
        self._server = None
        if self._client is not None:
            self._client.close()
        self._check_over()

    async def cut(self) -> None:
        """Breaks both connections off; returns when they are gone."""
        for transport in (self._client, self._server):
            if transport is not None:
                transport.abort()
        await self._over.wait()

    def _check_over(self) -> None:
        if self._client is None and self._server is None and self._connecting is None:
            self._over.set()
            self._ended(self)

    def data_received(self, data: bytes) -> None:
        """From the client."""
        if self._server is not None:
            self._server.write(data)

    def eof_received(self) -> bool:
        """The client has no more to say; it may still listen."""
        if self._server is not None and self._server.can_write_eof():
            self._server.write_eof()
        return True

    def pause_writing(self) -> None:
        """The client reads slower than the server writes."""
        if self._server is not None:
            self._server.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._server is not None:
            self._server.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        del exc
        self._client = None
        if self._server is not None:
            self._server.close()
        self._check_over()

    @property
    def client(self) -> asyncio.Transport | None:
        """The transport to the client while it is connected."""
        return self._client


class _FarEnd(asyncio.Protocol):
    """The server's side of a splice."""

    def __init__(self, splice: Splice) -> None:
        self._splice = splice

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._splice.joined(transport)

    def data_received(self, data: bytes) -> None:
        if self._splice.client is not None:
            self._splice.client.write(data)

    def pause_writing(self) -> None:
        if self._splice.client is not None:
            self._splice.client.pause_reading()

    def resume_writing(self) -> None:
        if self._splice.client is not None:
            self._splice.client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._splice.parted()
