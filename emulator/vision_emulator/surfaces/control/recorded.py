"""The answers in the journal as rules for the fixtures annotator: what was answered once is answered again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from vision_emulator.annotators import FIELDS_OF_FEATURE
from vision_emulator.contract.errors import Code
from vision_emulator.contract.json_reader import repeated_fields
from vision_emulator.contract.messages import AnnotateImageResponse, Feature
from vision_emulator.control.journal import HIDDEN

_JSON_NAMES: Final = {field.name: field.json_name for field in AnnotateImageResponse.DESCRIPTOR.fields}
_FIELDS: Final = {Feature.Type.Name(feature): [_JSON_NAMES[name] for name in fields] for feature, fields in FIELDS_OF_FEATURE.items()}
_LISTS: Final = {_JSON_NAMES[name] for name in repeated_fields(AnnotateImageResponse.DESCRIPTOR)}


def rules(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A rule file of every image that was annotated online, the latest answer of each; what was asked for and not found is said so."""
    by_match: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        for match, rule in _rules(entry):
            known = by_match.get(match)
            if known is not None and "response" in known and "response" in rule:
                rule["response"] = known["response"] | rule["response"]  # two calls asked for different features
            by_match[match] = rule
    return {"source": "the journal of vision-emulator", "rules": list(by_match.values())}


def _rules(entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    answer = entry["answer"]
    if answer is None or not entry["method"].endswith(".BatchAnnotateImages"):
        return
    for image, response in zip(entry["images"], answer.get("responses", ()), strict=False):  # a field mask may have cut the answer
        key = "sha256" if "sha256" in image else "uri"
        value = image.get(key, "")
        if not value or "*" in value or HIDDEN in value:  # none, what a rule would take for a pattern, or not what was said
            continue
        rule: dict[str, Any] = {"match": {key: value}}
        if "error" in response:
            error = response["error"]
            rule["error"] = {"code": Code(error.get("code", Code.UNKNOWN)).name, "message": error.get("message", "")}
        else:
            rule["response"] = _response(response, image["features"])
        yield (key, value), rule


def _response(response: Mapping[str, Any], features: Iterable[str]) -> dict[str, Any]:
    """The fields of the answer, and an empty one for each feature that was asked for and not answered."""
    given = {name: value for name, value in response.items() if any(name in fields for fields in _FIELDS.values())}
    for feature in features:
        fields = _FIELDS.get(feature, ())
        if fields and not any(name in given for name in fields):
            given[fields[0]] = [] if fields[0] in _LISTS else {}
    return given
