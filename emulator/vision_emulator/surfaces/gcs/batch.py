"""Batch requests: up to 100 calls of the JSON API in one multipart body, answered in the same order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http.client import responses
from urllib.parse import urlsplit

from vision_emulator.contract.limits import STORAGE_BATCH_CALLS_MAX
from vision_emulator.surfaces.gcs import errors, multipart
from vision_emulator.surfaces.gcs.request import Reply, Request

Caller = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Reply]]
_BOUNDARY = "batch_vision_emulator"


async def reply(call: Caller, request: Request) -> Reply:
    """Makes the calls one after the other; each part answers for itself."""
    if request.method != "POST":
        raise errors.not_found(f"{request.method} {request.path}")
    try:
        parts = multipart.parse(request.headers.get("content-type", ""), request.content())
    except multipart.MultipartError as error:
        raise errors.invalid(f"The batch cannot be read: {error}") from error
    if len(parts) > STORAGE_BATCH_CALLS_MAX:
        raise errors.invalid(f"A batch has at most {STORAGE_BATCH_CALLS_MAX} calls; this one has {len(parts)}.")
    answers = [_part(part.headers.get("content-id"), await _call(call, request, part.content)) for part in parts]
    body = b"".join(b"--%b\r\n%b\r\n" % (_BOUNDARY.encode(), answer) for answer in answers)
    return Reply(200, {"content-type": f"multipart/mixed; boundary={_BOUNDARY}"}, body + f"--{_BOUNDARY}--\r\n".encode())


async def _call(call: Caller, outer: Request, content: bytes) -> Reply:
    """Makes one call; relative and absolute URLs are taken, and the outer call's host where the inner names none."""
    call_text = content.lstrip()
    head, _, body = call_text.partition(b"\r\n\r\n" if b"\r\n\r\n" in call_text else b"\n\n")  # Python writes LF alone
    request_line, _, header_block = head.partition(b"\n")
    words = request_line.decode("utf-8", "replace").split()
    if len(words) < 2:
        return _refused("A batch part must begin with METHOD, a blank and a path.")
    method, url = words[:2]
    target = urlsplit(url)
    if target.path.lstrip("/").startswith("batch"):
        return _refused("A batch inside a batch is not allowed.")
    headers = {"host": outer.headers.get("host", ""), **multipart.header_lines(header_block)}
    return await call(method.upper(), f"{target.path}?{target.query}", headers, body)


def _refused(message: str) -> Reply:
    error = errors.invalid(message)
    return Reply(error.status, {"content-type": errors.JSON_TYPE}, error.json())


def _part(content_id: str | None, answer: Reply) -> bytes:
    """One answer as a part of the batch's answer."""
    head = ["Content-Type: application/http"]
    if content_id:
        head.append(f"Content-ID: <response-{content_id.strip('<>')}>")
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name.title()}: {value}" for name, value in answer.headers.items()]
    lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*head, "", *lines, "", ""]).encode() + answer.body
