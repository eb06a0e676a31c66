"""The Cloud Storage protocol without a socket: what clients in other languages send, and what nobody should."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_emulator.contract import limits
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage.embedded import HASHED_INLINE_BYTES_MAX, MemoryStorage, name_fault
from vision_emulator.surfaces.gcs import StorageProtocol
from vision_emulator.surfaces.gcs.request import Reply

OBJECTS = "/storage/v1/b/bkt/o"
UPLOAD = "/upload/storage/v1/b/bkt/o"


class Client:
    """Calls the protocol as a client would and keeps nothing."""

    def __init__(self, *, auto_create: bool = False) -> None:
        self.storage = MemoryStorage(SystemClock(), ["bkt"], auto_create=auto_create)
        self.protocol = StorageProtocol(self.storage, Chance(1))

    async def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.protocol.reply(method, path, {"Host": "localhost:8970", **named}, body)

    async def put(self, name: str, body: bytes = b"x", **headers: str) -> dict[str, Any]:
        reply = await self("POST", f"{UPLOAD}?uploadType=media&name={quote(name, safe='')}", body, **headers)
        assert reply.status == 200, reply
        return dict(orjson.loads(reply.body))

    async def names(self) -> list[str]:
        listed = orjson.loads((await self("GET", OBJECTS)).body)
        return [item["name"] for item in listed.get("items", [])]

    async def start(self, name: str = "big", **headers: str) -> str:
        reply = await self("POST", f"{UPLOAD}?uploadType=resumable&name={name}", b"", **headers)
        assert reply.status == 200, reply
        return reply.headers["location"].removeprefix("http://localhost:8970")


@pytest.fixture
def call() -> Client:
    return Client()


def error(reply: Reply) -> tuple[int, str]:
    """Status and reason of a refusal, whose JSON must have the whole shape."""
    said = orjson.loads(reply.body)["error"]
    assert said["code"] == reply.status
    assert said["message"] == said["errors"][0]["message"]
    return reply.status, said["errors"][0]["reason"]


# ---- paths ----


def test_claims_its_prefixes_and_the_buckets_that_exist(call: Client) -> None:
    """Storage paths and existing buckets are claimed; all else stays the front end's."""
    for path in (
        "/storage/v1/b",
        "/upload/storage/v1/b/x/o?name=y",
        "/resumable/upload/storage/v1/b/x/o",
        "/download/storage/v1/b/x/o/y",
        "/b",
        "/b/x/o",
        "/b?project=p",
        "/batch/storage/v1",
        "/batch",
        "//storage/v1/b/x",
        "//upload/storage/v1/b/x/o",
        "/bkt",
        "/bkt/any/object",
        "http://storage.googleapis.com/storage/v1/b",
    ):
        assert call.protocol.claims(path), path
    for path in ("/", "", "/v1/images:annotate", "/other/x", "/storage/v2", "/uploads", "/bkts", "/..", "/_emulator/health", "/%62kt/x"):
        assert not call.protocol.claims(path), path


async def test_doubled_slashes_and_short_paths_are_the_same_api(call: Client) -> None:
    """A slash too many in STORAGE_EMULATOR_HOST, and Node's paths without a version, lead to the same objects."""
    await call.put("a/b", b"content")
    for path in (
        "//storage/v1/b/bkt/o/a%2Fb?alt=media",
        "/b/bkt/o/a%2Fb?alt=media",
        "/download/storage/v1/b/bkt/o/a%2Fb",
        "/bkt/a/b",
        "/bkt/a%2Fb",
    ):
        assert (await call("GET", path)).body == b"content"
    assert (await call("POST", "/resumable/upload/storage/v1/b/bkt/o?uploadType=resumable&name=x")).status == 200


async def test_links_lead_back_the_way_the_client_came(call: Client) -> None:
    """selfLink, mediaLink and Location carry the request's host and scheme; a host that is none is not repeated."""
    made = await call.put("a", Host="10.1.2.3:99", X_Forwarded_Proto="https")
    assert made["selfLink"] == "https://10.1.2.3:99/storage/v1/b/bkt/o/a"
    assert made["mediaLink"].startswith("https://10.1.2.3:99/download/storage/v1/b/bkt/o/a?generation=")
    made = await call.put("a", Host='evil"/><script>')
    assert made["selfLink"].startswith("http://localhost/")


