"""Answers given by the user, and the ones that ship with the emulator: rules in JSON or YAML files that match a picture.

A rule file is a list of rules, or an object with ``rules``; ``source`` (on the file or a rule) says where the values come from::

    rules:
    - match: {uri: "gs://pets/cat.jpg"}
      response: {labelAnnotations: [{mid: /m/01yrx, description: Cat, score: 0.98}]}
    - match: {uri: "gs://pets/*.jpg"}
      error: {code: INVALID_ARGUMENT, message: "Bad image data."}
    - match: {sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
      response: {faceAnnotations: []}

**What a rule matches.** All keys of ``match`` must fit. In a uri ``*`` stands for any characters, slashes included; nothing else is
special, since ``?`` and ``[`` are common in URLs. A picture sent inline has the empty uri, which only ``*`` matches.

**What a rule answers.** The features whose fields stand in ``response``, an AnnotateImageResponse as JSON; an empty list or object means
"nothing found", and is final. An ``error`` is the picture's error whichever feature is asked for.

**Which rule answers a feature.** Of the matching rules that claim it: an exact uri or sha256 before a pattern, a longer pattern before a
shorter, then the earlier one. So two rules may answer different features of one picture.

**Recorded answers.** A file that Vision wrote for an offline batch of images works as it is: each response carries its ``context.uri``.
Responses with a ``context.pageNumber`` belong to a page of a document, not to a picture: they match nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar

import orjson

from vision_emulator.annotators import FIELDS_OF_FEATURE, Annotator, Picture, Settings
from vision_emulator.contract import codec
from vision_emulator.contract.errors import Code, VisionError, given
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

SUFFIXES: Final = (".json", ".yaml", ".yml")

# A feature is claimed by any field of its answer, but image properties only by their own: crop hints merely come along with them.
CLAIMED_BY: Final = {
    feature: fields[:1] if feature == Feature.IMAGE_PROPERTIES else fields for feature, fields in FIELDS_OF_FEATURE.items()
}
ANSWER_FIELDS: Final = {name for fields in FIELDS_OF_FEATURE.values() for name in fields}
FIELD_NAMES: Final = {key: field.name for field in AnnotateImageResponse.DESCRIPTOR.fields for key in (field.name, field.json_name)}
CODES: Final = {code.value: code for code in Code if code} | {code.name: code for code in Code if code}
TYPE_NAMES: Final = {dict: "an object", list: "a list", str: "a text"}

Place = tuple[str | int, ...]  # the keys and indices that lead to something in a file
T = TypeVar("T", dict[str, Any], list[Any], str)


class FixtureError(ValueError):
    """A rule that cannot be used; the text is ``file:line: what is wrong``."""


@dataclass(slots=True)
class Rule:
    """One given answer: what it matches, and either an error or the fields it answers with."""

    uri: str = ""  # as written; empty: any
    pattern: re.Pattern[str] | None = None  # when the uri has asterisks
    sha256: str = ""  # lower-case hex; empty: any
    error: tuple[Code, str] | None = None
    fields: dict[str, bytes] = field(default_factory=dict)  # by proto name: a serialized response with this field and nothing else
    features: frozenset[int] = field(init=False)  # what it answers; an error answers every feature there is
    rank: int = field(init=False, default=0)  # its place among the rules of an annotator, best first

    def __post_init__(self) -> None:
        claimed = (feature for feature, names in CLAIMED_BY.items() if self.error or any(name in self.fields for name in names))
        self.features = frozenset(claimed)

    @property
    def exact(self) -> bool:
        """Whether it names one uri or one content."""
        return bool(self.sha256) or self.pattern is None

    def fits(self, uri: str) -> bool:
        """Whether it matches this uri."""
        return self.pattern.fullmatch(uri) is not None if self.pattern else self.uri in ("", uri)


class Fixtures(Annotator):
    """Answers what its rule files say; silent about every other picture.

    ``folders`` are read with all below them, in the order given, each in the order of its paths (a single file will do too); ``shipped``
    adds the documented answers for Google's public sample images, behind all others. FixtureError when a file cannot be used.
    """

    name: ClassVar[str] = "fixtures"
    trusted: ClassVar[bool] = True
    timed: ClassVar[bool] = False

    def __init__(self, folders: Sequence[Path] = (), shipped: bool = True) -> None:
        sources = [*folders, shipped_folder()] if shipped else folders
        rules = [rule for source in sources for file in _rule_files(source) for rule in read_rules(file)]
        self.rules: Final = sorted(rules, key=lambda rule: (not rule.exact, 0 if rule.exact else -len(rule.uri)))
        self._by_uri: dict[str, list[Rule]] = {}  # the usual case: one look-up, best first
        self._by_sha256: dict[str, list[Rule]] = {}
        self._patterns: list[Rule] = []
        for rank, rule in enumerate(self.rules):
            rule.rank = rank
            if rule.sha256:
                self._by_sha256.setdefault(rule.sha256, []).append(rule)
            elif rule.pattern:
                self._patterns.append(rule)
            else:
                self._by_uri.setdefault(rule.uri, []).append(rule)

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """A new one over the folders that the settings name."""
        return cls(settings.fixtures, settings.shipped_fixtures)

    def knows(self, uri: str) -> bool:
        """Whether a rule names exactly this uri, whatever the bytes."""
        return uri in self._by_uri

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether a rule that matches the picture answers the feature."""
        return any(feature in rule.features for rule in self._matching(picture))

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """The given fields of the features asked for; VisionError when the rule for one of them gives an error."""
        matching = self._matching(picture)
        chosen: dict[str, bytes] = {}  # by field: features share fields, and each field is answered once
        for feature in sorted((feature.type for feature in features), key=_crop_hints_last):
            for rule in matching:
                if feature in rule.features:
                    if rule.error:
                        raise given(*rule.error)
                    chosen |= {name: rule.fields[name] for name in FIELDS_OF_FEATURE[feature] if name in rule.fields}
                    break
        return AnnotateImageResponse.FromString(b"".join(chosen.values()))  # joined bytes are a merge, at half its price

    def _matching(self, picture: Picture) -> list[Rule]:
        """The rules that match, best first. The picture is hashed only when some rule asks for a hash."""
        rules = self._by_uri.get(picture.uri, [])
        if self._patterns:
            rules = rules + [rule for rule in self._patterns if rule.fits(picture.uri)]
        if self._by_sha256 and picture.known:
            hashed = [rule for rule in self._by_sha256.get(picture.sha256, []) if rule.fits(picture.uri)]
            rules = sorted(rules + hashed, key=lambda rule: rule.rank)
        return rules


