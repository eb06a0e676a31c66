"""Buckets in a directory: ``gs://bucket/path`` is the file ``root/bucket/path``, and files dropped there by hand are objects.

Names that could not be such a file, or should not (``a//b``, ``../x``, a trailing slash, ``a`` where ``a/b`` is), are stored whole under
``root/.vision-emulator``, by the SHA-1 of the name: no name ever becomes part of a path there. What a file cannot say of itself (content
type, generation, hashes, metadata) stands in a sidecar of the same kind. A sidecar is believed only while the file is the one it was
written for; a file that was dropped or edited by hand has its metadata guessed.

An object is replaced by one rename, whatever kills the process: its new sidecar, which is there before, also says what the old one said.
With ``durable`` an object outlives the machine's end, too, once its writer has been answered: files are synchronized with the disk before
they are renamed, and folders after.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import itertools
import mimetypes
import os
import re
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, ParamSpec, TypeVar

import orjson

from vision_emulator.contract.limits import LIST_PAGE_MAX
from vision_emulator.control.clock import Clock
from vision_emulator.storage import (
    AccessDenied,
    BucketMissing,
    ObjectInfo,
    ObjectMissing,
    ObjectTooLarge,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from vision_emulator.storage.embedded import (
    ANY,
    BUCKET_NAME,
    CONTENT_TYPE_DEFAULT,
    Attributes,
    BucketInfo,
    BucketNotEmpty,
    Conditions,
    Digests,
    EmbeddedBucket,
    EmbeddedStorage,
    Mark,
    NameRefused,
    Page,
    Query,
    Record,
    digests_of,
    name_fault,
    select,
)

HIDDEN: Final = ".vision-emulator"
_TEMPORARY: Final = "tmp-"
_REPLACED: Final = "replaced"  # key of a sidecar: what was said of the file before this one, which is there until the rename
_SEGMENT_BYTES_MAX: Final = 200  # file systems take 255; this leaves room
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]|[. ]$')
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # not a file on Windows, whatever its extension
_NOT_THERE: Final = (FileNotFoundError, NotADirectoryError)
_NO_SUCH_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_NO_PLACE: Final = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP)

P = ParamSpec("P")
T = TypeVar("T")
Stamp = list[int]


class DirectoryStorage(EmbeddedStorage):
    """Buckets that are the folders below ``root``. Symbolic links are not followed."""

    def __init__(
        self, root: Path | str, clock: Clock, buckets: Iterable[str] = (), *, auto_create: bool = False, durable: bool = False
    ) -> None:
        super().__init__(clock, auto_create=auto_create)
        self._root = Path(os.path.realpath(root))
        self._durable = durable
        self._hidden = self._root / HIDDEN
        self._open: dict[str, DirectoryBucket] = {}
        self._hidden.mkdir(parents=True, exist_ok=True)
        for left in self._hidden.glob(f"{_TEMPORARY}*"):  # of a process that was killed while it wrote
            left.unlink()
        self.ensure(buckets)

    def find(self, name: str) -> DirectoryBucket | None:
        """The bucket of this name if its folder exists."""
        if not BUCKET_NAME.fullmatch(name) or not _is_folder(self._root / name):
            self._open.pop(name, None)
            return None
        if name not in self._open:
            self._open[name] = DirectoryBucket(name, self._root, self.stamp, durable=self._durable)
        return self._open[name]

    def names(self) -> list[str]:
        """The names of all buckets, sorted."""
        with os.scandir(self._root) as entries:
            return sorted(entry.name for entry in entries if BUCKET_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False))

    def _make(self, info: BucketInfo) -> DirectoryBucket:
        shutil.rmtree(self._hidden / info.name, ignore_errors=True)  # of a bucket whose folder was removed by hand
        (self._root / info.name).mkdir(parents=True)
        bucket = self._open[info.name] = DirectoryBucket(info.name, self._root, self.stamp, durable=self._durable)
        bucket.save_info(info)
        return bucket

    def delete(self, name: str) -> None:
        """Removes an empty bucket; BucketMissing, BucketNotEmpty."""
        bucket = self.find(name)
        if bucket is None:
            raise BucketMissing(name)
        bucket.remove()
        del self._open[name]


class DirectoryBucket(EmbeddedBucket):
    """A bucket that is a folder. File work runs in threads; whatever changes the folder holds the bucket's lock."""

    def __init__(self, name: str, root: Path, stamp: Callable[[], int], *, durable: bool = False) -> None:
        self.name = name
        self._root = root
        self._durable = durable
        self._path = root / name
        self._hidden = root / HIDDEN
        self._side = self._hidden / name
        self._stamp = stamp
        self._lock = threading.RLock()
        self._serial = itertools.count()
        self._odd = self._load_odd()
        self.info = self._load_info()

    # ---- the seam ----

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        """The whole content; ObjectMissing, or ObjectTooLarge beyond ``bytes_max``."""
        return await self._in_thread(self._read, object_name, bytes_max)

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose name starts with ``prefix``, in code point order, page by page."""
        after: Mark | None = None
        while True:
            records, _, after = await self._in_thread(self._select, Query(prefix, after=after, count=LIST_PAGE_MAX))
            for record in records:
                yield record.listed()
            if after is None:
                return

    # ---- what the official clients need ----

    async def get(self, object_name: str, conditions: Conditions = ANY) -> Record:
        """An object's record; ObjectMissing."""
        return await self._in_thread(self._get, object_name, conditions)

    async def content(self, object_name: str, conditions: Conditions = ANY) -> tuple[Record, bytes]:
        """A record and its bytes; ObjectMissing."""
        return await self._in_thread(self._content, object_name, conditions)

    async def _store(
        self,
        object_name: str,
        data: bytes,
        attributes: Attributes,
        conditions: Conditions,
        digests: Digests | None,
        component_count: int,
    ) -> Record:
        if fault := name_fault(object_name):
            raise NameRefused(f"Invalid object name {object_name[:100]!r}: {fault}")
        generation = self._stamp()  # here, since clocks are asked on the event loop only
        record = Record(object_name, len(data), generation, generation, attributes, 1, component_count, digests)
        return await self._in_thread(self._replace, record, data, conditions)

    async def patch(self, object_name: str, change: Callable[[Attributes], Attributes], conditions: Conditions = ANY) -> Record:
        """Changes what is said of an object; ObjectMissing, PreconditionFailed."""
        return await self._in_thread(self._patch, object_name, change, conditions, self._stamp())

    async def delete(self, object_name: str, conditions: Conditions = ANY) -> None:
        """Removes an object; ObjectMissing, PreconditionFailed."""
        await self._in_thread(self._delete, object_name, conditions)

    async def page(self, query: Query) -> Page:
        """One page of a listing."""
        return await self._in_thread(self._page, query)

    def configure(self, settings: dict[str, Any]) -> None:
        """Replaces the bucket's settings and counts its metageneration on."""
        self.save_info(replace(self.info, settings=settings, metageneration=self.info.metageneration + 1, updated=self._stamp()))

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs file work off the event loop; what the operating system refuses is said in the words of storage."""
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        except OSError as error:
            if not _is_folder(self._path):
                raise BucketMissing(self.name) from error
            raise _said(self.name, error) from error

    # ---- file work; runs in threads ----

    def _read(self, name: str, bytes_max: int | None) -> bytes:
        path, _ = self._find(name)
        try:
            file = _opened(path)
        except FileNotFoundError as error:  # it went away since
            raise ObjectMissing(f"{self.name}/{name}") from error
        with file:
            size = os.fstat(file.fileno()).st_size
            if bytes_max is not None and size > bytes_max:
                raise ObjectTooLarge(f"{name}: {size} bytes, {bytes_max} are allowed")
            return file.read()

    def _get(self, name: str, conditions: Conditions) -> Record:
        record = self._record(name)
        conditions.check(name, record)
        return self._hashed(record)

    def _content(self, name: str, conditions: Conditions) -> tuple[Record, bytes]:
        with self._lock:
            path, held = self._find(name)
            record = self._described(name, held)
            conditions.check(name, record)
            file = _opened(path)
        with file:  # read without the lock: a file that is replaced meanwhile stays readable here
            data = file.read()
        return (record if record.digests else self._with_digests(record, data)), data

    def _replace(self, record: Record, data: bytes, conditions: Conditions) -> Record:
        temporary = self._write_temporary(data)
        try:
            with self._lock:
                if not _is_folder(self._path):
                    raise BucketMissing(self.name)
                held = self._held(record.name)
                conditions.check(record.name, held[0] if held else None)
                if held and held[0].generation >= record.generation:  # a faster writer, or a dropped file from the future
                    record = replace(record, generation=held[0].generation + 1, updated=held[0].generation + 1)
                self._place(temporary, record, held)
        finally:
            temporary.unlink(missing_ok=True)
        return record

    def _patch(self, name: str, change: Callable[[Attributes], Attributes], conditions: Conditions, updated: int) -> Record:
        self._get(name, ANY)  # so that the sidecar holds the hashes
        with self._lock:
            _, held = self._find(name)
            record = self._described(name, held)
            conditions.check(name, record)
            count = record.metageneration + 1
            record = replace(record, attributes=change(record.attributes), metageneration=count, updated=updated)
            self._save(record, _stamp_of(held))
        return record

    def _delete(self, name: str, conditions: Conditions) -> None:
        with self._lock:
            path, held = self._find(name)
            conditions.check(name, self._described(name, held))
            path.unlink()
            self._sync(path.parent)  # first: a sidecar without its file says nothing, a file without its sidecar says less
            self._sidecar(name).unlink(missing_ok=True)
            if name in self._odd:
                self._odd.discard(name)
            else:
                _remove_empty(path.parent, self._path)

    def _page(self, query: Query) -> Page:
        page = self._select(query)
        records: list[Record] = []
        for record in page.records:
            with contextlib.suppress(ObjectMissing):
                records.append(self._hashed(record))
        return page._replace(records=records)

    def _select(self, query: Query) -> Page:
        if not _is_folder(self._path):
            raise BucketMissing(self.name)
        names, prefixes, following = select(sorted({*self._visible(query.within), *self._odd.copy()}), query)
        records = [record for name in names if (record := self._record_or_none(name))]
        return Page(records, prefixes, following)

    def _hashed(self, record: Record) -> Record:
        """The record with its hashes, which are computed once and kept in the sidecar."""
        if record.digests:
            return record
        return self._with_digests(record, self._read(record.name, None))

    def _with_digests(self, record: Record, data: bytes) -> Record:
        hashed = replace(record, digests=digests_of(data))
        with self._lock, contextlib.suppress(ObjectMissing):  # it may have changed or gone since
            _, held = self._find(record.name)
            if self._described(record.name, held) == record:
                self._save(hashed, _stamp_of(held))
        return hashed

    # ---- where an object is ----

    def _find(self, name: str) -> tuple[Path, os.stat_result]:
        """An object's file and its state; ObjectMissing, AccessDenied behind a symbolic link."""
        path = self._content_path(name)
        try:
            held = path.lstat() if path else None
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise
            held = None
        if path is None or held is None or stat.S_ISDIR(held.st_mode):
            if not _is_folder(self._path):
                raise BucketMissing(self.name)
            raise ObjectMissing(f"{self.name}/{name}")
        if not stat.S_ISREG(held.st_mode):
            raise AccessDenied(f"{self.name}/{name} is not a plain file, and links are not followed")
        return path, held

    def _content_path(self, name: str) -> Path | None:
        """Where an object of this name would be looked for; None when it cannot exist."""
        if name in self._odd:
            return self._hidden_content(name)
        return self._inside(name) if _is_plain(name) else None

    def _inside(self, name: str) -> Path:
        """The path of a plain name in the visible tree; AccessDenied when links lead elsewhere."""
        path = self._path / name
        if not _is_real(path):
            raise AccessDenied(f"{self.name}/{name} lies behind a symbolic link, and links are not followed")
        return path

    def _place(self, temporary: Path, record: Record, held: tuple[Record, Stamp] | None) -> None:
        """Moves a finished file to where its object belongs, its sidecar first: the content is never without it, nor is what it replaces.

        A name that is no safe path, or finds a file where it needs a folder or the other way round, goes under the hidden folder.
        """
        name = record.name
        self._save(record, _stamp_of(temporary.lstat()), held)
        if name not in self._odd and (held or _is_safe(name)):
            path = self._inside(name)
            try:
                self._make_folder(path.parent)
                temporary.replace(path)
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
            else:
                self._sync(path.parent)
                return
        temporary.replace(self._hidden_content(name))
        self._odd.add(name)
        self._sync(self._side)

    def _make_folder(self, folder: Path) -> None:
        """Makes a folder of the visible tree and those above it that are not there."""
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise
            return
        except FileNotFoundError:
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
        self._sync(folder.parent)

    def _sync(self, folder: Path) -> None:
        """Makes what was renamed or removed in a folder outlive the machine's end, where that is wanted."""
        if self._durable:
            synced(folder)

    def _visible(self, prefix: str) -> Iterator[str]:
        """The names of the visible tree that start with ``prefix``, unsorted; the walk begins at the prefix's own folder."""
        folder = prefix.rpartition("/")[0]
        if folder and not (_is_plain(folder) and _is_real(self._path / folder)):
            return
        pending = [str(self._path / folder)]
        cut = len(str(self._path)) + 1
        while pending:
            for entry in _entries(pending.pop()):
                name = entry.path[cut:]
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif name.startswith(prefix) and entry.is_file(follow_symlinks=False) and not name_fault(name):
                    yield name

    def _sidecar(self, name: str) -> Path:
        return self._side / f"{_digest_of_name(name)}.json"

    def _hidden_content(self, name: str) -> Path:
        return self._side / f"{_digest_of_name(name)}.bin"

    # ---- what is said of an object ----

    def _record(self, name: str) -> Record:
        with self._lock:  # a sidecar is written just before its file
            return self._described(name, self._find(name)[1])

    def _record_or_none(self, name: str) -> Record | None:
        try:
            return self._record(name)
        except ObjectMissing:
            return None

    def _held(self, name: str) -> tuple[Record, Stamp] | None:
        """An object's record, and by what its file is recognised."""
        try:
            _, held = self._find(name)
        except ObjectMissing:
            return None
        return self._described(name, held), _stamp_of(held)

    def _described(self, name: str, held: os.stat_result) -> Record:
        """The record of a file: its sidecar's if that was written for it, else a guess."""
        said = _load_json(self._sidecar(name))
        for each in (said, said.get(_REPLACED, {})):
            if each.get("stamp") == _stamp_of(held):
                return _decoded(each)
        generation = max(held.st_mtime_ns // 1000, said.get("generation", 0) + 1)  # an edited file is a new generation
        content_type = mimetypes.guess_type(name)[0] or CONTENT_TYPE_DEFAULT
        return Record(name, held.st_size, generation, generation, Attributes(content_type))

    def _save(self, record: Record, stamp: Stamp, replaced: tuple[Record, Stamp] | None = None) -> None:
        said = {"stamp": stamp, **_encoded(record)}
        if replaced:
            said[_REPLACED] = {"stamp": replaced[1], **_encoded(replaced[0])}
        self._write_json(self._sidecar(record.name), said)

    # ---- the bucket itself ----

    def save_info(self, info: BucketInfo) -> None:
        """Keeps the bucket's own record."""
        self.info = info
        self._write_json(self._side / "bucket.json", asdict(info))

    def remove(self) -> None:
        """Removes the folder; BucketNotEmpty when it holds any file, also one that is no object."""
        with self._lock:
            if self._odd or next(self._visible(""), None) is not None:
                raise BucketNotEmpty(self.name)
            try:
                for folder, _, _ in os.walk(self._path, topdown=False):
                    Path(folder).rmdir()
            except OSError as error:
                raise BucketNotEmpty(self.name) from error
            shutil.rmtree(self._side, ignore_errors=True)  # there is none if nothing was ever said of its objects

    def _load_info(self) -> BucketInfo:
        said = _load_json(self._side / "bucket.json")
        if said:
            return BucketInfo(**said)
        made = self._path.stat().st_mtime_ns // 1000
        return BucketInfo(self.name, made, made)

    def _load_odd(self) -> set[str]:
        """The names of the objects that are stored under the hidden folder."""
        contents = self._side.glob("*.bin")
        return {said["name"] for path in contents if (said := _load_json(path.with_suffix(".json")))}

    def _write_temporary(self, data: bytes) -> Path:
        if not self._side.is_dir():
            self._side.mkdir(parents=True, exist_ok=True)
            self._sync(self._hidden)
            self._sync(self._root)
        path = self._hidden / f"{_TEMPORARY}{self.name}-{next(self._serial)}"
        try:
            with path.open("wb") as file:
                file.write(data)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)  # a full disk needs the room
            raise
        return path

    def _write_json(self, path: Path, value: dict[str, Any]) -> None:
        temporary = self._write_temporary(orjson.dumps(value))
        try:
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._sync(path.parent)


