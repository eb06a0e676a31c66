"""REST on the wire: what the front end reads, refuses and writes. The rules of the API itself are in tests/api."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract import limits
from vision_emulator.surfaces import rest as rest_module
from wire import Reply, ask, connected, request

ANNOTATE = "/v1/images:annotate"
NUMBERS = "$alt=json;enum-encoding=int"
TOO_LARGE = f"Request payload size exceeds the limit: {limits.REQUEST_BYTES_MAX} bytes."


def body(feature: str = "SAFE_SEARCH_DETECTION", **image: Any) -> bytes:
    content = base64.b64encode(drawn()).decode()
    return json.dumps({"requests": [{"image": image or {"content": content}, "features": [{"type": feature}]}]}).encode()


async def post(emulator: Emulator, sent: bytes, query: str = "", headers: dict[str, str] | None = None) -> Reply:
    return await ask(emulator, "POST", f"{ANNOTATE}?{query}" if query else ANNOTATE, sent, headers)


# ---- what is written ----


async def test_answers_are_pretty_unless_told_otherwise(emulator: Emulator) -> None:
    """Two spaces, one space behind the colon, a newline at the end (recorded); prettyPrint=false is one line."""
    pretty = await post(emulator, body())
    assert pretty.body.startswith(b'{\n  "responses": [\n    {\n      "safeSearchAnnotation": {\n')
    assert pretty.body.endswith(b"\n}\n")
    for query in ("prettyPrint=false", "$prettyPrint=false", "prettyPrint=0", "%24prettyPrint=false"):
        compact = await post(emulator, body(), query)
        assert b" " not in compact.body
        assert b"\n" not in compact.body.rstrip(b"\n")
        assert compact.json == pretty.json
    refused = await post(emulator, b"{", "prettyPrint=false")
    assert b"\n" not in refused.body.rstrip(b"\n")


@pytest.mark.parametrize(
    "query", [NUMBERS, "%24alt=json%3Benum-encoding%3Dint", "alt=json;enum-encoding=int", "%24alt=json;enum-encoding=int"]
)
async def test_enum_numbers_on_demand(emulator: Emulator, query: str) -> None:
    """Names by default; numbers for ``$alt=json;enum-encoding=int``, raw or percent-encoded, as the official clients send it."""
    names = (await post(emulator, body())).json["responses"][0]["safeSearchAnnotation"]
    numbers = (await post(emulator, body(), query)).json["responses"][0]["safeSearchAnnotation"]
    assert all(isinstance(value, str) for value in names.values())
    assert all(isinstance(value, int) for value in numbers.values())
    assert names.keys() == numbers.keys()


async def test_headers_of_an_answer(emulator: Emulator) -> None:
    """Answers and refusals are JSON with the recorded headers; an answer says who annotated, a refusal does not."""
    answer, refusal = await post(emulator, body()), await post(emulator, b"{")
    for reply in (answer, refusal):
        assert reply.headers["content-type"] == "application/json; charset=UTF-8"
        assert reply.headers["vary"] == "Origin, X-Origin, Referer"
        assert reply.headers["cache-control"] == "private"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "SAMEORIGIN"
        assert reply.headers["x-xss-protection"] == "0"
    assert answer.headers["x-vision-emulator-annotators"] == "synthetic=1"
    assert "x-vision-emulator-annotators" not in refusal.headers


async def test_angle_brackets_are_escaped(emulator: Emulator) -> None:
    """``<`` and ``>`` never stand raw in an answer (recorded), so that no browser takes it for a page; ``&`` does."""
    reply = await post(emulator, body(source={"imageUri": "gs://inputs/<b>&.jpg"}))
    assert b"gs://inputs/\\u003cb\\u003e&.jpg" in reply.body
    assert reply.json["responses"][0]["error"]["message"] == "Error opening file: gs://inputs/<b>&.jpg."
    refused = await post(emulator, b'{"<script>": 1}')
    assert b"<" not in refused.body


async def test_shape_of_a_refusal(emulator: Emulator) -> None:
    """``{"error": {code, message, status}}`` in this order; no details when there are none."""
    reply = await post(emulator, b'{"requests": [{}]}')
    assert reply.status == 400
    assert list(reply.json) == ["error"]
    assert list(reply.error.items()) == [
        ("code", 400),
        ("message", "Request must specify image and features."),
        ("status", "INVALID_ARGUMENT"),
    ]
    missing = await ask(emulator, "GET", "/v1/operations/0123456789abcdef")
    assert (missing.status, missing.error["code"], missing.error["status"]) == (404, 404, "NOT_FOUND")
    other = await ask(emulator, "POST", "/v1/files:asyncBatchAnnotate", b"{}")
    assert (other.status, other.error["status"]) in ((501, "UNIMPLEMENTED"), (400, "INVALID_ARGUMENT"))


# ---- what has no method ----


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", ANNOTATE),
        ("PUT", ANNOTATE),
        ("POST", "/v1/images:Annotate"),
        ("POST", "/v1/images:annotate/"),
        ("POST", "/v2/images:annotate"),
        ("POST", "/v1"),
        ("POST", "/v1/../v1/images:annotate"),
        ("GET", "/v1/<script>alert(1)</script>"),
    ],
)
async def test_an_unknown_path_or_verb_is_a_page(emulator: Emulator, verb: str, path: str) -> None:
    """What no method has is a 404 in HTML, as the real front end answers it, with the path shown and harmless."""
    reply = await ask(emulator, verb, path + "?x=1")
    assert reply.status == 404
    assert reply.headers["content-type"].lower() == "text/html; charset=utf-8"
    assert "Error 404 (Not Found)!!1" in reply.body.decode()
    assert path.replace("<", "&lt;").replace(">", "&gt;") in reply.body.decode()
    assert b"<script>" not in reply.body
    assert len(emulator.vision.journal) == 0


# ---- what is read ----


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"{", "Invalid JSON payload received."),
        (b'{"requests": [}', "Invalid JSON payload received."),
        (b"[]", "Invalid JSON payload received."),
        (b"\xff\xfe{}", "Invalid JSON payload received."),
        (b"requests=1&x=2", "Invalid JSON payload received."),
        (b"<xml/>", "Invalid JSON payload received."),
        (b"[" * 100_000, ""),
        (b'{"requests": ' * 20_000, ""),
    ],
)
async def test_a_body_that_is_no_json_object(emulator: Emulator, sent: bytes, message: str) -> None:
    """Broken JSON, other shapes and encodings, endless nesting: INVALID_ARGUMENT in the front end's words; no call."""
    reply = await post(emulator, sent)
    assert (reply.status, reply.error["status"]) == (400, "INVALID_ARGUMENT")
    assert reply.error["message"].startswith(message)
    assert len(emulator.vision.journal) == 0


