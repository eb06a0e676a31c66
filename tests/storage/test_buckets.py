"""One suite over every Bucket: what the core relies on, whatever stores the bytes.

To add an implementation, add an async context manager to STORAGES that yields a Storage with one empty bucket named ``bucket``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from vision_emulator.control.clock import SystemClock
from vision_emulator.storage import Bucket, BucketMissing, ObjectMissing, ObjectTooLarge, Storage
from vision_emulator.storage.directory import DirectoryStorage
from vision_emulator.storage.embedded import MemoryStorage
from vision_emulator.storage.remote import RemoteStorage
from vision_emulator.surfaces.gcs.surface import StorageSurface

BUCKET = "bucket"


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Storage]:
    async with MemoryStorage(SystemClock(), [BUCKET]) as storage:
        yield storage


@asynccontextmanager
async def directory(folder: Path) -> AsyncIterator[Storage]:
    async with DirectoryStorage(folder / "root", SystemClock(), [BUCKET]) as storage:
        yield storage


@asynccontextmanager
async def remote(_: Path) -> AsyncIterator[Storage]:
    """Over HTTP, from the embedded storage's own surface."""
    surface = StorageSurface(MemoryStorage(SystemClock(), [BUCKET]))
    runner = web.ServerRunner(web.Server(surface.handle, auto_decompress=False))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with RemoteStorage(f"http://{host}:{port}", SystemClock()) as storage:
            yield storage
    finally:
        await runner.cleanup()


STORAGES: dict[str, Callable[[Path], AbstractAsyncContextManager[Storage]]] = {
    "memory": memory,
    "directory": directory,
    "remote": remote,
}

ODD_NAMES = [
    "plain.jpg",
    "a/b/c.jpg",
    "a//b",
    "/lead",
    "../x",
    "a/../b",
    "./x",
    "d/",
    "con",
    "tab\there",
    "trailing.",
    'quo"te?*<>|:\\',
    "höhe/日本語/😀.png",
    "percent%2Fslash %00",
    "x" * 1000,
    ".vision-emulator/x",
    "a" + "/b" * 200,
    "#hash?query=1&b=2",
    "+plus +",
]


@pytest.fixture(params=sorted(STORAGES))
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    async with STORAGES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
async def bucket(storage: Storage) -> Bucket:
    return await storage.bucket(BUCKET)


async def names(bucket: Bucket, prefix: str = "") -> list[str]:
    return [info.name async for info in bucket.list(prefix)]


async def test_what_is_written_is_read(bucket: Bucket) -> None:
    """An object's content is exactly what was written last, and the listing knows its size."""
    await bucket.write("in/photo.jpg", b"first", "image/jpeg")
    await bucket.write("in/photo.jpg", bytes(range(256)) * 10, "image/jpeg")
    assert await bucket.read("in/photo.jpg") == bytes(range(256)) * 10
    assert [(info.name, info.size) async for info in bucket.list()] == [("in/photo.jpg", 2560)]


async def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    """Zero bytes are content, not absence."""
    await bucket.write("empty", b"", "application/octet-stream")
    assert await bucket.read("empty") == b""
    assert await names(bucket) == ["empty"]


async def test_a_missing_bucket_is_said_to_be_missing(storage: Storage) -> None:
    """Nobody gets a bucket that was never made, also not by a name that is a path."""
    for name in ("nowhere", "..", "bucket/..", "INPUTS", ""):
        with pytest.raises(BucketMissing):
            await (await storage.bucket(name)).read("x")


async def test_a_missing_object_is_said_to_be_missing(bucket: Bucket) -> None:
    """Nothing, a folder of objects, and something below an object are no objects."""
    await bucket.write("a/b", b"x", "text/plain")
    for name in ("nothing", "a", "a/", "a/b/c"):
        with pytest.raises(ObjectMissing):
            await bucket.read(name)


