"""Landmarks that the user registered, known by where a picture was taken or by what it shows."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import BROKEN, FORMATS, PDF_MARK, Picture, Settings, SettingsError
from vision_emulator.annotators.geometry import Box, poly_within
from vision_emulator.annotators.local import points, register
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.local.points import Points
from vision_emulator.annotators.local.register import Entry
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

log = logging.getLogger(__name__)

EARTH_RADIUS: Final = 6_371_009.0  # metres, mean
METRES_A_DEGREE: Final = 111_000.0  # of latitude, at the least
RADIUS_DEFAULT: Final = 500.0  # metres
COLUMNS: Final = ("mid", "latitude", "longitude", "radius")
POINTS_MAX: Final = 1500  # SIFT's, of one image
INLIERS_MIN: Final = 15  # points that agree
INLIERS_HALF: Final = 30  # so many make half of a score
GPS: Final = 0x8825  # EXIF's tag of the table with the tags below
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE = 1, 2, 3, 4


class Place(NamedTuple):
    """A point on the globe, in degrees."""

    latitude: float
    longitude: float


class _Landmark(NamedTuple):
    """One registered landmark."""

    name: str
    mid: str
    place: Place | None
    radius: float  # metres
    images: Sequence[Points]


class Landmarks(Part):
    """Answers LANDMARK_DETECTION with the landmarks that the user registered.

    By the position in a picture's EXIF: those within whose radius it was taken, the surer the nearer; the box is the whole picture then,
    since where the camera stood does not say what is in view. By registered images: those that are seen, with their place in the picture.
    """

    name: ClassVar[str] = "landmarks"
    features = frozenset({Feature.LANDMARK_DETECTION})
    note: ClassVar[str] = "those that are registered, by the position in EXIF and by images, and no others"
    needs: ClassVar[str] = "the setting landmarks"
    settings_known: ClassVar[frozenset[str]] = frozenset({"landmarks"})

    def __init__(self, landmarks: Sequence[_Landmark]) -> None:
        self._landmarks = landmarks
        self._has_images = any(landmark.images for landmark in landmarks)

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One when there are landmarks to look for; SettingsError when a row or an image cannot be used, or OpenCV is missing."""
        if "landmarks" not in settings.table:
            return None
        entries = register.read("landmarks", settings.table["landmarks"], COLUMNS)
        if any(entry.images for entry in entries):
            points.require("landmarks by their images")
        return cls([_registered(entry) for entry in entries])

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """The landmark_annotations of the picture, each landmark once, the surest first."""
        best: dict[str, dict[str, Any]] = {}
        for annotation in (*self._seen(picture), *self._around(picture)):
            known = best.setdefault(annotation["description"], annotation)
            if annotation["score"] > known["score"]:
                best[annotation["description"]] = annotation
        ranked = sorted(best.values(), key=lambda annotation: (-annotation["score"], annotation["description"]))
        return AnnotateImageResponse(landmark_annotations=ranked)

    def _around(self, picture: Picture) -> Iterator[dict[str, Any]]:
        """Those whose surroundings the picture was taken in."""
        taken = taken_at(picture)
        if taken is None:
            return
        width, height = picture.size
        whole = Box.within((width, height), 0, 0, width - 1, height - 1).poly()
        for landmark in self._landmarks:
            if landmark.place is None or abs(landmark.place.latitude - taken.latitude) * METRES_A_DEGREE > landmark.radius:
                continue  # the usual case, at a fraction of the price
            away = metres(taken, landmark.place)
            if away <= landmark.radius:
                yield _annotation(landmark, 1 - away / landmark.radius / 2, whole)

    def _seen(self, picture: Picture) -> Iterator[dict[str, Any]]:
        """Those that are seen."""
        if not self._has_images:
            return
        scene = points.points_of(picture.pixels, "sift", POINTS_MAX)
        across, down = (mine / drawn for mine, drawn in zip(picture.size, picture.pixels.size, strict=True))  # a page is drawn larger
        for landmark in self._landmarks:
            for image in landmark.images:
                sighting = points.find(image, scene, INLIERS_MIN)
                if sighting:
                    corners = [(x * across, y * down) for x, y in sighting.corners]
                    score = sighting.inliers / (sighting.inliers + INLIERS_HALF)
                    yield _annotation(landmark, score, poly_within(picture.size, corners))


