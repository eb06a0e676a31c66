"""Storage at the far end of a network: faults that pass are waited out, others are named, and nothing is lost in silence."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import google_crc32c
import pytest
from aiohttp import web

from vision_emulator.control.clock import SystemClock
from vision_emulator.storage import AccessDenied, BucketMissing, ObjectMissing, ObjectTooLarge, StorageUnavailable
from vision_emulator.storage.embedded import MemoryStorage
from vision_emulator.storage.remote import PAUSES_SECONDS, RemoteBucket, RemoteStorage, names_this_server
from vision_emulator.surfaces.gcs.surface import StorageSurface

Step = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PHOTO = "in/photo.jpg"
CONTENT = b"not a photo, \xff but bytes"


class FarEnd:
    """A Cloud Storage server that answers the next requests as its script says, and truly when the script is over."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(SystemClock(), ["bucket"])
        self.script: list[Step] = []
        self.requests: list[web.BaseRequest] = []
        self.url = ""
        self._surface = StorageSurface(self.storage)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: the next step of the script, or the truth."""
        self.requests.append(request)
        return await (self.script.pop(0) if self.script else self._surface.handle)(request)


class Hurried:
    """A clock on which waiting takes no time; it keeps what was waited."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        """Always the same."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Returns at once."""
        self.slept.append(seconds)


