"""The XML API without a socket: listings, copies and multipart uploads, and what nobody should send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import orjson
import pytest

from vision_emulator.contract import limits
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage.embedded import MemoryStorage
from vision_emulator.surfaces.gcs import StorageProtocol
from vision_emulator.surfaces.gcs.request import Reply

MIB = 1024 * 1024


class Client:
    """Calls the protocol as a client would and keeps nothing."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(SystemClock(), ["bkt", "other"])
        self.protocol = StorageProtocol(self.storage, Chance(1))

    async def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.protocol.reply(method, path, {"Host": "localhost:8970", **named}, body)

    async def start(self, path: str = "/bkt/big", **headers: str) -> str:
        found = texts(await self("POST", f"{path}?uploads", **headers), "UploadId")
        return found[0]

    async def part(self, upload_id: str, number: int, body: bytes, path: str = "/bkt/big") -> str:
        reply = await self("PUT", f"{path}?partNumber={number}&uploadId={upload_id}", body)
        assert reply.status == 200, reply
        return reply.headers["etag"]

    async def complete(self, upload_id: str, *parts: tuple[int, str], path: str = "/bkt/big", **headers: str) -> Reply:
        listed = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        return await self("POST", f"{path}?uploadId={upload_id}", body, **headers)

    async def resource(self, name: str, bucket: str = "bkt") -> dict[str, Any]:
        return dict(orjson.loads((await self("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")).body))


@pytest.fixture
def call() -> Client:
    return Client()


def texts(reply: Reply, name: str) -> list[str]:
    """The texts of all elements of this name in an answer, which must be well-formed."""
    assert reply.status == 200, reply
    assert reply.headers["content-type"].startswith("application/xml")
    root = ET.fromstring(reply.body)  # noqa: S314 - of our own making
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == name]


def refusal(reply: Reply) -> tuple[int, str]:
    found = re.search(rb"<Code>(\w+)</Code>", reply.body)
    assert found, reply
    return reply.status, found[1].decode()


# ---- listings ----


@pytest.mark.parametrize("version", ["list-type=2&", ""])
async def test_pages_of_a_listing(call: Client, version: str) -> None:
    """Names and groups in order, page by page, by either version of the call; a group counts as one and is never split."""
    names = ["a", "b/1", "b/2", "c & d", "e/<>", "z/ä"]
    for name in names:
        await call("PUT", f"/bkt/{quote(name)}", b"x")
    for delimiter, entries in (("", names), ("/", ["a", "b/", "c & d", "e/", "z/"])):
        for size in (1, 2, 1000):
            found: list[str] = []
            following = ""
            while True:
                reply = await call("GET", f"/bkt?{version}delimiter={delimiter}&max-keys={size}{following}")
                page = sorted(texts(reply, "Key") + [text for text in texts(reply, "Prefix") if text])
                assert 0 < len(page) <= size
                found += page
                if texts(reply, "IsTruncated") == ["false"]:
                    break
                token = texts(reply, "NextContinuationToken" if version else "NextMarker")[0]
                following = f"&{'continuation-token' if version else 'marker'}={quote(token, safe='')}"
            assert found == entries


async def test_a_listing_is_narrowed_and_written_as_asked(call: Client) -> None:
    """By prefix, behind a name, with names as in URLs, with none at all."""
    for name in ("p/a b", "p/c", "q"):
        await call("PUT", f"/bkt/{quote(name)}", b"xy", Content_Type="text/plain")
    reply = await call("GET", "/bkt?list-type=2&prefix=p/&encoding-type=url")
    assert texts(reply, "Key") == ["p/a%20b", "p/c"]
    assert texts(reply, "Size") == ["2", "2"]
    assert texts(reply, "KeyCount") == ["2"]
    assert texts(await call("GET", "/bkt?list-type=2&start-after=p/a%20b"), "Key") == ["p/c", "q"]
    assert texts(await call("GET", "/bkt?list-type=2&max-keys=0"), "Key") == []
    assert refusal(await call("GET", "/bkt?list-type=2&continuation-token=%%%")) == (400, "InvalidArgument")
    assert refusal(await call("GET", "/none-here?list-type=2")) == (404, "NoSuchBucket")
    assert refusal(await call("GET", "/bkt?acl")) == (501, "NotImplemented")
    assert (await call("HEAD", "/bkt")).status == 200


