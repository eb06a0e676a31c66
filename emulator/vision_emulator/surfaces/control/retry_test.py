"""The resource of Google's storage testbench at its own place, ``/retry_test``, so that retry tests written for it run here as they are.

| Call | Answer |
|---|---|
| ``POST /retry_test {"instructions": {"storage.buckets.list": ["return-503"]}, "transport": "HTTP"}`` | the test with its ``id`` |
| ``GET /retry_test/ID`` | the instructions that are left, and whether the test is ``completed`` |
| ``GET /retry_tests`` | all of them |
| ``DELETE /retry_test/ID`` | a line of text |

Calls take part that carry the id in ``x-retry-test-id``. Methods are storage's (storage.objects.get) and Vision's (vision.images.annotate);
``transport`` is HTTP for calls over REST and GRPC for those over gRPC.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from vision_emulator.contract import codec
from vision_emulator.control.faults import RuleRefused, RuleUnknown
from vision_emulator.control.instructions import RetryTests
from vision_emulator.surfaces import http
from vision_emulator.surfaces.control.guard import Guard
from vision_emulator.surfaces.control.route import Refused, read

_ONE: Final = "/retry_test"
_ALL: Final = "/retry_tests"
_BODY_BYTES_MAX: Final = 64 * 1024


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a retry test is made of."""

    instructions: dict[str, list[str]]
    transport: str = "HTTP"


class RetryTestSurface:
    """Answers ``/retry_test`` to those whom the guard lets in: this is a lever like those under ``/_emulator``."""

    def __init__(self, tests: RetryTests, guard: Guard) -> None:
        self._tests = tests
        self._guard = guard

    def claims(self, raw_path: str) -> bool:
        """Whether the path is the resource's."""
        path = raw_path.partition("?")[0].rstrip("/")
        return path in (_ONE, _ALL) or path.startswith(_ONE + "/")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one call."""
        path = request.raw_path.partition("?")[0].rstrip("/")
        try:
            self._guard.check(request, "")
            return await self._answer(request, path)
        except Refused as refused:
            return _refused(refused.status, str(refused))
        except RuleRefused as wrong:
            return _refused(400, str(wrong))
        except RuleUnknown as unknown:
            return _refused(404, f"Retry Test {unknown.args[0][:100]} does not exist.")
        except http.BodyTooLarge:
            return _refused(413, f"The body is larger than {_BODY_BYTES_MAX} bytes.")

    async def _answer(self, request: web.BaseRequest, path: str) -> web.Response:
        test_id = path.removeprefix(_ONE).strip("/")
        match request.method, path:
            case "GET", "/retry_tests":
                return _json({"retry_test": self._tests.tests()})
            case "POST", "/retry_test":
                wanted = read(await http.read(request, _BODY_BYTES_MAX), _Wanted)
                return _json(self._tests.create(wanted.instructions, wanted.transport))
            case "GET", _ if test_id:
                return _json(self._tests.get(test_id))
            case "DELETE", _ if test_id:
                self._tests.delete(test_id)
                return web.Response(text=f"Deleted {test_id}")
            case _:
                return _refused(405, f"{request.method} {path} is none: POST /retry_test, GET /retry_tests, GET or DELETE /retry_test/ID.")


def _json(value: Any) -> web.Response:
    return web.Response(body=codec.dump_json(value, pretty=False), content_type="application/json")


def _refused(status: int, message: str) -> web.Response:
    body = codec.dump_json({"error": {"code": status, "message": message}}, pretty=True)
    return web.Response(status=status, body=body, content_type="application/json")
