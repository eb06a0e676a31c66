"""JSON to message and back: as fast as plain Python can be, as strict and as lenient as the real service.

Each message type is compiled on first use from its descriptor: out, into the source of one function per message that builds a
plain dict for orjson; in, into a table from JSON key to field and reader, whose plain dict goes to the message's constructor in
one piece. protobuf's json_format is only the oracle of the tests: it is several times slower, takes damaged base64 and wrong
shapes without a word, and what it says is not what the service says. Texts of refusals are recorded from Google's APIs.
"""

from __future__ import annotations

import binascii
import json
import math
import re
import struct
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import orjson
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from vision_emulator.contract.errors import Violation, bad_request
from vision_emulator.contract.json_text import load_json
from vision_emulator.contract.messages import POOL, TYPE_URL, message_class

__all__ = ["decode", "dump_json", "encode", "from_json", "load_json", "to_json"]

M = TypeVar("M", bound=Message)

ECHO_CHARS_MAX: Final = 100  # of a refused value shown in the refusal; the real cut-off is unknown
FAULTS_MAX: Final = 1000  # violations listed in one refusal; bounds the answer to a body full of them

_FLOAT32: Final = struct.Struct("<f")
_FLOAT32_LIMIT: Final = float.fromhex("0x1.ffffffp+127")  # from here on a number rounds to infinity, not to a float32
_INTEGRAL_MAX: Final = 2.0**53  # floats of greater size are written with an exponent
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value" for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_STRUCTS: Final = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})
_TIMES: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
_ANY: Final = "google.protobuf.Any"
_FIELD_MASK: Final = "google.protobuf.FieldMask"
_WELL_KNOWN: Final = _WRAPPERS | _STRUCTS | _TIMES | {_ANY, _FIELD_MASK}  # their JSON is not an object of their fields


# ---- out ----


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
    for digits in (6, 7, 8):
        shortest = float(f"{value:.{digits}g}")
        if abs(shortest) < _FLOAT32_LIMIT and _FLOAT32.unpack(_FLOAT32.pack(shortest))[0] == value:
            return _float64(shortest)
    return _float64(float(f"{value:.9g}"))


def _float64(value: float) -> float | int | str:
    """A double field's value: whole numbers without a fraction, what is no number by its name."""
    if value.is_integer() and abs(value) <= _INTEGRAL_MAX:
        return int(value)
    if value - value == 0:  # finite
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


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
        name = "write_" + descriptor.full_name.replace(".", "_")
        if name in self.names:
            return name
        self.names[name] = None  # reserved while its fields are written; a recursive type finds its own name
        if descriptor.full_name in _WELL_KNOWN:
            self.names[name] = _well_known_writer(descriptor.full_name, self.enum_numbers)
            return name
        repeated = _repeated_fields(descriptor)
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        body = [line for field in fields for line in self.field(field, field.name in repeated)]
        self.lines += [f"def {name}(m):", "    d = {}", *(f"    {line}" for line in body), "    return d"]
        return name

    def field(self, field: FieldDescriptor, repeated: bool) -> list[str]:
        """The statements that put one field of ``m`` into ``d``."""
        target, value = f"d[{field.json_name!r}]", f"m.{field.name}"
        if _is_map(field):
            entry = self.value(field.message_type.fields_by_name["value"], "v[k]")
            return [f"v = {value}", "if v:", f"    {target} = {{k: {entry} for k in sorted(v)}}"]
        if repeated:
            element = self.value(field, "e")
            return [f"v = {value}", "if v:", f"    {target} = " + ("list(v)" if element == "e" else f"[{element} for e in v]")]
        if field.has_presence:
            return [f"if m.HasField({field.name!r}):", f"    v = {value}", f"    {target} = {self.value(field, 'v')}"]
        return [f"v = {value}", "if v:", f"    {target} = {self.value(field, 'v')}"]

    def value(self, field: FieldDescriptor, value: str) -> str:
        """The expression that makes one value of this field plain."""
        kind = field.type
        if kind == field.TYPE_MESSAGE:
            return f"{self.message(field.message_type)}({value})"
        if kind == field.TYPE_ENUM and not self.enum_numbers:
            names = "enum_" + field.enum_type.full_name.replace(".", "_")
            self.names[names] = {number: item.name for number, item in field.enum_type.values_by_number.items()}
            return f"{names}.get({value}, {value})"
        call = {field.TYPE_FLOAT: "float32", field.TYPE_DOUBLE: "float64", field.TYPE_BYTES: "base64"}.get(kind)
        if kind in (field.TYPE_INT64, field.TYPE_UINT64):
            call = "str"
        return f"{call}({value})" if call else value


