"""Text: one layout, two forms of answer that agree."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check

from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.geometry import Box, Frame
from vision_emulator.annotators.text import (
    EOL_SURE_SPACE,
    LINE_BREAK,
    SPACE,
    SURE_SPACE,
    Language,
    Region,
    Symbol,
    annotation,
    letters,
    typeset,
)
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

DOCUMENT = [Feature(type=Feature.DOCUMENT_TEXT_DETECTION)]


def word(text: str, left: int = 0, confidence: float = 0.9) -> list[Symbol]:
    """A word of letters ten pixels wide."""
    return [Symbol(letter, Box(left + 10 * at, 0, left + 10 * at + 9, 19), confidence) for at, letter in enumerate(text)]


def answer(blocks: Any, language: Language = Language("en", 1.0), *, confidences: bool = True) -> AnnotateImageResponse:  # noqa: B008 - immutable
    """The two fields for a picture of 500 by 500."""
    return AnnotateImageResponse(**annotation(blocks, (500, 500), language, confidences=confidences))


def breaks(response: AnnotateImageResponse) -> list[int]:
    """The break after each word."""
    return [
        item.symbols[-1].property.detected_break.type
        for page in response.full_text_annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for item in paragraph.words
    ]


def test_breaks_spell_the_text() -> None:
    """Words of a line are parted by SPACE, lines of a paragraph by EOL_SURE_SPACE, paragraphs by LINE_BREAK; nothing ends the text."""
    blocks = [[[[word("one"), word("two")], [word("three")]], [[word("four")]]], [[[word("five")]]]]
    response = answer(blocks)
    assert response.full_text_annotation.text == "one two\nthree\nfour\nfive"
    assert breaks(response) == [SPACE, EOL_SURE_SPACE, LINE_BREAK, LINE_BREAK, 0]
    check(response, (500, 500), DOCUMENT, ImageContext())


def test_words_without_spaces() -> None:
    """In a language that writes words together there is neither a break nor a blank between them."""
    response = answer([[[[word("毎日"), word("営業")]]]], Language("ja", 1.0, spaced=False))
    assert response.full_text_annotation.text == "毎日営業"
    assert [entry.description for entry in response.text_annotations] == ["毎日営業", "毎日", "営業"]


def test_the_same_line_twice() -> None:
    """Equal lines, even one object used twice, are told apart by their place."""
    line = [word("again")]
    assert answer([[[line, line]]]).full_text_annotation.text == "again\nagain"


def test_confidence_is_the_mean_of_the_parts() -> None:
    """A word is as sure as its letters on average, a page as its words; without confidences there are none."""
    blocks = [[[[word("ab", confidence=0.5), word("c", 20, confidence=1.0)]]]]
    page = answer(blocks).full_text_annotation.pages[0]
    assert [item.confidence for item in page.blocks[0].paragraphs[0].words] == [0.5, 1.0]
    assert page.confidence == page.blocks[0].confidence == page.blocks[0].paragraphs[0].confidence == 0.75
    bare = answer(blocks, confidences=False)
    check(bare, (500, 500), [Feature(type=Feature.TEXT_DETECTION)], ImageContext())
    assert bare.full_text_annotation.pages[0].property.detected_languages[0].confidence == 1


def test_no_text_is_no_answer() -> None:
    """Without blocks both fields are absent."""
    assert annotation([], (10, 10), Language("en", 1.0), confidences=True) == {}
    assert typeset([], (10, 10), Dice("")) == []


def test_combining_marks_stay_with_their_letter() -> None:
    """A symbol is what a reader sees as one."""
    assert letters("ก่อน") == ["ก่", "อ", "น"]
    assert letters("e\u0301a") == ["e\u0301", "a"]


words = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=8)
layouts = st.lists(
    st.lists(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3
)


@settings(deadline=None)
@given(strings=layouts, width=st.integers(1, 2000), height=st.integers(1, 2000), spaced=st.booleans(), sure=st.booleans())
def test_invented_text_is_sound_in_any_picture(
    strings: list[list[list[list[str]]]], width: int, height: int, spaced: bool, sure: bool
) -> None:
    """Whatever the words and the size: the tree nests inside the image, and both forms say the words in order."""
    size = (width, height)
    layout = typeset(strings, size, Dice("layout"))
    response = AnnotateImageResponse(**annotation(layout, size, Language("en", 0.9, spaced), confidences=sure))
    check(response, size, DOCUMENT if sure else [Feature(type=Feature.TEXT_DETECTION)], ImageContext())
    said = [text for block in strings for paragraph in block for line in paragraph for text in line]
    assert [entry.description for entry in response.text_annotations[1:]] == said


def test_letters_do_not_overlap_where_there_is_room() -> None:
    """In a picture of ordinary size each letter has its own box, left to right, and lines stand one under the other."""
    layout = typeset([[[["ab", "c"], ["d"]]]], (800, 600), Dice("roomy"))
    (paragraph,) = layout[0]
    first = [symbol.box for item in paragraph[0] for symbol in item]
    assert all(left.right < right.left for left, right in pairwise(first))
    assert first[0].bottom < paragraph[1][0][0].box.top


def test_a_wide_gap_is_a_sure_space() -> None:
    """As wide as a tabulator: spelled as a blank, but told apart."""
    near, far = word("near", 70), word("far", 170)
    response = answer([[[[word("left"), near, far]]]])
    assert breaks(response) == [SPACE, SURE_SPACE, 0]
    assert response.full_text_annotation.text == "left near far"


def test_paragraphs_may_have_languages_of_their_own() -> None:
    """Words have their paragraph's; the page has all, by their share of the letters, and the text the foremost's."""
    one, two = [[word("english")]], [[word("deutsch"), word("er", 300)]]
    response = AnnotateImageResponse(
        **annotation([[one, two]], (500, 500), lambda item: Language("en" if item is one else "de", 0.8), confidences=True)
    )
    page = response.full_text_annotation.pages[0]
    assert [(item.language_code, round(item.confidence, 2)) for item in page.property.detected_languages] == [("de", 0.45), ("en", 0.35)]
    said = [item.property.detected_languages[0].language_code for part in page.blocks[0].paragraphs for item in part.words]
    assert said == ["en", "de", "de"]
    assert response.text_annotations[0].locale == "de"


@settings(deadline=None)
@given(
    degrees=st.floats(-180, 180),
    x=st.integers(-300, 300),
    y=st.integers(-300, 300),
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
)
def test_a_turned_block_nests_inside_the_image(degrees: float, x: int, y: int, size: tuple[int, int]) -> None:
    """However it lies, even half outside: every polygon is inside its parent's extent and the image."""
    right = (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    region = Region([[[word("one"), word("two", 40)], [word("three")]]], Frame(x, y, right, (-right[1], right[0])))
    response = AnnotateImageResponse(**annotation([region], size, Language("en", 1.0), confidences=True))
    check(response, size, DOCUMENT, ImageContext())
    shares = AnnotateImageResponse(**annotation([region], size, Language("en", 1.0), confidences=True, of_page=True))
    poly = shares.full_text_annotation.pages[0].blocks[0].bounding_box
    assert all(0 <= share <= 1 for vertex in poly.normalized_vertices for share in (vertex.x, vertex.y))
