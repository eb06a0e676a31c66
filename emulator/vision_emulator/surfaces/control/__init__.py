"""The control API: plain JSON under ``/_emulator``, for tests and for people; none of it is part of Vision.

Each resource has a file of its own with its routes; here they are found, asked and answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from vision_emulator.contract import codec
from vision_emulator.contract.errors import VisionError
from vision_emulator.surfaces import http
from vision_emulator.surfaces.control.route import Asked, Refused, Route, read

ROOT: Final = "/_emulator"


class ControlSurface:
    """Answers the calls of its routes, the first that matches."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes: Final = tuple(routes)

    def claims(self, raw_path: str) -> bool:
        """Whether the path is under ``/_emulator``."""
        return raw_path.partition("?")[0].startswith(ROOT + "/")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one control call; 404 with the known ones for any other."""
        raw_path, _, query = request.raw_path.partition("?")
        path = unquote(raw_path.rstrip("/").removeprefix(ROOT))
        verb = "GET" if request.method == "HEAD" else request.method
        try:
            for route in self.routes:
                variables = route.matches(path) if route.verb == verb else None
                if variables is not None:
                    return await _answer(route, variables, query, request)
        except VisionError as failure:
            return _json({"error": failure.message}, failure.http_status)
        except Refused as refusal:
            return _json({"error": str(refusal)}, refusal.status)
        known = ", ".join(f"{route.verb} {route.path}" for route in self.routes)
        return _json({"error": f"{request.method} {ROOT}{path} is no control call. Under {ROOT} there are: {known}."}, 404)


async def _answer(route: Route, variables: dict[str, str], query: str, request: web.BaseRequest) -> web.StreamResponse:
    given = dict(parse_qsl(query, keep_blank_values=True)) if route.query else {}
    unknown = next((name for name in given if name not in route.query), None)
    if unknown is not None:
        raise Refused(f"{unknown} is no parameter of {route.verb} {route.path}; known are {', '.join(route.query)}")
    body = None
    if route.body is not None:
        try:
            body = read(await http.read(request, route.body_bytes_max), route.body)
        except http.BodyTooLarge:
            raise Refused(f"The body is larger than {route.body_bytes_max} bytes.", 413) from None
    answer = await route.handler(Asked(variables, given, body, request))
    return answer if isinstance(answer, web.StreamResponse) else _json(answer)


def _json(value: Any, status: int = 200) -> web.Response:
    content = codec.dump_json({} if value is None else value, pretty=True)
    return web.Response(status=status, body=content, content_type="application/json", charset="UTF-8")
