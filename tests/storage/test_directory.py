"""A directory as buckets: what a person sees in it, what they may do to it, and what can never leave it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vision_emulator.control.clock import ManualClock, SystemClock
from vision_emulator.storage import AccessDenied, BucketMissing, ObjectMissing
from vision_emulator.storage.directory import HIDDEN, DirectoryBucket, DirectoryStorage
from vision_emulator.storage.embedded import Attributes, BucketNotEmpty, MemoryStorage, NameRefused, Query, name_fault


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "outer" / "root"


@pytest.fixture
def storage(root: Path) -> DirectoryStorage:
    return DirectoryStorage(root, SystemClock(), ["bucket"])


@pytest.fixture
async def bucket(storage: DirectoryStorage) -> DirectoryBucket:
    found = storage.find("bucket")
    assert found is not None
    return found


def visible(root: Path) -> list[str]:
    """The files a person sees, relative to the root."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and HIDDEN not in path.parts)


async def test_a_name_that_is_a_path_is_that_file(bucket: DirectoryBucket, root: Path) -> None:
    """``gs://bucket/a/b c.jpg`` is ``root/bucket/a/b c.jpg``, and nothing else is to be seen."""
    await bucket.write("a/b c.jpg", b"photo", "image/jpeg")
    assert (root / "bucket/a/b c.jpg").read_bytes() == b"photo"
    assert visible(root) == ["bucket/a/b c.jpg"]


async def test_a_name_that_is_no_safe_path_is_not_to_be_seen(bucket: DirectoryBucket, root: Path) -> None:
    """Names that mean another place, or that other systems refuse, are kept out of the visible tree."""
    for name in ("../x", "a/../../x", "/etc/x", "a//b", "d/", "con", "con.txt", "a:b", "x\\y", "dot.", "x" * 201):
        await bucket.write(name, b"x", "text/plain")
    assert visible(root) == []
    assert visible(root.parent) == []


async def test_dropped_files_are_objects(bucket: DirectoryBucket, root: Path) -> None:
    """A file put there by hand is read, listed and described, its type guessed by its extension."""
    (root / "bucket/in").mkdir()
    (root / "bucket/in/photo.jpg").write_bytes(b"jpeg")
    (root / "bucket/in/10:30 *.png").write_bytes(b"png")
    assert [info.name async for info in bucket.list()] == ["in/10:30 *.png", "in/photo.jpg"]
    record = await bucket.get("in/photo.jpg")
    assert (record.size, record.attributes.content_type) == (4, "image/jpeg")
    assert record.digests is not None
    await bucket.write("in/10:30 *.png", b"new", "image/png")
    assert (root / "bucket/in/10:30 *.png").read_bytes() == b"new"


async def test_a_folder_made_by_hand_is_a_bucket(storage: DirectoryStorage, root: Path) -> None:
    """Buckets come and go with their folders; what is not named like a bucket is none."""
    (root / "mine").mkdir()
    (root / "Not A Bucket").mkdir()
    (root / "mine/x").write_bytes(b"x")
    assert storage.names() == ["bucket", "mine"]
    assert await (await storage.bucket("mine")).read("x") == b"x"
    held = await storage.bucket("mine")
    (root / "mine/x").unlink()
    (root / "mine").rmdir()
    with pytest.raises(BucketMissing):
        await storage.bucket("mine")
    with pytest.raises(BucketMissing):
        await held.write("x", b"x", "text/plain")


async def test_an_edited_file_is_a_new_generation(bucket: DirectoryBucket, root: Path) -> None:
    """Metadata is believed only for the file it was written for; an edit by hand raises the generation and changes the hashes."""
    before = await bucket.put("note.txt", b"one", Attributes("text/x-special", metadata={"k": "v"}))
    (root / "bucket/note.txt").write_bytes(b"two two")
    os.utime(root / "bucket/note.txt", (1, 1))
    after = await bucket.get("note.txt")
    assert after.generation > before.generation
    assert (after.size, after.attributes.content_type, after.attributes.metadata) == (7, "text/plain", {})
    assert after.digests != before.digests


