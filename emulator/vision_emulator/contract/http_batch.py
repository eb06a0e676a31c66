"""Batches over HTTP: many calls in one multipart/mixed body, and their answers in another. Source: Google's guides on batching.

Each part is an HTTP request of its own. What the outer request says in its headers holds for every call in it, unless the call says
otherwise; what it says about its own body does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http.client import responses
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from vision_emulator.contract import multipart
from vision_emulator.contract.hurt import Damage
from vision_emulator.contract.multipart import MultipartError, Part

_BOUNDARY: Final = "batch_vision_emulator"
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")  # Python writes LF alone
_ONLY_OUTER: Final = ("content-", "transfer-encoding", "connection", "expect", "te", "upgrade", "x-http-method")  # beginnings of names


class BatchError(Exception):
    """The body is no batch, or one of its parts no call; the text says why."""


class Call(NamedTuple):
    """One call of a batch. ``target`` is its path and query."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Answer(NamedTuple):
    """The answer to one call."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    damage: Damage | None = None  # on its way to the client, unless it is one of a batch


def parts(content_type: str, body: bytes, calls_max: int) -> list[Part]:
    """The parts of a batch, each of them a call; BatchError when it cannot be read or has more calls than calls_max."""
    try:
        found = multipart.parse(content_type, body)
    except MultipartError as error:
        raise BatchError(f"The batch cannot be read: {error}") from error
    if len(found) > calls_max:
        raise BatchError(f"A batch has at most {calls_max} calls; this one has {len(found)}.")
    return found


def call(part: Part, outer: Mapping[str, str]) -> Call:
    """The call in a part; ``outer`` are the headers around the batch, in lower case. Relative and absolute URLs are taken."""
    head, *rest = _BLANK_LINE.split(part.content.lstrip(), maxsplit=1)
    request_line, _, header_block = head.partition(b"\n")
    words = request_line.decode("utf-8", "replace").split()
    if len(words) < 2:
        raise BatchError("A batch part must begin with METHOD, a blank and a path.")
    try:
        target = urlsplit(words[1])
    except ValueError as error:
        raise BatchError(f"A batch part names a URL that is none: {error}.") from error
    if target.path.lstrip("/").startswith("batch"):
        raise BatchError("A batch inside a batch is not allowed.")
    inherited = {name: value for name, value in outer.items() if not name.startswith(_ONLY_OUTER)}
    query = f"?{target.query}" if target.query else ""
    return Call(words[0].upper(), f"{target.path}{query}", inherited | multipart.header_lines(header_block), b"".join(rest))


def body(answers: Iterable[tuple[Part, Answer]]) -> tuple[str, bytes]:
    """Content type and body of a batch's answer: the answers in order, each under the Content-ID of the part that asked."""
    written = b"".join(b"--%b\r\n%b\r\n" % (_BOUNDARY.encode(), _written(part, answer)) for part, answer in answers)
    return f"multipart/mixed; boundary={_BOUNDARY}", written + f"--{_BOUNDARY}--\r\n".encode()


def _written(part: Part, answer: Answer) -> bytes:
    head = ["Content-Type: application/http"]
    content_id = part.headers.get("content-id")
    if content_id:
        head.append(f"Content-ID: <response-{content_id.strip('<>')}>")
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name.title()}: {value}" for name, value in answer.headers.items()]
    lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*head, "", *lines, "", ""]).encode() + answer.body
