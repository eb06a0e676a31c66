"""Buckets behind any Cloud Storage endpoint: fake-gcs-server, another emulator, or the real service.

gcloud-aio-storage speaks to it, imported only when the storage is entered, since that is slow. What is used is the part of
the API that fake-gcs-server and the real service answer alike: media upload, media download, bucket metadata, and listing by prefix
and page token. Only status codes are read from refusals, since their bodies differ.

What fake-gcs-server (1.56.1) does otherwise than the built-in storage and the real service, and why it does not matter here:

- refusals have a bare text for a body: only their status is read;
- a bucket that is not empty is deleted with 412 instead of 409, preconditions are not looked at when an object is deleted, and matchGlob is
  passed over: nothing here deletes, and listings ask by prefix;
- batches, ``/b/…`` without ``/storage/v1`` and ``/resumable/upload/`` are not, or not fully, answered: uploads are media uploads;
- a resumable upload whose metadata names no type becomes application/octet-stream: what an image or a document is, its first bytes say;
- a download tells neither metageneration nor storage class, an etag is the md5: neither is asked for;
- before 1.53 a listing has all objects on one page: it ends where there is no token.
"""

from __future__ import annotations

import base64
import io
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote, urlsplit

from vision_emulator.control.clock import Clock
from vision_emulator.storage import (
    AccessDenied,
    BucketMissing,
    ObjectInfo,
    ObjectMissing,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
)
from vision_emulator.storage.embedded import NameRefused, name_fault

if TYPE_CHECKING:
    import aiohttp
    from gcloud.aio.storage import Storage as Client

PAUSES_SECONDS: Final = (0.2, 0.4, 0.8)  # before the second, third and last attempt
CONNECT_SECONDS_MAX: Final = 10.0
SILENCE_SECONDS_MAX: Final = 30.0  # between two pieces of an answer
CALL_SECONDS_MAX: Final = 300.0  # the library's own limits, 10 s down and 30 s up, cut off large objects
REASON_CHARS_MAX: Final = 200  # of a refusal's body in an error message

_log = logging.getLogger(__name__)
T = TypeVar("T")


def names_this_server(endpoint: str, host: str, port: int) -> bool:
    """Whether a storage endpoint is the very server that listens on ``host`` and ``port``.

    An exported STORAGE_EMULATOR_HOST often does, and reading from it would be asking oneself. All loopback names, and the addresses
    that stand for every interface, count as one place. An endpoint that is no address names nothing.
    """
    try:
        parts = urlsplit(root_url(endpoint))
    except ValueError:
        return False
    if (parts.port or (443 if parts.scheme == "https" else 80)) != port:
        return False
    named = parts.hostname or ""
    return named == host.strip("[]").lower() or (_is_here(named) and _is_here(host.strip("[]").lower()))


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def root_url(endpoint: str) -> str:
    """An endpoint as clients need it: with a scheme, http when it names none, and without a slash at its end, which the paths bring.

    ValueError when it is no address.
    """
    text = endpoint.strip()
    url = (text if "://" in text else f"http://{text}").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:  # .port raises ValueError itself
        raise ValueError(f"not the address of a Cloud Storage endpoint: {endpoint!r}; write it as http://HOST:PORT")
    return url