def _repeated_fields(descriptor: Descriptor) -> set[str]:
    """The names of the repeated fields, read in the one way that protobuf 5 and 7 share."""
    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    return {field.name for field in proto.field if field.label == field.LABEL_REPEATED}


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry)


def _well_known_writer(full_name: str, enum_numbers: bool) -> Writer:
    """How a type with a JSON form of its own is written."""
    if full_name in _TIMES:
        return lambda message: message.ToJsonString()
    if full_name == _FIELD_MASK:
        return lambda mask: ",".join(re.sub("_([a-z])", lambda match: match[1].upper(), path) for path in mask.paths)
    if full_name in _WRAPPERS:
        source = _Source(enum_numbers)
        field = message_class(full_name).DESCRIPTOR.fields_by_name["value"]
        return eval(f"lambda m: {source.value(field, 'm.value')}", source.names)  # noqa: S307 - our own text
    if full_name == _ANY:
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
    return typed | ({"value": plain} if message.DESCRIPTOR.full_name in _WELL_KNOWN else plain)


# ---- in ----


class _Fault(NamedTuple):
    """One thing wrong, as seen from where it was found; the path grows as the fault rises to the top."""

    path: str | None  # None: said of the message that holds the field
    before: str  # the text before " at 'path'"
    after: str

    def under(self, step: str) -> _Fault:
        """The same fault seen from one level up: ``step`` is a field's name, or [i]."""
        if self.path is None:
            return self if step.startswith("[") else self._replace(path="")
        dot = "." if self.path and not self.path.startswith("[") else ""
        return self._replace(path=f"{step}{dot}{self.path}")

    def violation(self) -> Violation:
        where = f" at '{self.path}'" if self.path else ""
        return Violation(self.path or "", f"{self.before}{where}{self.after}")


class _Refused(Exception):  # noqa: N818
    """A value that does not fit its field, with all that is wrong inside it."""

    def __init__(self, *faults: _Fault) -> None:
        super().__init__()
        self.faults = faults


class _ListStarted(Exception):  # noqa: N818
    """A list where a single value belongs; only the message around knows by which name it was sent."""


Reader = Callable[[Any], Any]  # a plain JSON value in; out, what the message's constructor takes, or _Refused, _ListStarted
_READERS: Final[dict[str, Reader]] = {}  # only whole ones get in: other threads may be reading


def decode(cls: type[M], body: bytes) -> M:
    """The message in a JSON text; VisionError INVALID_ARGUMENT as in load_json and from_json."""
    return from_json(cls, load_json(body))


def from_json(cls: type[M], value: Any, path: str = "") -> M:
    """The message in a plain JSON value; ``path`` is where it stands in the whole request, in proto names.

    Keys may be camelCase or snake_case (of both, the last wins); null is absent; a single value stands for a list of one.
    Raises VisionError INVALID_ARGUMENT with every violation found, up to FAULTS_MAX.
    """
    if not path and not isinstance(value, dict | None) and cls.DESCRIPTOR.full_name not in _WELL_KNOWN:
        raise bad_request([_unknown_name("", "Root element must be a message.").violation()])
    try:
        plain = {} if value is None else _reader(cls.DESCRIPTOR)(value)
        return plain if isinstance(plain, cls) else cls(**plain)
    except _Refused as refusal:
        faults = [fault.under(path) if path else fault for fault in refusal.faults]
    except _ListStarted:
        faults = [_unknown_name(path, _NOT_REPEATED)]
    except UnicodeEncodeError:
        faults = [_Fault(path, "Invalid value", " (TYPE_STRING), a string holds half of a surrogate pair.")]
    except RecursionError:
        faults = [_Fault(path, "Invalid JSON payload received. Message too deep", ".")]
    raise bad_request([fault.violation() for fault in faults[:FAULTS_MAX]])


_NOT_REPEATED: Final = "Proto field is not repeating, cannot start list."


