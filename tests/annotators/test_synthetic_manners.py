"""The synthetic annotator as its settings make it: so many of everything, any script, text that lies askew."""

from __future__ import annotations

import asyncio
import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from invariants import check
from PIL import Image

from vision_emulator.annotators import Picture, Settings, SettingsError, load, vocabulary
from vision_emulator.annotators.synthetic import DENSITY_MAX, Manner, Synthetic
from vision_emulator.annotators.text import cells, letters
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

ALL_TYPES = [kind for kind in Feature.Type.values() if kind]
PAGE = [Feature.DOCUMENT_TEXT_DETECTION]


def painted(width: int = 640, height: int = 480, color: tuple[int, int, int] = (20, 130, 40)) -> Picture:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return Picture(file.getvalue())


def ask(
    manner: Manner,
    picture: Picture | None = None,
    kinds: Sequence[int] = PAGE,
    *,
    seed: int = 0,
    max_results: int = 0,
    hints: Sequence[str] = (),
) -> AnnotateImageResponse:
    """The answer of a fresh annotator, which keeps every invariant."""
    picture = picture or painted()
    features = [Feature(type=kind, max_results=max_results) for kind in kinds]
    context = ImageContext(language_hints=hints)
    response = asyncio.run(Synthetic(seed, manner=manner).annotate(picture, features, context))
    check(response, picture.size, features, context)
    return response


def words(response: AnnotateImageResponse) -> list[Any]:
    return [
        word
        for page in response.full_text_annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
    ]


LONGEST_SIGN = 80  # words

sides = st.one_of(st.integers(1, 80), st.integers(81, 3000))


@hypothesis_settings(max_examples=120, deadline=None)
@given(
    width=sides,
    height=sides,
    density=st.one_of(st.just(0), st.integers(1, 60)),
    scripts=st.lists(st.sampled_from([*vocabulary.SCRIPTS]), max_size=4),
    rotated=st.sampled_from([0.0, 0.5, 1.0]),
    kinds=st.lists(st.sampled_from(ALL_TYPES), unique=True),
    max_results=st.integers(-1, 80),
    hints=st.lists(st.sampled_from(["ar", "he", "iw-IL", "ja", "hi", "th", "vi", "zh-Hant-TW", "en", "xx", ""]), max_size=2),
    seed=st.integers(0, 100),
)
def test_every_manner_is_sound(
    width: int,
    height: int,
    density: int,
    scripts: list[str],
    rotated: float,
    kinds: list[int],
    max_results: int,
    hints: list[str],
    seed: int,
) -> None:
    """However much there is, whatever it is written in and however it lies, in a picture down to one pixel: every invariant holds."""
    manner = Manner(density, tuple(scripts), rotated)
    ask(manner, painted(width, height), kinds, seed=seed, max_results=max_results, hints=hints)


@pytest.mark.parametrize("density", [1, 40, 700])
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (3, 900)])
def test_density_is_at_least_so_many_of_everything(density: int, size: tuple[int, int]) -> None:
    """Every picture, however small, has so many words, labels, objects, faces, logos and web entities; maxResults decides how many
    are answered, and never cuts text."""
    response = ask(Manner(density), painted(*size), ALL_TYPES, max_results=density)
    lists = (
        response.label_annotations,
        response.localized_object_annotations,
        response.face_annotations,
        response.logo_annotations,
        response.web_detection.web_entities,
    )
    assert [len(entries) for entries in lists] == [density] * len(lists)
    assert density < len(response.text_annotations) < density + LONGEST_SIGN
    few = ask(Manner(density), painted(*size), ALL_TYPES, max_results=1)
    assert len(few.face_annotations) == len(few.label_annotations) == 1
    assert few.text_annotations == response.text_annotations


def test_thousands_of_names_are_different_things() -> None:
    """At the greatest density no two labels share a name or an id."""
    response = ask(Manner(DENSITY_MAX), kinds=[Feature.LABEL_DETECTION], max_results=DENSITY_MAX)
    assert len({label.description for label in response.label_annotations}) == DENSITY_MAX
    assert len({label.mid for label in response.label_annotations}) == DENSITY_MAX


def test_a_crowd_stands_in_rows() -> None:
    """Many faces have room of their own: no two heads overlap in a picture that is large enough."""
    faces = ask(Manner(200), painted(2000, 1500), [Feature.FACE_DETECTION], max_results=200).face_annotations
    heads = [[(vertex.x, vertex.y) for vertex in face.bounding_poly.vertices] for face in faces]
    boxes = [(*corners[0], *corners[2]) for corners in heads]
    assert all(right - left > 35 for left, _, right, _ in boxes)
    for number, one in enumerate(boxes):
        assert not any(one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3] for other in boxes[:number])


def test_dense_text_stands_in_columns() -> None:
    """A thousand words are legible in a large picture: lines do not run into each other."""
    response = ask(Manner(1000), painted(3000, 2000))
    heights = [word.bounding_box.vertices[2].y - word.bounding_box.vertices[0].y for word in words(response)]
    assert min(heights) >= 5
    assert len({word.bounding_box.vertices[0].x for word in words(response)}) > 20


