"""The control API: plain JSON under ``/_emulator``, for tests and for people; none of it is part of Vision.

Each resource has a file of its own with its routes; here they are found, asked and answered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from vision_emulator.contract import codec
from vision_emulator.contract.errors import VisionError
from vision_emulator.surfaces import http
from vision_emulator.surfaces.control import openapi
from vision_emulator.surfaces.control.guard import COOKIE, QUERY, Guard
from vision_emulator.surfaces.control.route import Asked, Refused, Route, read
from vision_emulator.written import suggestion

ROOT: Final = openapi.ROOT
DOCUMENT: Final = "/v1/openapi.json"
JSON_TYPES: Final = re.compile(r"(application|text)/(.+\+)?json|")  # "": none is said
# What programs say who say nothing: curl, a bare fetch() of a text, clients of raw bytes. None of these can be taken for another format.
_UNSAID_TYPES: Final = ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream")
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}


class _Found(NamedTuple):
    """The calls of a path, and its variables."""

    routes: dict[str, Route]  # by verb
    variables: dict[str, str]


class ControlSurface:
    """Answers the calls of its routes to those whom the guard lets in."""

    def __init__(self, routes: Sequence[Route], guard: Guard) -> None:
        described = Route("GET", DOCUMENT, "This document.", self._openapi, answer=dict[str, Any])
        self.routes: Final = (*routes, described)
        self._guard = guard
        self._by_path: dict[str, dict[str, Route]] = {}
        self._document: dict[str, Any] | None = None
        for route in self.routes:
            verbs = self._by_path.setdefault(route.path, {})
            assert route.verb not in verbs, f"{route.verb} {route.path} is there twice"
            verbs[route.verb] = route
        self._templates = [(next(iter(verbs.values())).pattern, verbs) for path, verbs in self._by_path.items() if "{" in path]

    def claims(self, raw_path: str) -> bool:
        """Whether the path is under ``/_emulator``."""
        return raw_path.partition("?")[0].startswith(ROOT + "/")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one control call: 404 names the nearest one for any other, 405 the verbs of a path."""
        raw_path, _, query = request.raw_path.partition("?")
        path = raw_path.removeprefix(ROOT)
        verb = "GET" if request.method == "HEAD" else request.method
        try:
            found = self._find(path if path == "/" else path.rstrip("/"), verb)
            given = dict(parse_qsl(query, keep_blank_values=True))
            token = given.pop(QUERY, "")
            if found is None or any(route.guarded for route in found.routes.values()):
                self._guard.check(request, token)
            if found is None:
                raise Refused(self._unknown(request.method, path), 404)
            route = found.routes.get(verb)
            if route is None:
                verbs = ", ".join(found.routes)
                refusal = _json({"error": f"{request.method} is no verb of {ROOT}{path}; it takes {verbs}."}, 405)
                refusal.headers["Allow"] = verbs
                return refusal
            answer = await _answer(route, found.variables, given, request)
        except VisionError as failure:
            return _json({"error": failure.message}, failure.http_status)
        except Refused as refusal:
            refused = _json({"error": str(refusal)}, refusal.status)
            if refusal.status == web.HTTPUnauthorized.status_code:
                refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
        if token and not answer.prepared:
            answer.set_cookie(COOKIE, token, path=ROOT, httponly=True, samesite="Lax")  # what the page loads next carries it
        return answer

    def _find(self, path: str, verb: str) -> _Found | None:
        """The calls of a path as it came; of one that is escaped more than need be, those that it is without, when the verb fits them."""
        found = self._look_up(path)
        if "%" in path and (found is None or verb not in found.routes):
            unescaped = self._look_up(unquote(path))
            if unescaped is not None and (found is None or verb in unescaped.routes):
                return unescaped
        return found

    def _look_up(self, path: str) -> _Found | None:
        literal = self._by_path.get(path)
        if literal is not None and "{" not in path:
            return _Found(literal, {})
        for pattern, routes in self._templates:
            match = pattern.fullmatch(path)
            if match:
                return _Found(routes, {name: unquote(value) for name, value in match.groupdict().items()})
        return None

    def _unknown(self, verb: str, path: str) -> str:
        known = {f"{route.verb} {ROOT}{route.path}": None for route in self.routes}
        asked = f"{verb} {ROOT}{path}"[:200]
        near = get_close_matches(asked, known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}? " if near else ""
        return f"{asked} is no control call. {hint}GET {ROOT}{DOCUMENT} describes them all."

    async def _openapi(self, asked: Asked) -> Any:
        del asked
        self._document = self._document or openapi.document(self.routes)
        return self._document


async def _answer(route: Route, variables: dict[str, str], given: dict[str, str], request: web.BaseRequest) -> web.StreamResponse:
    unknown = next((name for name in given if name not in route.query), None) if route.guarded else None
    if unknown is not None:
        hint = suggestion(unknown, route.query, f"known are {', '.join(route.query)}" if route.query else "it takes none")
        raise Refused(f"{unknown} is no parameter of {route.verb} {ROOT}{route.path}; {hint}")
    answer = await route.handler(Asked(variables, given, await _body(route, request), request))
    return answer if isinstance(answer, web.StreamResponse) else _json(answer)


async def _body(route: Route, request: web.BaseRequest) -> Any:
    """The body as the route takes it."""
    try:
        data = await http.read(request, route.body_bytes_max)
    except http.BodyTooLarge:
        raise Refused(f"The body is larger than {route.body_bytes_max} bytes.", 413) from None
    if route.body is bytes:
        return data
    if route.body is None:
        if data.strip() not in (b"", b"{}"):
            raise Refused(f"{route.verb} {ROOT}{route.path} takes no body.")
        return None
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not JSON_TYPES.fullmatch(media_type) and media_type not in _UNSAID_TYPES:
        raise Refused(f"A body of type {media_type[:100]} is none of the control API: send JSON, with Content-Type: application/json.", 415)
    return read(data, route.body)


def _json(value: Any, status: int = 200) -> web.Response:
    plain = {} if value is None else value if isinstance(value, dict) else msgspec.to_builtins(value)
    content = codec.dump_json(plain, pretty=True)
    return web.Response(status=status, body=content, content_type="application/json", charset="UTF-8", headers=_HEADERS)
