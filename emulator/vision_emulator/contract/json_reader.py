"""Plain JSON values to messages, as strict and as lenient as the real service, with its texts.

Each message type is compiled on first use from its descriptor into a table from JSON key to field and reader; what the readers
answer is one plain dict, which goes to the message's constructor in one piece. A reader knows nothing of where it stands: what it
refuses rises through the readers around it, each of which adds its step to the path, so that a good request pays nothing for paths.

Known from recordings of Google's APIs: the texts and paths. From protobuf's published C++ converter, which their front end runs: what is
taken beyond the letter of proto3 JSON (a single value for a list, enum names in any case, booleans in strings, null elements).
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from vision_emulator.contract.errors import Violation, bad_request
from vision_emulator.contract.messages import POOL, TYPE_URL, message_class

M = TypeVar("M", bound=Message)
Descriptor = Any  # protobuf's own stubs name two classes of it
Field = Any  # ... and call every message_type and enum_type optional

ECHO_CHARS_MAX: Final = 100  # of a refused value shown in the refusal; the real cut-off is unknown
FAULTS_MAX: Final = 1000  # violations listed in one refusal; bounds the answer to a body full of them
_FLOAT32_LIMIT: Final = float.fromhex("0x1.ffffffp+127")  # from here on a number rounds to infinity, not to a float32

WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value" for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
STRUCTS: Final = frozenset({"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"})
TIMES: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
ANY: Final = "google.protobuf.Any"
FIELD_MASK: Final = "google.protobuf.FieldMask"
WELL_KNOWN: Final = WRAPPERS | STRUCTS | TIMES | {ANY, FIELD_MASK}  # their JSON is not an object of their fields


def repeated_fields(descriptor: Descriptor) -> set[str]:
    """The names of a message type's repeated fields, read in the one way that protobuf 5 and 7 share."""
    proto = descriptor_pb2.DescriptorProto()
    descriptor.CopyToProto(proto)
    return {field.name for field in proto.field if field.label == field.LABEL_REPEATED}


def is_map(field: Field) -> bool:
    """Whether a repeated field is a map."""
    return bool(field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry)


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


class _Refused(Exception):
    """A value that does not fit its field, with all that is wrong inside it."""

    def __init__(self, *faults: _Fault) -> None:
        super().__init__()
        self.faults = faults


class _ListStarted(Exception):
    """A list where a single value belongs; only the message around knows by which name it was sent."""


Reader = Callable[[Any], Any]  # a plain JSON value in; out, what the message's constructor takes, or _Refused, _ListStarted
_READERS: Final[dict[str, Reader]] = {}  # only whole ones get in: other threads may be reading


def from_json(cls: type[M], value: Any, path: str = "") -> M:
    """The message in a plain JSON value; ``path`` is where it stands in the whole request, in proto names.

    Keys may be camelCase or snake_case (of both, the last wins); null is absent; a single value stands for a list of one.
    Raises VisionError INVALID_ARGUMENT with every violation found, up to FAULTS_MAX.
    """
    if not path and not isinstance(value, dict | None) and cls.DESCRIPTOR.full_name not in WELL_KNOWN:
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
    return _shown(str(value).removesuffix(".0"))


def _refuse(field: Field, value: Any, reason: str = "") -> NoReturn:
    """Refuses a value of the wrong shape or range for this field; ``reason`` stands where the value would be shown."""
    if isinstance(value, list):
        raise _ListStarted
    if isinstance(value, dict):
        raise _Refused(_Fault(None, "Invalid value", f" ({field.name}), Starting an object on a scalar field"))
    raise _Refused(_Fault("", "Invalid value", f" ({_type_text(field)}), {reason or _echo(value)}"))


