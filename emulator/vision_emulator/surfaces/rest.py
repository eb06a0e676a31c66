"""REST in, REST out: match, decode, call, encode. What the real front end does before and after the API is here, and no rule of the API."""

from __future__ import annotations

import asyncio
import html
import re
import zlib
from typing import Any, Final

from aiohttp import web

from vision_emulator.contract import codec, errors, limits, transcoder
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.methods import Call, match
from vision_emulator.core.service import Vision
from vision_emulator.surfaces import http

_VERSIONED: Final = re.compile(r"/v1(p[1-4]beta1)?(/|$)")
_INLINE_BYTES_MAX: Final = 256 * 1024  # larger bodies are decoded off the event loop: a 5 MB image takes 50 ms
_HEADERS: Final = {
    "Cache-Control": "private",
    "Vary": "Origin, X-Origin, Referer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-XSS-Protection": "0",
}  # recorded, less what only a Google server could say


class RestSurface:
    """The Vision API over HTTP/1.1."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision

    def claims(self, raw_path: str) -> bool:
        """Whether the path is the API's: it starts with one of its versions."""
        return _VERSIONED.match(raw_path) is not None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers any request; one that no method matches with the front end's HTML page."""
        path, _, query = request.raw_path.partition("?")
        found = match(request.method, path)
        if found is None:
            return not_found(path)
        parameters = transcoder.SystemParameters()
        answered: dict[str, str] = {}
        status = 200
        try:
            parameters = transcoder.system_parameters(query)
            body = await _body(request)
            if len(body) > _INLINE_BYTES_MAX:
                message = await asyncio.to_thread(transcoder.decode, found, query, body)
            else:
                message = transcoder.decode(found, query, body)
            call = Call(found.method, message, _Headers(request), "rest", answer_metadata=answered)
            response = await self._vision.call(call)
            content = codec.encode(response, enum_numbers=parameters.enum_numbers, pretty=parameters.pretty_print)
        except VisionError as failure:
            status, content = failure.http_status, error_body(failure, pretty=parameters.pretty_print)
        return web.Response(status=status, body=content, headers={**_HEADERS, **answered}, content_type="application/json", charset="UTF-8")


class _Headers(dict[str, str]):
    """A request's headers under lower-case names, the first value of each."""

    def __init__(self, request: web.BaseRequest) -> None:
        super().__init__()
        for name, value in request.headers.items():
            self.setdefault(name.lower(), value)


def error_body(failure: VisionError, *, pretty: bool = True) -> bytes:
    """The JSON body of a refusal: code, message, status, and details when there are any."""
    status = codec.to_json(failure.status())
    error: dict[str, Any] = {"code": failure.http_status, "message": failure.message, "status": failure.code.name}
    if "details" in status:
        error["details"] = status["details"]
    return codec.dump_json({"error": error}, pretty=pretty)


def not_found(path: str) -> web.Response:
    """The page for a path or verb that nobody serves: HTML, as the real front end has it."""
    text = (
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <title>Error 404 (Not Found)!!1</title>\n"
        "  <p><b>404.</b> <ins>That’s an error.</ins>\n"
        f"  <p>The requested URL <code>{html.escape(path)}</code> was not found on this server.  <ins>That’s all we know.</ins>\n"
    )
    return web.Response(status=404, text=text, content_type="text/html", charset="UTF-8")


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body, unzipped; VisionError when it is larger than the front end takes."""
    try:
        body = await http.read(request, limits.REQUEST_BYTES_MAX)
    except http.BodyTooLarge:
        raise errors.payload_too_large() from None
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    return body if encoding == "identity" else _unzipped(body, encoding)


def _unzipped(body: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        raise errors.body_encoding_unsupported(encoding)
    gzip = zlib.decompressobj(wbits=31)
    try:
        plain = gzip.decompress(body, limits.REQUEST_BYTES_MAX + 1)
    except zlib.error as broken:
        raise errors.body_encoding_unsupported(encoding) from broken
    if len(plain) > limits.REQUEST_BYTES_MAX:
        raise errors.payload_too_large()
    if not gzip.eof:
        raise errors.body_encoding_unsupported(encoding)
    return plain
