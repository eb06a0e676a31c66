"""Operations that outlive their process: what is kept of them, when, and what becomes of a database that cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesRequest, AsyncBatchAnnotateImagesResponse, OperationMetadata
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, Clock, ManualClock
from vision_emulator.core.operations import Operations, Pace, Record
from vision_emulator.storage.operation_store import APPLICATION_ID, FORMAT, NotKept, OperationStore, Row, Shard, Time, Unusable, Work

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
BETA = METHODS["/google.cloud.vision.v1p4beta1.ImageAnnotator/AsyncBatchAnnotateImages"]
REQUEST = AsyncBatchAnnotateImagesRequest(parent="projects/p")
DONE = AsyncBatchAnnotateImagesResponse(output_config={"batch_size": 7})
ROW = Row("0a", "projects/p/operations/0a", METHOD.grpc_path, "auto", 1.0, 2.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "operations.db"


@dataclass
class Server:
    """One process on the database, as far as operations go."""

    operations: Operations
    store: OperationStore
    clock: Clock

    async def start(self, pace: str = "auto", *, ends: bool = True, method: Any = METHOD, metadata: dict[str, str] | None = None) -> Record:
        record = self.operations.open_record(method, "projects/p", Pace.parse(pace))

        async def work() -> AsyncBatchAnnotateImagesResponse:
            if not ends:
                await asyncio.Event().wait()
            record.answered_by = {"synthetic": 3}
            return DONE

        await self.operations.start(record, work(), Call(method, REQUEST, metadata or {}))
        if ends:
            await record.finished.wait()
        return record

    async def done(self, record: Record) -> bool:
        operation, _ = await self.operations.get(record.name, seconds_left=0)
        return operation.done

    def bytes_of(self, record: Record) -> bytes:
        return self.operations.find(record.name).view(record.name, self.clock.now()).SerializeToString(deterministic=True)


async def done() -> AsyncBatchAnnotateImagesResponse:
    return DONE


@contextlib.asynccontextmanager
async def server(path: Path, clock: Clock | None = None, kept_seconds: float | None = None) -> AsyncIterator[Server]:
    clock = clock or ManualClock()
    store = OperationStore(path)
    try:
        async with Operations(clock, Chance(), Pace("auto"), "p", kept_seconds, store) as operations:
            yield Server(operations, store, clock)
    finally:
        store.close()


# ---- the database ----


async def test_what_was_committed_is_there_again(path: Path) -> None:
    """Operations, their work, their shards and the time come back as they were put, the oldest operation first."""
    store = OperationStore(path)
    later = ROW._replace(id="0b", name="operations/0b", created=0.5, polls=3, revealed=True, cancelled=True, answered_by={"local": 2})
    store.put(ROW, Work(b"asked", {"x-test": "a"}))
    store.put(later, Work(b"", {}))
    store.put_shard("0a", Shard("gs://b/o", b"hash", 1, {"local": 4}))
    store.put_time(Time(5.0, 0.25))
    await store.committed()
    store.close()
    again = OperationStore(path)
    kept = again.load()
    again.close()
    assert list(kept.operations) == [later, ROW]
    assert kept.work == {"0a": Work(b"asked", {"x-test": "a"}), "0b": Work(b"", {})}
    assert kept.shards == {"0a": {"gs://b/o": Shard("gs://b/o", b"hash", 1, {"local": 4})}}
    assert kept.time == Time(5.0, 0.25)


async def test_what_an_operation_was_asked_is_kept_until_it_ends(path: Path) -> None:
    """Ten thousand finished operations need not carry ten thousand requests; forgotten ones leave nothing at all."""
    store = OperationStore(path)
    for name in ("0a", "0b"):
        store.put(ROW._replace(id=name), Work(b"asked", {}))
        store.put_shard(name, Shard("gs://b/o", b"hash", 0, {}))
    await store.committed()
    store.put(ROW._replace(response=b"done"))
    store.forget("0b")
    await store.committed()
    kept = store.load()
    store.close()
    assert [row.id for row in kept.operations] == ["0a"]
    assert (kept.work, kept.shards) == ({}, {})


async def test_callers_that_wait_together_share_a_commit(path: Path) -> None:
    """Each caller's operation is on the disk when it is answered, and a hundred of them at once cost a few transactions."""
    store = OperationStore(path)
    written: list[int] = []
    write = store._write
    store._write = lambda batch, **how: (written.append(len(batch)), write(batch, **how))[1]  # type: ignore[method-assign]

    async def put(number: int) -> None:
        store.put(ROW._replace(id=str(number)), Work(b"", {}))
        await store.committed()

    await asyncio.gather(*(put(number) for number in range(100)))
    assert sum(written) == 200
    assert len(written) < 50
    store.close()


