"""What a set of output files must be: names without gaps, responses in order, the schema to the letter, a context in every slot.

The emulator's own sets pass, and so do recorded ones. What is wrong no real set has; what is unusual real sets do have, and consumers
trip over it. Every finding names the file and the place in its JSON.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from vision_emulator.annotators.text import SPELLING_OF_BREAK
from vision_emulator.contract import codec, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.json_reader import WELL_KNOWN, is_map, repeated_fields
from vision_emulator.contract.messages import AnnotateFileResponse, BatchAnnotateImagesResponse, message_class

NAME: Final = re.compile(r"(?P<prefix>.*)output-(?P<first>[0-9]+)-to-(?P<last>[0-9]+)\.json", re.DOTALL)
OCTETS: Final = "application/octet-stream"  # of real output files; a client of Spring takes no other
LARGE_BYTES: Final = 10_000_000  # from here on a file is large for who reads it in one piece; ours
FILE_BYTES_MAX: Final = 512_000_000  # of a file that is looked at: 100 answers of the greatest density fit; ours
FINDINGS_MAX: Final = 20  # of one kind in one file that are listed
CODES: Final = range(1, 17)  # of google.rpc.Code but OK
SHOWN_CHARS: Final = 60

Level = Literal["wrong", "unusual"]


class Finding(NamedTuple):
    """One thing about a set: the file (or the prefix of the set), where in its JSON, how bad, its kind in a word, and a sentence."""

    file: str
    path: str
    level: Level
    kind: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.path}" if self.path else self.file
        line = f"{self.level}: {place}: {self.message} [{self.kind}]"  # one, whatever stands in names and keys
        return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a set from elsewhere; None for what is not."""

    batch_size: int | None = None
    count: int | None = None  # of images or pages
    content_type: str = OCTETS


class _Range(NamedTuple):
    first: int
    last: int
    name: str

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class NoOutput(Exception):
    """There is not one output file among the objects; the text says what there is."""


