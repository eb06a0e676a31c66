"""JSON text: what is taken beyond JSON, and what is said, with a caret under the place, of what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vision_emulator.contract import codec
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.json_text import DEPTH_MAX, _forgiving
from vision_emulator.contract.messages import BatchAnnotateImagesRequest


def refusal(body: bytes) -> str:
    """What is said of a body, after the words that all refusals begin with."""
    with pytest.raises(VisionError) as caught:
        codec.load_json(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.details == ()
    start = "Invalid JSON payload received. "
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf", b"{}", b"\xef\xbb\xbf{}"])
def test_nothing_is_an_empty_object(body: bytes) -> None:
    """A call without a body is a call with an empty request; a byte order mark is no part of it."""
    assert codec.load_json(body) == {}
    assert codec.decode(BatchAnnotateImagesRequest, body) == BatchAnnotateImagesRequest()


def test_raw_line_ends_inside_strings() -> None:
    """A widely used shell script sends its base64 in wrapped lines, raw in the JSON string, and a line end after names."""
    body = b'{"requests":[{"image":{"content":"/9j/\n4AAQ\n\tSkZJ"},"features":[{"type":"TEXT_DETECTION"}]}]}\n'
    image = codec.decode(BatchAnnotateImagesRequest, body).requests[0].image
    assert image.content == b"\xff\xd8\xff\xe0\x00\x10JFI"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("{'a': 'it\"s'}", {"a": 'it"s'}),
        ("{a: 1, $b_2: [true, null,],}", {"a": 1, "$b_2": [True, None]}),
        ("{nullable: 1}", {"nullable": 1}),
        (r"""{'a': 'x\'y\v\q\n\u00e9\ud83d\ude00z'}""", {"a": "x'y\vq\né😀z"}),
        ("[-0, 1.5e3, 0.5, 1.]", [0, 1500.0, 0.5, 1.0]),
        ("['', 18446744073709551615, 18446744073709551616]", ["", 2**64 - 1, 2.0**64]),
        ("\v\f [ 'x' ]\v", ["x"]),
    ],
)
def test_the_grammar_is_wider_than_json(body: str, value: Any) -> None:
    """Single quotes, bare keys, trailing commas, odd escapes: the real parser takes them all."""
    assert codec.load_json(body.encode()) == value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"theme"  "Children"}', 'Expected : between key:value pair.\n{"theme"  "Children"}\n          ^'),
        ('{"a": "b" "c": 1}', 'Expected , or } after key:value pair.\n{"a": "b" "c": 1}\n          ^'),
        ('{"a": true]', 'Expected , or } after key:value pair.\n{"a": true]\n          ^'),
        ("[true, null}", "Expected , or ] after array value.\n[true, null}\n           ^"),
        ("{42: true}", "Expected an object key or }.\n{42: true}\n ^"),
        ("{null: 1}", "Expected an object key or }.\n{null: 1}\n     ^"),
        ('{"requests": images]}', 'Unexpected token.\n{"requests": images]}\n             ^'),
        ("NO_BRACES_JSON", "Unexpected token.\nNO_BRACES_JSON\n^"),
        ("[1, ,]", "Unexpected token.\n,]\n^"),
        ('{"theme" : "Children"}EXTRA', 'Parsing terminated before end of input.\ntheme" : "Children"}EXTRA\n                    ^'),
        ('{"theme" : "Children"', "Unexpected end of string. Expected , or } after key:value pair.\n\n^"),
        ("{", "Unexpected end of string. Expected an object key or }.\n\n^"),
        ('{"a"', "Unexpected end of string. Expected : between key:value pair.\n\n^"),
        ('{"a":', "Unexpected end of string. Expected a value.\n\n^"),
        ("[", "Unexpected end of string. Expected a value or ] within an array.\n\n^"),
        ("[1", "Unexpected end of string. Expected , or ] after array value.\n\n^"),
        ("[#1]", "Expected a value or ] within an array.\n#1]\n^"),
        ('{"a": ~}', "Expected a value.\n~}\n^"),
        ('{"a": "b', "Closing quote expected in string.\n\n^"),
        ('{"a": "b\\', "Closing quote expected in string.\n\\\n^"),
        ('["\\uZZZZ"]', 'Invalid escape sequence.\n["\\uZZZZ"]\n  ^'),
        ('["\\u12', "Illegal hex string.\n\\u12\n^"),
        ('["\\ud800 and more text"]', 'Missing low surrogate.\n["\\ud800 and more text\n  ^'),
        ('["\\ud800"]', 'Missing low surrogate.\n\\ud800"]\n^'),
        ('["\\ud800\\u0041"]', 'Invalid low surrogate.\n["\\ud800\\u0041"]\n  ^'),
        ('["\\udc00"]', 'Invalid unicode code point.\n["\\udc00"]\n  ^'),
        ("[01]", "Octal/hex numbers are not valid JSON values.\n[01]\n ^"),
        ("[-0x1]", "Octal/hex numbers are not valid JSON values.\n[-0x1]\n ^"),
        ("[1.2.3]", "Unable to parse number.\n[1.2.3]\n ^"),
        ("[-]", "Unable to parse number.\n[-]\n ^"),
        ("[1e999]", "Number exceeds the range of double.\n[1e999]\n ^"),
    ],
)
def test_refusals_show_the_place(body: str, text: str) -> None:
    """Each refusal has the real parser's text, the text around the place, and a caret under it."""
    assert refusal(body.encode()) == text


