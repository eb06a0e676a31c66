"""JSON text as the real front end reads it: a fast parser for what is JSON, and its own forgiving grammar for the rest.

The front end of Google's APIs takes more than JSON: single quotes, bare keys, trailing commas, and raw control characters inside
strings (a widely used shell script wraps its base64 that way). What it refuses, it refuses with a text and a caret under the place.
Grammar, texts and context lengths are those of protobuf's published C++ stream parser, which that front end runs.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import orjson

from vision_emulator.contract.errors import VisionError, malformed_json

DEPTH_MAX: Final = 100  # objects and arrays inside each other; the real parser counts objects only
CONTEXT_CHARS: Final = 20  # of the text shown on each side of the caret
BOM: Final = b"\xef\xbb\xbf"

_SPACE: Final = re.compile(r"[ \t\n\v\f\r]*")
_NUMBER: Final = re.compile(r"[-+.0-9eEx]*")
_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PLAIN: Final = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}  # any other character stands for itself
_HEX: Final = re.compile(r"[0-9A-Fa-f]{4}")
_WORDS: Final = {"true": True, "false": False, "null": None}


def load_json(body: bytes) -> Any:
    """The plain value of a request body; an empty body is an empty object, of duplicate keys the last wins.

    Raises VisionError INVALID_ARGUMENT with the front end's text when it is not what the front end takes.
    """
    body = body.removeprefix(BOM)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _forgiving(body)


def _forgiving(body: bytes) -> Any:
    """The same in the front end's own grammar: slower, and it knows what to say."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        context = body[error.start : error.start + CONTEXT_CHARS].decode(errors="replace")
        raise _malformed(f"Encountered non UTF-8 code points.\n{context}\n^") from None
    return _Parser(text).document()


def _malformed(text: str) -> VisionError:
    return malformed_json(f"Invalid JSON payload received. {text}")


