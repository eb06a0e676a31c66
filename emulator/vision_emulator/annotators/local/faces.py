"""Real faces: where they are, by the cascades that OpenCV 4 brings along or a model that the user supplies.

What neither can tell stays unsaid: emotions and headwear are UNKNOWN, and so are most landmarks.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract import limits
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    Grey = npt.NDArray[np.uint8]

SIDE_MAX: Final = 640  # pixels of the picture in which faces are looked for: 0.1 s of work, faces from a 25th of its longer side
FACES_MAX: Final = 100  # answered
CASCADE: Final = "haarcascade_frontalface_alt2.xml"
EYE_CASCADE: Final = "haarcascade_eye.xml"
FACE_SIDE_MIN: Final = 24  # pixels; the cascade was trained with 20
STEP, QUICK_STEP = 1.1, 1.3  # between the sizes of faces that are looked for
NEIGHBOURS_MIN: Final = 3  # hits side by side that make a face
WEIGHT_MIN: Final = 53.75556945800781  # the threshold of the cascade's last stage: what it accepts weighs more
WEIGHT_SCALE: Final = 0.75  # makes 0.7 of a face in noise and 0.93 of a clear one
PATCH_SIDE: Final = 160  # pixels a face is scaled to before eyes are looked for in it
EYES_HEIGHT: Final = 0.6  # of the face from its top: no nostrils
EYES_APART: Final = (0.25, 0.65)  # of the face's width
EYES_SLOPE_MAX: Final = 0.4  # of their distance
MODEL_SCORE_MIN, MODEL_OVERLAP_MAX = 0.6, 0.3  # of a supplied model's faces; usual for YuNet
EXPANSION: Final = (0.15, 0.3, 0.15, 0.1)  # of the face's sides by which the head is larger: left, top, right, bottom

# What lies below is as likely as its place in the row says: VERY_LIKELY, LIKELY, POSSIBLE, UNLIKELY; above the last VERY_UNLIKELY.
SHARPNESS: Final = (6.0, 15.0, 40.0, 100.0)  # variance of the patch's Laplacian
LIGHT: Final = (50.0, 75.0, 100.0, 130.0)  # luma of the patch's brightest twentieth; not its mean: skin may be dark in good light
BRIGHTEST: Final = 95  # per cent of the patch that are darker

# FaceAnnotation.Landmark.Type
LEFT_EYE, RIGHT_EYE, BETWEEN_EYES, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT, MOUTH_CENTER = 1, 2, 7, 8, 11, 12, 13
# A frontal head in widths of the distance between its eyes: how far the tip of the nose stands out, where it is on the way from eyes to
# mouth, and how long that way is. From the proportions that artists draw by.
NOSE_DEPTH, NOSE_PLACE, MOUTH_DISTANCE = 0.53, 0.53, 1.18

Point = tuple[float, float]


class Found(NamedTuple):
    """A face in pixels of the image it was found in: edges, how sure that is, and its points where the finder knows them.

    The points are the eyes, the tip of the nose and the ends of the mouth; LEFT is the viewer's left, and comes first.
    """

    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    points: tuple[Point, ...] = ()

    def scaled(self, across: float, down: float) -> Found:
        """The same in an image that is so many times as wide and high."""
        points = tuple((x * across, y * down) for x, y in self.points)
        return Found(self.left * across, self.top * down, self.right * across, self.bottom * down, self.confidence, points)


class Finder(ABC):
    """Finds faces; for several threads at once, each of which gets its own copy of what is no thread's business but its own."""

    def __init__(self) -> None:
        self._own = threading.local()

    @abstractmethod
    def find(self, image: PIL.Image.Image, *, quick: bool = False) -> list[Found]:
        """The faces in an RGB image, the surest first; ``quick`` for those that only matter roughly. CPU work."""


class Cascades(Finder):
    """Upright faces that look at the camera, by OpenCV 4's cascade of Haar features."""

    def find(self, image: PIL.Image.Image, *, quick: bool = False) -> list[Found]:
        cascade = self._cascade(CASCADE)
        boxes, _, weights = cascade.detectMultiScale3(
            _grey(image),
            scaleFactor=QUICK_STEP if quick else STEP,
            minNeighbors=NEIGHBOURS_MIN,
            minSize=(FACE_SIDE_MIN, FACE_SIDE_MIN),
            outputRejectLevels=True,
        )
        found = [
            Found(left, top, left + width - 1, top + height - 1, _confidence(weight))
            for (left, top, width, height), weight in zip(_rows(boxes), _rows(weights), strict=True)
        ]
        return sorted(found, key=lambda face: -face.confidence)

    def eyes(self, patch: Grey) -> tuple[Point, Point] | None:
        """The eyes in a square patch of a face, the viewer's left one first, as shares of its sides; None unless there is a pair."""
        upper = patch[: round(patch.shape[0] * EYES_HEIGHT)]
        return self._pair(opencv().equalizeHist(upper)) or self._pair(upper)  # the one for dim faces, the other for grainy ones

    def _pair(self, upper: Grey) -> tuple[Point, Point] | None:
        side = upper.shape[1]
        boxes, hits = self._cascade(EYE_CASCADE).detectMultiScale2(upper, 1.05, NEIGHBOURS_MIN, minSize=(side // 8, side // 8))
        seen = [((x + width / 2) / side, (y + height / 2) / side, hit) for (x, y, width, height), hit in zip(boxes, hits, strict=True)]
        pairs = [
            (left[2] + right[2], left[:2], right[:2])
            for left in seen
            for right in seen
            if left[0] < 0.5 < right[0]
            and EYES_APART[0] <= right[0] - left[0] <= EYES_APART[1]
            and abs(right[1] - left[1]) <= EYES_SLOPE_MAX * (right[0] - left[0])
        ]
        if not pairs:
            return None
        _, left, right = max(pairs, key=lambda pair: pair[0])
        return left, right

    def _cascade(self, name: str) -> Any:
        """This thread's own: a classifier must not be used by two at once."""
        if not hasattr(self._own, name):
            cv2 = opencv()
            setattr(self._own, name, cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name)))
        return getattr(self._own, name)


