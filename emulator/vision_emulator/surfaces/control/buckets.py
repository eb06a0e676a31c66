"""Buckets and objects over the control API: in as few calls as a test or a page wants, whatever storage is behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from vision_emulator.contract.limits import OBJECT_BYTES_MAX
from vision_emulator.storage import (
    AccessDenied,
    BucketMissing,
    ObjectMissing,
    ObjectTooLarge,
    Storage,
    StorageError,
    StorageUnavailable,
)
from vision_emulator.storage.embedded import BucketNotEmpty, EmbeddedStorage, NameRefused
from vision_emulator.surfaces.control.route import Asked, Refused, Route

OBJECTS_PER_ANSWER_MAX: Final = 1000
_STATUS: Final[dict[type[StorageError], int]] = {
    BucketMissing: 404,
    ObjectMissing: 404,
    BucketNotEmpty: 409,
    NameRefused: 400,  # a kind of the next
    AccessDenied: 403,
    ObjectTooLarge: 413,
    StorageUnavailable: 503,
}
_DOWNLOAD: Final = {  # what is stored is anybody's: no browser may take it for a page of the emulator
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Bucket(msgspec.Struct, frozen=True):
    """A bucket by its name."""

    name: str


class Buckets(msgspec.Struct, frozen=True):
    """All buckets, by name."""

    buckets: list[Bucket]


class Object(msgspec.Struct, frozen=True):
    """An object: its name, size in bytes, and the number of its content."""

    name: str
    size: int
    generation: int


class Objects(msgspec.Struct, frozen=True):
    """Objects in the order of their names; when there are more, ``next`` is what to ask for with ``after``."""

    objects: list[Object]
    next: str = ""


class Stored(msgspec.Struct, frozen=True):
    """Where an object is now."""

    uri: str
    size: int


class BucketsResource:
    """The storage as a test sees it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        one, objects, each = "/v1/buckets/{bucket}", "/v1/buckets/{bucket}/objects", "/v1/buckets/{bucket}/objects/{object}"
        some = {"prefix": "what the names start with", "after": "the name behind which to start"}
        return (
            Route("GET", "/v1/buckets", "The buckets, by name.", self._list, answer=Buckets),
            Route("PUT", one, "Makes the bucket unless it is there.", self._make, answer=Bucket),
            Route("DELETE", one, "Removes the bucket with all that is in it.", self._remove),
            Route("GET", objects, "Objects, by name; the first 1000.", self._objects, answer=Objects, query=some),
            Route("DELETE", objects, "Removes all objects.", self._clear),
            Route("GET", each, "The content of an object; / in its name is %2F.", self._read, answer=bytes),
            Route("PUT", each, "Stores the body as the object.", self._write, bytes, Stored, body_bytes_max=OBJECT_BYTES_MAX),
            Route("DELETE", each, "Removes the object.", self._delete),
        )

    async def _list(self, asked: Asked) -> Any:
        del asked
        return Buckets([Bucket(name) for name in self._embedded().names()])

    async def _make(self, asked: Asked) -> Any:
        name = asked.variables["bucket"]
        await _stored(_ensured(self._embedded(), name))
        return Bucket(name)

    async def _remove(self, asked: Asked) -> None:
        storage, name = self._embedded(), asked.variables["bucket"]

        async def removed() -> None:
            await _emptied(storage, name)
            storage.delete(name)

        await _stored(removed())

    async def _objects(self, asked: Asked) -> Any:
        name, prefix, after = asked.variables["bucket"], asked.query.get("prefix", ""), asked.query.get("after", "")

        async def listed() -> list[Object]:
            found = []
            async for info in (await self._storage.bucket(name)).list(prefix):
                if info.name > after:
                    found.append(Object(info.name, info.size, info.generation))
                    if len(found) > OBJECTS_PER_ANSWER_MAX:
                        break
            return found

        found = await _stored(listed())
        shown = found[:OBJECTS_PER_ANSWER_MAX]
        return Objects(shown, shown[-1].name if len(found) > len(shown) else "")

    async def _clear(self, asked: Asked) -> None:
        await _stored(_emptied(self._embedded(), asked.variables["bucket"]))

    async def _read(self, asked: Asked) -> web.Response:
        async def content() -> bytes:
            return await (await self._storage.bucket(asked.variables["bucket"])).read(asked.variables["object"])

        return web.Response(body=await _stored(content()), content_type="application/octet-stream", headers=_DOWNLOAD)

    async def _write(self, asked: Asked) -> Any:
        bucket, name = asked.variables["bucket"], asked.variables["object"]
        said = asked.request.headers.get("Content-Type", "")
        form = "application/x-www-form-urlencoded"  # what curl says of any bytes
        content_type = "application/octet-stream" if said.startswith(form) or not said else said

        async def written() -> None:
            await (await self._storage.bucket(bucket)).write(name, asked.body, content_type)

        await _stored(written())
        return Stored(f"gs://{bucket}/{name}", len(asked.body))

    async def _delete(self, asked: Asked) -> None:
        async def deleted() -> None:
            await (await self._embedded().bucket(asked.variables["bucket"])).delete(asked.variables["object"])

        await _stored(deleted())

    def _embedded(self) -> EmbeddedStorage:
        if not isinstance(self._storage, EmbeddedStorage):
            raise Refused("The buckets are in another Cloud Storage (--storage): make, list and remove them there.", 409)
        return self._storage


async def _ensured(storage: EmbeddedStorage, name: str) -> None:
    storage.ensure([name])


async def _emptied(storage: EmbeddedStorage, name: str) -> None:
    bucket = await storage.bucket(name)
    for info in [info async for info in bucket.list()]:
        await bucket.delete(info.name)


async def _stored(work: Awaitable[Any]) -> Any:
    """What the storage answers; Refused when it cannot."""
    try:
        return await work
    except StorageError as failure:
        status = next((status for kind, status in _STATUS.items() if isinstance(failure, kind)), 400)
        raise Refused(_said(failure), status) from failure


def _said(failure: StorageError) -> str:
    what = {BucketMissing: "There is no such bucket", ObjectMissing: "There is no such object", BucketNotEmpty: "The bucket is not empty"}
    return f"{what.get(type(failure), 'The storage refuses')}: {failure}"
