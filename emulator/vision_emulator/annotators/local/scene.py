"""Text in photographs, read by rapidocr: signs, labels, packages, lines that lie anyhow."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Picture, Settings
from vision_emulator.annotators.geometry import Box, Frame
from vision_emulator.annotators.local import language
from vision_emulator.annotators.local.ocr import CONFIDENCE_MIN, answer, in_size
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.text import Region, Symbol, letters
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LIBRARY: Final = "rapidocr"
# Of rapidocr. Its classifier of upside-down lines is off: it turns good lines over. One line at a time and a detector that sees no more
# than 1280 pixels take half the time and read as well; one thread each, since several pictures are looked at at once.
PARAMETERS: Final[dict[str, Any]] = {
    "Global.use_cls": False,
    "Global.log_level": "critical",
    "Global.return_word_box": True,
    "Global.return_single_char_box": True,
    "Det.limit_type": "max",
    "Det.limit_side_len": 1280,
    "Rec.rec_batch_num": 1,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
SIDE_MAX: Final = 4000  # pixels looked at: letters that are lost below that are lost to the detector anyway
STRIP_MAX: Final = 20  # times that one side may be as long as the other; rapidocr shrinks longer strips to nothing, so they are padded
SURE: Final = 0.8  # mean score of lines that stand the right way up; less is tried upside down, too
LEVEL_DEGREES: Final = 1.0  # that a line may lean and count as level: boxes stay upright
TOGETHER_DEGREES: Final = 10.0  # that lines of one block may differ
HEIGHTS_MAX: Final = 1.8  # times that one line of a block may be as high as another
GAP_MAX: Final = 0.9  # between lines of a block, in heights of the lower one
ROW_GAP_MAX: Final = 2.0  # between parts of one row, in their height
COLUMN_GAP_MIN: Final = 0.5  # between columns, in heights of a line

# Languages in scripts that rapidocr's model has no letters of: where a hint names one, whoever comes next reads.
_UNREADABLE: Final = """
    am ar as be bg bn bo chr dv dz el fa grc gu he hi hy iu iw ka kk km kn ko ky lo mk ml mn mr my ne or pa ps ru sa sd si sr syr ta te tg
    th ti ug uk ur yi
