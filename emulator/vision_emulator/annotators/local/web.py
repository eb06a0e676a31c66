"""Where a picture is found: in the server's own buckets, the only web there is without a network."""

from __future__ import annotations

import asyncio
import logging
import posixpath
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Held, Library, Picture, Settings, SettingsError
from vision_emulator.annotators.likeness import HASH_BITS, Gallery, Look, Match, look_of
from vision_emulator.annotators.local import points
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.local.points import Points
from vision_emulator.contract import limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

log = logging.getLogger(__name__)

OBJECTS_MAX: Final = 20_000  # of all buckets, in the order of their URIs; those behind are not compared
POINTS_BYTES_MAX: Final = 32 * 1024 * 1024  # of all pictures' distinctive points; those behind are compared as a whole only
POINTS_MAX: Final = 400  # of one picture: 16 KB, compared in about a millisecond
READ_AT_ONCE: Final = 4  # pictures of at most 20 MB
SAME_BITS_MAX: Final = 8  # of the perceptual hash; unrelated pictures differ in 20 or more
SIMILAR_BITS_MAX: Final = 18
COLOURS_APART_MAX: Final = 12.0  # of 255; a copy compressed at quality 20 is 4 away, one brightened by a fifth 35
INLIERS_MIN: Final = 15  # points that agree; unrelated pictures have up to 14
INLIERS_HALF: Final = 30  # so many make half of a score
LISTED_MAX: Final = 100  # of each kind; max_results cuts further

LABEL_KEYS: Final = ("label", "description")  # of an object's metadata
MID_KEY: Final = "mid"


class _Known(NamedTuple):
    """A stored object that was looked at; not a picture when it has no hash."""

    held: Held
    sha256: str = ""
    points: Points | None = None


class Found(NamedTuple):
    """A stored picture that has to do with the one asked about."""

    held: Held
    score: float  # from 0 to 1


class Matches(NamedTuple):
    """All of them, each in one list, the best first."""

    full: list[Found]  # copies, resized and compressed ones among them
    partial: list[Found]  # cuttings, and pictures that show a part of the same
    similar: list[Found]  # look-alikes: other colours, other light, mirror images


class Buckets:
    """What lies in the buckets, ready to be compared. It learns of changes when it is refreshed; nothing is looked at twice."""

    def __init__(self, library: Library, threads: Executor | None, *, with_points: bool) -> None:
        self._library = library
        self._threads = threads
        self._with_points = with_points
        self._known: dict[str, _Known] = {}  # by uri
        self._gallery = Gallery()
        self._points_bytes = 0
        self._is_full = False  # which is said once
        self._lock = asyncio.Lock()
        self._begun = 0  # listings
        self._finished = 0  # the number of the last one that came to its end

    async def refresh(self) -> None:
        """Returns when all is known that was in the buckets when this was called. Calls at once share a listing."""
        begun = self._begun
        async with self._lock:
            if self._finished > begun:  # somebody else's began later than this call
                return
            self._begun += 1
            number = self._begun
            await self._learn([held async for held in self._pictures()])
            self._finished = number

    async def _pictures(self) -> AsyncIterator[Held]:
        """Every object, whatever its type: the official clients call what is uploaded without one text/plain."""
        count = 0
        async for held in self._library.held():
            if count == OBJECTS_MAX:
                if not self._is_full:
                    log.warning("the buckets hold more than %d objects; those from %s on are not compared", OBJECTS_MAX, held.uri)
                self._is_full = True
                return
            count += 1
            yield held

    async def _learn(self, present: Sequence[Held]) -> None:
        for uri in self._known.keys() - {held.uri for held in present}:
            self._forget(uri)
        changed = (held for held in present if held.uri not in self._known or self._known[held.uri].held.revision != held.revision)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(READ_AT_ONCE):
                tasks.create_task(self._look_at(changed))

    async def _look_at(self, waiting: Iterator[Held]) -> None:
        for held in waiting:
            data = await self._library.read(held.uri, limits.IMAGE_BYTES_MAX)
            if data is not None:
                looked = await asyncio.get_running_loop().run_in_executor(self._threads, self._looked, held, data)
                self._forget(held.uri)
                self._keep(*looked)

    def _looked(self, held: Held, data: bytes) -> tuple[_Known, Look | None]:
        """What is to be known of an object; nothing but its revision when it is no picture."""
        picture = Picture(data, held.uri)
        try:
            look = look_of(picture)
            found = None
            if self._with_points and self._points_bytes < POINTS_BYTES_MAX:
                found = points.points_of(picture.pixels, "orb", POINTS_MAX)
        except VisionError as broken:
            log.debug("%s is no picture to compare with: %s", held.uri, broken.message)
            return _Known(held), None
        except Exception:  # a stored picture that trips a library is no error of the one asked about
            log.warning("%s is left out of web detection", held.uri, exc_info=True)
            return _Known(held), None
        return _Known(held, picture.sha256, found), look

    def _keep(self, known: _Known, look: Look | None) -> None:
        self._known[known.held.uri] = known
        if look:
            self._gallery.put(known.held.uri, look)
        if known.points:
            self._points_bytes += known.points.bytes

    def _forget(self, uri: str) -> None:
        known = self._known.pop(uri, None)
        self._gallery.remove(uri)
        if known and known.points:
            self._points_bytes -= known.points.bytes

    def compare(self, picture: Picture) -> Matches:
        """The stored pictures that have to do with this one. CPU work, in a thread, while others may learn."""
        known = self._known.copy()
        near = self._gallery.nearest(look_of(picture), SIMILAR_BITS_MAX, LISTED_MAX)
        full = {uri: 1.0 for uri, one in known.items() if one.sha256 == picture.sha256}
        full |= {match.key: _likeness(match) for match in near if _is_same(match) and match.key not in full}
        partial: dict[str, float] = {}
        if self._with_points:
            mine = points.points_of(picture.pixels, "orb", POINTS_MAX)
            for uri, one in known.items():
                sighting = points.find(one.points, mine, INLIERS_MIN) if one.points and uri not in full else None
                if sighting:
                    partial[uri] = sighting.inliers / (sighting.inliers + INLIERS_HALF)
        similar = {match.key: _likeness(match) for match in near if match.key not in full and match.key not in partial}
        return Matches(*(_ranked(known, scores) for scores in (full, partial, similar)))


