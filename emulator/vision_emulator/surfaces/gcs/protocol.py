"""The Cloud Storage API over embedded buckets: (method, path, headers, body) in, status, headers, body out. No sockets.

``StorageProtocol.reply`` tells the JSON API, its batches and the XML API apart by their paths. Batch requests re-enter it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.methods import PROJECT
from vision_emulator.control.clock import Chance
from vision_emulator.control.faults import Faults, Target
from vision_emulator.storage import StorageError
from vision_emulator.storage.embedded import EmbeddedStorage
from vision_emulator.surfaces.gcs import batch, errors
from vision_emulator.surfaces.gcs.buckets import Buckets
from vision_emulator.surfaces.gcs.errors import JSON_TYPE, TEXT_TYPE, XML_TYPE, GcsError
from vision_emulator.surfaces.gcs.objects import Objects
from vision_emulator.surfaces.gcs.request import Reply, Request, decoded, split_target
from vision_emulator.surfaces.gcs.uploads import Uploads
from vision_emulator.surfaces.gcs.xml_api import XmlApi

_log = logging.getLogger(__name__)

_JSON_API: Final = re.compile(r"(?:/(?P<kind>resumable/upload|upload|download))?(?:/storage/v1)?/b(?P<rest>/.*)?")
_BATCH: Final = re.compile(r"/batch(/storage/v1)?/?")
_RESERVED: Final = re.compile(r"/(storage/v1|upload|resumable/upload|download|b|batch)(/.*)?")


class StorageProtocol:
    """Answers calls of the Cloud Storage JSON and XML APIs from embedded buckets."""

    def __init__(self, storage: EmbeddedStorage, chance: Chance, faults: Faults | None = None) -> None:
        self._storage = storage
        self._faults = faults
        self._buckets = Buckets(storage)
        self._objects = Objects(storage)
        self._uploads = Uploads(storage, chance)
        self._xml = XmlApi(storage, chance)

    def claims(self, raw_path: str) -> bool:
        """Whether a path belongs to Cloud Storage: one of its prefixes, or a bucket that exists."""
        path, _ = split_target(raw_path)
        return bool(_RESERVED.fullmatch(path)) or self._storage.find(path[1:].partition("/")[0]) is not None

    async def reply(self, method: str, raw_path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one call; every refusal is an answer too, in the shape of the API that was called."""
        try:
            request = Request.read(method, raw_path, headers, body)
        except GcsError as error:
            return _refusal(raw_path, error)
        if self._faults is None or not self._faults.concern(request.headers):
            return await self._reply(request, method, raw_path)
        return await self._struck(request, method, raw_path, self._faults)

    async def _struck(self, request: Request, method: str, raw_path: str, faults: Faults) -> Reply:
        """The answer to a call that fault rules may strike; a batch is struck in its parts."""
        name = method_name(request.method, request.path)
        if not name:
            return await self._reply(request, method, raw_path)
        project = request.headers.get(PROJECT) or request.query.get("userProject") or request.query.get("project", "")
        try:
            hurt = await faults.strike(Target(name, request.headers, "rest", project, len(request.body)))
        except VisionError as failure:  # it asks for a rule that is none
            return _refusal(raw_path, errors.by_rule(failure))
        if hurt is not None and hurt.refusal is not None:
            reply = _refusal(raw_path, errors.by_rule(hurt.refusal, hurt.http_status))
            return reply._replace(headers=reply.headers | hurt.headers, damage=hurt.damage)
        reply = await self._reply(request, method, raw_path)
        return reply if hurt is None else reply._replace(damage=hurt.damage)

    async def _reply(self, request: Request, method: str, raw_path: str) -> Reply:
        try:
            return await self._answer(request)
        except GcsError as error:
            return _refusal(raw_path, error)
        except StorageError as error:
            return _refusal(raw_path, errors.of_storage(error, method))
        except Exception:  # noqa: BLE001 - the boundary: a bug is the client's 500 and a traceback in the log
            _log.exception("%s %s failed", method, raw_path[:200])
            return _refusal(raw_path, errors.internal())

    async def _answer(self, request: Request) -> Reply:
        if _BATCH.fullmatch(request.path):
            return await batch.reply(self.reply, await request.plain())
        found = _JSON_API.fullmatch(request.path)
        if found:
            segments = [decoded(segment) for segment in (found["rest"] or "").split("/")[1:]]
            return await self._json(await request.plain(), found["kind"] or "", segments)
        if _RESERVED.fullmatch(request.path):
            raise errors.not_found(request.path)
        return await self._xml.reply(request)

    async def _json(self, request: Request, kind: str, segments: list[str]) -> Reply:
        match segments:
            case [bucket, "o"] if "upload" in kind:
                return await self._uploads.reply(request, bucket)
            case [bucket, "o", *rest]:
                return await self._objects.reply(request, bucket, rest, media=kind == "download")
            case _:
                return await self._buckets.reply(request, [segment for segment in segments if segment])


