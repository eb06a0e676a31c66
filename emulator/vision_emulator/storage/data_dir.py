"""A folder that holds the state of one emulator, and of no more than one at a time.

| In it | |
|---|---|
| ``buckets/`` | a folder for each bucket, see storage/directory.py |
| ``operations.db`` | operations, see storage/operation_store.py; ``-wal`` and ``-shm`` beside it belong to it |
| ``lock`` | locked by the process that uses the folder, whose id it holds |

A state is carried elsewhere as an archive: a tar file of the first two. What was extracted counts from one rename on, so that a killed
import leaves nothing or everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Final, Self

from vision_emulator.storage import StorageError
from vision_emulator.storage.directory import believe_again, is_leftover, synced
from vision_emulator.storage.operation_store import OperationStore, Unusable

BUCKETS: Final = "buckets"
OPERATIONS: Final = "operations.db"
LOCK: Final = "lock"
_STATE: Final = (BUCKETS, OPERATIONS)
_EXTRACTING, _EXTRACTED = "import-unfinished", "import-finished"  # folders, before and after the rename that counts
_MODIFIED: Final = "mtime"  # of a file, in a tar file's extended header: seconds since 1970, with nine decimals
_ZIPPED: Final = (".gz", ".tgz")


class InUse(StorageError):
    """Another emulator uses the folder; the text says which."""


class ArchiveRefused(StorageError):
    """An archive that cannot be read or written; the text says why."""


class DataDirectory:
    """The folder, locked as long as the context lasts. InUse, or OSError when it cannot be made or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1

    @property
    def buckets(self) -> Path:
        """The folder of buckets."""
        return self.folder / BUCKETS

    @property
    def operations(self) -> Path:
        """The database of operations."""
        return self.folder / OPERATIONS

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self._let_go()
            raise InUse(f"{self.folder} is in use by another emulator (process {holder}): stop that one, or name another folder") from None
        except BaseException:
            self._let_go()
            raise
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        shutil.rmtree(self.folder / _EXTRACTING, ignore_errors=True)  # of an import that was killed
        self._take_over()
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None) -> None:
        self._let_go()

    def _let_go(self) -> None:
        os.close(self._lock)  # and with that unlocks it
        self._lock = -1

    @property
    def is_empty(self) -> bool:
        """Whether there is no state in it."""
        return not any((self.folder / name).exists() for name in _STATE)

    # ---- archives ----

    def export(self, archive: Path) -> int:
        """Writes the state as a tar file, compressed when it is called .gz or .tgz; answers how many files are in it. An existing file
        is replaced when the new one is whole. ArchiveRefused when there is no state.
        """
        if self.is_empty:
            raise ArchiveRefused(f"{self.folder} holds no state: there is neither {BUCKETS} nor {OPERATIONS} in it")
        if archive.resolve().is_relative_to(self.folder.resolve()):
            raise ArchiveRefused(f"{archive} lies in the folder that is to be exported: name a place outside it")
        OperationStore(self.operations).close()  # takes the files beside the database into it
        partial = archive.with_name(f"{archive.name}.partial")
        count = 0
        try:
            with tarfile.open(partial, "w:gz" if archive.suffix in _ZIPPED else "w", format=tarfile.PAX_FORMAT) as tar:
                for path in self._members():
                    member = tar.gettarinfo(path, str(path.relative_to(self.folder)))
                    seconds, nanos = divmod(path.stat().st_mtime_ns, 1_000_000_000)
                    member.pax_headers = {_MODIFIED: f"{seconds}.{nanos:09}"}
                    member.uid = member.gid = 0
                    member.uname = member.gname = ""
                    if member.isreg():
                        count += 1
                        with path.open("rb") as file:
                            tar.addfile(member, file)
                    else:
                        tar.addfile(member)
            synced(partial)
            partial.replace(archive)
            synced(archive.parent)
        finally:
            partial.unlink(missing_ok=True)
        return count

    def _members(self) -> Iterator[Path]:
        """Folders before what is in them; links and what is being written are no part of the state."""
        yield self.operations
        pending = [self.buckets] if self.buckets.is_dir() else []
        while pending:
            folder = pending.pop()
            yield folder
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and not is_leftover(Path(entry.path)):
                    yield Path(entry.path)

    def restore(self, archive: Path) -> int:
        """Takes over the state of an archive, all of it or nothing; answers how many files were in it. ArchiveRefused when this folder
        holds a state already or the archive is none.
        """
        if not self.is_empty:
            raise ArchiveRefused(f"{self.folder} holds a state already: name another folder, or remove that one")
        folder = self.folder / _EXTRACTING
        folder.mkdir(mode=0o700)
        try:
            count = self._extract(archive, folder)
            if not (folder / OPERATIONS).is_file():
                raise ArchiveRefused(f"{archive} is no exported state: there is no {OPERATIONS} in it")
            store = OperationStore(folder / OPERATIONS)
            try:
                store.load()
            finally:
                store.close()
            (folder / BUCKETS).mkdir(exist_ok=True)
            believe_again(folder / BUCKETS)
            for name, _, files in os.walk(folder):
                for path in (name, *(os.path.join(name, file) for file in files)):  # noqa: PTH118 - os.walk's own kind
                    synced(path)
            folder.replace(self.folder / _EXTRACTED)
        except (tarfile.TarError, EOFError, Unusable) as failure:
            raise ArchiveRefused(f"{archive} is no exported state, or damaged: {failure}") from failure
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        synced(self.folder)
        self._take_over()
        return count

    def _extract(self, archive: Path, folder: Path) -> int:
        count = 0
        with tarfile.open(archive) as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts or place.parts[:1] not in ((BUCKETS,), (OPERATIONS,)):
                    raise ArchiveRefused(f"{archive} is no exported state: {member.name!r} is no part of one")
                path = folder / place
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                file = tar.extractfile(member) if member.isreg() else None
                if file is None:
                    raise ArchiveRefused(f"{archive} is no exported state: {member.name!r} is neither a file nor a folder")
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as copy:
                    shutil.copyfileobj(file, copy)
                path.chmod(member.mode & 0o777 | 0o600)
                modified = re.fullmatch(r"(\d{1,11})\.(\d{9})", member.pax_headers.get(_MODIFIED, ""), re.ASCII)
                if modified:
                    nanos = int(modified[1] + modified[2])
                    os.utime(path, ns=(nanos, nanos))
                count += 1
        return count

    def _take_over(self) -> None:
        """Moves what an import has extracted to its place, also when that was begun by a process that was killed."""
        extracted = self.folder / _EXTRACTED
        if extracted.is_dir():
            for name in _STATE:
                with contextlib.suppress(FileNotFoundError):  # moved already
                    (extracted / name).replace(self.folder / name)
            extracted.rmdir()
            synced(self.folder)
