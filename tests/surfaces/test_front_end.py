"""What the front end does around every call: partial answers, binary ones, scripts, batches, discovery, browsers, compression."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from vision_emulator.app import Emulator
from vision_emulator.contract import limits
from vision_emulator.contract.messages import BatchAnnotateImagesRequest, BatchAnnotateImagesResponse, Status
from wire import Reply, ask, connected, request

ANNOTATE = "/v1/images:annotate"
SAMPLE = "gs://cloud-samples-data/vision/document_understanding/image1.png"  # its answer ships with the emulator
FEATURES = [{"type": "LABEL_DETECTION"}, {"type": "TEXT_DETECTION"}]
BODY = json.dumps({"requests": [{"image": {"source": {"imageUri": SAMPLE}}, "features": FEATURES}]}).encode()
BAD = b'{"requests": [{}]}'  # the whole call is refused
ORIGIN = {"Origin": "https://page.example"}


async def annotate(emulator: Emulator, query: str = "", body: bytes = BODY, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(emulator, "POST", f"{ANNOTATE}?{query}" if query else ANNOTATE, body, named)


# ---- partial answers ----


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("fields=responses(labelAnnotations(description))", {}),
        ("$fields=responses%2FlabelAnnotations%2Fdescription", {}),
        ("", {"X_Goog_FieldMask": "responses.labelAnnotations.description"}),
        ("fields=responses.label_annotations.description", {"X_Goog_FieldMask": "responses.textAnnotations"}),
    ],
)
async def test_partial_answers(emulator: Emulator, query: str, headers: dict[str, str]) -> None:
    """The query and the header say it alike; of both the query counts."""
    [response] = (await annotate(emulator, query, **headers)).json["responses"]
    assert response.keys() == {"labelAnnotations"}
    assert response["labelAnnotations"][0] == {"description": "Text"}


async def test_a_field_that_is_not_there(emulator: Emulator) -> None:
    """The front end's general refusal; the reason is in its details. A refused call is told whole, whatever was asked for."""
    reply = await annotate(emulator, "fields=responses/foo")
    assert (reply.status, reply.error["message"]) == (400, "Request contains an invalid argument.")
    [violation] = reply.error["details"][0]["fieldViolations"]
    assert violation == {
        "field": "responses/foo",
        "description": "Error expanding 'fields' parameter. Cannot find matching fields for path 'responses.foo'.",
    }
    assert (await annotate(emulator, "fields=responses", BAD)).error["message"] == "Request must specify image and features."


# ---- binary bodies, scripts ----


async def test_binary_both_ways(emulator: Emulator) -> None:
    """A protobuf body is taken, a protobuf answer given; a binary refusal is a google.rpc.Status."""
    message = BatchAnnotateImagesRequest(requests=[{"image": {"source": {"image_uri": SAMPLE}}, "features": [{"type": 4}]}])
    reply = await annotate(emulator, "alt=proto", message.SerializeToString(), Content_Type="application/x-protobuf; charset=x")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-protobuf")
    assert BatchAnnotateImagesResponse.FromString(reply.body).responses[0].label_annotations[0].description == "Text"
    reply = await annotate(emulator, "$alt=proto&fields=responses.labelAnnotations.mid")
    assert BatchAnnotateImagesResponse.FromString(reply.body).responses[0].label_annotations[0].mid == "/m/07s6nbt"
    reply = await annotate(emulator, "alt=proto", BAD)
    assert (reply.status, Status.FromString(reply.body).message) == (400, "Request must specify image and features.")
    reply = await annotate(emulator, "", b"\xff", Content_Type="application/x-protobuf")
    assert reply.error["message"] == "The request is not a valid google.cloud.vision.v1.BatchAnnotateImagesRequest message."


async def test_media_is_refused(emulator: Emulator) -> None:
    """No method downloads anything."""
    reply = await annotate(emulator, "alt=media")
    assert (reply.status, reply.error["details"][0]["fieldViolations"][0]["field"]) == (400, "alt")


