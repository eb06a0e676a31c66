"""Faces that are there are found where they are, and none where there is none."""

from __future__ import annotations

import importlib.util
import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tiny_models import classifier, face_detector

from broken import BAD, ODD
from pictures import drawn, portrait
from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.local.faces import Cascades, Faces, angles, finder, landmarks
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, FaceAnnotation, Feature, ImageContext, Likelihood

FACES = Feature(type=Feature.FACE_DETECTION)
Kind = FaceAnnotation.Landmark


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def look(image: Image.Image | bytes, most: int = 0, **table: Any) -> list[FaceAnnotation]:
    """The faces of a picture."""
    part = Faces.create(Settings(table=table))
    assert part is not None
    data = image if isinstance(image, bytes) else png(image)
    answer: AnnotateImageResponse = part.look(Picture(data), [Feature(type=FACES.type, max_results=most)], ImageContext())
    return list(answer.face_annotations)


def one(image: Image.Image | bytes, **table: Any) -> FaceAnnotation:
    (face,) = look(image, **table)
    return face


def box(poly: Any) -> tuple[int, int, int, int]:
    first, _, third, _ = poly.vertices
    return first.x, first.y, third.x, third.y


def at(face: FaceAnnotation) -> dict[int, tuple[float, float]]:
    return {landmark.type: (landmark.position.x, landmark.position.y) for landmark in face.landmarks}


def group(*faces: tuple[int, int, int], size: tuple[int, int] = (1000, 500)) -> Image.Image:
    """A grey picture with faces of a side at places."""
    image = Image.new("RGB", size, (110, 110, 110))
    for side, left, top in faces:
        image.paste(portrait(side), (left, top))
    return image


@pytest.mark.parametrize(("side", "left", "top"), [(240, 0, 0), (400, 500, 60), (90, 850, 380), (60, 10, 430)])
def test_a_face_is_found_where_it_is(side: int, left: int, top: int) -> None:
    """Small or large, wherever it is: the box is the face's, the head around it holds it, the eyes are where they were drawn."""
    face = one(group((side, left, top)))
    x, y, right, bottom = box(face.fd_bounding_poly)
    assert (x + right) / 2 == pytest.approx(left + side / 2, abs=0.08 * side)
    assert (y + bottom) / 2 == pytest.approx(top + 0.56 * side, abs=0.08 * side)
    assert 0.5 * side <= right - x <= 0.8 * side
    outer = box(face.bounding_poly)
    assert outer[0] < x < right < outer[2] or side == 60
    assert outer[1] < y
    assert bottom <= outer[3]
    places = at(face)
    assert list(places) == [Kind.LEFT_EYE, Kind.RIGHT_EYE, Kind.MIDPOINT_BETWEEN_EYES]
    assert places[Kind.LEFT_EYE] == pytest.approx((left + 0.385 * side, top + 0.485 * side), abs=0.04 * side)
    assert places[Kind.RIGHT_EYE] == pytest.approx((left + 0.615 * side, top + 0.485 * side), abs=0.04 * side)


@pytest.mark.parametrize("turned", [-20, -10, 0, 10, 20])
def test_roll_follows_the_head(turned: int) -> None:
    """A head that is turned clockwise has so much roll, in degrees; pan and tilt, which nobody measured, are not said."""
    face = one(portrait(turned=turned))
    assert face.roll_angle == pytest.approx(turned, abs=3)
    assert (face.pan_angle, face.tilt_angle, face.landmarking_confidence) == (0, 0, 0)


def test_nothing_is_invented() -> None:
    """Emotions and headwear are UNKNOWN; confidence, blur and exposure are measured, and said."""
    face = one(portrait(noise=5))
    for moment in ("joy", "sorrow", "anger", "surprise", "headwear"):
        assert getattr(face, f"{moment}_likelihood") == Likelihood.UNKNOWN
    assert 0.5 < face.detection_confidence < 1
    assert face.blurred_likelihood
    assert face.under_exposed_likelihood


def test_several_faces_the_surest_first() -> None:
    """Each is found once, by falling confidence, and no more than were asked for; without a number at most ten."""
    image = group((300, 0, 100), (200, 350, 50), (120, 600, 300), (90, 850, 100))
    faces = look(image)
    assert len(faces) == 4
    confidences = [face.detection_confidence for face in faces]
    assert confidences == sorted(confidences, reverse=True)
    assert look(image, 2) == faces[:2]
    crowd = group(*((100, 120 * column, 120 * row) for column in range(8) for row in range(3)))
    assert len(look(crowd)) == 10
    assert len(look(crowd, 50)) == 24


