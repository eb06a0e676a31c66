"""The Cloud Storage protocol on aiohttp's low-level server: reads a request whole, answers it whole."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from vision_emulator.contract.limits import OBJECT_BYTES_MAX
from vision_emulator.control.clock import Chance
from vision_emulator.control.faults import Faults
from vision_emulator.storage.embedded import EmbeddedStorage
from vision_emulator.surfaces import cors, http
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.errors import JSON_TYPE, GcsError
from vision_emulator.surfaces.gcs.protocol import StorageProtocol

_log = logging.getLogger(__name__)

# What a page's script may read: where an upload goes on, how far it is, and what is stored.
_EXPOSED: Final = (
    "Content-Encoding, Content-Length, Content-Range, Date, ETag, Location, Range, X-Goog-Generation, X-Goog-Hash, "
    "X-Goog-Metageneration, X-Goog-Stored-Content-Encoding, X-Goog-Stored-Content-Length, X-GUploader-UploadID"
)
_METHODS: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


class StorageSurface:
    """Serves embedded buckets to Cloud Storage clients. The server must be made with ``auto_decompress=False``."""

    def __init__(self, storage: EmbeddedStorage, chance: Chance | None = None, faults: Faults | None = None) -> None:
        self._protocol = StorageProtocol(storage, chance or Chance(), faults)

    def claims(self, raw_path: str) -> bool:
        """Whether a path (as it came, percent-encoded) belongs to Cloud Storage."""
        return self._protocol.claims(raw_path)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request, also a browser's question before it; a client that hangs up in the middle has changed nothing."""
        if cors.is_preflight(request):
            return cors.preflight(request)
        if request.method == "OPTIONS":
            return web.Response(headers={"allow": _METHODS})
        headers = CIMultiDict(request.headers)
        headers.setdefault("X-Forwarded-Proto", request.scheme)
        try:
            body = await http.read(request, OBJECT_BYTES_MAX)
        except http.BodyTooLarge:
            return _refusal(errors.too_large(OBJECT_BYTES_MAX))
        except (ConnectionError, web.PayloadAccessError, web.RequestPayloadError) as broken:
            _log.info("%s %s broke off: %s", request.method, request.raw_path[:200], broken)
            return _refusal(errors.invalid("The request broke off before its end."))
        reply = await self._protocol.reply(request.method, request.raw_path, headers, body)
        said = reply.headers | cors.headers(request, _EXPOSED)
        if reply.damage is not None:
            return await http.damaged(request, web.Response(status=reply.status, headers=said, body=reply.body), reply.damage)
        reason = "Resume Incomplete" if reply.status == 308 else None
        if request.method == "HEAD":
            return web.Response(status=reply.status, headers=said | {"content-length": str(len(reply.body))})
        return web.Response(status=reply.status, reason=reason, headers=said, body=reply.body)


def _refusal(error: GcsError) -> web.Response:
    return web.Response(status=error.status, headers={"content-type": JSON_TYPE}, body=error.json())
