"""The three ways into the emulator that every API test takes, and a way past them to the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import grpc.aio
from google.protobuf import json_format

from vision_emulator.app import Emulator
from vision_emulator.contract.errors import HTTP_STATUS, Code, VisionError
from vision_emulator.contract.messages import POOL, Status
from vision_emulator.contract.methods import METHODS, Call, Method
from vision_emulator.storage import GcsUri


@dataclass
class Answer:
    """What came back: a message, and what the answer's headers or trailers say."""

    message: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """What came back when the call was refused, as the transport states it."""

    def __init__(self, code: int, message: str, details: list[Any]) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


class Api(Protocol):
    async def __call__(self, rpc: str, request: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Answer: ...


def method(rpc: str, package: str = "google.cloud.vision.v1") -> Method:
    return next(row for row in METHODS.values() if row.name == rpc and row.package in (package, "google.longrunning"))


class Direct:
    def __init__(self, emulator: Emulator) -> None:
        self._vision = emulator.vision

    async def __call__(self, rpc: str, request: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Answer:
        row = method(rpc)
        call = Call(row, row.request(**request), metadata or {})
        try:
            message = await self._vision.call(call)
        except VisionError as failure:
            raise Refused(failure.code, failure.message, list(failure.status().details)) from failure
        return Answer(message, call.answer_metadata)


class Rest:
    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self._url, self._session = emulator.url, session

    async def __call__(self, rpc: str, request: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Answer:
        row = method(rpc)
        message = row.request(**request)
        binding = next(binding for binding in row.bindings if "{parent" not in binding.path)
        path, body = binding.path, None
        if "{name" in path:
            within = "/operations" if rpc == "ListOperations" and message.name != "operations" else ""
            path = f"/v1/{quote(message.name, safe='/')}" + within + path.rpartition("}")[2]
            message.ClearField("name")
        fields = json_format.MessageToDict(message, descriptor_pool=POOL)
        if binding.body == "*":
            body = json_format.MessageToJson(message, descriptor_pool=POOL)
            fields = {}
        async with self._session.request(binding.verb, self._url + path, data=body, params=fields, headers=metadata) as response:
            text = await response.text()
            if response.status != 200:
                error = json_format.json.loads(text)["error"]
                status = json_format.ParseDict({"details": error.get("details", [])}, Status(), descriptor_pool=POOL)
                code = Code[error["status"]]
                assert error["code"] == response.status == HTTP_STATUS[code]
                raise Refused(code, error["message"], list(status.details))
            assert text.endswith("}\n")
            assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
            return Answer(
                json_format.Parse(text, row.response(), descriptor_pool=POOL), {k.lower(): v for k, v in response.headers.items()}
            )


class Grpc:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def __call__(self, rpc: str, request: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> Answer:
        row = method(rpc)
        stub = self._channel.unary_unary(row.grpc_path, row.request.SerializeToString, row.response.FromString)
        call = stub(row.request(**request), metadata=tuple((metadata or {}).items()), timeout=30)
        try:
            message = await call
        except grpc.aio.AioRpcError as failure:
            packed = dict(failure.trailing_metadata()).get("grpc-status-details-bin")
            details = list(Status.FromString(packed).details) if packed else []
            raise Refused(failure.code().value[0], failure.details() or "", details) from failure
        return Answer(message, dict(await call.trailing_metadata()))


@dataclass
class Files:
    """Puts pictures into buckets and reads results back, past every transport."""

    emulator: Emulator

    async def put(self, uri: str, data: bytes) -> str:
        where = GcsUri.parse(uri)
        await (await self.emulator.storage.bucket(where.bucket)).write(where.object, data, "application/octet-stream")
        return uri

    async def get(self, uri: str) -> bytes:
        where = GcsUri.parse(uri)
        return await (await self.emulator.storage.bucket(where.bucket)).read(where.object)

    async def names(self, uri: str) -> list[str]:
        where = GcsUri.parse(uri)
        return [info.name async for info in (await self.emulator.storage.bucket(where.bucket)).list(where.object)]