def _encoded(record: Record) -> dict[str, Any]:
    said = {each.name: getattr(record, each.name) for each in fields(record) if each.init}
    said["attributes"] = asdict(record.attributes)
    said["digests"] = [value.hex() if value is not None else None for value in record.digests] if record.digests else None
    return said


def _decoded(said: dict[str, Any]) -> Record:
    known = {key: value for key, value in said.items() if key not in ("stamp", _REPLACED)}
    known["attributes"] = Attributes(**said["attributes"])
    if said["digests"]:
        crc32c, md5 = said["digests"]
        known["digests"] = Digests(bytes.fromhex(crc32c), None if md5 is None else bytes.fromhex(md5))
    return Record(**known)


def synced(path: Path | str) -> None:
    """Makes the content of a file, or the names in a folder, outlive the machine's end."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_leftover(path: Path) -> bool:
    """Whether a file is one that was being written."""
    return path.parent.name == HIDDEN and path.name.startswith(_TEMPORARY)


def believe_again(root: Path) -> None:
    """After a tree of buckets was copied with the times of its files: lets sidecars know their files again, which are others now."""
    for sidecar in (root / HIDDEN).glob("*/*.json"):
        said = _load_json(sidecar)
        if "stamp" not in said:
            continue
        plain = root / sidecar.parent.name / said["name"]
        content = sidecar.with_suffix(".bin")
        path = content if content.is_file() else plain if _is_plain(said["name"]) and _is_real(plain) and plain.is_file() else None
        if path is None:
            continue
        stamp = _stamp_of(path.lstat())
        for each in (said, said.get(_REPLACED, {})):
            if each.get("stamp", [])[:2] == stamp[:2]:
                each["stamp"] = stamp
        sidecar.write_bytes(orjson.dumps(said))


def _said(bucket: str, error: OSError) -> StorageError:
    """What the operating system refuses, in the words of storage."""
    if error.errno in _REFUSED:
        return AccessDenied(f"{bucket}: {error.strerror}")
    if error.errno in _FULL:
        return StorageFull(f"{bucket}: {error.strerror}; make room on the disk, and try again")
    return StorageUnavailable(f"{bucket}: {error.strerror}")


def _load_json(path: Path) -> dict[str, Any]:
    """A sidecar; empty when there is none or it is unreadable, and then the file speaks for itself."""
    try:
        value = orjson.loads(path.read_bytes())
    except (*_NOT_THERE, orjson.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _stamp_of(held: os.stat_result) -> Stamp:
    """By what a file is recognised as the one a sidecar was written for."""
    return [held.st_mtime_ns, held.st_size, held.st_ino]


def _opened(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_real(path: Path) -> bool:
    """Whether no part of a path is a symbolic link."""
    return os.path.realpath(path) == str(path)


def _is_plain(name: str) -> bool:
    """Whether a name, taken as a path, means itself."""
    return not name_fault(name) and not any(segment in ("", ".", "..") for segment in name.split("/"))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What a folder holds; nothing when it is not there (any more)."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except _NOT_THERE:
        return []


def _remove_empty(folder: Path, stop: Path) -> None:
    """Removes a folder and those above it as long as they are empty."""
    while folder != stop:
        try:
            folder.rmdir()
        except OSError:  # not empty
            return
        folder = folder.parent


def _digest_of_name(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


def _is_safe(name: str) -> bool:
    """Whether a name is written as a visible file: one that every common file system takes as it is."""
    return all(_is_safe_segment(segment) for segment in name.split("/"))


def _is_safe_segment(segment: str) -> bool:
    if not segment or len(segment.encode()) > _SEGMENT_BYTES_MAX:
        return False
    return not _UNSAFE.search(segment) and not _DEVICE.fullmatch(segment)
