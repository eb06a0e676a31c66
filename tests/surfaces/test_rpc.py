"""gRPC on the wire: health, reflection, broken messages, details, sizes, deadlines and cancelled calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_status import rpc_status

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import (
    BETAS,
    V1,
    AsyncBatchAnnotateImagesRequest,
    BatchAnnotateImagesRequest,
    BatchAnnotateImagesResponse,
    Feature,
    GetOperationRequest,
    Operation,
    WaitOperationRequest,
    message_class,
)
from vision_emulator.contract.methods import METHODS
from wire import eventually

ANNOTATE = f"/{V1}.ImageAnnotator/BatchAnnotateImages"
START = f"/{V1}.ImageAnnotator/AsyncBatchAnnotateImages"
GET = "/google.longrunning.Operations/GetOperation"
WAIT = "/google.longrunning.Operations/WaitOperation"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
BATCH = {
    "requests": [{"image": {"source": {"image_uri": "gs://inputs/none.jpg"}}, "features": [{"type": Feature.LABEL_DETECTION}]}],
    "output_config": {"gcs_destination": {"uri": "gs://results/run/"}},
}


def unary(channel: grpc.aio.Channel, path: str) -> Any:
    """The stub of any method of the contract, by its gRPC path."""
    row = METHODS[path]
    return channel.unary_unary(path, row.request.SerializeToString, row.response.FromString)


def annotate(content: bytes, *features: int) -> BatchAnnotateImagesRequest:
    wanted = [{"type": feature} for feature in features or (Feature.SAFE_SEARCH_DETECTION,)]
    return BatchAnnotateImagesRequest(requests=[{"image": {"content": content}, "features": wanted}])


async def start(channel: grpc.aio.Channel, pace: str) -> Operation:
    return await unary(channel, START)(AsyncBatchAnnotateImagesRequest(**BATCH), metadata=(("x-vision-emulator-pace", pace),))


# ---- health ----


def health(name: str) -> Any:
    return message_class(f"grpc.health.v1.HealthCheck{name}")


async def test_health(channel: grpc.aio.Channel) -> None:
    """Check says SERVING for the server and each of its services, and NOT_FOUND for any other."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check", health("Request").SerializeToString, health("Response").FromString)
    for service in ("", f"{V1}.ImageAnnotator", "google.longrunning.Operations", *(f"{beta}.ImageAnnotator" for beta in BETAS)):
        assert (await check(health("Request")(service=service))).status == health("Response").SERVING
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await check(health("Request")(service="google.cloud.vision.v9.ImageAnnotator"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_health_watch(channel: grpc.aio.Channel) -> None:
    """Watch says at once how things are, and holds the stream; a service that nobody knows is SERVICE_UNKNOWN, not an error."""
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch", health("Request").SerializeToString, health("Response").FromString)
    for service, status in (("", "SERVING"), ("nobody", "SERVICE_UNKNOWN")):
        stream = watch(health("Request")(service=service))
        assert (await stream.read()).status == health("Response").ServingStatus.Value(status)
        assert not stream.done()
        stream.cancel()


# ---- reflection ----


async def reflect(channel: grpc.aio.Channel, version: str, *questions: dict[str, Any]) -> list[Any]:
    """The answers to these questions, asked on one stream."""
    request, response = (message_class(f"grpc.reflection.{version}.ServerReflection{kind}") for kind in ("Request", "Response"))
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    stream = channel.stream_stream(path, request.SerializeToString, response.FromString)(questions_of(request, questions))
    return [answer async for answer in stream]


async def questions_of(request: Any, questions: tuple[dict[str, Any], ...]) -> AsyncIterator[Any]:
    for question in questions:
        yield request(**question)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_describes_the_whole_api(channel: grpc.aio.Channel, version: str) -> None:
    """From the answers alone a client can rebuild a pool and find every method of every service listed."""
    (listed,) = await reflect(channel, version, {"list_services": ""})
    services = [service.name for service in listed.list_services_response.service]
    assert {f"{package}.ImageAnnotator" for package in (V1, *BETAS)} < set(services)
    answers = await reflect(channel, version, *({"file_containing_symbol": name} for name in services))
    pool = descriptor_pool.DescriptorPool()
    files = {}
    for answer in answers:
        for packed in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(packed)
            files[file.name] = file

    def add(name: str) -> None:
        if file := files.pop(name, None):
            for imported in file.dependency:
                add(imported)
            pool.Add(file)

    for name in list(files):
        add(name)
    for method in METHODS.values():
        service = pool.FindServiceByName(f"{method.package}.{method.service}")
        assert service.methods_by_name[method.name].input_type.full_name == method.wire_request.DESCRIPTOR.full_name
    assert pool.FindServiceByName("grpc.health.v1.Health").methods_by_name["Check"]


async def test_reflection_answers_each_kind_of_question(channel: grpc.aio.Channel) -> None:
    """By file name, symbol, extension and type; what is not there is NOT_FOUND inside the answer, and the stream goes on."""
    option = {"containing_type": "google.protobuf.MethodOptions", "extension_number": 72295728}
    by_name, by_extension, numbers, nothing, unknown, unknown_file, empty, listed = await reflect(
        channel,
        "v1",
        {"file_by_filename": "vision.proto"},
        {"file_containing_extension": option},
        {"all_extension_numbers_of_type": "google.protobuf.MethodOptions"},
        {"file_containing_extension": option | {"extension_number": 9}},
        {"file_containing_symbol": "google.cloud.vision.v9.Image"},
        {"file_by_filename": "nobody.proto"},
        {},
        {"list_services": ""},
    )
    assert by_name.file_descriptor_response.file_descriptor_proto
    assert by_extension.file_descriptor_response.file_descriptor_proto
    assert 72295728 in numbers.all_extension_numbers_response.extension_number
    assert [answer.error_response.error_code for answer in (nothing, unknown, unknown_file, empty)] == [5, 5, 5, 3]
    assert listed.list_services_response.service
    assert unknown.original_request.file_containing_symbol == "google.cloud.vision.v9.Image"


# ---- calls ----


async def test_all_five_packages_are_served(channel: grpc.aio.Channel) -> None:
    """v1 and each beta answer under their own name."""
    for package in (V1, *BETAS):
        answer = await unary(channel, f"/{package}.ImageAnnotator/BatchAnnotateImages")(annotate(drawn()))
        assert answer.responses[0].safe_search_annotation.adult


async def test_bytes_that_are_no_message(channel: grpc.aio.Channel, emulator: Emulator) -> None:
    """A broken message is INVALID_ARGUMENT and names the type it should have been; nothing reaches the API."""
    raw = channel.unary_unary(ANNOTATE)
    for broken in (b"\x0a\xff", b"\xff" * 20, b"\x0a\x05{}"):
        with pytest.raises(grpc.aio.AioRpcError, match="BatchAnnotateImagesRequest") as refused:
            await raw(broken)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert len(emulator.vision.journal) == 0


async def test_an_unknown_method(channel: grpc.aio.Channel) -> None:
    """UNIMPLEMENTED, whatever part of the path is unknown."""
    for path in (f"/{V1}.ImageAnnotator/Annotate", "/google.cloud.vision.v9.ImageAnnotator/BatchAnnotateImages", "/x/y", "/"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(path)(b"")
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_refusal_is_its_code_and_text(channel: grpc.aio.Channel) -> None:
    """A refusal without details has none in its trailers, as the standard library reads them; line breaks and umlauts arrive."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await unary(channel, GET)(GetOperationRequest(name="jobs/über\nall"))
    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Invalid operation name: jobs/über\nall.",
    )
    assert rpc_status.from_call(refused.value) is None


async def test_details_are_read_by_the_standard_library(channel: grpc.aio.Channel, emulator: Emulator) -> None:
    """Details travel as ``grpc-status-details-bin``, which grpc_status decodes and finds to agree with code and text."""
    from google.rpc import error_details_pb2  # registers itself in the default pool, where grpc_status unpacks

    from vision_emulator.contract import errors

    failure = errors.bad_request([errors.Violation("requests[0]", "not this")])

    async def refuse(*poll: Any) -> Any:
        del poll
        raise failure

    emulator.vision.operations.get = refuse  # type: ignore[method-assign]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await unary(channel, GET)(GetOperationRequest(name="operations/0"))
    status = rpc_status.from_call(refused.value)
    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    assert (status.code, status.message, detail.field_violations[0].field) == (3, "not this", "requests[0]")


async def test_a_text_too_long_for_a_trailer(channel: grpc.aio.Channel) -> None:
    """A refusal that quotes a very long value still arrives with its code."""
    batch = BATCH | {"output_config": {"gcs_destination": {"uri": "s3://" + "x" * 100_000}}}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await unary(channel, START)(AsyncBatchAnnotateImagesRequest(**batch))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details().startswith("Invalid GCS path specified: s3://xxx")


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_large_and_compressed_messages(emulator: Emulator, compression: grpc.Compression | None) -> None:
    """30 MB in one message pass, compressed or not: far above gRPC's default of 4 MiB."""
    contents = [drawn(number) + bytes(15_000_000) for number in range(2)]
    sent = BatchAnnotateImagesRequest()
    for content in contents:
        sent.MergeFrom(annotate(content))
    async with grpc.aio.insecure_channel(emulator.address, UNLIMITED, compression) as channel:
        answer = await unary(channel, ANNOTATE)(sent, timeout=25)
    assert [bool(response.safe_search_annotation.adult) for response in answer.responses] == [True, True]


async def test_metadata_of_all_kinds(channel: grpc.aio.Channel) -> None:
    """Binary keys, repeated keys and keys of no meaning here harm nobody; the trailers say who annotated."""
    sent = (("x-trace-bin", b"\x00\xff"), ("x-any", "1"), ("x-any", "2"), ("x-goog-request-params", "parent="), ("x-goog-api-key", ""))
    call = unary(channel, ANNOTATE)(annotate(drawn()), metadata=sent)
    assert (await call).responses
    assert dict(await call.trailing_metadata())["x-vision-emulator-annotators"] == "synthetic=1"


# ---- time ----


async def test_a_held_call_answers_before_its_deadline(channel: grpc.aio.Channel) -> None:
    """A wait for an operation that never ends, and a poll under pace auto, come back unfinished and in time instead of failing."""
    operation = await start(channel, "never")
    assert not (await unary(channel, WAIT)(WaitOperationRequest(name=operation.name), timeout=1)).done


async def test_a_client_that_cancels_its_call(channel: grpc.aio.Channel, emulator: Emulator) -> None:
    """A call cancelled by its client is CANCELLED in the journal, and the operation it asked for is untouched."""
    operation = await start(channel, "never")
    call = unary(channel, WAIT)(WaitOperationRequest(name=operation.name))
    await eventually(lambda: len(emulator.vision.journal) == 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: list(emulator.vision.journal)[-1].code is not None)
    assert list(emulator.vision.journal)[-1].code == Code.CANCELLED
    assert not emulator.vision.operations.find(operation.name).cancelled


async def test_a_client_that_vanishes(emulator: Emulator) -> None:
    """The same when the whole channel goes away while a call is held."""
    async with grpc.aio.insecure_channel(emulator.address) as channel:
        operation = await start(channel, "never")
        held = unary(channel, WAIT)(WaitOperationRequest(name=operation.name))
        await eventually(lambda: len(emulator.vision.journal) == 2)
        await channel.close(None)
        with pytest.raises(asyncio.CancelledError):
            await held
    await eventually(lambda: list(emulator.vision.journal)[-1].code == Code.CANCELLED)


async def test_calls_side_by_side_on_one_channel(channel: grpc.aio.Channel) -> None:
    """Many calls share a channel and each gets its own answer."""
    answers = await asyncio.gather(*(unary(channel, ANNOTATE)(annotate(drawn(number))) for number in range(40)))
    alone = [await unary(channel, ANNOTATE)(annotate(drawn(number))) for number in (0, 39)]
    assert [answers[0], answers[39]] == alone
    assert all(isinstance(answer, BatchAnnotateImagesResponse) for answer in answers)