class RemoteStorage:
    """The buckets of one endpoint (http://HOST:PORT; a missing scheme means http); enter it before use.

    Calls are repeated on connection errors, damaged transfers and statuses 408, 429 and 5xx, four attempts in all, waiting on ``clock``.
    Only googleapis.com is given credentials (Application Default Credentials); any other endpoint is an emulator and gets none.
    """

    def __init__(self, endpoint: str, clock: Clock) -> None:
        self.endpoint: Final = root_url(endpoint)
        self._clock = clock
        self._seen: set[str] = set()  # buckets that were there once; the errors of their objects tell when they go away
        self._session: aiohttp.ClientSession | None = None
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        parts = urlsplit(self.endpoint)
        is_google = parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")
        # An emulator's certificate is home-made, and it gets no credentials that could be stolen.
        connector = aiohttp.TCPConnector() if is_google else aiohttp.TCPConnector(ssl=False)
        self._session = aiohttp.ClientSession(connector=connector)
        try:
            self._client = _client(self.endpoint, self._session, is_google=is_google)
            if is_google:  # without credentials each image would take long to fail: say it at the start
                await self.call("credentials", self._client.token.get)
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session:
            await self._session.close()
        self._session = self._client = None

    @property
    def client(self) -> Client:
        """The library's client; RuntimeError outside ``async with``."""
        if self._client is None:
            raise RuntimeError("enter the RemoteStorage (async with) before using it")
        return self._client

    async def bucket(self, name: str) -> RemoteBucket:
        """The bucket of this name; BucketMissing when there is none.

        A bucket that may not be looked at is taken to exist: the right to read objects does not include it.
        """
        if name not in self._seen:
            await self.look_at(name)
            self._seen.add(name)
        return RemoteBucket(name, self)

    async def look_at(self, bucket_name: str) -> None:
        """Returns when the endpoint has this bucket, as far as it lets us see; BucketMissing when it has not."""
        if bucket_name in ("", ".", ".."):  # would be another URL
            raise BucketMissing(bucket_name)
        try:
            await self.call(f"gs://{bucket_name}", lambda: self.client.get_bucket_metadata(quote(bucket_name, safe=""), timeout=_timeout()))
        except AccessDenied:
            return
        except _NotFound as missing:
            raise self.missing(bucket_name) from missing

    def missing(self, bucket_name: str) -> BucketMissing:
        """The error for a bucket that is not there, which is no longer taken for granted."""
        self._seen.discard(bucket_name)
        return BucketMissing(bucket_name)

    async def call(self, subject: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What the attempt answers, repeated while its failure may pass; else a StorageError that names ``subject``."""
        for pause in PAUSES_SECONDS:
            try:
                return await self._once(subject, attempt)
            except _Passing as fault:
                _log.info("%s; trying again in %s s", fault, pause)
            await self._clock.sleep(pause)
        return await self._once(subject, attempt)

    async def _once(self, subject: str, attempt: Callable[[], Awaitable[T]]) -> T:
        import aiohttp

        try:
            return await attempt()
        except aiohttp.ClientResponseError as refusal:
            raise _refused(refusal.status, f"{subject}: {self.endpoint} answers {refusal.status} {refusal.message}") from refusal
        except (aiohttp.ClientError, OSError, _Damaged) as fault:  # TimeoutError is an OSError
            raise _Passing(f"{subject}: {self.endpoint} fails: {type(fault).__name__} {fault}") from fault
        except ValueError as nonsense:  # no JSON, or not of the right shape
            raise StorageUnavailable(f"{subject}: {self.endpoint} does not answer as Cloud Storage does: {nonsense}") from nonsense


class RemoteBucket:
    """One bucket of a RemoteStorage."""

    def __init__(self, name: str, storage: RemoteStorage) -> None:
        self.name = name
        self._storage = storage
        self._quoted = quote(name, safe="")  # the library quotes object names only

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        """The whole content; ObjectMissing, or ObjectTooLarge beyond ``bytes_max`` (by the announced length, before loading)."""
        if name_fault(object_name):  # no object has such a name, and some would be another URL
            raise ObjectMissing(object_name)
        try:
            return await self._storage.call(f"gs://{self.name}/{object_name}", lambda: self._download(object_name, bytes_max))
        except _NotFound as missing:
            await self._storage.look_at(self.name)
            raise ObjectMissing(object_name) from missing

    async def _download(self, object_name: str, bytes_max: int | None) -> bytes:
        stream = await self._storage.client.download_stream(self._quoted, object_name, timeout=_timeout())
        async with stream as response:
            if bytes_max is not None and (response.content_length or 0) > bytes_max:
                raise ObjectTooLarge(f"{object_name}: {response.content_length} bytes")
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():  # an unannounced or compressed length shows only here
                chunks.append(chunk)
                size += len(chunk)
                if bytes_max is not None and size > bytes_max:
                    raise ObjectTooLarge(f"{object_name}: more than {bytes_max} bytes")
            data = b"".join(chunks)
            if "Content-Encoding" not in response.headers:  # the hash is of the stored bytes, which were decompressed on the way
                _check_crc32c(data, _crc32c_of_headers(response.headers.getall("X-Goog-Hash", ())))
            return data

    async def write(self, object_name: str, data: bytes, content_type: str) -> None:
        """Replaces the object; done when the endpoint has confirmed its size and, if it tells it, its hash."""
        if fault := name_fault(object_name):
            raise NameRefused(f"Invalid object name {object_name[:100]!r}: {fault}")
        try:
            await self._storage.call(f"gs://{self.name}/{object_name}", lambda: self._upload(object_name, data, content_type))
        except _NotFound as missing:
            raise self._storage.missing(self.name) from missing

    async def _upload(self, object_name: str, data: bytes, content_type: str) -> None:
        stored = await self._storage.client.upload(
            self._quoted,
            object_name,
            bytes(data),  # of a text the library counts characters, and cuts off what is not ASCII
            content_type=content_type,  # else guessed from the name, or sent empty
            force_resumable_upload=False,  # after a 5xx the library's resumable upload returns None and has stored nothing
            timeout=_timeout(),
        )
        if int(_fields(stored).get("size", -1)) != len(data):
            raise _Damaged(f"{len(data)} bytes were sent, and {stored.get('size')} are stored")
        _check_crc32c(data, stored.get("crc32c"))

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects whose name starts with ``prefix``, in the order of the endpoint: code points, page by page."""
        token = ""
        while True:
            try:
                objects, token = await self._storage.call(f"gs://{self.name}", partial(self._page, prefix, token))
            except _NotFound as missing:
                raise self._storage.missing(self.name) from missing
            for found in objects:
                yield found
            if not token:  # also from older fake servers, which know no pages
                return

    async def _page(self, prefix: str, token: str) -> tuple[Sequence[ObjectInfo], str]:
        parameters = {"prefix": prefix, "pageToken": token}
        given = {name: value for name, value in parameters.items() if value}
        page = _fields(await self._storage.client.list_objects(self._quoted, params=given, timeout=_timeout()))
        try:
            objects = [_listed(item) for item in page.get("items", ())]
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"a listing without {wrong}") from wrong
        return objects, page.get("nextPageToken", "")


