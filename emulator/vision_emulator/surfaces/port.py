"""One port for everything: the first bytes of a connection say who is to speak with it.

``PRI`` is HTTP/2 with prior knowledge, hence gRPC: spliced to the gRPC server's private socket, because grpc takes no accepted
connections. A TLS hello is answered with a handshake, and the first bytes inside say the same things again. ``CONNECT`` asks for a
tunnel to another host: one that is answered here gets a yes and is looked at like a new connection. Anything else is HTTP/1.1: the
accepted socket itself is handed to aiohttp, at no cost per byte.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from vision_emulator.surfaces.proxy import ESTABLISHED, HEAD_BYTES_MAX, Proxy, Refusal
from vision_emulator.surfaces.tls import Tls, TlsError

log = logging.getLogger(__name__)

PREFACE: Final = b"PRI"
TLS_HELLO: Final = b"\x16"  # the type of a handshake record
TUNNEL: Final = b"CON"  # no other method of HTTP begins like this
HANDSHAKE_SECONDS_MAX: Final = 20.0
HEAD_END: Final = b"\r\n\r\n"
BACKLOG: Final = 1024
SILENCE_SECONDS_MAX: Final = 120.0  # a connection that says nothing for so long is closed
ACCEPT_PAUSE_SECONDS: Final = 1.0  # out of file descriptors: let some be freed
SPLICE_BYTES_MAX: Final = 256 * 1024  # what may wait in one direction before the other side is paused

Speaker = Callable[[], asyncio.BaseProtocol]
Reach = Callable[[Callable[[], asyncio.BaseProtocol]], Awaitable[Any]]  # connects a protocol with the far end


class Port:
    """Listens, looks at the first bytes of each connection and hands it on. Call ``close`` to stop listening."""

    def __init__(self, listener: socket.socket, http: Speaker, grpc_socket: str, tls: Tls, proxy: Proxy) -> None:
        self._listener = listener
        self._http = http
        self._grpc_socket = grpc_socket
        self._tls = tls
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._handovers: set[asyncio.Task[None]] = set()
        self._inside: set[Inside] = set()
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
        """Closes, cuts what still stands between clients and their speakers, and returns when the event loop has let it go."""
        self.close()
        for task in self._handovers:
            task.cancel()  # handshakes and tunnels wait for others
        while self._handovers:
            await asyncio.wait(self._handovers)
        for opened in list(self._inside):
            opened.cut()
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
            self._await(connection, len(PREFACE), self._look)  # only then can the preface be told from POST

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _await(self, connection: socket.socket, bytes_min: int, look: Callable[[socket.socket], None]) -> None:
        """Has a connection looked at once so many bytes are there to be seen, or when the other side hangs up."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, bytes_min)
        self._silent[connection] = self._loop.call_later(SILENCE_SECONDS_MAX, self._give_up, connection)
        self._loop.add_reader(connection, look, connection)

    def _give_up(self, connection: socket.socket) -> None:
        log.info("a connection said nothing for %d s and was closed", SILENCE_SECONDS_MAX)
        self._forget(connection)
        connection.close()

    def _forget(self, connection: socket.socket) -> None:
        self._silent.pop(connection).cancel()
        self._loop.remove_reader(connection)

    def _look(self, connection: socket.socket) -> None:
        """The first bytes are there."""
        self._forget(connection)
        first = _peeked(connection, len(PREFACE))
        if not first:  # hung up before a word
            connection.close()
        elif first.startswith(TLS_HELLO):
            self._spawn(self._secure(connection))
        elif first == TUNNEL:
            self._await(connection, len(TUNNEL) + 1, self._look_for_tunnel)
        else:
            self._spawn(self._hand_over(connection, self._speaker(first)))

    def _look_for_tunnel(self, connection: socket.socket) -> None:
        """More of a CONNECT is there: when it is whole, exactly its head is taken from the connection."""
        self._forget(connection)
        wanted = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        seen = _peeked(connection, HEAD_BYTES_MAX)
        end = seen.find(HEAD_END)
        if end >= 0:
            self._spawn(self._tunnel(connection, connection.recv(end + len(HEAD_END))))
        elif wanted <= len(seen) < HEAD_BYTES_MAX:
            self._await(connection, len(seen) + 1, self._look_for_tunnel)
        else:
            log.info("a CONNECT request broke off or has a head of more than %d bytes", HEAD_BYTES_MAX)
            connection.close()

    async def _tunnel(self, connection: socket.socket, head: bytes) -> None:
        """To here: what comes through is looked at as if it came by itself. To elsewhere: bytes are carried."""
        try:
            target = self._proxy.target(head)
            far = None if target.is_here else await self._proxy.reach(target, connection.getpeername()[0])
        except Refusal as refusal:
            log.info("CONNECT refused: %s", refusal)
            await self._say(connection, refusal.answer)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        else:
            if not await self._say(connection, ESTABLISHED):
                connection.close()
                if far is not None:
                    far.close()
            elif far is None:
                self._await(connection, len(PREFACE), self._look)
            else:
                reached = far
                await self._hand_over(connection, lambda: self._splice(lambda made: self._loop.create_connection(made, sock=reached)))

    async def _say(self, connection: socket.socket, words: bytes) -> bool:
        try:
            await self._loop.sock_sendall(connection, words)
        except OSError as failure:
            log.info("a client of a tunnel was gone before it was answered: %s", failure)
            return False
        return True

    async def _secure(self, connection: socket.socket) -> None:
        """Shakes hands; what is said inside is looked at again."""
        try:
            context = await asyncio.to_thread(self._tls.context)
        except TlsError as failure:
            log.error("a client spoke TLS, and %s", failure)
            connection.close()
            return
        await self._hand_over(connection, self._look_inside, context)

    def _look_inside(self) -> Inside:
        opened = Inside(self._speaker, self._inside.discard)
        self._inside.add(opened)
        return opened

    def _speaker(self, first: bytes) -> Speaker:
        """Who is to speak with a connection that starts like this."""
        return self._to_grpc if first == PREFACE else self._http

    def _to_grpc(self) -> asyncio.BaseProtocol:
        return self._splice(lambda made: self._loop.create_unix_connection(made, self._grpc_socket))

    def _splice(self, reach: Reach) -> asyncio.BaseProtocol:
        splice = Splice(reach, self._splices.discard)
        self._splices.add(splice)
        return splice

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._handovers.add(task)
        task.add_done_callback(self._handovers.discard)

    async def _hand_over(self, connection: socket.socket, speaker: Speaker, context: ssl.SSLContext | None = None) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        seconds = HANDSHAKE_SECONDS_MAX if context else None
        try:
            await self._loop.connect_accepted_socket(speaker, connection, ssl=context, ssl_handshake_timeout=seconds)
        except OSError as failure:  # ssl's errors and the handshake's time-out among them
            log.info("a connection broke before it was answered: %s", failure)
            connection.close()


