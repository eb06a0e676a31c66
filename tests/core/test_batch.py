"""Offline batches: slots, shards, what is in flight, failures and cancelling; over buckets in memory and annotators the test drives."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_emulator.annotators import Annotator, Picture
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, AsyncBatchAnnotateImagesRequest, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from vision_emulator.core.annotate import ImageAnnotation
from vision_emulator.core.batch import WINDOW, Batches, Shard
from vision_emulator.storage import AccessDenied, StorageError, StorageUnavailable
from vision_emulator.storage.embedded import MemoryBucket, MemoryStorage

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
CALL = Call(METHOD, METHOD.request(), {})


class Knowing(Annotator):
    """Answers every URI that ends in a number with that number as its label; needs no bytes."""

    name = "knowing"

    def __init__(self) -> None:
        self.asked = 0

    def knows(self, uri: str) -> bool:
        return "missing" not in uri

    def claims(self, picture: Picture, feature: int) -> bool:
        del picture, feature
        return True

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: Any) -> AnnotateImageResponse:
        del features, context
        self.asked += 1
        return AnnotateImageResponse(label_annotations=[{"description": picture.uri.rpartition("/")[2]}])


class Gated(Knowing):
    """Holds each picture until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, asyncio.Event] = {}
        self.most_held = 0

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: Any) -> AnnotateImageResponse:
        gate = self.held[picture.uri] = asyncio.Event()
        self.most_held = max(self.most_held, len(self.held))
        await gate.wait()
        return await super().annotate(picture, features, context)

    def let_go(self, uri: str) -> None:
        self.held.pop(uri).set()


class Failing(Knowing):
    """Fails on some of its pictures, each in its own way."""

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: Any) -> AnnotateImageResponse:
        if picture.uri.endswith("7"):
            raise ZeroDivisionError(f"a bug over {picture.uri}")
        if picture.uri.endswith("5"):
            raise VisionError(Code.RESOURCE_EXHAUSTED, "enough")
        return await super().annotate(picture, features, context)


def make() -> MemoryStorage:
    return MemoryStorage(ManualClock(), ["out"], auto_create=False)


@pytest.fixture
def storage() -> MemoryStorage:
    return make()


def uri(number: int) -> str:
    return f"gs://in/{number}"


def batch(count: int, size: int, uris: Sequence[str] = ()) -> AsyncBatchAnnotateImagesRequest:
    feature = {"type": Feature.LABEL_DETECTION}
    images = [{"image": {"source": {"image_uri": name}}, "features": [feature]} for name in uris or map(uri, range(count))]
    return AsyncBatchAnnotateImagesRequest(requests=images, output_config={"gcs_destination": {"uri": "gs://out/run/"}, "batch_size": size})


def run(storage: Any, annotator: Annotator, request: AsyncBatchAnnotateImagesRequest) -> Any:
    """The batch as a coroutine."""
    annotation = ImageAnnotation(storage, [annotator])
    return Batches(annotation, storage, "application/octet-stream").images(request, annotation.reader(CALL), Counter(), [])


async def written(storage: MemoryStorage) -> dict[str, list[Any]]:
    """Every output file by name, read as JSON: a torn one would not be."""
    bucket = await storage.bucket("out")
    return {info.name: json.loads(await bucket.read(info.name))["responses"] async for info in bucket.list()}


def shard(first: int, last: int) -> str:
    return f"run/output-{first}-to-{last}.json"


async def turn(times: int = 20) -> None:
    """Lets everything that can run now run."""
    for _ in range(times):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await done


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 9), st.lists(st.integers(0, WINDOW - 1), min_size=1, max_size=50))
def test_slots_are_in_request_order_whoever_is_first(count: int, size: int, picks: list[int]) -> None:
    """In whatever order images are done, every response stands in its own slot of its own file, and the window is never exceeded."""

    async def check() -> None:
        storage, gated = make(), Gated()
        work = asyncio.get_running_loop().create_task(run(storage, gated, batch(count, size)))
        step = 0
        while not work.done():
            await turn()
            if gated.held:
                gated.let_go(list(gated.held)[picks[step % len(picks)] % len(gated.held)])
                step += 1
        await work
        found = await written(storage)
        expected = {shard(at + 1, min(at + size, count)): [*range(at, min(at + size, count))] for at in range(0, count, size)}
        labels = {name: [int(entry["labelAnnotations"][0]["description"]) for entry in entries] for name, entries in found.items()}
        assert labels == expected
        assert {name: [int(entry["context"]["uri"].rpartition("/")[2]) for entry in entries] for name, entries in found.items()} == expected
        assert gated.most_held == min(WINDOW, count)

    asyncio.run(check())