async def test_jsonp(emulator: Emulator) -> None:
    """A script that calls the function with the answer, or with the refusal; always with 200, or no browser would run it."""
    for body in (BODY, BAD):
        reply = await annotate(emulator, "callback=page.taken&prettyPrint=false", body)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/javascript; charset=UTF-8")
        assert reply.body.startswith(b"// API callback\npage.taken({")
        content = json.loads(reply.body.removeprefix(b"// API callback\npage.taken(").removesuffix(b");"))
        assert content.keys() == {"responses" if body is BODY else "error"}
    assert (await annotate(emulator, "callback=alert(1)//")).status == 400


async def test_parameters_that_change_nothing(emulator: Emulator) -> None:
    """What real clients add to their URLs is taken; what no one knows is not."""
    query = "$.xgafv=2&key=k&access_token=t&oauth_token=t&quotaUser=q&uploadType=u&upload_protocol=raw"
    assert (await annotate(emulator, query)).status == 200
    assert 'Unknown name "foo": Cannot bind query parameter.' in (await annotate(emulator, "foo=1")).error["message"]


# ---- methods in disguise ----


async def test_method_override(emulator: Emulator) -> None:
    """A POST may stand for any verb; a GET that was too long for its URL has its query in the body."""
    override = {"X-HTTP-Method-Override": "GET"}
    assert (await ask(emulator, "POST", "/v1/operations?pageSize=1", headers=override)).json == {}
    form = override | {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await ask(emulator, "POST", "/v1/operations?pageSize=1", b"filter=nonsense&pageToken=1", form)
    assert reply.error["message"].startswith("Invalid filter: nonsense.")
    assert (await ask(emulator, "GET", "/v1/operations", headers={"X-HTTP-Method-Override": "DELETE"})).json == {}
    reply = await ask(emulator, "POST", "/v1/operations/0123", headers={"X-HTTP-Method-Override": "delete"})
    assert (reply.status, reply.error["status"]) == (404, "NOT_FOUND")


async def test_the_project_that_pays(emulator: Emulator) -> None:
    """The query says it as the header does, and operations are named after it."""
    body = json.dumps({"requests": json.loads(BODY)["requests"], "outputConfig": {"gcsDestination": {"uri": "gs://results/"}}}).encode()
    ways: list[tuple[str, dict[str, str]]] = [("?$userProject=mine", {}), ("", {"X-Goog-User-Project": "mine"})]
    for query, headers in ways:
        reply = await ask(emulator, "POST", f"/v1/images:asyncBatchAnnotate{query}", body, headers)
        assert reply.json["name"].startswith("projects/mine/operations/")


# ---- discovery ----


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/$discovery/rest?version=v1", "vision:v1"),
        ("/$discovery/rest", "vision:v1"),
        ("/%24discovery/rest?version=v1p4beta1", "vision:v1p4beta1"),
        ("/discovery/v1/apis/vision/v1p2beta1/rest", "vision:v1p2beta1"),
    ],
)
async def test_discovery(emulator: Emulator, path: str, identity: str) -> None:
    """Both addresses that clients know, for every version, with the host by which they came."""
    document = (await ask(emulator, "GET", path, headers={"Host": "vision.test:1"})).json
    assert (document["id"], document["rootUrl"]) == (identity, "http://vision.test:1/")


async def test_discovery_of_what_is_not_there(emulator: Emulator) -> None:
    """An unknown version is said to be unknown; an unknown address has the page of all others."""
    reply = await ask(emulator, "GET", "/$discovery/rest?version=v9")
    assert (reply.status, reply.error["status"]) == (404, "NOT_FOUND")
    assert (await ask(emulator, "POST", "/$discovery/rest")).headers["content-type"].startswith("text/html")


# ---- batches ----


def batch(*parts: str) -> bytes:
    return "".join(f"--b\r\nContent-Type: application/http\r\n{part}\r\n" for part in parts).encode() + b"--b--"