async def test_everything_is_there_after_a_restart(bucket: DirectoryBucket, root: Path) -> None:
    """A second process on the same directory sees the same objects, odd names and metadata included."""
    for name in ("plain.txt", "../odd", "a", "a/b"):
        await bucket.put(name, name.encode(), Attributes("text/x", metadata={"k": "ü"}))
    bucket.configure({"labels": {"a": "b"}})
    again = DirectoryStorage(root, SystemClock()).find("bucket")
    assert again is not None
    assert again.info.settings == {"labels": {"a": "b"}}
    before, after = await bucket.page(Query()), await again.page(Query())
    assert [record.name for record in after.records] == ["../odd", "a", "a/b", "plain.txt"]
    assert before == after
    assert after.records[0].attributes.metadata == {"k": "ü"}


async def test_a_killed_process_leaves_nothing_half_written(storage: DirectoryStorage, root: Path) -> None:
    """Temporary files of a process that died are swept at start, and were never objects."""
    assert storage.names() == ["bucket"]
    (root / HIDDEN / "tmp-bucket-7").write_bytes(b"half")
    again = DirectoryStorage(root, SystemClock())
    assert [path.name for path in (root / HIDDEN).glob("tmp-*")] == []
    assert (await again.find("bucket").page(Query())).records == []  # type: ignore[union-attr]


async def test_links_are_not_followed(bucket: DirectoryBucket, root: Path) -> None:
    """A symbolic link, to a file or a folder, neither shows nor takes what is outside."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "bucket/folder").symlink_to(outside)
    (root / "bucket/file").symlink_to(outside / "secret")
    (root / "linked").symlink_to(outside)
    assert [info.name async for info in bucket.list()] == []
    assert [info.name async for info in bucket.list("folder/")] == []
    for name in ("folder/secret", "file"):
        with pytest.raises(AccessDenied):
            await bucket.read(name)
    for name in ("folder/new", "file"):
        with pytest.raises(AccessDenied):
            await bucket.write(name, b"x", "text/plain")
    with pytest.raises(BucketMissing):
        await DirectoryStorage(root, SystemClock()).bucket("linked")
    assert visible(outside) == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


async def test_what_is_no_plain_file_is_refused_at_once(bucket: DirectoryBucket, root: Path) -> None:
    """A named pipe is not listed, and reading it does not wait for a writer."""
    os.mkfifo(root / "bucket/pipe")
    assert [info.name async for info in bucket.list()] == []
    with pytest.raises(AccessDenied):
        await bucket.read("pipe")


async def test_deleting_leaves_no_empty_folders(bucket: DirectoryBucket, root: Path) -> None:
    """The folders that an object's name made go with the last object in them; the bucket stays."""
    await bucket.write("a/b/c", b"x", "text/plain")
    await bucket.write("a/d", b"x", "text/plain")
    await bucket.delete("a/b/c")
    assert [path.name for path in (root / "bucket/a").iterdir()] == ["d"]
    await bucket.delete("a/d")
    assert list((root / "bucket").iterdir()) == []
    with pytest.raises(ObjectMissing):
        await bucket.delete("a/d")


async def test_a_bucket_is_removed_only_empty(storage: DirectoryStorage, bucket: DirectoryBucket, root: Path) -> None:
    """Objects, odd ones too, keep a bucket; so do files that are no objects. What is made anew holds nothing of the old."""
    await bucket.write("../odd", b"x", "text/plain")
    with pytest.raises(BucketNotEmpty):
        storage.delete("bucket")
    await bucket.delete("../odd")
    (root / "bucket/link").symlink_to(root)
    with pytest.raises(BucketNotEmpty):
        storage.delete("bucket")
    (root / "bucket/link").unlink()
    (root / "bucket/empty/folder").mkdir(parents=True)
    storage.delete("bucket")
    assert storage.names() == []
    storage.create("bucket")
    (root / "bucket").rmdir()
    (root / HIDDEN / "bucket/1.bin").write_bytes(b"")
    assert (await storage.create("bucket").page(Query())).records == []


async def test_folders_removed_by_hand_are_made_again(bucket: DirectoryBucket, root: Path) -> None:
    """Somebody who empties the root while the emulator runs does not stop it from writing."""
    (root / HIDDEN / "bucket/bucket.json").unlink()
    (root / HIDDEN / "bucket").rmdir()
    (root / HIDDEN).rmdir()
    await bucket.write("a/b", b"x", "text/plain")
    assert await bucket.read("a/b") == b"x"