class Model(Finder):
    """Faces at most angles with five points each, by a detector that the user supplies: YuNet as ONNX."""

    def __init__(self, path: Path) -> None:
        """SettingsError when OpenCV cannot read the file, or it does not answer as such a model does."""
        from PIL import Image

        super().__init__()
        self._path = path
        cv2 = opencv()
        try:
            self.find(Image.new("RGB", (SIDE_MAX, SIDE_MAX)))
        except cv2.error as wrong:
            raise SettingsError(f"face_model: {path} is no face detector that OpenCV reads: {wrong.err}") from wrong

    def find(self, image: PIL.Image.Image, *, quick: bool = False) -> list[Found]:  # noqa: ARG002 - it is quick enough
        import numpy as np

        detector = self._detector()
        detector.setInputSize(image.size)
        _, rows = detector.detect(np.ascontiguousarray(np.asarray(image)[..., ::-1]))  # blue first
        found = []
        for left, top, width, height, *coordinates, score in _rows(rows):
            points = tuple(zip(coordinates[::2], coordinates[1::2], strict=True))
            if all(map(math.isfinite, (left, top, width, height, score, *coordinates))):
                found.append(Found(left, top, left + width - 1, top + height - 1, min(1.0, score), points))
        return sorted(found, key=lambda face: -face.confidence)

    def _detector(self) -> Any:
        """This thread's own: its input size is a state."""
        if not hasattr(self._own, "detector"):
            made = opencv().FaceDetectorYN.create(str(self._path), "", (SIDE_MAX, SIDE_MAX), MODEL_SCORE_MIN, MODEL_OVERLAP_MAX, FACES_MAX)
            self._own.detector = made
        return self._own.detector


def finder(settings: Settings) -> Finder | None:
    """What this machine and these settings have for finding faces; SettingsError for a model that cannot be used.

    OpenCV is not imported for it unless there is a model to load.
    """
    model = settings.table.get("face_model")
    spec = find_spec("cv2")
    if model is None:
        folder = Path(spec.origin).parent if spec is not None and spec.origin else None
        return Cascades() if folder is not None and (folder / "data" / CASCADE).is_file() else None  # OpenCV 5 has none
    if spec is None:
        raise SettingsError("face_model: OpenCV is not installed, which runs it: pip install 'vision-emulator[cv]'")
    if not isinstance(model, str) or not Path(model).expanduser().is_file():
        raise SettingsError(f"face_model: {model!r} is no file; name a YuNet model in ONNX")
    return Model(Path(model).expanduser())


@cache
def opencv() -> Any:
    """The library, imported when it is first used, and kept to the thread that calls it: there are as many of those as cores."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


class Faces(Part):
    """Answers FACE_DETECTION: boxes, roll and eyes of what the cascades find; with a model pan, tilt, nose and mouth as well."""

    name: ClassVar[str] = "faces"
    features = frozenset({Feature.FACE_DETECTION})
    note: ClassVar[str] = "real faces by OpenCV's cascades or a model that you supply; emotions are UNKNOWN"
    needs: ClassVar[str] = "OpenCV 4: pip install 'vision-emulator[cv]'"
    settings_known: ClassVar[frozenset[str]] = frozenset({"face_model"})

    def __init__(self, faces: Finder) -> None:
        self._finder = faces

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One where OpenCV is installed and brings its cascades, or runs the model of the setting ``face_model``."""
        found = finder(settings)
        return None if found is None else cls(found)

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:  # noqa: ARG002
        """The faces, the surest first; of those the most that were asked for."""
        most = max((feature.max_results for feature in features), default=0)
        whole = picture.pixels
        image = whole.copy()
        image.thumbnail((SIDE_MAX, SIDE_MAX), reducing_gap=2.0)
        found = self._finder.find(image)[: min(most, FACES_MAX) if most > 0 else limits.RESULTS_DEFAULT]
        to_whole = whole.width / image.width, whole.height / image.height
        to_answer = picture.size[0] / whole.width, picture.size[1] / whole.height  # a page is drawn larger than it says it is
        annotations = [self._annotation(face.scaled(*to_whole), whole, to_answer, picture.size) for face in found]
        return AnnotateImageResponse(face_annotations=annotations)

    def _annotation(self, face: Found, whole: PIL.Image.Image, scale: Point, size: tuple[int, int]) -> dict[str, Any]:
        patch = _patch(face, whole)
        if not face.points and isinstance(self._finder, Cascades):
            width, height = face.right - face.left + 1, face.bottom - face.top + 1
            eyes = self._finder.eyes(patch) or ()
            face = face._replace(points=tuple((face.left + x * width, face.top + y * height) for x, y in eyes))
        light = _brightest(patch)
        edges = float(opencv().Laplacian(patch, opencv().CV_64F).var()) * (255 / max(1.0, light)) ** 2  # as if it were well lit
        face = face.scaled(*scale)
        return {
            "bounding_poly": head(face, size).poly(),
            "fd_bounding_poly": Box.within(size, *face[:4]).poly(),
            "landmarks": [
                {"type": kind, "position": {"x": min(max(x, 0.0), size[0] - 1.0), "y": min(max(y, 0.0), size[1] - 1.0)}}
                for kind, (x, y) in landmarks(face.points)
            ],
            **angles(face.points),
            "detection_confidence": face.confidence,
            "under_exposed_likelihood": likelihood(light, LIGHT),
            "blurred_likelihood": likelihood(edges, SHARPNESS),
        }


