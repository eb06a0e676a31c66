"""What a variant comes to over each transport, in a form that can be compared with the others and kept in a file."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import grpc.aio
from google.protobuf import json_format
from samples import PICTURE_URI, RESULTS_URI, objects
from yarl import URL

from vision_emulator.app import Emulator
from vision_emulator.contract import codec, errors
from vision_emulator.contract.errors import HTTP_STATUS, Code, VisionError
from vision_emulator.contract.messages import POOL, TYPE_URL, AnnotateImageResponse, AsyncBatchAnnotateImagesRequest, Feature, Status
from vision_emulator.contract.methods import METHODS, Call, Method, match
from vision_emulator.core.service import PACE

SECONDS_MAX: Final = 60  # a call that takes longer hangs
INSTANT: Final = {PACE: "instant"}  # the operation's end is part of the answer
SHOWN_CHARS_MAX: Final = 120  # of an outcome; the rest is a digest
_VARYING: Final = ((re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])"), "ID"), (re.compile(r'Time": "[^"]+"'), 'Time": "TIME"'))
_ANNOTATIONS: Final = {field.json_name for field in AnnotateImageResponse.DESCRIPTOR.fields} - {"error", "context"}
_BATCH: Final = "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"
_STAGE: Final = {
    "done": ("instant", RESULTS_URI),
    "failed": ("instant", "gs://nowhere/"),
    "cancelled": ("never", RESULTS_URI),
    "running": ("never", RESULTS_URI),
}  # state of an operation: the pace and destination that lead to it
_OURS: Final = (errors.internal().message, errors.features_failed().message)  # only a fault of the emulator itself says these


class Outcome(NamedTuple):
    """An answer without what differs from run to run; two transports agree when their outcomes are equal."""

    code: str
    message: str = ""
    details: Any = None
    answer: Any = None  # JSON, with the files that an operation wrote

    def __str__(self) -> str:
        """One line for the baseline: ``text``, the far end of a long one as its digest."""
        text = self.text
        if len(text) <= SHOWN_CHARS_MAX:
            return text
        return f"{text[:SHOWN_CHARS_MAX]}… +{len(text) - SHOWN_CHARS_MAX} {hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def text(self) -> str:
        """The refusal, or the answer's outline, in which what was written and said comes before whose it is."""
        if self.code != "OK":
            kinds = [detail["@type"].rpartition(".")[2] for detail in self.details or ()]
            return " ".join((f"{self.code}:", *kinds, self.message))
        return "OK " + json.dumps(_last_first(outline(self.answer)), ensure_ascii=False).replace(TYPE_URL, "")

    @property
    def is_our_fault(self) -> bool:
        """Whether the emulator stumbled: over the whole call, an operation, a file or an image."""
        return self.code in ("INTERNAL", "UNKNOWN") or any(error.get("message") in _OURS for error in _errors(self.answer))


def outline(answer: Any) -> Any:
    """The answer with each annotation reduced to whether it is there, and lists of them to their lengths."""
    if isinstance(answer, list):
        return [outline(element) for element in answer]
    if not isinstance(answer, dict):
        return answer
    if "metadata" in answer:  # times and a type: its state says the rest
        answer = {**answer, "metadata": answer["metadata"]["state"]}
    return {
        key: (len(value) if isinstance(value, list) else True) if key in _ANNOTATIONS else outline(value) for key, value in answer.items()
    }


def _errors(answer: Any) -> Iterator[dict[str, Any]]:
    if isinstance(answer, list):
        for element in answer:
            yield from _errors(element)
    elif isinstance(answer, dict):
        if isinstance(answer.get("error"), dict):
            yield answer["error"]
        for value in answer.values():
            yield from _errors(value)


def _templated(text: str) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text


def _last_first(answer: Any) -> Any:
    """The same, each object from its last name to its first."""
    if isinstance(answer, list):
        return [_last_first(element) for element in answer]
    return {key: _last_first(answer[key]) for key in sorted(answer, reverse=True)} if isinstance(answer, dict) else answer