async def send_batch(emulator: Emulator, *parts: str, path: str = "/batch", **headers: str) -> list[tuple[str, int, Any]]:
    """The answers of a batch: Content-ID, status and JSON of each."""
    reply = await ask(emulator, "POST", path, batch(*parts), {"Content-Type": "multipart/mixed; boundary=b", **headers})
    assert reply.status == 200, reply.body
    boundary = reply.headers["content-type"].partition("boundary=")[2].encode()
    answers = []
    for part in reply.body.split(b"--" + boundary)[1:-1]:
        head, inner_head, content = part.split(b"\r\n\r\n", 2)
        identity = [line for line in head.decode().splitlines() if line.startswith("Content-ID: ")]
        found = json.loads(content) if b"Application/Json" in inner_head.title() else content.strip()
        answers.append((identity[0].partition(": ")[2] if identity else "", int(inner_head.split()[1]), found))
    return answers


@pytest.mark.parametrize("path", ["/batch", "/batch/vision/v1", "/batch/"])
async def test_a_batch_answers_each_call_for_itself(emulator: Emulator, path: str) -> None:
    """In order, under the id of the part that asked; whatever goes wrong with one is that one's answer."""
    annotate = f"POST {ANNOTATE}?fields=responses.labelAnnotations.mid HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{BODY.decode()}"
    answers = await send_batch(
        emulator,
        f"Content-ID: <one+1>\r\n\r\n{annotate}",
        f"Content-ID: two\r\n\r\nPOST {emulator.url}{ANNOTATE}\n\n{BAD.decode()}",
        "\r\nGET /v1/nothing HTTP/1.1\r\n\r\n",
        "\r\nnonsense\r\n\r\n",
        "\r\nPOST /batch HTTP/1.1\r\n\r\n",
        f"\r\nPOST {ANNOTATE} HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\nzipped",
        path=path,
    )
    assert [(identity, status) for identity, status, _ in answers] == [
        ("<response-one+1>", 200),
        ("<response-two>", 400),
        ("", 404),
        ("", 400),
        ("", 400),
        ("", 400),
    ]
    assert answers[0][2]["responses"][0]["labelAnnotations"][0] == {"mid": "/m/07s6nbt"}
    assert answers[1][2]["error"]["message"] == "Request must specify image and features."
    assert answers[3][2]["error"]["message"] == "A batch part must begin with METHOD, a blank and a path."
    assert answers[4][2]["error"]["message"] == "A batch inside a batch is not allowed."
    assert answers[5][2]["error"]["message"].startswith("The request body cannot be read: Content-Encoding 'gzip'")


async def test_headers_around_a_batch_hold_inside(emulator: Emulator) -> None:
    """The outer request's headers are every call's, unless the call has its own."""
    operation = json.dumps(
        {
            "requests": [{"image": {"source": {"imageUri": SAMPLE}}, "features": FEATURES}],
            "outputConfig": {"gcsDestination": {"uri": "gs://results/"}},
        }
    )
    start = f"\r\nPOST /v1/images:asyncBatchAnnotate HTTP/1.1\r\n\r\n{operation}"
    own = start.replace("HTTP/1.1", "HTTP/1.1\r\nX-Vision-Emulator-Pace: nonsense")
    answers = await send_batch(emulator, start, own, **{"X-Vision-Emulator-Pace": "instant"})
    assert (answers[0][1], answers[0][2]["done"]) == (200, True)
    assert (answers[1][1], "Invalid pace" in answers[1][2]["error"]["message"]) == (400, True)


async def test_a_batch_is_bounded(emulator: Emulator) -> None:
    """100 calls are answered, 101 refused; so is what is no batch at all."""
    call = "\r\nGET /v1/operations HTTP/1.1\r\n\r\n"
    assert len(await send_batch(emulator, *[call] * limits.CALLS_PER_HTTP_BATCH_MAX)) == 100
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    reply = await ask(emulator, "POST", "/batch", batch(*[call] * 101), headers)
    assert reply.error["message"] == "A batch has at most 100 calls; this one has 101."
    assert (await ask(emulator, "POST", "/batch", b"{}")).error["message"].startswith("The batch cannot be read:")


