"""Multipart uploads of the XML API: parts sent in any order, any of them again, and put together at the end.

Nothing can be read before the completion, which is atomic. What is put together has no md5, as in the real service.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from vision_emulator.contract.limits import (
    OBJECT_BYTES_MAX,
    PART_BYTES_MIN,
    PART_NUMBER_MAX,
    UPLOADS_BYTES_MAX,
    UPLOADS_OPEN_MAX,
)
from vision_emulator.control.clock import Chance
from vision_emulator.storage.embedded import Attributes, Conditions, Digests, EmbeddedBucket, Record, digest, name_fault
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.request import Reply, Request
from vision_emulator.surfaces.gcs.resources import hashes, rfc3339
from vision_emulator.surfaces.gcs.uploads import expected_hashes, verified
from vision_emulator.surfaces.gcs.xml_text import document, element, xml_reply

PARTS_LISTED_MAX: Final = 1000  # of one answer; doc
_PART: Final = re.compile(r"<(?:\w+:)?Part\b[^>]*>(.*?)</(?:\w+:)?Part>", re.DOTALL)
_NUMBER: Final = re.compile(r"<(?:\w+:)?PartNumber>\s*(\d{1,9})\s*</")
_ETAG: Final = re.compile(r"<(?:\w+:)?ETag>\s*(.*?)\s*</", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Part:
    data: bytes
    digests: Digests
    received: int  # microseconds since 1970

    @property
    def etag(self) -> str:
        return f'"{(self.digests.md5 or b"").hex()}"'


@dataclass(slots=True)
class _Upload:
    bucket: EmbeddedBucket
    name: str
    attributes: Attributes
    parts: dict[int, _Part] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(len(part.data) for part in self.parts.values())


class XmlUploads:
    """The multipart uploads under way: at most UPLOADS_OPEN_MAX, the oldest is dropped."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._uploads: dict[str, _Upload] = {}

    def start(self, bucket: EmbeddedBucket, name: str, attributes: Attributes) -> Reply:
        """Opens an upload and tells its id."""
        if fault := name_fault(name):
            raise errors.invalid(f"Invalid object name {name[:100]!r}: {fault}")
        upload_id = self._chance.hex(48)
        self._uploads[upload_id] = _Upload(bucket, name, attributes)
        self._drop_oldest()
        said = element("Bucket", bucket.name) + element("Key", name) + element("UploadId", upload_id)
        return xml_reply(document("InitiateMultipartUploadResult", said))

    async def add(self, request: Request, bucket: EmbeddedBucket, name: str, received: int) -> Reply:
        """Takes one part, in place of an earlier one of its number."""
        upload = self._find(request, bucket, name)
        number = request.number("partNumber")
        if number is None or not 1 <= number <= PART_NUMBER_MAX:
            raise errors.invalid(f"partNumber must be between 1 and {PART_NUMBER_MAX}.")
        digests = await verified(request.body, expected_hashes(request, {}))
        if upload.size + len(request.body) > OBJECT_BYTES_MAX:
            raise errors.too_large(OBJECT_BYTES_MAX)
        part = upload.parts[number] = _Part(request.body, digests, received)
        self._drop_oldest()
        return Reply(200, {"etag": part.etag, "x-goog-hash": _hash_header(digests)})

    async def complete(self, request: Request, bucket: EmbeddedBucket, name: str, conditions: Conditions) -> tuple[Record, Reply]:
        """Makes the object of the parts that the body lists."""
        upload = self._find(request, bucket, name)
        listed = [_listed(text) for text in _PART.findall(request.body.decode("utf-8", "replace"))]
        if not listed:
            raise errors.invalid("The body must be a CompleteMultipartUpload that lists the parts.")
        numbers = [number for number, _ in listed]
        if any(left >= right for left, right in pairwise(numbers)):
            raise errors.part_out_of_order()
        for number, etag in listed:
            part = upload.parts.get(number)
            if part is None or etag.strip('"') not in ("", part.etag.strip('"')):
                raise errors.part_missing(number)
            if number != numbers[-1] and len(part.data) < PART_BYTES_MIN:
                raise errors.part_too_small(number, PART_BYTES_MIN)
        content = b"".join(upload.parts[number].data for number in numbers)
        digests = (await digest(content))._replace(md5=None)
        record = await bucket.put(name, content, upload.attributes, conditions, digests)
        self._uploads.pop(request.query["uploadId"], None)
        said = element("Location", f"{request.base_url}{request.path}") + element("Bucket", bucket.name) + element("Key", name)
        reply = xml_reply(document("CompleteMultipartUploadResult", said + element("ETag", f'"{record.generation}"')))
        return record, reply._replace(headers=reply.headers | {"x-goog-hash": _hash_header(digests)})

    def abort(self, request: Request, bucket: EmbeddedBucket, name: str) -> Reply:
        """Forgets an upload with all its parts."""
        self._find(request, bucket, name)
        del self._uploads[request.query["uploadId"]]
        return Reply(204, {})

    def parts(self, request: Request, bucket: EmbeddedBucket, name: str) -> Reply:
        """Lists what is held of an upload, in pages."""
        upload = self._find(request, bucket, name)
        after = request.number("part-number-marker") or 0
        count = min(request.number("max-parts") or PARTS_LISTED_MAX, PARTS_LISTED_MAX)
        behind = sorted(number for number in upload.parts if number > after)
        shown = behind[:count]
        said = element("Bucket", bucket.name) + element("Key", name) + element("UploadId", request.query["uploadId"])
        said += element("PartNumberMarker", str(after)) + element("MaxParts", str(count))
        said += element("IsTruncated", str(len(behind) > count).lower())
        if len(behind) > count:
            said += element("NextPartNumberMarker", str(shown[-1]))
        for number in shown:
            part = upload.parts[number]
            described = element("PartNumber", str(number)) + element("LastModified", rfc3339(part.received))
            said += f"<Part>{described}{element('ETag', part.etag)}{element('Size', str(len(part.data)))}</Part>"
        return xml_reply(document("ListPartsResult", said))

    def under_way(self, bucket: EmbeddedBucket, prefix: str) -> Reply:
        """Lists the uploads of a bucket that are neither complete nor aborted."""
        said = element("Bucket", bucket.name) + element("Prefix", prefix) + element("IsTruncated", "false")
        for upload_id, upload in self._uploads.items():
            if upload.bucket is bucket and upload.name.startswith(prefix):
                said += f"<Upload>{element('Key', upload.name)}{element('UploadId', upload_id)}</Upload>"
        return xml_reply(document("ListMultipartUploadsResult", said))

    def _find(self, request: Request, bucket: EmbeddedBucket, name: str) -> _Upload:
        upload = self._uploads.get(request.query.get("uploadId", ""))
        if upload is None or (upload.bucket.name, upload.name) != (bucket.name, name):
            raise errors.multipart_upload_missing()
        return upload

    def _drop_oldest(self) -> None:
        while len(self._uploads) > UPLOADS_OPEN_MAX or sum(upload.size for upload in self._uploads.values()) > UPLOADS_BYTES_MAX:
            del self._uploads[next(iter(self._uploads))]


def _listed(text: str) -> tuple[int, str]:
    """Number and ETag of one part in the list of a completion; the ETag may be missing."""
    number, etag = _NUMBER.search(text), _ETAG.search(text)
    if number is None:
        raise errors.invalid("A Part without a PartNumber.")
    return int(number[1]), html.unescape(etag[1]) if etag else ""


def _hash_header(digests: Digests) -> str:
    said: Mapping[str, str] = hashes(Record("", 0, 0, 0, Attributes(), digests=digests))
    return ",".join(f"{name.removesuffix('Hash')}={value}" for name, value in said.items())