async def test_failures_stay_in_their_slots(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    """A bug, an annotator's own error and a missing image are errors of their slots, with context; all others are answered."""
    uris = [uri(number) for number in range(10)] + ["gs://out/missing"]
    await run(storage, Failing(), batch(0, 4, uris))
    responses = [response for entries in (await written(storage)).values() for response in entries]
    by_uri = {response["context"]["uri"]: response for response in responses}
    assert by_uri[uri(7)]["error"] == {"code": 13, "message": "Internal server error. Error processing features."}
    assert by_uri[uri(5)]["error"] == {"code": 8, "message": "enough"}
    assert by_uri["gs://out/missing"]["error"] == {"code": 5, "message": "Error opening file: gs://out/missing."}
    assert [name for name, response in by_uri.items() if "error" not in response] == [uri(number) for number in (0, 1, 2, 3, 4, 6, 8, 9)]
    assert caplog.text.count("ZeroDivisionError: a bug over gs://in/7") == 1


async def test_shards_are_written_as_they_fill(storage: MemoryStorage) -> None:
    """The first file is there before the last image is looked at."""
    gated = Gated()
    work = asyncio.get_running_loop().create_task(run(storage, gated, batch(40, 4)))
    await turn()
    assert list(await written(storage)) == []
    for number in range(4):
        gated.let_go(uri(number))
    await turn()
    assert list(await written(storage)) == [shard(1, 4)]
    assert not work.done()
    while not work.done():
        for held in list(gated.held):
            gated.let_go(held)
        await turn()
    assert len(await written(storage)) == 10


def open_shards() -> list[Shard]:
    """The shards that somebody still holds. Messages take no weak references, so they are counted where they are kept."""
    return [found for found in gc.get_objects() if type(found) is Shard]


class SlowFirst(Gated):
    """Holds the first picture only, and now and then counts what is kept in memory."""

    most_kept = 0

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: Any) -> AnnotateImageResponse:
        if picture.uri == uri(0):
            return await super().annotate(picture, features, context)
        if self.asked % 50 == 0:
            self.most_kept = max(self.most_kept, sum(len(shard.responses) - shard.missing for shard in open_shards()))
        return await Knowing.annotate(self, picture, features, context)


async def test_memory_is_bounded_by_the_window_not_the_batch(storage: MemoryStorage) -> None:
    """While the first image hangs, all other files are written and their responses let go."""
    slow = SlowFirst()
    work = asyncio.get_running_loop().create_task(run(storage, slow, batch(400, 5)))
    while slow.asked < 399:
        await turn()
    found = await written(storage)
    assert len(found) == 79
    assert shard(1, 5) not in found
    assert slow.most_kept <= WINDOW * 5
    assert [(shard.first, shard.missing) for shard in open_shards()] == [(1, 1)]
    slow.let_go(uri(0))
    await work
    assert len(await written(storage)) == 80
    assert open_shards() == []


# ---- failures of the destination ----


class Faulty:
    """A storage whose buckets fail to write from the n-th file on."""

    def __init__(self, storage: MemoryStorage, good: int, failure: StorageError) -> None:
        self._storage, self.left, self.failure = storage, good, failure

    async def bucket(self, name: str) -> Any:
        return FaultyBucket(self, await self._storage.bucket(name))


class FaultyBucket:
    def __init__(self, owner: Faulty, bucket: MemoryBucket) -> None:
        self.name, self._owner, self._bucket = bucket.name, owner, bucket

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        return await self._bucket.read(object_name, bytes_max)

    async def write(self, object_name: str, data: bytes, content_type: str) -> None:
        if self._owner.left == 0:
            raise self._owner.failure
        self._owner.left -= 1
        await self._bucket.write(object_name, data, content_type)

    def list(self, prefix: str = "") -> AsyncIterator[Any]:
        return self._bucket.list(prefix)


@pytest.mark.parametrize("failure", [AccessDenied("no"), StorageUnavailable("down")])
@pytest.mark.parametrize("good", [0, 3])
async def test_a_destination_that_stops_taking_files(storage: MemoryStorage, failure: StorageError, good: int) -> None:
    """The operation's error in the recorded words; the files before it are whole, and the work stops there."""
    knowing = Knowing()
    with pytest.raises(VisionError) as refused:
        await run(Faulty(storage, good, failure), knowing, batch(1000, 5))
    assert (refused.value.code, refused.value.message) == (7, "Error writing final output to: gs://out/run/")
    found = await written(storage)
    assert len(found) == good
    assert all(len(entries) == 5 for entries in found.values())
    assert knowing.asked < 200


async def test_a_missing_destination_looks_at_nothing(storage: MemoryStorage) -> None:
    """Without its output bucket a batch fails before an image is looked at."""
    storage.delete("out")
    knowing = Knowing()
    with pytest.raises(VisionError) as refused:
        await run(storage, knowing, batch(10, 5))
    assert refused.value.code == Code.PERMISSION_DENIED
    assert knowing.asked == 0


# ---- cancelling ----


@pytest.mark.parametrize("done", [0, 3, 4, 11])
async def test_cancelling_leaves_whole_files_only(storage: MemoryStorage, done: int) -> None:
    """A cancelled batch has written what was full, nothing else, and asks nobody any more."""
    gated = Gated()
    work = asyncio.get_running_loop().create_task(run(storage, gated, batch(100, 4)))
    await turn()
    for number in range(done):
        gated.let_go(uri(number))
        await turn()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    asked = gated.asked
    await turn()
    assert list(await written(storage)) == [shard(at + 1, at + 4) for at in range(0, done // 4 * 4, 4)]
    assert gated.asked == asked == done


async def test_others_get_their_turn(storage: MemoryStorage) -> None:
    """A batch whose work never waits still lets other work of the loop run in between."""
    work = asyncio.get_running_loop().create_task(run(storage, Knowing(), batch(2000, 100)))
    turns = 0
    while not work.done():
        await turn(1)
        turns += 1
    assert turns >= 8