@asynccontextmanager
async def served(handle: Step) -> AsyncIterator[str]:
    """The handler behind a real socket; yields its http:// address."""
    runner = web.ServerRunner(web.Server(handle, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def far() -> AsyncIterator[FarEnd]:
    far = FarEnd()
    await (await far.storage.bucket("bucket")).write(PHOTO, CONTENT, "image/jpeg")
    async with served(far.handle) as far.url:
        yield far


@pytest.fixture
def clock() -> Hurried:
    return Hurried()


@pytest.fixture
async def bucket(far: FarEnd, clock: Hurried) -> AsyncIterator[RemoteBucket]:
    async with RemoteStorage(far.url, clock) as storage:
        bucket = await storage.bucket("bucket")
        far.requests.clear()
        yield bucket


# ---- steps of a script ----


def answers(status: int, body: bytes = b"", **headers: str) -> Step:
    """An answer with this status and body; underscores in header names are hyphens."""

    async def step(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return step


async def hangs_up(request: web.BaseRequest) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.BaseRequest) -> web.StreamResponse:
    """A body that ends before its announced length."""
    response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
    await response.prepare(request)
    await response.write(CONTENT[:5])
    assert request.transport
    request.transport.close()
    return response


async def in_pieces(request: web.BaseRequest) -> web.StreamResponse:
    """A body of a hundred bytes that does not announce its length."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(10):
        await response.write(b"0123456789")
    return response


def stored(size: int, **fields: str) -> bytes:
    """What an upload is answered with."""
    return json.dumps({"name": PHOTO, "size": str(size), **fields}).encode()


# ---- faults that pass ----

PASSING = {
    "408": answers(408),
    "429": answers(429, b"slow down"),
    "500": answers(500),
    "503": answers(503, b"<html>busy</html>"),
    "hangs up": hangs_up,
}


@pytest.mark.parametrize("fault", [*PASSING.values(), breaks_off, answers(200, CONTENT, X_Goog_Hash="crc32c=AAAAAA==")])
async def test_a_read_waits_out_a_passing_fault(far: FarEnd, bucket: RemoteBucket, clock: Hurried, fault: Step) -> None:
    """Statuses 408, 429 and 5xx, broken connections, bodies cut off and wrong hashes are tried again, after a pause."""
    far.script = [fault, fault]
    assert await bucket.read(PHOTO) == CONTENT
    assert clock.slept[0] == PAUSES_SECONDS[0]


@pytest.mark.parametrize("fault", [*PASSING.values(), answers(200, stored(3)), answers(200, stored(8, crc32c="AAAAAA=="))])
async def test_a_write_waits_out_a_passing_fault(far: FarEnd, bucket: RemoteBucket, clock: Hurried, fault: Step) -> None:
    """An upload that was not confirmed with the right size and hash is sent again, whole."""
    far.script = [fault]
    await bucket.write("out.json", b"12345678", "application/octet-stream")
    assert await (await far.storage.bucket("bucket")).read("out.json") == b"12345678"
    assert len(clock.slept) == 1


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_a_listing_waits_out_a_passing_fault(far: FarEnd, bucket: RemoteBucket, fault: Step) -> None:
    """A page of a listing is asked for again."""
    far.script = [fault]
    assert [info.name async for info in bucket.list("in/")] == [PHOTO]


async def test_a_lasting_fault_is_unavailable(far: FarEnd, bucket: RemoteBucket, clock: Hurried) -> None:
    """After four attempts it is over, and the error says what was asked of whom and what came."""
    far.script = [answers(503, b"busy")] * 4
    with pytest.raises(StorageUnavailable, match=rf"gs://bucket/{PHOTO}: {far.url} answers 503 .*busy"):
        await bucket.read(PHOTO)
    assert clock.slept == list(PAUSES_SECONDS)
    assert len(far.requests) == 4


async def test_nobody_there_is_unavailable(clock: Hurried) -> None:
    """An endpoint that nobody listens on."""
    async with served(hangs_up) as url:
        pass
    async with RemoteStorage(url, clock) as storage:
        with pytest.raises(StorageUnavailable, match="fails: ClientConnectorError"):
            await storage.bucket("bucket")


# ---- refusals ----


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_is_access_denied_at_once(far: FarEnd, bucket: RemoteBucket, clock: Hurried, status: int) -> None:
    """No permission is no fault that passes; it is asked once."""
    for attempt in (bucket.read(PHOTO), bucket.write("x", b"", "text/plain"), anext(aiter(bucket.list()))):
        far.script = [answers(status)]
        with pytest.raises(AccessDenied):
            await attempt
    assert clock.slept == []
    assert len(far.requests) == 3


async def test_another_refusal_is_unavailable_at_once(far: FarEnd, bucket: RemoteBucket, clock: Hurried) -> None:
    """What we do not understand is not repeated."""
    far.script = [answers(412)]
    with pytest.raises(StorageUnavailable, match="412"):
        await bucket.write("x", b"", "text/plain")
    assert clock.slept == []


async def test_a_404_is_told_apart_by_one_look_at_the_bucket(far: FarEnd, bucket: RemoteBucket) -> None:
    """No object in a bucket that is there, or no bucket any more: the status alone does not say."""
    with pytest.raises(ObjectMissing):
        await bucket.read("nothing")
    assert len(far.requests) == 2
    far.storage.reset()
    with pytest.raises(BucketMissing):
        await bucket.read(PHOTO)
    assert len(far.requests) == 4


async def test_a_bucket_that_may_not_be_looked_at_may_be_read(far: FarEnd, clock: Hurried) -> None:
    """Reading objects is another permission than looking at their bucket, so a 403 there decides nothing."""
    far.script = [answers(403)]
    async with RemoteStorage(far.url, clock) as storage:
        assert await (await storage.bucket("bucket")).read(PHOTO) == CONTENT


async def test_a_bucket_is_looked_at_once_while_it_is_there(far: FarEnd, clock: Hurried) -> None:
    """Many images of one bucket cost one look at it; when one of them finds it gone, it is no longer taken for granted."""
    async with RemoteStorage(far.url, clock) as storage:
        for _ in range(3):
            bucket = await storage.bucket("bucket")
        assert len(far.requests) == 1
        far.storage.reset()
        for attempt in (bucket.read(PHOTO), bucket.write(PHOTO, b"", "text/plain"), anext(aiter(bucket.list()))):
            with pytest.raises(BucketMissing):
                await attempt
            with pytest.raises(BucketMissing):
                await storage.bucket("bucket")
            storage._seen.add("bucket")


@pytest.mark.parametrize("body", [b"<html>", b'"text"', b'{"items": [{"name": "x"}]}', b'{"items": [{"name": "x", "size": "?"}]}'])
async def test_nonsense_is_unavailable(far: FarEnd, bucket: RemoteBucket, body: bytes) -> None:
    """A server that is no Cloud Storage is said to be none."""
    far.script = [answers(200, body, Content_Type="application/json")]
    with pytest.raises(StorageUnavailable, match="does not answer as Cloud Storage does"):
        await anext(aiter(bucket.list()))


@pytest.mark.parametrize("name", ["", ".", "..", "line\nbreak", "x" * 1025, "\ud800"])
async def test_impossible_names_are_not_sent(far: FarEnd, bucket: RemoteBucket, name: str) -> None:
    """No such object can be there, and as part of a URL some of these names would be another place."""
    with pytest.raises(ObjectMissing):
        await bucket.read(name)
    with pytest.raises(AccessDenied):
        await bucket.write(name, b"", "text/plain")
    assert far.requests == []


# ---- sizes, hashes, headers ----


async def test_size_is_decided_by_the_announced_length(far: FarEnd, bucket: RemoteBucket) -> None:
    """A body that says it is too large is not loaded; one that does not say is dropped as soon as it is."""
    far.script = [answers(200, b"", Content_Length="1000000000")]
    with pytest.raises(ObjectTooLarge):
        await bucket.read(PHOTO, bytes_max=len(CONTENT))
    far.script = [in_pieces]
    with pytest.raises(ObjectTooLarge, match="more than 99 bytes"):
        await bucket.read(PHOTO, bytes_max=99)
    far.script = [in_pieces]
    assert await bucket.read(PHOTO, bytes_max=100) == b"0123456789" * 10


async def test_compressed_objects_are_read_as_what_they_mean(far: FarEnd, bucket: RemoteBucket, clock: Hurried) -> None:
    """An object stored with gzip encoding arrives unpacked; its hash is of the packed bytes, and no reason to try again."""
    packed = gzip.compress(CONTENT)
    hashed = "crc32c=" + base64.b64encode(google_crc32c.Checksum(packed).digest()).decode()
    far.script = [answers(200, packed, Content_Encoding="gzip", X_Goog_Hash=hashed)]
    assert await bucket.read(PHOTO) == CONTENT
    assert clock.slept == []


async def test_an_upload_is_one_media_request(far: FarEnd, bucket: RemoteBucket) -> None:
    """Also beyond the size at which the library turns to resumable uploads, which it loses; the content type is what was said."""
    data = bytes(6 * 1024 * 1024)
    await bucket.write("big.unknown-suffix", data, "application/octet-stream")
    [request] = far.requests
    assert request.query["uploadType"] == "media"
    assert request.headers["Content-Type"] == "application/octet-stream"
    assert await (await far.storage.bucket("bucket")).read("big.unknown-suffix") == data


async def test_an_emulator_gets_no_credentials(far: FarEnd, clock: Hurried, monkeypatch: pytest.MonkeyPatch) -> None:
    """No header, no look at the credentials' file (which may be missing), and no other address than the given one."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/missing.json")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    async with RemoteStorage(far.url.removeprefix("http://") + "/", clock) as storage:
        assert await (await storage.bucket("bucket")).read(PHOTO) == CONTENT
    assert not [request for request in far.requests if "Authorization" in request.headers]


async def test_google_gets_a_token(clock: Hurried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real service, named by the user, is called with Application Default Credentials; without them the start fails."""
    token = answers(200, b'{"access_token": "secret", "expires_in": 3600}', Content_Type="application/json")
    credentials = tmp_path / "adc.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
    with pytest.raises(AccessDenied, match=r"needs credentials, and GOOGLE_APPLICATION_CREDENTIALS names no file: .*adc\.json"):
        await RemoteStorage("https://storage.googleapis.com", clock).__aenter__()
    async with served(token) as url:
        user = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r", "token_uri": url}
        credentials.write_text(json.dumps(user))
        async with RemoteStorage("https://storage.googleapis.com", clock) as storage:
            assert await storage.client._headers() == {"Authorization": "Bearer secret"}


def test_the_library_is_imported_only_when_entered() -> None:
    """Importing it is slow, and nobody pays for it who does not use it."""
    code = (
        "import sys; from vision_emulator.control.clock import SystemClock; from vision_emulator.storage.remote import RemoteStorage;"
        "RemoteStorage('localhost:1', SystemClock()); print('gcloud.aio' in sys.modules, 'aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False False\n"


# ---- addresses ----


@pytest.mark.parametrize("endpoint", ["", "http://", "ftp://host", "http://host:port", "http://host:99999", "http://:80", "localhost:0"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    """Said at the start, with how to write it."""
    with pytest.raises(ValueError, match=r"address of a Cloud Storage endpoint|[Pp]ort"):
        RemoteStorage(endpoint, Hurried())
    assert not names_this_server(endpoint, "localhost", 80)


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "same"),
    [
        ("http://localhost:8970", "127.0.0.1", 8970, True),
        ("http://localhost:8970/", "localhost", 8970, True),
        ("localhost:8970", "127.0.0.1", 8970, True),
        (" LOCALHOST:8970 ", "::1", 8970, True),
        ("http://[::1]:8970", "0.0.0.0", 8970, True),
        ("http://0.0.0.0:8970", "127.0.0.1", 8970, True),
        ("http://127.0.0.2:8970", "::", 8970, True),
        ("http://vision.localhost:8970", "[::1]", 8970, True),
        ("https://localhost", "localhost", 443, True),
        ("http://localhost", "", 80, True),
        ("http://emulator:8970", "emulator", 8970, True),
        ("http://emulator:8970", "0.0.0.0", 8970, False),
        ("http://localhost:4443", "localhost", 8970, False),
        ("http://localhost", "localhost", 8970, False),
        ("http://10.0.0.1:8970", "127.0.0.1", 8970, False),
        ("https://storage.googleapis.com", "localhost", 443, False),
    ],
)
def test_an_endpoint_that_is_this_very_server_is_recognised(endpoint: str, host: str, port: int, same: bool) -> None:
    """An exported STORAGE_EMULATOR_HOST is often this emulator itself, under one of its many names."""
    assert names_this_server(endpoint, host, port) is same