async def test_what_gcloud_asks_before_every_copy(call: Client) -> None:
    """The layout is flat and there are no managed folders; for a missing bucket neither is said."""
    layout = orjson.loads((await call("GET", "/storage/v1/b/bkt/storageLayout")).body)
    assert (layout["bucket"], layout["hierarchicalNamespace"]) == ("bkt", {"enabled": False})
    assert orjson.loads((await call("GET", "/storage/v1/b/bkt/managedFolders")).body) == {"kind": "storage#managedFolders"}
    assert error(await call("GET", "/storage/v1/b/none/storageLayout")) == (404, "notFound")


async def test_method_override(call: Client) -> None:
    """Java says PATCH by a header."""
    await call.put("a")
    reply = await call("POST", f"{OBJECTS}/a", b'{"metadata": {"k": "v"}}', X_HTTP_Method_Override="PATCH")
    assert orjson.loads(reply.body)["metadata"] == {"k": "v"}


# ---- refusals ----


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/storage/v1/b/none", b"", (404, "notFound")),
        ("GET", "/storage/v1/b/none/o", b"", (404, "notFound")),
        ("GET", f"{OBJECTS}/none", b"", (404, "notFound")),
        ("GET", "/storage/v1/nothing", b"", (404, "notFound")),
        ("GET", "/upload/other", b"", (404, "notFound")),
        ("DELETE", OBJECTS, b"", (404, "notFound")),
        ("POST", f"{UPLOAD}?uploadType=media", b"x", (400, "required")),
        ("POST", f"{UPLOAD}?uploadType=strange&name=x", b"x", (400, "invalid")),
        ("PUT", f"{UPLOAD}?name=x", b"x", (400, "required")),
        ("PUT", f"{UPLOAD}?upload_id=none", b"x", (404, "notFound")),
        ("POST", f"{UPLOAD}?uploadType=media&name=a%0Ab", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=a%00b", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=%FF", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=" + "x" * 1025, b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=x&ifGenerationMatch=abc", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=x&ifGenerationMatch=" + "9" * 5000, b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=media&name=x&ifGenerationMatch=-1", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=multipart&name=x", b"x", (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=resumable&name=x", b"[1]", (400, "parseError")),
        ("POST", f"{UPLOAD}?uploadType=resumable&name=x", b"{", (400, "parseError")),
        ("POST", f"{UPLOAD}?uploadType=resumable", b'{"name": 5}', (400, "required")),
        ("POST", f"{UPLOAD}?uploadType=resumable&name=x", b'{"contentType": ["a"]}', (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=resumable&name=x", b'{"metadata": "a"}', (400, "invalid")),
        ("POST", f"{UPLOAD}?uploadType=resumable&name=x", b'{"metadata": {"a": {}}}', (400, "invalid")),
        ("POST", "/storage/v1/b", b'{"name": "UPPER"}', (400, "invalid")),
        ("POST", "/storage/v1/b", b'{"name": "../x"}', (400, "invalid")),
        ("POST", "/storage/v1/b", b'{"name": "bkt"}', (409, "conflict")),
        ("POST", "/storage/v1/b", b"{}", (400, "required")),
        ("GET", f"{OBJECTS}?maxResults=-1", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?maxResults=1e3", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?pageToken=%%%", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?pageToken=eHh4", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?pageToken=%C3%A9", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?" + "a=1&" * 200, b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?matchGlob=a[b", b"", (400, "invalid")),
        ("GET", f"{OBJECTS}?matchGlob=" + "{a,b}" * 8, b"", (400, "invalid")),
        ("GET", f"{OBJECTS}/%FF%FE", b"", (400, "invalid")),
        ("POST", f"{OBJECTS}/x/compose", b'{"sourceObjects": 5}', (400, "invalid")),
        ("POST", f"{OBJECTS}/x/compose", b'{"sourceObjects": [5]}', (400, "required")),
        ("POST", f"{OBJECTS}/x/compose", b'{"sourceObjects": [{"name": "none"}]}', (404, "notFound")),
        ("POST", f"{OBJECTS}/none/copyTo/b/bkt/o/y", b"", (404, "notFound")),
        ("POST", "/batch/storage/v1", b"x", (400, "invalid")),
        ("GET", "/batch", b"", (404, "notFound")),
    ],
)
async def test_what_cannot_be_done_is_refused_as_the_json_api_does(
    call: Client, caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes, expected: tuple[int, str]
) -> None:
    """Each refusal has its status and reason, stores nothing, and is no fault of the server."""
    with caplog.at_level(logging.ERROR):
        assert error(await call(method, path, body, Content_Type="application/json")) == expected
    assert await call.names() == []
    assert caplog.records == []