def test_same_seed_same_bytes() -> None:
    """Whatever the manner: the same picture and seed give the same answer, another seed another."""
    manner = Manner(30, ("arabic", "emoji"), 0.5)
    one, two = (ask(manner, kinds=ALL_TYPES).SerializeToString(deterministic=True) for _ in range(2))
    assert one == two
    assert one != ask(manner, kinds=ALL_TYPES, seed=1).SerializeToString(deterministic=True)


SCRIPT_NAMES = {
    "latin": "LATIN",
    "cyrillic": "CYRILLIC",
    "greek": "GREEK",
    "arabic": "ARABIC",
    "hebrew": "HEBREW",
    "devanagari": "DEVANAGARI",
    "bengali": "BENGALI",
    "tamil": "TAMIL",
    "thai": "THAI",
}


@pytest.mark.parametrize("script", vocabulary.SCRIPTS)
def test_a_script_is_what_all_text_is_written_in(script: str) -> None:
    """With one script set, each picture has text, all of it in that script, and one that a parser of the wire gets back as it was."""
    for seed in range(8):
        response = ask(Manner(scripts=(script,)), seed=seed)
        written = response.full_text_annotation.text
        assert AnnotateImageResponse.FromString(response.SerializeToString()).full_text_annotation.text == written
        codes = {code for code, _ in vocabulary.SCRIPTS[script]}
        assert {language.language_code for word in words(response) for language in word.property.detected_languages} <= codes
        names = {unicodedata.name(character).split()[0] for character in written if character.isalpha()}
        if script in SCRIPT_NAMES:
            assert names == {SCRIPT_NAMES[script]}
        elif script == "cjk":
            assert names <= {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}


def test_several_scripts_share_a_picture() -> None:
    """Each of them has a block, and a language of its own; the page names all, and they add up to no more than certainty."""
    response = ask(Manner(scripts=("arabic", "cjk", "thai", "emoji")))
    (page,) = response.full_text_annotation.pages
    per_block = [block.paragraphs[0].words[0].property.detected_languages[0].language_code for block in page.blocks]
    assert per_block[0] in ("ar", "fa")
    assert per_block[1] in ("ja", "zh", "ko")
    assert per_block[2:] == ["th", "en"]
    assert {language.language_code for language in page.property.detected_languages} == set(per_block)
    assert sum(language.confidence for language in page.property.detected_languages) <= 1


def test_a_hint_wins_over_the_scripts() -> None:
    """What the client says its picture is written in, it is."""
    response = ask(Manner(scripts=("thai",)), hints=["ru"])
    assert response.text_annotations[0].locale == "ru"


def test_hebrew_is_answered_as_iw() -> None:
    """Either code asks for it; the answer has the one that was recorded."""
    for hint in ("he", "iw", "he-IL"):
        assert ask(Manner(1), hints=[hint]).text_annotations[0].locale == "iw"


@pytest.mark.parametrize("code", sorted(vocabulary.LEFTWARD))
def test_leftward_text_is_in_reading_order_with_boxes_from_the_right(code: str) -> None:
    """Words and symbols come as they are read; each stands to the left of the one before, digits alone run to the right; polygons begin
    at their top left all the same."""
    response = ask(Manner(60), painted(2000, 1500), hints=[code])
    digits = 0
    for block in response.full_text_annotation.pages[0].blocks:
        for paragraph in block.paragraphs:
            for word, after in pairwise(paragraph.words):
                if word.symbols[-1].property.detected_break.type == 1:
                    height = word.bounding_box.vertices[3].y - word.bounding_box.vertices[0].y
                    assert word.bounding_box.vertices[0].x - after.bounding_box.vertices[1].x > 0.4 * height  # a blank's width apart
            for word in paragraph.words:
                lefts = [symbol.bounding_box.vertices[0].x for symbol in word.symbols]
                runs_left = any(unicodedata.bidirectional(symbol.text[0]) in ("R", "AL") for symbol in word.symbols)
                digits += not runs_left and len(lefts) > 1
                assert lefts == sorted(lefts, reverse=runs_left)
                box = word.bounding_box.vertices
                assert box[0].x <= box[1].x
                assert box[0].y <= box[3].y
    assert digits or code == "ta"


@pytest.mark.parametrize("code", sorted(vocabulary.UNSPACED))
def test_words_without_spaces_between(code: str) -> None:
    """Chinese, Japanese and Thai have words and no breaks inside a line; Korean has both."""
    spaced = ask(Manner(60), hints=["ko"]).full_text_annotation.text
    assert " " in spaced
    response = ask(Manner(60), hints=[code])
    assert " " not in response.full_text_annotation.text
    assert any(not word.symbols[-1].property.detected_break.type for word in words(response)[:-1])


