"""Partial answers: what ``fields`` in a query and ``X-Goog-FieldMask`` leave of a message.

Two ways to write one thing: ``responses(labelAnnotations(description,score))`` and ``responses.labelAnnotations.description``; a
slash says the same as a dot, ``*`` is every field of its level. Names are those of the JSON or of the proto. Source: Google's page
on system parameters, and on partial responses of its JSON APIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message

from vision_emulator.contract import errors, limits
from vision_emulator.contract.json_reader import ANY, WELL_KNOWN, Descriptor, Field
from vision_emulator.contract.messages import message_class

M = TypeVar("M", bound=Message)
Path = tuple[str, ...]

_TOKEN: Final = re.compile(r"\s*([*]|\w+|[(),/.])\s*", re.ASCII)
_SYMBOLS: Final = "(),/."


class FieldMask:
    """A selector read for one type of message."""

    def __init__(self, selector: str, cls: type[Message]) -> None:
        """VisionError INVALID_ARGUMENT for a selector that cannot be read, or that names a field the type does not have.

        What is inside an Any is only known from the answer itself, so a name that is not found there selects nothing.
        """
        self._paths = _parse(selector)
        for path in self._paths:
            if not _leads_somewhere(cls.DESCRIPTOR, path):
                raise errors.field_mask_unknown(selector, ".".join(path))

    def masked(self, message: M) -> M:
        """A copy of the message that holds only what the selector names; the message itself when that is everything."""
        if ("*",) in self._paths:
            return message
        copy = type(message)()
        copy.CopyFrom(message)
        _prune(copy, self._paths)
        return copy


def _parse(selector: str) -> list[Path]:
    """The paths of a selector: ``a(b,c/d)`` is (a, b) and (a, c, d). No recursion: callers nest as deep as a URL is long."""
    paths: list[Path] = []
    opened: list[Path] = []  # what stands before each open parenthesis
    path: Path = ()  # () behind a closing parenthesis, where nothing may be added
    wants_name, at = True, 0
    for word, at in _tokens(selector):
        if wants_name == (word in _SYMBOLS) or (not wants_name and not path and word not in ",)"):
            raise errors.field_mask_malformed(selector, at)
        if wants_name:
            path = (*path, word)
        elif word in ",)":
            if path:
                paths.append(path)
            if word == ")" and not opened:
                raise errors.field_mask_malformed(selector, at)
            path = opened[-1] if opened else ()
            if word == ")":
                opened.pop()
                path = ()
        elif word == "(":
            opened.append(path)
        wants_name = not wants_name and word != ")"
        if len(path) > limits.FIELD_MASK_DEPTH_MAX or len(paths) > limits.FIELD_MASK_PATHS_MAX:
            raise errors.field_mask_malformed(selector, at)
    if opened or wants_name:
        raise errors.field_mask_malformed(selector, len(selector))
    return [*paths, path] if path else paths


def _tokens(selector: str) -> Iterator[tuple[str, int]]:
    """Names and symbols, and where each begins."""
    at = 0
    while at < len(selector):
        found = _TOKEN.match(selector, at)
        if found is None:
            raise errors.field_mask_malformed(selector, at)
        yield found[1], found.start(1)
        at = found.end()


def _leads_somewhere(descriptor: Descriptor, path: Path) -> bool:
    """Whether a path names at least one field of a message type."""
    if not path or descriptor.full_name == ANY:
        return True
    if descriptor.full_name in WELL_KNOWN:  # its JSON is one value
        return False
    name, *below = path
    fields = [field for field in descriptor.fields if name in _names(field)]
    return any(not below or (field.message_type is not None and _leads_somewhere(field.message_type, tuple(below))) for field in fields)


def _names(field: Field) -> tuple[str, ...]:
    return field.json_name, field.name, "*"


def _prune(message: Any, paths: list[Path]) -> None:
    """Clears every field of the message that no path leads to or through."""
    if message.DESCRIPTOR.full_name == ANY:
        _prune_any(message, paths)
        return
    for field, value in message.ListFields():
        below = [path[1:] for path in paths if path[0] in _names(field)]
        if not below or (field.message_type is None and () not in below):
            message.ClearField(field.name)
        elif () not in below:
            for element in (value,) if isinstance(value, Message) else value:
                _prune(element, below)


def _prune_any(wrapped: Any, paths: list[Path]) -> None:
    """The same inside an Any, whose type URL stays; what cannot be read is left as it is."""
    try:
        inside = message_class(wrapped.type_url.rpartition("/")[2]).FromString(wrapped.value)
    except (KeyError, DecodeError):
        return
    _prune(inside, paths)
    wrapped.value = inside.SerializeToString()
