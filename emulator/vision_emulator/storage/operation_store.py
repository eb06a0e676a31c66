"""What outlives the process of operations: a SQLite database with what each was asked, how far it is and what it ended with.

Everything that is put here waits in memory until ``committed`` is awaited; whatever waits then goes into one transaction, in a thread of
its own. So callers that come while one commit goes on share the next. One operation waits at most once, however often it was put.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from vision_emulator.storage import StorageError

log = logging.getLogger(__name__)

FORMAT: Final = 1  # of the tables; counted on when they change
APPLICATION_ID: Final = 0x56454D55  # "VEMU": tells our databases from those of other programs
BUSY_SECONDS: Final = 5.0  # for a backup program that reads the file
_TABLES: Final = """
CREATE TABLE operations (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, method TEXT NOT NULL, pace TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    polls INTEGER NOT NULL, revealed INTEGER NOT NULL, cancelled INTEGER NOT NULL, forgotten INTEGER NOT NULL,
    error BLOB, response BLOB, answered_by TEXT NOT NULL
);
CREATE TABLE work (id TEXT PRIMARY KEY, request BLOB NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE shards (
    id TEXT NOT NULL, uri TEXT NOT NULL, sha256 BLOB NOT NULL, failed INTEGER NOT NULL, answered_by TEXT NOT NULL, PRIMARY KEY (id, uri)
) WITHOUT ROWID;
CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), now REAL NOT NULL, ahead REAL NOT NULL);
"""
_PUT: Final = """
INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    pace = excluded.pace, updated = excluded.updated, polls = excluded.polls, revealed = excluded.revealed, cancelled = excluded.cancelled,
    forgotten = excluded.forgotten, error = excluded.error, response = excluded.response, answered_by = excluded.answered_by