def test_the_context_is_twenty_characters_each_way() -> None:
    """However large the body, what is shown of it is bounded."""
    body = '{"a": "' + "x" * 1000 + '" "' + "y" * 1000 + '"}'
    assert refusal(body.encode()) == f'Expected , or }} after key:value pair.\n{"x" * 18}" "{"y" * 19}\n{" " * 20}^'


def test_bytes_that_are_no_utf8_are_refused() -> None:
    """A body in another encoding is refused, in a text that can be sent."""
    assert refusal(b'{"a": "\xe9t\xe9"}') == 'Encountered non UTF-8 code points.\n\ufffdt\ufffd"}\n^'


@pytest.mark.parametrize("opening", ["[", '{"a":', "{'a':", '[{"a":'])
def test_depth_is_bounded(opening: str) -> None:
    """A body that only opens brackets is refused, not crashed on."""
    assert refusal(opening.encode() * 100_000).startswith("Message too deep. Max recursion depth reached for key '")
    assert _forgiving(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)


def test_of_duplicate_keys_the_last_wins() -> None:
    """Both parsers agree on duplicates."""
    assert codec.load_json(b'{"a":1,"a":2}') == codec.load_json(b"{'a':1,'a':2}") == {"a": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values, st.booleans())
@settings(deadline=None)
def test_the_wider_grammar_contains_json(value: Any, ascii_only: bool) -> None:
    """What is JSON means the same to the forgiving parser as to the fast one."""
    body = json.dumps(value, ensure_ascii=ascii_only, indent=1).encode()
    assert _forgiving(body) == codec.load_json(body) == value


@given(st.binary() | st.text("{}[]:,\"'\\ud8c00-1.eE+tfn nulrase\n#", max_size=30).map(str.encode))
@example(b"\xed\xa0\x80")
@example(b"[" * 1025)
@settings(max_examples=1000, deadline=None)
def test_nothing_but_vision_errors_escapes(body: bytes) -> None:
    """Whatever the bytes, they become a message or an INVALID_ARGUMENT that can be sent."""
    try:
        outcome: Any = codec.decode(BatchAnnotateImagesRequest, body)
    except VisionError as error:
        outcome = error
    if isinstance(outcome, VisionError):
        assert outcome.code is Code.INVALID_ARGUMENT
        assert outcome.status().SerializeToString()
    else:
        assert isinstance(outcome, BatchAnnotateImagesRequest)
