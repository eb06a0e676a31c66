"""Fault rules as clients meet them: whatever the transport, the same failure."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import grpc
import grpc.aio
import msgspec
import pytest
from transports import Api, Files, Refused, method

from documents import text_pdf
from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract.messages import BatchAnnotateImagesResponse, ErrorInfo, QuotaFailure, RetryInfo
from vision_emulator.control.faults import Rule
from vision_emulator.control.presets import expanded
from wire import ask, connected, request

FEATURES = [{"type": "LABEL_DETECTION"}]
IMAGES = {"requests": [{"image": {"source": {"image_uri": f"https://example.com/{n}.png"}}, "features": FEATURES} for n in range(3)]}
ONLINE = json.dumps({"requests": [{"image": {"source": {"imageUri": "gs://inputs/none"}}, "features": FEATURES}]}).encode()
REJECT = {"fault": "reject", "code": "UNAVAILABLE"}


def add(emulator: Emulator, *script: Any, **said: Any) -> str:
    """Adds a rule; its id."""
    return emulator.vision.faults.add(msgspec.convert({"script": list(script), **said}, Rule)).id


def preset(emulator: Emulator, name: str, **parameters: Any) -> str:
    """Adds a preset; its id."""
    return emulator.vision.faults.add(expanded(name, parameters, Rule(), set())).id


def inline(count: int) -> dict[str, Any]:
    return {"requests": [{"image": {"content": drawn()}, "features": FEATURES} for _ in range(count)]}


def offline(count: int, batch_size: int = 1) -> dict[str, Any]:
    images = [{"image": {"source": {"image_uri": f"gs://inputs/{n}.png"}}, "features": FEATURES} for n in range(count)]
    return {"requests": images, "output_config": {"gcs_destination": {"uri": "gs://results/run/"}, "batch_size": batch_size}}


async def test_a_refused_call_does_nothing(api: Api, emulator: Emulator) -> None:
    """The refusal comes with its code, text and details, is noted in the journal, and no operation is started."""
    rule = preset(emulator, "quota-exceeded", retryAfterSeconds=7)
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateImages", offline(1))
    assert refused.value.code == 8
    assert refused.value.message.startswith("Quota exceeded for quota metric")
    kinds = [detail.TypeName() for detail in refused.value.details]
    assert kinds == [kind.DESCRIPTOR.full_name for kind in (QuotaFailure, ErrorInfo)] + ["google.rpc.Help", RetryInfo.DESCRIPTOR.full_name]
    assert list(emulator.vision.operations) == []
    (entry,) = emulator.vision.journal
    assert entry.code == 8
    (strike,) = emulator.vision.faults.report(rule).strikes
    assert strike.call == entry.number
    assert (await api("AsyncBatchAnnotateImages", offline(1))).message.name


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("service-disabled", 7, "Cloud Vision API has not been used in project vision-emulator before or it is disabled."),
        ("expired-token", 16, "Request had invalid authentication credentials."),
    ],
)
async def test_presets_of_refusals(api: Api, emulator: Emulator, name: str, code: int, text: str) -> None:
    """The refusals of the front end, in its own words, with ErrorInfo."""
    preset(emulator, name)
    with pytest.raises(Refused) as refused:
        await api("BatchAnnotateImages", IMAGES)
    assert refused.value.code == code
    assert refused.value.message.startswith(text)
    assert ErrorInfo.DESCRIPTOR.full_name in [detail.TypeName() for detail in refused.value.details]


@pytest.mark.parametrize(
    ("name", "codes"), [("url-unreachable", [14, 14, 14]), ("bad-image-data", [3, 3, 3]), ("partial-batch", [3, 13, 3])]
)
async def test_presets_of_images(api: Api, emulator: Emulator, name: str, codes: list[int]) -> None:
    """The call succeeds and the images fail: those that are meant as the rule says, the others as they would have done anyway."""
    preset(emulator, name)
    answer = (await api("BatchAnnotateImages", IMAGES)).message
    assert [response.error.code for response in answer.responses] == codes


async def test_one_bad_image_among_good_ones(api: Api, emulator: Emulator) -> None:
    """partial-batch leaves the other images their annotations."""
    preset(emulator, "partial-batch", images=[0, 2])
    answer = (await api("BatchAnnotateImages", inline(4))).message
    assert [response.error.code for response in answer.responses] == [13, 0, 13, 0]
    assert all(bool(response.label_annotations) != response.HasField("error") for response in answer.responses)


async def test_an_image_is_meant_by_its_bytes(api: Api, emulator: Emulator) -> None:
    """sha256 means the picture wherever it comes from: here one sent inline and one in storage."""
    import hashlib

    picture = drawn()
    await (await emulator.storage.bucket("inputs")).write("0.png", picture, "image/png")
    add(emulator, {"fault": "image_error", "code": 3}, image={"sha256": hashlib.sha256(picture).hexdigest()}, times=2)
    assert (await api("BatchAnnotateImages", inline(1))).message.responses[0].error.code == 3
    stored = {"requests": [{"image": {"source": {"image_uri": "gs://inputs/0.png"}}, "features": FEATURES}]}
    assert (await api("BatchAnnotateImages", stored)).message.responses[0].error.code == 3
    assert (await api("BatchAnnotateImages", stored)).message.responses[0].error.code == 0


async def test_pages_are_meant_by_their_place_or_their_file(api: Api, emulator: Emulator) -> None:
    """In files an index is the page's place in the answer, and a URI the file's; the other pages are answered."""
    await (await emulator.storage.bucket("inputs")).write("three.pdf", text_pdf(3), "application/pdf")
    config = {"gcs_source": {"uri": "gs://inputs/three.pdf"}, "mime_type": "application/pdf"}
    request = {"requests": [{"input_config": config, "features": [{"type": "DOCUMENT_TEXT_DETECTION"}]}]}
    step = {"fault": "image_error", "code": "DEADLINE_EXCEEDED", "message": "Error reading file."}
    by_place = add(emulator, step, image={"index": [0, 2]})
    add(emulator, step, image={"uri": "gs://inputs/t*.pdf"})
    codes = []
    for _ in range(3):
        (file,) = (await api("BatchAnnotateFiles", request)).message.responses
        codes.append([page.error.code for page in file.responses])
        assert [page.context.page_number for page in file.responses] == [1, 2, 3]
    assert codes == [[4, 4, 4], [0, 0, 0], [0, 0, 0]]
    assert emulator.vision.faults.report(by_place).struck == 1
    add(emulator, step, image={"index": 1})
    (file,) = (await api("BatchAnnotateFiles", request)).message.responses
    assert [page.error.code for page in file.responses] == [0, 4, 0]


async def ended(api: Api, request: dict[str, Any]) -> Any:
    """The operation of a batch, done."""
    started = (await api("AsyncBatchAnnotateImages", request)).message
    return (await api("GetOperation", {"name": started.name})).message


async def test_an_operation_that_fails(api: Api, emulator: Emulator, files: Files) -> None:
    """operation-fails: done, with this error, and nothing written."""
    preset(emulator, "operation-fails", code="RESOURCE_EXHAUSTED", message="no room")
    operation = await ended(api, offline(2))
    assert operation.done
    assert (operation.error.code, operation.error.message) == (8, "no room")
    assert await files.names("gs://results/run/") == []


async def test_an_operation_that_never_ends(api: Api, emulator: Emulator) -> None:
    """operation-never-finishes: no poll finds it done, though its work is."""
    preset(emulator, "operation-never-finishes")
    operation = await ended(api, offline(1))
    assert not operation.done
    (record,) = emulator.vision.operations
    await record.finished.wait()
    assert not (await api("GetOperation", {"name": record.name})).message.done


@pytest.mark.parametrize(("name", "written"), [("permission-denied-output", 0), ("storage-write-fails", 1)])
async def test_an_output_that_cannot_be_written(api: Api, emulator: Emulator, files: Files, name: str, written: int) -> None:
    """The operation ends with the recorded error, some files written or none; a batch of one file fails at that one."""
    preset(emulator, name)
    operation = await ended(api, offline(3))
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://results/run/")
    assert len(await files.names("gs://results/run/")) == written
    preset(emulator, name)
    assert (await ended(api, offline(3, batch_size=3))).error.code == 7


async def test_a_connection_that_breaks_first(api: Api, emulator: Emulator, request: pytest.FixtureRequest) -> None:
    """The call is not looked at; the client sees a broken connection, over gRPC UNAVAILABLE, and the next call is answered."""
    add(emulator, {"fault": "drop"})
    with pytest.raises(Exception) as broken:  # noqa: PT011 - each client has its own
        await api("AsyncBatchAnnotateImages", offline(1))
    if request.node.callspec.params["api"] == "rest":
        assert isinstance(broken.value, aiohttp.ClientConnectionError)
    else:
        assert isinstance(broken.value, Refused)
        assert broken.value.code == 14
    assert list(emulator.vision.operations) == []
    assert (await api("AsyncBatchAnnotateImages", offline(1))).message.name


async def test_instructions_and_selected_rules_by_header(api: Api, emulator: Emulator) -> None:
    """Both are headers over REST and metadata over gRPC."""
    add(emulator, REJECT, id="mine", selected=True)
    for header in ({"x-goog-emulator-instructions": "return-503"}, {"x-vision-emulator-rule": "mine"}):
        with pytest.raises(Refused) as refused:
            await api("BatchAnnotateImages", IMAGES, header)
        assert refused.value.code == 14
    assert (await api("BatchAnnotateImages", IMAGES)).message.responses
    with pytest.raises(Refused) as refused:
        await api("BatchAnnotateImages", IMAGES, {"x-vision-emulator-rule": "mini"})
    assert refused.value.code == 3


# ---- the answer on its way: what each transport makes of it ----


def online(channel: Any) -> Any:
    row = method("BatchAnnotateImages")
    stub = channel.unary_unary(row.grpc_path, row.request.SerializeToString, BatchAnnotateImagesResponse.FromString)
    return stub(row.request(**inline(1)))


@pytest.mark.parametrize("step", [{"fault": "drop", "when": "middle"}, {"fault": "truncate", "bytes": 5}, {"fault": "corrupt"}])
async def test_no_damaged_answer_is_taken_for_a_whole_one_over_grpc(emulator: Emulator, step: dict[str, Any]) -> None:
    """Half an answer is UNAVAILABLE, an unreadable one INTERNAL; the channel serves on."""
    add(emulator, step)

    def ask_twice() -> tuple[grpc.StatusCode, Any]:  # the blocking client says what it cannot read; the other one answers None
        with grpc.insecure_channel(emulator.address) as channel:
            with pytest.raises(grpc.RpcError) as broken:
                online(channel)
            return broken.value.code(), online(channel)  # type: ignore[attr-defined]

    code, answer = await asyncio.to_thread(ask_twice)
    assert code is (grpc.StatusCode.UNAVAILABLE if step["fault"] == "drop" else grpc.StatusCode.INTERNAL)
    assert answer.responses[0].label_annotations


async def test_half_an_answer_over_rest(emulator: Emulator) -> None:
    """The head announces the whole body, half of it comes, and the connection is closed; all was done before."""
    add(emulator, {"fault": "drop", "when": "middle"})
    async with connected(emulator.address) as connection:
        connection.send(request("POST", "/v1/images:annotate", ONLINE))
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    length = int(next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")).split(b":")[1])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == length // 2
    assert [entry.code for entry in emulator.vision.journal] == [0]


async def test_a_reset_over_rest(emulator: Emulator) -> None:
    """Not a byte comes, and the connection is reset."""
    add(emulator, {"fault": "drop"})
    async with connected(emulator.address) as connection:
        connection.send(request("POST", "/v1/images:annotate", ONLINE))
        with pytest.raises(ConnectionResetError):
            await connection.reader.read()


@pytest.mark.parametrize(("step", "length"), [({"fault": "truncate", "bytes": 9}, 9), ({"fault": "corrupt"}, None)])
async def test_a_body_that_is_no_json(emulator: Emulator, step: dict[str, Any], length: int | None) -> None:
    """A well-formed answer whose body nobody can read."""
    add(emulator, step)
    reply = await ask(emulator, "POST", "/v1/images:annotate", ONLINE)
    assert reply.status == 200
    assert length is None or len(reply.body) == length
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|codec can't decode"):
        json.loads(reply.body)
    whole = await ask(emulator, "POST", "/v1/images:annotate", ONLINE)
    assert whole.json["responses"][0]["error"]["code"] == 5


async def test_a_call_in_a_batch_is_struck_alone(emulator: Emulator) -> None:
    """A part has no connection of its own to break: it is refused as unavailable, its neighbour is answered."""
    add(emulator, {"fault": "drop"})
    part = b"--x\r\nContent-Type: application/http\r\n\r\nPOST /v1/images:annotate\r\nContent-Type: application/json\r\n\r\n%b\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=x"}
    reply = await ask(emulator, "POST", "/batch", part % ONLINE * 2 + b"--x--", headers)
    assert reply.status == 200
    assert sorted(line for line in reply.body.split(b"\r\n") if line.startswith(b"HTTP/1.1")) == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 503 Service Unavailable",
    ]


async def test_headers_of_a_refusal(emulator: Emulator) -> None:
    """Retry-After and the challenge of a 401 are headers over REST and trailers over gRPC."""
    preset(emulator, "quota-exceeded", retryAfterSeconds=2.5)
    assert (await ask(emulator, "POST", "/v1/images:annotate", ONLINE)).headers["retry-after"] == "3"
    preset(emulator, "expired-token")
    async with grpc.aio.insecure_channel(emulator.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await online(channel)
    assert 'error="invalid_token"' in str(dict(refused.value.trailing_metadata() or ())["www-authenticate"])


async def test_a_delayed_call_ends_at_its_deadline(emulator: Emulator) -> None:
    """A client with a deadline is not held beyond it, and its call is noted as cancelled."""
    emulator.clock.switch("manual")
    add(emulator, {"fault": "delay", "seconds": 3600})
    async with grpc.aio.insecure_channel(emulator.address) as channel:
        row = method("BatchAnnotateImages")
        stub = channel.unary_unary(row.grpc_path, row.request.SerializeToString, BatchAnnotateImagesResponse.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await stub(row.request(**inline(1)), timeout=0.3)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_time_that_is_moved_on_lets_a_delayed_call_go(emulator: Emulator) -> None:
    """A delay is on the emulator's clock: an hour passes when it is told to."""
    emulator.clock.switch("manual")
    rule = add(emulator, {"fault": "delay", "seconds": 3600})
    held = asyncio.get_running_loop().create_task(ask(emulator, "POST", "/v1/images:annotate", ONLINE))
    while not emulator.vision.faults.report(rule).struck:
        await ask(emulator, "GET", "/_emulator/health")
    assert not held.done()
    await ask(emulator, "POST", "/_emulator/v1/clock:advance", b'{"seconds": 3600}')
    assert (await held).status == 200