async def test_a_full_disk_is_said_and_nothing_is_lost(path: Path) -> None:
    """What cannot be written waits, once for each operation however often it changes, and is written when there is room again."""
    store = OperationStore(path)
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    store.put(ROW, Work(b"x" * 100_000, {}))
    for polls in range(3):
        store.put(ROW._replace(polls=polls))
        with pytest.raises(NotKept, match=r"operations\.db: database or disk is full"):
            await store.committed()
    assert not store.settled
    assert store.load().operations == []
    store._database.execute("PRAGMA max_page_count = 1000000")
    await store.committed()
    assert store.settled
    assert store.load().operations == [ROW._replace(polls=2)]
    assert store.load().work["0a"].request == b"x" * 100_000
    store.close()


def test_only_its_owner_reads_the_database(path: Path) -> None:
    """Requests may hold what others should not see: the file and those beside it are their owner's alone."""
    store = OperationStore(path)
    store.put_time(Time(1, 0))
    store._commit()
    files = list(path.parent.glob("operations.db*"))
    assert len(files) > 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    store.close()
    assert list(path.parent.glob("operations.db*")) == [path]


def broken(path: Path, how: str) -> None:
    if how == "no database":
        path.write_bytes(b"never a database " * 1000)
        return
    if how == "another program's":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (x)")
        other.close()
        return
    store = OperationStore(path)
    store.put(ROW._replace(response=DONE.SerializeToString()))
    for number in range(500):
        store.put(ROW._replace(id=f"{number:04}", response=b"x" * 100))
    store._commit()
    if how == "newer":
        store._database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    store.close()
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-10_000])
    if how == "overwritten":
        content = bytearray(path.read_bytes())
        content[8192:20480] = b"\xff" * 12288
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no database", "file is not a database"),
        ("another program's", "it is the database of another program"),
        ("newer", f"its format is {FORMAT + 1}, and this version of the program reads format {FORMAT}"),
        ("cut", "it is damaged"),
        ("overwritten", "it is damaged"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(path: Path, how: str, said: str) -> None:
    """The refusal names the file, what is wrong and what to do; the file stays as it is."""
    broken(path, how)
    before = path.read_bytes()
    with pytest.raises(Unusable, match=f"(?s){path}: .*{said}.*Move the file away"):
        OperationStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", ["method = '/nowhere'", "pace = 'soon'", "error = x'ff'", "response = x'ff'", "answered_by = '{'"])
async def test_a_record_that_means_nothing_is_refused(path: Path, change: str) -> None:
    """A database that is sound but holds what no version of the program wrote is not half understood."""
    async with server(path) as first:
        await first.start()
    database = sqlite3.connect(path)
    database.execute(f"UPDATE operations SET {change}")  # noqa: S608 - the parameter of this test
    database.commit()
    database.close()
    with pytest.raises(Unusable):
        async with server(path):
            pass


# ---- operations on it ----


async def test_a_result_is_the_same_in_the_next_process(path: Path) -> None:
    """To the byte, also a beta's, and also who answered is still known."""
    async with server(path) as first:
        records = [await first.start(), await first.start(method=BETA)]
        before = [first.bytes_of(record) for record in records]
    async with server(path) as second:
        assert [second.bytes_of(record) for record in records] == before
        operation, record = await second.operations.get(records[1].name)
        assert operation.response.type_url.endswith("v1p4beta1.AsyncBatchAnnotateImagesResponse")
        assert AsyncBatchAnnotateImagesResponse.FromString(operation.response.value) == DONE
        assert record.answered_by == {"synthetic": 3}
        assert list(second.operations.unfinished()) == []


async def test_an_acknowledged_operation_is_on_the_disk(path: Path) -> None:
    """When the create call answers, another process could read what was asked; credentials are not in the file."""
    async with server(path) as first:
        secrets = {"authorization": "Bearer hidden-1", "x-goog-api-key": "hidden-2", "x-test": "shown"}
        record = await first.start(ends=False, metadata=secrets)
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            said = reader.execute("SELECT request, metadata FROM work").fetchall()
        reader.close()
        assert said == [(REQUEST.SerializeToString(), '{"x-test":"shown"}')]
    assert b"hidden" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    async with server(path) as second:
        ((again, call),) = second.operations.unfinished()
        assert (again.name, again.created, call.method, call.request) == (record.name, record.created, METHOD, REQUEST)
        assert call.metadata == {"x-test": "shown"}


async def test_an_orderly_end_cancels_nothing(path: Path) -> None:
    """Work that is cut off by the end of the server is not cancelled: the next one goes on with it."""
    async with server(path) as first:
        record = await first.start(ends=False)
    async with server(path) as second:
        ((again, _),) = second.operations.unfinished()
        assert again.name == record.name
        assert again.result is None
        second.operations.resume(again, done())
        await again.finished.wait()
        assert await second.done(record)
    async with server(path) as third:
        assert list(third.operations.unfinished()) == []
        assert await third.done(record)


async def test_what_cannot_be_kept_is_not_begun(path: Path) -> None:
    """With a full disk the create call is refused in a sentence, no work runs, and nothing of it turns up later."""
    async with server(path) as first:
        (pages,) = first.store._database.execute("PRAGMA page_count").fetchone()
        first.store._database.execute(f"PRAGMA max_page_count = {pages}")
        REQUEST.parent = "projects/" + "p" * 100_000
        try:
            with pytest.raises(
                VisionError, match=r"not begun, since it cannot be kept: operations\.db: database or disk is full"
            ) as refusal:
                await first.start()
        finally:
            REQUEST.parent = "projects/p"
        assert refusal.value.code == Code.UNAVAILABLE
        assert (list(first.operations), first.operations.running) == ([], 0)
        first.store._database.execute("PRAGMA max_page_count = 1000000")
        record = await first.start()
    async with server(path) as second:
        assert [again.name for again in second.operations] == [record.name]
        assert list(second.operations.unfinished()) == []


async def test_a_server_whose_disk_is_full_still_answers(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Results that cannot be kept are shown all the same, the log says once that they are not kept, and once that they are again."""
    async with server(path) as first:
        record = await first.start("polls:1")
        first.store._database.execute("PRAGMA query_only = ON")
        assert not await first.done(record)
        assert await first.done(record)
        assert await first.done(record)
        first.store._database.execute("PRAGMA query_only = OFF")
        assert await first.done(record)
    said = [entry.getMessage() for entry in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("what happens to operations is not kept until this is over: operations.db: attempt to write a readonly")
    assert said[1] == "what happened to operations is kept again"
    async with server(path) as second:
        assert second.operations.find(record.name).polls == 4


async def test_a_poll_while_the_end_is_being_kept_undoes_nothing(path: Path) -> None:
    """What is kept of an operation never goes back from ended to running, whoever changes something about it at that moment."""
    async with server(path) as first:
        record = first.operations.open_record(METHOD, "projects/p", Pace.parse("polls:1"))
        may_end, writing, may_write = asyncio.Event(), threading.Event(), threading.Event()

        async def work() -> AsyncBatchAnnotateImagesResponse:
            await may_end.wait()
            return DONE

        await first.operations.start(record, work(), Call(METHOD, REQUEST, {}))
        write = first.store._write

        def slow(batch: Any, *, durably: bool) -> None:
            writing.set()
            may_write.wait()
            write(batch, durably=durably)

        first.store._write = slow  # type: ignore[method-assign]
        may_end.set()
        await asyncio.to_thread(writing.wait)
        poll = asyncio.get_running_loop().create_task(first.done(record))
        await asyncio.wait([poll], timeout=0.01)  # a moment to put what it changes; it cannot end
        may_write.set()
        assert not await poll
        await record.finished.wait()
    async with server(path) as second:
        assert list(second.operations.unfinished()) == []
        assert await second.done(record)


async def test_polls_are_counted_on(path: Path) -> None:
    """polls:3 finds it done on the fourth poll, whichever processes the polls went to."""
    async with server(path) as first:
        record = await first.start("polls:3")
        assert [await first.done(record) for _ in range(2)] == [False, False]
    async with server(path) as second:
        assert [await second.done(record) for _ in range(2)] == [False, True]
    async with server(path) as third:
        assert third.operations.find(record.name).visible(third.clock.now())


async def test_a_stopped_clock_stands_still_between_processes(path: Path) -> None:
    """With a manual clock seconds:30 ends thirty told seconds after the start, wherever the process ended in between."""
    async with server(path, Clock("manual")) as first:
        record = await first.start("seconds:30")
        first.clock.advance(20)
    async with server(path, Clock("manual")) as second:
        second.clock.advance(9)
        assert not await second.done(record)
    async with server(path, Clock("manual")) as third:
        third.clock.advance(1.1)
        assert await third.done(record)


async def test_a_clock_that_was_moved_on_does_not_go_back(path: Path) -> None:
    """What was seen done because an hour was skipped is done in the next process, too, where nobody skips one."""
    async with server(path, Clock("system")) as first:
        record = await first.start("seconds:3600")
        first.clock.advance(3601)
        assert await first.done(record)
        await first.operations.kept()
        now = first.clock.now()
    async with server(path, Clock("system")) as second:
        assert await second.done(record)
        assert second.clock.now() > now


@pytest.mark.parametrize("ends", [True, False])
async def test_cancelled_stays_cancelled(path: Path, ends: bool) -> None:
    """An operation whose cancelling was acknowledged is not gone on with, hidden result or none."""
    async with server(path) as first:
        record = await first.start("never", ends=ends)
        first.operations.cancel(record.name)
        await first.operations.kept()
        await first.operations.find(record.name).finished.wait()
        await first.operations.kept()
        before = first.bytes_of(record)
    async with server(path) as second:
        assert list(second.operations.unfinished()) == []
        assert second.bytes_of(record) == before
        operation, _ = await second.operations.get(record.name)
        assert operation.error.code == Code.CANCELLED
        assert OperationMetadata.FromString(operation.metadata.value).state == OperationMetadata.CANCELLED


async def test_what_a_test_made_of_an_operation_is_kept(path: Path) -> None:
    """Failed, let be seen, moved a step on, given another pace: so it is in the next process."""
    async with server(path) as first:
        failed, revealed, advanced, paced = [await first.start("never", ends=number > 0) for number in range(4)]
        first.operations.fail(failed.name, errors.VisionError(Code.ABORTED, "a test said so", errors.BadRequest()))
        first.operations.reveal(revealed.name)
        first.operations.advance(advanced.name)
        first.operations.set_pace(paced.name, Pace.parse("polls:1"))
        await first.operations.kept()
    async with server(path) as second:
        operation, _ = await second.operations.get(failed.name)
        assert (operation.error.code, operation.error.message, len(operation.error.details)) == (Code.ABORTED, "a test said so", 1)
        assert await second.done(revealed)
        assert await second.done(advanced)
        assert [await second.done(paced) for _ in range(2)] == [False, True]


async def test_a_deleted_operation_stays_deleted_but_its_work_is_finished(path: Path) -> None:
    """Deleting says only that a client has lost interest: no later process knows the name, and what was accepted is done."""
    async with server(path) as first:
        finished, running = await first.start(), await first.start(ends=False)
        first.operations.delete(finished.name)
        first.operations.delete(running.name)
        await first.operations.kept()
    async with server(path) as second:
        assert list(second.operations) == []
        ((again, _),) = second.operations.unfinished()
        assert again.name == running.name
        second.operations.resume(again, done())
        assert list(second.operations) == []
        await again.finished.wait()
    async with server(path) as third:
        assert (list(third.operations), list(third.operations.unfinished())) == ([], [])
        assert third.store.load().operations == []


async def test_old_operations_leave_the_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retention by age and by number holds for the disk as for memory."""
    monkeypatch.setattr(limits, "OPERATIONS_KEPT_MAX", 2)
    async with server(path, kept_seconds=10) as first:
        records = [await first.start() for _ in range(3)]
        await first.operations.kept()
        assert [row.name for row in first.store.load().operations] == [record.name for record in records[1:]]
        first.clock.advance(11)
        assert list(first.operations) == []
        await first.operations.kept()
        assert first.store.load().operations == []


async def test_what_became_old_meanwhile_is_forgotten_at_the_start(path: Path) -> None:
    """An operation whose time is over while no server runs is not known to the next."""
    async with server(path, ManualClock(1000.0)) as first:
        await first.start()
    async with server(path) as second:
        second.clock.advance(11)
    async with server(path, kept_seconds=10) as third:
        assert list(third.operations) == []


async def test_a_reset_leaves_nothing(path: Path) -> None:
    """After a reset no operation is known, running or done, and the next process knows none either; one project's leaves the others."""
    async with server(path) as first:
        await first.start()
        await first.start(ends=False)
        first.operations.reset("another")
        assert len(list(first.operations)) == 2
        first.operations.reset()
        await first.operations.drain()
        await first.operations.kept()
    async with server(path) as second:
        assert (list(second.operations), list(second.operations.unfinished())) == ([], [])


def test_the_database_says_whose_it_is(path: Path) -> None:
    """Tools that know SQLite files by their header can tell ours."""
    OperationStore(path).close()
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID
