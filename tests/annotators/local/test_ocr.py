"""Pages are read by tesseract, however they lie, into one tree that spells its text."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from invariants import check
from PIL import Image, ImageDraw

from pages_of_text import GERMAN, PARAGRAPHS, encoded, font, page, word_error_rate
from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.local import PARTS, Local, ocr
from vision_emulator.annotators.local.ocr import Ocr
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

DOCUMENT, TEXT = Feature(type=Feature.DOCUMENT_TEXT_DETECTION), Feature(type=Feature.TEXT_DETECTION)
SMALL = (900, 620)
WHOLE = " ".join(PARAGRAPHS[:1])


@pytest.fixture(scope="module")
def part() -> Iterator[Ocr]:
    made = Ocr.create(Settings())
    assert made is not None, "tesserocr and tesseract's English are part of what the tests need"
    yield made
    made._engines.close()


def small() -> Image.Image:
    """A few lines, soon read."""
    return page(PARAGRAPHS[:1], size=SMALL, height=26)


def read(part: Ocr, image: Image.Image, feature: Feature = DOCUMENT, **context: Any) -> AnnotateImageResponse:
    """The answer, which holds together."""
    asked = ImageContext(**context)
    response = part.look(Picture(encoded(image)), [feature], asked)
    check(response, image.size, [feature], asked)
    return response


def words(response: AnnotateImageResponse) -> list[Any]:
    return [
        word
        for sheet in response.full_text_annotation.pages
        for block in sheet.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
    ]


def corners(poly: Any) -> list[tuple[int, int]]:
    return [(vertex.x, vertex.y) for vertex in poly.vertices]


def breaks(response: AnnotateImageResponse) -> list[int]:
    return [word.symbols[-1].property.detected_break.type for word in words(response)]


def near(one: tuple[int, int], other: tuple[float, float], pixels: float) -> bool:
    return abs(one[0] - other[0]) <= pixels and abs(one[1] - other[1]) <= pixels


def test_a_page_is_read_word_for_word(part: Ocr) -> None:
    """Every word in its order, each with a box of its own and a confidence."""
    response = read(part, small())
    assert word_error_rate(WHOLE, response.full_text_annotation.text) == 0
    assert [entry.description for entry in response.text_annotations[1:]] == WHOLE.split()
    assert all(word.confidence > 0.7 for word in words(response))


@pytest.mark.parametrize("quarters", range(4))
def test_a_page_is_read_whichever_way_it_is_turned(part: Ocr, quarters: int) -> None:
    """The words are the same, and each polygon begins where its word begins, as the real service has it."""
    turned = small().rotate(90 * quarters, expand=True)
    response = read(part, turned)
    assert word_error_rate(WHOLE, response.full_text_annotation.text) == 0
    start, right, _, down = corners(words(response)[0].bounding_box)
    along, across = (right[0] - start[0], right[1] - start[1]), (down[0] - start[0], down[1] - start[1])
    steps = ((1, 0), (0, -1), (-1, 0), (0, 1))  # where the line goes on; counter-clockwise
    ahead, below = steps[quarters], steps[(quarters - 1) % 4]
    assert along[0] * ahead[0] + along[1] * ahead[1] > abs(along[0] * ahead[1] + along[1] * ahead[0])
    assert across[0] * below[0] + across[1] * below[1] > abs(across[0] * below[1] + across[1] * below[0])


@pytest.mark.parametrize("degrees", [-6.0, -1.0, 3.0])
def test_a_page_askew_is_read_and_its_polygons_lean_with_it(part: Ocr, degrees: float) -> None:
    """A word's polygon is the level page's, turned about the middle as the page was."""
    level, askew = small(), small().rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    straight, leaning = words(read(part, level)), words(read(part, askew))
    assert len(straight) == len(leaning)

    cosine, sine = math.cos(math.radians(-degrees)), math.sin(math.radians(-degrees))
    for one, other in ((straight[0], leaning[0]), (straight[-1], leaning[-1])):
        for (x, y), found in zip(corners(one.bounding_box), corners(other.bounding_box), strict=True):
            across, down = x - level.width / 2, y - level.height / 2
            expected = (across * cosine - down * sine + askew.width / 2, across * sine + down * cosine + askew.height / 2)
            assert near(found, expected, 4)


def test_lines_paragraphs_and_wide_gaps_end_as_they_do_in_real_answers(part: Ocr) -> None:
    """SPACE inside a line, SURE_SPACE over a wide gap, EOL_SURE_SPACE where a line wraps, LINE_BREAK at the end of a paragraph; and
    nothing after the last word."""
    image = Image.new("L", (1200, 500), 255)
    pen = ImageDraw.Draw(image)
    for y, text in ((60, "The first line of a paragraph goes on"), (110, "and ends below with this line."), (260, "Another one.")):
        pen.text((60, y), text, 0, font(36))
    response = read(part, image)
    assert response.full_text_annotation.text == "The first line of a paragraph goes on\nand ends below with this line.\nAnother one."
    assert breaks(response) == [1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 5, 1, 0]
    gap = Image.new("L", (1200, 160), 255)
    pen = ImageDraw.Draw(gap)
    pen.text((60, 50), "Total amount", 0, font(40))
    pen.text((480, 50), "1234", 0, font(40))
    assert breaks(read(part, gap))[1] in (2, 5)  # a wide gap on one line, or two blocks


def test_languages_are_those_of_the_letters_or_of_the_hints(part: Ocr) -> None:
    """Enough letters tell their language; a hint wins, and picks tesseract's pack: German has its umlauts. "EXIT" alone is nobody's."""
    assert read(part, small()).text_annotations[0].locale == "en"
    german = page(GERMAN, size=SMALL, height=26)
    response = read(part, german, language_hints=["de"])
    assert word_error_rate(" ".join(GERMAN), response.full_text_annotation.text) == 0
    assert {language.language_code for word in words(response) for language in word.property.detected_languages} == {"de"}
    sign = Image.new("L", (500, 200), 255)
    ImageDraw.Draw(sign).text((120, 60), "EXIT", 0, font(72))
    assert read(part, sign).text_annotations[0].locale == "und"
    assert read(part, sign, language_hints=["en"]).text_annotations[0].locale == "en"


def test_a_hint_that_tesseract_has_no_pack_for_is_passed_over(part: Ocr) -> None:
    """A documented language without an installed pack is no error: the page is read with the default one."""
    assert part._packs_for(["haw", "fr"]) == ("eng",)
    assert part._packs_for(["de-AT", "en", "de"]) == ("deu", "eng")
    assert word_error_rate(WHOLE, read(part, small(), language_hints=["haw"]).full_text_annotation.text) == 0


def test_confidences_are_there_exactly_when_due(part: Ocr) -> None:
    """DOCUMENT_TEXT has them, TEXT on request; ``read`` checks it."""
    read(part, small(), TEXT)
    read(part, small(), TEXT, text_detection_params={"enable_text_detection_confidence_score": True})


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (640, 480), (1, 4000), (40_000, 20)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_where_nothing_is_written_nothing_is_read(part: Ocr, size: tuple[int, int], shade: int) -> None:
    """A blank picture of any size and shade has an empty answer, no error."""
    assert read(part, Image.new("L", size, shade)) == AnnotateImageResponse()


def test_a_picture_longer_than_tesseract_takes_is_shrunk(part: Ocr) -> None:
    """32,767 pixels are tesseract's limit, not the API's; boxes are in the picture's own pixels."""
    strip = Image.new("L", (40_000, 100), 255)
    ImageDraw.Draw(strip).text((36_000, 10), "Mississippi", 0, font(70))
    response = read(part, strip)
    assert response.full_text_annotation.text == "Mississippi"
    assert near(corners(words(response)[0].bounding_box)[0], (36_000, 25), 15)


