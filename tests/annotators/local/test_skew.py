"""Pages are levelled, and what was found on the level page is found again on the page as it was."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from pages_of_text import PARAGRAPHS, page
from vision_emulator.annotators.geometry import UPRIGHT
from vision_emulator.annotators.local.skew import Turn, straightened


def lean(turn: Turn) -> float:
    """Degrees, clockwise, by which what is level now leans on the page."""
    return math.degrees(math.atan2(turn.frame.right[1], turn.frame.right[0]))


@pytest.mark.parametrize("degrees", [-7.5, -3.3, -0.5, 0.0, 0.1, 2.0, 7.0])
def test_a_page_askew_is_levelled(degrees: float) -> None:
    """To an eighth of a degree; less than a fifth is left alone, as turning costs sharpness."""
    askew = page(PARAGRAPHS[:2], size=(1000, 700), height=26).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    turn = straightened(Turn(askew, UPRIGHT))
    assert lean(turn) == pytest.approx(-degrees, abs=0.13)
    assert (turn.grey.size == askew.size) == (abs(degrees) < 0.2)


def test_lines_that_run_up_the_page_are_laid_level() -> None:
    """Which way is up is not known then; that is for the reader to find out."""
    turn = straightened(Turn(page(PARAGRAPHS[:2], size=(1000, 700), height=26).rotate(90, expand=True), UPRIGHT))
    assert turn.grey.size == (1000, 700)


@pytest.mark.parametrize("image", [Image.new("L", (1, 1)), Image.new("L", (900, 700), 7), Image.new("L", (3, 5000), 200)])
def test_what_has_no_lines_is_left_alone(image: Image.Image) -> None:
    """Nothing to measure, nothing turned."""
    turn = straightened(Turn(image, UPRIGHT))
    assert turn.grey.size == image.size
    assert turn.frame == UPRIGHT


@pytest.mark.parametrize("quarters", range(-1, 5))
def test_a_frame_leads_back_from_a_turned_page(quarters: int) -> None:
    """A dot on the turned page is where the frame says on the page as it was, to the pixel."""
    dotted = Image.new("L", (5, 3))
    dotted.putpixel((4, 1), 255)
    turn = Turn(dotted, UPRIGHT).by_quarters(quarters)
    assert turn.grey.size == ((3, 5) if quarters % 2 else (5, 3))
    (found,) = [(x, y) for x in range(turn.grey.width) for y in range(turn.grey.height) if turn.grey.getpixel((x, y))]
    assert turn.frame.at(*found) == (4, 1)
    assert found == [(4, 1), (1, 0), (0, 1), (1, 4)][quarters % 4]


def test_turns_add_up() -> None:
    """A quarter turn and a few degrees: the middle stays the middle, and the lean is the sum."""
    turn = Turn(Image.new("L", (400, 300)), UPRIGHT).by_quarters(1).by_degrees(5)
    middle = turn.frame.at((turn.grey.width - 1) / 2, (turn.grey.height - 1) / 2)
    assert middle == pytest.approx((199.5, 149.5))
    assert lean(turn) == pytest.approx(95)
