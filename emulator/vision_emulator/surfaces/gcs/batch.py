"""Batch requests: up to 100 calls of the JSON API in one multipart body, answered in the same order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from vision_emulator.contract import http_batch
from vision_emulator.contract.http_batch import Answer, BatchError
from vision_emulator.contract.limits import STORAGE_BATCH_CALLS_MAX
from vision_emulator.contract.multipart import Part
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.request import Reply, Request

Caller = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Reply]]


async def reply(call: Caller, request: Request) -> Reply:
    """Makes the calls one after the other; each part answers for itself."""
    if request.method != "POST":
        raise errors.not_found(f"{request.method} {request.path}")
    try:
        parts = http_batch.parts(request.headers.get("content-type", ""), request.body, STORAGE_BATCH_CALLS_MAX)
    except BatchError as error:
        raise errors.invalid(str(error)) from error
    content_type, body = http_batch.body([(part, await _answer(call, request, part)) for part in parts])
    return Reply(200, {"content-type": content_type}, body)


async def _answer(call: Caller, outer: Request, part: Part) -> Answer:
    try:
        return Answer(*await call(*http_batch.call(part, outer.headers)))
    except BatchError as error:
        refusal = errors.invalid(str(error))
        return Answer(refusal.status, {"content-type": errors.JSON_TYPE}, refusal.json())
