"""The HTTP/1.1 server under every surface but gRPC: aiohttp's, where a client's fault is a clear answer and one line in the log."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vision_emulator.contract.hurt import Damage

log = logging.getLogger(__name__)

_NEVER: Final = re.compile(r"q=0(\.0*)?")  # the weight of what a client does not take
KEEP_ALIVE_SECONDS: Final = 75.0  # an idle connection is closed after it

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class BodyTooLarge(Exception):
    """A request's body is larger than its reader takes."""


def server(answer: Answer) -> web.Server:
    """A server that answers every request by ``answer``, bodies as they came; the caller hands it connections and shuts it down."""

    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answer(request)
        except (ConnectionError, web.RequestPayloadError) as fault:
            log.info("%s %s broke off: %s", request.method, request.raw_path[:200], _line(fault))
            return web.Response(status=400, text="The request broke off before its end.\n")

    return web.Server(answered, access_log=None, auto_decompress=False, keepalive_timeout=KEEP_ALIVE_SECONDS, logger=_Faults(log))


async def close(running: web.Server, seconds: float) -> None:
    """Closes idle connections at once, and the others when they have their answers, or after so long."""
    running.pre_shutdown()
    await running.shutdown(seconds)


async def read(request: web.BaseRequest, bytes_max: int) -> bytes:
    """The whole body; BodyTooLarge as soon as it is known to be larger, before a byte is read when its length is announced."""
    if (request.content_length or 0) > bytes_max:
        raise BodyTooLarge
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # the low-level server leaves this to its handler
    chunks, size = [], 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > bytes_max:
            raise BodyTooLarge
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def damaged(request: web.BaseRequest, whole: web.Response, damage: Damage) -> web.StreamResponse:
    """The answer as it comes through, sent here as far as it does: Damage says what each kind is."""
    content = whole.body if isinstance(whole.body, bytes) else b""
    if damage.kind in ("truncate", "corrupt"):
        whole.body = damage.body(content)
        return whole
    transport = request.transport
    if transport is None:  # the client has hung up already
        return whole
    if damage.kind == "drop":
        answer = web.StreamResponse(status=whole.status, headers=whole.headers)
        answer.content_length = len(content)
        await answer.prepare(request)
        await answer.write(damage.body(content)[: max(0, len(content) - 1)])  # whole it must not be
        transport.close()
        return answer
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing is a reset then
    transport.abort()
    return whole


def is_address(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def takes_gzip(request: web.BaseRequest) -> bool:
    """Whether the client says it can unzip an answer."""
    offers = (offer.replace(" ", "").lower() for offer in request.headers.get("Accept-Encoding", "").split(","))
    return any(name in ("gzip", "*") and not _NEVER.fullmatch(weight) for name, _, weight in (offer.partition(";") for offer in offers))


class _Faults(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's log; bytes that are no HTTP are their sender's fault and get no traceback."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        fault = kwargs.get("exc_info")
        if isinstance(fault, HttpProcessingError):
            super().log(logging.INFO, "a request that is no HTTP was refused: %s", _line(fault))
        else:
            super().log(level, msg, *args, **kwargs)


def _line(fault: BaseException) -> str:
    """What an exception says, in one line: aiohttp quotes what it read, with a pointer below it."""
    return " ".join(str(fault).split())[:200]
