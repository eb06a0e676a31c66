"""State on a disk: what is synchronized and when, disks that are full, read-only or broken, who may use a folder, and archives of it."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plain import PLAIN
from vision_emulator import VisionEmulator
from vision_emulator.app import Emulator, core
from vision_emulator.cli import main
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage import AccessDenied, StorageError, StorageFull, StorageUnavailable
from vision_emulator.storage.data_dir import ArchiveRefused, DataDirectory, InUse
from vision_emulator.storage.directory import HIDDEN, DirectoryBucket, DirectoryStorage
from vision_emulator.storage.embedded import Attributes
from vision_emulator.storage.operation_store import OperationStore, Row

SECONDS_MAX = 60
NAMES = ("cat.jpg", "deep/er/cat.jpg", "odd//name", "dot.")
DISK_CALLS = ("fsync", "replace", "mkdir")
SAMPLE = {
    "image": {"source": {"image_uri": "gs://cloud-samples-data/vision/label/wakeupcat.jpg"}},
    "features": [{"type": "LABEL_DETECTION"}],
}


def bucket_in(root: Path, *, durable: bool = True) -> DirectoryBucket:
    found = DirectoryStorage(root, SystemClock(), ["photos"], durable=durable).find("photos")
    assert found is not None
    return found


def inside(folder: Path) -> list[str]:
    """The names of what a folder holds."""
    return sorted(path.name for path in folder.iterdir())


class Disk:
    """The calls that change the disk, in their order; from the n-th on they fail, once or always."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fails: Callable[[str], int] = lambda _: 0
        for name in DISK_CALLS:
            monkeypatch.setattr(os, name, self._around(name, getattr(os, name)))

    def _around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            what = (
                str(Path(f"/proc/self/fd/{args[0]}").readlink())
                if isinstance(args[0], int)
                else str(args[-1] if name == "replace" else args[0])
            )
            if number := self.fails(name):
                raise OSError(number, os.strerror(number), what)
            done = function(*args, **kwargs)
            self.calls.append((name, what))
            return done

        return called

    def fail(self, number: int, after: int = 0, name: str = "", *, once: bool = False) -> None:
        """Fails with this errno after so many calls (of this name)."""
        left = [after]

        def fails(called: str) -> int:
            if name not in ("", called):
                return 0
            left[0] -= 1
            return number if left[0] == -1 or (left[0] < 0 and not once) else 0

        self.fails = fails

    def heal(self) -> None:
        self.fails = lambda _: 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


# ---- synchronizing ----


@pytest.mark.parametrize("name", NAMES)
async def test_an_object_is_on_the_disk_before_its_writer_is_answered(tmp_path: Path, disk: Disk, name: str) -> None:
    """A file is synchronized before the rename that shows it, its folder after, and so are the folders that were made for it."""
    bucket = bucket_in(tmp_path)
    disk.calls.clear()
    await bucket.write(name, b"photo", "image/jpeg")
    renames = [at for at, (call, _) in enumerate(disk.calls) if call == "replace"]
    assert len(renames) == 2  # what is said of the object, and the object
    for at in renames:
        assert ("fsync", str(Path(disk.calls[at][1]).parent)) in disk.calls[at + 1 :]
    temporary = [what for call, what in disk.calls[: renames[1]] if call == "fsync" and "tmp-" in what]
    assert len(temporary) == 2
    for at, (call, what) in enumerate(disk.calls):
        if call == "mkdir":
            assert ("fsync", str(Path(what).parent)) in disk.calls[at + 1 :]


@pytest.mark.parametrize("name", NAMES)
async def test_a_removed_object_does_not_come_back(tmp_path: Path, disk: Disk, name: str) -> None:
    """Its folder is synchronized before the deletion is answered."""
    bucket = bucket_in(tmp_path)
    await bucket.write(name, b"photo", "image/jpeg")
    disk.calls.clear()
    folder = bucket._find(name)[0].parent
    await bucket.delete(name)
    assert ("fsync", str(folder)) in disk.calls