@dataclass(slots=True)
class Outputs:
    """A look at output files: names first, then each file once, then all that was found."""

    expected: Expected = field(default_factory=Expected)
    files: int = 0
    responses: int = 0
    _wrong: list[Finding] = field(default_factory=list)
    _unusual: dict[tuple[str, str], tuple[Finding, int]] = field(default_factory=dict)  # by set and kind: the first of them, how many
    _forms: dict[str, tuple[str, Any]] = field(default_factory=dict)  # by set: what its first file is, and its inputConfig

    def names(self, names: Sequence[str]) -> list[str]:
        """Looks at all names under a prefix, and answers those of output files, in the order of their numbers; NoOutput."""
        sets: dict[str, list[_Range]] = {}
        for name in names:
            found = NAME.fullmatch(name)
            if found is None:
                marker = "the marker of a folder" if name.endswith(("/", "_$folder$")) else "no output file"
                self._note(name, "", "stray-object", f"is {marker}: who takes every object under the prefix trips over it", name)
                continue
            first, last = int(found["first"]), int(found["last"])
            if f"output-{first}-to-{last}.json" != name[len(found["prefix"]) :]:
                self._fault(name, "", "name", "numbers in names have no zeros in front")
            if not 1 <= first <= last:
                self._fault(name, "", "name", f"{first} to {last} is no range; it starts at 1 and does not run backwards")
                continue
            sets.setdefault(found["prefix"], []).append(_Range(first, last, name))
        if not sets:
            shown = ", ".join(sorted(names)[:3]) or "nothing at all"
            raise NoOutput(f"no file called output-A-to-B.json; there is {shown}{' and more' if len(names) > 3 else ''}")
        for prefix, ranges in sets.items():
            ranges.sort()
            self._contiguous(prefix, ranges)
            self._uniform(ranges)
            if sorted(ranges, key=lambda part: part.name) != ranges:
                by_name = sorted(part.name for part in ranges)
                late = next(after for before, after in pairwise(by_name) if _number(before) > _number(after))
                message = f"is listed behind {by_name[by_name.index(late) - 1]}: order by the numbers, not by the names"
                self._note(late, "", "listing-order", message, prefix)
        return [part.name for ranges in sets.values() for part in ranges]

    def _contiguous(self, prefix: str, ranges: Sequence[_Range]) -> None:
        following = 1
        for part in ranges:
            if part.first > following:
                self._fault(part.name, "", "gap", f"nothing holds {_span(following, part.first - 1)}")
            elif part.first < following:
                self._fault(part.name, "", "overlap", f"{_span(part.first, min(part.last, following - 1))} is in another file, too")
            following = max(following, part.last + 1)
        if self.expected.count is not None and following - 1 != self.expected.count:
            self._fault(prefix or ranges[-1].name, "", "count", f"the set ends at {following - 1}; {self.expected.count} were expected")

    def _uniform(self, ranges: Sequence[_Range]) -> None:
        size = self.expected.batch_size or ranges[0].size
        for part in ranges:
            is_last = part is ranges[-1]
            if part.size > limits.BATCH_SIZE_MAX:
                self._fault(part.name, "", "batch-size", f"holds {part.size}; a file holds {limits.BATCH_SIZE_MAX} at most")
            elif part.size > size or (part.size < size and not is_last):
                self._fault(part.name, "", "batch-size", f"holds {part.size}; all files but the last hold {size}, and none holds more")

    def look(self, name: str, data: bytes, content_type: str = "") -> None:
        """Looks into a file whose name ``names`` answered; "" for a content type that nobody knows."""
        self.files += 1
        found = NAME.fullmatch(name)
        assert found is not None
        prefix = found["prefix"]
        if content_type and content_type != self.expected.content_type:
            self._fault(name, "", "content-type", f"is {content_type}, not {self.expected.content_type}")
        if len(data) >= LARGE_BYTES:
            self._note(name, "", "large-file", f"has {len(data) / 1e6:.1f} MB", prefix)
        value = self._parsed(name, data, prefix)
        if isinstance(value, dict):
            _FileLook(self, name, prefix, int(found["first"]), int(found["last"])).look(value)
        elif value is not None:
            self._fault(name, "", "schema", f"is {_kind_of(value)}, not an object")

    def _parsed(self, name: str, data: bytes, prefix: str) -> Any:
        """The plain JSON value; None when it is none, which is said."""
        if data.startswith(b"\xef\xbb\xbf"):
            self._fault(name, "", "byte-order-mark", "starts with a byte order mark, which strict parsers refuse")
            data = data[3:]
        twice: list[str] = []

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            plain = dict(pairs)
            if len(plain) < len(pairs):
                seen: set[str] = set()
                twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            return plain

        try:
            text = data.decode()
        except UnicodeDecodeError as broken:
            self._fault(name, "", "json", f"is no UTF-8: byte {broken.start} of {len(data)}")
            return None
        try:
            value = json.loads(text, object_pairs_hook=members, parse_constant=_refused_constant)
        except json.JSONDecodeError as broken:
            cut = "" if text.rstrip().endswith("}") else "; it looks cut off"
            self._fault(name, "", "json", f"is no JSON at character {broken.pos} of {len(text)}: {broken.msg}{cut}")
            return None
        except (ValueError, RecursionError) as broken:
            self._fault(name, "", "json", f"is no JSON: {broken}")
            return None
        for key in twice[:FINDINGS_MAX]:
            self._fault(name, key, "duplicate-key", "stands twice in one object")
        if b"\n" in data:
            self._note(name, "", "not-one-line", "is not one line without a line end, as real files are", prefix)
        if value is None:
            self._fault(name, "", "schema", "is null, not an object")
        return value

    def findings(self) -> list[Finding]:
        """What is wrong, and one line for each kind of unusual thing in each set."""
        many = [
            found._replace(message=found.message + (f" (and {times - 1} more times in this set)" if times > 1 else ""))
            for found, times in self._unusual.values()
        ]
        return [*self._wrong, *many]

    def _fault(self, name: str, path: str, kind: str, message: str) -> None:
        same = sum(1 for found in self._wrong if found.file == name and found.kind == kind)
        if same < FINDINGS_MAX:
            self._wrong.append(Finding(name, path, "wrong", kind, message))
        elif same == FINDINGS_MAX:
            self._wrong.append(Finding(name, "", "wrong", kind, "and more of this kind"))

    def _note(self, name: str, path: str, kind: str, message: str, prefix: str) -> None:
        first, times = self._unusual.get((prefix, kind), (Finding(name, path, "unusual", kind, message), 0))
        self._unusual[prefix, kind] = first, times + 1

    def form(self, prefix: str, form: str, source: Any) -> tuple[str, Any]:
        """The form and inputConfig of the set's first file, which this one may be."""
        return self._forms.setdefault(prefix, (form, source))