def head(face: Found, size: tuple[int, int]) -> Box:
    """The whole head that belongs to a face, cut to the image."""
    width, height = face.right - face.left, face.bottom - face.top
    left, top, right, bottom = EXPANSION
    return Box.within(size, face.left - left * width, face.top - top * height, face.right + right * width, face.bottom + bottom * height)


def landmarks(points: Sequence[Point]) -> list[tuple[int, Point]]:
    """Landmark types with their places, in the order of real answers: of two eyes, or of two eyes, nose and two ends of a mouth."""
    if len(points) < 2:
        return []
    left, right, *others = points
    found = [(LEFT_EYE, left), (RIGHT_EYE, right), (BETWEEN_EYES, _middle(left, right))]
    if len(others) == 3:
        nose, mouth_left, mouth_right = others
        found += [
            (NOSE_TIP, nose),
            (MOUTH_LEFT, mouth_left),
            (MOUTH_RIGHT, mouth_right),
            (MOUTH_CENTER, _middle(mouth_left, mouth_right)),
        ]
    return found


def angles(points: Sequence[Point]) -> dict[str, float]:
    """Roll, in degrees clockwise, from two eyes; from five points also pan (to the viewer's right) and tilt (upwards), by the proportions
    of a template; they were not compared with measured heads.
    """
    if len(points) < 2:
        return {}
    (left_x, left_y), (right_x, right_y) = points[:2]
    apart = math.hypot(right_x - left_x, right_y - left_y)
    if not apart:
        return {}
    turned = math.atan2(right_y - left_y, right_x - left_x)
    found = {"roll_angle": math.degrees(turned)}
    if len(points) == 5:
        eyes = _middle(*points[:2])
        across, down = _unrolled(points[2], eyes, turned)
        _, length = _unrolled(_middle(*points[3:]), eyes, turned)
        found["pan_angle"] = math.degrees(math.atan(across / apart / NOSE_DEPTH))
        if length > 0:
            found["tilt_angle"] = math.degrees(math.atan((NOSE_PLACE - down / length) * MOUTH_DISTANCE / NOSE_DEPTH))
    return found


def likelihood(value: float, bounds: Sequence[float]) -> int:
    """A Likelihood from VERY_LIKELY for what lies below the first bound to VERY_UNLIKELY for what is above the last."""
    return 5 - sum(value >= bound for bound in bounds)


def _middle(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _unrolled(point: Point, centre: Point, turned: float) -> Point:
    """The point as seen from the centre, when what was turned is turned back."""
    x, y = point[0] - centre[0], point[1] - centre[1]
    return x * math.cos(turned) + y * math.sin(turned), y * math.cos(turned) - x * math.sin(turned)


def _patch(face: Found, whole: PIL.Image.Image) -> Grey:
    """The face, as far as it lies inside the image, in grey and scaled to a square of PATCH_SIDE."""
    from PIL import Image

    left, top, right, bottom = Box.within(whole.size, *face[:4])
    return _grey(whole.resize((PATCH_SIDE, PATCH_SIDE), Image.Resampling.BILINEAR, box=(left, top, right + 1, bottom + 1)))


def _grey(image: PIL.Image.Image) -> Grey:
    import numpy as np

    return np.asarray(image.convert("L"))


def _brightest(patch: Grey) -> float:
    import numpy as np

    return float(np.percentile(patch, BRIGHTEST))


def _confidence(weight: float) -> float:
    """In (0, 1), from what the cascade's last stage weighs."""
    return max(1e-3, 1 - math.exp(WEIGHT_SCALE * (WEIGHT_MIN - weight)))


def _rows(found: Any) -> Any:
    """OpenCV's rows as lists: an array, or an empty tuple or None for nothing."""
    return found.tolist() if hasattr(found, "tolist") else []
