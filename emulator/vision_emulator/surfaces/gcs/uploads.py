"""Uploads: simple, multipart, and resumable ones with their sessions.

Nothing is stored before the last byte is here, hashes agree and preconditions hold; a connection that breaks in the middle of a chunk
leaves the session as it was before the chunk.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from vision_emulator.contract import multipart
from vision_emulator.contract.limits import OBJECT_BYTES_MAX, UPLOADS_BYTES_MAX, UPLOADS_OPEN_MAX
from vision_emulator.control.clock import Chance
from vision_emulator.storage import StorageError
from vision_emulator.storage.embedded import (
    CONTENT_TYPE_DEFAULT,
    Attributes,
    Conditions,
    Digests,
    EmbeddedBucket,
    EmbeddedStorage,
    Record,
    digest,
    name_fault,
)
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.errors import GcsError
from vision_emulator.surfaces.gcs.request import Reply, Request, json_object, json_reply
from vision_emulator.surfaces.gcs.resources import object_resource, patched

_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18}|\*)|\*)/(\d{1,18}|\*)")


@dataclass(slots=True)
class _Session:
    """One resumable upload: what it will become, and the chunks held so far."""

    bucket: EmbeddedBucket
    name: str
    attributes: Attributes
    conditions: Conditions
    expected: dict[str, str]
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    stored: Record | None = None
    finishing: asyncio.Lock = field(default_factory=asyncio.Lock)  # a client may send the last chunk again while it is being stored


@dataclass(frozen=True, slots=True)
class _Span:
    """What a Content-Range says: offset of this body (None: a question), and the whole size (None: more is to come)."""

    start: int | None
    total: int | None


class Uploads:
    """The upload half of the object API, and its resumable sessions: at most UPLOADS_OPEN_MAX, the oldest is dropped."""

    def __init__(self, storage: EmbeddedStorage, chance: Chance) -> None:
        self._storage = storage
        self._chance = chance
        self._sessions: dict[str, _Session] = {}

    async def reply(self, request: Request, bucket_name: str) -> Reply:
        """Answers whatever came below an upload path for a bucket's objects."""
        upload_id = request.query.get("upload_id")
        if upload_id is not None:
            return await self._resume(request, upload_id)
        if request.method != "POST":
            raise errors.required("upload_id")
        bucket = await self._storage.bucket(bucket_name)
        match request.query.get("uploadType", "multipart" if request.headers.get("content-type", "").startswith("multipart/") else "media"):
            case "media":
                return await self._simple(request, bucket)
            case "multipart":
                return await self._multipart(request, bucket)
            case "resumable":
                return await self._start(request, bucket)
            case other:
                raise errors.invalid_value("uploadType", other)

    async def _simple(self, request: Request, bucket: EmbeddedBucket) -> Reply:
        attributes = _attributes(request, {}, request.headers.get("content-type", ""))
        digests = await verified(request.body, expected_hashes(request, {}))
        record = await bucket.put(_name(request, {}), request.body, attributes, request.conditions(), digests)
        return json_reply(object_resource(request.base_url, bucket.name, record))

    async def _multipart(self, request: Request, bucket: EmbeddedBucket) -> Reply:
        try:
            parts = multipart.parse(request.headers.get("content-type", ""), request.body)
        except multipart.MultipartError as error:
            raise errors.invalid(f"The multipart upload cannot be read: {error}") from error
        if len(parts) != 2:
            raise errors.invalid(f"A multipart upload has 2 parts, metadata and content; this one has {len(parts)}.")
        said = json_object(parts[0].content)
        content = parts[1].content
        attributes = _attributes(request, said, parts[1].headers.get("content-type", ""))
        digests = await verified(content, expected_hashes(request, said))
        record = await bucket.put(_name(request, said), content, attributes, request.conditions(), digests)
        return json_reply(object_resource(request.base_url, bucket.name, record))

    async def _start(self, request: Request, bucket: EmbeddedBucket) -> Reply:
        said = request.resource()
        name = _name(request, said)
        if fault := name_fault(name):
            raise errors.invalid(f"Invalid object name {name[:100]!r}: {fault}")
        conditions = request.conditions()
        if conditions != Conditions():
            await bucket.check(name, conditions)
        attributes = _attributes(request, said, request.headers.get("x-upload-content-type", ""))
        upload_id = self._chance.hex(48)
        self._sessions[upload_id] = _Session(bucket, name, attributes, conditions, expected_hashes(request, said))
        self._drop_oldest()
        path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name={quote(name, safe='')}&upload_id={upload_id}"
        return Reply(200, {"location": request.base_url + path, "x-guploader-uploadid": upload_id})

    def _drop_oldest(self) -> None:
        while len(self._sessions) > UPLOADS_OPEN_MAX or sum(session.size for session in self._sessions.values()) > UPLOADS_BYTES_MAX:
            del self._sessions[next(iter(self._sessions))]

    async def _resume(self, request: Request, upload_id: str) -> Reply:
        session = self._sessions.get(upload_id)
        if session is None:
            raise errors.upload_missing()
        if request.method == "DELETE":
            del self._sessions[upload_id]
            raise errors.upload_cancelled()
        if request.method not in ("PUT", "POST"):
            raise errors.invalid(f"A resumable upload takes PUT, POST and DELETE, not {request.method}.")
        if session.stored is None:
            whole = _take(session, _span(request.headers.get("content-range"), len(request.body)), request.body)
            self._drop_oldest()
            if not whole:
                return _incomplete(request, session)
        try:
            async with session.finishing:
                record = session.stored or await self._finish(session, request)
        except (StorageError, GcsError):
            self._sessions.pop(upload_id, None)
            raise
        return json_reply(object_resource(request.base_url, session.bucket.name, record))

    async def _finish(self, session: _Session, request: Request) -> Record:
        content = b"".join(session.chunks)
        digests = await verified(content, session.expected | expected_hashes(request, {}))
        session.stored = await session.bucket.put(session.name, content, session.attributes, session.conditions, digests)
        session.chunks, session.size = [], 0
        return session.stored


