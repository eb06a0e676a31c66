"""Journal entries as an HTTP archive (HAR 1.2), which browsers' developer tools and proxies read.

A gRPC call is written as the REST call that says the same. The bytes of pictures are not there, nor are credentials; each stands as what
the journal says in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote, urlencode

from vision_emulator.contract import codec
from vision_emulator.contract.errors import HTTP_STATUS, Code
from vision_emulator.contract.methods import TEMPLATE, Method
from vision_emulator.control.journal import Entry

PROGRAM: Final = "vision-emulator"
_JSON: Final = "application/json; charset=UTF-8"
_UNKNOWN: Final = -1  # HAR's word for a size that nobody measured
_PHRASED: Final = frozenset(HTTPStatus)  # all but 499, which is nobody's standard


def archive(entries: Iterable[Entry], url: str) -> dict[str, Any]:
    """The entries that are over, oldest first; ``url`` is where the emulator is reached, without a final slash."""
    log = {
        "version": "1.2",
        "creator": {"name": PROGRAM, "version": version(PROGRAM)},
        "entries": [_entry(entry, url) for entry in entries if entry.code is not None],
    }
    return {"log": log}


def _entry(entry: Entry, url: str) -> dict[str, Any]:
    plain = entry.plain()
    status = HTTP_STATUS[entry.code or Code.OK]
    milliseconds = entry.seconds * 1000
    return {
        "startedDateTime": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds"),
        "time": milliseconds,
        "request": _request(entry.rpc, plain, url),
        "response": _response(plain, status),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "comment": f"#{entry.number} {entry.transport} {entry.method}" + (f"; fault: {entry.fault}" if entry.fault else ""),
    }


def _request(method: Method, plain: Mapping[str, Any], url: str) -> dict[str, Any]:
    verb, path, rest, has_body = _line(method, plain["request"])
    query = {} if has_body else {name: str(value) for name, value in rest.items()}
    request: dict[str, Any] = {
        "method": verb,
        "url": url + path + (f"?{urlencode(query)}" if query else ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(plain["headers"]),
        "queryString": _pairs(query),
        "headersSize": _UNKNOWN,
        "bodySize": _UNKNOWN,
    }
    if has_body:
        request["postData"] = {"mimeType": _JSON, "text": codec.dump_json(rest).decode()}
    return request


def _line(method: Method, request: Mapping[str, Any]) -> tuple[str, str, dict[str, Any], bool]:
    """Verb and path of the first REST form that the request fits, what the path does not say, and whether that goes into a body."""
    for binding in method.bindings:
        found = TEMPLATE.fullmatch(binding.path)
        if found is None:
            return binding.verb, binding.path, dict(request), bool(binding.body)
        value = str(request.get(_camel(found["variable"]), ""))
        if _fits(found["pattern"], value):
            rest = {name: given for name, given in request.items() if name != _camel(found["variable"])}
            path = found["head"] + quote(value, safe="/") + found["custom_verb"] + found["tail"]
            return binding.verb, path, rest, bool(binding.body)
    return "POST", method.grpc_path, dict(request), True  # no REST form: a name that none of them takes


def _fits(pattern: str, value: str) -> bool:
    """Whether a resource's name has the segments of a template."""
    wanted, given = pattern.split("/"), value.split("/")
    return len(wanted) == len(given) and all(part in ("*", segment) and segment for part, segment in zip(wanted, given, strict=True))


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _response(plain: Mapping[str, Any], status: int) -> dict[str, Any]:
    body: Any = plain["answer"]
    if plain["code"] != "OK":
        body = {"error": {"code": status, "message": plain["message"], "status": plain["code"]}}
    text = "" if body is None else codec.dump_json(body).decode()
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in _PHRASED else "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs({"content-type": _JSON, **plain["answered"]}),
        "content": {"size": len(text.encode()), "mimeType": _JSON, "text": text},
        "redirectURL": "",
        "headersSize": _UNKNOWN,
        "bodySize": _UNKNOWN,
    }


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