def _crop_hints_last(feature: int) -> bool:
    return feature == Feature.CROP_HINTS  # its own answer replaces the one that came along with image properties


# ---- files ----


def shipped_folder() -> Path:
    """Where the answers that ship with the emulator are: inside the installed package, or at the top of a source checkout."""
    package = Path(__file__).parents[1]
    installed = package / "shipped_fixtures"
    return installed if installed.is_dir() else package.parents[1] / "fixtures"


def _rule_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise FixtureError(f"{source}: no such folder of fixtures")
    return sorted(file for file in source.rglob("*") if file.suffix in SUFFIXES and file.is_file())


def read_rules(file: Path) -> list[Rule]:
    """The rules of one file in their order; FixtureError says file, line and reason."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise FixtureError(f"{file}:1: cannot be read: {unreadable}") from unreadable
    try:
        return list(_rules(_parsed_json(text) if file.suffix == ".json" else _parsed_yaml(text)))
    except _Fault as fault:
        raise FixtureError(f"{file}:{fault.line or _line(text, fault.path)}: {fault.reason}") from None


class _Fault(Exception):
    """Something wrong at a place in a file: the keys and indices that lead there, or the line where reading stopped."""

    def __init__(self, path: Place, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.line = line


def _parsed_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as broken:
        raise _Fault((), f"broken JSON: {broken.msg}", broken.lineno) from broken


def _parsed_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Timestamps stay texts, as they are in JSON."""

    Loader.yaml_implicit_resolvers = {
        first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as broken:
        raise _Fault((), f"broken YAML: {broken.problem}", broken.problem_mark.line + 1 if broken.problem_mark else 1) from broken
    except yaml.YAMLError as broken:  # a character that YAML does not allow
        raise _Fault((), f"broken YAML: {broken}", 1) from broken


def _line(text: str, path: Place) -> int:
    """The line of the deepest part of the path that is there, in either spelling. JSON is YAML, but for tabs and control characters."""
    import yaml

    node: Any = yaml.compose("".join(char if char.isprintable() or char == "\n" else " " for char in text), yaml.SafeLoader)
    line = node.start_mark.line + 1 if node else 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if _spelling(key.value) == _spelling(str(step))), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            pair = (node.value[step], node.value[step])
        else:
            pair = None
        if pair is None:
            return line
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _spelling(key: str) -> str:
    return key.replace("_", "").lower()  # one for camelCase and snake_case


# ---- rules ----


def _rules(document: Any) -> Iterator[Rule]:
    if isinstance(document, dict) and "responses" in document:
        _only_keys(document, ("responses", "source", "inputConfig", "input_config", "totalPages", "total_pages"), ())
        yield from _recorded(_of_type(list, document["responses"], ("responses",)))
        return
    entries: Any = document
    at: Place = ()
    if isinstance(document, dict):
        _only_keys(document, ("rules", "source"), ())
        entries, at = document.get("rules"), ("rules",)
    for index, entry in enumerate(_of_type(list, entries, at)):
        yield _rule(_of_type(dict, entry, (*at, index)), (*at, index))


