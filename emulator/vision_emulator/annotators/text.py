"""Text on an image: from words with their boxes to the two forms the API answers with, which always agree.

Who read the words does not matter here: a layout is blocks of paragraphs of lines of words. ``typeset`` makes one of
plain strings for text that was invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.geometry import Box

SPACE: Final = 1  # TextAnnotation.DetectedBreak.BreakType
EOL_SURE_SPACE: Final = 3
LINE_BREAK: Final = 5
SPELLING_OF_BREAK: Final = {SPACE: " ", EOL_SURE_SPACE: "\n", LINE_BREAK: "\n"}
BLOCK_TYPE_TEXT: Final = 1


class Symbol(NamedTuple):
    """One written character, with combining marks."""

    text: str
    box: Box
    confidence: float


Word = Sequence[Symbol]
Line = Sequence[Word]
Paragraph = Sequence[Line]
Block = Sequence[Paragraph]


class Language(NamedTuple):
    """What the text is written in: a BCP-47 code, how sure that is, and whether its words stand apart."""

    code: str
    confidence: float
    spaced: bool = True


def annotation(blocks: Sequence[Block], size: tuple[int, int], language: Language, *, confidences: bool) -> dict[str, Any]:
    """The fields ``text_annotations`` and ``full_text_annotation`` for a layout; an empty dict for no text.

    The text has no newline at its end, as the current model's. ``confidences`` says whether the tree carries them;
    a language always has its own.
    """
    if not blocks:
        return {}
    page = _Page(language, confidences, last=blocks[-1][-1][-1][-1])
    tree = [page.block(block) for block in blocks]
    text = "".join(page.spelled)
    whole = {"locale": language.code, "description": text, "bounding_poly": Box.around(box for _, box in page.words).poly()}
    words = [{"description": word, "bounding_poly": box.poly()} for word, box in page.words]
    page_tree = page.rated({"property": page.languages, "width": size[0], "height": size[1], "blocks": tree}, page.sureness)
    return {"text_annotations": [whole, *words], "full_text_annotation": {"pages": [page_tree], "text": text}}


class _Page:
    """Builds the tree from the leaves up, and notes every word and the whole spelling on the way."""

    def __init__(self, language: Language, confidences: bool, last: Word) -> None:
        self.languages = {"detected_languages": [{"language_code": language.code, "confidence": language.confidence}]}
        self.words: list[tuple[str, Box]] = []
        self.spelled: list[str] = []
        self.sureness: list[float] = []
        self._between_words = SPACE if language.spaced else 0
        self._confidences = confidences
        self._last = last

    def block(self, block: Block) -> dict[str, Any]:
        first = len(self.words)
        sure = len(self.sureness)
        paragraphs = [self._paragraph(paragraph) for paragraph in block]
        box = Box.around(box for _, box in self.words[first:])
        return self.rated({"bounding_box": box.poly(), "paragraphs": paragraphs, "block_type": BLOCK_TYPE_TEXT}, self.sureness[sure:])

    def _paragraph(self, paragraph: Paragraph) -> dict[str, Any]:
        first = len(self.words)
        sure = len(self.sureness)
        words = []
        for line in paragraph:
            for word in line:
                if word is not line[-1]:
                    after = self._between_words
                elif line is not paragraph[-1]:
                    after = EOL_SURE_SPACE
                else:
                    after = LINE_BREAK
                words.append(self._word(word, 0 if word is self._last else after))
        box = Box.around(box for _, box in self.words[first:])
        return self.rated({"bounding_box": box.poly(), "words": words}, self.sureness[sure:])

    def _word(self, word: Word, after: int) -> dict[str, Any]:
        text = "".join(symbol.text for symbol in word)
        box = Box.around(symbol.box for symbol in word)
        sure = [symbol.confidence for symbol in word]
        self.words.append((text, box))
        self.spelled += (text, SPELLING_OF_BREAK.get(after, ""))
        self.sureness.append(sum(sure) / len(sure))
        symbols = [self.rated({"bounding_box": symbol.box.poly(), "text": symbol.text}, [symbol.confidence]) for symbol in word]
        if after:
            symbols[-1]["property"] = {"detected_break": {"type": after}}
        return self.rated({"property": self.languages, "bounding_box": box.poly(), "symbols": symbols}, sure)

    def rated(self, node: dict[str, Any], sureness: Sequence[float]) -> dict[str, Any]:
        """The node with the mean confidence of what is in it, where confidences are wanted."""
        if self._confidences:
            node["confidence"] = sum(sureness) / len(sureness)
        return node


def typeset(texts: Iterable[Sequence[Sequence[Sequence[str]]]], size: tuple[int, int], dice: Dice) -> list[Block]:
    """A layout of invented text inside an image: blocks of paragraphs of lines of words, set one under the other.

    The letters are twice as high as wide and as large as the image allows, down to a pixel; in an image too small for
    them boxes coincide, and still lie inside.
    """
    blocks = [list(block) for block in texts]
    lines = [line for block in blocks for paragraph in block for line in paragraph]
    if not lines:
        return []
    columns = max(sum(len(word) + 1 for word in line) for line in lines)
    rows = len(lines) + len(blocks)  # an empty one after each block
    left, top = dice.between(0.05, 0.3) * size[0], dice.between(0.05, 0.3) * size[1]
    height = min(0.6 * size[1] / rows, 2 * 0.6 * size[0] / columns)
    setter = _Setter(size, left, top, height, dice)
    layout: list[Block] = []
    for block in blocks:
        layout.append([[[setter.word(word) for word in line] for line in setter.lines(paragraph)] for paragraph in block])
        setter.feed()
    return layout


class _Setter:
    """A typesetter's hand: where the next letter goes."""

    def __init__(self, size: tuple[int, int], left: float, top: float, height: float, dice: Dice) -> None:
        self._size = size
        self._left = self._x = left
        self._y = top - height
        self._height = height
        self._dice = dice

    def feed(self) -> None:
        """Goes to the start of the next row."""
        self._x = self._left
        self._y += self._height

    def lines(self, paragraph: Sequence[Sequence[str]]) -> Iterable[Sequence[str]]:
        for line in paragraph:
            self.feed()
            yield line

    def word(self, word: str) -> Word:
        symbols = [self._symbol(letter) for letter in word]
        self._x += self._height / 2
        return symbols

    def _symbol(self, letter: str) -> Symbol:
        x, step = self._x, self._height / 2
        self._x += step
        box = Box.within(self._size, x, self._y, x + 0.9 * step, self._y + 0.8 * self._height)
        return Symbol(letter, box, self._dice.between(0.93, 0.9999))
