"""The Cloud Storage API over embedded buckets: (method, path, headers, body) in, status, headers, body out. No sockets.

``StorageProtocol.reply`` tells the JSON API, its batches and the XML API apart by their paths. Batch requests re-enter it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from vision_emulator.control.clock import Chance
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

    def __init__(self, storage: EmbeddedStorage, chance: Chance) -> None:
        self._storage = storage
        self._buckets = Buckets(storage)
        self._objects = Objects(storage)
        self._uploads = Uploads(storage, chance)
        self._xml = XmlApi(storage)

    def claims(self, raw_path: str) -> bool:
        """Whether a path belongs to Cloud Storage: one of its prefixes, or a bucket that exists."""
        path, _ = split_target(raw_path)
        return bool(_RESERVED.fullmatch(path)) or self._storage.find(path[1:].partition("/")[0]) is not None

    async def reply(self, method: str, raw_path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one call; every refusal is an answer too, in the shape of the API that was called."""
        try:
            request = Request.read(method, raw_path, headers, body)
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