async def test_a_folder_that_is_only_served_is_not_synchronized(tmp_path: Path, disk: Disk) -> None:
    """--buckets is for files to look at; nothing waits for the disk there."""
    bucket = bucket_in(tmp_path, durable=False)
    for name in NAMES:
        await bucket.write(name, b"photo", "image/jpeg")
        await bucket.delete(name)
    assert [call for call, _ in disk.calls if call == "fsync"] == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_rename_that_never_came_leaves_the_old_object_whole(tmp_path: Path, disk: Disk, name: str) -> None:
    """Content and what is said of it change together: killed between the two, an object is still all that it was."""
    bucket = bucket_in(tmp_path)
    before = await bucket.put(name, b"old", Attributes("image/old", metadata={"version": "old"}))
    disk.fail(errno.EIO, 1, "replace")
    with pytest.raises(StorageUnavailable):
        await bucket.put(name, b"newer", Attributes("image/new", metadata={"version": "new"}))
    disk.heal()
    again = bucket_in(tmp_path)
    assert await again.content(name) == (before, b"old")
    after = await again.put(name, b"newest", Attributes("image/new"))
    assert after.generation > before.generation
    assert (await bucket_in(tmp_path).content(name))[1] == b"newest"


async def test_a_dropped_file_keeps_its_generation_until_it_is_replaced(tmp_path: Path, disk: Disk) -> None:
    """The same for a file that was put there by hand, of which nothing was ever said."""
    bucket = bucket_in(tmp_path)
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"old")
    before = await bucket.get("cat.jpg")
    disk.fail(errno.EIO, 1, "replace")
    with pytest.raises(StorageUnavailable):
        await bucket.write("cat.jpg", b"newer", "image/new")
    disk.heal()
    assert await bucket_in(tmp_path).get("cat.jpg") == before


# ---- disks that fail ----


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StorageFull, "photos: No space left on device; make room on the disk, and try again"),
        (errno.EDQUOT, StorageFull, "photos: Disk quota exceeded; make room on the disk, and try again"),
        (errno.EIO, StorageUnavailable, "photos: Input/output error"),
        (errno.EROFS, AccessDenied, "photos: Read-only file system"),
        (errno.EACCES, AccessDenied, "photos: Permission denied"),
    ],
)
@pytest.mark.parametrize("name", ["cat.jpg", "odd//name"])
async def test_wherever_the_disk_fails_the_old_object_or_the_new_is_there(
    tmp_path: Path, disk: Disk, number: int, kind: type[StorageError], said: str, name: str
) -> None:
    """Each call that changes the disk fails once: the writer is told in a sentence, nothing is torn, no half file is left."""
    failures = 0
    for at in range(20):
        root = tmp_path / str(at)
        bucket = bucket_in(root)
        before = await bucket.put(name, b"old", Attributes("image/old"))
        disk.fail(number, at, once=True)
        refusals = []
        try:
            await bucket.put(name, b"newer", Attributes("image/new"))
        except StorageError as failure:
            refusals.append((type(failure), str(failure)))
        disk.heal()
        assert refusals in ([], [(kind, said)])
        failures += len(refusals)
        record, content = await bucket_in(root).content(name)
        assert (record, content) == (before, b"old") or (record.attributes.content_type, content) == ("image/new", b"newer")
        assert list((root / HIDDEN).glob("tmp-*")) == []
        await bucket.put(name, b"newest", Attributes("image/new"))
    assert failures >= 6