def test_blur_and_darkness_are_likelihoods() -> None:
    """The more blurred or the darker, the likelier; a sharp, well lit face is neither."""
    sharp = portrait(noise=8)
    blurred = [one(sharp.filter(ImageFilter.GaussianBlur(radius))).blurred_likelihood for radius in (0, 0.5, 1, 4)]
    assert blurred == sorted(blurred)
    assert (blurred[0], blurred[-1]) == (Likelihood.VERY_UNLIKELY, Likelihood.VERY_LIKELY)
    assert one(portrait(noise=3, light=0.4)).blurred_likelihood == blurred[0]  # dim is not blurred
    dark = [one(portrait(noise=3, light=light)).under_exposed_likelihood for light in (1, 0.6, 0.4, 0.25)]
    assert dark == sorted(dark)
    assert dark[0] == Likelihood.VERY_UNLIKELY
    assert dark[-1] >= Likelihood.LIKELY


@pytest.mark.parametrize("conditions", [{"light": 0.25}, {"noise": 8}, {"light": 0.4, "noise": 2}])
def test_eyes_in_bad_conditions(conditions: dict[str, float]) -> None:
    """In dim light and in grain the eyes are found, too."""
    places = at(one(portrait(**conditions)))
    assert places[Kind.LEFT_EYE] == pytest.approx((92, 116), abs=8)
    assert places[Kind.RIGHT_EYE] == pytest.approx((148, 116), abs=8)


def negatives() -> dict[str, Image.Image]:
    chance = np.random.default_rng(1)
    board = (np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8)
    return {
        "plain": Image.new("RGB", (300, 200), (200, 160, 140)),
        "noise": Image.fromarray(chance.integers(0, 256, (200, 300, 3), np.uint8)),
        "clouds": Image.fromarray(chance.integers(0, 256, (9, 12, 3), np.uint8)).resize((400, 300), Image.Resampling.BICUBIC),
        "board": Image.fromarray(board).resize((320, 320), Image.Resampling.NEAREST).convert("RGB"),
        "on its side": portrait().rotate(90),
        "shapes": Image.open(io.BytesIO(drawn(3))),
        "one pixel": Image.new("RGB", (1, 1)),
        "a line": Image.new("RGB", (2000, 1), "white"),
    }


@pytest.mark.parametrize("kind", negatives())
def test_no_face_where_there_is_none(kind: str) -> None:
    """What is no face upright is none: the answer is empty, not an error."""
    assert look(negatives()[kind]) == []


@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures_are_looked_at(kind: str) -> None:
    """Whatever the mode and size."""
    assert look(ODD[kind]()[0]) == []


@pytest.mark.parametrize("kind", BAD)
def test_a_broken_picture_is_its_own_error(kind: str) -> None:
    """Bytes that are no picture are refused as the service refuses them."""
    with pytest.raises(VisionError):
        look(BAD[kind]())


def test_faces_at_the_rim_stay_inside() -> None:
    """A face cut off by the rim has its boxes and landmarks inside the picture."""
    for image in (portrait().crop((30, 40, 210, 240)), portrait().crop((0, 50, 240, 215))):
        for face in look(image):
            for left, top, right, bottom in (box(face.bounding_poly), box(face.fd_bounding_poly)):
                assert 0 <= left <= right < image.width
                assert 0 <= top <= bottom < image.height
            assert all(0 <= x < image.width and 0 <= y < image.height for x, y in at(face).values())


def test_threads_have_classifiers_of_their_own() -> None:
    """Many looks at once through one finder find what one after the other does."""
    shared = Cascades()
    images = [portrait(side) for side in (120, 160, 200, 240)] * 4
    alone = [shared.find(image) for image in images]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(shared.find, images)) == alone


# ---- a model of the user's ----


def lit(left: int, top: int, size: tuple[int, int] = (480, 320)) -> Image.Image:
    """Black, with a blue square of 32 pixels."""
    image = Image.new("RGB", size)
    image.paste((0, 0, 255), (left, top, left + 32, top + 32))
    return image


def test_a_model_gives_points_and_angles(tmp_path: Path) -> None:
    """Box, score, five points and what follows from them come from the model; LEFT is the viewer's left."""
    face = one(lit(192, 128), face_model=str(face_detector(tmp_path / "faces.onnx")))
    assert box(face.fd_bounding_poly) == (176, 112, 239, 175)
    assert face.detection_confidence > 0.99
    assert at(face) == {
        Kind.LEFT_EYE: (192, 128),
        Kind.RIGHT_EYE: (208, 144),
        Kind.MIDPOINT_BETWEEN_EYES: (200, 136),
        Kind.NOSE_TIP: (pytest.approx(211.2, abs=0.01), 144),
        Kind.MOUTH_LEFT: (184, 152),
        Kind.MOUTH_RIGHT: (200, 168),
        Kind.MOUTH_CENTER: (192, 160),
    }
    assert face.roll_angle == pytest.approx(45)
    assert face.pan_angle > 30
    assert face.landmarking_confidence == 0


