"""Objects and buckets as the JSON API writes them, and what clients may say of them; media headers.

Clients check more of this than one expects: 64-bit numbers are texts, the etag changes with generation and metageneration, and the Python
client overwrites what it knows of an object with the headers of every download.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import quote

import orjson

from vision_emulator.storage.embedded import CONTENT_TYPE_DEFAULT, STORAGE_CLASS_DEFAULT, Attributes, BucketInfo, Record
from vision_emulator.surfaces.gcs import errors

_FIELDS: Final = {
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "contentDisposition": "content_disposition",
    "contentLanguage": "content_language",
    "cacheControl": "cache_control",
    "storageClass": "storage_class",
}
_BUCKET_FIELDS_OURS: Final = frozenset(
    ("kind", "id", "name", "selfLink", "etag", "timeCreated", "updated", "metageneration", "projectNumber", "locationType")
)
LOCATION_DEFAULT: Final = "US"
LOCATION_TYPE: Final = "multi-region"
_HEADER_SAFE: Final = "".join(chr(code) for code in range(0x20, 0x7F))


def object_resource(base_url: str, bucket: str, record: Record) -> dict[str, Any]:
    """An object's metadata resource."""
    path = f"/storage/v1/b/{bucket}/o/{quote(record.name, safe='')}"
    created = rfc3339(record.generation)
    updated = created if record.updated == record.generation else rfc3339(record.updated)
    resource: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{bucket}/{record.name}/{record.generation}",
        "selfLink": base_url + path,
        "mediaLink": f"{base_url}/download{path}?generation={record.generation}&alt=media",
        "name": record.name,
        "bucket": bucket,
        "generation": str(record.generation),
        "metageneration": str(record.metageneration),
        "size": str(record.size),
        "etag": etag(record.generation, record.metageneration),
        "timeCreated": created,
        "updated": updated,
        "timeStorageClassUpdated": created,
    }
    for field, attribute in _FIELDS.items():
        if value := getattr(record.attributes, attribute):
            resource[field] = value
    if record.attributes.metadata:
        resource["metadata"] = dict(record.attributes.metadata)
    if record.component_count:
        resource["componentCount"] = record.component_count
    resource |= hashes(record)
    return resource


def object_json(base_url: str, bucket: str, record: Record) -> orjson.Fragment:
    """The same as JSON, which is kept with the record: listings say the same of an object again and again."""
    if record.written is None or record.written[0] != base_url:
        record.written = base_url, orjson.dumps(object_resource(base_url, bucket, record))
    return orjson.Fragment(record.written[1])


def hashes(record: Record) -> dict[str, str]:
    """An object's hashes as the JSON API names and writes them."""
    if record.digests is None:
        return {}
    crc32c, md5 = record.digests
    found = {"crc32c": b64encode(crc32c).decode()}
    if md5 is not None:
        found["md5Hash"] = b64encode(md5).decode()
    return found


def patched(attributes: Attributes, resource: Mapping[str, Any]) -> Attributes:
    """Attributes changed as a JSON resource says: null takes away, what is absent stays; 400 for a wrong type."""
    changes: dict[str, Any] = {}
    for field, attribute in _FIELDS.items():
        if field in resource:
            changes[attribute] = _text(field, resource[field])
    if "metadata" in resource:
        changes["metadata"] = _patched_metadata(attributes.metadata, resource["metadata"])
    if changes.get("storage_class") == "":
        changes["storage_class"] = STORAGE_CLASS_DEFAULT
    return replace(attributes, **changes)


def _patched_metadata(held: Mapping[str, str], change: object) -> dict[str, str]:
    if change is None:
        return {}
    if not isinstance(change, dict):
        raise errors.invalid_value("metadata", repr(change))
    merged = {**held, **{str(key): value for key, value in change.items()}}
    return {key: _text(f"metadata.{key}", value) for key, value in merged.items() if value is not None}


def _text(field: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise errors.invalid_value(field, repr(value))


def bucket_resource(base_url: str, info: BucketInfo) -> dict[str, Any]:
    """A bucket's metadata resource."""
    created, updated = rfc3339(info.created), rfc3339(info.updated)
    return {
        "location": LOCATION_DEFAULT,
        "storageClass": STORAGE_CLASS_DEFAULT,
        **info.settings,
        "kind": "storage#bucket",
        "id": info.name,
        "name": info.name,
        "selfLink": f"{base_url}/storage/v1/b/{info.name}",
        "projectNumber": "0",
        "locationType": LOCATION_TYPE,
        "metageneration": str(info.metageneration),
        "etag": etag(info.metageneration, 0),
        "timeCreated": created,
        "updated": updated,
    }


def bucket_layout(info: BucketInfo) -> dict[str, Any]:
    """How a bucket is laid out: flat. gcloud asks before every copy."""
    location = {"location": info.settings.get("location", LOCATION_DEFAULT), "locationType": LOCATION_TYPE}
    return {"kind": "storage#storageLayout", "bucket": info.name, **location, "hierarchicalNamespace": {"enabled": False}}


def bucket_settings(held: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """Bucket settings changed as a JSON resource says: null takes away, labels are merged, what is absent stays."""
    merged = dict(held)
    for field, value in resource.items():
        if field == "labels" and isinstance(value, dict):
            labels = {**merged.get("labels", {}), **value}
            merged[field] = {key: text for key, text in labels.items() if text is not None}
        elif field not in _BUCKET_FIELDS_OURS:
            merged[field] = value
    return {field: value for field, value in merged.items() if value is not None}


def media_headers(record: Record) -> dict[str, str]:
    """What a download says of the stored object, whichever part of it is sent."""
    said = record.attributes
    headers = {
        "content-type": said.content_type or CONTENT_TYPE_DEFAULT,
        "cache-control": said.cache_control or "private, max-age=0",
        "content-disposition": said.content_disposition,
        "content-language": said.content_language,
        "etag": etag(record.generation, record.metageneration),
        "last-modified": formatdate(record.updated / 1_000_000, usegmt=True),
        "accept-ranges": "bytes",
        "x-goog-generation": str(record.generation),
        "x-goog-metageneration": str(record.metageneration),
        "x-goog-hash": ",".join(f"{name.removesuffix('Hash')}={value}" for name, value in hashes(record).items()),
        "x-goog-storage-class": said.storage_class,
        "x-goog-stored-content-encoding": said.content_encoding or "identity",
        "x-goog-stored-content-length": str(record.size),
    }
    headers |= {f"x-goog-meta-{key.lower()}": value for key, value in said.metadata.items() if _is_token(key)}
    return {name: quote(value, safe=_HEADER_SAFE) for name, value in headers.items() if value}


def _is_token(key: str) -> bool:
    return key.isascii() and key.replace("-", "").replace("_", "").isalnum()


def etag(generation: int, metageneration: int) -> str:
    """Base64 of the protobuf message {1: generation, 2: metageneration}, as the real service's etags look."""
    return b64encode(b"\x08" + _varint(generation) + b"\x10" + _varint(metageneration)).decode()


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def rfc3339(microseconds: int) -> str:
    """A time in UTC at milliseconds."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