def test_a_write_that_finds_no_room_leaves_none_taken(tmp_path: Path) -> None:
    """A real limit on the size of files, as a full disk is met in the middle of a write: half a file is taken away again."""
    program = f"""
import asyncio, resource, signal
from pathlib import Path
from vision_emulator.control.clock import SystemClock
from vision_emulator.storage import StorageFull
from vision_emulator.storage.directory import DirectoryStorage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def run():
    bucket = DirectoryStorage({str(tmp_path)!r}, SystemClock(), ["photos"], durable=True).find("photos")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        await bucket.write("big", b"x" * 200_000, "image/png")
    except StorageFull as full:
        print(full)
    await bucket.write("small", b"x", "image/png")
    print([info.name async for info in bucket.list()], list(Path({str(tmp_path)!r}).glob("*/tmp-*")))
asyncio.run(run())
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    assert run.stdout.splitlines() == ["photos: File too large; make room on the disk, and try again", "['small'] []"]


def upload(url: str, name: str) -> Any:
    request = urllib.request.Request(f"{url}/upload/storage/v1/b/photos/o?uploadType=media&name={name}", b"photo")  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 - the server of the test
        return json.load(answer)


def test_an_upload_to_a_failing_disk_is_refused_and_the_server_lives(tmp_path: Path, disk: Disk) -> None:
    """507 for a full disk, which no client tries again by itself; 503 for a broken one; 403 for one that is read-only. In a sentence."""
    with VisionEmulator(data_dir=tmp_path / "data", bucket=["photos"]) as emulator:
        for number, status, said in (
            (errno.ENOSPC, 507, "The storage is full: photos: No space left on device; make room on the disk, and try again"),
            (errno.EIO, 503, "The storage cannot do this now: photos: Input/output error"),
            (errno.EROFS, 403, "Access denied: photos: Read-only file system"),
        ):
            disk.fail(number)
            with pytest.raises(urllib.error.HTTPError) as refusal:
                upload(emulator.url, "cat.jpg")
            disk.heal()
            with refusal.value as answer:
                assert answer.code == status
                assert json.load(answer)["error"]["message"] == said
        assert upload(emulator.url, "cat.jpg")["size"] == "5"


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.ENOSPC, Code.RESOURCE_EXHAUSTED, "Error writing final output to: gs://photos/run/. The storage is full."),
        (errno.EIO, Code.PERMISSION_DENIED, "Error writing final output to: gs://photos/run/"),
    ],
)
async def test_a_batch_that_cannot_be_written_fails_with_a_message(tmp_path: Path, disk: Disk, number: int, code: Code, said: str) -> None:
    """The operation ends, says where it could not write, and the next one goes through."""
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
    output = {"gcs_destination": {"uri": "gs://photos/run/"}}
    request = method.request(requests=[SAMPLE], output_config=output)
    async with core(Config(data_dir=tmp_path, bucket=("photos",), settings=PLAIN), SystemClock(), Chance()) as (vision, _):
        disk.fail(number)
        operation = await vision.call(Call(method, request, {"x-vision-emulator-pace": "instant"}))
        disk.heal()
        assert (operation.error.code, operation.error.message) == (code, said)
        operation = await vision.call(Call(method, request, {"x-vision-emulator-pace": "instant"}))
        assert operation.HasField("response")


async def test_the_disk_is_never_waited_for_on_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synchronizing an object or committing an operation leaves the other clients of the server unmoved."""
    threads: list[str] = []
    fsync, write = os.fsync, OperationStore._write
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
    async with core(Config(data_dir=tmp_path, bucket=("photos",), settings=PLAIN), SystemClock(), Chance()) as (vision, storage):
        monkeypatch.setattr(os, "fsync", lambda file: (threads.append(threading.current_thread().name), fsync(file))[1])
        monkeypatch.setattr(
            OperationStore, "_write", lambda *args, **how: (threads.append(threading.current_thread().name), write(*args, **how))[1]
        )
        request = method.request(requests=[SAMPLE], output_config={"gcs_destination": {"uri": "gs://photos/run/"}})
        await vision.call(Call(method, request, {"x-vision-emulator-pace": "instant"}))
        await (await storage.bucket("photos")).write("cat.jpg", b"photo", "image/jpeg")
        await (await storage.bucket("photos")).delete("cat.jpg")
    assert threading.main_thread().name not in threads
    assert "operations_0" in threads


async def test_what_a_call_did_to_an_operation_is_on_the_disk_when_it_is_answered(tmp_path: Path) -> None:
    """Polls, cancelling and deleting: another process that looks the moment after sees them."""
    create = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
    request = create.request(requests=[SAMPLE], output_config={"gcs_destination": {"uri": "gs://photos/run/"}})

    def on_the_disk() -> list[tuple[int, int]]:
        reader = sqlite3.connect(f"file:{tmp_path / 'operations.db'}?mode=ro", uri=True)
        found = reader.execute("SELECT polls, cancelled FROM operations").fetchall()
        reader.close()
        return found

    async with core(Config(data_dir=tmp_path, bucket=("photos",), settings=PLAIN), SystemClock(), Chance()) as (vision, _):
        operation = await vision.call(Call(create, request, {"x-vision-emulator-pace": "polls:9"}))
        await vision.operations.drain()
        for rpc, kept in (("GetOperation", [(1, 0)]), ("CancelOperation", [(1, 1)]), ("DeleteOperation", [])):
            method = METHODS[f"/google.longrunning.Operations/{rpc}"]
            await vision.call(Call(method, method.request(name=operation.name), {}))
            assert on_the_disk() == kept


# ---- a folder has one server ----