def _peeked(connection: socket.socket, bytes_max: int) -> bytes:
    """What waits to be read, left there; empty when the other side is gone."""
    try:
        return connection.recv(bytes_max, socket.MSG_PEEK)
    except OSError:
        return b""


class Inside(asyncio.Protocol):
    """Looks at the first bytes inside TLS and hands the connection on, in clear text from then on."""

    def __init__(self, speaker: Callable[[bytes], Speaker], ended: Callable[[Inside], None]) -> None:
        self._speaker = speaker
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is over."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(SILENCE_SECONDS_MAX, self.cut)

    def data_received(self, data: bytes) -> None:
        """From the client."""
        self._seen += data
        if len(self._seen) < len(PREFACE) or self._transport is None:
            return
        transport, seen = self._transport, self._seen
        self._end()
        speaker = self._speaker(seen[: len(PREFACE)])()
        assert isinstance(speaker, asyncio.Protocol)
        transport.set_protocol(speaker)
        speaker.connection_made(transport)
        speaker.data_received(seen)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left without a word."""
        del exc
        self._end()

    def cut(self) -> None:
        """Breaks the connection off."""
        if self._transport is not None:
            self._transport.abort()
        self._end()

    def _end(self) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._ended(self)


class Splice(asyncio.Protocol):
    """Carries bytes between a client and the gRPC server's socket or another host, both ways, with back-pressure and half-closing."""

    def __init__(self, reach: Reach, ended: Callable[[Splice], None]) -> None:
        self._reach = reach
        self._ended = ended
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early = b""  # what was read inside TLS before it was known who is to have it
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
            await self._reach(lambda: _FarEnd(self))
        except OSError as failure:
            log.warning("the other end of a connection is not there: %s", failure)
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
        server.write(self._early)
        self._early = b""
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
        elif self._connecting is not None:
            self._early += data

    def eof_received(self) -> bool:
        """The client has no more to say; it may still listen, unless it spoke TLS, which has no half-closing."""
        if self._server is not None and self._server.can_write_eof():
            self._server.write_eof()
        return self._client is not None and self._client.get_extra_info("sslcontext") is None

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