def _unknown_name(key: str, why: str) -> _Fault:
    return _Fault("", f'Invalid JSON payload received. Unknown name "{_shown(key)}"', f": {why}")


def _shown(text: str) -> str:
    """A name or value of the request as it is shown in a refusal: cut to a bounded length, and always encodable."""
    shown = text if len(text) <= ECHO_CHARS_MAX else text[:ECHO_CHARS_MAX] + "..."
    return shown.encode(errors="replace").decode()


def _echo(value: Any) -> str:
    """A refused value as the real service shows it."""
    if isinstance(value, str):
        return f'"{_shown(value)}"'
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _shown(str(_float64(value) if isinstance(value, float) else value))


def _refuse(field: FieldDescriptor, value: Any, reason: str = "") -> NoReturn:
    """Refuses a value of the wrong shape or range for this field; ``reason`` stands where the value would be shown."""
    if isinstance(value, list):
        raise _ListStarted
    if isinstance(value, dict):
        raise _Refused(_Fault(None, "Invalid value", f" ({field.name}), Starting an object on a scalar field"))
    raise _Refused(_Fault("", "Invalid value", f" ({_type_text(field)}), {reason or _echo(value)}"))


def _type_text(field: FieldDescriptor) -> str:
    """A field's type as refusals name it."""
    named = field.message_type or field.enum_type
    return TYPE_URL + named.full_name if named else descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)


def _reader(descriptor: Descriptor) -> Reader:
    """The reader of this message type; compiled with all it contains, once."""
    if descriptor.full_name not in _READERS:
        compiled: dict[str, Reader] = {}
        _compile_reader(descriptor, compiled)
        _READERS.update(compiled)
    return _READERS[descriptor.full_name]


def _compile_reader(descriptor: Descriptor, compiled: dict[str, Reader]) -> Reader:
    """Adds the readers of a message type and of every type below it to ``compiled``; answers the first."""
    if descriptor.full_name in compiled:
        return compiled[descriptor.full_name]
    if descriptor.full_name in _WELL_KNOWN:
        compiled[descriptor.full_name] = _well_known_reader(descriptor)
        return compiled[descriptor.full_name]
    fields: dict[str, tuple[str, Reader]] = {}
    choices = [[member.name for member in oneof.fields] for oneof in descriptor.oneofs if len(oneof.fields) > 1]

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            _refuse_message(descriptor, value)
        plain: dict[str, Any] = {}
        faults: list[_Fault] = []
        for key, member in value.items():
            entry = fields.get(key)
            if entry is None:
                faults.append(_unknown_name(str(key), "Cannot find field."))
                continue
            if member is None:
                continue
            name, read_member = entry
            try:
                plain[name] = read_member(member)
            except _Refused as refusal:
                faults += [fault.under(name) for fault in refusal.faults]
            except _ListStarted:
                faults.append(_unknown_name(key, _NOT_REPEATED))
        for members in choices:
            chosen = [name for name in plain if name in members]
            faults += [_Fault("", "Invalid value", f" (oneof), '{chosen[0]}' is already set. Cannot set '{other}'") for other in chosen[1:]]
        if faults:
            raise _Refused(*faults[:FAULTS_MAX])
        return plain

    compiled[descriptor.full_name] = read  # before its fields: a recursive type finds itself
    repeated = _repeated_fields(descriptor)
    for field in descriptor.fields:
        fields[field.name] = fields[field.json_name] = field.name, _field_reader(field, field.name in repeated, compiled)
    return read


def _refuse_message(descriptor: Descriptor, value: Any, reason: str = "") -> NoReturn:
    if isinstance(value, list):
        raise _ListStarted
    raise _Refused(_Fault("", "Invalid value", f" ({TYPE_URL}{descriptor.full_name}), {reason or _echo(value)}"))


def _field_reader(field: FieldDescriptor, repeated: bool, compiled: dict[str, Reader]) -> Reader:
    """The reader of a whole field: a map, a list, or one value."""
    if _is_map(field):
        return _map_reader(field, compiled)
    read = _value_reader(field, compiled)
    return _list_reader(read) if repeated else read


