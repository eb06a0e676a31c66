"""Text in pixels, read by tesseract: pages, screenshots, anything with lines of print."""

from __future__ import annotations

import html
import logging
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Picture, Settings, SettingsError, text
from vision_emulator.annotators.geometry import UPRIGHT, Box, Frame
from vision_emulator.annotators.local import language, skew
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.local.skew import Turn
from vision_emulator.annotators.text import Block, Region, Symbol
from vision_emulator.contract import errors
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import PIL.Image
    import tesserocr

log = logging.getLogger(__name__)

READING: Final = frozenset({Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION})
PAGE: Final = "PDF"  # PictureHeader.format of a page that is drawn larger than its ``size``

TESSDATA: Final = (  # where Debian, Fedora, Arch, Homebrew and MacPorts keep it
    "/usr/share/tesseract-ocr/*/tessdata",
    "/usr/share/tessdata",
    "/usr/share/tesseract/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
    "/opt/local/share/tessdata",
)
NO_LANGUAGES: Final = frozenset({"osd", "equ"})  # packs that read nothing
ENGLISH: Final = "eng"
PACKS_MAX: Final = 4  # read with at once: each costs its time again
ENGINES_MAX: Final = 8  # kept, of 40 MB each
PIXELS_MAX: Final = 20_000_000  # looked at: a page at 450 dots per inch; more is shrunk
SIDE_MAX: Final = 32_767  # pixels; tesseract refuses longer ones
SECONDS_MAX: Final = 120  # for one reading
DOTS_PER_INCH: Final = 200
CONFIDENT: Final = 0.7  # mean confidence of a page that stands the right way up; upside down 0.4 was measured
WORD_CONFIDENCE_MIN: Final = 0.2  # less sure words are specks and edges
CONFIDENCE_MIN: Final = 0.01  # of a symbol: tesseract's 0 would mean on the wire that nobody knows


class Ocr(Part):
    """Answers TEXT_DETECTION and DOCUMENT_TEXT_DETECTION by tesseract, of pages turned and askew as of level ones.

    Settings: ``tessdata``, the folder with tesseract's packs, and ``languages``, those to read with where no hint names others.
    """

    name: ClassVar[str] = "ocr"
    note: ClassVar[str] = "text in pixels is read by tesseract"
    needs: ClassVar[str] = "tesserocr and tesseract's packs: pip install 'vision-emulator[ocr]' (Debian: apt install tesseract-ocr-eng)"
    features = READING
    settings_known: ClassVar[frozenset[str]] = frozenset({"tessdata", "languages"})

    def __init__(self, folder: Path, installed: Sequence[str], languages: Sequence[str]) -> None:
        self._engines = _Engines(folder)
        self._installed = frozenset(installed)
        self._default = tuple(languages)
        self._languages = language.Languages()

    @classmethod
    def create(cls, settings: Settings) -> Self | None:
        """One where tesserocr and tesseract's packs are installed; SettingsError when what the settings name is not."""
        asked = {key: settings.table[key] for key in ("tessdata", "languages") if key in settings.table}
        if find_spec("tesserocr") is None:
            if asked:
                raise SettingsError(f"{' and '.join(asked)} need tesserocr: pip install 'vision-emulator[ocr]'")
            return None
        folder = _folder(asked.get("tessdata"))
        if folder is None:
            if asked:
                raise SettingsError("languages: no tessdata was found; install tesseract's packs (Debian: apt install tesseract-ocr-eng)")
            log.warning("tesserocr is installed, but no tessdata: text in pixels is not read (Debian: apt install tesseract-ocr-eng)")
            return None
        installed = _packs(folder)
        part = cls(folder, installed, _languages(asked.get("languages"), installed, folder))
        if asked:
            part.check()
        return part

    def check(self) -> None:
        """SettingsError when the packs that it reads with do not load."""
        try:
            with self._engines.one(self._default):
                return
        except RuntimeError as broken:
            raise SettingsError(f"languages: tesseract cannot load {'+'.join(self._default)}: {broken}") from broken

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """What stands on the picture, as a tree of blocks, paragraphs, words and symbols; nothing for a picture without text."""
        turn = _prepared(picture)
        with self._engines.one(self._packs_for(context.language_hints)) as engine:
            regions = _read(skew.straightened(turn), engine)
        return answer(regions, picture, features, context, self._languages)

    def _packs_for(self, hints: Sequence[str]) -> tuple[str, ...]:
        """Those of the hints that are installed, else the default ones."""
        wished = dict.fromkeys(map(language.pack, hints))
        return tuple(pack for pack in wished if pack in self._installed)[:PACKS_MAX] or self._default

    async def close(self) -> None:
        self._engines.close()


