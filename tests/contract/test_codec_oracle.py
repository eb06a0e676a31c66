"""The codec against protobuf's json_format, on messages generated from every descriptor of the contract."""

from __future__ import annotations

import json
import string
import struct
from functools import cache
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_emulator.contract import codec
from vision_emulator.contract.json_reader import is_map, repeated_fields
from vision_emulator.contract.messages import BETAS, POOL, V1, ColorInfo, NormalizedVertex, message_class

FILES = (
    "vision.proto",
    *(beta.replace(".", "/") + "/vision.proto" for beta in BETAS),
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "google/longrunning/operations.proto",
)
TYPES = [descriptor for file in FILES for descriptor in POOL.FindFileByName(file).message_types_by_name.values()]
DEPTH_MAX = 5
FLOAT32_MAX = 3.4028234663852886e38


def oracle_out(message: Message, **options: Any) -> Any:
    return json_format.MessageToDict(message, descriptor_pool=POOL, **options)


def oracle_in(value: Any, message: Message) -> Message:
    return json_format.ParseDict(value, message, descriptor_pool=POOL)


# ---- messages from descriptors ----

text = st.text(max_size=8)
float32 = st.floats(width=32).filter(lambda number: number != 0 and abs(number) != FLOAT32_MAX)  # json_format cannot read the greatest
double = st.floats().filter(lambda number: number != 0)
snake = st.lists(st.text(string.ascii_lowercase, min_size=1, max_size=4), min_size=1, max_size=3).map("_".join)


def well_known(full_name: str) -> st.SearchStrategy[Any] | None:
    """Messages of a type whose JSON is not an object of its fields."""
    cls = message_class(full_name)
    if full_name == "google.protobuf.Timestamp":
        return st.builds(cls, seconds=st.integers(-62135596800, 253402300799), nanos=st.integers(0, 999_999_999))
    if full_name == "google.protobuf.Duration":
        return st.builds(lambda seconds, nanos: cls(seconds=seconds, nanos=nanos), st.integers(0, 10**11), st.integers(0, 999_999_999))
    if full_name == "google.protobuf.FieldMask":
        return st.builds(cls, paths=st.lists(st.lists(snake, min_size=1, max_size=3).map(".".join), max_size=3))
    if full_name == "google.protobuf.FloatValue":
        return st.builds(cls, value=float32)
    if full_name == "google.protobuf.Any":
        inner = st.sampled_from(("google.rpc.ErrorInfo", "google.protobuf.Duration", "google.protobuf.Empty", f"{V1}.OperationMetadata"))
        return inner.flatmap(lambda name: messages(POOL.FindMessageTypeByName(name), DEPTH_MAX)).map(lambda message: packed(cls, message))
    return None


def packed(cls: type[Any], message: Message) -> Any:
    wrapped = cls()
    wrapped.Pack(message, deterministic=True)
    return wrapped


@cache
def messages(descriptor: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Messages of this type with any of their fields set."""
    if (special := well_known(descriptor.full_name)) is not None:
        return special
    repeated = repeated_fields(descriptor)
    fields = {field.name: values(field, field.name in repeated, depth) for field in descriptor.fields}
    cls = message_class(descriptor.full_name)
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: cls(**chosen))


def values(field: Any, repeated: bool, depth: int) -> st.SearchStrategy[Any]:
    """What one field may hold."""
    if is_map(field):
        return st.dictionaries(text, value(field.message_type.fields_by_name["value"], depth), max_size=3)
    return st.lists(value(field, depth), max_size=2) if repeated else value(field, depth)


def value(field: Any, depth: int) -> st.SearchStrategy[Any]:
    if field.type == field.TYPE_MESSAGE:
        if depth >= DEPTH_MAX:
            return st.builds(message_class(field.message_type.full_name))
        return st.deferred(lambda: messages(field.message_type, depth + 1))
    if field.type == field.TYPE_ENUM:
        return st.sampled_from([*field.enum_type.values_by_number, 99])
    return {
        field.TYPE_STRING: text,
        field.TYPE_BYTES: st.binary(max_size=8),
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        field.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        field.TYPE_UINT32: st.integers(0, 2**32 - 1),
        field.TYPE_UINT64: st.integers(0, 2**64 - 1),
        field.TYPE_FLOAT: float32,
        field.TYPE_DOUBLE: double,
    }[field.type]


any_message = st.integers(0, len(TYPES) - 1).flatmap(lambda index: messages(TYPES[index]))


# ---- the comparisons ----


@given(any_message)
@settings(max_examples=300, deadline=None)
def test_out_equals_the_oracle(message: Message) -> None:
    """What is written says the same as json_format, with enum names and with numbers, compact and pretty."""
    assert json.loads(codec.encode(message)) == oracle_out(message)
    assert json.loads(codec.encode(message, pretty=True)) == oracle_out(message)
    assert json.loads(codec.encode(message, enum_numbers=True)) == oracle_out(message, use_integers_for_enums=True)


@given(any_message)
@settings(max_examples=300, deadline=None)
def test_in_equals_the_oracle(message: Message) -> None:
    """What json_format writes, in either style of key, is read as json_format reads it."""
    for snake_case in (False, True):
        plain = oracle_out(message, preserving_proto_field_name=snake_case)
        read = codec.from_json(type(message), plain)
        expected = oracle_in(plain, type(message)())
        assert oracle_out(read) == oracle_out(expected)


@given(any_message, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_round_trip(message: Message, enum_numbers: bool, pretty: bool) -> None:
    """A message that is written and read again is the same message, and writes the same bytes."""
    body = codec.encode(message, enum_numbers=enum_numbers, pretty=pretty)
    again = codec.decode(type(message), body)
    assert codec.encode(again, enum_numbers=enum_numbers, pretty=pretty) == body
    if b"NaN" not in body:
        assert again == message


@given(st.integers(1, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0]).filter(bool))
@settings(max_examples=1000)
def test_float32_is_the_shortest_that_reads_back(number: float) -> None:
    """Any float32 is written with as few digits as read back to the same float32, as json_format writes it."""
    vertex = NormalizedVertex(x=number)
    assert json.loads(codec.encode(vertex)) == oracle_out(vertex)


@given(st.integers(-(2**24), 2**24).filter(bool))
def test_whole_floats_have_no_fraction(number: int) -> None:
    """A float that is a whole number is written as one: 1, not 1.0, as in production's output files."""
    assert codec.encode(ColorInfo(score=number)) == b'{"score":%d}' % number


def test_every_type_of_the_pool_compiles() -> None:
    """No message type of the contract, nested ones and well-known types included, is beyond the codec."""
    seen: list[Any] = [*TYPES, *POOL.FindFileByName("google/protobuf/wrappers.proto").message_types_by_name.values()]
    while seen:
        descriptor = seen.pop()
        if not descriptor.GetOptions().map_entry:
            empty = message_class(descriptor.full_name)()
            assert codec.from_json(type(empty), orjson.loads(codec.encode(empty))) == empty
        seen += descriptor.nested_types


def test_every_map_has_string_keys() -> None:
    """The codec reads and writes maps from strings only: the contract has no others."""
    fields = [field for descriptor in TYPES for field in descriptor.fields if is_map(field)]
    assert fields
    assert {field.message_type.fields_by_name["key"].type for field in fields} == {fields[0].TYPE_STRING}
