"""Cloud Storage inside this process: what every embedded bucket can do, and buckets in memory.

``Bucket`` (the seam) is what the emulator itself reads and writes by; the rest, metadata, preconditions, hashes and pages, is what the
official storage clients ask for over HTTP. Hashes are computed only for those.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Self

from vision_emulator.contract.limits import MIB, OBJECT_NAME_BYTES_MAX
from vision_emulator.control.clock import Clock
from vision_emulator.storage import (
    AccessDenied,
    BucketMissing,
    ObjectInfo,
    ObjectMissing,
    ObjectTooLarge,
    StorageError,
)
from vision_emulator.storage.globs import Glob

HASHED_INLINE_BYTES_MAX: Final = MIB // 4  # above it hashing (about 0.4 GB/s) would hold up the event loop
CONTENT_TYPE_DEFAULT: Final = "application/octet-stream"
STORAGE_CLASS_DEFAULT: Final = "STANDARD"
BUCKET_NAME: Final = re.compile(r"(?=.{3,222}\Z)[a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,220}[a-z0-9]", re.ASCII)


class NameRefused(AccessDenied):
    """A bucket or object name that Cloud Storage does not take; the text says why."""


class BucketExists(StorageError):
    """A bucket of this name is already there."""


class BucketNotEmpty(StorageError):
    """The bucket still holds something, so it cannot be deleted."""


class PreconditionFailed(StorageError):
    """The object is not in the state the caller asked for. ``unchanged``: it is in the state the caller knows already."""

    def __init__(self, message: str, *, unchanged: bool = False) -> None:
        super().__init__(message)
        self.unchanged = unchanged


class Digests(NamedTuple):
    """The hashes of an object's bytes, raw; a composed object has no md5."""

    crc32c: bytes
    md5: bytes | None


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a client may say of an object beside its content. An empty text means: not said."""

    content_type: str = ""
    content_encoding: str = ""
    content_disposition: str = ""
    content_language: str = ""
    cache_control: str = ""
    storage_class: str = STORAGE_CLASS_DEFAULT
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """One object without its bytes. Times and the generation are microseconds since 1970; the generation is when it was created."""

    name: str
    size: int
    generation: int
    updated: int
    attributes: Attributes
    metageneration: int = 1
    component_count: int = 0  # parts it was composed of; 0 when it was not
    digests: Digests | None = None  # None until somebody asks over HTTP
    written: tuple[str, bytes] | None = field(default=None, init=False, compare=False, repr=False)  # as the API last wrote it, and for whom

    def listed(self) -> ObjectInfo:
        """What the seam's listing says of it."""
        said = self.attributes
        return ObjectInfo(self.name, self.size, self.generation, self.metageneration, said.content_type, said.metadata)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of an object for a call to go through. Generation 0 stands for "no such object"."""

    generation: int | None = None  # this very generation, else the object is missing
    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check(self, name: str, record: Record | None) -> None:
        """Returns when all holds; PreconditionFailed, or ObjectMissing for another generation than the one asked for."""
        generation, metageneration = (record.generation, record.metageneration) if record else (0, 0)
        if self.generation not in (None, generation):
            raise ObjectMissing(name)
        if self.generation_match not in (None, generation) or self.metageneration_match not in (None, metageneration):
            raise PreconditionFailed(f"{name} is at generation {generation}, metageneration {metageneration}")
        if generation == self.generation_not_match or metageneration == self.metageneration_not_match:
            raise PreconditionFailed(f"{name} is still at generation {generation}, metageneration {metageneration}", unchanged=True)


ANY: Final = Conditions()


class Mark(NamedTuple):
    """The last entry of a page: a name, or the prefix that stands for a group of names."""

    entry: str
    is_prefix: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Which names a page is to hold: from ``start`` up to but without ``end``, behind ``after``, at most ``count`` entries.

    With a ``glob`` only names and prefixes that it matches are entries.
    """

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    after: Mark | None = None
    count: int = 1000
    with_trailing_delimiter: bool = False
    glob: Glob | None = None

    @property
    def within(self) -> str:
        """What every name of the page begins with."""
        literal = self.glob.prefix if self.glob else ""
        return literal if literal.startswith(self.prefix) else self.prefix


class Selection(NamedTuple):
    """One page of names: those listed one by one, the prefixes that stand for the others, and where the next page goes on."""

    names: list[str]
    prefixes: list[str]
    next: Mark | None


