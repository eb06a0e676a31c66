"""One call of the Cloud Storage API as it came over the wire, and the answer to it; no sockets."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson

from vision_emulator.contract.hurt import Damage
from vision_emulator.contract.limits import OBJECT_BYTES_MAX
from vision_emulator.storage.embedded import Conditions
from vision_emulator.surfaces import compression
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.errors import JSON_TYPE, GcsError

_QUERY_FIELDS_MAX: Final = 100
_INT64_MAX: Final = 2**63 - 1
_HOST: Final = re.compile(r"[A-Za-z0-9._\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


class Reply(NamedTuple):
    """An answer: HTTP status, headers, body. A HEAD call's body is left out by the transport."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    damage: Damage | None = None  # on its way to the client, unless it is one of a batch


def json_reply(resource: Mapping[str, Any], status: int = 200) -> Reply:
    """A JSON resource as an answer."""
    return Reply(status, {"content-type": JSON_TYPE}, orjson.dumps(resource))


def split_target(raw_path: str) -> tuple[str, str]:
    """The path, still percent-encoded and with exactly one leading slash, and the query of a request target."""
    path, _, query = raw_path.partition("?")
    if path.startswith(("http://", "https://")):
        path = path.partition("://")[2].partition("/")[2]
    return "/" + path.lstrip("/"), query


def decoded(segment: str) -> str:
    """A piece of a path without its percent-encoding; 400 when it is not UTF-8."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise errors.invalid(f"The path holds percent-encoded bytes that are not UTF-8: {segment[:100]!r}") from error


def presentable(text: str) -> str:
    """Text that can be written as UTF-8; bytes that were none come from aiohttp as lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Request:
    """One call. ``path`` is percent-encoded, header names are lower case."""

    method: str
    path: str
    parameters: Sequence[tuple[str, str]]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def read(cls, method: str, raw_path: str, headers: Mapping[str, str], body: bytes) -> Self:
        """Reads the request target; 400 for a query that cannot be read."""
        path, query = split_target(raw_path)
        lower = {name.lower(): presentable(value) for name, value in headers.items()}
        try:
            raw_path.encode()
            parameters = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX)
        except ValueError as error:
            raise errors.invalid(f"The request target cannot be read: {error}") from error
        return cls(lower.get("x-http-method-override", method).upper(), path, parameters, dict(parameters), lower, body)

    @property
    def base_url(self) -> str:
        """Scheme and authority by which the client reached this server: what links in answers begin with."""
        host = self.headers.get("host", "")
        scheme = "https" if self.headers.get("x-forwarded-proto", "").lower() == "https" else "http"
        return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"

    def number(self, name: str) -> int | None:
        """A query parameter as a number of at least 0; None when it is not given, 400 when it is no such number."""
        return number(name, self.query.get(name))

    def flag(self, name: str) -> bool:
        """Whether a query parameter says true."""
        return self.query.get(name, "").lower() == "true"

    def repeated(self, name: str) -> list[str]:
        """All values of a query parameter that may come more than once."""
        return [value for key, value in self.parameters if key == name]

    def conditions(self) -> Conditions:
        """What must hold of the object that the path names."""
        return self._conditions("generation", "if")

    def source_conditions(self) -> Conditions:
        """What must hold of the object that is copied from."""
        return self._conditions("sourceGeneration", "ifSource")

    def _conditions(self, generation: str, prefix: str) -> Conditions:
        return Conditions(
            generation=self.number(generation),
            generation_match=self.number(f"{prefix}GenerationMatch"),
            generation_not_match=self.number(f"{prefix}GenerationNotMatch"),
            metageneration_match=self.number(f"{prefix}MetagenerationMatch"),
            metageneration_not_match=self.number(f"{prefix}MetagenerationNotMatch"),
        )

    async def plain(self) -> Self:
        """The same call with the body as it was before the client compressed it on the way."""
        if self.headers.get("content-encoding", "").lower() != "gzip":
            return self
        try:
            return replace(self, body=await asyncio.to_thread(decompressed, self.body))
        except zlib.error as error:
            raise errors.invalid(f"The body says it is gzip, but cannot be decompressed: {error}") from error

    def resource(self) -> dict[str, Any]:
        """The body as a JSON object; empty for an empty body."""
        return json_object(self.body)


def number(name: str, text: str | None) -> int | None:
    """A text as a 64-bit number of at least 0; None stays None, 400 for anything else."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _INT64_MAX:
        raise errors.invalid_value(name, text)
    return int(text)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object; empty for an empty body, 400 for anything else."""
    if not body.strip():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise GcsError(400, "parseError", f"The body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise GcsError(400, "parseError", "The body must be a JSON object.")
    return value


def decompressed(data: bytes) -> bytes:
    """The content of a gzip stream; zlib.error when it is none, 413 when it is larger than any object may be."""
    try:
        return compression.decompressed(data, OBJECT_BYTES_MAX)
    except compression.ContentTooLarge:
        raise errors.too_large(OBJECT_BYTES_MAX) from None