@pytest.mark.parametrize(
    ("sent", "field", "message"),
    [
        (
            {"requests": [{"images": {}}]},
            "requests[0]",
            "Invalid JSON payload received. Unknown name \"images\" at 'requests[0]': Cannot find field.",
        ),
        ({"foo": 1}, "", 'Invalid JSON payload received. Unknown name "foo": Cannot find field.'),
        (
            {"requests": [{"features": [{"type": "FOO"}]}]},
            "requests[0].features[0].type",
            "Invalid value at 'requests[0].features[0].type' (type.googleapis.com/google.cloud.vision.v1.Feature.Type), \"FOO\"",
        ),
        (
            {"requests": [{"image": {"content": "data:image/gif;base64,"}}]},
            "requests[0].image.content",
            "Invalid value at 'requests[0].image.content' (TYPE_BYTES), Base64 decoding failed for \"data:image/gif;base64,\"",
        ),
        (
            {"requests": [{"image": {"source": {"imageUri": 1}}}]},
            "requests[0].image.source.image_uri",
            "Invalid value at 'requests[0].image.source.image_uri' (TYPE_STRING), 1",
        ),
        (
            {"requests": [{"features": [{"maxResults": "abc"}]}]},
            "requests[0].features[0].max_results",
            "Invalid value at 'requests[0].features[0].max_results' (TYPE_INT32), \"abc\"",
        ),
    ],
)
async def test_wrong_fields_are_named(emulator: Emulator, sent: dict[str, Any], field: str, message: str) -> None:
    """A wrong field is refused in the recorded words, again in a BadRequest detail with its path in proto names."""
    reply = await post(emulator, json.dumps(sent).encode())
    assert (reply.status, reply.error["message"]) == (400, message)
    (detail,) = reply.error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"] == [({"field": field} if field else {}) | {"description": message}]