"""
UNREADABLE: Final = frozenset(_UNREADABLE.split())

Point = tuple[float, float]


class Scene(Part):
    """Answers TEXT_DETECTION by rapidocr, whose models come with it. They are loaded when first used, once for all servers."""

    name: ClassVar[str] = "scene"
    note: ClassVar[str] = "text in pixels is read by rapidocr"
    needs: ClassVar[str] = "rapidocr: pip install 'vision-emulator[ocr-scene]'"
    features = frozenset({Feature.TEXT_DETECTION})

    def __init__(self) -> None:
        self._languages = language.Languages()

    @classmethod
    def create(cls, settings: Settings) -> Self | None:  # noqa: ARG003 - it needs none
        """One where rapidocr is installed."""
        return cls() if find_spec(LIBRARY) else None

    def claims(self, picture: Picture, feature: int) -> bool:
        """Not where the first hint names a language whose letters the model does not know."""
        hint = next(iter(picture.inquiry.language_hints), "")
        return super().claims(picture, feature) and hint.partition("-")[0].lower() not in UNREADABLE

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """What stands on the picture, lines that belong together as blocks, each turned as its lines are."""
        import numpy as np

        image = picture.pixels
        factor = min(1.0, SIDE_MAX / max(image.size))
        if factor < 1:
            image = image.resize((max(1, int(image.width * factor)), max(1, int(image.height * factor))), reducing_gap=2.0)
        pixels = np.asarray(image)[:, :, ::-1]  # blue first, as OpenCV has it
        lacking = [max(0, max(image.size) // STRIP_MAX - side) for side in (image.height, image.width)]
        pixels = np.pad(pixels, [*((0, more) for more in lacking), (0, 0)], "edge")
        lines = _lines(pixels)
        whole = in_size(picture, image.size)
        regions = [Region(block.rows, whole.after(block.frame)) for block in laid_out(lines)]
        return answer(regions, picture, features, context, self._languages)


class SceneDocuments(Scene):
    """Answers DOCUMENT_TEXT_DETECTION as well, where nothing that knows the layout of pages is installed."""

    name: ClassVar[str] = "scene_documents"
    features = frozenset({Feature.DOCUMENT_TEXT_DETECTION})


# ---- reading ----


class _Reader:
    """Rapidocr, once in this process: half a gigabyte that several threads may use at a time."""

    _lock: ClassVar = threading.Lock()
    _made: ClassVar[Any] = None

    @classmethod
    def get(cls) -> Any:
        with cls._lock:
            if cls._made is None:
                import cv2
                from rapidocr import RapidOCR

                cv2.setNumThreads(1)
                made = RapidOCR(params=PARAMETERS)
                logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it says on the screen that it found nothing
                cls._made = made
            return cls._made


class Letter(NamedTuple):
    """A character where it stands: the corners of its quadrilateral, clockwise from its own top left."""

    text: str
    corners: Sequence[Point]
    confidence: float


class SceneLine(NamedTuple):
    """Words that stand in a row."""

    words: Sequence[Sequence[Letter]]
    degrees: float  # clockwise from level
    confidence: float


def _lines(pixels: npt.NDArray[np.uint8]) -> list[SceneLine]:
    """The lines of the picture; read upside down, too, when that might be how they stand."""
    import numpy as np

    lines = _recognized(pixels)
    if lines and _mean(line.confidence for line in lines) < SURE:
        again = _recognized(np.ascontiguousarray(pixels[::-1, ::-1]))
        if again and _mean(line.confidence for line in again) > _mean(line.confidence for line in lines):
            height, width = pixels.shape[:2]
            return [_over(line, width, height) for line in again]
    return lines


def _recognized(pixels: npt.NDArray[np.uint8]) -> list[SceneLine]:
    found = _Reader.get()(pixels)
    if found.txts is None:
        return []
    return [
        line
        for written, score, characters in zip(found.txts, found.scores, found.word_results, strict=True)
        if (line := _line(written, float(score), characters))
    ]


def _line(written: str, score: float, characters: Sequence[tuple[str, float, Any]]) -> SceneLine | None:
    """The line cut into words where it has blanks; rapidocr gives places to its other characters only."""
    words: list[list[Letter]] = [[]]
    placed = iter(characters)
    for letter in letters(written):
        if letter.isspace():
            words.append([])
            continue
        entry = next(placed, None)
        if entry is None:
            break
        corners = [(float(x), float(y)) for x, y in entry[2]]
        words[-1].append(Letter(letter, corners, max(CONFIDENCE_MIN, min(float(entry[1]), 1.0))))
    words = [word for word in words if word]
    return SceneLine(words, _degrees(words), score) if words else None


def _degrees(words: Sequence[Sequence[Letter]]) -> float:
    """How the line runs: from its first letter to its last, or along the top of a single one."""
    first, last = words[0][0].corners, words[-1][-1].corners
    start, end = (_centre(first), _centre(last)) if first is not last else (first[0], first[1])
    return math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return math.fsum(known) / len(known)


def _middle(values: Iterable[float]) -> float:
    """The one with as many below as above it. Not the module statistics: that loads a dozen others at every start."""
    known = sorted(values)
    return known[len(known) // 2]


def _centre(corners: Iterable[Point]) -> Point:
    xs, ys = zip(*corners, strict=True)
    return _mean(xs), _mean(ys)


def _over(line: SceneLine, width: int, height: int) -> SceneLine:
    """The line of a picture that was turned upside down, on the picture as it was."""
    words = [
        [letter._replace(corners=[(width - 1 - x, height - 1 - y) for x, y in letter.corners]) for letter in word] for word in line.words
    ]
    return SceneLine(words, _degrees(words), line.confidence)


# ---- layout ----


class SceneBlock(NamedTuple):
    """Lines that belong together, upright in their own frame."""

    rows: list[list[list[list[Symbol]]]]  # a Block: one paragraph of lines of words
    frame: Frame


class _Row(NamedTuple):
    box: Box
    words: list[list[Symbol]]


def laid_out(lines: Sequence[SceneLine]) -> list[SceneBlock]:
    """Blocks in reading order; lines that run in another direction are blocks of their own, and come after the main ones."""
    blocks: list[SceneBlock] = []
    left = sorted(lines, key=lambda line: -sum(map(len, line.words)))
    while left:
        degrees = left[0].degrees
        alike = [line for line in left if abs((line.degrees - degrees + 180) % 360 - 180) <= TOGETHER_DEGREES]
        left = [line for line in left if line not in alike]
        degrees = _middle(line.degrees for line in alike) if abs(degrees) < 180 - TOGETHER_DEGREES else degrees
        blocks += _blocks(alike, 0.0 if abs(degrees) < LEVEL_DEGREES else degrees)
    return blocks


def _blocks(lines: Sequence[SceneLine], degrees: float) -> list[SceneBlock]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    frame = Frame(right=(cosine, sine), down=(-sine, cosine))
    rows = _rows([_row(line, cosine, sine) for line in lines])
    groups: list[list[_Row]] = []
    for row in sorted(rows, key=lambda row: row.box.top):
        joined = [group for group in groups if any(_continues(above.box, row.box) for above in group)]
        groups = [group for group in groups if group not in joined] + [[*(above for group in joined for above in group), row]]
    boxes = {id(group): Box.around(row.box for row in group) for group in groups}
    ordered = _in_reading_order([(boxes[id(group)], group) for group in groups], _middle(row.box.height for row in rows))
    return [SceneBlock([[row.words for row in sorted(group, key=lambda row: row.box.top)]], frame) for group in ordered]


def _row(line: SceneLine, cosine: float, sine: float) -> _Row:
    words = [[_symbol(letter, cosine, sine) for letter in word] for word in line.words]
    return _Row(Box.around(symbol.box for word in words for symbol in word), words)


def _symbol(letter: Letter, cosine: float, sine: float) -> Symbol:
    across = [x * cosine + y * sine for x, y in letter.corners]
    down = [y * cosine - x * sine for x, y in letter.corners]
    return Symbol(letter.text, Box(round(min(across)), round(min(down)), round(max(across)), round(max(down))), letter.confidence)


def _rows(rows: list[_Row]) -> list[_Row]:
    """Parts of one row, which the detector sees apart, joined from left to right."""
    joined: list[_Row] = []
    for row in sorted(rows, key=lambda row: row.box.left):
        for place, before in enumerate(joined):
            if _beside(before.box, row.box):
                joined[place] = _Row(Box.around((before.box, row.box)), [*before.words, *row.words])
                break
        else:
            joined.append(row)
    return joined


def _beside(left: Box, right: Box) -> bool:
    lower, higher = sorted((left.height, right.height))
    shared = min(left.bottom, right.bottom) - max(left.top, right.top)
    return higher < HEIGHTS_MAX * lower and shared > 0.5 * lower and -lower < right.left - left.right < ROW_GAP_MAX * lower


def _continues(above: Box, below: Box) -> bool:
    lower, higher = sorted((above.height, below.height))
    shared = min(above.right, below.right) - max(above.left, below.left)
    return higher < HEIGHTS_MAX * lower and shared > 0 and below.top - above.bottom < GAP_MAX * below.height


def _in_reading_order(boxes: list[tuple[Box, list[_Row]]], line_height: float) -> list[list[_Row]]:
    """Columns from left to right where there is a clear gap between them, else what is above before what is below."""
    if len(boxes) <= 1:
        return [group for _, group in boxes]
    for axis, gap in ((0, COLUMN_GAP_MIN * line_height), (1, 0.0)):
        first, rest = _cut(boxes, axis, gap)
        if rest:
            return [*_in_reading_order(first, line_height), *_in_reading_order(rest, line_height)]
    return [group for _, group in sorted(boxes, key=lambda entry: (entry[0].top, entry[0].left))]


def _cut(boxes: list[tuple[Box, list[_Row]]], axis: int, gap: float) -> tuple[list[Any], list[Any]]:
    """The boxes before and after the first straight line that cuts none of them, at least so far from either side's."""
    ordered = sorted(boxes, key=lambda entry: entry[0][axis])
    end = -math.inf
    for place, (before, after) in enumerate(pairwise(ordered), 1):
        end = max(end, before[0][axis + 2])
        if after[0][axis] - end > gap:
            return ordered[:place], ordered[place:]
    return ordered, []