def answer(
    regions: Sequence[Region], picture: Picture, features: Sequence[Feature], context: ImageContext, languages: language.Languages
) -> AnnotateImageResponse:
    """The fields of text detection for what was read."""
    confidences = context.text_detection_params.enable_text_detection_confidence_score or any(
        feature.type == Feature.DOCUMENT_TEXT_DETECTION for feature in features
    )
    language_of = languages.of([paragraph for region in regions for paragraph in region.block], context.language_hints)
    of_page = picture.header.format == PAGE
    return AnnotateImageResponse(**text.annotation(regions, picture.size, language_of, confidences=confidences, of_page=of_page))


def tessdata() -> Path | None:
    """The folder with tesseract's packs, where systems keep it; None where there are none."""
    for pattern in TESSDATA:
        found = sorted(Path("/").glob(pattern.removeprefix("/")), reverse=True)  # the newest version
        if found and _packs(found[0]):
            return found[0]
    return None


def _folder(asked: Any) -> Path | None:
    if asked is None:
        return tessdata()
    if not isinstance(asked, str) or not _packs(Path(asked)):
        raise SettingsError(f"tessdata: there are no packs in {asked!r}; name the folder with eng.traineddata")
    return Path(asked)


def _packs(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.traineddata") if path.stem not in NO_LANGUAGES)


def _languages(asked: Any, installed: Sequence[str], folder: Path) -> list[str]:
    """What to read with: what the settings name, packs or BCP-47 codes; else English or, where that is missing, the first pack."""
    if asked is None:
        return [ENGLISH if ENGLISH in installed else installed[0]]
    wished = [name.strip() for name in asked.split(",")] if isinstance(asked, str) else asked
    if not isinstance(wished, list | tuple) or not wished or not all(isinstance(name, str) for name in wished):
        raise SettingsError(f"languages: {asked!r} is no list of languages; write it as ['eng', 'deu']")
    packs = [name if name in installed else language.pack(name) for name in wished]
    for name, pack in zip(wished, packs, strict=True):
        if pack not in installed:
            package = f"tesseract-ocr-{(pack or name).replace('_', '-')}"
            raise SettingsError(
                f"languages: {name!r} is not installed in {folder}; there are {', '.join(installed)} (Debian: apt install {package})"
            )
    return packs[:PACKS_MAX]


# ---- reading ----


def _prepared(picture: Picture) -> Turn:
    """The picture in grey, no larger than tesseract takes, framed in the picture's own ``size``."""
    grey = picture.pixels.convert("L")
    factor = min(1.0, math.sqrt(PIXELS_MAX / (grey.width * grey.height)), SIDE_MAX / max(grey.size))
    if factor < 1:
        grey = grey.resize((max(1, int(grey.width * factor)), max(1, int(grey.height * factor))), reducing_gap=2.0)
    return Turn(grey, in_size(picture, grey.size))


def in_size(picture: Picture, size: tuple[int, int]) -> Frame:
    """Where pixels of a copy of this size lie on the picture."""
    if size == picture.size:
        return UPRIGHT
    across, down = picture.size[0] / size[0], picture.size[1] / size[1]
    return Frame((across - 1) / 2, (down - 1) / 2, (across, 0.0), (0.0, down))


class _Reading(NamedTuple):
    blocks: list[Block]
    confidence: float  # mean over the words; 1 for a page without any


def _read(turn: Turn, engine: tesserocr.PyTessBaseAPI) -> list[Region]:
    """The blocks on a picture with level lines. What reads badly may stand on its head: it is read again, and the better reading counts.

    That costs no more than asking tesseract for the orientation of every page, and is right where that guesses: on a few words.
    """
    reading = _recognized(turn.grey, engine)
    if reading.confidence < CONFIDENT:
        head_over = turn.by_quarters(2)
        again = _recognized(head_over.grey, engine)
        if again.confidence > reading.confidence:
            turn, reading = head_over, again
    return [Region(block, turn.frame) for block in reading.blocks]


def _recognized(grey: PIL.Image.Image, engine: tesserocr.PyTessBaseAPI) -> _Reading:
    engine.SetImageBytes(grey.tobytes(), grey.width, grey.height, 1, grey.width)
    engine.SetSourceResolution(DOTS_PER_INCH)
    if not engine.Recognize(SECONDS_MAX * 1000):
        raise errors.features_failed()
    return _parsed(engine.GetHOCRText(0))


# An element of hOCR with its class, its properties and the text that follows it; it has more attributes, and no "<" or ">" in them.
_ELEMENT: Final = re.compile(r"""<\w+ class='(ocr\w+)'[^>]*? title=(?:'([^']*)'|"([^"]*)")[^>]*>([^<]*)""")
_WORD: Final = re.compile(r"x_wconf (\d+)")
_SYMBOL: Final = re.compile(r"x_bboxes (-?\d+) (-?\d+) (-?\d+) (-?\d+); x_conf ([\d.]+)")


def _parsed(hocr: str) -> _Reading:
    """Tesseract's one answer that holds every level at once; asking its iterator symbol by symbol takes ten times as long."""
    blocks: list[list[list[list[list[Symbol]]]]] = []
    total, count, sure = 0.0, 0, 0.0
    for kind, quoted, double_quoted, written in _ELEMENT.findall(hocr):
        match kind:
            case "ocr_carea":
                blocks.append([])
            case "ocr_par":
                blocks[-1].append([])
            case "ocrx_word":
                blocks[-1][-1][-1].append([])
                found = _WORD.search(quoted or double_quoted)
                sure = int(found[1]) / 100 if found else 0.0
                total, count = total + sure, count + 1
            case "ocrx_cinfo":
                found = _SYMBOL.search(quoted or double_quoted)
                if found and written.strip() and sure >= WORD_CONFIDENCE_MIN:
                    blocks[-1][-1][-1][-1].append(_symbol(found, html.unescape(written), sure))
            case "ocr_line" | "ocr_header" | "ocr_caption" | "ocr_textfloat":
                blocks[-1][-1].append([])
    return _Reading(_filled(blocks), total / count if count else 1.0)


def _symbol(found: re.Match[str], written: str, sure: float) -> Symbol:
    """No surer than its word: of letters that make no word each may look like one."""
    left, top, right, bottom = int(found[1]), int(found[2]), int(found[3]), int(found[4])
    box = Box(left, top, max(left, right - 1), max(top, bottom - 1))  # tesseract's right and bottom lie outside
    return Symbol(written, box, max(CONFIDENCE_MIN, min(sure, float(found[5]) / 100)))


def _filled(blocks: Sequence[Any]) -> list[Any]:
    """A tree of lists down to words without what is empty."""
    return [kept for branch in blocks if (kept := branch if branch and isinstance(branch[0], Symbol) else _filled(branch))]


class _Engines:
    """Tesseract, as often as threads read at once; those that are idle wait for the next picture in their languages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[str, ...], tesserocr.PyTessBaseAPI]] = []

    @contextmanager
    def one(self, packs: tuple[str, ...]) -> Iterator[tesserocr.PyTessBaseAPI]:
        """One that reads these languages, for this thread alone."""
        with self._lock:
            place = next((at for at, (known, _) in enumerate(self._idle) if known == packs), None)
            engine = None if place is None else self._idle.pop(place)[1]
        if engine is None:
            engine = self._made(packs)
        try:
            yield engine
        finally:
            engine.Clear()
            with self._lock:
                self._idle.append((packs, engine))
                spare = self._idle[:-ENGINES_MAX]
                del self._idle[: len(spare)]
            for _, old in spare:
                old.End()

    def _made(self, packs: tuple[str, ...]) -> tesserocr.PyTessBaseAPI:
        import tesserocr

        engine = tesserocr.PyTessBaseAPI(path=f"{self._folder}/", lang="+".join(packs), psm=tesserocr.PSM.AUTO, oem=tesserocr.OEM.LSTM_ONLY)
        engine.SetVariable("hocr_char_boxes", "1")
        return engine

    def close(self) -> None:
        """Ends those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, engine in idle:
            engine.End()