async def test_unknown_query_parameters_are_refused(emulator: Emulator) -> None:
    """A parameter that is neither a field nor the front end's own is refused; the front end's own are taken."""
    reply = await post(emulator, body(), "colour=red")
    assert reply.status == 400
    assert reply.error["message"] == (
        'Invalid JSON payload received. Unknown name "colour": Cannot bind query parameter. '
        "Field 'colour' could not be found in request message."
    )
    known = "key=abc&%24.xgafv=1&quotaUser=me&access_token=t&uploadType=x&upload_protocol=raw&alt=json"
    assert (await post(emulator, body(), known)).status == 200


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded", "text/plain;charset=UTF-8", "application/octet-stream"])
async def test_the_content_type_does_not_matter(emulator: Emulator, content_type: str) -> None:
    """A JSON body is read whatever it calls itself: ``curl -d`` says it sends a form."""
    reply = await post(emulator, body(), headers={"Content-Type": content_type} if content_type else {})
    assert reply.json["responses"][0]["safeSearchAnnotation"]


async def test_spellings_of_base64_and_of_names(emulator: Emulator) -> None:
    """Standard and URL-safe base64, padded or not, broken into lines, camelCase or snake_case: all mean the same picture."""
    picture = drawn(5)
    plain = base64.b64encode(picture).decode()
    spelt = [
        plain,
        plain.rstrip("="),
        base64.urlsafe_b64encode(picture).decode(),
        base64.encodebytes(picture).decode(),  # newlines, escaped by json.dumps
    ]
    answers = [(await post(emulator, body(content=text))).json for text in spelt]
    raw_newlines = body(content="@").replace(b"@", base64.encodebytes(picture))
    assert b"\n" in raw_newlines
    answers.append((await post(emulator, raw_newlines)).json)
    assert answers[0]["responses"][0]["safeSearchAnnotation"]
    assert all(answer == answers[0] for answer in answers)
    camel = await post(emulator, body(source={"imageUri": "gs://inputs/none.jpg"}))
    snake = await post(emulator, body(source={"image_uri": "gs://inputs/none.jpg"}))
    assert camel.body == snake.body


# ---- how much is read ----


async def test_an_announced_length_beyond_the_limit_is_refused_unread(emulator: Emulator) -> None:
    """The refusal comes before a single byte of the body, in the recorded words."""
    async with connected(emulator.address) as connection:
        connection.send(request("POST", ANNOTATE, headers={"Content-Length": str(limits.REQUEST_BYTES_MAX + 1)}))
        reply = await connection.reply()
    assert (reply.status, reply.error["message"]) == (400, TOO_LARGE)


async def test_a_client_that_sends_too_much_all_the_same_gets_its_answer(emulator: Emulator) -> None:
    """Who writes a body of 41 MB before reading still reads the refusal, and the connection goes on."""
    async with connected(emulator.address) as connection:
        connection.send(request("POST", ANNOTATE, bytes(limits.REQUEST_BYTES_MAX + 1)))
        await connection.writer.drain()
        assert (await connection.reply()).error["message"] == TOO_LARGE
        connection.send(request("GET", "/_emulator/health"))
        assert (await connection.reply()).status == 200