def _list_reader(read: Reader) -> Reader:
    def read_list(value: Any) -> list[Any]:
        if type(value) is not list:
            return [read(value)]
        elements: list[Any] = []
        faults: list[_Fault] = []
        for index, element in enumerate(value):
            if element is None:
                continue
            try:
                elements.append(read(element))
            except _Refused as refusal:
                faults += [fault.under(f"[{index}]") for fault in refusal.faults]
                if len(faults) >= FAULTS_MAX:
                    break
        if faults:
            raise _Refused(*faults)
        return elements

    return read_list


def _map_reader(field: FieldDescriptor, compiled: dict[str, Reader]) -> Reader:
    """A map from strings; the contract has no others. The real service numbers the entries in its refusals."""
    read = _value_reader(field.message_type.fields_by_name["value"], compiled)

    def read_map(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            shown = f"Cannot bind a list to map for field '{field.name}'." if isinstance(value, list) else _echo(value)
            raise _Refused(_Fault("", "Invalid value", f" (Map), {shown}"))
        plain: dict[str, Any] = {}
        faults: list[_Fault] = []
        for index, (key, member) in enumerate(value.items()):
            if member is None:
                continue
            try:
                plain[key] = read(member)
            except _Refused as refusal:
                faults += [fault.under("value").under(f"[{index}]") for fault in refusal.faults]
            except _ListStarted:
                faults.append(_unknown_name("value", _NOT_REPEATED).under(f"[{index}]"))
        if faults:
            raise _Refused(*faults[:FAULTS_MAX])
        return plain

    return read_map


def _value_reader(field: FieldDescriptor, compiled: dict[str, Reader]) -> Reader:
    """The reader of one value of a field."""
    if field.type == field.TYPE_MESSAGE:
        if field.message_type.full_name in _TIMES:
            return _time_reader(field.message_type, field.json_name)
        return _compile_reader(field.message_type, compiled)
    if field.type == field.TYPE_ENUM:
        return _enum_reader(field)
    if field.type == field.TYPE_BYTES:
        return _bytes_reader(field)
    if field.type in _INTEGER_RANGES:
        return _integer_reader(field, *_INTEGER_RANGES[field.type])
    if field.type in _FLOAT_LIMITS:
        return _float_reader(field, _FLOAT_LIMITS[field.type])
    return {field.TYPE_STRING: _string_reader, field.TYPE_BOOL: _bool_reader}[field.type](field)


def _string_reader(field: FieldDescriptor) -> Reader:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            _refuse(field, value)
        return value

    return read


_TRUTH: Final = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)


def _bool_reader(field: FieldDescriptor) -> Reader:
    """True or false, or a string that says so: the real parser takes those, but no number."""

    def read(value: Any) -> bool:
        truth = _TRUTH.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(truth, bool):
            _refuse(field, value)
        return truth

    return read


_INTEGER_RANGES: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,20}")