class _FileLook:
    """A look at the JSON of one file."""

    def __init__(self, outputs: Outputs, name: str, prefix: str, first: int, last: int) -> None:
        self._outputs = outputs
        self._name = name
        self._prefix = prefix
        self._first = first
        self._last = last
        self._sound = True  # whether the schema is kept

    def look(self, value: Mapping[str, Any]) -> None:
        responses = value.get("responses", [])
        of_pages = "inputConfig" in value or "totalPages" in value or any("pageNumber" in _context(item) for item in _listed(responses))
        cls: Any = AnnotateFileResponse if of_pages else BatchAnnotateImagesResponse
        self._message(value, cls.DESCRIPTOR, "")
        form, source = self._outputs.form(self._prefix, cls.DESCRIPTOR.name, value.get("inputConfig"))
        if form != cls.DESCRIPTOR.name:
            self.wrong("", "form", f"is of the form {cls.DESCRIPTOR.name}, and other files of the set of {form}")
        elif source != value.get("inputConfig"):
            self.wrong("inputConfig", "context", "is another one than in the first file of the set")
        count, named = len(_listed(responses)), self._last - self._first + 1
        self._outputs.responses += count
        if count != named:
            self.wrong("responses", "count", f"has {count} responses, and the name promises {named}")
        uri = self._input(value) if of_pages else ""
        for index, response in enumerate(_listed(responses)):
            if isinstance(response, dict):
                self._slot(response, f"responses[{index}]", uri, self._first + index if of_pages else None)
        if not self._sound:
            return
        try:
            message = codec.from_json(cls, dict(value))
        except VisionError as refusal:  # a number that no float32 can hold, for example
            self._schema("", refusal.message)
            return
        for index, response in enumerate(message.responses):
            self._texts(response, f"responses[{index}]")

    def wrong(self, path: str, kind: str, message: str) -> None:
        self._outputs._fault(self._name, path, kind, message)  # noqa: SLF001 - one look in two classes

    def unusual(self, path: str, kind: str, message: str) -> None:
        self._outputs._note(self._name, path, kind, message, self._prefix)  # noqa: SLF001 - as above

    # ---- the slots ----

    def _input(self, value: Mapping[str, Any]) -> str:
        """The URI of the document; what is wrong about the input is said."""
        if "totalPages" in value:
            self.unusual("totalPages", "total-pages", "is in no recorded output file")
        if "error" in value:
            self.unusual("error", "error-slot", "is the whole file's, which output files hardly have")
        source = value.get("inputConfig")
        if not isinstance(source, dict):
            self.wrong("inputConfig", "context", "is missing; a file of pages says what its input was")
            return ""
        if "content" in source:
            self.wrong("inputConfig.content", "context", "has no place in an answer")
        if "mimeType" not in source:
            self.wrong("inputConfig.mimeType", "context", "is missing")
        where = source.get("gcsSource")
        uri = where.get("uri") if isinstance(where, dict) else None
        if not isinstance(uri, str):
            self.wrong("inputConfig.gcsSource.uri", "context", "is missing")
            return ""
        return uri

    def _slot(self, response: Mapping[str, Any], path: str, document: str, page: int | None) -> None:
        context = _context(response)
        uri = context.get("uri")
        if not uri:
            self.wrong(f"{path}.context.uri", "context", "is missing; every slot says whose it is, also one with an error")
        elif document and uri != document:
            self.wrong(f"{path}.context.uri", "context", f"is {_shown(uri)}, and inputConfig says {_shown(document)}")
        elif not str(uri).startswith("gs://"):
            self.unusual(f"{path}.context.uri", "uri", "is no gs:// URI, and offline batches take no others")
        number = context.get("pageNumber")
        if page is None and number is not None:
            self.wrong(f"{path}.context.pageNumber", "context", "is for pages of files; an image has none")
        elif page is not None and number != page:
            self.wrong(f"{path}.context.pageNumber", "order", f"is {number if number is not None else 'missing'}; here it must be {page}")
        if "error" in response:
            self._error(response["error"], f"{path}.error")
        elif not response.keys() - {"context"}:
            self.unusual(path, "empty-response", "has no annotation and no error: nothing was found")

    def _error(self, error: Any, path: str) -> None:
        if not error:
            self.wrong(path, "error", "is empty; a response without failure has no error at all")
        elif isinstance(error, dict):
            code, message = error.get("code"), error.get("message")
            if not isinstance(code, int) or code not in CODES:
                self.wrong(f"{path}.code", "error", f"is {_shown(code)}; it is one of 1 to 16")
            elif not message:
                self.wrong(f"{path}.message", "error", "is missing")
            else:
                self.unusual(path, "error-slot", f"is {code} {_shown(message)}: the slot keeps its place and context")

    # ---- the schema ----

    def _message(self, value: Any, descriptor: Any, path: str) -> None:
        if not isinstance(value, dict):
            self._schema(path, f"is {_kind_of(value)}, not an object")
            return
        known = _fields(descriptor)
        before = 0
        for key, member in value.items():
            where = f"{path}.{key}" if path else key
            if key not in known:
                self._schema(where, f"is unknown{_nearest(key, known)}", "unknown-key")
                continue
            item, is_list = known[key]
            if item.number < before:
                self.unusual(where, "key-order", "stands behind a field of a greater number")
            before = max(before, item.number)
            if member is None:
                self._schema(where, "is null; what is not set is left out")
            elif is_list:
                self._list(member, item, where)
            elif item.type == item.TYPE_MESSAGE:
                self._value(member, item, where)
            else:
                self._value(member, item, where)
                if _is_zero(member, item):
                    self._schema(where, f"is {_shown(member)}; zero values are left out", "zero-value")
        if len(value) < len(_CORNER) and descriptor.name in ("Vertex", "NormalizedVertex") and value.keys() < _CORNER:
            absent = " and ".join(sorted(_CORNER - value.keys()))
            self.unusual(path, "zero-coordinates", f"has no {absent}: 0 is left out, as it is in real answers")

    def _list(self, member: Any, item: Any, where: str) -> None:
        if not isinstance(member, list):
            self._schema(where, f"is {_kind_of(member)}, not a list")
            return
        if not member:
            self._schema(where, "is an empty list; such are left out", "zero-value")
        for index, element in enumerate(member):
            self._value(element, item, f"{where}[{index}]")
        if item.name in ("vertices", "normalized_vertices") and len(member) != 4:
            self.unusual(where, "vertices", f"has {len(member)} corners, not four")

    def _value(self, value: Any, item: Any, where: str) -> None:
        if item.type == item.TYPE_MESSAGE and item.message_type.full_name not in WELL_KNOWN:
            self._message(value, item.message_type, where)
        elif item.type == item.TYPE_MESSAGE:
            try:
                codec.from_json(message_class(item.message_type.full_name), value)
            except VisionError:
                self._schema(where, f"is {_shown(value)}, no {item.message_type.name}")
        elif item.type == item.TYPE_ENUM:
            self._enum(value, item, where)
        else:
            said, fits = _SCALARS[item.type]
            if not fits(value):
                self._schema(where, f"is {_kind_of(value)}, not {said}")
            elif item.type == item.TYPE_STRING:
                self._string(value, where)

    def _enum(self, value: Any, item: Any, where: str) -> None:
        names = list(item.enum_type.values_by_name)
        if isinstance(value, int) and not isinstance(value, bool):
            name = item.enum_type.values_by_number.get(value)
            self._schema(where, f"is the number {value}; output files have names{f', here {name.name}' if name else ''}", "enum")
        elif not isinstance(value, str):
            self._schema(where, f"is {_kind_of(value)}, not the name of a {item.enum_type.name}")
        elif value not in names:
            self._schema(where, f"is {_shown(value)}, no {item.enum_type.name}{_nearest(value, names)}", "enum")

    def _schema(self, path: str, message: str, kind: str = "schema") -> None:
        self._sound = False
        self.wrong(path, kind, message)

    def _string(self, value: str, where: str) -> None:
        if value.isascii():
            return
        if any("\ud800" <= character <= "\udfff" for character in value):
            self._schema(where, "has half of a surrogate pair")
            return
        kinds = {}
        if max(value) > "\uffff":
            kinds["beyond-bmp"] = "has characters that UTF-16 counts as two, such as emoji"
        if any(unicodedata.bidirectional(character) in ("R", "AL") for character in value):
            kinds["right-to-left"] = "has text that is written from right to left, in the order in which it is read"
        if any(unicodedata.combining(character) for character in value):
            kinds["combining"] = "has characters that a reader sees as one with the one before"
        for kind, message in kinds.items():
            self.unusual(where, kind, message)

    # ---- the content ----

    def _texts(self, response: Any, path: str) -> None:
        full = response.full_text_annotation
        spelled = _spelled(full)
        if full.pages and spelled is not None and spelled != full.text:
            self.wrong(f"{path}.fullTextAnnotation.text", "text", "is not what the symbols and breaks of its pages spell")
        if response.text_annotations and full.text and response.text_annotations[0].description != full.text:
            self.wrong(f"{path}.textAnnotations[0].description", "text", "is not fullTextAnnotation.text")
        if response.context.page_number and response.text_annotations:
            self.unusual(f"{path}.textAnnotations", "form", "is in no recorded file of pages; these have fullTextAnnotation alone")