class Web(Part):
    """Answers WEB_DETECTION by what really lies in the server's buckets: copies, cuttings and look-alikes of the picture.

    Entities and the best guess are what owners say of copies and cuttings in their metadata; failing that, the guess is the object's
    name. Pages there are none. The object asked about is not listed as a find.
    """

    name: ClassVar[str] = "web"
    features = frozenset({Feature.WEB_DETECTION})
    note: ClassVar[str] = "copies, cuttings and look-alikes that lie in the server's own buckets"
    needs: ClassVar[str] = "the setting web = true"
    settings_known: ClassVar[frozenset[str]] = frozenset({"web"})
    remembered = False  # buckets change

    def __init__(self, library: Library, threads: Executor | None, *, with_points: bool) -> None:
        self._library = library
        self._buckets = Buckets(library, threads, with_points=with_points)

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One when the user asked for it; SettingsError when the buckets cannot be listed."""
        wanted = settings.table.get("web", False)
        if not isinstance(wanted, bool):
            raise SettingsError(f"web is true or false, not {wanted!r}")
        if not wanted:
            return None
        if settings.library is None:
            raise SettingsError("web looks for pictures in the built-in buckets, and these are somewhere else; leave out --storage or web")
        with_points = points.is_installed()
        if not with_points:
            log.info("web finds copies and look-alikes; to find cuttings too: pip install 'vision-emulator[cv]'")
        return cls(settings.library, settings.threads, with_points=with_points)

    async def prepare(self) -> None:
        """Learns what has changed in the buckets."""
        await self._buckets.refresh()

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """The web_detection of the picture."""
        found = self._buckets.compare(picture)
        named = [*found.full, *found.partial]
        detection: dict[str, Any] = {"web_entities": _entities(named), "best_guess_labels": _best_guess(named)}
        kinds = ("full_matching_images", "partial_matching_images", "visually_similar_images")
        for kind, matches in zip(kinds, found, strict=True):
            detection[kind] = [{"url": self._library.url(match.held.uri)} for match in matches if match.held.uri != picture.uri]
        return AnnotateImageResponse(web_detection=detection)


def _is_same(match: Match) -> bool:
    return match.distance <= SAME_BITS_MAX and not match.is_mirrored and match.colours_apart <= COLOURS_APART_MAX


def _likeness(match: Match) -> float:
    return (HASH_BITS - 1 - match.distance) / HASH_BITS  # below that of the very same bytes


def _ranked(known: Mapping[str, _Known], scores: Mapping[str, float]) -> list[Found]:
    """The best first, those of one score by their URIs; what went away meanwhile is left out."""
    ranked = sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
    return [Found(known[uri].held, score) for uri, score in ranked if uri in known][:LISTED_MAX]


def _entities(found: Iterable[Found]) -> list[dict[str, Any]]:
    """What the owners say is to be seen, each thing once with its best score."""
    entities: dict[str, dict[str, Any]] = {}
    for held, score in found:
        said = _said(held)
        if said:
            entities.setdefault(said, {"entity_id": held.metadata.get(MID_KEY, ""), "description": said, "score": score})
    return list(entities.values())


def _best_guess(found: Sequence[Found]) -> list[dict[str, Any]]:
    """What the best match is said to be; failing all that, its file's name in words."""
    said = [_said(held) for held, _ in found] + [_name_in_words(held.uri) for held, _ in found]
    return [{"label": label.lower()} for label in said if label][:1]


def _said(held: Held) -> str:
    return next((held.metadata[key].strip() for key in LABEL_KEYS if held.metadata.get(key, "").strip()), "")


def _name_in_words(uri: str) -> str:
    stem = posixpath.splitext(posixpath.basename(uri))[0]
    return " ".join(word for word in re.split(r"[\W_]+", stem) if re.search(r"[^\W\d_]", word))
