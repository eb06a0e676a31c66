"""JSON to message and back: the door, and the way out.

Out: each message type is compiled on first use from its descriptor into the source of one Python function, which builds a plain dict
for orjson; that is about three times as fast as protobuf's json_format. In: json_text reads the text, json_reader the values.
json_format is only the oracle of the tests: on the way in it takes damaged base64 and wrong shapes without a word.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from vision_emulator.contract.json_reader import (
    ANY,
    FIELD_MASK,
    TIMES,
    WELL_KNOWN,
    WRAPPERS,
    Descriptor,
    Field,
    from_json,
    is_map,
    repeated_fields,
)
from vision_emulator.contract.json_text import load_json
from vision_emulator.contract.messages import POOL, message_class

__all__ = ["decode", "dump_json", "encode", "from_json", "load_json", "to_json"]

M = TypeVar("M", bound=Message)

_FLOAT32: Final = struct.Struct("<f")
_INTEGRAL_MAX: Final = 2.0**53  # floats of greater size are written with an exponent


def encode(message: Message, *, enum_numbers: bool = False, pretty: bool = False) -> bytes:
    """The message as JSON text: compact, or with two-space indents and a line end; fields in the order of their numbers."""
    return dump_json(to_json(message, enum_numbers=enum_numbers), pretty=pretty)


def dump_json(value: Any, *, pretty: bool = False) -> bytes:
    """Plain values as JSON text, escaped as the service escapes: compact, or with two-space indents and a line end."""
    text = _escape(orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else None))
    return text + b"\n" if pretty else text


def to_json(message: Message, *, enum_numbers: bool = False) -> Any:
    """The message as plain values: a dict, or what its well-known type stands for.

    Zero, empty and unset fields are left out, negative zero too. An Any of a type that is not in the contract, or whose bytes
    are damaged, is written as its type URL and its bytes in base64.
    """
    return _writer(message.DESCRIPTOR, enum_numbers)(message)


def decode(cls: type[M], body: bytes) -> M:
    """The message in a JSON text; VisionError INVALID_ARGUMENT as in load_json and from_json."""
    return from_json(cls, load_json(body))


# Invisible and direction characters that the real printer escapes beside the angle brackets and DEL.
_FORMAT_RANGES: Final = (
    (0xAD, 0xAD), (0x600, 0x603), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x17B4, 0x17B5), (0x200B, 0x200F), (0x2028, 0x202E),
    (0x2060, 0x2064), (0x206A, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0x1D173, 0x1D17A), (0xE0001, 0xE0001), (0xE0020, 0xE007F),
)  # fmt: skip
_FORMAT: Final = re.compile(b"|".join(chr(code).encode() for first, last in _FORMAT_RANGES for code in range(first, last + 1)))


def _escape(text: bytes) -> bytes:
    """The same JSON with those characters escaped; they can only stand inside its strings."""
    text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"\x7f", b"\\u007f")
    if text.isascii():
        return text
    return _FORMAT.sub(lambda match: json.dumps(match[0].decode())[1:-1].encode(), text)


@lru_cache(maxsize=16_384)
def _float32(value: float) -> float | int | str:
    """A float field's value: the shortest decimal that reads back as the same float32."""
    bits = _FLOAT32.pack(value)
    for form in ("%.6g", "%.7g", "%.8g", "%.9g"):
        shortest = float(form % value)
        if _FLOAT32.pack(shortest) == bits:
            break
    return _float64(shortest)


def _float64(value: float) -> float | int | str:
    """A double field's value: whole numbers without a fraction, what is no number by its name."""
    if value.is_integer() and abs(value) <= _INTEGRAL_MAX:
        return int(value)
    if value - value == 0:  # finite
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


_CALLS: Final = {
    FieldDescriptor.TYPE_FLOAT: "float32",
    FieldDescriptor.TYPE_DOUBLE: "float64",
    FieldDescriptor.TYPE_BYTES: "base64",
    FieldDescriptor.TYPE_INT64: "str",  # JSON's readers may hold numbers as doubles
    FieldDescriptor.TYPE_UINT64: "str",
}  # by type of field: the function that makes its value plain, where one is needed

Writer = Callable[[Any], Any]
_WRITERS: Final[dict[tuple[bool, str], Writer]] = {}  # only whole ones get in: other threads may be writing


