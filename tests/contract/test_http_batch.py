"""Batches over HTTP: the calls in a body, and the answers' body."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract import http_batch
from vision_emulator.contract.http_batch import Answer, BatchError, Call
from vision_emulator.contract.multipart import Part


def called(content: bytes, **outer: str) -> Call:
    return http_batch.call(Part({}, content), {name.replace("_", "-"): value for name, value in outer.items()})


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_a_call(eol: bytes) -> None:
    """Method, target, headers and body, with line ends of either kind, blank lines in front, and an absolute URL."""
    first = b"post https://vision.googleapis.com/v1/images:annotate?key=k HTTP/1.1"
    lines = [b"", first, b"Content-Type: application/json", b"", b'{\r\n\r\n"a":\n\n1}']
    assert called(eol.join(lines)) == Call(
        "POST", "/v1/images:annotate?key=k", {"content-type": "application/json"}, b'{\r\n\r\n"a":\n\n1}'
    )


def test_what_is_said_around_the_batch() -> None:
    """Outer headers hold inside, but not those about the outer body and connection, nor where the call has its own."""
    outer = {
        "authorization": "outer",
        "x_goog_api_key": "k",
        "content_type": "multipart/mixed; boundary=b",
        "content_length": "9",
        "content_encoding": "gzip",
        "transfer_encoding": "chunked",
        "connection": "close",
        "expect": "100-continue",
        "x_http_method_override": "POST",
    }
    assert called(b"GET /v1/operations\nAuthorization: own\n\n", **outer).headers == {"authorization": "own", "x-goog-api-key": "k"}


@pytest.mark.parametrize(
    "content", [b"", b"GET", b"\r\n\r\n", b"POST /batch HTTP/1.1\n\n", b"POST https://host/batch/vision/v1\n\n", b"GET http://[/\n\n"]
)
def test_what_is_no_call(content: bytes) -> None:
    """A part without a request line is refused, and so is a batch inside a batch."""
    with pytest.raises(BatchError, match="A batch"):
        called(content)


def test_an_answer_s_body() -> None:
    """Each answer is an HTTP message under the Content-ID of its part, or under none."""
    asked = [Part({"content-id": "<a + 1>"}, b""), Part({}, b"")]
    answers = [Answer(200, {"content-type": "text/plain"}, b"yes"), Answer(404, {}, b"")]
    content_type, body = http_batch.body(zip(asked, answers, strict=True))
    boundary = content_type.partition("boundary=")[2].encode()
    first = b"Content-Type: application/http\r\nContent-ID: <response-a + 1>\r\n\r\n"
    first += b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nyes"
    second = b"Content-Type: application/http\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    assert body == b"--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n" % (boundary, first, boundary, second, boundary)
    assert [part.headers.get("content-id") for part in http_batch.parts(content_type, body, 2)] == ["<response-a + 1>", None]
    with pytest.raises(BatchError, match="at most 1 calls; this one has 2"):
        http_batch.parts(content_type, body, 1)


PIECES = st.sampled_from(
    [b"GET", b"POST", b" ", b"/v1/operations", b"http://[::1]/", b"http://[", b"?a=b", b"\r\n", b"\n", b":", b"\xff", b"{}"]
)


@given(st.binary() | st.lists(PIECES).map(b"".join))
def test_any_part_is_a_call_or_refused(content: bytes) -> None:
    """No part does more than be refused."""
    with contextlib.suppress(BatchError):
        assert called(content).method