class _Parser:
    """One reading of one text, left to right; ``at`` is the next character not yet understood."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Any:
        char = self.peek()
        if not char:
            return {}
        value = self.value(char, "", 0)
        if self.peek():
            raise self.failure("Parsing terminated before end of input.")
        return value

    def value(self, char: str, key: str, depth: int) -> Any:
        """Any value; ``key`` is what it will be stored under, for the text about depth."""
        if char in ("{", "["):
            if depth >= DEPTH_MAX:
                raise _malformed(f"Message too deep. Max recursion depth reached for key '{key}'")
            self.at += 1
            return self.object(depth + 1) if char == "{" else self.array(key, depth + 1)
        if char in ('"', "'"):
            return self.string(char)
        if char and char in "-0123456789":
            return self.number()
        for word, meaning in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return meaning
        if not _known(char):
            raise self.starved("Expected a value.")
        if len(self.text) - self.at < len("false"):  # it might have become a word: the real parser waits for more text first
            raise self.failure("Unexpected token.", self.at)
        raise self.failure("Unexpected token.")

    def object(self, depth: int) -> dict[str, Any]:
        members = {}
        while (char := self.peek()) != "}":
            key = self.key(char)
            self.expect(":", "Expected : between key:value pair.")
            members[key] = self.value(self.peek(), key, depth)
            if self.expect(",}", "Expected , or } after key:value pair.") == "}":
                return members
        self.at += 1  # an empty object, or the comma before was the last
        return members

    def array(self, key: str, depth: int) -> list[Any]:
        elements = []
        while (char := self.peek()) != "]":
            if not _known(char):
                raise self.starved("Expected a value or ] within an array.")
            elements.append(self.value(char, key, depth))
            if self.expect(",]", "Expected , or ] after array value.") == "]":
                return elements
        self.at += 1
        return elements

    def key(self, char: str) -> str:
        """An object's key, in quotes or bare; a bare key may not be a word that is a value."""
        if char in ('"', "'"):
            return self.string(char)
        bare = _KEY.match(self.text, self.at)
        if bare is None:
            raise self.refused(char, "Expected an object key or }.")
        self.at = bare.end()
        if bare[0] in _WORDS:
            raise self.failure("Expected an object key or }.")
        return bare[0]

    def string(self, quote: str) -> str:
        """A string from its opening quote on; raw control characters are taken as they are."""
        plain, parts = _PLAIN[quote], []
        self.at += 1
        end = self.text.find(quote, self.at)
        if end >= 0 and self.text.find("\\", self.at, end) < 0:  # megabytes of base64 pass here
            start, self.at = self.at, end + 1
            return self.text[start:end]
        while True:
            run = plain.match(self.text, self.at)
            assert run is not None
            parts.append(run[0])
            self.at = run.end()
            escape = self.text[self.at : self.at + 2]
            if escape[:1] == quote:
                self.at += 1
                return "".join(parts)
            if len(escape) < 2:
                raise self.failure("Closing quote expected in string.", self.at)
            if escape == "\\u":
                parts.append(self.code_point())
            else:
                parts.append(_ESCAPES.get(escape[1], escape[1]))
                self.at += 2

    def code_point(self) -> str:
        r"""The character of a \uXXXX escape, or of two that are a surrogate pair."""
        code = self.hex(self.at, "Illegal hex string.")
        if 0xD800 <= code <= 0xDBFF:
            if len(self.text) - self.at < 12:
                raise self.failure("Missing low surrogate.", self.at)
            if not self.text.startswith("\\u", self.at + 6):
                raise self.failure("Missing low surrogate.")
            low = self.hex(self.at + 6, "Missing low surrogate.")
            if not 0xDC00 <= low <= 0xDFFF:
                raise self.failure("Invalid low surrogate.")
            code = 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
            self.at += 6
        elif 0xDC00 <= code <= 0xDFFF:
            raise self.failure("Invalid unicode code point.")
        self.at += 6
        return chr(code)

    def hex(self, start: int, cut_off: str) -> int:
        r"""The number of the \uXXXX at ``start``; ``cut_off`` is said when the text ends inside it."""
        if len(self.text) < start + 6:
            raise self.failure(cut_off, self.at)
        digits = _HEX.match(self.text, start + 2)
        if digits is None:
            raise self.failure("Invalid escape sequence.")
        return int(digits[0], 16)

    def number(self) -> int | float:
        """A number; an integer beyond 64 bits becomes a float, as in the real parser."""
        match = _NUMBER.match(self.text, self.at)
        assert match is not None
        digits = match[0]
        unsigned = digits.removeprefix("-")
        if unsigned[:1] == "0" and len(unsigned) > 1 and not set(unsigned) & set(".eE"):
            raise self.failure("Octal/hex numbers are not valid JSON values.")
        try:
            number = float(digits)
        except ValueError:
            raise self.failure("Unable to parse number.") from None
        if math.isinf(number):
            raise self.failure("Number exceeds the range of double.")
        self.at = match.end()
        if unsigned.isdecimal() and -(2**63) <= (integer := int(digits)) < 2**64:
            return integer
        return number

    def peek(self) -> str:
        """The next character that is no white space, not consumed; empty at the end of the text."""
        space = _SPACE.match(self.text, self.at)
        assert space is not None
        self.at = space.end()
        return self.text[self.at : self.at + 1]

    def expect(self, characters: str, message: str) -> str:
        """The next character, white space apart, when it is one of ``characters``, consumed."""
        char = self.peek()
        if not char or char not in characters:
            raise self.refused(char, message)
        self.at += 1
        return char

    def refused(self, char: str, message: str) -> VisionError:
        """What is said of a token in the wrong place, or of what is no token."""
        return self.failure(message) if _known(char) else self.starved(message)

    def starved(self, message: str) -> VisionError:
        """What is said of no token at all, or of the end of the text: the real parser has let go of all that came before."""
        return self.failure(message if self.at < len(self.text) else f"Unexpected end of string. {message}", self.at)

    def failure(self, message: str, begin: int = 0) -> VisionError:
        """What is said of this place: the message, the text around it but not before ``begin``, and a caret."""
        start = max(begin, self.at - CONTEXT_CHARS)
        return _malformed(f"{message}\n{self.text[start : self.at + CONTEXT_CHARS]}\n{' ' * (self.at - start)}^")


def _known(char: str) -> bool:
    """Whether a token of the grammar can begin with this character."""
    return bool(char) and (char in "\"'{}[]:,-_$" or (char.isascii() and char.isalnum()))