_CORNER: Final = frozenset({"x", "y"})


def _fields(descriptor: Any) -> Mapping[str, tuple[Any, bool]]:
    """The fields of a message by their names in JSON, and whether each is a list."""
    name: str = descriptor.full_name
    if name not in _TABLES:
        repeated = repeated_fields(descriptor)
        _TABLES[name] = {item.json_name: (item, item.name in repeated and not is_map(item)) for item in descriptor.fields}
    return _TABLES[name]


_TABLES: Final[dict[str, Mapping[str, tuple[Any, bool]]]] = {}  # one for each type of message


def _number(name: str) -> tuple[int, int]:
    found = NAME.fullmatch(name)
    assert found is not None
    return int(found["first"]), int(found["last"])


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _context(response: Any) -> Mapping[str, Any]:
    context = response.get("context") if isinstance(response, dict) else None
    return context if isinstance(context, dict) else {}


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def _nearest(word: str, known: Any) -> str:
    camel = re.sub("_([a-z])", lambda match: match[1].upper(), word)
    near = [camel] if camel in known else get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return f"{'true or false' if isinstance(value, bool) else 'a text' if isinstance(value, str) else 'a number'} ({_shown(value)})"


def _is_zero(value: Any, item: Any) -> bool:
    if item.type == item.TYPE_ENUM:
        return bool(item.enum_type.values_by_number[0].name == value)
    return value in (0, "", "0", False) and not item.has_presence if item.type != item.TYPE_STRING else value == ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _digits(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch("-?[0-9]{1,20}", value) is not None and least <= int(value) <= most


_SCALARS: Final[dict[int, tuple[str, Callable[[Any], bool]]]] = {
    FieldDescriptor.TYPE_STRING: ("a text", lambda value: isinstance(value, str)),
    FieldDescriptor.TYPE_BYTES: ("base64", lambda value: isinstance(value, str)),
    FieldDescriptor.TYPE_BOOL: ("true or false", lambda value: isinstance(value, bool)),
    FieldDescriptor.TYPE_FLOAT: ("a number", _is_number),
    FieldDescriptor.TYPE_DOUBLE: ("a number", _is_number),
    FieldDescriptor.TYPE_INT32: ("a whole number", _whole(-(2**31), 2**31 - 1)),
    FieldDescriptor.TYPE_UINT32: ("a whole number", _whole(0, 2**32 - 1)),
    FieldDescriptor.TYPE_INT64: ("digits in quotes", _digits(-(2**63), 2**63 - 1)),
    FieldDescriptor.TYPE_UINT64: ("digits in quotes", _digits(0, 2**64 - 1)),
}


def _refused_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _spelled(full: Any) -> str | None:
    """What the symbols and breaks of the pages spell; None where a break is of a kind whose spelling is not known."""
    return None if any(part is None for part in _spelling(full)) else "".join(part or "" for part in _spelling(full))


def _spelling(full: Any) -> Iterator[str | None]:
    for page in full.pages:
        for block in page.blocks:
            for paragraph in block.paragraphs:
                for word in paragraph.words:
                    for symbol in word.symbols:
                        after = symbol.property.detected_break
                        yield symbol.text
                        if after.type:
                            yield None if after.is_prefix else SPELLING_OF_BREAK.get(after.type)