async def test_a_body_without_length_is_cut_off_at_the_limit(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that never end are refused as soon as they are too many, not collected."""
    monkeypatch.setattr(limits, "REQUEST_BYTES_MAX", 100_000)
    chunked = {"Transfer-Encoding": "chunked"}
    head = request("POST", ANNOTATE, headers=chunked).replace(b"Content-Length: 0\r\n", b"")
    async with connected(emulator.address) as connection:
        connection.send(head, b"10000\r\n" + bytes(65536) + b"\r\n" + b"10000\r\n" + bytes(65536) + b"\r\n")
        reply = await connection.reply()
        assert (reply.status, reply.error["message"]) == (400, "Request payload size exceeds the limit: 100000 bytes.")
        connection.send(b"0\r\n\r\n")
        connection.send(request("GET", "/_emulator/health"))
        assert (await connection.reply()).status == 200


async def test_a_body_in_chunks(emulator: Emulator) -> None:
    """A chunked body is read like any other, wherever it is cut."""
    sent = body()
    head = request("POST", ANNOTATE, headers={"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    async with connected(emulator.address) as connection:
        connection.send(head)
        for at in range(0, len(sent), 700):
            part = sent[at : at + 700]
            connection.send(b"%x\r\n" % len(part), part, b"\r\n")
            await connection.writer.drain()
        connection.send(b"0\r\n\r\n")
        assert (await connection.reply()).json["responses"][0]["safeSearchAnnotation"]


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(emulator: Emulator) -> None:
    """``Expect: 100-continue`` (curl, for all but small bodies) is answered at once; a body too large is refused instead."""
    sent = body()
    async with connected(emulator.address) as connection:
        expecting = {"Expect": "100-continue", "Content-Length": str(len(sent))}
        connection.send(request("POST", ANNOTATE, headers=expecting))
        assert (await connection.reply()).status == 100
        connection.send(sent)
        assert (await connection.reply()).status == 200
        connection.send(request("POST", ANNOTATE, headers=expecting | {"Content-Length": "50000000"}))
        assert (await connection.reply()).status == 400


@pytest.mark.parametrize("size", [100, 2 * limits.MIB])
async def test_gzip(emulator: Emulator, size: int) -> None:
    """A gzip body is read as what it holds."""
    padded = body()[:-1] + b" " * size + b"}"
    reply = await post(emulator, gzip.compress(padded, mtime=0), headers={"Content-Encoding": "gzip"})
    assert reply.json["responses"][0]["safeSearchAnnotation"]


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", b"{}"),
        ("gzip", b""),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4]),
        ("gzip", gzip.compress(b"{}", mtime=0)[:9]),
        ("deflate", zlib.compress(b"{}")),
        ("br", b"{}"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
    ],
)
async def test_broken_gzip_and_unknown_encodings(emulator: Emulator, encoding: str, sent: bytes) -> None:
    """A body that cannot be unpacked is INVALID_ARGUMENT and says which encoding was meant."""
    reply = await post(emulator, sent, headers={"Content-Encoding": encoding})
    assert (reply.status, reply.error["status"]) == (400, "INVALID_ARGUMENT")
    assert f"Content-Encoding {encoding!r}" in reply.error["message"]


async def test_a_gzip_bomb_is_refused(emulator: Emulator) -> None:
    """What unpacks to more than a body may have is refused in the same words as a body of that size."""
    bomb = gzip.compress(bytes(limits.REQUEST_BYTES_MAX + 1), compresslevel=1)
    assert len(bomb) < limits.MIB
    reply = await post(emulator, bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.error["message"]) == (400, TOO_LARGE)


async def test_a_large_body_does_not_hold_up_others(emulator: Emulator) -> None:
    """A picture of many megabytes is read and answered, off the event loop."""
    large = drawn() + bytes(12_000_000)
    sent = body(content=base64.b64encode(large).decode())
    assert len(sent) > rest_module._INLINE_BYTES_MAX
    reply = await post(emulator, sent)
    assert reply.json["responses"][0]["safeSearchAnnotation"]


async def test_a_broken_off_body_is_answered_when_somebody_listens(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A body whose chunks break in the middle is a 400 in plain words and one line in the log."""
    head = request("POST", ANNOTATE, headers={"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    async with connected(emulator.address) as connection:
        connection.send(head, b"5\r\n{    \r\n")
        await connection.writer.drain()
        connection.send(b"zz\r\n")
        assert (await connection.reply()).status == 400
    assert "Traceback" not in caplog.text
    assert len(emulator.vision.journal) == 0