async def test_names_that_xml_cannot_write_do_not_break_a_listing(call: Client) -> None:
    """A control character in a name is no reason for an answer that nobody can read."""
    await call("PUT", "/bkt/a%01b", b"x")
    assert texts(await call("GET", "/bkt?list-type=2"), "Key") == ["a\ufffdb"]


# ---- copies ----


async def test_a_copy_takes_over_what_is_said_of_its_source_or_replaces_it(call: Client) -> None:
    """Between buckets, from encoded names, with the source's metadata or new ones."""
    await call("PUT", "/bkt/a%20b", b"content", Content_Type="text/plain", x_goog_meta_colour="blue")
    reply = await call("PUT", "/other/copy", x_goog_copy_source="/bkt/a%20b")
    assert texts(reply, "ETag")
    made = await call.resource("copy", "other")
    assert (made["contentType"], made["metadata"]) == ("text/plain", {"colour": "blue"})
    assert (await call("GET", "/other/copy")).body == b"content"
    said = {"x_goog_copy_source": "bkt/a%20b", "x_goog_metadata_directive": "REPLACE", "Content_Type": "text/new", "x_goog_meta_new": "1"}
    assert (await call("PUT", "/other/copy", **said)).status == 200
    made = await call.resource("copy", "other")
    assert (made["contentType"], made["metadata"]) == ("text/new", {"new": "1"})


async def test_a_copy_that_cannot_be_made(call: Client) -> None:
    """No source, no name, a source or a target in another state: nothing is made."""
    await call("PUT", "/bkt/a", b"x")
    assert refusal(await call("PUT", "/bkt/b", x_goog_copy_source="/bkt/none")) == (404, "NoSuchKey")
    assert refusal(await call("PUT", "/bkt/b", x_goog_copy_source="/no-bucket/none")) == (404, "NoSuchBucket")
    assert refusal(await call("PUT", "/bkt/b", x_goog_copy_source="bkt")) == (400, "InvalidArgument")
    moved = {"x_goog_copy_source": "/bkt/a", "x_goog_copy_source_if_generation_match": "1"}
    assert refusal(await call("PUT", "/bkt/b", **moved)) == (412, "PreconditionFailed")
    assert texts(await call("GET", "/bkt?list-type=2"), "Key") == ["a"]


# ---- multipart uploads ----


async def test_parts_in_any_order_become_one_object(call: Client) -> None:
    """A part sent again replaces the first, one that is not listed is left out; nothing can be read before the completion."""
    upload_id = await call.start(Content_Type="image/tiff", x_goog_meta_page="7")
    last = await call.part(upload_id, 7, b"last")
    await call.part(upload_id, 2, b"wrong" * MIB)
    await call.part(upload_id, 3, b"left out")
    first = await call.part(upload_id, 2, b"first" * MIB)
    assert texts(await call("GET", f"/bkt/big?uploadId={upload_id}&max-parts=2"), "PartNumber") == ["2", "3"]
    assert texts(await call("GET", f"/bkt/big?uploadId={upload_id}&part-number-marker=3"), "PartNumber") == ["7"]
    assert texts(await call("GET", "/bkt?uploads"), "Key") == ["big"]
    assert (await call("GET", "/bkt/big")).status == 404
    reply = await call.complete(upload_id, (2, first.replace('"', "&quot;")), (7, last))
    assert texts(reply, "Key") == ["big"]
    held = await call.resource("big")
    assert (held["contentType"], held["metadata"], held["size"]) == ("image/tiff", {"page": "7"}, str(5 * MIB + 4))
    assert "md5Hash" not in held
    assert reply.headers["x-goog-generation"] == held["generation"]
    assert (await call("GET", "/bkt/big")).body == b"first" * MIB + b"last"
    assert texts(await call("GET", "/bkt?uploads"), "Key") == []