def _integer_reader(field: FieldDescriptor, low: int, high: int) -> Reader:
    """A number without a fraction, or its digits in a string."""

    def read(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        number = None
        if isinstance(value, float) and value.is_integer():
            number = int(value)
        elif isinstance(value, str) and _INTEGER.fullmatch(value):
            number = int(value)
        if number is None or not low <= number <= high:
            _refuse(field, value)
        return number

    return read


_FLOAT_LIMITS: Final = {FieldDescriptor.TYPE_FLOAT: _FLOAT32_LIMIT, FieldDescriptor.TYPE_DOUBLE: math.inf}
_DECIMAL: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NO_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _float_reader(field: FieldDescriptor, limit: float) -> Reader:
    """A number, its digits in a string, or the name of what is no number; ``limit`` is the first that is too great."""

    def read(value: Any) -> float:
        if type(value) is float and -limit < value < limit:
            return value
        if isinstance(value, str) and value in _NO_NUMBERS:
            return _NO_NUMBERS[value]
        number = None
        if type(value) in (int, float):
            number = value
        elif isinstance(value, str) and _DECIMAL.fullmatch(value):
            number = float(value)
        if number is None or not -limit < number < limit:
            _refuse(field, value)
        return number

    return read


def _enum_reader(field: FieldDescriptor) -> Reader:
    """A name, in any case and with dashes too, a number, known or not, or a known number in a string."""
    numbers = {name: value.number for name, value in field.enum_type.values_by_name.items()}
    known = {str(number): number for number in numbers.values()}
    low, high = _INTEGER_RANGES[FieldDescriptor.TYPE_INT32]

    def read(value: Any) -> int:
        number = None
        if isinstance(value, str):
            number = numbers.get(value, known.get(value))
            if number is None:
                number = numbers.get(value.upper().replace("-", "_"))
        elif type(value) is int or (type(value) is float and value.is_integer()):
            number = int(value)
        if number is None or not low <= number <= high:
            _refuse(field, value)
        return number

    return read


_WHITE_SPACE: Final = b" \t\n\v\f\r"
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def _bytes_reader(field: FieldDescriptor) -> Reader:
    def read(value: Any) -> bytes:
        if not isinstance(value, str):
            _refuse(field, value)
        try:
            return _from_base64(value)
        except ValueError:
            _refuse(field, value, f"Base64 decoding failed for {_echo(value)}")

    return read


def _from_base64(text: str) -> bytes:
    """The bytes of base64 in either alphabet, padded or not, with or without white space; ValueError for anything else."""
    if len(text) % 4 == 0:  # what an encoder wrote; anything odd in it is found within its first line
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            pass
    data = text.encode("ascii").translate(None, _WHITE_SPACE)
    if (b"-" in data or b"_" in data) and not (b"+" in data or b"/" in data):
        data = data.translate(_STANDARD)
    bare = data.rstrip(b"=")
    padding = b"=" * (-len(bare) % 4)
    if len(data) > len(bare) and data != bare + padding:
        raise ValueError("wrong padding")
    return binascii.a2b_base64(bare + padding, strict_mode=True)


def _well_known_reader(descriptor: Descriptor) -> Reader:
    """How a type with a JSON form of its own is read; its reader answers a message."""
    full_name = descriptor.full_name
    cls = message_class(full_name)
    if full_name in _TIMES:
        return _time_reader(descriptor, "value")
    if full_name == _ANY:
        return _read_any
    if full_name in _STRUCTS:
        return lambda value: _read_struct(cls, value)
    if full_name in _WRAPPERS:
        read = _value_reader(descriptor.fields_by_name["value"], {})
        return lambda value: cls(value=read(value))

    def read_mask(value: Any) -> Any:
        if not isinstance(value, str):
            _refuse_message(descriptor, value)
        paths = [re.sub("[A-Z]", lambda match: "_" + match[0].lower(), path) for path in value.split(",") if path]
        return cls(paths=paths)

    return read_mask


def _time_reader(descriptor: Descriptor, json_name: str) -> Reader:
    """A Timestamp or Duration in its string form; refusals name the field as the client knows it."""
    cls = message_class(descriptor.full_name)
    kind = descriptor.name.lower()
    form = "timestamps must end with 'Z' or have a valid timezone offset" if kind == "timestamp" else "duration must end with 's'"

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            _refuse_message(descriptor, value, f"Field '{json_name}', Invalid data type for {kind}, value is {_echo(value)}")
        message = cls()
        try:
            message.FromJsonString(value)
        except ValueError:
            _refuse_message(descriptor, value, f"Field '{json_name}', Illegal {kind} format; {form}.")
        return message

    return read


def _read_struct(cls: type[Any], value: Any) -> Any:
    from google.protobuf import json_format

    try:
        return json_format.ParseDict(value, cls(), descriptor_pool=POOL)
    except json_format.ParseError:
        _refuse_message(cls.DESCRIPTOR, value)


def _read_any(value: Any) -> Any:
    """An Any from {"@type": …} and its message's fields, or its "value" when the message has a JSON form of its own."""
    cls = message_class(_ANY)
    if value == {}:
        return cls()
    if not isinstance(value, dict) or not isinstance(value.get("@type"), str):
        _refuse_message(cls.DESCRIPTOR, value, "Missing @type for any field.")
    members = dict(value)
    type_url = members.pop("@type")
    try:
        inner = message_class(type_url.rpartition("/")[2])
    except KeyError:
        _refuse_message(cls.DESCRIPTOR, value, f"Invalid type URL, unknown type: {_shown(type_url)}")
    plain = _reader(inner.DESCRIPTOR)(members.get("value") if inner.DESCRIPTOR.full_name in _WELL_KNOWN else members)
    message = plain if isinstance(plain, Message) else inner(**plain)
    return cls(type_url=type_url, value=message.SerializeToString(deterministic=True))
