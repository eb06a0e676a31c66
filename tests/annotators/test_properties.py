"""Colours and crops as local answers them: sound for every picture, drawn to faces, and shaped as recorded answers are."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import invariants
import pytest
from PIL import Image

from broken import BAD, ODD
from pictures import drawn, portrait
from vision_emulator.annotators import Picture, Settings
from vision_emulator.annotators.local import Local
from vision_emulator.annotators.local.properties import Properties
from vision_emulator.contract.codec import to_json
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

COLORS = Feature(type=Feature.IMAGE_PROPERTIES)
CROPS = Feature(type=Feature.CROP_HINTS)
SOUND = {"photograph": lambda: (drawn(3), (160, 120)), **ODD}


def look(data: bytes, *features: Feature, ratios: Sequence[float] = (), part: Properties | None = None) -> AnnotateImageResponse:
    """What the part answers."""
    context = ImageContext(crop_hints_params={"aspect_ratios": ratios})
    return (part or Properties.create(Settings())).look(Picture(data), features, context)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def boxes(response: AnnotateImageResponse) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each hint."""
    corners = [(hint.bounding_poly.vertices[0], hint.bounding_poly.vertices[2]) for hint in response.crop_hints_annotation.crop_hints]
    return [(first.x, first.y, third.x, third.y) for first, third in corners]


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("features", [(COLORS,), (CROPS,), (COLORS, CROPS)], ids=["colors", "crops", "both"])
def test_answers_are_sound(kind: str, features: tuple[Feature, ...]) -> None:
    """Whatever the picture, its size and mode: what is answered keeps every rule, and nothing is answered that nobody asked for."""
    data, size = SOUND[kind]()
    context = ImageContext(crop_hints_params={"aspect_ratios": [0.5, 1.0, 16 / 9]})
    invariants.check(Properties().look(Picture(data), features, context), size, features, context)


@pytest.mark.parametrize("kind", BAD)
def test_a_broken_picture_is_its_own_error(kind: str) -> None:
    """Bytes that are no picture are refused as the service refuses them."""
    with pytest.raises(VisionError):
        look(BAD[kind](), COLORS)


def test_colours_bring_a_crop_of_the_whole_picture() -> None:
    """IMAGE_PROPERTIES answers one crop hint, too, without regard to the ratios that are CROP_HINTS' own."""
    assert boxes(look(drawn(), COLORS, ratios=[1.0, 2.0])) == [(0, 0, 159, 119)]
    assert len(boxes(look(drawn(), COLORS, CROPS, ratios=[1.0, 2.0]))) == 2


def test_together_as_alone() -> None:
    """Colours do not depend on whether crops are asked for, with faces in the picture or without."""
    alone = look(png(portrait()), COLORS).image_properties_annotation
    assert look(png(portrait()), COLORS, CROPS, ratios=[2.0]).image_properties_annotation == alone


def with_a_face(left: int) -> bytes:
    """A dull wide ground with something loud at its right end and a face somewhere else."""
    image = Image.new("RGB", (1200, 400), (110, 110, 110))
    image.paste((255, 255, 0), (1000, 0, 1200, 400))
    image.paste(portrait(360), (left, 20))
    return png(image)


@pytest.mark.parametrize("left", [0, 300, 600])
def test_a_crop_goes_around_a_face(left: int) -> None:
    """A face draws the crop to it from something louder, whole; without OpenCV it does not."""
    ((start, _, end, _),) = boxes(look(with_a_face(left), CROPS, ratios=[1.0]))
    assert start <= left + 70
    assert left + 290 <= end
    ((start, _, end, _),) = boxes(look(with_a_face(0), CROPS, ratios=[1.0], part=Properties()))
    assert end > 1000


def test_crops_of_one_picture_agree() -> None:
    """With a face, too, confidence by area over importance is one number per picture, as in recorded answers."""
    response = look(with_a_face(300), CROPS, ratios=[0.7, 1.0, 1.5, 2.5])
    constants = [
        hint.confidence * (right - left + 1) * (bottom - top + 1) / (1200 * 400) / hint.importance_fraction
        for hint, (left, top, right, bottom) in zip(response.crop_hints_annotation.crop_hints, boxes(response), strict=True)
        if hint.confidence < 0.79
    ]
    assert len(constants) >= 2
    assert constants == pytest.approx([constants[0]] * len(constants), rel=1e-4)


def test_shape_of_a_recorded_answer() -> None:
    """Field for field what the service writes: four corners without their zeros, whole numbers for colours and no alpha."""
    answer: Any = to_json(look(drawn(), COLORS))
    assert set(answer) == {"imagePropertiesAnnotation", "cropHintsAnnotation"}
    (hint,) = answer["cropHintsAnnotation"]["cropHints"]
    assert hint["boundingPoly"] == {"vertices": [{}, {"x": 159}, {"x": 159, "y": 119}, {"y": 119}]}
    assert set(hint) == {"boundingPoly", "confidence", "importanceFraction"}
    colors = answer["imagePropertiesAnnotation"]["dominantColors"]["colors"]
    assert all(set(entry) == {"color", "score", "pixelFraction"} for entry in colors)
    assert all(set(entry["color"]) <= {"red", "green", "blue"} and 0 not in entry["color"].values() for entry in colors)


async def test_the_same_picture_is_decoded_once() -> None:
    """A second request for the same picture is answered from memory: its pixels are not decoded again."""
    local = Local([Properties()])
    first, second = Picture(drawn()), Picture(drawn())
    answers = [await local.annotate(picture, [COLORS], ImageContext()) for picture in (first, second)]
    assert answers[0] == answers[1]
    assert (first._thumbnail is None, second._thumbnail is None) == (False, True)
