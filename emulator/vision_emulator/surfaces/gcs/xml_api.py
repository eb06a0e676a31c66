"""The XML API: ``/{bucket}/{object}`` for signed URLs, public URLs, copies and multipart uploads, ``/{bucket}`` for listings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from vision_emulator.contract.limits import LIST_PAGE_MAX
from vision_emulator.control.clock import Chance
from vision_emulator.storage.embedded import (
    CONTENT_TYPE_DEFAULT,
    STORAGE_CLASS_DEFAULT,
    Attributes,
    Conditions,
    EmbeddedBucket,
    EmbeddedStorage,
    Mark,
    Query,
    Record,
)
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.listing import mark_of, next_token
from vision_emulator.surfaces.gcs.media import media_reply
from vision_emulator.surfaces.gcs.request import Reply, Request, decoded, number
from vision_emulator.surfaces.gcs.resources import media_headers, rfc3339
from vision_emulator.surfaces.gcs.uploads import expected_hashes, verified
from vision_emulator.surfaces.gcs.xml_text import document, element, xml_reply
from vision_emulator.surfaces.gcs.xml_uploads import XmlUploads

_META: Final = "x-goog-meta-"
_COPY_SOURCE: Final = "x-goog-copy-source"


class XmlApi:
    """Answers what is neither the JSON API nor a batch of it; signatures in the query are accepted unchecked."""

    def __init__(self, storage: EmbeddedStorage, chance: Chance) -> None:
        self._storage = storage
        self._uploads = XmlUploads(chance)

    async def reply(self, request: Request) -> Reply:
        """Answers one call."""
        bucket_name, _, encoded = request.path[1:].partition("/")
        bucket = await self._storage.bucket(decoded(bucket_name))
        name = decoded(encoded)
        if not name:
            return await self._of_bucket(request, bucket)
        if "uploads" in request.query and request.method == "POST":
            return self._uploads.start(bucket, name, _attributes(request))
        if "uploadId" in request.query:
            return await self._of_upload(request, bucket, name)
        match request.method:
            case "GET" | "HEAD":
                record, data = await bucket.content(name, _conditions(request))
                answer = await media_reply(request, record, data)
                return answer._replace(headers=answer.headers | {"etag": _etag(record)})
            case "PUT" if _COPY_SOURCE in request.headers:
                return await self._copy(request, bucket, name)
            case "PUT":
                digests = await verified(request.body, expected_hashes(request, {}))
                return _stored(await bucket.put(name, request.body, _attributes(request), _conditions(request), digests))
            case "DELETE":
                await bucket.delete(name, _conditions(request))
                return Reply(204, {})
            case method:
                raise errors.not_implemented(f"{method} in the XML API is")

    async def _of_bucket(self, request: Request, bucket: EmbeddedBucket) -> Reply:
        if request.method == "HEAD":
            return Reply(200, {"x-goog-metageneration": str(bucket.info.metageneration)})
        if request.method != "GET" or not request.query.keys() <= _LISTING:
            raise errors.not_implemented("This call of the XML API for buckets is")
        if "uploads" in request.query:
            return self._uploads.under_way(bucket, request.query.get("prefix", ""))
        return await _listing(request, bucket)

    async def _of_upload(self, request: Request, bucket: EmbeddedBucket, name: str) -> Reply:
        match request.method:
            case "PUT":
                return await self._uploads.add(request, bucket, name, self._storage.stamp())
            case "POST":
                record, reply = await self._uploads.complete(request, bucket, name, _conditions(request))
                return reply._replace(headers=_stored(record).headers | reply.headers)
            case "DELETE":
                return self._uploads.abort(request, bucket, name)
            case "GET":
                return self._uploads.parts(request, bucket, name)
            case method:
                raise errors.not_implemented(f"{method} of a multipart upload is")

    async def _copy(self, request: Request, bucket: EmbeddedBucket, name: str) -> Reply:
        """A copy inside the storage; what is said of it is the source's, unless the client says to replace it."""
        from_bucket, slash, from_name = decoded(request.headers[_COPY_SOURCE]).removeprefix("/").partition("/")
        if not slash or not from_name:
            raise errors.invalid(f"{_COPY_SOURCE} must name /bucket/object.")
        wanted = Conditions(
            generation=_header(request, f"{_COPY_SOURCE}-generation"),
            generation_match=_header(request, f"{_COPY_SOURCE}-if-generation-match"),
            metageneration_match=_header(request, f"{_COPY_SOURCE}-if-metageneration-match"),
        )
        record, data = await (await self._storage.bucket(from_bucket)).content(from_name, wanted)
        is_replaced = request.headers.get("x-goog-metadata-directive", "COPY").upper() == "REPLACE"
        attributes = _attributes(request) if is_replaced else record.attributes
        made = await bucket.put(name, data, attributes, _conditions(request), record.digests, record.component_count)
        said = element("LastModified", rfc3339(made.updated)) + element("ETag", _etag(made))
        answer = xml_reply(document("CopyObjectResult", said))
        return answer._replace(headers=_stored(made).headers | answer.headers)


