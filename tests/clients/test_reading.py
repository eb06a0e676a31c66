"""What the README's table of word error rates promises, through the official client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.cloud import vision
from official import over_grpc, over_rest

from pages_of_text import Case, cases, word_error_rate
from vision_emulator import VisionEmulator

DOCUMENT, TEXT = vision.Feature.Type.DOCUMENT_TEXT_DETECTION, vision.Feature.Type.TEXT_DETECTION


@pytest.fixture(scope="module")
def emulator() -> Iterator[VisionEmulator]:
    with VisionEmulator(settings={"local": {"parts": ["embedded", "scene", "ocr"]}}) as running:
        yield running


def read(client: vision.ImageAnnotatorClient, case: Case, feature: vision.Feature.Type) -> str:
    features = [vision.Feature(type_=feature)]
    if not case.mime_type:
        image = vision.Image(content=case.data)
        request = vision.AnnotateImageRequest(image=image, features=features)
        return str(client.batch_annotate_images(requests=[request]).responses[0].full_text_annotation.text)
    source = vision.InputConfig(content=case.data, mime_type=case.mime_type)
    file = client.batch_annotate_files(requests=[vision.AnnotateFileRequest(input_config=source, features=features)]).responses[0]
    return " ".join(page.full_text_annotation.text for page in file.responses)


def right(client: vision.ImageAnnotatorClient, case: Case) -> bool:
    """Whether no more of its words are wrong than the README says; of a sign as a photograph, of all else as a document."""
    feature, errors_max = (TEXT, case.text_errors_max) if case.document_errors_max == 1 else (DOCUMENT, case.document_errors_max)
    return word_error_rate(case.expected, read(client, case, feature)) <= errors_max


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.what)
def test_pages_signs_pdfs_and_scans_are_read(emulator: VisionEmulator, case: Case) -> None:
    """A rendered page, turned and grey and in columns, a photographed sign, a born-digital PDF, scans as PDF and TIFF."""
    with over_grpc(emulator) as client:
        assert right(client, case)


def test_a_scanned_pdf_is_read_over_rest(emulator: VisionEmulator) -> None:
    """The same words come over the other transport."""
    (scan,) = (case for case in cases() if case.what.startswith("PDF of a scan"))
    with over_rest(emulator) as client:
        assert right(client, scan)
