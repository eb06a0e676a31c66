"""The XML API as far as signed URLs and plain public URLs need it: PUT, GET, HEAD and DELETE of ``/{bucket}/{object}``."""

from __future__ import annotations

from vision_emulator.storage.embedded import (
    CONTENT_TYPE_DEFAULT,
    STORAGE_CLASS_DEFAULT,
    Attributes,
    Conditions,
    EmbeddedBucket,
    EmbeddedStorage,
    Record,
)
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.media import media_reply
from vision_emulator.surfaces.gcs.request import Reply, Request, decoded, number
from vision_emulator.surfaces.gcs.resources import media_headers
from vision_emulator.surfaces.gcs.uploads import expected_hashes, verified

_META: str = "x-goog-meta-"
_MULTIPART: frozenset[str] = frozenset(("uploads", "uploadId", "partNumber"))


class XmlApi:
    """Answers ``/{bucket}/{object}``; signatures in the query are accepted unchecked."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        self._storage = storage

    async def reply(self, request: Request) -> Reply:
        """Answers one call."""
        bucket_name, _, encoded = request.path[1:].partition("/")
        bucket = await self._storage.bucket(decoded(bucket_name))
        name = decoded(encoded)
        if not name:
            raise errors.not_implemented("The XML API of buckets is")
        if _MULTIPART & request.query.keys():
            raise errors.not_implemented("XML multipart uploads are")
        match request.method:
            case "GET" | "HEAD":
                record, data = await bucket.content(name, _conditions(request))
                answer = await media_reply(request, record, data)
                return answer._replace(headers=answer.headers | {"etag": _etag(record)})
            case "PUT":
                return await self._put(request, bucket, name)
            case "DELETE":
                await bucket.delete(name, _conditions(request))
                return Reply(204, {})
            case method:
                raise errors.not_implemented(f"{method} in the XML API is")

    async def _put(self, request: Request, bucket: EmbeddedBucket, name: str) -> Reply:
        if "x-goog-copy-source" in request.headers:
            raise errors.not_implemented("Copying by the XML API is")
        headers = request.headers
        attributes = Attributes(
            content_type=headers.get("content-type") or CONTENT_TYPE_DEFAULT,
            content_encoding=headers.get("content-encoding", ""),  # here it says how the object is stored
            content_disposition=headers.get("content-disposition", ""),
            content_language=headers.get("content-language", ""),
            cache_control=headers.get("cache-control", ""),
            storage_class=headers.get("x-goog-storage-class", STORAGE_CLASS_DEFAULT),
            metadata={key.removeprefix(_META): value for key, value in headers.items() if key.startswith(_META)},
        )
        digests = await verified(request.body, expected_hashes(request, {}))
        record = await bucket.put(name, request.body, attributes, _conditions(request), digests)
        said = media_headers(record)
        kept = {key: said[key] for key in ("x-goog-generation", "x-goog-metageneration", "x-goog-hash")}
        return Reply(200, kept | {"etag": _etag(record)})


def _conditions(request: Request) -> Conditions:
    headers = request.headers
    return Conditions(
        generation=request.number("generation"),
        generation_match=number("x-goog-if-generation-match", headers.get("x-goog-if-generation-match")),
        metageneration_match=number("x-goog-if-metageneration-match", headers.get("x-goog-if-metageneration-match")),
    )


def _etag(record: Record) -> str:
    """Quoted, and the md5 in hex as long as there is one."""
    md5 = record.digests.md5 if record.digests else None
    return f'"{md5.hex() if md5 else record.generation}"'