def _take(session: _Session, span: _Span, body: bytes) -> bool:
    """Adds a chunk to its session, without what is held already; True when the object is whole."""
    if span.start is None:
        if body:
            raise errors.invalid("Content-Range asks how much is held, so the body must be empty.")
        return span.total == session.size
    end = span.start + len(body)
    if span.start > session.size:
        raise errors.invalid(
            f"Invalid request.  According to the Content-Range header, the upload offset is {span.start} byte(s), "
            f"which exceeds already uploaded size of {session.size} byte(s)."
        )
    if max(end, span.total or 0) > OBJECT_BYTES_MAX:
        raise errors.too_large(OBJECT_BYTES_MAX)
    if span.total is not None and max(end, session.size) > span.total:
        raise errors.invalid(f"Content-Range says the object has {span.total} bytes, but {max(end, session.size)} were sent.")
    if end > session.size:
        session.chunks.append(body[session.size - span.start :])
        session.size = end
    return session.size == span.total


def _incomplete(request: Request, session: _Session) -> Reply:
    headers = {"range": f"bytes=0-{session.size - 1}"} if session.size else {}
    if request.headers.get("x-guploader-no-308", "").lower() == "yes":  # Go, whose HTTP library takes a 308 for a redirect
        return Reply(200, headers | {"x-http-status-code-override": "308"})
    return Reply(308, headers)


def _span(text: str | None, size: int) -> _Span:
    """The part that a body of this size is; without a Content-Range it is the whole object. ``a-*`` ends where the body ends (Node)."""
    if text is None:
        return _Span(0, size)
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if not found:
        raise errors.invalid(f"Failed to parse Content-Range header: {text[:100]!r}")
    first, last, whole = found.groups()
    total = None if whole == "*" else int(whole)
    if first is None:
        return _Span(None, total)
    if last == "*":
        return _Span(int(first), int(first) + size if total is None else total)
    if int(last) - int(first) + 1 != size:
        raise errors.invalid(f"Content-Range {text!r} does not fit a body of {size} bytes.")
    return _Span(int(first), total)


def _name(request: Request, said: Mapping[str, Any]) -> str:
    name = request.query.get("name", said.get("name"))
    if not isinstance(name, str) or not name:
        raise errors.required("name")
    return name


def _attributes(request: Request, said: Mapping[str, Any], sent_type: str) -> Attributes:
    """What the metadata says; else what the query says; else the type that came with the content."""
    held = Attributes(content_type=sent_type or CONTENT_TYPE_DEFAULT, content_encoding=request.query.get("contentEncoding", ""))
    return patched(held, {field: value for field, value in said.items() if value is not None})


def expected_hashes(request: Request, said: Mapping[str, Any]) -> dict[str, str]:
    """The hashes a client sent along, in base64, by the names crc32c and md5: from metadata, X-Goog-Hash and Content-MD5."""
    found = {kind: str(said[field]) for kind, field in (("crc32c", "crc32c"), ("md5", "md5Hash")) if said.get(field)}
    for item in request.headers.get("x-goog-hash", "").split(","):
        kind, equals, value = item.strip().partition("=")
        if equals and kind in ("crc32c", "md5"):
            found[kind] = value
    if "content-md5" in request.headers:
        found["md5"] = request.headers["content-md5"]
    return found


async def verified(content: bytes, expected: Mapping[str, str]) -> Digests:
    """The content's hashes; 400 when the client sent others."""
    digests = await digest(content)
    computed = {"crc32c": b64encode(digests.crc32c).decode(), "md5": b64encode(digests.md5 or b"").decode()}
    for kind, given in expected.items():
        if given != computed[kind]:
            raise errors.hash_mismatch(kind.upper(), given, computed[kind])
    return digests
