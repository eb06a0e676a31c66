"""REST in, REST out: match, decode, call, encode. What the real front end does before and after the API is here, and no rule of the API."""

from __future__ import annotations

import asyncio
import html
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from google.protobuf.message import Message

from vision_emulator.contract import codec, discovery, errors, http_batch, limits, transcoder
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.http_batch import Answer, BatchError
from vision_emulator.contract.methods import PROJECT, Call, Match, match
from vision_emulator.contract.multipart import Part
from vision_emulator.contract.transcoder import SystemParameters
from vision_emulator.core.admission import KEY, TOKEN
from vision_emulator.core.service import FIELDS, Vision
from vision_emulator.surfaces import cors, http
from vision_emulator.surfaces.compression import ContentTooLarge, compressed, decompressed

_VERSIONED: Final = re.compile(r"/v1(p[1-4]beta1)?(/|$)")
_DISCOVERY: Final = re.compile(r"/(?:\$|%24)discovery/rest|/discovery/v1/apis/vision/(?P<version>[^/]+)/rest")
_BATCH: Final = re.compile(r"/batch(/vision/[^/]+)?/?")  # Cloud Storage's are under /batch/storage
_INLINE_BYTES_MAX: Final = 256 * 1024  # larger bodies are decoded off the event loop: a 5 MB image takes 50 ms
_PROTO: Final = "application/x-protobuf"
_PROTO_TYPES: Final = (_PROTO, "application/protobuf")
_FORM: Final = "application/x-www-form-urlencoded"
_HEADERS: Final = {
    "Cache-Control": "private",
    "Vary": "Origin, X-Origin, Referer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "X-XSS-Protection": "0",
}  # recorded, less what only a Google server could say

Body = Callable[[], Awaitable[bytes]]
Headers = dict[str, str]  # names in lower case


class RestSurface:
    """The Vision API over HTTP/1.1, and what belongs to it: batches of calls and the discovery documents."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision

    def claims(self, raw_path: str) -> bool:
        """Whether the path is the API's: one of its versions, its batches, or its discovery documents."""
        path = raw_path.partition("?")[0]
        return any((_VERSIONED.match(path), _BATCH.fullmatch(path), _DISCOVERY.fullmatch(path)))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers any request; one that no method matches with the front end's HTML page."""
        if cors.is_preflight(request) and self.claims(request.raw_path):
            return cors.preflight(request)
        headers: Headers = {"x-forwarded-proto": request.scheme}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), value)  # of a header that is given twice the first counts
        answer = await self._answer(request.method, request.raw_path, headers, lambda: _body(request))
        answer_headers = {**answer.headers, **cors.headers(request)}
        if answer.damage is not None:
            return await http.damaged(request, web.Response(status=answer.status, body=answer.body, headers=answer_headers), answer.damage)
        content = answer.body
        if len(content) >= limits.GZIP_BYTES_MIN and http.takes_gzip(request):
            content = await _off_loop(compressed, content)
            answer_headers["Content-Encoding"] = "gzip"
        return web.Response(status=answer.status, body=content, headers=answer_headers)

    async def _answer(self, method: str, target: str, headers: Headers, body: Body) -> Answer:
        """The answer to one HTTP request, whether it came by itself or in a batch."""
        path, _, query = target.partition("?")
        try:
            method, query, body = await _overridden(method, query, headers, body)
            described = _DISCOVERY.fullmatch(path) if method == "GET" else None
            if described:
                return _document(described["version"] or transcoder.parameter(query, "version") or "v1", headers)
            if method == "POST" and _BATCH.fullmatch(path):
                return await self._batch(headers, await body())
        except VisionError as refusal:
            return _refusal(refusal, SystemParameters())
        found = match(method, path)
        return _not_found(path) if found is None else await self._call(found, query, headers, body)

    async def _call(self, found: Match, query: str, headers: Headers, read: Body) -> Answer:
        parameters = SystemParameters()
        answered: dict[str, str] = {}
        call: Call | None = None
        try:
            parameters = transcoder.system_parameters(query)
            body = await read()
            binary = _media_type(headers) in _PROTO_TYPES
            message = await _off_loop(lambda data: transcoder.decode(found, query, data, binary=binary), body)
            call = Call(found.method, message, _metadata(headers, parameters), "rest", answer_metadata=answered, size=len(body))
            answer = _success(await self._vision.call(call), parameters)
        except VisionError as refusal:
            answer = _refusal(refusal, parameters)
        damage = call.hurt.damage if call is not None and call.hurt is not None else None
        return answer._replace(headers={**answer.headers, **answered}, damage=damage)

    async def _batch(self, outer: Headers, body: bytes) -> Answer:
        """All calls of a batch at once, answered in their order; each is refused for itself."""

        async def answer(part: Part) -> Answer:
            try:
                method, target, headers, content = http_batch.call(part, outer)
            except BatchError as fault:
                return _refusal(errors.batch_malformed(str(fault)), SystemParameters())
            return await self._answer(method, target, headers, lambda: _part_body(content, headers))

        try:
            parts = http_batch.parts(outer.get("content-type", ""), body, limits.CALLS_PER_HTTP_BATCH_MAX)
        except BatchError as fault:
            raise errors.batch_malformed(str(fault)) from fault
        answers = await asyncio.gather(*(answer(part) for part in parts))
        content_type, content = http_batch.body(zip(parts, answers, strict=True))
        return Answer(200, {**_HEADERS, "Content-Type": content_type}, content)