def test_bytes_that_are_no_picture_are_refused(part: Ocr) -> None:
    """Not tesseract sees them, but our own list of decoders."""
    with pytest.raises(VisionError) as refused:
        part.look(Picture(b"no image"), [DOCUMENT], ImageContext())
    assert (refused.value.code, refused.value.message) == (Code.INVALID_ARGUMENT, "Bad image data.")


def test_a_symbol_is_no_surer_than_its_word() -> None:
    """Of upside-down letters each looks like one; that they make no word is what shows in the answer."""
    reading = ocr._parsed(
        "<div class='ocr_carea' title=\"bbox 0 0 9 9\"><p class='ocr_par' title=\"bbox 0 0 9 9\"><span class='ocr_line' title=\"bbox\">"
        "<span class='ocrx_word' id='w' title='bbox 0 0 9 9; x_wconf 40'><span class='ocrx_cinfo' title='x_bboxes 1 2 5 9; x_conf 99.5'>"
        "&lt;</span></span><span class='ocrx_word' title='bbox 0 0 9 9; x_wconf 5'>"
        "<span class='ocrx_cinfo' title='x_bboxes 6 2 9 9; x_conf 99'>x</span></span></span></p></div>"
    )
    (((((symbol,),),),),) = reading.blocks
    assert symbol == ("<", (1, 2, 4, 8), 0.4)
    assert reading.confidence == pytest.approx(0.225)


def test_threads_read_beside_each_other(part: Ocr) -> None:
    """Each has an engine of its own, and those that are idle are bounded."""
    texts = [PARAGRAPHS[turn % 4] for turn in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda text: read(part, page([text], size=SMALL, height=26)), texts))
    for text, answer in zip(texts, answers, strict=True):
        assert word_error_rate(text, answer.full_text_annotation.text) < 0.03
    assert len(part._engines._idle) <= ocr.ENGINES_MAX