def _listed(item: dict[str, Any]) -> ObjectInfo:
    """One item of a listing; KeyError and TypeError for what is none."""
    generation, metageneration = int(item.get("generation", 0)), int(item.get("metageneration", 1))
    said = item.get("contentType", ""), item.get("metadata") or {}
    return ObjectInfo(item["name"], int(item["size"]), generation, metageneration, *said)


class _NotFound(StorageError):
    """404: of what, the caller knows."""


class _Passing(StorageUnavailable):
    """A failure that may pass by itself."""


class _Damaged(Exception):
    """What arrived is not what was sent."""


def _client(endpoint: str, session: Any, *, is_google: bool) -> Client:
    from gcloud.aio.storage import Storage as Client

    try:
        return Client(
            api_root=endpoint,  # given, so that the library does not look into STORAGE_EMULATOR_HOST
            api_is_dev=not is_google,
            session=session,
            # The library reads credentials even when it will not send any, and fails when GOOGLE_APPLICATION_CREDENTIALS names a
            # missing file: an empty one in hand keeps it from looking.
            service_file=None if is_google else io.StringIO("{}"),
        )
    except FileNotFoundError as missing:
        raise AccessDenied(
            f"{endpoint} needs credentials, and GOOGLE_APPLICATION_CREDENTIALS names no file: {missing.filename}"
        ) from missing


def _refused(status: int, reason: str) -> StorageError:
    """What a status means; a 404 is told apart by the caller."""
    shown = reason[:REASON_CHARS_MAX]
    if status == 404:
        return _NotFound(shown)
    if status in (401, 403):
        return AccessDenied(shown)
    return _Passing(shown) if status in (408, 429) or status >= 500 else StorageUnavailable(shown)


def _timeout() -> Any:
    """A limit for one call; the library says it wants a number and takes this as well."""
    import aiohttp

    return aiohttp.ClientTimeout(total=CALL_SECONDS_MAX, sock_connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX)


def _fields(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ValueError(f"an object was expected, not {answer!r:.40}")
    return answer


def _crc32c_of_headers(hashes: Iterable[str]) -> str | None:
    """The crc32c among X-Goog-Hash headers, which come as ``crc32c=…,md5=…`` or one by one."""
    named = dict(part.strip().partition("=")[::2] for line in hashes for part in line.split(","))
    return named.get("crc32c")


def _check_crc32c(data: bytes, expected: str | None) -> None:
    """Returns when the base64 hash is that of the bytes, or is not known."""
    import google_crc32c

    if expected and base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode() != expected:
        raise _Damaged(f"the hash of {len(data)} bytes is not {expected}")
