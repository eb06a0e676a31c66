"""Where bytes live: one seam, ``Bucket``, over memory, a directory, or any Cloud Storage endpoint.

The core knows nothing of storage but this file. The exceptions below say what happened in storage; the core says what it means to Vision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self

SCHEME = "gs://"


class GcsUri(NamedTuple):
    """An object or prefix in Cloud Storage, split at the first slash behind the bucket: ``gs://bucket/any/object name``."""

    bucket: str
    object: str

    @classmethod
    def parse(cls, text: str) -> GcsUri:
        """Splits a gs:// URI; ValueError when the scheme or the bucket is missing. The object part may be empty."""
        bucket, _, name = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not bucket:
            raise ValueError(f"not a gs:// URI: {text!r}")
        return cls(bucket, name)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.object}"


class StorageError(Exception):
    """Something in storage did not work; the subclass says what."""


class BucketMissing(StorageError):
    """No bucket of this name."""


class ObjectMissing(StorageError):
    """No object of this name in an existing bucket."""


class AccessDenied(StorageError):
    """The storage refuses: no permission, a read-only directory, a name it does not take."""


class ObjectTooLarge(StorageError):
    """The object is larger than the reader said it would take."""


class StorageUnavailable(StorageError):
    """The storage does not answer, or answers with a fault of its own, also after retrying."""


class StorageFull(StorageUnavailable):
    """There is no room left for what was to be written."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of an object: its name inside the bucket, size in bytes, and the generation of its content.

    The rest is its owner's: how often what is said of the content was changed, its type, and metadata of any keys.
    """

    name: str
    size: int
    generation: int
    metageneration: int = 1
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Bucket(Protocol):
    """One bucket. Every method may raise StorageUnavailable and AccessDenied, and BucketMissing when the bucket went away."""

    name: str

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        """The whole content; ObjectMissing, or ObjectTooLarge beyond ``bytes_max`` (decided before the bytes are loaded)."""
        ...

    async def write(self, object_name: str, data: bytes, content_type: str) -> None:
        """Replaces the object; readers see the old content or the new, never a part."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose name starts with ``prefix``, in code point order of their names."""
        ...


class Storage(Protocol):
    """Where buckets are found. An async context manager: a remote one holds connections."""

    async def bucket(self, name: str) -> Bucket:
        """The bucket of this name; BucketMissing when there is none and none is made on first use."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Web(Protocol):
    """Where images behind http(s) URLs are found."""

    async def read(self, url: str, bytes_max: int) -> bytes:
        """The bytes behind a URL; AccessDenied when it may not be fetched, ObjectMissing when there is nothing to be had,
        ObjectTooLarge beyond ``bytes_max``, StorageUnavailable when another time may be better."""
        ...
