"""gcloud-aio-storage, unmodified, against the embedded buckets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from gcloud.aio.storage import Storage
from served_buckets import serve

from vision_emulator.control.clock import SystemClock
from vision_emulator.storage.directory import DirectoryStorage
from vision_emulator.storage.embedded import MemoryStorage

BUCKET = "aio-bucket"


@pytest.fixture(params=["memory", "directory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    clock = SystemClock()
    with serve(MemoryStorage(clock, [BUCKET]) if request.param == "memory" else DirectoryStorage(tmp_path, clock, [BUCKET])) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[Storage]:
    async with aiohttp.ClientSession() as session, Storage(api_root=url, session=session) as made:  # type: ignore[arg-type]
        yield made


async def test_uploads_of_every_kind(client: Storage) -> None:
    """Simple, multipart (with metadata) and resumable uploads store the same bytes."""
    data = bytes(range(256)) * 100
    simple = await client.upload(BUCKET, "simple", data, content_type="application/json")
    assert (simple["size"], simple["contentType"]) == (str(len(data)), "application/json")
    multipart = await client.upload(BUCKET, "multi/part ä", data, metadata={"metadata": {"k": "v"}}, content_type="image/png")
    assert (multipart["metadata"], multipart["contentType"]) == ({"k": "v"}, "image/png")
    resumable = await client.upload(BUCKET, "resumable", data * 300, force_resumable_upload=True, content_type="image/png")
    assert (resumable["size"], resumable["contentType"]) == (str(len(data) * 300), "image/png")
    assert await client.download(BUCKET, "simple") == data
    assert await client.download(BUCKET, "multi/part ä") == data
    assert await client.download(BUCKET, "resumable") == data * 300
    assert await client.download(BUCKET, "simple", headers={"Range": "bytes=2-4"}) == data[2:5]


async def test_listing_metadata_copy_and_delete(client: Storage) -> None:
    """What a program does with objects that are there."""
    for name in ("a/1", "a/2", "b"):
        await client.upload(BUCKET, name, b"x")
    listed = await client.list_objects(BUCKET, params={"prefix": "a/", "maxResults": "1"})
    assert [item["name"] for item in listed["items"]] == ["a/1"]
    following = await client.list_objects(BUCKET, params={"prefix": "a/", "pageToken": listed["nextPageToken"]})
    assert [item["name"] for item in following["items"]] == ["a/2"]
    assert await client.get_bucket(BUCKET).list_blobs() == ["a/1", "a/2", "b"]
    await client.copy(BUCKET, "b", BUCKET, new_name="copy")
    await client.compose(BUCKET, "both", ["a/1", "a/2"])
    assert (await client.download_metadata(BUCKET, "both"))["componentCount"] == 2
    assert (await client.patch_metadata(BUCKET, "copy", {"metadata": {"k": "v"}}))["metageneration"] == "2"
    await client.delete(BUCKET, "copy")
    assert not await client.get_bucket(BUCKET).blob_exists("copy")


async def test_refusals_are_the_clients_own_errors(client: Storage) -> None:
    """A missing object, a missing bucket and a precondition that does not hold carry the status a program looks at."""
    with pytest.raises(aiohttp.ClientResponseError) as missing:
        await client.download(BUCKET, "none")
    assert missing.value.status == 404
    with pytest.raises(aiohttp.ClientResponseError) as nowhere:
        await client.upload("no-such-bucket", "x", b"x")
    assert nowhere.value.status == 404
    await client.upload(BUCKET, "once", b"1", parameters={"ifGenerationMatch": "0"})
    with pytest.raises(aiohttp.ClientResponseError) as twice:
        await client.upload(BUCKET, "once", b"2", parameters={"ifGenerationMatch": "0"})
    assert twice.value.status == 412