def _recorded(responses: list[Any]) -> Iterator[Rule]:
    """The rules of an output file: one for each picture, none for pages."""
    for index, response in enumerate(responses):
        at: Place = ("responses", index)
        context = _of_type(dict, _of_type(dict, response, at).get("context", {}), (*at, "context"))
        if "pageNumber" in context or "page_number" in context:
            continue
        if not context.get("uri"):
            raise _Fault(at, "this response has no context.uri, so nothing says which picture it answers; write a rule with a match")
        error, fields = _answer(response, at)
        if error or fields:  # an empty response does not say what was asked for
            yield Rule(uri=_of_type(str, context["uri"], (*at, "context", "uri")), error=error, fields=fields)


def _rule(entry: dict[str, Any], at: Place) -> Rule:
    _only_keys(entry, ("match", "response", "error", "source"), at)
    if ("response" in entry) == ("error" in entry):
        raise _Fault(at, "a rule needs either a response or an error")
    if "error" in entry:
        error, fields = _answer({"error": entry["error"]}, at)
    else:
        error, fields = _answer(_of_type(dict, entry["response"], (*at, "response")), (*at, "response"))
    if not error and not fields:
        raise _Fault(at, 'the rule answers no feature; for "nothing found" give its field empty, as in labelAnnotations: []')
    match = _of_type(dict, entry.get("match"), (*at, "match"))
    _only_keys(match, ("uri", "sha256"), (*at, "match"))
    if not match:
        raise _Fault(at, 'a rule needs a match with uri or sha256; uri: "*" matches every picture')
    uri = _text(match, "uri", (*at, "match"))
    if "uri" in match and not uri:
        raise _Fault((*at, "match", "uri"), 'uri is empty; "*" matches every picture, also those sent inline')
    pattern = re.compile(".*".join(map(re.escape, uri.split("*"))), re.DOTALL) if "*" in uri else None
    sha256 = _text(match, "sha256", (*at, "match")).lower()
    if "sha256" in match and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise _Fault((*at, "match", "sha256"), f"sha256 must be 64 hex digits, not {sha256!r}")
    return Rule(uri, pattern, sha256, error, fields)


def _answer(response: dict[str, Any], at: Place) -> tuple[tuple[Code, str] | None, dict[str, bytes]]:
    """What an AnnotateImageResponse as JSON answers: its error, or its fields that answer features. Its context is nobody's answer."""
    if response.get("error") is not None:
        return _error(response["error"], (*at, "error")), {}
    _known_fields(response, AnnotateImageResponse.DESCRIPTOR, at)
    try:
        fields = {FIELD_NAMES[key]: codec.from_json(AnnotateImageResponse, {key: value}) for key, value in response.items()}
    except VisionError as wrong:
        refused: Any = wrong.details[0]  # a BadRequest
        first = refused.field_violations[0]
        steps = re.findall(r"[^.\[\]]+", first.field)  # as in label_annotations[0].score
        raise _Fault((*at, *(int(step) if step.isdecimal() else step for step in steps)), first.description) from wrong
    return None, {name: part.SerializeToString() for name, part in fields.items() if name in ANSWER_FIELDS}


def _error(value: Any, at: Place) -> tuple[Code, str]:
    error = _of_type(dict, value, at)
    _only_keys(error, ("code", "message", "details"), at)
    code = error.get("code")
    if not isinstance(code, int | str) or code not in CODES:
        raise _Fault(
            (*at, "code"), f"unknown error code {code!r}, use one of {', '.join(f'{code:d} {code.name}' for code in Code if code)}"
        )
    return CODES[code], _text(error, "message", at)


# ---- shapes ----


def _of_type(expected: type[T], value: Any, at: Place) -> T:
    if not isinstance(value, expected):
        what = f'"{at[-1]}"' if at and isinstance(at[-1], str) else "this"
        raise _Fault(at, f"{what} must be {TYPE_NAMES[expected]}, not {value!r:.40}")
    return value


def _text(mapping: dict[str, Any], key: str, at: Place) -> str:
    return _of_type(str, mapping.get(key, ""), (*at, key))


def _only_keys(mapping: dict[Any, Any], allowed: Iterable[str], at: Place) -> None:
    """A fault at the first key that is not allowed, with the nearest one that is."""
    for key in mapping:
        if key not in allowed:
            import difflib

            near = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"use one of {', '.join(allowed)}"
            raise _Fault((*at, key), f'unknown key "{key}", {hint}')


def _known_fields(value: Any, message: Any, at: Place) -> None:
    """A fault at the first key, at any depth, that the message has no field for."""
    names = {key: field for field in message.fields for key in (field.name, field.json_name)}
    _only_keys(value, names, at)
    for key, inner in value.items():
        entries = enumerate(inner) if isinstance(inner, list) else [(None, inner)]
        for index, entry in entries:
            if names[key].message_type and isinstance(entry, dict):
                _known_fields(entry, names[key].message_type, (*at, key) if index is None else (*at, key, index))
