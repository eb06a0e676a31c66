"""Logos that the user registered, found in pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.geometry import poly_within
from vision_emulator.annotators.local import points, register
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.local.points import Corners, Points
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    Pixels = npt.NDArray[np.uint8]

LOGO_POINTS_MAX: Final = 500  # SIFT's, of one registered image
SCENE_POINTS_MAX: Final = 3000
INLIERS_MIN: Final = 12  # points that agree; other logos have up to 6
INLIERS_HALF: Final = 12  # so many make half of a score
INSTANCES_MAX: Final = 10  # of one logo in one picture
FLAT_POINTS_MAX: Final = 60  # a logo with fewer is also looked for as a whole: too little of it is distinctive
TEMPLATE_SIDE: Final = 48  # longest side of a flat logo when it is looked for as a whole
SCENE_SIDES: Final = tuple(round(48 * 1.15**step) for step in range(18, -1, -1))  # longest side of the scene then: 594 … 48
CORRELATION_MIN: Final = 0.75  # of a flat logo with its place, in lightness and in colour; unrelated places have up to 0.66
CONTRAST_MIN: Final = 8.0  # standard deviation of an image's lightness; below it there is nothing to be found


class _Logo(NamedTuple):
    """One registered image."""

    name: str
    mid: str
    points: Points
    template: Pixels | None  # of a flat logo: RGB, longest side TEMPLATE_SIDE


class _Found(NamedTuple):
    logo: _Logo
    score: float
    corners: Corners  # in the scene's pixels


class Logos(Part):
    """Answers LOGO_DETECTION with the logos whose images the user registered, wherever they are seen, turned and tilted as they may be."""

    name: ClassVar[str] = "logos"
    features = frozenset({Feature.LOGO_DETECTION})
    note: ClassVar[str] = "those whose images are registered, and no others"
    needs: ClassVar[str] = "the setting logos"
    settings_known: ClassVar[frozenset[str]] = frozenset({"logos"})

    def __init__(self, logos: Sequence[_Logo]) -> None:
        self._logos = logos

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One when there are logos to look for; SettingsError when an image cannot be used, or OpenCV is missing."""
        if "logos" not in settings.table:
            return None
        points.require("logos")
        logos: list[_Logo] = []
        for entry in register.read("logos", settings.table["logos"], ("mid",)):
            if not entry.images:
                raise SettingsError(f"{entry.place}: there is no image of {entry.name}; put in {entry.name}.png or {entry.name}/1.png")
            logos += (_registered(entry.name, entry.mid, register.picture("logos", file)) for file in entry.images)
        return cls(logos)

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """The logo_annotations of the picture, the surest first."""
        found = sorted(self._found(picture.pixels), key=lambda one: (-one.score, one.logo.name, one.corners))
        across, down = (mine / drawn for mine, drawn in zip(picture.size, picture.pixels.size, strict=True))  # a page is drawn larger
        annotations = [
            {
                "mid": one.logo.mid,
                "description": one.logo.name,
                "score": one.score,
                "bounding_poly": poly_within(picture.size, [(x * across, y * down) for x, y in one.corners]),
            }
            for one in found
        ]
        return AnnotateImageResponse(logo_annotations=annotations)

    def _found(self, image: PIL.Image.Image) -> Iterator[_Found]:
        scene = points.points_of(image, "sift", SCENE_POINTS_MAX)
        seen: set[str] = set()
        left = dict.fromkeys((logo.name for logo in self._logos), scene)  # several images of one logo find each place once
        for logo in self._logos:
            for _ in range(INSTANCES_MAX):
                sighting = points.find(logo.points, left[logo.name], INLIERS_MIN)
                if sighting is None:
                    break
                left[logo.name] = points.without(left[logo.name], sighting.corners)
                seen.add(logo.name)
                yield _Found(logo, sighting.inliers / (sighting.inliers + INLIERS_HALF), sighting.corners)
        flat = [logo for logo in self._logos if logo.template is not None and logo.name not in seen]
        if flat:
            scales = list(_scaled(image))
            best: dict[str, _Found] = {}
            for logo in flat:
                found = _as_a_whole(logo, scales, image.size)
                if found and (logo.name not in best or found.score > best[logo.name].score):
                    best[logo.name] = found
            yield from best.values()


def _registered(name: str, mid: str, picture: Picture) -> _Logo:
    """A reference image, ready to be looked for; SettingsError when there is nothing to be seen on it."""
    import numpy as np
    from PIL import Image

    image = picture.pixels
    shrunk = image.copy()
    shrunk.thumbnail((TEMPLATE_SIDE, TEMPLATE_SIDE), Image.Resampling.BOX)
    if np.asarray(shrunk.convert("L")).std() < CONTRAST_MIN:
        raise SettingsError(f"logos: {picture.uri}: nothing is to be seen on this image, so nothing like it could be found")
    found = points.points_of(image, "sift", LOGO_POINTS_MAX)
    picture.let_go()
    return _Logo(name, mid, found, np.asarray(shrunk) if len(found.places) < FLAT_POINTS_MAX else None)


def _scaled(image: PIL.Image.Image) -> Iterator[Pixels]:
    """The scene in RGB, smaller and smaller."""
    import numpy as np

    for side in SCENE_SIDES:
        if side <= max(image.size):
            smaller = image.copy()
            smaller.thumbnail((side, side), reducing_gap=2)
            yield np.asarray(smaller)
            image = smaller


def _as_a_whole(logo: _Logo, scales: Sequence[Pixels], size: tuple[int, int]) -> _Found | None:
    """Where a flat logo lies upright in a scene, at its best size; None when no place is like it."""
    import cv2
    import numpy as np

    assert logo.template is not None
    height, width = logo.template.shape[:2]
    grey = cv2.cvtColor(logo.template, cv2.COLOR_RGB2GRAY)
    best: _Found | None = None
    for scene in scales:
        if scene.shape[0] < height or scene.shape[1] < width:
            continue
        likeness = cv2.matchTemplate(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), grey, cv2.TM_CCOEFF_NORMED)
        _, score, _, (left, top) = cv2.minMaxLoc(np.nan_to_num(likeness, posinf=0, neginf=0))  # a plain place is like nothing
        if score < CORRELATION_MIN or (best and score <= best.score):
            continue
        place = scene[top : top + height, left : left + width]
        in_colour = cv2.matchTemplate(place, logo.template, cv2.TM_CCOEFF_NORMED)[0, 0]
        if in_colour >= CORRELATION_MIN and cv2.cvtColor(place, cv2.COLOR_RGB2GRAY).std() >= CONTRAST_MIN:
            across, down = size[0] / scene.shape[1], size[1] / scene.shape[0]
            right, bottom = left + width, top + height
            corners = [(x * across, y * down) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
            best = _Found(logo, float(min(score, in_colour, 1.0)), (corners[0], corners[1], corners[2], corners[3]))
    return best
