"""An HTTP request to a message, as google.api.http binds it: the body, then the query, then the path, and the path wins.

Query values are read by the same codec as the body, so that a wrong one is refused in the same words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from vision_emulator.contract import codec, errors, limits
from vision_emulator.contract.errors import Violation
from vision_emulator.contract.methods import Match, encodable

# What a query says to the front end and not to the method; each is also known with a "$" before it. Source: discovery document,
# and the page on system parameters (userProject, apiVersion).
_SYSTEM: Final = frozenset(
    {".xgafv", "access_token", "alt", "apiVersion", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"}
    | {"uploadType", "upload_protocol", "userProject"}
)
_ALT: Final = ("json", "proto")
_CALLBACK: Final = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*", re.ASCII)
_FALSE: Final = ("false", "0")
_ONE_STRING: Final = frozenset({"FieldMask", "Timestamp", "Duration"})  # messages whose JSON is a string: a parameter can hold them
_UNKNOWN: Final = "Field '{}' could not be found in request message."
_MESSAGE: Final = "'{}' is a message type. Parameters can only be bound to primitive types."


@dataclass(frozen=True, slots=True)
class SystemParameters:
    """What a query asks of the front end."""

    alt: str = "json"  # or "proto"
    enum_numbers: bool = False  # from "$alt=json;enum-encoding=int"
    pretty_print: bool = True
    fields: str = ""  # the part of the answer to send; "" for all
    key: str = ""  # an API key
    access_token: str = ""
    user_project: str = ""  # whose quota the call uses
    callback: str = ""  # the function that JSONP calls; a JavaScript name


_NONE_GIVEN: Final = SystemParameters()


def system_parameters(query: str) -> SystemParameters:
    """The system parameters of a raw query string; of one given twice the last counts.

    VisionError INVALID_ARGUMENT for an alt or a callback that cannot be done; other values that say nothing are passed over.
    """
    if not query:
        return _NONE_GIVEN
    given = {name.removeprefix("$"): value for name, value in _pairs(query) if _is_system(name)}
    alt, *options = (given.get("alt") or "json").split(";")
    if alt not in _ALT:
        raise errors.system_parameter_unsupported("alt", alt, f"{' or '.join(_ALT)}: this API has no media to download")
    callback = given.get("callback", "")
    if callback and not (len(callback) <= limits.CALLBACK_CHARS_MAX and _CALLBACK.fullmatch(callback)):
        raise errors.system_parameter_unsupported("callback", callback, "the name of a JavaScript function")
    return SystemParameters(
        alt=alt,
        enum_numbers="enum-encoding=int" in options,
        pretty_print=given.get("prettyPrint", "true").lower() not in _FALSE,
        fields=given.get("fields", ""),
        key=given.get("key", ""),
        access_token=given.get("access_token", "") or given.get("oauth_token", ""),
        user_project=given.get("userProject", ""),
        callback=callback,
    )


def parameter(query: str, name: str) -> str:
    """One parameter of a raw query string; "" when it is not given, the last value when it is given more than once."""
    return dict(_pairs(query)).get(name, "")


def decode(match: Match, query: str, body: bytes, *, binary: bool = False) -> Message:
    """The request of match.method that an HTTP request holds; query is raw and without "?", the body JSON or a message's binary form.

    Raises VisionError INVALID_ARGUMENT in the words of the front end.
    """
    method, binding, variables = match
    wire: Any = _from_body(method.wire_request, binding.body, body, binary)
    parameters = [(name, value) for name, value in _pairs(query) if not _is_system(name)]
    if parameters:
        wire.MergeFrom(codec.from_json(method.wire_request, _plain(wire.DESCRIPTOR, parameters)))
    for path, value in variables.items():
        *parents, last = path.split(".")
        setattr(reduce(getattr, parents, wire), last, value)
    request: Message = wire if method.request is method.wire_request else method.request.FromString(wire.SerializeToString())
    return request


def _from_body(cls: type[Any], binding: str, body: bytes, binary: bool) -> Any:
    """A request as its body alone has it."""
    if binding == "*":
        return _read(cls, body, binary)
    message = cls()
    if binding:
        field = getattr(message, binding)
        field.CopyFrom(_read(type(field), body, binary, path=binding))
    elif body.strip():
        raise errors.body_not_allowed()
    return message


def _read(cls: type[Any], body: bytes, binary: bool, path: str = "") -> Any:
    """The message that a body is; ``path`` is where it stands in the request."""
    if not binary:
        return codec.from_json(cls, codec.load_json(body), path)
    try:
        return cls.FromString(body)
    except DecodeError:
        raise errors.message_malformed(cls.DESCRIPTOR.full_name) from None


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a raw query string, decoded; a value may hold a raw "="."""
    return parse_qsl(encodable(query), keep_blank_values=True) if query else []


def _is_system(name: str) -> bool:
    return name.removeprefix("$") in _SYSTEM


def _plain(request: Descriptor, parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """Query parameters as the JSON object that would say the same; VisionError with all that bind to no field."""
    values: dict[tuple[str, ...], list[str]] = {}
    violations = []
    for name, text in parameters:
        fields, reason = _resolve(request, name)
        if reason:
            violations.append(Violation("", f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. {reason}'))
        else:
            values.setdefault(tuple(field.name for field in fields), []).append(text)
    if violations:
        raise errors.bad_request(violations)
    plain: dict[str, Any] = {}
    for (*parents, last), given in values.items():
        target = plain
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = given[0] if len(given) == 1 else given  # one value stands for a list of one
    return plain


def _resolve(request: Descriptor, name: str) -> tuple[list[FieldDescriptor], str]:
    """The fields from the request down to the one a dotted name means, and "" or why it means none."""
    fields: list[FieldDescriptor] = []
    message: Descriptor | None = request
    for part in name.split("."):
        if message is None or (field := _field(message, part)) is None:
            return [], _UNKNOWN.format(name)
        fields.append(field)
        message = field.message_type if field.has_presence else None  # repeated messages have none: nothing leads into them
    inner = fields[-1].message_type
    return (fields, "") if inner is None or inner.name in _ONE_STRING else ([], _MESSAGE.format(name))


def _field(message: Descriptor, name: str) -> FieldDescriptor | None:
    """The field of this camelCase or proto name."""
    return message.fields_by_camelcase_name.get(name) or message.fields_by_name.get(name)
