"""The object half of the JSON API, uploads apart: look at, download, change, copy, compose, list and remove objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vision_emulator.contract.limits import COMPOSE_SOURCES_MAX, OBJECT_BYTES_MAX
from vision_emulator.storage.embedded import Attributes, Conditions, EmbeddedBucket, EmbeddedStorage, Record, digest
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.buckets import acl_reply, policy_reply
from vision_emulator.surfaces.gcs.listing import next_token, query_of
from vision_emulator.surfaces.gcs.media import media_reply
from vision_emulator.surfaces.gcs.request import Reply, Request, json_reply, number
from vision_emulator.surfaces.gcs.resources import etag, object_json, object_resource, patched


class Objects:
    """Answers what comes below ``/b/{bucket}/o``, except uploads."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        self._storage = storage

    async def reply(self, request: Request, bucket_name: str, segments: list[str], *, media: bool) -> Reply:
        """Answers one call; ``segments`` are the decoded pieces of the path behind ``/o``, ``media`` means a download path."""
        bucket = await self._storage.bucket(bucket_name)
        match request.method, segments:
            case "GET", [] | [""]:
                return await self._list(request, bucket)
            case "GET" | "HEAD", [name]:
                return await self._get(request, bucket, name, media=media)
            case "PATCH", [name]:
                said = request.resource()
                record = await bucket.patch(name, lambda held: patched(held, said), request.conditions())
            case "PUT", [name]:
                said = request.resource()
                record = await bucket.patch(name, lambda _: patched(Attributes(), said), request.conditions())
            case "DELETE", [name]:
                await bucket.delete(name, request.conditions())
                return Reply(204, {})
            case "POST", [name, "rewriteTo", "b", to_bucket, "o", to_name]:
                record = await self._copy(request, bucket, name, to_bucket, to_name)
                return json_reply(_rewritten(object_resource(request.base_url, to_bucket, record)))
            case "POST", [name, "copyTo", "b", to_bucket, "o", to_name]:
                record = await self._copy(request, bucket, name, to_bucket, to_name)
                return json_reply(object_resource(request.base_url, to_bucket, record))
            case "POST", [name, "moveTo", "o", to_name]:
                if to_name == name:
                    raise errors.invalid(f"An object cannot be moved to its own name: {name[:100]!r}")
                record = await self._copy(request, bucket, name, bucket_name, to_name)
                await bucket.delete(name)
            case "POST", [name, "compose"]:
                record = await self._compose(request, bucket, name)
            case _, [name, "acl", *_]:
                await bucket.get(name)
                return acl_reply(request)
            case _, [name, "iam", *rest]:
                await bucket.get(name)
                return policy_reply(request, rest)
            case _:
                raise errors.not_found(f"{request.method} {request.path}")
        return json_reply(object_resource(request.base_url, bucket_name, record))

    async def _list(self, request: Request, bucket: EmbeddedBucket) -> Reply:
        records, prefixes, following = await bucket.page(query_of(request))
        listed: dict[str, Any] = {"kind": "storage#objects", **next_token(following)}
        if prefixes:
            listed["prefixes"] = prefixes
        if records:
            base_url = request.base_url
            listed["items"] = [object_json(base_url, bucket.name, record) for record in records]
        return json_reply(listed)

    async def _get(self, request: Request, bucket: EmbeddedBucket, name: str, *, media: bool) -> Reply:
        if media or request.query.get("alt") == "media":
            record, data = await bucket.content(name, request.conditions())
            _check_etag(request, record)
            return await media_reply(request, record, data)
        record = await bucket.get(name, request.conditions())
        _check_etag(request, record)
        return json_reply(object_resource(request.base_url, bucket.name, record))

    async def _copy(self, request: Request, source: EmbeddedBucket, name: str, to_bucket: str, to_name: str) -> Record:
        target = await self._storage.bucket(to_bucket)
        said = request.resource()
        record, data = await source.content(name, request.source_conditions())
        attributes = patched(Attributes(), said) if said else record.attributes
        if not attributes.content_type:
            attributes = replace(attributes, content_type=record.attributes.content_type)
        wanted = replace(request.conditions(), generation=None)
        return await target.put(to_name, data, attributes, wanted, record.digests, record.component_count)

    async def _compose(self, request: Request, bucket: EmbeddedBucket, name: str) -> Record:
        said = request.resource()
        sources = said.get("sourceObjects")
        if not isinstance(sources, list) or not 1 <= len(sources) <= COMPOSE_SOURCES_MAX:
            raise errors.invalid(f"sourceObjects must list 1 to {COMPOSE_SOURCES_MAX} objects.")
        read = [await bucket.content(*_source(source)) for source in sources]
        if sum(record.size for record, _ in read) > OBJECT_BYTES_MAX:
            raise errors.too_large(OBJECT_BYTES_MAX)
        content = b"".join(data for _, data in read)
        count = sum(record.component_count or 1 for record, _ in read)
        destination = said.get("destination") or {}
        if not isinstance(destination, dict):
            raise errors.invalid_value("destination", repr(destination))
        attributes = patched(Attributes(content_type=read[0][0].attributes.content_type), destination)
        digests = (await digest(content))._replace(md5=None)
        return await bucket.put(name, content, attributes, request.conditions(), digests, count)


def _source(source: object) -> tuple[str, Conditions]:
    """Name and conditions of one of compose's sources."""
    if not isinstance(source, dict) or not isinstance(source.get("name"), str):
        raise errors.required("sourceObjects[].name")
    match = source.get("objectPreconditions") or {}
    if not isinstance(match, dict):
        raise errors.invalid_value("objectPreconditions", repr(match))
    return source["name"], Conditions(
        generation=_int64("generation", source),
        generation_match=_int64("ifGenerationMatch", match),
    )


def _int64(field: str, said: Mapping[str, Any]) -> int | None:
    """A 64-bit number, which JSON writes as a text; some clients write a number."""
    return number(field, None if said.get(field) is None else str(said[field]))


def _rewritten(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that was done in one go."""
    size = resource["size"]
    return {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True, "resource": resource}


def _check_etag(request: Request, record: Record) -> None:
    current = etag(record.generation, record.metageneration)
    if_match, if_none_match = request.headers.get("if-match", ""), request.headers.get("if-none-match", "")
    if if_match and if_match != "*" and current not in _etags(if_match):
        raise errors.condition_not_met()
    if if_none_match and (if_none_match == "*" or current in _etags(if_none_match)):
        raise errors.not_modified()


def _etags(text: str) -> set[str]:
    return {item.strip().removeprefix("W/").strip('"') for item in text.split(",")}