async def test_storage_keeps_its_batches(emulator: Emulator) -> None:
    """What is under /batch/storage is not the API's."""
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    body = batch("\r\nGET /storage/v1/b/inputs HTTP/1.1\r\n\r\n")
    reply = await ask(emulator, "POST", "/batch/storage/v1", body, headers)
    assert b'"storage#bucket"' in reply.body


# ---- browsers ----


async def test_preflight(emulator: Emulator) -> None:
    """A browser that asks is told that its page may do what it wants to."""
    asked = ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-goog-api-key"}
    reply = await ask(emulator, "OPTIONS", ANNOTATE, headers=asked)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert reply.headers["access-control-allow-headers"] == "content-type,x-goog-api-key"
    assert "POST" in reply.headers["access-control-allow-methods"].split(",")
    assert (await ask(emulator, "OPTIONS", "/nothing", headers=asked)).status == 404
    assert (await ask(emulator, "OPTIONS", ANNOTATE)).status == 404


async def test_answers_to_pages(emulator: Emulator) -> None:
    """Answers and refusals alike may be read by the page, and so may our own headers; others get none of it."""
    for body, status in ((BODY, 200), (BAD, 400)):
        reply = await annotate(emulator, "", body, **ORIGIN)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, ORIGIN["Origin"])
        assert "X-Vision-Emulator-Annotators" in reply.headers["access-control-expose-headers"]
        assert "Origin" in reply.headers["vary"]
    assert "access-control-allow-origin" not in (await annotate(emulator)).headers


# ---- the connection ----


@pytest.mark.parametrize("offer", ["gzip", "deflate, gzip;q=0.5", "*", "GZIP"])
async def test_answers_are_compressed_for_who_can_unzip_them(emulator: Emulator, offer: str) -> None:
    """The same content in fewer bytes."""
    reply = await annotate(emulator, "", Accept_Encoding=offer)
    assert reply.headers["content-encoding"] == "gzip"
    plain = await annotate(emulator)
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(reply.body) == plain.body
    assert len(reply.body) < len(plain.body)


@pytest.mark.parametrize("offer", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0", "gzipped"])
async def test_others_get_them_plain(emulator: Emulator, offer: str) -> None:
    """A client that cannot unzip, or says so, is not made to."""
    assert "content-encoding" not in (await annotate(emulator, "", Accept_Encoding=offer)).headers


async def test_small_answers_are_not_worth_it(emulator: Emulator) -> None:
    """Below a kilobyte a header more is no gain."""
    reply = await annotate(emulator, "", BAD, Accept_Encoding="gzip")
    assert len(reply.body) < limits.GZIP_BYTES_MIN
    assert "content-encoding" not in reply.headers


async def test_connections_are_kept(emulator: Emulator) -> None:
    """Calls one after the other, and several sent at once, are answered in order on one connection."""
    async with connected(emulator.address) as connection:
        connection.send(*[request("POST", ANNOTATE, body) for body in (BODY, BAD, BODY)])
        assert [(await connection.reply()).status for _ in range(3)] == [200, 400, 200]
        connection.send(request("GET", "/v1/operations"))
        assert (await connection.reply()).status == 200


# ---- the ledger ----


async def test_capabilities(emulator: Emulator) -> None:
    """A program can ask what is answered exactly, what is made up, and what is refused."""
    told = (await ask(emulator, "GET", "/_emulator/v1/capabilities")).json
    lines = {line["name"]: line for line in told["capabilities"]}
    assert lines["ImageAnnotator.BatchAnnotateImages"] == {
        "kind": "method",
        "name": "ImageAnnotator.BatchAnnotateImages",
        "level": "exact",
        "note": "",
    }
    assert lines["FACE_DETECTION"]["level"] == "synthetic"
    assert {line["level"] for line in lines.values()} <= told["levels"].keys()
