"""How the upstream's answers differ from the ones given here: counted, and the last ones kept, field by field."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from vision_emulator.annotators import Picture, SettingsError
from vision_emulator.contract import codec
from vision_emulator.contract.messages import AnnotateImageResponse, Feature

log = logging.getLogger(__name__)

KEPT_MAX: Final = 200  # images that differed, the last ones; ours
FIELDS_MAX: Final = 100  # differences of one image; ours
WAITING_MAX: Final = 64  # questions at once, with the bytes of their pictures; ours
SHOWN_CHARS_MAX: Final = 200  # of a text; ours
LOGGED_MAX: Final = 3  # differences in one line of the log
TOLERANCE: Final = 0.01  # by which two numbers may differ and count as the same; scores wander from day to day
IDENTITIES: Final = ("mid", "entityId", "url", "description", "name", "type", "label", "locale")  # what tells entries of a list apart


class FieldDifference(NamedTuple):
    """One value that is not the same; None: it is not there."""

    field: str  # as labelAnnotations[Cat].score
    here: Any
    there: Any


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """One image whose answers differ."""

    uri: str
    sha256: str
    features: tuple[str, ...]
    fields: tuple[FieldDifference, ...]


class Differences:
    """The report. Numbers within ``tolerance`` of each other are the same."""

    def __init__(self, tolerance: Any = None) -> None:
        if tolerance is None:
            tolerance = TOLERANCE
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
            raise SettingsError(f"tolerance: {tolerance!r} is no number; use 0 or more")
        self._tolerance = float(tolerance)
        self.waiting = 0
        self.reset()

    def reset(self) -> None:
        """Forgets everything but the questions that are being asked."""
        self.same = self.skipped = self.failed = self.different = 0
        self.kept: deque[ImageDifference] = deque(maxlen=KEPT_MAX)

    def begin(self) -> bool:
        """Whether one more question may be asked now; counts it when it may, and as skipped when not."""
        if self.waiting >= WAITING_MAX:
            self.skipped += 1
            return False
        self.waiting += 1
        return True

    def compare(self, picture: Picture, features: Sequence[Feature], here: AnnotateImageResponse, there: AnnotateImageResponse) -> None:
        """Notes how the two answers to one image differ."""
        fields = []
        for difference in found(codec.to_json(here), codec.to_json(there), self._tolerance):
            fields.append(difference)
            if len(fields) == FIELDS_MAX:
                break
        if not fields:
            self.same += 1
            return
        self.different += 1
        names = tuple(Feature.Type.Name(feature.type) for feature in features)
        self.kept.append(ImageDifference(picture.uri, picture.sha256 if picture.known else "", names, tuple(fields)))
        shown = "; ".join(f"{each.field} is {each.here!r}, there {each.there!r}" for each in fields[:LOGGED_MAX])
        more = f"; and {len(fields) - LOGGED_MAX} more" if len(fields) > LOGGED_MAX else ""
        log.info("upstream differs on %s: %s%s", picture.uri or "an inline image", shown, more)


def found(here: Any, there: Any, tolerance: float, place: str = "") -> Iterator[FieldDifference]:
    """Every difference between two values of JSON, depth first; entries of lists are matched by what they are called."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in dict.fromkeys((*here, *there)):
            yield from found(here.get(key), there.get(key), tolerance, f"{place}.{key}" if place else key)
    elif isinstance(here, list) and isinstance(there, list):
        ours, theirs = _named(here), _named(there)
        if ours is None or theirs is None:
            ours, theirs = dict(enumerate(here)), dict(enumerate(there))
        for name in dict.fromkeys((*ours, *theirs)):
            yield from found(ours.get(name), theirs.get(name), tolerance, f"{place}[{name}]")
    elif not _same(here, there, tolerance):
        yield FieldDifference(place, _shown(here), _shown(there))


def _same(here: Any, there: Any, tolerance: float) -> bool:
    if isinstance(here, int | float) and isinstance(there, int | float) and not isinstance(here, bool):
        return abs(here - there) <= tolerance
    return bool(here == there)


def _named(entries: Sequence[Any]) -> Mapping[Any, Any] | None:
    """The entries by name, when each has one of its own."""
    if not all(isinstance(entry, dict) for entry in entries):
        return None
    for key in IDENTITIES:
        named = {entry.get(key): entry for entry in entries if isinstance(entry.get(key), str)}
        if entries and len(named) == len(entries):
            return {_shown(name): entry for name, entry in named.items()}
    return {} if not entries else None


def _shown(value: Any) -> Any:
    """A value as the report holds it: long texts cut, whole entries by their text."""
    if isinstance(value, dict | list):
        return codec.dump_json(value).decode()[:SHOWN_CHARS_MAX]
    return value[:SHOWN_CHARS_MAX] if isinstance(value, str) else value