class Page(NamedTuple):
    """One page of a listing, hashes filled in."""

    records: Sequence[Record]
    prefixes: list[str]
    next: Mark | None


def select(names: Sequence[str], query: Query) -> Selection:
    """One page out of sorted names. A group of names counts as one entry, and a page never ends inside one."""
    found: list[str] = []
    prefixes: list[str] = []
    last: Mark | None = None
    within = query.within
    at = bisect_left(names, max(within, query.start))
    if query.after:
        at = _behind(names, query.after, at)
    while at < len(names) and names[at].startswith(within) and not (query.end and names[at] >= query.end):
        if len(found) + len(prefixes) >= query.count:
            return Selection(found, prefixes, last)
        name = names[at]
        cut = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        if cut < 0:
            if query.glob is None or query.glob.matches(name):
                found.append(name)
                last = Mark(name, is_prefix=False)
            at += 1
        else:
            mark = Mark(name[: cut + len(query.delimiter)], is_prefix=True)
            if query.glob is None or query.glob.matches(mark.entry):
                prefixes.append(mark.entry)
                if query.with_trailing_delimiter and name == mark.entry:
                    found.append(name)
                last = mark
            at = _behind(names, mark, at)
    return Selection(found, prefixes, None)


def _behind(names: Sequence[str], mark: Mark, low: int) -> int:
    """The index of the first name behind an entry, given that nothing before ``low`` is."""
    if mark.is_prefix:
        return bisect_left(names, True, lo=low, key=lambda name: name > mark.entry and not name.startswith(mark.entry))
    return bisect_left(names, True, lo=low, key=lambda name: name > mark.entry)


def name_fault(name: str) -> str:
    """Why an object cannot have this name; empty when it can. Rules documented; NUL is refused because no file can be named so."""
    if not name or name in (".", ".."):
        return "it is empty, . or .."
    if "\r" in name or "\n" in name or "\0" in name:
        return "it holds a carriage return, a line feed or a NUL"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it is longer than {OBJECT_NAME_BYTES_MAX} bytes" if size > OBJECT_NAME_BYTES_MAX else ""


def digests_of(data: bytes) -> Digests:
    """The hashes of a content, computed here and now."""
    import google_crc32c

    return Digests(int(google_crc32c.value(data)).to_bytes(4, "big"), hashlib.md5(data, usedforsecurity=False).digest())


async def digest(data: bytes) -> Digests:
    """The hashes of a content; a big one is hashed off the event loop."""
    if len(data) <= HASHED_INLINE_BYTES_MAX:
        return digests_of(data)
    return await asyncio.to_thread(digests_of, data)


def _fill_digests(held: Iterable[tuple[Record, bytes]]) -> None:
    for record, data in held:
        record.digests = digests_of(data)


@dataclass(slots=True)
class BucketInfo:
    """A bucket's own record. Times in microseconds since 1970; ``settings`` is what clients said of it, as JSON fields."""

    name: str
    created: int
    updated: int
    metageneration: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


class EmbeddedBucket(ABC):
    """One embedded bucket: the seam's read, write and list, and what the official clients need besides.

    Records handed out by get, content, put, patch and page carry their hashes.
    """

    name: str
    info: BucketInfo

    @abstractmethod
    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        """The whole content; ObjectMissing, or ObjectTooLarge beyond ``bytes_max``."""

    async def write(self, object_name: str, data: bytes, content_type: str) -> None:
        """Replaces the object; readers see the old content or the new, never a part."""
        await self._store(object_name, data, Attributes(content_type), ANY, None, 0)

    @abstractmethod
    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose name starts with ``prefix``, in code point order."""

    @abstractmethod
    async def get(self, object_name: str, conditions: Conditions = ANY) -> Record:
        """An object's record; ObjectMissing."""

    @abstractmethod
    async def content(self, object_name: str, conditions: Conditions = ANY) -> tuple[Record, bytes]:
        """A record and the bytes that belong to it; ObjectMissing."""

    async def check(self, object_name: str, conditions: Conditions) -> None:
        """Returns when the conditions hold of what is, or is not, stored under this name; PreconditionFailed."""
        try:
            await self.get(object_name, conditions)
        except ObjectMissing:
            conditions.check(object_name, None)

    async def put(
        self,
        object_name: str,
        data: bytes,
        attributes: Attributes,
        conditions: Conditions = ANY,
        digests: Digests | None = None,
        component_count: int = 0,
    ) -> Record:
        """Makes or replaces an object, all at once; ``digests`` spares hashing again. PreconditionFailed, NameRefused."""
        known = digests or await digest(data)
        return await self._store(object_name, data, attributes, conditions, known, component_count)

    @abstractmethod
    async def _store(
        self,
        object_name: str,
        data: bytes,
        attributes: Attributes,
        conditions: Conditions,
        digests: Digests | None,
        component_count: int,
    ) -> Record: ...

    @abstractmethod
    async def patch(self, object_name: str, change: Callable[[Attributes], Attributes], conditions: Conditions = ANY) -> Record:
        """Changes what is said of an object, not its content; ObjectMissing, PreconditionFailed."""

    @abstractmethod
    async def delete(self, object_name: str, conditions: Conditions = ANY) -> None:
        """Removes an object; ObjectMissing, PreconditionFailed."""

    @abstractmethod
    async def page(self, query: Query) -> Page:
        """One page of a listing."""

    @abstractmethod
    def configure(self, settings: dict[str, Any]) -> None:
        """Replaces the bucket's settings and counts its metageneration on."""


