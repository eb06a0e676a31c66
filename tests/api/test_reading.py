"""Text is really read, whichever way the request comes in; what holds for text that a PDF brings along holds for text in pixels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from transports import Api

from documents import assembled, lines, pdf
from pages_of_text import PARAGRAPHS, SIGN, encoded, page, pdf_of, photographed_sign, tiff_of, word_error_rate
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.messages import Feature
from vision_emulator.core.capabilities import ledger

DOCUMENT, TEXT = Feature.DOCUMENT_TEXT_DETECTION, Feature.TEXT_DETECTION
SIZE = (900, 640)  # pixels; at 200 dots per inch a page of 324 by 230 points
READ = PARAGRAPHS[0]
PARTS = {"local": {"parts": ["embedded", "scene", "ocr"]}}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(Config(port=0, settings=PARTS)) as running:
        yield running


def small() -> Any:
    return page([READ], size=SIZE, height=26)


async def read_image(api: Api, data: bytes, feature: int, **context: Any) -> tuple[Any, str]:
    """The response, and who answered."""
    request = {"image": {"content": data}, "features": [{"type": feature}], "image_context": context}
    answer = await api("BatchAnnotateImages", {"requests": [request]})
    return answer.message.responses[0], answer.metadata.get("x-vision-emulator-annotators", "")


async def read_file(api: Api, data: bytes, mime_type: str) -> Any:
    request = {"input_config": {"content": data, "mime_type": mime_type}, "features": [{"type": DOCUMENT}]}
    answer = await api("BatchAnnotateFiles", {"requests": [request]})
    assert answer.metadata["x-vision-emulator-annotators"] == f"local={len(answer.message.responses[0].responses)}"
    return answer.message.responses[0]


async def test_a_page_and_a_sign_are_read(api: Api) -> None:
    """DOCUMENT_TEXT of the one, TEXT of the other; nothing is invented."""
    document, by = await read_image(api, encoded(small()), DOCUMENT)
    assert word_error_rate(READ, document.full_text_annotation.text) == 0
    assert document.text_annotations[0].description == document.full_text_annotation.text
    assert by == "local=1"
    sign, by = await read_image(api, encoded(photographed_sign(), "JPEG"), TEXT)
    assert sign.full_text_annotation.text == "\n".join(SIGN)
    assert by == "local=1"


async def test_a_blank_picture_has_no_text(api: Api) -> None:
    """Looked, and found nothing: no other annotator is asked, and there is no error."""
    for feature in (DOCUMENT, TEXT):
        response, by = await read_image(api, encoded(page([], size=(300, 200))), feature)
        assert not response.ListFields()
        assert by == "local=1"


async def test_broken_bytes_are_the_pictures_error(api: Api) -> None:
    """As for every feature."""
    for feature in (DOCUMENT, TEXT):
        response, _ = await read_image(api, encoded(small())[:2000], feature)
        assert (response.error.code, response.error.message) == (3, "Bad image data.")


async def test_polygons_of_a_scanned_pdf_are_shares_of_its_page(api: Api) -> None:
    """The page is drawn larger than it says it is; where its words stand does not depend on that. It is as large as in points."""
    image = small()
    file = await read_file(api, pdf_of(image, image.rotate(180)), "application/pdf")
    (upright, over) = file.responses
    for response in (upright, over):
        sheet = response.full_text_annotation.pages[0]
        assert word_error_rate(READ, response.full_text_annotation.text) == 0
        assert (sheet.width, sheet.height) == (324, 230)
        assert not response.text_annotations
        first = sheet.blocks[0].paragraphs[0].words[0]
        assert not first.bounding_box.vertices
        assert not any(symbol.HasField("bounding_box") for symbol in first.symbols)
        assert all(0 <= share <= 1 for vertex in first.bounding_box.normalized_vertices for share in (vertex.x, vertex.y))
    left, top = 75 / SIZE[0], 44 / SIZE[1]  # where page() begins to write, and where its capitals do
    start = upright.full_text_annotation.pages[0].blocks[0].bounding_box.normalized_vertices[0]
    turned = over.full_text_annotation.pages[0].blocks[0].bounding_box.normalized_vertices[0]
    assert (start.x, start.y) == pytest.approx((left, top), abs=0.01)
    assert (turned.x, turned.y) == pytest.approx((1 - left, 1 - top), abs=0.01)


async def test_each_frame_of_a_fax_is_read(api: Api) -> None:
    """Black and white, group 4, two frames."""
    other = page([PARAGRAPHS[1]], size=SIZE, height=26)
    file = await read_file(api, tiff_of(small(), other), "image/tiff")
    for expected, response in zip(PARAGRAPHS[:2], file.responses, strict=True):
        assert word_error_rate(expected, response.full_text_annotation.text) < 0.02
        assert response.full_text_annotation.pages[0].blocks[0].bounding_box.normalized_vertices


async def test_a_text_layer_that_says_nothing_is_not_believed(api: Api) -> None:
    """A PDF whose fonts do not say what they show is looked at instead; one that says what it shows is not."""
    mapping = b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange "
    mapping += b"1 beginbfrange <20> <7E> <E020> endbfrange endcmap end end"
    garbled = pdf(lines("Nothing here says what it shows.", "Look at the page."))
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(mapping), mapping)
    garbled = _with_object(garbled, stream)
    file = await read_file(api, garbled, "application/pdf")
    assert file.responses[0].full_text_annotation.text == "Nothing here says what it shows.\nLook at the page."
    assert file.responses[0].full_text_annotation.pages[0].confidence < 1  # only what is read from the file has no doubts
    plain = await read_file(api, pdf(lines("Nothing here says what it shows.")), "application/pdf")
    assert plain.responses[0].full_text_annotation.pages[0].confidence == 1


def _with_object(document: bytes, stream: bytes) -> bytes:
    """The document with one object more, which its font takes for what its characters mean."""
    body = document[len(b"%PDF-1.7\n") : document.rindex(b"xref\n0")]
    objects = [part.partition(b" 0 obj\n")[2] for part in body.split(b"\nendobj\n") if part]
    reference = b"/ToUnicode %d 0 R /Encoding" % (len(objects) + 1)
    return assembled([part.replace(b"/Encoding", reference) for part in objects] + [stream])


async def test_a_language_hint_reaches_the_reader(api: Api) -> None:
    """And is what the answer says."""
    response, _ = await read_image(api, encoded(page(["Morgen"], size=(300, 120), height=40)), DOCUMENT, language_hints=["de"])
    assert [language.language_code for language in response.full_text_annotation.pages[0].property.detected_languages] == ["de"]


async def test_the_ledger_says_that_text_is_read(emulator: Emulator) -> None:
    """And by what; and that a feature is invented where no part computes it."""
    told = {line.name: line for line in ledger(emulator.vision) if line.kind == "feature"}
    assert told["DOCUMENT_TEXT_DETECTION"].level == told["TEXT_DETECTION"].level == "computed"
    assert "tesseract" in told["DOCUMENT_TEXT_DETECTION"].note
    assert "rapidocr" in told["TEXT_DETECTION"].note
    assert told["LABEL_DETECTION"].level == "synthetic"
