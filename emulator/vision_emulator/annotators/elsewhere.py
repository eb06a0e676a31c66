"""Annotators that ask another server: what is sent of a picture, one bounded HTTP question, and what the answer says."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from google.protobuf.message import Message

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.contract import codec, errors
from vision_emulator.contract.errors import HTTP_STATUS, Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, BoundingPoly, Feature
from vision_emulator.written import suggestion

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024  # of one HTTP answer; a dense page of text has a few; ours
SECONDS: Final = 30.0  # for one question; ours
SECONDS_MAX: Final = 3600.0
AT_ONCE: Final = 8  # questions; ours
AT_ONCE_MAX: Final = 256
REASON_CHARS_MAX: Final = 300  # of a refusal's text; ours
# Of several codes with one status the first, but a plain 500 is INTERNAL.
CODES: Final = {status: code for code, status in reversed(HTTP_STATUS.items())} | {500: Code.INTERNAL}


class Unreachable(Exception):
    """Nobody answered; the text says why."""


class Sent(NamedTuple):
    """A picture as bytes that any server can read, and how much larger it was drawn than ``Picture.size`` says."""

    data: bytes
    enlarged: tuple[float, float] = (1.0, 1.0)


async def sent(picture: Picture, settings: Settings) -> Sent:
    """The picture's own bytes; of a page of a document a PNG."""
    if not picture.number:
        return Sent(picture.data)
    return await asyncio.get_running_loop().run_in_executor(settings.threads, _drawn, picture)


def _drawn(page: Picture) -> Sent:
    buffer = io.BytesIO()
    try:
        image = page.pixels
        image.save(buffer, "PNG", compress_level=1)
        return Sent(buffer.getvalue(), (image.width / page.size[0], image.height / page.size[1]))
    finally:
        page.let_go()


def shrink(response: AnnotateImageResponse, enlarged: tuple[float, float]) -> None:
    """Brings boxes of the picture as it was drawn back to its size."""
    if enlarged != (1.0, 1.0):
        for box in _boxes(response):
            for corner in box.vertices:
                corner.x, corner.y = round(corner.x / enlarged[0]), round(corner.y / enlarged[1])


def _boxes(value: Any) -> Iterator[Any]:
    if isinstance(value, BoundingPoly):
        yield value
    elif isinstance(value, Message):
        for _, inner in value.ListFields():
            yield from _boxes(inner)
    elif not isinstance(value, str | bytes | int | float):
        for inner in value:
            yield from _boxes(inner)


class Http:
    """Posts JSON to a server; enter it before use. ``headers`` go with every question and nowhere else: redirects are refused."""

    def __init__(self, headers: Mapping[str, str], seconds: float) -> None:
        self._headers = headers
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        import aiohttp

        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._seconds), cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session; RuntimeError outside ``async with``."""
        if self._session is None:
            raise RuntimeError("enter it (async with) before using it")
        return self._session

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of a 2xx answer; VisionError for a status that says no, Unreachable when there is no answer that can be used."""
        import aiohttp

        try:
            named = {"Content-Type": "application/json", **(headers or {})}
            async with self.session.post(url, data=body, headers=named, allow_redirects=False) as answer:
                data = await _bounded(answer)
                if 200 <= answer.status < 300:
                    return data
                raise _refusal(answer.status, data)
        except TimeoutError as late:
            raise Unreachable(f"{url} did not answer in {self._seconds:g} s") from late
        except (aiohttp.ClientError, OSError) as failure:
            raise Unreachable(f"{url} could not be asked: {str(failure) or type(failure).__name__}") from failure


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for piece in answer.content.iter_chunked(1 << 16):
        data += piece
        if len(data) > ANSWER_BYTES_MAX:
            raise Unreachable(f"{answer.url} answered more than {ANSWER_BYTES_MAX} bytes")
    return bytes(data)


def _refusal(status: int, body: bytes) -> VisionError:
    """What a status other than 2xx means, in the words of the body where it has the form of Google's errors."""
    message, name = "", ""
    try:
        error = codec.load_json(body)["error"]
        message, name = str(error.get("message", ""))[:REASON_CHARS_MAX], str(error.get("status", ""))
    except (VisionError, LookupError, TypeError, AttributeError):
        pass  # some other text
    code = Code[name] if name in Code.__members__ and name != "OK" else CODES.get(status, Code.INTERNAL)
    return errors.elsewhere(code, message or f"The server that was asked answered with status {status}.")


def known_part(value: Any, descriptor: Any) -> Any:
    """The JSON of a message without the fields that are not in the contract: another server may know newer ones."""
    if not isinstance(value, dict):
        return value
    fields = {key: field for field in descriptor.fields for key in (field.name, field.json_name)}
    kept = {}
    for key, inner in value.items():
        field = fields.get(key)
        if field is not None and field.message_type is not None:
            kind = field.message_type
            kept[key] = [known_part(item, kind) for item in inner] if isinstance(inner, list) else known_part(inner, kind)
        elif field is not None:
            kept[key] = inner
    return kept


# ---- settings that both have ----


def seconds_of(table: Mapping[str, Any]) -> float:
    """The setting ``timeout``."""
    value = table.get("timeout", SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= SECONDS_MAX:
        raise SettingsError(f"timeout: {value!r} is no number of seconds; use more than 0, up to {SECONDS_MAX:g}")
    return float(value)


def at_once_of(table: Mapping[str, Any]) -> int:
    """The setting ``at_once``."""
    value = table.get("at_once", AT_ONCE)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= AT_ONCE_MAX:
        raise SettingsError(f"at_once: {value!r} is no number of questions; use 1 to {AT_ONCE_MAX}")
    return value


def features_of(table: Mapping[str, Any]) -> frozenset[int]:
    """The setting ``features``: names of features, all when there is none."""
    names = table.get("features")
    known = {name: number for name, number in Feature.Type.items() if number}
    if names is None:
        return frozenset(known.values())
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names:
        raise SettingsError(f"features: {names!r} is no list of features; use for example LABEL_DETECTION,TEXT_DETECTION")
    for name in names:
        if name not in known:
            hint = suggestion(str(name), known, f"use {', '.join(known)}")
            raise SettingsError(f"features: {name} is no feature; {hint}")
    return frozenset(known[name] for name in names)


def text_of(table: Mapping[str, Any], key: str, default: str = "") -> str:
    """A setting that is a text."""
    value = table.get(key, default)
    if not isinstance(value, str):
        raise SettingsError(f"{key}: {value!r} is no text; put it in quotes")
    return value