async def test_a_file_from_the_future_is_overwritten_by_a_newer_generation(root: Path) -> None:
    """Generations grow also when a dropped file's time lies ahead of the clock."""
    storage = DirectoryStorage(root, ManualClock(), ["bucket"])
    (root / "bucket/x").write_bytes(b"x")
    os.utime(root / "bucket/x", (4_000_000_000, 4_000_000_000))
    bucket = await storage.bucket("bucket")
    before = await bucket.get("x")
    await bucket.write("x", b"y", "text/plain")
    assert (await bucket.get("x")).generation > before.generation


async def test_generations_grow_for_whoever_looks_while_others_write(bucket: DirectoryBucket) -> None:
    """A listing between two writes never sees a generation that a later one falls below."""
    await bucket.write("x", b"0", "text/plain")
    seen: list[int] = []

    async def look() -> None:
        for _ in range(40):
            seen.extend([info.generation async for info in bucket.list()])

    async def write() -> None:
        for number in range(40):
            await bucket.write("x", str(number).encode(), "text/plain")

    await asyncio.gather(look(), write(), write())
    assert seen == sorted(seen)
    assert (await bucket.get("x")).generation >= seen[-1]
    assert (await bucket.get("x")).attributes.content_type == "text/plain"


async def test_a_file_that_goes_just_before_it_is_opened_is_missing(bucket: DirectoryBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between finding and opening a file is not a fault of the storage."""
    find = bucket._find

    def find_and_lose(name: str) -> tuple[Path, os.stat_result]:
        path, held = find(name)
        path.unlink()
        return path, held

    await bucket.write("x", b"content", "text/plain")
    monkeypatch.setattr(bucket, "_find", find_and_lose)
    with pytest.raises(ObjectMissing):
        await bucket.read("x")


async def test_reading_what_is_being_deleted_is_missing_or_whole(bucket: DirectoryBucket) -> None:
    """A reader that comes at the same time as a deletion gets the object or ObjectMissing, nothing else."""
    for _ in range(30):
        await bucket.write("x", b"content", "text/plain")
        results = await asyncio.gather(
            bucket.delete("x"), bucket.read("x"), bucket.content("x"), bucket.page(Query()), bucket.get("x"), return_exceptions=True
        )
        assert [error for error in results if isinstance(error, BaseException) and not isinstance(error, ObjectMissing)] == []


LEGAL_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300).filter(lambda name: not name_fault(name))
PATH_LIKE = st.lists(st.sampled_from(["a", "b", "..", ".", "", "con", "x" * 201, ".vision-emulator", "é", "a."]), min_size=1, max_size=5)
NAMES = LEGAL_NAMES | PATH_LIKE.map("/".join).filter(lambda name: not name_fault(name))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(NAMES, min_size=1, max_size=8))
def test_any_legal_name_round_trips_and_stays_inside(names: set[str], tmp_path: Path) -> None:
    """Whatever the names: memory and directory agree on content and order, and nothing appears outside the root."""
    outer = Path(os.path.realpath(tmp_path)) / f"case-{len(list(tmp_path.iterdir()))}"
    asyncio.run(_round_trip(sorted(names), outer))
    assert [path.name for path in outer.iterdir()] == ["root"]
    assert {path.name for path in (outer / "root").iterdir()} == {HIDDEN, "bucket"}


async def _round_trip(names: list[str], outer: Path) -> None:
    for storage in (MemoryStorage(SystemClock(), ["bucket"]), DirectoryStorage(outer / "root", SystemClock(), ["bucket"])):
        bucket = await storage.bucket("bucket")
        for name in reversed(names):
            await bucket.write(name, name.encode(), "text/plain")
        assert [info.name async for info in bucket.list()] == names
        assert [await bucket.read(name) for name in names] == [name.encode() for name in names]
        for name in names:
            await bucket.delete(name)
        assert [info.name async for info in bucket.list()] == []


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\rb", "a\0b", "x" * 1025, "é" * 513, "\ud800"])
async def test_names_that_cloud_storage_refuses_are_refused(bucket: DirectoryBucket, name: str) -> None:
    """Both implementations refuse to write such a name, and find nothing under it."""
    memory = await MemoryStorage(SystemClock(), ["bucket"]).bucket("bucket")
    for each in (bucket, memory):
        with pytest.raises(NameRefused):
            await each.write(name, b"x", "text/plain")
        with pytest.raises(ObjectMissing):
            await each.read(name)