def test_a_second_server_on_a_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2 and a line that names the process that is there; export and import are refused likewise."""
    folder = tmp_path / "data"
    with VisionEmulator(data_dir=folder):
        said = f"{folder} is in use by another emulator (process {os.getpid()}): stop that one, or name another folder"
        with pytest.raises(InUse, match="in use by another emulator"), VisionEmulator(data_dir=folder):
            pass
        for command in (["serve", "--port", "0"], ["export", str(tmp_path / "x.tar")]):
            assert main([*command, "--data-dir", str(folder)]) == 2
            assert capsys.readouterr().err.splitlines()[-1] == f"vision-emulator: {said}"
    with VisionEmulator(data_dir=folder):
        pass


def test_a_lock_of_a_process_that_is_no_more_is_none(tmp_path: Path) -> None:
    """Whatever ended the process: its lock ends with it, though the file with its number stays."""
    (tmp_path / "lock").write_text("1\n")
    with DataDirectory(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) & 0o077 == 0o044  # as it was: only what is made is its owner's alone


def test_only_its_owner_looks_into_a_folder_that_was_made(tmp_path: Path) -> None:
    """Pictures and requests are nobody else's business."""
    with VisionEmulator(data_dir=tmp_path / "deep" / "data"):
        pass
    assert stat.S_IMODE((tmp_path / "deep" / "data").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be, a damaged database: exit code 2, and what to do."""
    (tmp_path / "file").write_text("")
    assert main(["serve", "--port", "0", "--data-dir", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("vision-emulator: [Errno 17] File exists: ")
    (tmp_path / "operations.db").write_bytes(b"no database" * 1000)
    assert main(["serve", "--port", "0", "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"vision-emulator: {tmp_path}/operations.db: it is damaged or no database: file is not a database. "
        "Move the file away to begin without operations; the buckets beside it stay.\n"
    )
    with pytest.raises(ValueError, match="data_dir and buckets exclude each other"):
        Config(data_dir=tmp_path, buckets=tmp_path)


def test_commands_without_a_server_leave_the_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """annotate works while a server has the folder that the environment names."""
    from pictures import drawn

    (tmp_path / "cat.jpg").write_bytes(drawn(1))
    monkeypatch.setenv("VISION_EMULATOR_DATA_DIR", str(tmp_path / "data"))
    with DataDirectory(tmp_path / "data"):
        assert main(["annotate", str(tmp_path / "cat.jpg"), "--feature", "LABEL_DETECTION"]) == 0


# ---- buckets and operations after a restart; archives ----


async def filled(folder: Path) -> dict[str, Any]:
    """A state with objects of all kinds of names, what is said of them, and an operation; what a client sees of it."""
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
    async with core(Config(data_dir=folder, bucket=("photos", "empty"), settings=PLAIN), SystemClock(), Chance()) as (vision, storage):
        bucket = storage.find("photos")  # type: ignore[attr-defined]
        for name in NAMES:
            await bucket.put(name, name.encode(), Attributes("image/png", cache_control="no-store", metadata={"name": name}))
        bucket.configure({"labels": {"kept": "yes"}})
        (folder / "buckets" / "photos" / "dropped.png").write_bytes(b"by hand")
        (folder / "buckets" / "photos" / "link.png").symlink_to(folder / "lock")
        request = method.request(requests=[SAMPLE], output_config={"gcs_destination": {"uri": "gs://photos/run/"}})
        await vision.call(Call(method, request, {"x-vision-emulator-pace": "instant"}))
    return await seen(folder)


async def seen(folder: Path) -> dict[str, Any]:
    """What a client sees of a state."""
    async with core(Config(data_dir=folder, settings=PLAIN), SystemClock(), Chance()) as (vision, storage):
        assert isinstance(storage, DirectoryStorage)
        found: dict[str, Any] = {"operations": [operation.SerializeToString() for operation in vision.operations.list()]}
        for name in storage.names():
            bucket = storage.find(name)
            assert bucket is not None
            found[name] = [bucket.info, *[await bucket.content(info.name) async for info in bucket.list()]]
        return found


async def test_a_state_is_carried_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """export and import: every object with all that is said of it, its generation too, buckets with their settings, and operations."""
    before = await filled(tmp_path / "data")
    assert len(before["operations"]) == 1
    assert len(before["photos"]) == len(NAMES) + 3
    for archive in ("state.tar", "state.tar.gz"):
        flags = ["--data-dir", str(tmp_path / "data")]
        assert main(["export", str(tmp_path / archive), *flags]) == 0
        copy = tmp_path / f"copy of {archive}"
        assert main(["import", str(tmp_path / archive), "--data-dir", str(copy)]) == 0
        assert capsys.readouterr().out.endswith(f"files of {tmp_path / archive} are in {copy}\n")
        assert await seen(copy) == before
        assert main(["import", str(tmp_path / archive), "--data-dir", str(copy)]) == 2
        assert f"{copy} holds a state already" in capsys.readouterr().err
    assert list(tmp_path.glob("*.partial")) == []
    assert (tmp_path / "state.tar").stat().st_size > (tmp_path / "state.tar.gz").stat().st_size


def archive_of(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """A tar file of these; None makes a symbolic link."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content or b"")
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member, io.BytesIO(content or b""))
    return path


