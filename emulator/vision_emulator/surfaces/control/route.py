"""One call of the control API: how it is asked for, what it takes, what it answers; the dispatcher and the OpenAPI document read these."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web

from vision_emulator.written import suggestion

_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_UNKNOWN_VALUE: Final = re.compile(r"Invalid (?:enum )?value '(?P<value>.*)' - at `(?P<place>[^`]*?(?P<name>\w+))(\[\d+\])*`", re.DOTALL)
_UNKNOWN_FIELD: Final = re.compile(r"unknown field `(?P<name>[^`]*)`(?P<place>.*)", re.DOTALL)


class Refused(Exception):
    """A control call that cannot be done; the text says what was wrong and what would be right."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """One control call as its handler sees it."""

    variables: Mapping[str, str]  # from the path
    query: Mapping[str, str]  # only names that the route declares
    body: Any  # an instance of the route's body; None when it takes none
    request: web.BaseRequest  # for those that stream

    @property
    def project(self) -> str:
        """The project that the call is about; "" for the whole server."""
        return self.query.get("project", "")


@dataclass(frozen=True, slots=True)
class Route:
    """One control call. The handler answers what becomes JSON (None: ``{}``), or a response of its own."""

    verb: str
    path: str  # under /_emulator, with {variables}: "/v1/operations/{id}:complete"
    summary: str  # one sentence for the OpenAPI document
    handler: Callable[[Asked], Awaitable[Any]]
    body: type[Any] | None = None  # a msgspec.Struct that forbids unknown fields; bytes: as it came, whatever its type
    answer: type[Any] | None = None  # what msgspec calls a type; bytes: no JSON; None: {}
    query: Mapping[str, str] = field(default_factory=dict)  # name → what it does
    body_bytes_max: int = 64 * 1024
    media: str = "application/json"  # of the answer
    guarded: bool = True  # False: anybody may ask, and with any parameters

    @property
    def pattern(self) -> re.Pattern[str]:
        """What paths of this route look like while they are escaped; its groups are the variables."""
        parts = enumerate(_VARIABLE.split(self.path))
        return re.compile("".join(f"(?P<{part}>[^/:]+)" if index % 2 else re.escape(part) for index, part in parts))


def variables_in(path: str) -> list[str]:
    """The names of the variables of a route's path, in order."""
    return _VARIABLE.findall(path)


def read(data: bytes, kind: type[Any]) -> Any:
    """The body as an instance of ``kind``; Refused says what is wrong and where, and names the nearest known key."""
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as wrong:
        raise Refused(explained(str(wrong), kind)) from wrong
    except msgspec.DecodeError as broken:
        raise Refused(f"The body is no JSON: {broken}") from broken


def explained(complaint: str, kind: type[Any]) -> str:
    """What msgspec says of a value, with the nearest known name behind an unknown one."""
    value = _UNKNOWN_VALUE.fullmatch(complaint)
    if value is not None:
        known = values_of(kind, value["name"])
        hint = suggestion(value["value"], known, f"use one of {', '.join(known)}")
        return f"{value['value'][:100]!r} is no {value['name']} at `{value['place']}`; {hint}"
    unknown = _UNKNOWN_FIELD.search(complaint)
    if unknown is None:
        return complaint
    names = names_in(kind)
    hint = suggestion(unknown["name"], names, f"known are {', '.join(sorted(names))}")
    return f"{unknown['name']} is no known key{unknown['place'].replace(' - at', ' at')}; {hint}"


def names_in(kind: type[Any]) -> set[str]:
    """Every key that a value of this type may have anywhere in it."""
    _, components = msgspec.json.schema_components([kind])
    return {name for schema in components.values() for name in schema.get("properties", {})}


def values_of(kind: type[Any], key: str) -> list[str]:
    """Every word that a value of this type may have under such a key."""
    _, components = msgspec.json.schema_components([kind])
    said = [schema.get("properties", {}).get(key, {}) for schema in components.values()]
    return [str(word) for one in said for way in (one, *one.get("anyOf", ())) for word in way.get("enum", ())]
