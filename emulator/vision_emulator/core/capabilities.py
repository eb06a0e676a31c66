"""The ledger: what of the API is answered as the real service answers it, what is made up, and what is not answered at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from vision_emulator.contract.messages import V1, Feature
from vision_emulator.contract.methods import LONGRUNNING, METHODS, Method
from vision_emulator.core.service import Vision

Level = Literal["exact", "computed", "synthetic", "not emulated"]
LEVELS: Final[dict[Level, str]] = {
    "exact": "as the real service: requests, limits, errors and shapes of answers",
    "computed": "what is really on the picture, as well as this machine can tell; no invention, and not the real service's answer",
    "synthetic": "the real shape with content of our own, unless a fixture gives it",
    "not emulated": "refused or passed over, as the note says",
}


class Capability(NamedTuple):
    """One line of the ledger."""

    kind: Literal["method", "feature", "front end"]
    name: str
    level: Level
    note: str = ""


_METHOD_NOTES: Final = {
    "BatchAnnotateFiles": "PDF, TIFF and GIF",
    "AsyncBatchAnnotateFiles": "PDF, TIFF and GIF",
    "WaitOperation": "over REST as well, where the real service has none",
}
_INVENTED: Final = "invented from the picture's bytes and the seed"
_INVENTED_OTHERWISE: Final[dict[int, str]] = {Feature.PRODUCT_SEARCH: f"{_INVENTED}; product sets hold nothing"}
_INVENTOR: Final = "synthetic"  # the annotator that answers what nobody computes
_EMPTY: Final = "stays empty unless a fixture gives it"
_FRONT_END: Final = (
    Capability("front end", "versions v1 and v1p1beta1 … v1p4beta1, REST and gRPC", "exact"),
    Capability(
        "front end", "images inline, from storage and behind http(s) URLs", "exact", "URLs are fetched only where --allow-url says so"
    ),
    Capability("front end", "JSON of requests and answers, its refusals, prettyPrint, enum-encoding=int", "exact"),
    Capability("front end", "partial answers: fields, X-Goog-FieldMask", "exact"),
    Capability("front end", "alt=json, alt=proto, binary requests, callback", "exact"),
    Capability("front end", "alt=media", "not emulated", "refused: no method downloads anything"),
    Capability("front end", "discovery documents", "exact", "without prose"),
    Capability("front end", "/batch: many calls in one request", "exact", "at most 100"),
    Capability("front end", "CORS, gzip, X-HTTP-Method-Override", "exact"),
    Capability("front end", "credentials and quotas", "synthetic", "off unless --auth required or --quota say otherwise"),
    Capability("front end", "recognition of celebrities (v1p4beta1)", "not emulated", "its parameters are passed over"),
)


def ledger(vision: Vision) -> Iterator[Capability]:
    """Every method of v1 and of operations, every feature, and the parts of the front end."""
    for method in METHODS.values():
        if method.package in (V1, LONGRUNNING):
            yield _of_method(method, vision)
    for number, name in sorted((number, name) for name, number in Feature.Type.items() if number):
        yield Capability("feature", name, *_of_feature(number, vision))
    yield from _FRONT_END


def _of_method(method: Method, vision: Vision) -> Capability:
    name = f"{method.service}.{method.name}"
    if not vision.emulates(method):
        return Capability("method", name, "not emulated", "answers UNIMPLEMENTED")
    return Capability("method", name, "exact", _METHOD_NOTES.get(method.name, ""))


def _of_feature(number: int, vision: Vision) -> tuple[Level, str]:
    """What this server's annotators say of the feature, in their order, until one answers it for every picture."""
    notes = []
    for annotator in vision.annotators:
        account = annotator.ledger().get(number)
        if account is not None:
            notes.append(account.note)
            if account.whole:
                return "computed", "; ".join(notes)
        elif annotator.name == _INVENTOR:
            return "synthetic", "; otherwise ".join([*notes, _INVENTED_OTHERWISE.get(number, _INVENTED)])
    return ("computed" if notes else "not emulated"), "; otherwise ".join([*notes, _EMPTY])


def as_markdown(capabilities: Iterable[Capability]) -> str:
    """The ledger as a table for the README; methods of one service, and features, that have the same to say share a line."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for kind, name, level, note in capabilities:
        group, _, member = name.partition(".") if kind == "method" else ("Features", "", name) if kind == "feature" else (name, "", "")
        rows.setdefault((group, level, note), []).append(f"`{member}`" if member else "")
    lines = [f"| {': '.join(filter(None, (group, ', '.join(names))))} | {level} | {note} |" for (group, level, note), names in rows.items()]
    return "\n".join(["| What | How | |", "|---|---|---|", *lines]) + "\n"