def test_engines_of_many_languages_do_not_pile_up(part: Ocr, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was idle longest is ended when there are more than may be kept."""
    monkeypatch.setattr(ocr, "ENGINES_MAX", 1)
    for hints in (["de"], ["en"]):
        read(part, Image.new("L", (20, 20)), language_hints=hints)
    assert [packs for packs, _ in part._engines._idle] == [("eng",)]


# ---- settings ----


def created(**table: Any) -> Ocr | None:
    return Ocr.create(Settings(table=table))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"languages": ["fra"]}, "languages: 'fra' is not installed in .*; there are .*eng.*tesseract-ocr-fra"),
        ({"languages": ["xx"]}, "'xx' is not installed"),
        ({"languages": 5}, "is no list of languages"),
        ({"languages": []}, "is no list of languages"),
        ({"tessdata": "/nowhere"}, "tessdata: there are no packs in '/nowhere'"),
        ({"tessdata": 1}, "tessdata: there are no packs in 1"),
    ],
)
def test_what_cannot_be_had_is_said_at_the_start(table: dict[str, Any], said: str) -> None:
    """Which setting, what is wrong with it, and what would do."""
    with pytest.raises(SettingsError, match=said):
        created(**table)


def test_packs_are_named_as_tesseract_or_as_the_web_does() -> None:
    """``deu`` and ``de-CH`` are the same pack; a flag's list is divided by commas."""
    for languages in (["deu", "en"], ["de-CH", "eng"], "deu, eng"):
        part = created(languages=languages)
        assert part is not None
        assert part._default == ("deu", "eng")
    single = created(languages="de")
    assert single is not None
    assert single._default == ("deu",)


def test_a_pack_that_does_not_load_is_said_at_the_start(tmp_path: Path) -> None:
    """A file of that name that is none of tesseract's."""
    (tmp_path / "eng.traineddata").write_bytes(b"nothing")
    with pytest.raises(SettingsError, match=r"tesseract cannot load eng"):
        created(tessdata=str(tmp_path))


def test_without_packs_the_part_is_absent_and_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that was not told to read starts without; one that was does not."""
    monkeypatch.setattr(ocr, "TESSDATA", ("/nowhere/*",))
    with caplog.at_level(logging.WARNING):
        assert created() is None
    assert [record.message for record in caplog.records if "apt install tesseract-ocr-eng" in record.message] == [caplog.records[0].message]
    with pytest.raises(SettingsError, match="apt install tesseract-ocr-eng"):
        created(languages=["eng"])


@pytest.mark.parametrize(("parts", "said"), [(["ocx"], "'ocx' is no part; there are .*ocr"), (5, "5 is no part"), ([[]], "is no part")])
def test_parts_are_known_ones(parts: object, said: str) -> None:
    """A misspelt part is an error at the start, and the known ones are named."""
    with pytest.raises(SettingsError, match=said):
        Local.create(Settings(table={"parts": parts}))


@pytest.mark.parametrize(
    ("part", "said"), [("models", "the setting models"), ("logos", "the setting logos"), ("web", "the setting web = true")]
)
def test_a_part_that_cannot_work_says_what_it_needs(part: str, said: str) -> None:
    """Asked for by name, a part without its library or setting is an error at the start that says how to get it."""
    with pytest.raises(SettingsError, match=f"parts: {part} cannot work here without {said}"):
        Local.create(Settings(table={"parts": ["embedded", part]}))
    assert all(kind.needs for kind in PARTS if kind.name not in ("embedded", "properties"))


def test_parts_that_were_not_asked_for_are_silent() -> None:
    """``parts`` makes answers independent of what else is installed."""
    only = Local.create(Settings(table={"parts": ["embedded"]}))
    picture = Picture(encoded(Image.new("L", (8, 8))))
    assert not any(only.claims(picture, feature) for feature in Feature.Type.values())
    assert Local.create(Settings(table={"parts": "ocr"})).claims(picture, DOCUMENT.type)


def imported(names: Sequence[str], program: str) -> list[str]:
    """Which of the modules a fresh interpreter has imported after this."""
    script = f"import sys\n{program}\nprint(*[name for name in {list(names)!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_libraries_are_loaded_when_something_is_read() -> None:
    """A server with every extra installed starts as fast as one without."""
    heavy = ("tesserocr", "rapidocr", "onnxruntime", "cv2", "py3langid", "numpy", "PIL.Image")
    program = (
        "from vision_emulator.annotators import Settings\nfrom vision_emulator.annotators.local import Local\nLocal.create(Settings())"
    )
    assert imported(heavy, program) == []
