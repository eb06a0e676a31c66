"""Long-running operations: work is done at once; what a client sees is a pure function of the record, the clock and the polls.

An operation has one id and is reachable under all four forms of its name, because clients and Google's own pages mix them:
``operations/ID``, ``projects/P/operations/ID``, ``projects/P/locations/L/operations/ID``, ``locations/L/operations/ID``.

With a store an operation outlives the process: what was answered is on the disk before, and work that was cut off is gone on with.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import re
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from google.protobuf.message import DecodeError, Message

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import TYPE_URL, V1, AnyMessage, Operation, OperationMetadata, Status, Timestamp, message_class
from vision_emulator.contract.methods import METHODS, Call, Method
from vision_emulator.control import journal
from vision_emulator.control.clock import Chance, Clock
from vision_emulator.storage import Bucket, GcsUri, StorageError
from vision_emulator.storage.operation_store import Kept, NotKept, OperationStore, Row, Shard, Time, Unusable, Work

log = logging.getLogger(__name__)

ID_DIGITS: Final = 16  # recorded: 16 lower-case hex digits
POLLS_DIGITS_MAX: Final = 9  # of polls:N; Python refuses to read thousands of digits
_NAME: Final = re.compile(r"(?:projects/[^/]+/)?(?:locations/[^/]+/)?operations/(?P<id>[^/]+)")


@dataclass(frozen=True, slots=True)
class Pace:
    """When a client gets to see that an operation is done. ``number`` is N of polls:N, S of seconds:S."""

    kind: str
    number: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Reads ``auto``, ``instant``, ``polls:N``, ``seconds:S``, ``manual`` or ``never``; VisionError for anything else."""
        kind, colon, number = text.strip().partition(":")
        if kind in ("auto", "instant", "manual", "never") and not colon:
            return cls(kind)
        if kind == "polls" and number.isascii() and number.isdigit() and len(number) <= POLLS_DIGITS_MAX:
            return cls(kind, int(number))
        if kind == "seconds":
            try:
                seconds = float(number)
            except ValueError:
                seconds = math.nan
            if 0 <= seconds < math.inf:
                return cls(kind, seconds)
        raise errors.pace_malformed(text)

    def __str__(self) -> str:
        """The text that ``parse`` reads as this pace."""
        return f"{self.kind}:{self.number!r}" if self.kind in ("polls", "seconds") else self.kind


@dataclass(frozen=True, slots=True)
class Poll:
    """One look that a client took at an operation."""

    at: float  # when it came, in seconds since 1970
    kind: str  # "get", "wait"
    transport: str
    user_agent: str
    client: str  # what the client library says of itself in x-goog-api-client
    done: bool  # what the client got to see