# ---- what came in ----


async def _overridden(method: str, query: str, headers: Headers, body: Body) -> tuple[str, str, Body]:
    """The method a POST says it stands for; a GET whose query was too long for a URL has it in its body."""
    override = headers.get("x-http-method-override", "").upper()
    if method != "POST" or not override:
        return method, query, body
    if override != "GET" or _media_type(headers) != _FORM:
        return override, query, body
    form = (await body()).decode("utf-8", "replace")
    return override, "&".join(filter(None, (query, form))), _nothing


async def _nothing() -> bytes:
    return b""


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _metadata(headers: Headers, parameters: SystemParameters) -> Headers:
    """The headers, with what the query says in their place or for want of them, so that the core finds it where gRPC has it."""
    token = f"Bearer {parameters.access_token}" if parameters.access_token else ""
    caller = {KEY: parameters.key, TOKEN: token, PROJECT: parameters.user_project}
    given = {**caller, **headers, FIELDS: parameters.fields or headers.get(FIELDS, "")}
    return {name: value for name, value in given.items() if value}


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body, unzipped; VisionError when it is larger than the front end takes."""
    try:
        body = await http.read(request, limits.REQUEST_BYTES_MAX)
    except http.BodyTooLarge:
        raise errors.payload_too_large() from None
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    return body if encoding == "identity" else await asyncio.to_thread(_unzipped, body, encoding)


async def _part_body(content: bytes, headers: Headers) -> bytes:
    """The body of a call in a batch, which cannot be zipped: a hundred of them would unzip to more than memory holds."""
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise errors.body_encoding_unsupported(encoding)
    return content


def _unzipped(body: bytes, encoding: str) -> bytes:
    if encoding != "gzip":
        raise errors.body_encoding_unsupported(encoding)
    try:
        return decompressed(body, limits.REQUEST_BYTES_MAX)
    except ContentTooLarge:
        raise errors.payload_too_large() from None
    except zlib.error as broken:
        raise errors.body_encoding_unsupported(encoding) from broken


async def _off_loop(work: Callable[[bytes], Any], data: bytes) -> Any:
    """What the work makes of the data, in a thread when that would hold up other calls."""
    return await asyncio.to_thread(work, data) if len(data) > _INLINE_BYTES_MAX else work(data)


# ---- what goes out ----


def _success(response: Message, parameters: SystemParameters) -> Answer:
    if parameters.alt == "proto":
        return Answer(200, {**_HEADERS, "Content-Type": _PROTO}, response.SerializeToString())
    return _json(200, codec.encode(response, enum_numbers=parameters.enum_numbers, pretty=parameters.pretty_print), parameters)


def _refusal(failure: VisionError, parameters: SystemParameters) -> Answer:
    """A refusal: code, message, status, and details when there are any; in binary google.rpc.Status."""
    if parameters.alt == "proto":
        return Answer(failure.http_status, {**_HEADERS, "Content-Type": _PROTO}, failure.status().SerializeToString())
    status = codec.to_json(failure.status())
    error: dict[str, Any] = {"code": failure.http_status, "message": failure.message, "status": failure.code.name}
    if "details" in status:
        error["details"] = status["details"]
    return _json(failure.http_status, codec.dump_json({"error": error}, pretty=parameters.pretty_print), parameters)


def _json(status: int, content: bytes, parameters: SystemParameters) -> Answer:
    """JSON, or a script that calls the function asked for with it: always with 200, since browsers run no other."""
    if not parameters.callback:
        return Answer(status, {**_HEADERS, "Content-Type": "application/json; charset=UTF-8"}, content)
    script = b"// API callback\n%b(%b);" % (parameters.callback.encode(), content.rstrip())
    return Answer(200, {**_HEADERS, "Content-Type": "text/javascript; charset=UTF-8"}, script)


def _document(version: str, headers: Headers) -> Answer:
    """The discovery document of a version, with the address by which the client came."""
    if version not in discovery.VERSIONS:
        raise errors.discovery_document_missing(version)
    scheme = headers["x-forwarded-proto"]
    document = discovery.document(version, f"{scheme}://{headers.get('host', 'localhost')}/")
    return _json(200, codec.dump_json(document, pretty=True), SystemParameters())


def _not_found(path: str) -> Answer:
    """The page for a path or verb that nobody serves: HTML, as the real front end has it."""
    text = (
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <title>Error 404 (Not Found)!!1</title>\n"
        "  <p><b>404.</b> <ins>That’s an error.</ins>\n"
        f"  <p>The requested URL <code>{html.escape(path)}</code> was not found on this server.  <ins>That’s all we know.</ins>\n"
    )
    return Answer(404, {"Content-Type": "text/html; charset=UTF-8"}, text.encode("utf-8", "replace"))