def test_a_model_that_exaggerates(tmp_path: Path) -> None:
    """A box of a billion pixels ends where the picture does, and costs no memory."""
    face = one(lit(192, 128), face_model=str(face_detector(tmp_path / "faces.onnx", 3e7)))
    assert box(face.fd_bounding_poly) == box(face.bounding_poly) == (0, 0, 479, 319)


def test_a_model_sees_large_pictures_small(tmp_path: Path) -> None:
    """A picture beyond the size in which faces are looked for is scaled, and its answer scaled back."""
    image = Image.new("RGB", (1920, 1281))
    image.paste((0, 0, 255), (576, 384, 672, 480))
    face = one(image, face_model=str(face_detector(tmp_path / "faces.onnx")))
    assert box(face.fd_bounding_poly) == (528, 336, 717, 525)
    assert at(face)[Kind.LEFT_EYE] == (576, 384)


class Page(Picture):
    """Drawn at twice the size that it says it is, as a page of a document is."""

    @property
    def size(self) -> tuple[int, int]:
        return 200, 200

    @property
    def pixels(self) -> Image.Image:
        return group((240, 100, 60), size=(400, 400))


def test_a_page_is_answered_in_its_own_pixels() -> None:
    """Boxes and landmarks are those of the size that the page says, not of the one it is drawn at."""
    part = Faces.create(Settings())
    assert part is not None
    (face,) = part.look(Page(b"page"), [FACES], ImageContext()).face_annotations
    left, top, right, bottom = box(face.fd_bounding_poly)
    assert (left + right) / 2 == pytest.approx(110, abs=8)
    assert (top + bottom) / 2 == pytest.approx(30 + 0.56 * 120, abs=8)
    assert at(face)[Kind.LEFT_EYE] == pytest.approx((50 + 0.385 * 120, 30 + 0.485 * 120), abs=5)


FRONTAL = [(-1.0, 0.0), (1.0, 0.0), (0.0, 1.25), (-0.8, 2.36), (0.8, 2.36)]


def turned(degrees: float, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * cosine - y * sine + 50, x * sine + y * cosine + 40) for x, y in points]


@pytest.mark.parametrize("roll", [-170, -90, -30, 0, 30, 90, 170])
def test_angles_of_a_frontal_head(roll: float) -> None:
    """A head that looks straight ahead has neither pan nor tilt, however it is rolled."""
    found = angles(turned(roll, FRONTAL))
    assert found["roll_angle"] == pytest.approx(roll)
    assert found["pan_angle"] == pytest.approx(0, abs=0.5)
    assert found["tilt_angle"] == pytest.approx(0, abs=1)


def test_angles_have_the_signs_of_where_the_nose_points() -> None:
    """Pan is positive to the viewer's right, tilt upwards; the same when the head is rolled."""
    for roll in (0, 40):
        right = [*FRONTAL[:2], (0.5, 1.25), *FRONTAL[3:]]
        up = [*FRONTAL[:2], (0.0, 0.7), *FRONTAL[3:]]
        assert angles(turned(roll, right))["pan_angle"] > 15
        assert angles(turned(roll, up))["tilt_angle"] > 15
    assert angles([]) == {}
    assert angles([(1, 1), (1, 1)]) == {}
    assert landmarks([]) == []


# ---- what is there and what is not ----


@pytest.mark.parametrize("value", ["", "none.onnx", 7, "."])
def test_a_model_that_is_no_file(value: Any) -> None:
    """It is refused at the start, by the name of the setting."""
    with pytest.raises(SettingsError, match=r"face_model: .* is no file"):
        Faces.create(Settings(table={"face_model": value}))


@pytest.mark.parametrize("kind", ["text", "another model"])
def test_a_model_that_is_no_face_detector(tmp_path: Path, kind: str) -> None:
    """A file that is no model, and a model that answers something else, are refused at the start, by their names."""
    if kind == "text":
        (tmp_path / "bad.onnx").write_bytes(b"no model")
    else:
        classifier(tmp_path / "bad.onnx", (640, 640))
    with pytest.raises(SettingsError, match=r"face_model: .*bad\.onnx is no face detector"):
        Faces.create(Settings(table={"face_model": str(tmp_path / "bad.onnx")}))


def test_without_opencv_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed there is no such part; a model that needs it is refused with what to install."""
    real = importlib.util.find_spec
    monkeypatch.setattr("vision_emulator.annotators.local.faces.find_spec", lambda name: None if name == "cv2" else real(name))
    assert Faces.create(Settings()) is None
    assert finder(Settings()) is None
    with pytest.raises(SettingsError, match=r"pip install 'vision-emulator\[cv\]'"):
        Faces.create(Settings(table={"face_model": "faces.onnx"}))
