"""The multipart parser: every spelling that clients use, and nothing but its own error for the rest."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract.multipart import MultipartError, Part, parse

CRLF = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "x"}\r\n--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n'
EXPECTED = [Part({"content-type": "application/json"}, b'{"name": "x"}'), Part({"content-type": "image/png"}, b"PNG")]


@pytest.mark.parametrize(
    "content_type", ["multipart/related; boundary=b", 'Multipart/Related; Boundary="b"; x=y', "multipart/related; boundary='b'"]
)
@pytest.mark.parametrize("body", [CRLF, CRLF[:-2], CRLF.replace(b"\r\n", b"\n"), b"preamble\r\n" + CRLF + b"epilogue", b"\r\n" + CRLF])
def test_every_spelling_of_the_same_message(content_type: str, body: bytes) -> None:
    """Quotes of both kinds or none, line ends of both kinds, text before and behind."""
    assert parse(content_type, body) == EXPECTED


def test_a_boundary_counts_only_as_a_whole_line() -> None:
    """The same characters inside a content, or with something behind them, are content."""
    content = b"\xff--b\r\n--bb\r\n --b\r\n--b-\r\n--b" + b"x" * 100 + b"\n--b\n--b--\n\r\n"
    body = b"--b\r\n\r\n{}\r\n--b\r\n\r\n" + content + b"\r\n--b--"
    assert parse("multipart/related; boundary=b", body)[1].content == content


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\n", b"\r", b"\x00" * 10])
def test_any_content_is_kept(content: bytes) -> None:
    """Content that ends or begins like a line end is not trimmed."""
    body = b"--b\r\nA: b\r\n\r\n{}\r\n--b\r\nC: d\r\n\r\n" + content + b"\r\n--b--"
    assert [part.content for part in parse("multipart/related; boundary=b", body)] == [b"{}", content]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", CRLF),
        ("application/json", CRLF),
        ("multipart/related", CRLF),
        ("multipart/related; boundary=other", CRLF),
        ("multipart/related; boundary=b", b""),
        ("multipart/related; boundary=b", CRLF[:-6]),
        ("multipart/related; boundary=b", CRLF[:20]),
        ("multipart/related; boundary=b", b"--b\r\nno blank line\r\n--b--"),
        ("multipart/related; boundary=b", b"--b\r\n\r\n\r\n" * 2000 + b"--b--"),
    ],
)
def test_what_is_no_multipart_message_is_refused(content_type: str, body: bytes) -> None:
    """A message that breaks off is an error, never half a message."""
    with pytest.raises(MultipartError):
        parse(content_type, body)


@given(
    body=st.binary(max_size=300)
    | st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b"\r", b"A: b", b"x", b"\xff", b" ", b":"]), max_size=40).map(b"".join),
    content_type=st.just("multipart/related; boundary=b") | st.text(max_size=40),
)
def test_arbitrary_bytes_raise_nothing_but_its_own_error(body: bytes, content_type: str) -> None:
    """The parser takes any bytes."""
    with contextlib.suppress(MultipartError):
        parse(content_type, body)


@given(
    contents=st.lists(st.binary(max_size=200).filter(lambda data: b"--b" not in data), min_size=1, max_size=4),
    eol=st.sampled_from([b"\r\n", b"\n"]),
)
def test_what_is_put_together_comes_apart(contents: list[bytes], eol: bytes) -> None:
    """Any contents come back byte for byte, in order."""
    body = b"".join(eol.join([b"--b", b"A: c", b"", content, b""]) for content in contents) + b"--b--" + eol
    assert [part.content for part in parse("multipart/mixed; boundary=b", body)] == contents
