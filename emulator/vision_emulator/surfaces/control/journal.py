"""The journal over the control API: read, counted, searched, cleared, and taken home as an HTTP archive or as fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from vision_emulator.contract import limits
from vision_emulator.contract.errors import Code
from vision_emulator.contract.methods import METHODS
from vision_emulator.control import assertions, har
from vision_emulator.control.journal import FEATURES, Entry, Journal
from vision_emulator.surfaces.control import recorded
from vision_emulator.surfaces.control.route import Asked, Refused, Route
from vision_emulator.written import suggestion

FORMATS: Final = ("json", "har", "fixtures")
TRANSPORTS: Final = ("rest", "grpc", "direct")
METHOD_NAMES: Final = tuple(dict.fromkeys(name for method in METHODS.values() for name in (method.name, method.full_name)))
_FILTERS: Final = {
    "method": "the RPC: BatchAnnotateImages, its full name, or a pattern with *",
    "transport": "rest, grpc or direct",
    "project": "whose calls: a project id, or a pattern with *",
    "code": "the answer's code, by name or number",
    "client": "part of the user agent or of what the client library says of itself",
    "image": "an image that was asked about: its uri, a pattern with * for it, or its sha256",
    "since": "only calls after the one of this number",
}


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """What a client library says of itself; ``versions`` has all it is made of."""

    language: str
    language_version: str
    library: str
    library_version: str
    versions: dict[str, str]


class JournalEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One call. Times are seconds; ``code`` and ``answer`` are null while it is being answered."""

    number: int
    at: float
    method: str
    transport: str
    project: str
    code: str | None
    message: str
    seconds: float
    deadline: float | None
    user_agent: str
    client: Client | None
    credentials: str
    headers: dict[str, str]
    request: dict[str, Any]
    unknown_fields: list[str]
    images: list[dict[str, Any]]
    answer: dict[str, Any] | None
    answer_bytes: int
    answered: dict[str, str]
    annotators: dict[str, int]
    operation: str
    fault: str