def database(tmp_path: Path) -> bytes:
    store = OperationStore(tmp_path / "made.db")
    store.put(Row("0a", "operations/0a", "/m", "auto", 1.0, 1.0, response=b""))
    store.close()
    return (tmp_path / "made.db").read_bytes()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../outside", b"x")], "'../outside' is no part of one"),
        ([("buckets/../../outside", b"x")], "is no part of one"),
        ([("/etc/outside", b"x")], "is no part of one"),
        ([("buckets/photos/link", None)], "is neither a file nor a folder"),
        ([("buckets/photos/cat.jpg", b"x")], "there is no operations.db in it"),
        ([("operations.db", b"no database" * 1000)], "file is not a database"),
    ],
)
def test_what_is_no_exported_state_is_refused_whole(tmp_path: Path, members: list[tuple[str, bytes | None]], said: str) -> None:
    """Nothing is written outside the folder, and nothing is left in it."""
    archive = archive_of(tmp_path / "x.tar", *members)
    with DataDirectory(tmp_path / "data") as data:
        with pytest.raises(ArchiveRefused, match=said):
            data.restore(archive)
        assert data.is_empty
    assert inside(tmp_path / "data") == ["lock"]
    assert inside(tmp_path) == ["data", "x.tar"]


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    """Half a download is no state."""
    whole = archive_of(tmp_path / "x.tar", ("operations.db", database(tmp_path)), ("buckets/photos/cat.jpg", b"x" * 5000))
    whole.write_bytes(whole.read_bytes()[:-8_000])
    with DataDirectory(tmp_path / "data") as data, pytest.raises(ArchiveRefused, match="damaged"):
        data.restore(whole)
    assert inside(tmp_path / "data") == ["lock"]


def test_an_import_that_is_killed_leaves_all_or_nothing(tmp_path: Path, disk: Disk) -> None:
    """Whichever call is its last one: the next start finds no state, or the whole of it."""
    archive = archive_of(tmp_path / "x.tar", ("operations.db", database(tmp_path)), ("buckets/photos/cat.jpg", b"photo"))
    outcomes = set()
    for at in range(20):
        folder = tmp_path / str(at)
        disk.heal()
        with DataDirectory(folder) as data:
            disk.fail(errno.EIO, at)
            with contextlib.suppress(OSError):
                data.restore(archive)
            disk.heal()
        with DataDirectory(folder) as data:
            outcomes.add(data.is_empty)
            if not data.is_empty:
                assert (data.buckets / "photos" / "cat.jpg").read_bytes() == b"photo"
                store = OperationStore(data.operations)
                assert [row.id for row in store.load().operations] == ["0a"]
                store.close()
        assert set(inside(folder)) <= {"lock", "buckets", "operations.db"}
    assert outcomes == {True, False}


def test_an_export_that_fails_leaves_the_old_archive(tmp_path: Path, disk: Disk) -> None:
    """An archive is replaced when the new one is whole; what cannot be exported is said in a sentence."""
    with DataDirectory(tmp_path / "data") as data:
        with pytest.raises(ArchiveRefused, match="holds no state"):
            data.export(tmp_path / "x.tar")
        OperationStore(data.operations).close()
        with pytest.raises(ArchiveRefused, match="name a place outside it"):
            data.export(tmp_path / "data" / "x.tar")
        (tmp_path / "x.tar").write_bytes(b"the old one")
        disk.fail(errno.ENOSPC, name="fsync")
        with pytest.raises(OSError, match="No space left"):
            data.export(tmp_path / "x.tar")
        disk.heal()
        assert (tmp_path / "x.tar").read_bytes() == b"the old one"
        assert data.export(tmp_path / "x.tar") == 1
    assert inside(tmp_path) == ["data", "x.tar"]


async def test_a_reset_keeps_the_buckets_of_the_folder(tmp_path: Path) -> None:
    """As with --buckets: files are their owner's; operations are forgotten."""
    await filled(tmp_path)
    async with Emulator(Config(port=0, data_dir=tmp_path, settings=PLAIN)) as emulator:
        emulator.reset()
    after = await seen(tmp_path)
    assert after["operations"] == []
    assert len(after["photos"]) == len(NAMES) + 3