_VERBS: Final = {"GET": "get", "HEAD": "get", "POST": "insert", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_ACTS: Final = {"rewriteTo": "rewrite", "copyTo": "copy", "moveTo": "move", "compose": "compose"}
_ACLS: Final = {"acl": "bucket_acl", "defaultObjectAcl": "default_object_acl"}
_IAM: Final = {("GET", ""): "getIamPolicy", ("PUT", ""): "setIamPolicy", ("GET", "/testPermissions"): "testIamPermissions"}
_OBJECT: Final = re.compile(r"/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)(?:/(?P<act>[^/]+).*)?")
_BUCKET: Final = re.compile(r"/(?P<bucket>[^/]+)(?:/(?P<part>[^/]+)(?P<rest>/.*)?)?")


def method_name(verb: str, path: str) -> str:
    """What Google calls the method of a call, JSON or XML: storage.objects.insert; "" for what has no name, a batch for example."""
    if _BATCH.fullmatch(path):
        return ""
    found = _JSON_API.fullmatch(path)
    if found is None:
        if _RESERVED.fullmatch(path) or not path[1:].partition("/")[2]:
            return ""
        return "storage.objects." + ("insert" if verb == "PUT" else _VERBS.get(verb, "get"))
    rest = (found["rest"] or "").rstrip("/")
    if "upload" in (found["kind"] or ""):
        return "storage.objects.insert"
    if not rest:
        return "storage.buckets." + ("insert" if verb == "POST" else "list")
    thing = _OBJECT.fullmatch(rest)
    if thing:
        act = thing["act"]
        if act in _ACTS:
            return f"storage.objects.{_ACTS[act]}"
        kind = "object_acl" if act == "acl" else "objects" if act is None else ""
        return f"storage.{kind}.{_VERBS.get(verb, 'get')}" if kind else ""
    within = _BUCKET.fullmatch(rest)
    part = within["part"] if within else None
    if part == "o":
        return "storage.objects.list"
    if part in _ACLS:
        return f"storage.{_ACLS[part]}.{_VERBS.get(verb, 'get')}"
    if part == "iam" and within:
        known = _IAM.get((verb, within["rest"] or ""), "")
        return f"storage.buckets.{known}" if known else ""
    if part == "storageLayout":
        return "storage.buckets.getStorageLayout"
    return f"storage.buckets.{_VERBS.get(verb, 'get')}" if part is None else ""


def _refusal(raw_path: str, error: GcsError) -> Reply:
    """A refusal as the API that was called writes it; 304 has no body."""
    if error.status == 304:
        return Reply(304, {})
    path, query = split_target(raw_path)
    if not _RESERVED.fullmatch(path):
        return Reply(error.status, {"content-type": XML_TYPE}, error.xml())
    if "alt=media" in query:
        return Reply(error.status, {"content-type": TEXT_TYPE}, error.text())
    return Reply(error.status, {"content-type": JSON_TYPE}, error.json())