class EmbeddedStorage(ABC):
    """Where embedded buckets are found, made and removed."""

    def __init__(self, clock: Clock, *, auto_create: bool) -> None:
        self._clock = clock
        self._auto_create = auto_create
        self._last = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    def stamp(self) -> int:
        """Now in microseconds since 1970, strictly increasing: what generations are made of."""
        self._last = max(int(self._clock.now() * 1_000_000), self._last + 1)
        return self._last

    async def bucket(self, name: str) -> EmbeddedBucket:
        """The bucket of this name; BucketMissing when there is none and none is made on first use."""
        found = self.find(name)
        if found:
            return found
        if self._auto_create and BUCKET_NAME.fullmatch(name):
            return self.create(name)
        raise BucketMissing(name)

    def create(self, name: str, settings: dict[str, Any] | None = None) -> EmbeddedBucket:
        """Makes a bucket; BucketExists, NameRefused."""
        if not BUCKET_NAME.fullmatch(name):
            raise NameRefused(f"Invalid bucket name: {name!r}")
        if self.find(name):
            raise BucketExists(name)
        now = self.stamp()
        return self._make(BucketInfo(name, now, now, settings=settings or {}))

    def ensure(self, names: Iterable[str]) -> None:
        """Makes those of the buckets that are not there; NameRefused."""
        for name in names:
            if not self.find(name):
                self.create(name)

    @abstractmethod
    def find(self, name: str) -> EmbeddedBucket | None:
        """The bucket of this name if it exists; never makes one."""

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all buckets, sorted."""

    @abstractmethod
    def _make(self, info: BucketInfo) -> EmbeddedBucket: ...

    @abstractmethod
    def delete(self, name: str) -> None:
        """Removes an empty bucket; BucketMissing, BucketNotEmpty."""


class MemoryBucket(EmbeddedBucket):
    """A bucket whose objects are the very bytes objects that were written."""

    def __init__(self, info: BucketInfo, stamp: Callable[[], int]) -> None:
        self.name = info.name
        self.info = info
        self._gone = False
        self._stamp = stamp
        self._objects: dict[str, tuple[Record, bytes]] = {}
        self._sorted: list[str] | None = None  # None when an object came or went since

    @property
    def empty(self) -> bool:
        """Whether it holds no object."""
        return not self._objects

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        """The very bytes that were written; ObjectMissing, or ObjectTooLarge beyond ``bytes_max``."""
        _, data = self._find(object_name)
        if bytes_max is not None and len(data) > bytes_max:
            raise ObjectTooLarge(f"{object_name}: {len(data)} bytes, {bytes_max} are allowed")
        return data

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose name starts with ``prefix``, in code point order, as they are while it runs."""
        self._check_alive()
        names = self._names()
        for name in names[bisect_left(names, prefix) :]:
            if not name.startswith(prefix):
                break
            if name in self._objects:
                record, _ = self._objects[name]
                yield record.listed()

    async def get(self, object_name: str, conditions: Conditions = ANY) -> Record:
        """An object's record; ObjectMissing."""
        record, _ = await self.content(object_name, conditions)
        return record

    async def content(self, object_name: str, conditions: Conditions = ANY) -> tuple[Record, bytes]:
        """A record and its bytes; ObjectMissing."""
        held = self._find(object_name)
        conditions.check(object_name, held[0])
        await self._hashed(held)
        return held

    async def _store(
        self,
        object_name: str,
        data: bytes,
        attributes: Attributes,
        conditions: Conditions,
        digests: Digests | None,
        component_count: int,
    ) -> Record:
        self._check_alive()
        held = self._objects.get(object_name)
        if conditions is not ANY:
            conditions.check(object_name, held[0] if held else None)
        if held is None:
            if fault := name_fault(object_name):
                raise NameRefused(f"Invalid object name {object_name[:100]!r}: {fault}")
            self._sorted = None
        generation = self._stamp()
        record = Record(object_name, len(data), generation, generation, attributes, 1, component_count, digests)
        self._objects[object_name] = (record, data)
        return record

    async def patch(self, object_name: str, change: Callable[[Attributes], Attributes], conditions: Conditions = ANY) -> Record:
        """Changes what is said of an object; ObjectMissing, PreconditionFailed."""
        record, data = self._find(object_name)
        conditions.check(object_name, record)
        patched = replace(record, attributes=change(record.attributes), metageneration=record.metageneration + 1, updated=self._stamp())
        self._objects[object_name] = (patched, data)
        await self._hashed((patched, data))
        return patched

    async def delete(self, object_name: str, conditions: Conditions = ANY) -> None:
        """Removes an object; ObjectMissing, PreconditionFailed."""
        record, _ = self._find(object_name)
        conditions.check(object_name, record)
        del self._objects[object_name]
        self._sorted = None

    async def page(self, query: Query) -> Page:
        """One page of a listing."""
        self._check_alive()
        names, prefixes, following = select(self._names(), query)
        return Page(await self._hashed(*(self._objects[name] for name in names)), prefixes, following)

    def configure(self, settings: dict[str, Any]) -> None:
        """Replaces the bucket's settings and counts its metageneration on."""
        self.info = replace(self.info, settings=settings, metageneration=self.info.metageneration + 1, updated=self._stamp())

    async def _hashed(self, *held: tuple[Record, bytes]) -> Sequence[Record]:
        pending = [(record, data) for record, data in held if record.digests is None]
        if sum(len(data) for _, data in pending) <= HASHED_INLINE_BYTES_MAX:
            _fill_digests(pending)
        else:
            await asyncio.to_thread(_fill_digests, pending)
        return [record for record, _ in held]

    def drop(self) -> None:
        """Forgets all objects; from now on every call raises BucketMissing."""
        self._gone = True
        self._objects.clear()

    def _find(self, object_name: str) -> tuple[Record, bytes]:
        held = self._objects.get(object_name)
        if held is None:
            self._check_alive()
            raise ObjectMissing(f"{self.name}/{object_name}")
        return held

    def _check_alive(self) -> None:
        if self._gone:
            raise BucketMissing(self.name)

    def _names(self) -> Sequence[str]:
        if self._sorted is None:
            self._sorted = sorted(self._objects)
        return self._sorted