class Entries(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entries, oldest first; ``left`` says how many fit beyond those listed."""

    entries: list[JournalEntry]
    left: int = 0


class Count(msgspec.Struct, frozen=True):
    """How many calls fit."""

    count: int


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is said of a call; what is not said may be anything. ``request``: all of it is found in the call's request."""

    method: str = ""
    transport: str = ""
    project: str = ""
    credentials: str = ""
    operation: str = ""
    client: str = ""
    code: int | str = ""
    images: int | str | list[str] = ""
    features: str | list[str] = ""
    request: dict[str, Any] | None = None


class NearMiss(msgspec.Struct, frozen=True):
    """A call that almost fits, and in what it does not."""

    entry: JournalEntry
    differences: list[str]


class NearMisses(msgspec.Struct, frozen=True, rename="camel"):
    """How many calls fit; when none does, those that come closest."""

    count: int
    near_misses: list[NearMiss]


class JournalResource:
    """What was called."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        listed = {
            **_FILTERS,
            "limit": f"at most so many, the latest, or the first after since; {limits.JOURNAL_LISTED_MAX} at most",
            "format": "json; har: an HTTP archive; fixtures: rules that give these answers again",
        }
        clear = "Forget them all, or one project's."
        find, near = "The calls that fit an expectation, oldest first.", "What almost fits an expectation, and how it differs."
        whose = {"project": "only its calls"}
        return (
            Route("GET", "/v1/journal", "The calls that reached the API, oldest first.", self._list, answer=Entries, query=listed),
            Route("DELETE", "/v1/journal", clear, self._clear, query=whose),
            Route("GET", "/v1/journal:count", "How many calls fit.", self._count, answer=Count, query=_FILTERS),
            Route("POST", "/v1/journal:find", find, self._find, Expectation, Entries, whose),
            Route("POST", "/v1/journal:nearMisses", near, self._near, Expectation, NearMisses, whose),
            Route("GET", "/v1/journal/{number}", "One call.", self._one, answer=JournalEntry),
        )

    async def _list(self, asked: Asked) -> Any:
        format_ = asked.query.get("format", "json")
        _check("format", format_, FORMATS)
        most = _whole("limit", asked.query.get("limit", str(limits.JOURNAL_LISTED_MAX)))
        if not 0 <= most <= limits.JOURNAL_LISTED_MAX:
            raise Refused(f"limit={most} is out of range; use 0 to {limits.JOURNAL_LISTED_MAX}")
        chosen = await _off_loop(lambda: self._chosen(asked.query))
        listed = _cut(chosen, most) if "since" in asked.query else _cut(chosen[::-1], most)[::-1]
        if format_ == "har":
            scheme, host = asked.request.scheme, asked.request.host
            return await _off_loop(lambda: har.archive(listed, f"{scheme}://{host}"))
        if format_ == "fixtures":
            return await _off_loop(lambda: recorded.rules(entry.plain() for entry in listed))
        return await _off_loop(lambda: _entries(listed, len(chosen) - len(listed)))

    async def _count(self, asked: Asked) -> Any:
        return {"count": len(await _off_loop(lambda: self._chosen(asked.query)))}

    async def _one(self, asked: Asked) -> Any:
        text = asked.variables["number"]
        entry = self._journal.find(_whole("number", text))
        if entry is None:
            raise Refused(f"The journal has no entry {text}; GET /_emulator/v1/journal lists those it has.", 404)
        return await _off_loop(entry.plain)

    async def _clear(self, asked: Asked) -> None:
        self._journal.reset(asked.project)

    async def _find(self, asked: Asked) -> Any:
        fitting, _ = await _off_loop(lambda: self._sorted(asked, 0))
        return {"entries": fitting[: limits.JOURNAL_LISTED_MAX]}

    async def _near(self, asked: Asked) -> Any:
        fitting, near = await _off_loop(lambda: self._sorted(asked, limits.NEAR_MISSES_MAX))
        misses = [] if fitting else [{"entry": entry, "differences": differences} for entry, differences in near]
        return {"count": len(fitting), "nearMisses": misses}

    def _sorted(self, asked: Asked, most: int) -> tuple[list[Mapping[str, Any]], list[tuple[Mapping[str, Any], list[str]]]]:
        """The calls that fit, and so many of those that do not, the closest first."""
        expected: dict[str, Any] = msgspec.to_builtins(asked.body)
        _check_names(expected)
        method = "" if most else expected.get("method", "")  # for near misses all are looked at
        calls: list[Mapping[str, Any]] = [
            entry.plain() for entry in self._journal if asked.project in ("", entry.project) and (not method or entry.is_of(method))
        ]
        fitting = [call for call in calls if not assertions.differences(call, expected)]
        return fitting, assertions.nearest(calls, expected, most) if most else []

    def _chosen(self, query: Mapping[str, str]) -> list[Entry]:
        """The entries that the filters of a query let through."""
        _check_names(query)
        since = _whole("since", query.get("since", "0"))
        code, image = query.get("code", ""), query.get("image", "")
        number = int(code) if code.isascii() and code.isdigit() else None
        found = []
        for entry in self._journal:
            if entry.number <= since:
                continue
            if query.get("method") and not entry.is_of(query["method"]):
                continue
            if query.get("transport", entry.transport) != entry.transport or not assertions.fits(query.get("project", "*"), entry.project):
                continue
            if code and (entry.code is None or (entry.code != number and entry.code.name != code)):
                continue
            if query.get("client", "").lower() not in entry.client_text.lower():
                continue
            if image and assertions.differences(entry.plain(), {"images": image}):
                continue
            found.append(entry)
        return found


def _cut(entries: Sequence[Entry], most: int) -> Sequence[Entry]:
    """So many of the first entries, and fewer when they are heavy; one at least."""
    weight = 0
    for index, entry in enumerate(entries[:most]):
        weight += entry.weight
        if index and weight > limits.JOURNAL_LISTED_BYTES_MAX:
            return entries[:index]
    return entries[:most]


def _entries(entries: Iterable[Entry], left: int) -> dict[str, Any]:
    plain: dict[str, Any] = {"entries": [entry.plain() for entry in entries]}
    return plain | {"left": left} if left else plain


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuses what no call can be: a method, transport, code or feature that there is none of."""
    if given.get("method") and "*" not in given["method"]:
        _check("method", given["method"], METHOD_NAMES)
    if given.get("transport"):
        _check("transport", given["transport"], TRANSPORTS)
    code = str(given.get("code", ""))
    if code:
        _check("code", code, [name for value in Code for name in (value.name, str(value.value))])
    features = given.get("features") or ()
    for feature in [features] if isinstance(features, str) else features:
        _check("features", feature, FEATURES)


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value in known:
        return
    raise Refused(f"{name}={value} is none; {suggestion(value, known, 'use one of ' + ', '.join(known[:20]))}")


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Refused(f"{name}={text} is no whole number")
    return int(text)


async def _off_loop(work: Callable[[], Any]) -> Any:
    """What the work makes, in a thread: calls go on while a long journal is written."""
    return await asyncio.to_thread(work)