def _type_text(field: Field) -> str:
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
    if descriptor.full_name in WELL_KNOWN:
        compiled[descriptor.full_name] = _well_known_reader(descriptor)
        return compiled[descriptor.full_name]
    fields: dict[str, tuple[str, Reader]] = {}
    oneofs = [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            _refuse_message(descriptor, value)
        plain: dict[str, Any] = {}
        faults: list[_Fault] = []
        for key, member in value.items():
            entry = fields.get(key)
            if entry is None:
                faults.append(_unknown_name(str(key), "Cannot find field."))
                if len(faults) >= FAULTS_MAX:
                    break
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
        for oneof in oneofs:
            _first, *others = [member for member in oneof.fields if member.name in plain] or [None]
            faults += [
                _Fault("", "Invalid value", f" (oneof), oneof field '{oneof.name}' is already set. Cannot set '{other.json_name}'")
                for other in others
            ]
        if faults:
            raise _Refused(*faults[:FAULTS_MAX])
        return plain

    compiled[descriptor.full_name] = read  # before its fields: a recursive type finds itself
    repeated = repeated_fields(descriptor)
    for field in descriptor.fields:
        fields[field.name] = fields[field.json_name] = field.name, _field_reader(field, field.name in repeated, compiled)
    return read


def _refuse_message(descriptor: Descriptor, value: Any, reason: str = "") -> NoReturn:
    if isinstance(value, list):
        raise _ListStarted
    raise _Refused(_Fault("", "Invalid value", f" ({TYPE_URL}{descriptor.full_name}), {reason or _echo(value)}"))


def _field_reader(field: Field, repeated: bool, compiled: dict[str, Reader]) -> Reader:
    """The reader of a whole field: a map, a list, or one value."""
    if is_map(field):
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


def _map_reader(field: Field, compiled: dict[str, Reader]) -> Reader:
    """A map from strings; the contract has no others. The real service numbers the entries in its refusals."""
    read = _value_reader(field.message_type.fields_by_name["value"], compiled)

    def read_map(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            shown = f"Cannot bind a list to map for field '{field.name}'." if isinstance(value, list) else _echo(value)
            raise _Refused(_Fault("", "Invalid value", f" (Map), {shown}"))
        plain: dict[str, Any] = {}
        faults: list[_Fault] = []
        for index, (key, member) in enumerate(value.items()):
            if member is None or len(faults) >= FAULTS_MAX:
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


def _value_reader(field: Field, compiled: dict[str, Reader]) -> Reader:
    """The reader of one value of a field."""
    if field.type == field.TYPE_MESSAGE:
        if field.message_type.full_name in TIMES:
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


def _string_reader(field: Field) -> Reader:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            _refuse(field, value)
        return value

    return read


_TRUTH: Final = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)


def _bool_reader(field: Field) -> Reader:
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


def _integer_reader(field: Field, low: int, high: int) -> Reader:
    """A number without a fraction, or its digits in a string."""

    def read(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        number = None
        if (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _INTEGER.fullmatch(value)):
            number = int(value)
        if number is None or not low <= number <= high:
            _refuse(field, value)
        return number

    return read


_FLOAT_LIMITS: Final = {FieldDescriptor.TYPE_FLOAT: _FLOAT32_LIMIT, FieldDescriptor.TYPE_DOUBLE: math.inf}
_DECIMAL: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NO_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _float_reader(field: Field, limit: float) -> Reader:
    """A number, its digits in a string, or the name of what is no number; ``limit`` is the first that is too great."""

    def read(value: Any) -> float:
        if type(value) is float and -limit < value < limit:
            return value
        if isinstance(value, str) and value in _NO_NUMBERS:
            return _NO_NUMBERS[value]
        number: float | None = None
        if type(value) in (int, float):
            number = value
        elif isinstance(value, str) and _DECIMAL.fullmatch(value):
            number = float(value)
        if number is None or not -limit < number < limit:
            _refuse(field, value)
        return number

    return read


def _enum_reader(field: Field) -> Reader:
    """A name, in any case and with dashes too, a number, known or not, or a known number in a string."""
    numbers: dict[str, int] = {name: value.number for name, value in field.enum_type.values_by_name.items()}
    known = {str(number): number for number in numbers.values()}
    low, high = _INTEGER_RANGES[FieldDescriptor.TYPE_INT32]

    def read(value: Any) -> int:
        number: int | None = None
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


def _bytes_reader(field: Field) -> Reader:
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
    if full_name in TIMES:
        return _time_reader(descriptor, "value")
    if full_name == ANY:
        return _read_any
    if full_name in STRUCTS:
        return lambda value: _read_struct(cls, value)
    if full_name in WRAPPERS:
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
    cls = message_class(ANY)
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
    plain = _reader(inner.DESCRIPTOR)(members.get("value") if inner.DESCRIPTOR.full_name in WELL_KNOWN else members)
    message = plain if isinstance(plain, Message) else inner(**plain)
    return cls(type_url=type_url, value=message.SerializeToString(deterministic=True))