class MemoryStorage(EmbeddedStorage):
    """Buckets in memory: they live as long as the process."""

    def __init__(self, clock: Clock, buckets: Iterable[str] = (), *, auto_create: bool = False) -> None:
        super().__init__(clock, auto_create=auto_create)
        self._buckets: dict[str, MemoryBucket] = {}
        self.ensure(buckets)

    def find(self, name: str) -> MemoryBucket | None:
        """The bucket of this name if it exists."""
        return self._buckets.get(name)

    def names(self) -> list[str]:
        """The names of all buckets, sorted."""
        return sorted(self._buckets)

    def reset(self, buckets: Iterable[str] = ()) -> None:
        """Drops every bucket with all it holds, then makes these anew."""
        for bucket in self._buckets.values():
            bucket.drop()
        self._buckets.clear()
        self.ensure(buckets)

    def _make(self, info: BucketInfo) -> MemoryBucket:
        bucket = self._buckets[info.name] = MemoryBucket(info, self.stamp)
        return bucket

    def delete(self, name: str) -> None:
        """Removes an empty bucket; BucketMissing, BucketNotEmpty."""
        bucket = self._buckets.get(name)
        if bucket is None:
            raise BucketMissing(name)
        if not bucket.empty:
            raise BucketNotEmpty(name)
        bucket.drop()
        del self._buckets[name]