@dataclass(slots=True, eq=False)
class Output:
    """What an operation writes to one destination, and how far that is: images or pages, and the files that they fill."""

    destination: str  # gs://bucket/prefix
    count: int  # of images or pages
    batch_size: int
    looked_at: int = 0
    failed: int = 0  # of those looked at
    written: bytearray = field(init=False)  # a byte for each file, 1 when it is there

    def __post_init__(self) -> None:
        self.written = bytearray(-(-self.count // self.batch_size))

    def range_of(self, number: int) -> tuple[int, int]:
        """The first and the last image of a file, both counted from 1, the files from 0."""
        return number * self.batch_size + 1, min((number + 1) * self.batch_size, self.count)

    def uri_of(self, number: int) -> str:
        """Where a file is, or will be."""
        return shard_name(self.destination, *self.range_of(number))


class KeptShards:
    """The files of one operation that outlives the process. What a file is to hold is kept before it is written, as a hash; so after a
    crash it is known of each whether it is whole, and what is whole is left alone, even if its images would be answered otherwise now.
    """

    def __init__(self, store: OperationStore, id_: str, known: Mapping[str, Shard]) -> None:
        self._store = store
        self._id = id_
        self._known = known

    async def whole(self, bucket: Bucket, uri: str) -> Shard | None:
        """What is known of a file that was written before the crash; None when it is still to be written."""
        shard = self._known.get(uri)
        if shard is None:
            return None
        try:
            content = await bucket.read(GcsUri.parse(uri).object)
        except StorageError:  # never written; or it is to be seen by the writing what the matter is
            return None
        return shard if (await asyncio.to_thread(hashlib.sha256, content)).digest() == shard.sha256 else None

    async def begin(self, uri: str, content: bytes, failed: int, answered_by: Mapping[str, int]) -> None:
        """Keeps what a file is to hold; NotKept when that cannot be."""
        self._store.put_shard(self._id, Shard(uri, hashlib.sha256(content).digest(), failed, answered_by))
        await self._store.committed()


@dataclass(slots=True, eq=False)
class Record:
    """One operation: what was asked, how far it is, and how often it was looked at."""

    name: str
    method: Method
    pace: Pace
    created: float  # seconds since 1970, as all times here
    updated: float
    result: Message | VisionError | None = None  # None while the work goes on
    polls: int = 0  # as polls:N counts them
    attempts: int = 0  # of clients to see the result
    looks: deque[Poll] = field(default_factory=lambda: deque(maxlen=limits.POLLS_KEPT_MAX))
    revealed: asyncio.Event = field(default_factory=asyncio.Event)  # somebody lets clients see it, whatever its pace
    cancelled: bool = False  # and with that revealed
    failed: VisionError | None = None  # what somebody made it end with, revealed as well
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    repaced: asyncio.Event = field(default_factory=asyncio.Event)  # replaced when it was set
    task: asyncio.Task[None] | None = None
    answered_by: dict[str, int] = field(default_factory=dict)  # annotator name → features it answered
    outputs: list[Output] = field(default_factory=list)  # begun so far; of a batch of images one, of files one for each
    ending: Message | VisionError | None = None  # the result while it is being kept, before anybody may see it
    shards: KeptShards | None = None  # those files, when the operation outlives the process
    forgotten: bool = False  # by its client, while the work goes on

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    @property
    def project(self) -> str:
        """Whose it is: the project in its name."""
        collection, _, rest = self.name.partition("/")
        return rest.partition("/")[0] if collection == "projects" else ""

    def visible(self, now: float) -> bool:
        """Whether a client may see the result now. Once true it stays true."""
        if self.result is None:
            return False
        if self.revealed.is_set():
            return True
        match self.pace.kind:
            case "polls":
                return self.polls > self.pace.number
            case "seconds":
                return now >= self.created + self.pace.number
            case "manual" | "never":
                return False
            case _:
                return True

    def ended(self, result: Message | VisionError) -> Message | VisionError:
        """What it ends with: work may still succeed or fail in its own way while it is stopped."""
        return errors.operation_cancelled() if self.cancelled else self.failed or result

    def stop(self, failure: VisionError | None = None) -> None:
        """Cancels the work, or ends it with a failure; the end is for all to see."""
        self.cancelled = failure is None
        self.failed = failure
        self.revealed.set()
        if self.task is not None:
            self.task.cancel()

    def state(self, now: float) -> str:
        """How far it is for clients."""
        return "CANCELLED" if self.cancelled else "DONE" if self.visible(now) else "RUNNING"

    def view(self, name: str, now: float) -> Operation:
        """What a client sees now, under the name it asked for."""
        done = self.visible(now)
        metadata = OperationMetadata(state=self.state(now), create_time=_timestamp(self.created), update_time=_timestamp(self.updated))
        operation = Operation(name=name, metadata=_typed(self.method.operation_metadata, metadata), done=done)
        if done:
            if isinstance(self.result, VisionError):
                operation.error.CopyFrom(self.result.status())
            elif self.result is not None:
                operation.response.CopyFrom(_typed(self.method.operation_response, self.result))
        return operation


class Operations:
    """All operations of one server. An async context manager: leaving it stops what still runs."""

    def __init__(
        self,
        clock: Clock,
        chance: Chance,
        pace: Pace,
        project: str,
        kept_seconds: float | None = None,
        store: OperationStore | None = None,
    ) -> None:
        self.pace = pace  # of calls that ask for none
        self.paces: dict[str, Pace] = {}  # of such calls of a project, where that has one of its own
        self._pace_at_first = pace
        self._kept_seconds = kept_seconds  # after their end; None: for good
        self._clock = clock
        self._chance = chance
        self._project = project
        self._records: dict[str, Record] = {}
        self._unfinished: dict[str, Record] = {}  # those whose work goes on, forgotten ones among them
        self._tasks: asyncio.TaskGroup | None = None
        self._store = store
        self._accepted: list[tuple[Record, Call]] = []  # by a process before this one, and not finished
        self._leaving = False
        self._behind = False  # the store, which could not write last time

    async def __aenter__(self) -> Self:
        if self._store is not None:
            self._load(await asyncio.to_thread(self._store.load))
            self._clock.moved = self._put_time
            self._put_time()
            await self._store.committed()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._store is None:
            self.stop()
        else:
            self._leaving = True
            for record in self._unfinished.values():
                if record.task is not None:
                    record.task.cancel()  # cut off, not cancelled: whoever comes next goes on with it
        if self._tasks is not None:
            await self._tasks.__aexit__(None, None, None)  # what went wrong outside is no failure of the work
        if self._store is not None:
            self._clock.moved = None
            self._put_time()
            await self._try_to_keep()

    def __iter__(self) -> Iterator[Record]:
        self._forget_old()
        return iter(list(self._records.values()))

    def pace_of(self, project: str) -> Pace:
        """The pace of a project's calls that ask for none."""
        return self.paces.get(project or self._project, self.pace)

    def open_record(self, method: Method, parent: str, pace: Pace) -> Record:
        """A new operation's record, named after its parent; it is not yet known to clients. VisionError when there are too many."""
        self._forget_oldest()
        now = self._clock.now()
        name = f"{parent or f'projects/{self._project}'}/operations/{self._chance.hex(ID_DIGITS)}"
        return Record(name, method, pace, created=now, updated=now)

    async def start(self, record: Record, work: Coroutine[Any, Any, Message], call: Call | None = None) -> Operation:
        """Starts the work and answers at once, not done and with nothing but the name (recorded); pace ``instant`` answers it done.

        With a store the ``call`` is kept before; VisionError when it cannot be, and then nothing is begun.
        """
        if self._store is not None and call is not None:
            try:
                await self._accept(record, call)
            except BaseException:
                work.close()
                raise
        self._begin(record, work)
        if record.pace.kind == "instant":
            await record.finished.wait()
            return record.view(record.name, self._clock.now())
        return Operation(name=record.name)

    def _begin(self, record: Record, work: Coroutine[Any, Any, Message]) -> None:
        assert self._tasks is not None, "operations are started inside `async with`"
        self._unfinished[record.id] = record
        if not record.forgotten:
            self._records[record.id] = record
        record.task = self._tasks.create_task(self._run(record, work), name=record.name)
        record.task.add_done_callback(lambda _: self._cut_short(record, work))

    async def get(self, name: str, seconds_left: float | None = None, call: Call | None = None) -> tuple[Operation, Record]:
        """One poll: what is to be seen now.

        A poll that would see the result if there were one (pace ``auto``, or the last of ``polls:N``) is held until the work is done,
        at most 5 s and never past the caller's deadline.
        """
        record = self.find(name)
        came = self._clock.now()
        record.polls += 1
        if record.pace.kind == "polls":
            self._put(record)
        last_poll = record.pace.kind == "polls" and record.polls > record.pace.number
        if record.pace.kind == "auto" or last_poll or record.revealed.is_set():
            await self._finished(record, _within(limits.POLL_HELD_SECONDS_MAX, seconds_left))
        await self.kept()  # what is to be seen: it must not be unseen after a crash
        return self._looked(record, name, "get", came, call), record

    async def wait(
        self, name: str, seconds: float | None, seconds_left: float | None = None, call: Call | None = None
    ) -> tuple[Operation, Record]:
        """Holds until the operation is to be seen done, or these seconds or the caller's deadline are over; a wait counts as all polls."""
        record = self.find(name)
        came = self._clock.now()
        allowed = _within(min(limits.WAIT_SECONDS_MAX, math.inf if seconds is None else seconds), seconds_left)
        try:
            async with asyncio.timeout(allowed):
                await record.finished.wait()
                await self._shown(record)
        except TimeoutError:
            pass  # the answer says how far it is
        if record.pace.kind == "polls":
            self._put(record)
        await self.kept()
        return self._looked(record, name, "wait", came, call), record

    def _looked(self, record: Record, name: str, kind: str, came: float, call: Call | None) -> Operation:
        """What a client sees, which is kept for the report on how it polled."""
        operation = record.view(name, self._clock.now())
        said = {} if call is None else call.metadata
        transport = "direct" if call is None else call.transport
        record.attempts += 1
        record.looks.append(Poll(came, kind, transport, said.get("user-agent", ""), said.get("x-goog-api-client", ""), operation.done))
        return operation

    def list(self, scope: str = "", done: bool | None = None) -> list[Operation]:
        """The operations under ``scope`` (``projects/P``, ``projects/P/locations/L``; "" for all), oldest first, each as a client sees
        it now; looking at the list is no poll."""
        self._forget_old()
        now = self._clock.now()
        inside = [record for record in self._records.values() if not scope or record.name.startswith(f"{scope}/")]
        return [record.view(record.name, now) for record in inside if done is None or record.visible(now) == done]

    def cancel(self, name: str) -> None:
        """Stops the work; the operation ends CANCELLED unless a client could already see it done."""
        record = self.find(name)
        if not record.visible(self._clock.now()):
            self._end(record)

    def fail(self, name: str, failure: VisionError) -> bool:
        """Stops the work; the operation ends with this failure, unless a client could already see it done: False then."""
        record = self.find(name)
        if record.visible(self._clock.now()):
            return False
        self._end(record, failure)
        return True

    def advance(self, name: str) -> None:
        """One step nearer to being seen done: a poll of ``polls:N``, and for every other pace the last step there is."""
        record = self.find(name)
        if record.pace.kind == "polls":
            record.polls += 1
            _wake(record)
        else:
            record.revealed.set()
        self._put(record)

    def set_pace(self, name: str, pace: Pace) -> None:
        """Another pace from now on; who waits for the operation waits by it."""
        record = self.find(name)
        record.pace = pace
        self._put(record)
        _wake(record)

    def _end(self, record: Record, failure: VisionError | None = None) -> None:
        record.stop(failure)
        if record.result is not None:  # finished behind the curtain of its pace
            self._finish(record, errors.operation_cancelled())
        self._put(record)

    def delete(self, name: str) -> None:
        """Forgets the operation; its work goes on (documented: deleting says only that the client has lost interest)."""
        record = self.find(name)
        record.revealed.set()  # nobody else could, and somebody may be waiting
        self._drop(record)

    def _drop(self, record: Record) -> None:
        """Knows an operation no longer; what it still has to do is kept as long as that goes on."""
        del self._records[record.id]
        record.forgotten = True
        if self._store is not None and record.id in self._unfinished:
            self._put(record)
        elif self._store is not None:
            self._store.forget(record.id)

    def reveal(self, name: str) -> None:
        """Lets clients see the result of an operation as soon as there is one, whatever its pace."""
        record = self.find(name)
        record.revealed.set()
        self._put(record)

    def owner(self, name: str) -> str:
        """Whose operation it is, whichever form of its name is said; "" when there is none."""
        record = self._records.get(name.rpartition("/")[2])
        return record.project if record else ""

    def find(self, name: str) -> Record:
        """The record behind any of the four forms of a name; VisionError when the name is malformed or unknown."""
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise errors.operation_name_malformed(name)
        record = self._records.get(parts["id"])
        if record is not None and self._is_old(record):
            self._drop(record)
            record = None
        if record is None:
            raise errors.operation_not_found(name)
        return record

    @property
    def running(self) -> int:
        """How many operations have work going on."""
        return len(self._unfinished)

    async def drain(self) -> None:
        """Returns when no accepted work is left."""
        while self._unfinished:
            await next(iter(self._unfinished.values())).finished.wait()

    def stop(self, project: str = "") -> None:
        """Cancels all work that still runs, or one project's."""
        for record in self._unfinished.values():
            if project in ("", record.project):
                record.stop()

    def reset(self, project: str = "") -> None:
        """Stops all work and forgets every operation, or one project's; who waits for one waits no longer."""
        self.stop(project)
        if project:
            self.paces.pop(project, None)
        else:
            self.pace = self._pace_at_first
            self.paces.clear()
        for record in self:
            if project in ("", record.project):
                record.revealed.set()
                self._drop(record)
        if self._store is not None:  # the work of those that clients had forgotten before is stopped, too
            for record in self._unfinished.values():
                if project in ("", record.project):
                    record.forgotten = True
                    self._store.forget(record.id)

    async def _run(self, record: Record, work: Coroutine[Any, Any, Message]) -> None:
        try:
            result: Message | VisionError = await work
        except VisionError as failure:
            result = failure
        except asyncio.CancelledError:
            result = errors.operation_cancelled()
        except Exception:  # a bug must not take the other operations with it
            log.exception("%s failed", record.name)
            result = errors.internal()
        if self._store is not None and record.shards is not None and not self._leaving:
            record.updated = self._clock.now()
            await self._keep_end(record, result)
            self._finish(record, result, record.updated)
        else:
            self._finish(record, result)

    def _cut_short(self, record: Record, work: Coroutine[Any, Any, Message]) -> None:
        """A task cancelled before its first step never ran a line of ``_run``."""
        if record.result is None:
            work.close()
            self._finish(record, errors.operation_cancelled())

    def _finish(self, record: Record, result: Message | VisionError, updated: float | None = None) -> None:
        record.result = record.ended(result)
        record.updated = self._clock.now() if updated is None else updated
        record.finished.set()
        self._unfinished.pop(record.id, None)
        if (record.cancelled or record.failed) and not record.forgotten:
            self._put(record)  # whoever stopped it could not know when it would end

    async def _finished(self, record: Record, seconds: float) -> None:
        if not record.finished.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await record.finished.wait()
            except TimeoutError:
                pass  # the answer says that it is still running

    async def _shown(self, record: Record) -> None:
        """Returns when a finished operation's time has come, or when it is revealed."""
        loop = asyncio.get_running_loop()
        while True:
            if record.pace.kind == "polls":
                record.polls = max(record.polls, int(record.pace.number) + 1)  # who waits need not ask again
            if record.visible(self._clock.now()):
                return
            awaited: list[asyncio.Task[Any]] = [loop.create_task(event.wait()) for event in (record.revealed, record.repaced)]
            if record.pace.kind == "seconds":
                awaited.append(loop.create_task(self._sleep_until(record.created + record.pace.number)))
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in awaited:
                    task.cancel()
            if record.revealed.is_set():
                return

    async def _sleep_until(self, time: float) -> None:
        await self._clock.sleep(time - self._clock.now())

    def _is_old(self, record: Record) -> bool:
        ended = record.result is not None and self._kept_seconds is not None
        return ended and self._clock.now() >= record.updated + (self._kept_seconds or 0.0)

    def _forget_old(self) -> None:
        if self._kept_seconds is not None:
            for record in [record for record in self._records.values() if self._is_old(record)]:
                self._drop(record)

    def _forget_oldest(self) -> None:
        self._forget_old()
        if len(self._records) >= limits.OPERATIONS_KEPT_MAX:
            oldest = next((record for record in self._records.values() if record.result is not None), None)
            if oldest is None:
                raise errors.too_many_operations()
            self._drop(oldest)

    # ---- what outlives the process ----

    def unfinished(self) -> Iterable[tuple[Record, Call]]:
        """What a process before this one has accepted and not finished, the oldest first; to be handed to ``resume`` with its work."""
        accepted, self._accepted = self._accepted, []
        return accepted

    def resume(self, record: Record, work: Coroutine[Any, Any, Message]) -> None:
        """Goes on with an operation."""
        self._begin(record, work)

    async def kept(self) -> None:
        """Returns when all that changed is on the disk, which a caller is then told; at once without a store. What cannot be written is
        said in the log and written later."""
        if self._store is not None and not self._store.settled:
            await self._try_to_keep()

    async def _accept(self, record: Record, call: Call) -> None:
        assert self._store is not None
        metadata = {name: value for name, value in call.metadata.items() if journal.shown(name, value) == value}  # no secrets
        self._store.put(_row(record, None), Work(call.request.SerializeToString(), metadata))
        self._put_time()
        try:
            await self._store.committed()
        except NotKept as failure:
            self._store.forget(record.id)
            log.warning("an operation is refused, since it cannot be kept: %s", failure)
            raise errors.operation_not_kept(str(failure)) from failure
        record.shards = KeptShards(self._store, record.id, {})

    async def _keep_end(self, record: Record, result: Message | VisionError) -> None:
        """Keeps the result before anybody sees it: what was done stays done."""
        assert self._store is not None
        record.ending = result
        if record.forgotten:
            self._store.forget(record.id)
        else:
            self._put(record)
            self._put_time()
        with contextlib.suppress(asyncio.CancelledError):  # stopped meanwhile; whoever did that has put the end that it has now
            await self._try_to_keep()

    async def _try_to_keep(self) -> None:
        assert self._store is not None
        try:
            await self._store.committed()
        except NotKept as failure:
            if not self._behind:
                log.warning("what happens to operations is not kept until this is over: %s", failure)
            self._behind = True
        else:
            if self._behind:
                log.warning("what happened to operations is kept again")
            self._behind = False

    def _put(self, record: Record) -> None:
        if self._store is not None and record.shards is not None:
            result = record.result or record.ending or (errors.internal() if record.cancelled or record.failed else None)
            self._store.put(_row(record, result and record.ended(result)))

    def _put_time(self) -> None:
        if self._store is not None:
            self._store.put_time(Time(self._clock.now(), self._clock.ahead))

    def _load(self, kept: Kept) -> None:
        """Everything as it was; Unusable when a record means nothing to this version of the program."""
        assert self._store is not None
        if kept.time is not None:
            self._clock.go_on(*kept.time)
        for row in kept.operations:
            if row.forgotten and row.ended:
                self._store.forget(row.id)
                continue
            try:
                record = _record(row)
                record.shards = KeptShards(self._store, row.id, kept.shards.get(row.id, {}))
                if not row.ended:
                    work = kept.work[row.id]
                    self._accepted.append((record, Call(record.method, record.method.request.FromString(work.request), work.metadata)))
            except (DecodeError, KeyError, ValueError, VisionError) as failure:
                raise Unusable(f"operation {row.name} is kept, but cannot be read: {failure!r}") from failure
            if not row.forgotten:
                self._records[row.id] = record
        self._forget_old()


def shard_name(prefix: str, first: int, last: int) -> str:
    """What the output file of these responses is called: plain concatenation, no slash put in, no zeros (recorded)."""
    return f"{prefix}output-{first}-to-{last}.json"


def _row(record: Record, result: Message | VisionError | None) -> Row:
    """An operation as it is kept, with this result."""
    failure = result if isinstance(result, VisionError) else None
    return Row(
        record.id,
        record.name,
        record.method.grpc_path,
        str(record.pace),
        record.created,
        record.updated,
        record.polls,
        record.revealed.is_set(),
        record.cancelled,
        record.forgotten,
        failure.status().SerializeToString() if failure else None,
        result.SerializeToString() if isinstance(result, Message) else None,
        record.answered_by,
    )


def _record(row: Row) -> Record:
    """The operation that was kept."""
    method = METHODS[row.method]
    record = Record(row.name, method, Pace.parse(row.pace), row.created, row.updated, polls=row.polls, cancelled=row.cancelled)
    record.answered_by = dict(row.answered_by)
    record.forgotten = row.forgotten
    if row.revealed:
        record.revealed.set()
    if row.error is not None:
        status = Status.FromString(row.error)
        details = [message_class(detail.type_url.removeprefix(TYPE_URL)).FromString(detail.value) for detail in status.details]
        record.result = VisionError(errors.Code(status.code), status.message, *details)
    elif row.response is not None:
        of_v1 = method.operation_response.replace(f"{method.package}.", f"{V1}.", 1)
        record.result = message_class(of_v1).FromString(row.response)
    if row.ended:
        record.finished.set()
    return record


def _wake(record: Record) -> None:
    """Lets everybody who waits for the operation look at its pace again."""
    record.repaced.set()
    record.repaced = asyncio.Event()


def _within(seconds: float, seconds_left: float | None) -> float:
    """So long, but answering in time for the caller's deadline."""
    if seconds_left is None:
        return seconds
    return max(0.0, min(seconds, seconds_left - limits.DEADLINE_SLACK_SECONDS))


def _typed(full_name: str, message: Message) -> AnyMessage:
    """An Any under the name its own API version gives the type; a beta's messages are v1's under another name."""
    return AnyMessage(type_url=TYPE_URL + full_name, value=message.SerializeToString())


def _timestamp(seconds: float) -> Timestamp:
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return Timestamp(seconds=whole, nanos=micros * 1000)