async def test_a_completion_that_is_refused_changes_nothing(call: Client) -> None:
    """A part that is missing, other, too small or out of order, a state that does not hold: the upload goes on."""
    await call("PUT", "/bkt/big", b"old")
    upload_id = await call.start()
    small, last = await call.part(upload_id, 1, b"small"), await call.part(upload_id, 2, b"last")
    for parts, expected in (
        ([(1, small), (2, last)], (400, "EntityTooSmall")),
        ([(2, last), (1, small)], (400, "InvalidPartOrder")),
        ([(2, last), (2, last)], (400, "InvalidPartOrder")),
        ([(3, last)], (400, "InvalidPart")),
        ([(2, small)], (400, "InvalidPart")),
        ([], (400, "InvalidArgument")),
    ):
        assert refusal(await call.complete(upload_id, *parts)) == expected
    assert refusal(await call.complete(upload_id, (2, last), x_goog_if_generation_match="0")) == (412, "PreconditionFailed")
    assert refusal(await call.complete(upload_id, (2, last), path="/bkt/another")) == (404, "NoSuchUpload")
    assert refusal(await call("PUT", f"/bkt/big?partNumber=0&uploadId={upload_id}", b"x")) == (400, "InvalidArgument")
    assert refusal(await call("PUT", f"/bkt/big?partNumber=10001&uploadId={upload_id}", b"x")) == (400, "InvalidArgument")
    wrong = await call("PUT", f"/bkt/big?partNumber=2&uploadId={upload_id}", b"x", x_goog_hash="crc32c=AAAAAA==")
    assert refusal(wrong) == (400, "InvalidArgument")
    assert (await call("GET", "/bkt/big")).body == b"old"
    assert texts(await call.complete(upload_id, (2, last)), "Key") == ["big"]
    assert (await call("GET", "/bkt/big")).body == b"last"


async def test_an_upload_that_is_over_is_gone(call: Client) -> None:
    """After its end or its abort, and when too many newer ones came, no part is taken."""
    aborted, done = await call.start(), await call.start()
    assert refusal(await call("DELETE", f"/bkt/another?uploadId={aborted}")) == (404, "NoSuchUpload")
    assert (await call("DELETE", f"/bkt/big?uploadId={aborted}")).status == 204
    await call.complete(done, (1, await call.part(done, 1, b"x")))
    for upload_id in (aborted, done, "none", ""):
        assert refusal(await call("PUT", f"/bkt/big?partNumber=1&uploadId={upload_id}", b"x")) == (404, "NoSuchUpload")


async def test_open_uploads_are_bounded(call: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is dropped, by number and by what all hold together; an object has its own limit."""
    monkeypatch.setattr("vision_emulator.surfaces.gcs.xml_uploads.UPLOADS_OPEN_MAX", 2)
    monkeypatch.setattr("vision_emulator.surfaces.gcs.xml_uploads.UPLOADS_BYTES_MAX", 10)
    monkeypatch.setattr("vision_emulator.surfaces.gcs.xml_uploads.OBJECT_BYTES_MAX", 8)
    ids = [await call.start() for _ in range(3)]
    assert refusal(await call("GET", f"/bkt/big?uploadId={ids[0]}")) == (404, "NoSuchUpload")
    await call.part(ids[1], 1, b"12345678")
    assert (await call("PUT", f"/bkt/big?partNumber=2&uploadId={ids[1]}", b"9")).status == 413
    await call.part(ids[2], 1, b"123")
    assert refusal(await call("GET", f"/bkt/big?uploadId={ids[1]}")) == (404, "NoSuchUpload")
    assert limits.UPLOADS_OPEN_MAX > 2