async def test_a_reader_is_spared_what_is_too_large(bucket: Bucket) -> None:
    """bytes_max is inclusive, and beyond it nothing is handed out."""
    await bucket.write("ten", b"0123456789", "text/plain")
    assert await bucket.read("ten", bytes_max=10) == b"0123456789"
    with pytest.raises(ObjectTooLarge):
        await bucket.read("ten", bytes_max=9)


async def test_every_legal_name_is_kept_as_it_is(bucket: Bucket) -> None:
    """Names that are no paths, that look like paths elsewhere, or that mean something to a URL round-trip one by one."""
    for name in ODD_NAMES:
        await bucket.write(name, name.encode(), "text/plain")
    for name in ODD_NAMES:
        assert await bucket.read(name) == name.encode()
    assert await names(bucket) == sorted(ODD_NAMES)


async def test_a_name_may_be_another_names_folder(bucket: Bucket) -> None:
    """``a`` and ``a/b`` are two objects, in whichever order they come."""
    for name in ("a", "a/b", "c/d", "c"):
        await bucket.write(name, name.encode(), "text/plain")
    assert [await bucket.read(name) for name in ("a", "a/b", "c/d", "c")] == [b"a", b"a/b", b"c/d", b"c"]
    assert await names(bucket) == ["a", "a/b", "c", "c/d"]


async def test_a_listing_tells_what_its_owner_says(bucket: Bucket) -> None:
    """Beside name and size the content type that the object was written with; what nobody changed since is at metageneration 1."""
    await bucket.write("photo.bin", b"x", "image/jpeg")
    assert [(info.content_type, info.metageneration, dict(info.metadata)) async for info in bucket.list()] == [("image/jpeg", 1, {})]


async def test_listing_is_in_code_point_order_below_a_prefix(bucket: Bucket) -> None:
    """Order is that of code points (``-`` before ``/``, astral characters last), and a prefix is text, not a folder."""
    written = ["p/10", "p/2", "p-x", "p/é", "p/\U0001f600", "p/\uffee", "q", "p"]
    for name in written:
        await bucket.write(name, b"", "text/plain")
    assert await names(bucket) == sorted(written)
    assert await names(bucket, "p/") == ["p/10", "p/2", "p/é", "p/\uffee", "p/\U0001f600"]
    assert await names(bucket, "p/1") == ["p/10"]
    assert await names(bucket, "../") == []
    assert await names(bucket, "none/") == []


async def test_a_listing_knows_what_came_since_the_last(bucket: Bucket) -> None:
    """Each listing is of the objects that are there when it begins."""
    await bucket.write("b", b"", "text/plain")
    assert await names(bucket) == ["b"]
    await bucket.write("a", b"", "text/plain")
    assert await names(bucket) == ["a", "b"]


async def test_listing_goes_on_beyond_one_page(bucket: Bucket) -> None:
    """1001 objects are listed, each once."""
    wanted = [f"many/{number:04}" for number in range(1001)]
    await asyncio.gather(*(bucket.write(name, b"x", "text/plain") for name in wanted))
    assert await names(bucket, "many/") == wanted


async def test_generations_grow(bucket: Bucket) -> None:
    """A new content is a larger generation than any before it in the bucket."""
    generations: list[int] = []
    for content in (b"one", b"two", b"three"):
        await bucket.write("x", content, "text/plain")
        generations += [info.generation async for info in bucket.list("x")]
    assert generations == sorted(set(generations))
    assert len(generations) == 3


async def test_readers_see_the_old_content_or_the_new(bucket: Bucket) -> None:
    """A content is never seen in part, whoever writes at the same time."""
    contents = [bytes([65 + number]) * 300_000 for number in range(4)]
    await bucket.write("shared", contents[0], "text/plain")

    async def read() -> bytes:
        return await bucket.read("shared")

    results = await asyncio.gather(
        *(step for content in contents for step in (bucket.write("shared", content, "text/plain"), read(), read()))
    )
    assert {result for result in results if result is not None} <= set(contents)