class Transports:
    """One emulator and the three ways into it, each over a connection that is kept."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession, channel: grpc.aio.Channel) -> None:
        self._emulator, self._session, self._channel = emulator, session, channel

    async def prepare(self) -> None:
        """Puts what there is to read into its bucket."""
        bucket = await self._emulator.storage.bucket("inputs")
        for name, data in objects().items():
            await bucket.write(name, data, "application/octet-stream")

    async def all(self, method: Method, fields: Mapping[str, Any], *, staged: bool) -> dict[str, Outcome]:
        """The outcome of a message per transport; REST is left out when no URL or JSON says the request.

        ``staged``: each transport finds the same operations, whose ids are filled into the name.
        """

        async def request() -> Any:
            return method.request(**(await self._staged(fields) if staged else fields))

        outcomes = {"direct": await self.direct(method, await request()), "grpc": await self.grpc(method, await request())}
        message = await request()
        with suppress(json_format.SerializeToJsonError):  # a duration out of its range has no JSON
            verb, path, body = _as_rest(method, message)
            found = match(verb, path.partition("?")[0])
            if found is not None and found.method is method:
                outcomes["rest"] = await self.rest(verb, path, body)
        return outcomes

    async def _staged(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The request's fields, after a fresh start with one operation in each state."""
        vision = self._emulator.vision
        vision.operations.reset()
        name = fields["name"]
        for state, (pace, destination) in _STAGE.items():
            request = AsyncBatchAnnotateImagesRequest(
                requests=[{"image": {"source": {"image_uri": PICTURE_URI}}, "features": [{"type": Feature.LABEL_DETECTION}]}],
                output_config={"gcs_destination": {"uri": destination}},
                parent="projects/p",
            )
            operation = await vision.call(Call(METHODS[_BATCH], request, {PACE: pace}))
            if state == "cancelled":
                vision.operations.cancel(operation.name)
            name = name.replace(f"{{{state}}}", operation.name.rpartition("/")[2])
        await vision.operations.drain()
        await self._written()
        return {**fields, "name": name}

    async def direct(self, method: Method, request: Any) -> Outcome:
        """Straight into the core."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                answer = await self._emulator.vision.call(Call(method, request, INSTANT))
        except VisionError as failure:
            return Outcome(failure.code.name, _templated(failure.message), _details(failure.status()))
        return await self._answered(codec.to_json(answer))

    async def grpc(self, method: Method, request: Any) -> Outcome:
        """As bytes over HTTP/2; the answer is turned into JSON by protobuf's own means, a second opinion on the JSON of the others."""
        stub = self._channel.unary_unary(method.grpc_path, method.request.SerializeToString, method.response.FromString)
        try:
            answer = await stub(request, metadata=tuple(INSTANT.items()), timeout=SECONDS_MAX)
        except grpc.aio.AioRpcError as failure:
            packed = dict(failure.trailing_metadata()).get("grpc-status-details-bin")
            details = _details(Status.FromString(packed)) if packed else None
            return Outcome(failure.code().name, _templated(failure.details() or ""), details)
        return await self._answered(json_format.MessageToDict(answer, descriptor_pool=POOL))

    async def rest(self, verb: str, path: str, body: bytes | None) -> Outcome:
        """As JSON over HTTP/1.1."""
        timeout = aiohttp.ClientTimeout(SECONDS_MAX)
        url = URL(self._emulator.url + path, encoded=True)
        async with self._session.request(verb, url, data=body and io.BytesIO(body), headers=INSTANT, timeout=timeout) as response:
            text = await response.read()
        if response.content_type != "application/json":
            return Outcome(f"HTTP {response.status}", response.content_type)
        answer = json.loads(text)
        if response.status == 200:
            return await self._answered(answer)
        error = answer["error"]
        assert error["code"] == response.status == HTTP_STATUS[Code[error["status"]]], error
        return Outcome(error["status"], _templated(error["message"]), error.get("details"))

    async def _answered(self, answer: Any) -> Outcome:
        return Outcome("OK", answer=json.loads(_templated(json.dumps(answer))) | await self._written())

    async def _written(self) -> dict[str, Any]:
        """The result files, which are removed: the next call starts from nothing."""
        bucket = self._emulator.storage.find("results")  # type: ignore[attr-defined]
        files = {}
        for info in [info async for info in bucket.list()]:
            files[info.name] = json.loads(await bucket.read(info.name))
            await bucket.delete(info.name)
        return {"written": files} if files else {}


def _details(status: Status) -> Any:
    return codec.to_json(status).get("details")


def _as_rest(method: Method, request: Any) -> tuple[str, str, bytes | None]:
    """A message as the request line and body that say the same; the parent goes into the body."""
    if not hasattr(request, "name"):
        return method.bindings[0].verb, method.bindings[0].path, json_format.MessageToJson(request, descriptor_pool=POOL).encode()
    rest = type(request)()
    rest.CopyFrom(request)
    rest.ClearField("name")
    binding = method.bindings[0]
    path = f"/v1/{quote(request.name, safe='/')}" + binding.path.rpartition("}")[2]
    if binding.body:
        return binding.verb, path, json_format.MessageToJson(rest, descriptor_pool=POOL).encode()
    query = "&".join(f"{name}={quote(str(value))}" for name, value in json_format.MessageToDict(rest, descriptor_pool=POOL).items())
    return binding.verb, f"{path}?{query}" if query else path, None