async def test_refusals_take_the_shape_of_the_api_that_was_called(call: Client) -> None:
    """Text for a download, XML for an XML path."""
    reply = await call("GET", f"{OBJECTS}/none?alt=media")
    assert (reply.status, reply.body) == (404, b"No such object: bkt/none")
    reply = await call("GET", "/bkt/none<&>")
    assert reply.status == 404
    assert reply.headers["content-type"].startswith("application/xml")
    assert b"<Code>NoSuchKey</Code><Message>No such object: bkt/none&lt;&amp;&gt;</Message>" in reply.body
    assert (await call("PUT", "/bkt", b"")).status == 501
    assert await call.names() == []


async def test_a_fault_of_the_server_is_said_and_logged(
    call: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is a 500 in the API's shape and a traceback in the log, never a broken connection."""

    def broken() -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(call.storage, "names", broken)
    assert error(await call("GET", "/storage/v1/b")) == (500, "backendError")
    assert "ZeroDivisionError" in caplog.text


async def test_buckets_on_first_use() -> None:
    """With auto_create any legal bucket is there when it is used, and no illegal one."""
    call = Client(auto_create=True)
    assert (await call("POST", "/upload/storage/v1/b/fresh/o?uploadType=media&name=x", b"x")).status == 200
    assert (await call("GET", "/storage/v1/b/another")).status == 200
    assert (await call("GET", "/storage/v1/b/NOT-legal")).status == 404
    assert call.storage.names() == ["another", "bkt", "fresh"]


# ---- uploads ----


async def test_a_simple_upload_keeps_any_content_type(call: Client) -> None:
    """JSON content is content, not a resource; no type at all means bytes."""
    assert (await call.put("a", b'{"name": "other"}', Content_Type="application/json"))["contentType"] == "application/json"
    assert (await call.put("b"))["contentType"] == "application/octet-stream"
    assert await call.names() == ["a", "b"]


@pytest.mark.parametrize(
    "headers",
    [{"X_Goog_Hash": "crc32c=AAAAAA=="}, {"X_Goog_Hash": "md5=1B2M2Y8AsgTpgAmY7PhCfg=="}, {"Content_MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}],
)
async def test_content_that_is_not_what_its_hash_says_is_not_stored(call: Client, headers: dict[str, str]) -> None:
    """Every way to send a hash is honoured, for simple and XML uploads."""
    assert error(await call("POST", f"{UPLOAD}?uploadType=media&name=a", b"x", **headers)) == (400, "invalid")
    assert (await call("PUT", "/bkt/a", b"x", **headers)).status == 400
    assert await call.names() == []


async def test_bodies_compressed_on_the_way_are_decompressed(call: Client) -> None:
    """Java compresses request bodies; in the XML API the same header says how the object is stored."""
    assert (await call.put("a", gzip.compress(b"plain"), Content_Encoding="gzip"))["size"] == "5"
    stored = gzip.compress(b"plain")
    await call("PUT", "/bkt/b", stored, Content_Encoding="gzip")
    assert (await call("GET", "/bkt/b", Accept_Encoding="gzip")).body == stored
    assert (await call("GET", "/bkt/b")).body == b"plain"
    for broken in (b"not gzip", stored[:-4]):
        assert error(await call("POST", f"{UPLOAD}?uploadType=media&name=c", broken, Content_Encoding="gzip")) == (400, "invalid")


async def test_gzip_that_is_none_is_served_as_it_is(call: Client) -> None:
    """An object that only claims to be gzip is not an error of the server."""
    await call("PUT", "/bkt/a", b"not gzip", Content_Encoding="gzip")
    reply = await call("GET", "/bkt/a")
    assert (reply.status, reply.body) == (200, b"not gzip")


async def test_an_interrupted_upload_goes_on_where_it_stopped(call: Client) -> None:
    """Chunks, status questions before and between them, a chunk sent twice, and a question after the end."""
    where = await call.start(X_Upload_Content_Type="image/png")
    reply = await call("PUT", where, b"", Content_Range="bytes */*")
    assert (reply.status, "range" in reply.headers) == (308, False)
    reply = await call("PUT", where, b"01234", Content_Range="bytes 0-4/12")
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-4")
    assert await call.names() == []
    reply = await call("PUT", where, b"", Content_Range="bytes */12")
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-4")
    reply = await call("PUT", where, b"3456789", Content_Range="bytes 3-9/*")
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-9")
    reply = await call("PUT", where, b"01234", Content_Range="bytes 0-4/12")
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-9")
    reply = await call("POST", where, b"ab", Content_Range="bytes 10-11/12")
    made = orjson.loads(reply.body)
    assert (reply.status, made["size"], made["contentType"]) == (200, "12", "image/png")
    again = await call("PUT", where, b"", Content_Range="bytes */12")
    assert orjson.loads(again.body)["generation"] == made["generation"]
    assert (await call("GET", "/bkt/big")).body == b"0123456789ab"


@pytest.mark.parametrize("content_range", [None, "bytes 0-4/5", "bytes 0-*/*", "bytes 0-*/5"])
async def test_an_upload_in_one_piece(call: Client, content_range: str | None) -> None:
    """All ways to say "this is all of it" end the upload at once."""
    headers = {} if content_range is None else {"Content_Range": content_range}
    reply = await call("PUT", await call.start(), b"01234", **headers)
    assert (reply.status, orjson.loads(reply.body)["size"]) == (200, "5")


async def test_an_upload_of_unknown_size_ends_by_a_bare_total(call: Client) -> None:
    """``*/N`` with exactly N bytes held ends the upload; an empty object is possible too."""
    where = await call.start()
    await call("PUT", where, b"01234", Content_Range="bytes 0-4/*")
    assert (await call("PUT", where, b"", Content_Range="bytes */5")).status == 200
    assert (await call("PUT", await call.start("empty"), b"", Content_Range="bytes */0")).status == 200
    assert await call.names() == ["big", "empty"]


async def test_go_is_told_by_a_header(call: Client) -> None:
    """Go's HTTP library cannot read a 308, so it asks for a 200 that says so."""
    reply = await call("PUT", await call.start(), b"01", Content_Range="bytes 0-1/*", X_GUploader_No_308="yes")
    assert (reply.status, reply.headers["x-http-status-code-override"], reply.headers["range"]) == (200, "308", "bytes=0-1")


@pytest.mark.parametrize(
    ("content_range", "body"),
    [
        ("bytes 0-4/5", b"0123"),
        ("bytes 0-4/3", b"01234"),
        ("bytes 4-0/5", b"x"),
        ("bytes 3-4/5", b"34"),
        ("bytes */5", b"01234"),
        ("bytes a-b/c", b"x"),
        ("bits 0-0/1", b"x"),
        ("bytes 0-" + "9" * 30 + "/*", b"x"),
        ("bytes 0-0/" + "9" * 18, b"x"),
        ("", b"x"),
    ],
)
async def test_a_content_range_that_does_not_fit_changes_nothing(call: Client, content_range: str, body: bytes) -> None:
    """The upload can still be done right after any wrong chunk."""
    where = await call.start()
    assert (await call("PUT", where, body, Content_Range=content_range)).status in (400, 413)
    assert (await call("PUT", where, b"right")).status == 200
    assert (await call("GET", "/bkt/big")).body == b"right"


async def test_a_cancelled_upload_is_gone(call: Client) -> None:
    """DELETE answers 499; what comes later finds no session."""
    where = await call.start()
    assert (await call("DELETE", where)).status == 499
    assert (await call("PUT", where, b"x")).status == 404
    assert await call.names() == []


async def test_preconditions_hold_at_the_end_of_an_upload_too(call: Client) -> None:
    """Who was faster wins: the object made meanwhile stays as it is, and the upload that failed is over."""
    reply = await call("POST", f"{UPLOAD}?uploadType=resumable&name=a&ifGenerationMatch=0")
    where = reply.headers["location"].removeprefix("http://localhost:8970")
    await call.put("a", b"faster")
    assert error(await call("PUT", where, b"slower")) == (412, "conditionNotMet")
    assert error(await call("PUT", where, b"slower")) == (404, "notFound")
    assert error(await call("POST", f"{UPLOAD}?uploadType=resumable&name=a&ifGenerationMatch=0")) == (412, "conditionNotMet")
    assert (await call("GET", "/bkt/a")).body == b"faster"


async def test_a_last_chunk_sent_twice_at_once_is_stored_once(call: Client) -> None:
    """A client that lost patience and sent its last chunk again gets the same object twice."""
    reply = await call("POST", f"{UPLOAD}?uploadType=resumable&name=a&ifGenerationMatch=0")
    where = reply.headers["location"].removeprefix("http://localhost:8970")
    content = b"x" * (HASHED_INLINE_BYTES_MAX + 1)  # large enough to be hashed while others run
    replies = await asyncio.gather(call("PUT", where, content), call("PUT", where, content))
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].body == replies[1].body


async def test_open_uploads_are_bounded(call: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many open uploads the oldest is dropped, by number and by the bytes they hold."""
    monkeypatch.setattr("vision_emulator.surfaces.gcs.uploads.UPLOADS_OPEN_MAX", 2)
    first, second, third = [await call.start(f"n{number}") for number in range(3)]
    assert [(await call("PUT", where, b"", Content_Range="bytes */*")).status for where in (first, second, third)] == [404, 308, 308]
    monkeypatch.setattr("vision_emulator.surfaces.gcs.uploads.UPLOADS_BYTES_MAX", 5)
    for where in (second, third):
        await call("PUT", where, b"0123", Content_Range="bytes 0-3/*")
    assert [(await call("PUT", where, b"", Content_Range="bytes */*")).status for where in (second, third)] == [404, 308]


async def test_a_batch_answers_each_call_for_itself(call: Client) -> None:
    """Relative and absolute URLs, ids or none, bodies or none; a bad part spoils only itself."""
    for name in ("a", "b", "c"):
        await call.put(name)
    parts = [
        b"Content-Type: application/http\r\nContent-ID: <7>\r\n\r\nDELETE /storage/v1/b/bkt/o/a HTTP/1.1\r\n\r\n",
        b"Content-Type: application/http\r\n\r\nDELETE http://h/storage/v1/b/bkt/o/none HTTP/1.1\r\nAccept: x",
        b'\r\nPATCH /storage/v1/b/bkt/o/b HTTP/1.1\nContent-Type: application/json\n\n{"metadata": {"k": "v"}}',
        b"\r\nPOST /batch HTTP/1.1\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nDELETE /b/bkt/o/c HTTP/1.1\n\n\n--i--",
        b"\r\nnonsense",
    ]
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--"
    reply = await call("POST", "/batch/storage/v1", body, Content_Type="multipart/mixed; boundary=b")
    statuses = [line.split()[1] for line in reply.body.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    assert (reply.status, statuses) == (200, [b"204", b"404", b"200", b"400", b"400"])
    assert b"Content-ID: <response-7>" in reply.body
    assert await call.names() == ["b", "c"]


async def test_a_batch_is_bounded(call: Client) -> None:
    """101 calls are refused as a whole."""
    await call.put("a")
    part = b"--b\r\n\r\nDELETE /storage/v1/b/bkt/o/a HTTP/1.1\r\n\r\n\r\n"
    body = part * (limits.STORAGE_BATCH_CALLS_MAX + 1) + b"--b--"
    assert error(await call("POST", "/batch", body, Content_Type="multipart/mixed; boundary=b")) == (400, "invalid")
    assert await call.names() == ["a"]


# ---- downloads ----


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        ("bytes=0-0", 206, b"0"),
        ("bytes=8-", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-4", 416, b""),
        ("bytes=1-2,4-5", 200, b"0123456789"),
        ("bytes=x", 200, b"0123456789"),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789"),
    ],
)
async def test_ranges(call: Client, sent: str, status: int, body: bytes) -> None:
    """Ranges as RFC 9110 has them; several at once, and nonsense, are passed over."""
    await call.put("a", b"0123456789")
    reply = await call("GET", f"{OBJECTS}/a?alt=media", Range=sent)
    assert (reply.status, reply.body if status < 400 else b"") == (status, body)
    if status == 206:
        first = b"0123456789".index(body)
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(body) - 1}/10"


async def test_headers_of_a_download_cannot_be_forged(call: Client) -> None:
    """Line ends and characters beyond ASCII in what a client said are encoded; keys that are no header names are left out."""
    said = {"name": "a", "contentType": "text/x\r\nSet-Cookie: a=b", "metadata": {"k": "ü\n", "bad key\r\n": "v", "": "v"}}
    body = b"--b\r\n\r\n" + orjson.dumps(said) + b"\r\n--b\r\n\r\nx\r\n--b--"
    assert (await call("POST", f"{UPLOAD}?uploadType=multipart", body, Content_Type='multipart/related; boundary="b"')).status == 200
    headers = (await call("GET", "/bkt/a")).headers
    assert headers["content-type"] == "text/x%0D%0ASet-Cookie: a=b"
    assert {name: value for name, value in headers.items() if name.startswith("x-goog-meta-")} == {"x-goog-meta-k": "%C3%BC%0A"}


async def test_conditional_reads(call: Client) -> None:
    """304 for what the reader has, by generation and by etag; 412 for what is not what it wants."""
    made = await call.put("a")
    generation, etag = made["generation"], made["etag"]
    for query, headers, status in [
        (f"ifGenerationNotMatch={generation}", {}, 304),
        ("ifMetagenerationNotMatch=1&alt=media", {}, 304),
        ("ifGenerationNotMatch=1", {}, 200),
        ("", {"If_None_Match": f'"{etag}"'}, 304),
        ("", {"If_Match": etag}, 200),
        ("", {"If_Match": "other"}, 412),
        (f"generation={generation}", {}, 200),
        ("generation=1", {}, 404),
    ]:
        reply = await call("GET", f"{OBJECTS}/a?{query}", **headers)
        assert (query, reply.status) == (query, status)
        assert reply.status != 304 or reply.body == b""
    assert (await call("DELETE", f"{OBJECTS}/a?ifGenerationNotMatch={generation}")).status == 412
    assert (await call("GET", "/bkt/a", x_goog_if_generation_match="1")).status == 412


# ---- copies ----


async def test_an_object_is_not_moved_onto_itself(call: Client) -> None:
    """It would be deleted."""
    await call.put("a")
    assert error(await call("POST", f"{OBJECTS}/a/moveTo/o/a")) == (400, "invalid")
    assert await call.names() == ["a"]


# ---- listing ----


NAMES = st.sets(st.text(st.sampled_from("ab/-\U0001f600\uffee"), min_size=1, max_size=6), max_size=12).map(
    lambda names: {name for name in names if not name_fault(name)}
)


@settings(max_examples=150, deadline=None)
@given(names=NAMES, prefix=st.sampled_from(["", "a", "a/", "/"]), delimiter=st.sampled_from(["", "/", "a", "//"]), size=st.integers(1, 4))
def test_pages_add_up_to_the_whole_listing(names: set[str], prefix: str, delimiter: str, size: int) -> None:
    """Whatever the page size: each name and each group exactly once, in code point order, no page over its size."""

    async def listed() -> tuple[list[str], list[str]]:
        call = Client()
        for name in names:
            await call.put(name)
        items: list[str] = []
        prefixes: list[str] = []
        token = ""
        while True:
            query = f"prefix={quote(prefix)}&delimiter={quote(delimiter)}&maxResults={size}&pageToken={quote(token)}"
            page = orjson.loads((await call("GET", f"{OBJECTS}?{query}")).body)
            assert len(page.get("items", [])) + len(page.get("prefixes", [])) <= size
            items += [item["name"] for item in page.get("items", [])]
            prefixes += page.get("prefixes", [])
            if not (token := page.get("nextPageToken", "")):
                return items, prefixes

    inside = [name for name in sorted(names) if name.startswith(prefix)]
    grouped = {name: name.find(delimiter, len(prefix)) if delimiter else -1 for name in inside}
    expected_items = [name for name in inside if grouped[name] < 0]
    expected_prefixes = sorted({name[: cut + len(delimiter)] for name, cut in grouped.items() if cut >= 0})
    assert asyncio.run(listed()) == (expected_items, expected_prefixes)


async def test_a_listing_says_what_holds_now_to_whom_asks(call: Client) -> None:
    """What was written for one listing is not told in the next one when the object was changed since, or another address is asked."""
    await call.put("a")
    first = orjson.loads((await call("GET", OBJECTS)).body)["items"][0]
    second = orjson.loads((await call("GET", OBJECTS, Host="other:1")).body)["items"][0]
    assert first["selfLink"].startswith("http://localhost:8970/")
    assert second["selfLink"].startswith("http://other:1/")
    await call("PATCH", f"{OBJECTS}/a", b'{"contentType": "text/new"}')
    third = orjson.loads((await call("GET", OBJECTS, Host="other:1")).body)["items"][0]
    assert (third["contentType"], third["metageneration"]) == ("text/new", "2")
    await call.put("a", b"longer")
    assert orjson.loads((await call("GET", OBJECTS, Host="other:1")).body)["items"][0]["size"] == "6"


async def test_a_group_may_be_listed_with_its_own_object(call: Client) -> None:
    """includeTrailingDelimiter shows the object that is named like the group."""
    for name in ("d/", "d/x", "e"):
        await call.put(name)
    page = orjson.loads((await call("GET", f"{OBJECTS}?delimiter=/&includeTrailingDelimiter=true")).body)
    assert ([item["name"] for item in page["items"]], page["prefixes"]) == (["d/", "e"], ["d/"])
    page = orjson.loads((await call("GET", f"{OBJECTS}?delimiter=/&maxResults=0")).body)
    assert page["prefixes"] == ["d/"]


# ---- any name, any bytes ----

LEGAL_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(lambda name: not name_fault(name))


@settings(max_examples=100, deadline=None)
@given(name=LEGAL_NAMES, content=st.binary(max_size=50))
def test_any_legal_name_round_trips_over_the_wire(name: str, content: bytes) -> None:
    """Percent-encoded in a query, in a path, as JSON and in an XML path, a name means the same object."""

    async def round_trip() -> None:
        call = Client()
        made = await call.put(name, content)
        path = quote(name, safe="")
        assert made["name"] == name
        assert await call.names() == [name]
        for target in (
            f"{OBJECTS}/{path}?alt=media",
            f"/bkt/{quote(name, safe='/')}",
            made["mediaLink"].removeprefix("http://localhost:8970"),
        ):
            assert (await call("GET", target)).body == content
        copied = await call("POST", f"{OBJECTS}/{path}/copyTo/b/bkt/o/copy", b"")
        assert copied.status == 200
        assert (await call("DELETE", f"{OBJECTS}/{path}")).status == 204

    asyncio.run(round_trip())


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    tail=st.text(st.sampled_from("/%&=?ob.kt1\x00é\ud800{}*"), max_size=30),
    start=st.sampled_from(["/storage/v1/b/bkt", "/b/bkt/o/a", UPLOAD, "/bkt/a", "/batch", "/download/storage/v1/b/bkt/o/"]),
    headers=st.dictionaries(
        st.sampled_from(
            ["Content-Type", "Content-Range", "Range", "Content-Encoding", "X-Goog-Hash", "Host", "If-Match", "Accept-Encoding"]
        ),
        st.text(max_size=20) | st.sampled_from(["bytes 0-0/1", "bytes=0-", "gzip", "multipart/related; boundary=b", "crc32c=x,md5"]),
    ),
    body=st.binary(max_size=60) | st.sampled_from([b"{}", b'{"name":"a"}', b"--b\r\n\r\n{}\r\n--b\r\n\r\n\r\n--b--"]),
)
def test_no_request_is_a_fault_of_the_server(method: str, tail: str, start: str, headers: dict[str, str], body: bytes) -> None:
    """Whatever comes, the answer is never a 500."""

    async def answer() -> Reply:
        call = Client()
        await call.put("a", b"content")
        return await call.protocol.reply(method, start + tail, headers, body)

    assert asyncio.run(answer()).status != 500