def _writer(descriptor: Descriptor, enum_numbers: bool) -> Writer:
    """The function that turns a message of this type into plain values; compiled with all it contains, once."""
    key = enum_numbers, descriptor.full_name
    if key not in _WRITERS:
        source = _Source(enum_numbers)
        name = source.message(descriptor)
        exec("\n".join(source.lines), source.names)  # noqa: S102 - our own text, made from our own descriptors
        _WRITERS[key] = source.names[name]
    return _WRITERS[key]


class _Source:
    """Python source being written: one function for a message type and each type below it, children first."""

    def __init__(self, enum_numbers: bool) -> None:
        self.enum_numbers = enum_numbers
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"float32": _float32, "float64": _float64, "base64": _base64}

    def message(self, descriptor: Descriptor) -> str:
        """The name of the function that writes this type."""
        full_name: str = descriptor.full_name
        name = "write_" + full_name.replace(".", "_")
        if name in self.names:
            return name
        self.names[name] = None  # reserved while its fields are written; a recursive type finds its own name
        if full_name in WRAPPERS:
            self.lines += [f"def {name}(m):", f"    return {self.value(descriptor.fields_by_name['value'], 'm.value')}"]
            return name
        if full_name in WELL_KNOWN:
            self.names[name] = _well_known_writer(full_name, self.enum_numbers)
            return name
        repeated = repeated_fields(descriptor)
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        body = [line for field in fields for line in self.field(field, field.name in repeated)]
        self.lines += [f"def {name}(m):", "    d = {}", *(f"    {line}" for line in body), "    return d"]
        return name

    def field(self, field: Field, repeated: bool) -> list[str]:
        """The statements that put one field of ``m`` into ``d``."""
        target, value = f"d[{field.json_name!r}]", f"m.{field.name}"
        if is_map(field):
            entry = self.value(field.message_type.fields_by_name["value"], "v[k]")
            return [f"v = {value}", "if v:", f"    {target} = {{k: {entry} for k in sorted(v)}}"]
        if repeated:
            element = self.value(field, "e")
            return [f"v = {value}", "if v:", f"    {target} = " + ("list(v)" if element == "e" else f"[{element} for e in v]")]
        if field.has_presence:
            return [f"if m.HasField({field.name!r}):", f"    v = {value}", f"    {target} = {self.value(field, 'v')}"]
        return [f"v = {value}", "if v:", f"    {target} = {self.value(field, 'v')}"]

    def value(self, field: Field, value: str) -> str:
        """The expression that makes one value of this field plain."""
        kind = field.type
        if kind == field.TYPE_MESSAGE:
            return f"{self.message(field.message_type)}({value})"
        if kind == field.TYPE_ENUM and not self.enum_numbers:
            full_name: str = field.enum_type.full_name
            names = "enum_" + full_name.replace(".", "_")
            self.names[names] = {number: item.name for number, item in field.enum_type.values_by_number.items()}
            return f"{names}.get({value}, {value})"
        call = _CALLS.get(kind)
        return f"{call}({value})" if call else value


def _well_known_writer(full_name: str, enum_numbers: bool) -> Writer:
    """How a type with a JSON form of its own is written."""
    if full_name in TIMES:
        return lambda message: message.ToJsonString()
    if full_name == FIELD_MASK:
        return lambda mask: ",".join(re.sub("_([a-z])", lambda match: match[1].upper(), path) for path in mask.paths)
    if full_name == ANY:
        return lambda wrapped: _write_any(wrapped, enum_numbers)
    return _write_struct


def _write_struct(message: Any) -> Any:
    """A Struct, Value or ListValue; rare, so protobuf's own way will do."""
    from google.protobuf import json_format

    return json_format.MessageToDict(message, descriptor_pool=POOL)


def _write_any(wrapped: Any, enum_numbers: bool) -> dict[str, Any]:
    """The message inside, with its type URL; an Any that holds nothing is an empty object."""
    if not wrapped.type_url:
        return {}
    typed: dict[str, Any] = {"@type": wrapped.type_url}
    try:
        message = message_class(wrapped.type_url.rpartition("/")[2]).FromString(wrapped.value)
    except (KeyError, DecodeError):
        return typed | {"value": _base64(wrapped.value)}
    plain = to_json(message, enum_numbers=enum_numbers)
    return typed | ({"value": plain} if message.DESCRIPTOR.full_name in WELL_KNOWN else plain)
