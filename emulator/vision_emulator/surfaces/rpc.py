"""gRPC in, gRPC out: bytes to a Call and back, for every method of the table, with health and reflection beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.hurt import Damage
from vision_emulator.contract.messages import POOL, message_class
from vision_emulator.contract.methods import METHODS, Call, Method
from vision_emulator.core.service import Vision

OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.TRANSPORT_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a second emulator on the same port must fail, not share it
    ("grpc.http2.max_ping_strikes", 0),  # clients may ping as they like
    ("grpc.keepalive_permit_without_calls", 1),
)
_STATUS: Final = {code.value[0]: code for code in grpc.StatusCode}
UNREADABLE: Final = b"\xff" * 11  # no tag of a field is as long
_Context = grpc.aio.ServicerContext[Any, Any]


def server(vision: Vision) -> grpc.aio.Server:
    """A gRPC server that answers for ``vision``; the caller adds its ports, starts and stops it."""
    made = grpc.aio.server(options=OPTIONS)
    made.add_generic_rpc_handlers((_Methods(vision), _Health(), _Reflection()))
    return made


class _Methods(grpc.GenericRpcHandler):
    """One handler for every method of the table; messages stay bytes until here, so that a broken one gets a clear answer."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = METHODS.get(handler_call_details.method)
        return grpc.unary_unary_rpc_method_handler(self._answer(method)) if method else None

    def _answer(self, method: Method) -> Callable[[bytes, _Context], Any]:
        async def answer(data: bytes, context: _Context) -> bytes:
            call: Call | None = None
            try:
                call = _call(method, data, context)
                response = await self._vision.call(call)
            except VisionError as failure:
                await _abort(context, failure, call)
                raise  # not reached: abort raises
            context.set_trailing_metadata(tuple(call.answer_metadata.items()))
            data = response.SerializeToString()
            damage = call.hurt.damage if call.hurt is not None else None
            return data if damage is None else await _damaged(context, call, damage, data)

        return answer


def _call(method: Method, data: bytes, context: _Context) -> Call:
    try:
        request = method.request.FromString(data)
    except DecodeError:
        raise errors.message_malformed(method.request.DESCRIPTOR.full_name) from None
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Call(method, request, metadata, "grpc", context.time_remaining(), size=len(data))


async def _damaged(context: _Context, call: Call, damage: Damage, data: bytes) -> bytes:
    """An answer as it comes through: Damage says what each kind is. A handler cannot break its connection, which other calls share, so
    a client learns what it would make of a broken one: UNAVAILABLE, after the headers of the answer."""
    if damage.kind == "drop":
        await context.send_initial_metadata(())
        await _abort(context, errors.connection_broken(), call)
    broken = damage.body(data)
    try:
        call.method.response.FromString(broken)
    except DecodeError:
        return broken
    return broken + UNREADABLE  # it could still be read, and nothing is to be made of it


async def _abort(context: _Context, failure: VisionError, call: Call | None) -> None:
    trailers: list[tuple[str, str | bytes]] = list(call.answer_metadata.items()) if call else []
    if failure.details:
        trailers.append(("grpc-status-details-bin", failure.status().SerializeToString()))
    await context.abort(_STATUS[failure.code], failure.message, tuple(trailers))


class _Health(grpc.GenericRpcHandler):
    """grpc.health.v1.Health: serving, from the first answer on."""

    def __init__(self) -> None:
        self._request = message_class("grpc.health.v1.HealthCheckRequest")
        self._response = message_class("grpc.health.v1.HealthCheckResponse")
        self._known = {"", *(f"{method.package}.{method.service}" for method in METHODS.values())}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        codec = {"request_deserializer": self._request.FromString, "response_serializer": self._response.SerializeToString}
        match handler_call_details.method:
            case "/grpc.health.v1.Health/Check":
                return grpc.unary_unary_rpc_method_handler(self._check, **codec)
            case "/grpc.health.v1.Health/Watch":
                return grpc.unary_stream_rpc_method_handler(self._watch, **codec)
        return None

    async def _check(self, request: Any, context: _Context) -> Any:
        if request.service not in self._known:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: service {request.service}")
        return self._response(status=self._response.SERVING)

    async def _watch(self, request: Any, context: _Context) -> AsyncIterator[Any]:
        del context
        known = request.service in self._known
        yield self._response(status=self._response.SERVING if known else self._response.SERVICE_UNKNOWN)
        await asyncio.Event().wait()  # nothing changes while the server runs; the end of the stream says the rest


class _Reflection(grpc.GenericRpcHandler):
    """Server reflection over our own descriptor pool, under both names that clients ask for."""

    SERVICES: Final = ("grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        package, _, rest = handler_call_details.method.lstrip("/").rpartition(".ServerReflection/")
        if package not in ("grpc.reflection.v1", "grpc.reflection.v1alpha") or rest != "ServerReflectionInfo":
            return None
        request, response = (message_class(f"{package}.ServerReflection{kind}") for kind in ("Request", "Response"))

        async def answer(requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
            del context
            async for asked in requests:
                yield response(valid_host=asked.host, original_request=asked, **self._reflect(asked))

        return grpc.stream_stream_rpc_method_handler(
            answer, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )

    def _reflect(self, asked: Any) -> dict[str, Any]:
        kind = asked.WhichOneof("message_request")
        try:
            match kind:
                case "list_services":
                    names = {f"{method.package}.{method.service}" for method in METHODS.values()} | set(self.SERVICES)
                    return {"list_services_response": {"service": [{"name": name} for name in sorted(names)]}}
                case "file_by_filename":
                    return _files(POOL.FindFileByName(asked.file_by_filename))
                case "file_containing_symbol":
                    return _files(POOL.FindFileContainingSymbol(asked.file_containing_symbol))
                case "file_containing_extension":
                    containing = POOL.FindMessageTypeByName(asked.file_containing_extension.containing_type)
                    number = asked.file_containing_extension.extension_number
                    extension: Any = POOL.FindExtensionByNumber(containing, number)
                    return _files(extension.file)
                case "all_extension_numbers_of_type":
                    containing = POOL.FindMessageTypeByName(asked.all_extension_numbers_of_type)
                    numbers = [extension.number for extension in POOL.FindAllExtensions(containing)]
                    return {"all_extension_numbers_response": {"base_type_name": containing.full_name, "extension_number": numbers}}
        except KeyError as unknown:
            return _refusal(grpc.StatusCode.NOT_FOUND, f"Not found: {unknown.args[0] if unknown.args else kind}")
        return _refusal(grpc.StatusCode.INVALID_ARGUMENT, "The request names nothing to reflect on.")


def _files(file: Any) -> dict[str, Any]:
    """A file and everything it imports, so that a client needs one question."""
    found: dict[str, bytes] = {}

    def add(one: Any) -> None:
        if one.name not in found:
            found[one.name] = one.serialized_pb
            for imported in one.dependencies:
                add(imported)

    add(file)
    return {"file_descriptor_response": {"file_descriptor_proto": list(found.values())}}


def _refusal(code: grpc.StatusCode, text: str) -> dict[str, Any]:
    return {"error_response": {"error_code": code.value[0], "error_message": text}}