# What a listing may be asked; anything else in the query of a bucket is another call, of its policy for example.
_LISTING: Final = frozenset(
    (
        *("list-type", "prefix", "delimiter", "max-keys", "encoding-type", "fetch-owner"),
        *("continuation-token", "start-after", "marker", "uploads", "userProject"),
    )
)


async def _listing(request: Request, bucket: EmbeddedBucket) -> Reply:
    """A page of names, by the second version of the call or by the first, which goes on behind a name."""
    asked = request.query
    is_second = asked.get("list-type") == "2"
    count = request.number("max-keys")
    count = LIST_PAGE_MAX if count is None else min(count, LIST_PAGE_MAX)
    token = asked.get("continuation-token", "")
    behind = asked.get("start-after" if is_second else "marker", "")
    after = mark_of(token, "continuation-token")
    delimiter = asked.get("delimiter", "")
    if behind and after is None:
        after = Mark(behind, is_prefix=not is_second and bool(delimiter) and behind.endswith(delimiter))  # the last page's NextMarker
    query = Query(asked.get("prefix", ""), delimiter, after=after, count=max(count, 1))
    page = await bucket.page(query)
    records, prefixes, following = page if count else ((), [], None)
    written = (lambda text: quote(text, safe="/")) if asked.get("encoding-type") == "url" else str
    said = element("Name", bucket.name) + element("Prefix", written(query.prefix)) + element("Delimiter", written(query.delimiter))
    said += element("MaxKeys", str(count)) + element("IsTruncated", str(following is not None).lower())
    if is_second:
        said += element("KeyCount", str(len(records) + len(prefixes)))
        if following:
            said += element("NextContinuationToken", next_token(following)["nextPageToken"])
    else:
        said += element("Marker", written(behind))
        if following:
            said += element("NextMarker", written(following.entry))
    for record in records:
        said += f"<Contents>{_listed(record, written(record.name))}</Contents>"
    said += "".join(f"<CommonPrefixes>{element('Prefix', written(prefix))}</CommonPrefixes>" for prefix in prefixes)
    return xml_reply(document("ListBucketResult", said))


def _listed(record: Record, name: str) -> str:
    said = element("Key", name) + element("Generation", str(record.generation))
    said += element("MetaGeneration", str(record.metageneration)) + element("LastModified", rfc3339(record.updated))
    return (
        said + element("ETag", _etag(record)) + element("Size", str(record.size)) + element("StorageClass", record.attributes.storage_class)
    )


def _attributes(request: Request) -> Attributes:
    headers: Mapping[str, str] = request.headers
    return Attributes(
        content_type=headers.get("content-type") or CONTENT_TYPE_DEFAULT,
        content_encoding=headers.get("content-encoding", ""),  # here it says how the object is stored
        content_disposition=headers.get("content-disposition", ""),
        content_language=headers.get("content-language", ""),
        cache_control=headers.get("cache-control", ""),
        storage_class=headers.get("x-goog-storage-class", STORAGE_CLASS_DEFAULT),
        metadata={key.removeprefix(_META): value for key, value in headers.items() if key.startswith(_META)},
    )


def _stored(record: Record) -> Reply:
    """What the answer to a write says of the object."""
    said = media_headers(record)
    kept = {key: said[key] for key in ("x-goog-generation", "x-goog-metageneration", "x-goog-hash")}
    return Reply(200, kept | {"etag": _etag(record)})


def _conditions(request: Request) -> Conditions:
    return Conditions(
        generation=request.number("generation"),
        generation_match=_header(request, "x-goog-if-generation-match"),
        metageneration_match=_header(request, "x-goog-if-metageneration-match"),
    )


def _header(request: Request, name: str) -> int | None:
    return number(name, request.headers.get(name))


def _etag(record: Record) -> str:
    """Quoted, and the md5 in hex as long as there is one."""
    md5 = record.digests.md5 if record.digests else None
    return f'"{md5.hex() if md5 else record.generation}"'
