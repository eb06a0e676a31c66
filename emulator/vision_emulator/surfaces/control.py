"""The control API: plain JSON under ``/_emulator``, for tests and for people; none of it is part of Vision."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from vision_emulator.contract import codec
from vision_emulator.contract.errors import VisionError, malformed_json
from vision_emulator.control.clock import Clock
from vision_emulator.control.journal import Entry
from vision_emulator.core.capabilities import LEVELS, ledger
from vision_emulator.core.operations import Pace
from vision_emulator.core.service import Vision
from vision_emulator.surfaces import http

ROOT: Final = "/_emulator"
_BODY_BYTES_MAX: Final = 64 * 1024
_OPERATION: Final = re.compile(rf"{ROOT}/v1/operations/(?P<id>[0-9a-f]+):(?P<verb>complete|cancel)")


class ControlSurface:
    """Health, journal, operations, pace and reset. ``reset`` is what the composition root does for it."""

    def __init__(self, vision: Vision, clock: Clock, reset: Callable[[], None]) -> None:
        self._vision = vision
        self._clock = clock
        self._reset = reset

    def claims(self, raw_path: str) -> bool:
        """Whether the path is under ``/_emulator``."""
        return raw_path.partition("?")[0].startswith(ROOT + "/")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one control call; 404 with the known ones for any other."""
        path = request.raw_path.partition("?")[0].rstrip("/")
        operation = _OPERATION.fullmatch(path)
        try:
            match request.method, path:
                case "GET" | "HEAD", "/_emulator/health":
                    return _json({"status": "serving"})
                case "GET", "/_emulator/v1/capabilities":
                    return _json({"levels": LEVELS, "capabilities": [line._asdict() for line in ledger(self._vision)]})
                case "GET", "/_emulator/v1/journal":
                    return _json({"entries": [_plain(entry) for entry in self._vision.journal]})
                case "GET", "/_emulator/v1/operations":
                    return _json({"operations": [codec.to_json(operation) for operation in self._vision.operations.list()]})
                case "GET", "/_emulator/v1/pace":
                    return _json({"pace": str(self._vision.operations.pace)})
                case "PUT", "/_emulator/v1/pace":
                    self._vision.operations.pace = Pace.parse(await _pace(request))
                    return _json({"pace": str(self._vision.operations.pace)})
                case "POST", "/_emulator/v1/reset":
                    self._reset()
                    return _json({})
                case "POST", _ if operation:
                    return self._drive(operation["id"], operation["verb"])
        except VisionError as failure:
            return _json({"error": failure.message}, failure.http_status)
        known = "health, v1/capabilities, v1/journal, v1/operations, v1/operations/ID:complete, v1/operations/ID:cancel, v1/pace, v1/reset"
        return _json({"error": f"{request.method} {path} is no control call. Under {ROOT}/ there are: {known}."}, 404)

    def _drive(self, operation_id: str, verb: str) -> web.Response:
        operations, name = self._vision.operations, f"operations/{operation_id}"
        if verb == "complete":
            operations.reveal(name)
        else:
            operations.cancel(name)
        return _json(codec.to_json(operations.find(name).view(name, self._clock.now())))


def _plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, its code by name: "OK", "NOT_FOUND", null while the call is being answered."""
    return asdict(entry) | {"code": None if entry.code is None else entry.code.name}


async def _pace(request: web.BaseRequest) -> str:
    try:
        value = codec.load_json(await http.read(request, _BODY_BYTES_MAX))
    except http.BodyTooLarge:
        raise malformed_json(f"The body is larger than {_BODY_BYTES_MAX} bytes.") from None
    if not isinstance(value, dict) or not isinstance(value.get("pace"), str):
        raise malformed_json('Expected {"pace": "auto"} or another pace.')
    return str(value["pace"])


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, body=codec.dump_json(value, pretty=True), content_type="application/json", charset="UTF-8")
