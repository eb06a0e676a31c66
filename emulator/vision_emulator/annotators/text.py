"""Text on an image: from words with their boxes to the two forms the API answers with, which always agree.

Who read the words does not matter here: a layout is blocks of paragraphs of lines of words. ``typeset`` makes one of
plain strings for text that was invented.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.geometry import UPRIGHT, Box, Frame, normalized_poly_within, poly_within

SPACE: Final = 1  # TextAnnotation.DetectedBreak.BreakType
SURE_SPACE: Final = 2
EOL_SURE_SPACE: Final = 3
LINE_BREAK: Final = 5
SPELLING_OF_BREAK: Final = {SPACE: " ", SURE_SPACE: " ", EOL_SURE_SPACE: "\n", LINE_BREAK: "\n"}
BLOCK_TYPE_TEXT: Final = 1
WIDE_GAP: Final = 2.0  # between words, in heights of the word before it: as wide as a tabulator, no mere space
UNDETERMINED: Final = "und"  # BCP-47 for a language that nobody determined


class Symbol(NamedTuple):
    """One written character, with combining marks."""

    text: str
    box: Box
    confidence: float


Word = Sequence[Symbol]
Line = Sequence[Word]
Paragraph = Sequence[Line]
Block = Sequence[Paragraph]


class Region(NamedTuple):
    """A block in coordinates of its own, and how these lie on the image."""

    block: Block
    frame: Frame = UPRIGHT


class Language(NamedTuple):
    """What the text is written in: a BCP-47 code, how sure that is, and whether its words stand apart."""

    code: str
    confidence: float
    spaced: bool = True


LanguageOf = Callable[[Paragraph], Language]


def annotation(
    blocks: Sequence[Block | Region],
    size: tuple[int, int],
    language: Language | LanguageOf,
    *,
    confidences: bool,
    of_page: bool = False,
) -> dict[str, Any]:
    """The fields ``text_annotations`` and ``full_text_annotation`` for a layout; an empty dict for no text.

    The text has no newline at its end, as the current model's. ``language`` is that of all the text, or says that of a paragraph.
    ``confidences`` says whether the tree carries them; a language always has its own. ``of_page`` gives the form that the API answers
    for pages of documents: polygons in shares of the page, none around symbols, and no ``text_annotations``.
    """
    if not blocks:
        return {}
    page = _Page(language, size, confidences=confidences, of_page=of_page)
    tree = [page.block(block if isinstance(block, Region) else Region(block)) for block in blocks]
    del tree[-1]["paragraphs"][-1]["words"][-1]["symbols"][-1]["property"]  # its break, which is also what was spelled last
    text = "".join(page.spelled[:-1])
    languages = page.languages()
    page_tree = page.rated({"property": _property(languages), "width": size[0], "height": size[1], "blocks": tree}, page.words)
    full_text = {"full_text_annotation": {"pages": [page_tree], "text": text}}
    if of_page:
        return full_text
    xs, ys = ([vertex[axis] for poly in page.polys for vertex in poly["vertices"]] for axis in "xy")
    around = Box(min(xs), min(ys), max(xs), max(ys)).poly()
    whole = {"locale": languages[0].code, "description": text, "bounding_poly": around}
    words = [{"description": word.text, "bounding_poly": poly} for word, poly in zip(page.words, page.polys, strict=True)]
    return {"text_annotations": [whole, *words], **full_text}


def _property(languages: Iterable[Language]) -> dict[str, Any]:
    return {"detected_languages": [{"language_code": language.code, "confidence": language.confidence} for language in languages]}


class _Page:
    """Builds the tree from the leaves up, and notes every word and the whole spelling on the way."""

    def __init__(self, language: Language | LanguageOf, size: tuple[int, int], *, confidences: bool, of_page: bool) -> None:
        self.words: list[Symbol] = []  # each as if it were one symbol
        self.polys: list[dict[str, Any]] = []  # around the words
        self.spelled: list[str] = []
        self._language_of: LanguageOf = (lambda _: language) if isinstance(language, Language) else language
        self._letters_in: dict[Language, int] = {}
        self._frame = UPRIGHT
        self._size = size
        self._confidences = confidences
        self._of_page = of_page

    def languages(self) -> list[Language]:
        """Those of the paragraphs, the one with most letters first; of several each is as sure as its share of the letters."""
        if len(self._letters_in) == 1:
            return list(self._letters_in)
        total = sum(self._letters_in.values())
        shares: dict[str, float] = {}
        for language, count in self._letters_in.items():
            shares[language.code] = shares.get(language.code, 0.0) + language.confidence * count / total
        return [Language(code, share) for code, share in sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))]

    def block(self, region: Region) -> dict[str, Any]:
        self._frame = region.frame
        first = len(self.words)
        paragraphs = [self._paragraph(paragraph) for paragraph in region.block]
        parts = self.words[first:]
        return self.rated(
            {"bounding_box": self._poly(Box.around(part.box for part in parts)), "paragraphs": paragraphs, "block_type": BLOCK_TYPE_TEXT},
            parts,
        )

    def _paragraph(self, paragraph: Paragraph) -> dict[str, Any]:
        first = len(self.words)
        language = self._language_of(paragraph)
        said = _property([language])
        words: list[dict[str, Any]] = []
        for row, line in enumerate(paragraph, 1):
            words += [self._word(word, said, _break_between(word, after, language)) for word, after in pairwise(line)]
            words.append(self._word(line[-1], said, EOL_SURE_SPACE if row < len(paragraph) else LINE_BREAK))
        parts = self.words[first:]
        self._letters_in[language] = self._letters_in.get(language, 0) + sum(len(part.text) for part in parts)
        return self.rated({"bounding_box": self._poly(Box.around(part.box for part in parts)), "words": words}, parts)

    def _word(self, word: Word, said: dict[str, Any], after: int) -> dict[str, Any]:
        whole = Symbol("".join(symbol.text for symbol in word), Box.around(symbol.box for symbol in word), _mean(word))
        poly = self._poly(whole.box)
        self.words.append(whole)
        self.polys.append(poly)
        self.spelled += (whole.text, SPELLING_OF_BREAK.get(after, ""))
        symbols = [self._symbol(symbol) for symbol in word]
        if after:
            symbols[-1]["property"] = {"detected_break": {"type": after}}
        return self.rated({"property": said, "bounding_box": poly, "symbols": symbols}, word)

    def _poly(self, box: Box) -> dict[str, Any]:
        if self._of_page:
            return normalized_poly_within(self._size, self._frame.corners(box))
        return box.poly() if self._frame is UPRIGHT else poly_within(self._size, self._frame.corners(box))

    def _symbol(self, symbol: Symbol) -> dict[str, Any]:
        node: dict[str, Any] = {"text": symbol.text}
        if not self._of_page:
            node["bounding_box"] = self._poly(symbol.box)
        if self._confidences:
            node["confidence"] = symbol.confidence
        return node

    def rated(self, node: dict[str, Any], parts: Sequence[Symbol]) -> dict[str, Any]:
        """The node with the mean confidence of what is in it, where confidences are wanted."""
        if self._confidences:
            node["confidence"] = _mean(parts)
        return node


def _break_between(word: Word, after: Word, language: Language) -> int:
    end, start = word[-1].box, after[0].box
    gap = max(start.left - end.right, end.left - start.right)  # the second from right to left
    if gap > WIDE_GAP * max(symbol.box.height for symbol in word):
        return SURE_SPACE
    return SPACE if language.spaced else 0


def _mean(parts: Sequence[Symbol]) -> float:
    """Of their confidences, summed exactly: sum() of floats differs between versions of Python."""
    return math.fsum(part.confidence for part in parts) / len(parts)


def letters(word: str) -> list[str]:
    """The word cut into what is one symbol each, as a reader sees it: a character with the marks on it, an emoji however it is put
    together, a syllable of Hangul, a conjunct of an Indic script.

    These are the extended grapheme clusters of Unicode's annex 29, without the rare characters that lean on the next one.
    """
    if word.isascii():
        return list(word)
    cut: list[str] = []
    for character in word:
        if cut and _belongs_to(cut[-1], character):
            cut[-1] += character
        else:
            cut.append(character)
    return cut


_JOINER: Final = "\u200d"  # of emoji; in Indic scripts it asks for a form
_SKINS: Final = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)
_TAGS: Final = range(0xE0020, 0xE0080)
_PICTURES: Final = (range(0x2190, 0x2C00), range(0x3030, 0x32A0), range(0x1F000, 0x1FB00))  # where emoji are
_SPACING_MARKS: Final = frozenset("\u0e33\u0eb3")  # Thai and Lao vowels that are letters to Unicode's categories
_LINKERS: Final = frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d")  # of Devanagari, Bengali, Gujarati, Odia, Telugu, Malayalam
_JAMO_BEHIND: Final = (range(0x1160, 0x1200), range(0xD7B0, 0xD7FC))  # vowels and final consonants of Hangul
_JAMO_BEFORE: Final = (range(0x1100, 0x1200), range(0xA960, 0xA97D), range(0xAC00, 0xD7FC))  # what these can follow
_JAMO_FIRST: Final = (range(0x1100, 0x1160), range(0xA960, 0xA97D))  # what another one and a whole syllable can follow


def _belongs_to(before: str, character: str) -> bool:
    """Whether a character is a part of the symbol in front of it."""
    code, last = ord(character), ord(before[-1])
    if unicodedata.category(character).startswith("M") or character in "\u200c\u200d" or character in _SPACING_MARKS:
        return True
    if code in _SKINS or code in _TAGS:
        return True
    if code in _FLAG_LETTERS:
        return len(before) == 1 and last in _FLAG_LETTERS
    if before[-1] == _JOINER and _is_among(code, _PICTURES):
        return _is_among(ord(before[0]), _PICTURES)
    if _is_among(code, _JAMO_BEHIND):
        return _is_among(last, _JAMO_BEFORE)
    if _is_among(code, _JAMO_FIRST) or 0xAC00 <= code <= 0xD7A3:
        return _is_among(last, _JAMO_FIRST)
    return _is_linked(before) and unicodedata.category(character) == "Lo" and code >> 7 == ord(before[0]) >> 7


def _is_linked(before: str) -> bool:
    """Whether the symbol ends in a sign that binds the next consonant to it."""
    end = before.rstrip(_JOINER)[-1:]
    return end in _LINKERS and unicodedata.category(before[0]) == "Lo"


def _is_among(code: int, ranges: Iterable[range]) -> bool:
    return any(code in one for one in ranges)


def cells(letter: str) -> int:
    """How many half squares a symbol takes: two of Chinese, Japanese, Korean and emoji, one of everything else."""
    return 2 if unicodedata.east_asian_width(letter[0]) in "WF" or letter.startswith(_FLAGS) else 1


_FLAGS: Final = tuple(chr(code) for code in _FLAG_LETTERS)


def typeset(
    texts: Iterable[Sequence[Sequence[Sequence[str]]]], size: tuple[int, int], dice: Dice, leftward: Collection[int] = ()
) -> list[Block]:
    """A layout of invented text inside an image: blocks of paragraphs of lines of words, set one under the other.

    The letters are twice as high as wide and as large as the image allows, down to a pixel; in an image too small for
    them boxes coincide, and still lie inside. The blocks of these numbers, from 0, are written from right to left: words and symbols
    stay in the order in which they are read, and each stands to the left of the one before.
    """
    blocks = [[[[letters(word) for word in line] for line in paragraph] for paragraph in block] for block in texts]
    lines = [line for block in blocks for paragraph in block for line in paragraph]
    if not lines:
        return []
    columns = max(sum(_width(word) + 1 for word in line) for line in lines)
    rows = len(lines) + len(blocks)  # an empty one after each block
    left, top = dice.between(0.05, 0.3) * size[0], dice.between(0.05, 0.3) * size[1]
    height = min(0.6 * size[1] / rows, 2 * 0.6 * size[0] / columns)
    setter = _Setter(size, left, top, height, dice)
    layout: list[Block] = []
    for number, block in enumerate(blocks):
        setter.mirrored = left + left + columns * height / 2 if number in leftward else None
        layout.append([[[setter.word(word) for word in line] for line in setter.lines(paragraph)] for paragraph in block])
        setter.feed()
    return layout


def _width(word: Iterable[str]) -> int:
    return sum(cells(letter) for letter in word)


class _Setter:
    """A typesetter's hand: where the next letter goes."""

    def __init__(self, size: tuple[int, int], left: float, top: float, height: float, dice: Dice) -> None:
        self.mirrored: float | None = None  # for lines from right to left: the sum of where a thing stands and where it would from the left
        self._size = size
        self._left = self._x = left
        self._y = top - height
        self._height = height
        self._dice = dice

    def feed(self) -> None:
        """Goes to the start of the next row."""
        self._x = self._left
        self._y += self._height

    def lines(self, paragraph: Sequence[Sequence[list[str]]]) -> Iterable[Sequence[list[str]]]:
        for line in paragraph:
            self.feed()
            yield line

    def word(self, word: list[str]) -> Word:
        start, width = self._x, _width(word) * self._height / 2
        self._x += width
        # In lines from right to left digits and words of other scripts run to the right all the same.
        backward = self.mirrored is not None and any(unicodedata.bidirectional(letter[0]) in ("R", "AL") for letter in word)
        at = start if self.mirrored is None else self.mirrored - start - (0 if backward else width)
        symbols = []
        for letter in word:
            step = cells(letter) * self._height / 2
            symbols.append(self._symbol(letter, at - step if backward else at, step))
            at += -step if backward else step
        self._x += self._height / 2
        return symbols

    def _symbol(self, letter: str, x: float, step: float) -> Symbol:
        box = Box.within(self._size, x, self._y, x + step - 0.05 * self._height, self._y + 0.8 * self._height)
        return Symbol(letter, box, self._dice.between(0.93, 0.9999))
