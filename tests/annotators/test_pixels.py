"""Colours and crops, on drawn pictures whose right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from vision_emulator.annotators.pixels import CONFIDENCE_MAX, attention, crop_hints, dominant_colors, square

RED, WHITE = (255, 0, 0), (255, 255, 255)


def picture(*shapes: tuple[tuple[int, int, int, int], Any], size: tuple[int, int] = (128, 96), ground: Any = WHITE) -> Image.Image:
    """Rectangles (left, top, right, bottom) on a ground."""
    image = Image.new("RGB", size, ground)
    for box, color in shapes:
        ImageDraw.Draw(image).rectangle(box, fill=color)
    return image


def colors_of(image: Image.Image) -> list[dict[str, Any]]:
    """The dominant colours of an image."""
    pixels = square(image)
    colors: list[dict[str, Any]] = dominant_colors(pixels, attention(pixels))["dominant_colors"]["colors"]
    return colors


def crops_of(image: Image.Image, size: tuple[int, int], *ratios: float) -> list[tuple[tuple[int, int, int, int], float, float]]:
    """Box, confidence and importance of each hint for an image of this size."""
    hints = crop_hints(attention(square(image)), size, ratios)["crop_hints"]
    found = []
    for hint in hints:
        first, _, third, _ = hint["bounding_poly"]["vertices"]
        found.append(((first["x"], first["y"], third["x"], third["y"]), hint["confidence"], hint["importance_fraction"]))
    return found


def test_one_colour_is_all_there_is() -> None:
    """A plain picture has one dominant colour, exactly that, with the whole score; a zero channel is zero."""
    assert colors_of(picture(ground=(255, 0, 7))) == [
        {"color": {"red": 255, "green": 0, "blue": 7}, "score": 1.0, "pixel_fraction": 1.0},
    ]


def test_a_red_square_on_white() -> None:
    """Both colours are found exactly, with their shares of the picture; the square stands out beyond its share."""
    white, red = sorted(colors_of(picture(((48, 32, 79, 63), RED))), key=lambda color: -color["pixel_fraction"])[:2]
    assert (red["color"], white["color"]) == ({"red": 255, "green": 0, "blue": 0}, {"red": 255, "green": 255, "blue": 255})
    assert red["pixel_fraction"] == pytest.approx(32 * 32 / (128 * 96), abs=0.01)
    assert white["pixel_fraction"] == pytest.approx(1 - red["pixel_fraction"], abs=0.03)
    assert red["score"] > 1.5 * red["pixel_fraction"]


def test_two_halves() -> None:
    """A picture half blue, half green has these two, each with half of the pixels."""
    found = colors_of(picture(((0, 0, 63, 95), (0, 0, 255)), ground=(0, 128, 0)))
    assert {(color["color"]["green"], color["color"]["blue"]): color["pixel_fraction"] for color in found} == {(128, 0): 0.5, (0, 255): 0.5}


def test_ten_colours_at_most() -> None:
    """Noise has ten, by falling score, whose shares do not exceed the whole."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8))
    found = colors_of(noise)
    assert len(found) == 10
    assert [color["score"] for color in found] == sorted((color["score"] for color in found), reverse=True)
    assert sum(color["pixel_fraction"] for color in found) <= 1


def test_attention_goes_to_what_stands_out() -> None:
    """The one blob on a plain ground is where the map is brightest, and the map lies between 1 and 256."""
    seen = attention(square(picture(((90, 20, 105, 31), (255, 220, 0)), ground=(20, 40, 60))))
    assert (seen.shape, seen.min() >= 1, seen.max()) == ((64, 64), True, 256)
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    assert 18 <= row * 96 / 64 <= 34
    assert 86 <= column * 128 / 64 <= 109


@pytest.mark.parametrize("left", [0, 150, 300, 450, 580])
@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_crop_contains_the_blob(left: int, ratio: float) -> None:
    """Wherever a bright blob lies on a dark ground, an upright crop holds it whole, and with it most of the attention."""
    image = picture(((left, 180, left + 59, 239), (255, 230, 90)), size=(640, 480), ground=(30, 30, 40))
    ((box, _, importance),) = crops_of(image, (640, 480), ratio)
    assert box[0] <= left
    assert left + 59 <= box[2]
    assert importance > box[2] / 640 - box[0] / 640


def test_a_flat_crop_contains_the_blob() -> None:
    """The same along the other axis."""
    image = picture(((300, 400, 359, 459), (255, 230, 90)), size=(640, 480), ground=(30, 30, 40))
    ((box, _, _),) = crops_of(image, (640, 480), 4.0)
    assert box[1] <= 400
    assert box[3] >= 459
    assert (box[0], box[2], box[3] - box[1] + 1) == (0, 639, 160)


def test_nothing_stands_out_in_the_middle() -> None:
    """A plain picture is cropped around its centre, with the confidence at its cap and importance as area."""
    ((box, confidence, importance),) = crops_of(picture(), (400, 100), 1.0)
    assert box == (150, 0, 249, 99)
    assert confidence == CONFIDENCE_MAX
    assert importance == pytest.approx(0.25)


def test_without_ratios_the_whole_picture() -> None:
    """One hint, the whole picture, all of the importance; its last pixel is the size less one."""
    ((box, _, importance),) = crops_of(picture(((10, 10, 20, 20), RED)), (1600, 1200))
    assert (box, importance) == ((0, 0, 1599, 1199), 1.0)


def test_hints_of_one_picture_agree() -> None:
    """Confidence by area over importance is one number per picture, as in recorded answers."""
    image = picture(((10, 10, 40, 40), RED), ((80, 50, 100, 90), (0, 0, 90)))
    constants = [
        confidence * (box[2] - box[0] + 1) * (box[3] - box[1] + 1) / (1280 * 960) / importance
        for box, confidence, importance in crops_of(image, (1280, 960), 0.5, 1.0, 1.5, 3.0)
    ]
    assert constants == pytest.approx([constants[0]] * 4)


@settings(deadline=None)
@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000), ratios=st.lists(st.floats(width=32), max_size=20))
def test_any_ratio_of_any_size(width: int, height: int, ratios: list[float]) -> None:
    """Up to sixteen hints in order, each inside the image and as large as its ratio allows, for nonsense ratios, too."""
    found = crops_of(picture(((10, 10, 40, 40), RED)), (width, height), *ratios)
    assert len(found) == max(1, min(16, len(ratios)))
    for (left, top, right, bottom), confidence, importance in found:
        assert 0 <= left <= right < width
        assert 0 <= top <= bottom < height
        assert right - left == width - 1 or bottom - top == height - 1
        assert 0 < confidence <= CONFIDENCE_MAX
        assert 0 < importance <= 1
