"""Photographs are read by rapidocr; what it finds anywhere is put into the order in which people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check
from PIL import Image

from pages_of_text import PARAGRAPHS, SIGN, encoded, page, photographed_sign, word_error_rate
from vision_emulator.annotators import Inquiry, Picture, Settings, text
from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.local.scene import Letter, Scene, SceneDocuments, SceneLine, laid_out
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

TEXT = Feature(type=Feature.TEXT_DETECTION)


@pytest.fixture(scope="module")
def part() -> Scene:
    made = Scene.create(Settings())
    assert made is not None, "rapidocr is part of what the tests need"
    return made


def read(part: Scene, image: Image.Image) -> AnnotateImageResponse:
    """The answer, which holds together."""
    response = part.look(Picture(encoded(image)), [TEXT], ImageContext())
    check(response, image.size, [TEXT], ImageContext())
    return response


def test_a_sign_in_a_photograph_is_read(part: Scene) -> None:
    """Line by line, from the side and with noise, in one block."""
    response = read(part, photographed_sign())
    assert response.full_text_annotation.text == "\n".join(SIGN)
    assert len(response.full_text_annotation.pages[0].blocks) == 1
    assert [entry.description for entry in response.text_annotations[1:]] == " ".join(SIGN).split()


@pytest.mark.parametrize(("degrees", "ahead"), [(90, (0, -1)), (180, (-1, 0)), (270, (0, 1)), (30, (0.87, -0.5))])
def test_a_sign_that_lies_anyhow_is_read(part: Scene, degrees: int, ahead: tuple[float, float]) -> None:
    """Upside down, up and down, slanting: each word's polygon begins where the word does and runs along it."""
    response = read(part, photographed_sign().rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    assert word_error_rate(" ".join(SIGN), response.full_text_annotation.text) == 0
    (left, right, *_) = response.text_annotations[1].bounding_poly.vertices
    along = (right.x - left.x, right.y - left.y)
    assert along[0] * ahead[0] + along[1] * ahead[1] > 0.9 * (along[0] ** 2 + along[1] ** 2) ** 0.5


def test_columns_are_read_one_after_the_other(part: Scene) -> None:
    """Rapidocr has no layout of its own: it finds lines of both columns in turns."""
    image = page(PARAGRAPHS[:2], size=(1200, 420), columns=2, height=24)
    assert word_error_rate(" ".join(PARAGRAPHS[:2]), read(part, image).full_text_annotation.text) < 0.05


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (640, 480), (1, 4000), (40_000, 20)])
def test_where_nothing_is_written_nothing_is_read(part: Scene, size: tuple[int, int]) -> None:
    """A blank picture of any size has an empty answer, no error."""
    assert read(part, Image.new("RGB", size, (90, 120, 60))) == AnnotateImageResponse()


def test_letters_that_the_model_does_not_know_are_left_to_others(part: Scene) -> None:
    """A hint for Russian means that whoever comes next reads; one for French does not."""
    data = encoded(Image.new("L", (8, 8)))
    claimed = {
        hint: part.claims(Picture(data, inquiry=Inquiry(language_hints=[hint])), TEXT.type) for hint in ("ru", "he-IL", "fr", "zh-Hant", "")
    }
    assert claimed == {"ru": False, "he-IL": False, "fr": True, "zh-Hant": True, "": True}
    assert not part.claims(Picture(data), Feature.DOCUMENT_TEXT_DETECTION)
    assert SceneDocuments().claims(Picture(data), Feature.DOCUMENT_TEXT_DETECTION)


# ---- layout ----


def line(written: str, x: float, y: float, height: float = 20, degrees: float = 0.0) -> SceneLine:
    """A line of letters half as wide as high; turned, it stands on its head."""
    step = height / 2
    words, at = [], x
    for word in written.split():
        letters = []
        for letter in word:
            corners = [(at, y), (at + step, y), (at + step, y + height), (at, y + height)]
            letters.append(Letter(letter, corners, 0.9))
            at += step
        words.append(letters)
        at += step
    return SceneLine(words, degrees, 0.9)


def spelled(blocks: Sequence[Any]) -> list[str]:
    return ["/".join(" ".join("".join(symbol.text for symbol in word) for word in row) for row in block.rows[0]) for block in blocks]


def test_lines_below_each_other_are_a_block() -> None:
    """Whatever order they were found in; what stands far below or is much larger is another block."""
    found = [line("three", 0, 60), line("one", 0, 0), line("two", 0, 30), line("far", 0, 200), line("LARGE", 0, 300, 60)]
    assert spelled(laid_out(found)) == ["one/two/three", "far", "LARGE"]


def test_columns_are_blocks_from_left_to_right() -> None:
    """Under a heading that spans them, though the right one begins higher."""
    columns = [line(f"{side}{row}", x, y + 26 * row) for row in range(3) for side, x, y in (("l", 0, 60), ("r", 300, 50))]
    assert spelled(laid_out([*columns, line("a heading over both", 0, 0)])) == ["a heading over both", "l0/l1/l2", "r0/r1/r2"]


def test_parts_of_a_row_are_joined() -> None:
    """A detector sees the words of a sign apart; a gap of a few letters is still the same line."""
    assert spelled(laid_out([line("OFF", 75, 2), line("TURN", 0, 0), line("ENGINE", 0, 30)])) == ["TURN OFF/ENGINE"]


def test_lines_in_another_direction_are_blocks_of_their_own() -> None:
    """A caption up the side of a poster does not get between its lines, whatever its place."""
    corners = [(0.0, 90.0), (0.0, 80.0), (20.0, 80.0), (20.0, 90.0)]
    upward = SceneLine([[Letter("u", corners, 0.9), Letter("p", [(x, y - 10) for x, y in corners], 0.9)]], -90.0, 0.9)
    blocks = laid_out([upward, line("one two", 100, 0), line("three", 100, 30)])
    assert spelled(blocks) == ["one two/three", "up"]
    first = blocks[1].rows[0][0][0][0]
    assert [tuple(map(round, corner)) for corner in blocks[1].frame.corners(first.box)] == corners


places = st.tuples(st.floats(0, 900), st.floats(0, 900), st.floats(4, 80), st.sampled_from([0.0, 5.0, -90.0, 90.0, 180.0, -175.0]))


@settings(deadline=None)
@given(st.lists(places, min_size=1, max_size=12))
def test_every_line_is_in_the_layout_once(found: list[tuple[float, float, float, float]]) -> None:
    """However lines lie: none is lost, none comes twice, and the tree of them holds together."""
    lines = [line(f"w{number} x", x, y, height, degrees) for number, (x, y, height, degrees) in enumerate(found)]
    blocks = laid_out(lines)
    said = " ".join(spelled(blocks)).replace("/", " ").split()
    assert sorted(said) == sorted(word for number in range(len(found)) for word in (f"w{number}", "x"))
    response = AnnotateImageResponse(
        **text.annotation(
            [text.Region(block.rows, block.frame) for block in blocks], (1000, 1000), text.Language("en", 1.0), confidences=False
        )
    )
    check(response, (1000, 1000), [TEXT], ImageContext())


def test_boxes_of_level_lines_are_upright() -> None:
    """A lean of less than a degree is the detector's rounding."""
    (block,) = laid_out([line("level", 10, 20, degrees=0.4)])
    assert block.rows[0][0][0][0].box == Box(10, 20, 20, 40)