"""
_UNFINISHED: Final = "SELECT id FROM operations WHERE error IS NULL AND response IS NULL"

Statement = tuple[str, tuple[Any, ...]]


class NotKept(StorageError):
    """The database cannot be written now: the disk is full, read-only or broken."""


class Unusable(StorageError):
    """The state on disk cannot be used; the text says where it is, what is wrong with it and what to do."""


class Row(NamedTuple):
    """One operation. Times in seconds since 1970; ``error`` and ``response`` are serialized messages, both None while work goes on."""

    id: str
    name: str
    method: str  # as gRPC names its path
    pace: str
    created: float
    updated: float
    polls: int = 0
    revealed: bool = False
    cancelled: bool = False
    forgotten: bool = False  # by its client; the work goes on
    error: bytes | None = None
    response: bytes | None = None
    answered_by: Mapping[str, int] = {}

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self.error is not None or self.response is not None


class Work(NamedTuple):
    """What an operation was asked: a serialized request, and the headers of the call without its secrets."""

    request: bytes
    metadata: Mapping[str, str]


class Shard(NamedTuple):
    """What one output file is to hold, or holds already."""

    uri: str
    sha256: bytes
    failed: int  # images or pages with an error
    answered_by: Mapping[str, int]


class Time(NamedTuple):
    """What time it was on the emulator's clock, and how far that was ahead of the machine's."""

    now: float
    ahead: float


class Kept(NamedTuple):
    """All that was found at the start, operations oldest first. Only those without a result have work and shards."""

    operations: Sequence[Row]
    work: Mapping[str, Work]
    shards: Mapping[str, Mapping[str, Shard]]  # by operation and uri
    time: Time | None


class OperationStore:
    """The database in one file, of which this process is the only writer. ``close`` before the file is copied."""

    def __init__(self, path: Path) -> None:
        """Opens the database or makes it; Unusable when it is damaged, or not one that this version of the program can read."""
        self._path = path
        self._pending: dict[tuple[str, ...], Sequence[Statement]] = {}
        self._lock = threading.Lock()  # of what is pending
        self._durably = False
        self._writing = False
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite makes its other files with the permissions of this one
            self._database = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as failure:
            raise self._unusable(f"it is damaged or no database: {failure}") from failure
        self._thread = ThreadPoolExecutor(1, "operations")

    def _prepare(self) -> None:
        database = self._database
        application, version = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if application == version == 0 and database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            database.executescript(f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;")
        elif application != APPLICATION_ID:
            raise self._unusable("it is the database of another program")
        elif version != FORMAT:
            raise self._unusable(f"its format is {version}, and this version of the program reads format {FORMAT}")
        (damage,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise self._unusable(f"it is damaged: {damage}")
        database.execute("PRAGMA journal_mode = WAL")
        for table in ("work", "shards"):
            database.execute(f"DELETE FROM {table} WHERE id NOT IN ({_UNFINISHED})")  # noqa: S608 - constants

    def _unusable(self, why: str) -> Unusable:
        return Unusable(f"{self._path}: {why}. Move the file away to begin without operations; the buckets beside it stay.")

    def close(self) -> None:
        """Writes what is pending, if that can be done, and lets the file go; nothing is left beside it then."""
        self._thread.shutdown()
        try:
            self._commit()
        except NotKept as failure:
            log.warning("what changed last is not kept: %s", failure)
        finally:
            self._database.close()

    def load(self) -> Kept:
        """Everything; Unusable when it cannot be read."""
        read = self._database.execute
        try:
            rows = [
                Row._make((*said[:7], *map(bool, said[7:10]), *said[10:12], orjson.loads(said[12])))
                for said in read("SELECT * FROM operations ORDER BY created, id")
            ]
            work = {id_: Work(request, orjson.loads(metadata)) for id_, request, metadata in read("SELECT * FROM work")}
            shards: dict[str, dict[str, Shard]] = {}
            for id_, uri, sha256, failed, answered_by in read("SELECT * FROM shards"):
                shards.setdefault(id_, {})[uri] = Shard(uri, sha256, failed, orjson.loads(answered_by))
            time = read("SELECT now, ahead FROM clock").fetchone()
        except (sqlite3.Error, ValueError, TypeError) as failure:
            raise self._unusable(f"it is damaged: {failure}") from failure
        return Kept(rows, work, shards, Time(*time) if time else None)

    # ---- what waits for the next commit ----

    def put(self, row: Row, work: Work | None = None) -> None:
        """Keeps an operation as it is now, and when it is new its work. One that has a result needs its work no longer."""
        self._wait(("operation", row.id), [(_PUT, (*row[:12], orjson.dumps(dict(row.answered_by)).decode()))])
        if row.ended:
            self._wait(("work", row.id), _without(row.id, "work", "shards"))
        elif work is not None:
            said = (row.id, work.request, orjson.dumps(dict(work.metadata)).decode())
            self._wait(("work", row.id), [("INSERT OR REPLACE INTO work VALUES (?, ?, ?)", said)])

    def forget(self, id_: str) -> None:
        """Keeps an operation no longer, nor anything of it."""
        self._wait(("operation", id_), _without(id_, "operations"))
        self._wait(("work", id_), _without(id_, "work", "shards"))

    def put_shard(self, id_: str, shard: Shard) -> None:
        """Keeps what an output file is to hold; to be committed before the file is written.

        That need not outlive the machine: should it get lost, the file is written once more.
        """
        said = (id_, shard.uri, shard.sha256, shard.failed, orjson.dumps(dict(shard.answered_by)).decode())
        self._wait(("shard", id_, shard.uri), [("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?, ?)", said)], durably=False)

    def put_time(self, time: Time) -> None:
        """Keeps what time it is."""
        self._wait(("clock",), [("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", tuple(time))], durably=False)

    def _wait(self, key: tuple[str, ...], statements: Sequence[Statement], *, durably: bool = True) -> None:
        with self._lock:
            self._pending.pop(key, None)  # to the end: what comes later may undo what came before
            self._pending[key] = statements
            self._durably |= durably

    # ---- the commit ----

    @property
    def settled(self) -> bool:
        """Whether all that was put is on the disk."""
        with self._lock:
            return not self._pending and not self._writing

    async def committed(self) -> None:
        """Returns when all that was put before is on the disk; NotKept when it is not: then it waits for the next time."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._commit)

    def _commit(self) -> None:
        with self._lock:
            batch, self._pending = self._pending, {}
            durably, self._durably = self._durably, False
            self._writing = True
        try:
            if batch:
                self._write(batch, durably=durably)
        except BaseException as failure:
            with self._lock:
                self._pending = {key: batch[key] for key in batch if key not in self._pending} | self._pending
                self._durably |= durably
            if isinstance(failure, sqlite3.Error | OSError):
                raise NotKept(f"{self._path.name}: {failure}") from failure
            raise
        finally:
            self._writing = False

    def _write(self, batch: Mapping[tuple[str, ...], Sequence[Statement]], *, durably: bool) -> None:
        """One transaction; with ``durably`` it is synchronized with the disk, and all before it with it."""
        execute = self._database.execute
        execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
        execute("BEGIN IMMEDIATE")
        try:
            for statements in batch.values():
                for statement in statements:
                    execute(*statement)
            execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise


def _without(id_: str, *tables: str) -> Sequence[Statement]:
    return [(f"DELETE FROM {table} WHERE id = ?", (id_,)) for table in tables]  # noqa: S608 - constants