def taken_at(picture: Picture) -> Place | None:
    """Where the picture was taken, as its EXIF says; None when it says nothing that is a place."""
    from PIL import Image

    if picture.data.startswith(PDF_MARK) or not picture.known:
        return None
    try:
        with Image.open(io.BytesIO(picture.data), formats=FORMATS) as image:
            said = image.getexif().get_ifd(GPS)
        latitude = _degrees(said[LATITUDE], said.get(LATITUDE_REF, "N"), "S")
        longitude = _degrees(said[LONGITUDE], said.get(LONGITUDE_REF, "E"), "W")
    except KeyError:
        return None
    except (*BROKEN, TypeError, ZeroDivisionError) as broken:
        log.debug("%s has a position that cannot be read: %s", picture.uri or "an inline image", broken)
        return None
    return Place(latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def _degrees(parts: Sequence[Any], side: Any, negative: str) -> float:
    """Degrees of degrees, minutes and seconds; ValueError for what is no number."""
    degrees, minutes, seconds = (float(part) for part in (*parts, 0, 0)[:3])
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError(f"{parts} is no angle")
    return -value if str(side).strip("\0 ").upper() == negative else value


def metres(one: Place, other: Place) -> float:
    """The distance of two places along the globe."""
    up, across = math.radians(other.latitude - one.latitude), math.radians(other.longitude - one.longitude)
    shrinking = math.cos(math.radians(one.latitude)) * math.cos(math.radians(other.latitude))  # of degrees of longitude, off the equator
    chord = math.sin(up / 2) ** 2 + shrinking * math.sin(across / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(min(chord, 1.0)))


def _annotation(landmark: _Landmark, score: float, poly: dict[str, Any]) -> dict[str, Any]:
    annotation: dict[str, Any] = {"mid": landmark.mid, "description": landmark.name, "score": score, "bounding_poly": poly}
    if landmark.place:
        annotation["locations"] = [{"lat_lng": landmark.place._asdict()}]
    return annotation


def _registered(entry: Entry) -> _Landmark:
    """What was registered, its images looked at; SettingsError when it cannot be known by anything."""
    latitude, longitude = entry.row.get("latitude"), entry.row.get("longitude")
    radius = entry.row.get("radius", RADIUS_DEFAULT)
    if (latitude is None) != (longitude is None):
        raise SettingsError(f"{entry.place}: {entry.name} needs a latitude and a longitude, or neither")
    place = Place(latitude, longitude) if latitude is not None and longitude is not None else None
    if place and not (abs(place.latitude) <= 90 and abs(place.longitude) <= 180):  # this way round nan is refused, too
        raise SettingsError(f"{entry.place}: {place.latitude:g}, {place.longitude:g} is no place; use -90 to 90 and -180 to 180 degrees")
    if not 0 < radius < math.inf:
        raise SettingsError(f"{entry.place}: radius {radius:g} is none; use metres, such as 250")
    if place is None and not entry.images:
        raise SettingsError(f"{entry.place}: {entry.name} has neither a place nor an image {entry.name}.jpg, so nothing shows it")
    images = []
    for file in entry.images:
        picture = register.picture("landmarks", file)
        found = points.points_of(picture.pixels, "sift", POINTS_MAX)
        if len(found.places) < INLIERS_MIN:
            raise SettingsError(f"landmarks: {file}: too little is to be seen on this image to know anything by it")
        images.append(found)
        picture.let_go()
    return _Landmark(entry.name, entry.mid, place, radius, images)
