"""The buckets as annotators see them that compare pictures: what lies there, and where a client can fetch it."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

from vision_emulator.annotators import Held
from vision_emulator.storage import SCHEME, BucketMissing, GcsUri, StorageError
from vision_emulator.storage.embedded import EmbeddedStorage

log = logging.getLogger(__name__)


class StoredPictures:
    """The ``Library`` over the built-in buckets; ``root`` answers the server's URL, empty where none runs."""

    def __init__(self, storage: EmbeddedStorage, root: Callable[[], str] = str) -> None:
        self._storage = storage
        self._root = root

    async def held(self) -> AsyncIterator[Held]:
        """Every object of every bucket, in code point order of bucket and name."""
        for name in self._storage.names():
            bucket = self._storage.find(name)
            if bucket is None:  # it went away since
                continue
            try:
                async for found in bucket.list():
                    uri, revision = str(GcsUri(name, found.name)), f"{found.generation}.{found.metageneration}"
                    yield Held(uri, revision, found.size, found.content_type, found.metadata)
            except BucketMissing:
                continue

    async def read(self, uri: str, bytes_max: int) -> bytes | None:
        """The content of an object; None when it cannot be had, whatever the reason, which the log tells."""
        where = GcsUri.parse(uri)
        bucket = self._storage.find(where.bucket)
        try:
            return await bucket.read(where.object, bytes_max) if bucket else None
        except StorageError as failure:
            log.debug("%s is passed over: %s", uri, failure)
            return None

    def url(self, uri: str) -> str:
        """Where the object is served; the gs:// URI where nothing is."""
        root = re.sub(r"//(0\.0\.0\.0|\[::\])(?=:)", "//localhost", self._root())  # nobody reaches "every interface" by its name
        return f"{root}/{quote(uri.removeprefix(SCHEME))}" if root else uri