SYMBOLS = {
    "one with marks": ("e\u0301a\u0308\u0304b", ["e\u0301", "a\u0308\u0304", "b"]),
    "a family": ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", ["👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"]),
    "a skin and a variant": ("🙏🏽❤️x", ["🙏🏽", "❤️", "x"]),
    "flags": ("🇫🇷🇯🇵🇧", ["🇫🇷", "🇯🇵", "🇧"]),
    "a flag of tags": ("🏴\U000e0067\U000e0062\U000e007f!", ["🏴\U000e0067\U000e0062\U000e007f", "!"]),
    "keycaps": ("1️⃣2️⃣", ["1️⃣", "2️⃣"]),
    "hangul in parts": ("\u1112\u1161\u11ab\u1100\u1173\u11af", ["\u1112\u1161\u11ab", "\u1100\u1173\u11af"]),
    "hangul": ("한국", ["한", "국"]),
    "a conjunct": ("क्षत्रिय", ["क्ष", "त्रि", "य"]),
    "tamil, which has none": ("க்க", ["க்", "க"]),
    "thai am": ("น้ำ", ["น้ำ"]),
    "a joiner between arabic letters": ("می\u200cشود", ["م", "ی\u200c", "ش", "و", "د"]),
    "plain": ("a-b", ["a", "-", "b"]),
}


@pytest.mark.parametrize("case", SYMBOLS)
def test_a_symbol_is_what_a_reader_sees_as_one(case: str) -> None:
    """Marks, emoji, flags, syllables and conjuncts are one symbol each, as Unicode's grapheme clusters are."""
    written, symbols = SYMBOLS[case]
    assert letters(written) == symbols


def test_wide_symbols_are_squares() -> None:
    """Chinese letters and emoji take the room of two Latin ones."""
    assert [cells(letter) for letter in ("a", "語", "한", "🎉", "🇫🇷", "e\u0301")] == [1, 2, 2, 2, 2, 1]
    response = ask(Manner(30), painted(2000, 1500), hints=["ja"])
    box = words(response)[0].symbols[0].bounding_box.vertices
    assert 1 <= (box[2].x - box[0].x) / (box[2].y - box[0].y) < 1.4


def directions(response: AnnotateImageResponse) -> list[tuple[int, int]]:
    """Which way each word runs: from its first vertex to its second."""
    boxes = [word.bounding_box.vertices for word in words(response)]
    return [(box[1].x - box[0].x, box[1].y - box[0].y) for box in boxes]


def test_rotated_text_runs_every_way() -> None:
    """Over some pictures words run right, down, left, up and askew; the first vertex is where the text's own top left is, and a symbol
    that comes later lies further in the word's direction."""
    seen: Counter[str] = Counter()
    for seed in range(12):
        response = ask(Manner(rotated=1.0, scripts=("latin",)), painted(1500, 1500), seed=seed)
        for word, (across, down) in zip(words(response), directions(response), strict=True):
            kind = "odd" if across and down else "right" if across > 0 else "left" if across < 0 else "down" if down > 0 else "up"
            seen[kind] += 1
            along = [vertex.x * across + vertex.y * down for vertex in (symbol.bounding_box.vertices[0] for symbol in word.symbols)]
            assert along == sorted(along)
            (x0, y0), (x3, y3) = ((word.bounding_box.vertices[at].x, word.bounding_box.vertices[at].y) for at in (0, 3))
            assert across * (y3 - y0) - down * (x3 - x0) > 0  # the letters' feet are at the right hand of who walks along
    assert seen.keys() == {"odd", "down", "left", "up"}


def test_a_share_of_pictures_is_rotated() -> None:
    """Half of them is half of them, and none is none."""

    def turned(share: float) -> int:
        answers = [ask(Manner(rotated=share, scripts=("latin",)), painted(800, 800), seed=seed) for seed in range(60)]
        return sum(any(down or across < 0 for across, down in directions(answer)) for answer in answers)

    assert turned(0.0) == 0
    assert 15 <= turned(0.5) <= 45
    assert turned(1.0) == 60


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"density": -1}, "density is -1; use 0 to 10000"),
        ({"density": "many"}, "density is 'many'; use 0 to 10000"),
        ({"density": True}, "density is True; use 0 to 10000"),
        ({"scripts": ["arabik"]}, "scripts: 'arabik' is none; did you mean arabic?"),
        ({"scripts": ["runes"]}, "scripts: 'runes' is none; there are latin, cyrillic, "),
        ({"scripts": 3}, "scripts is 3; use a list"),
        ({"rotated": 2}, "rotated is 2; use true, false, or the share of pictures"),
        ({"rotated": "yes"}, "rotated is 'yes'; use true, false, or the share of pictures"),
        ({"dense": 2}, "settings.synthetic.dense is no setting; did you mean density?"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(table: dict[str, Any], said: str) -> None:
    """A slip is named before the first call, with what would do."""
    with pytest.raises(SettingsError) as refused:
        load(["synthetic"], Settings(), {"synthetic": table})
    assert said in str(refused.value)


def test_settings_are_taken() -> None:
    """One script may stand without a list, and true is every picture."""
    assert Manner.of(Settings(table={"density": 7, "scripts": "cjk", "rotated": True})) == Manner(7, ("cjk",), 1.0)
    assert Manner.of(Settings()) == Manner()
