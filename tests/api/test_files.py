"""BatchAnnotateFiles and AsyncBatchAnnotateFiles as a user sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.cloud import vision
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transports import Api, Direct, Files, Refused

from documents import frames, lines, locked_pdf, pdf, scanned_pdf, text_pdf
from vision_emulator.app import Emulator
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import (
    POOL,
    AnnotateFileResponse,
    AsyncBatchAnnotateFilesResponse,
    Feature,
    OperationMetadata,
)

READ = {"type": Feature.DOCUMENT_TEXT_DETECTION}
LABELS = {"type": Feature.LABEL_DETECTION}
PDF, TIFF, GIF = "application/pdf", "image/tiff", "image/gif"


def inline(data: bytes, mime_type: str = PDF, features: tuple[dict[str, Any], ...] = (READ,), **more: Any) -> dict[str, Any]:
    return {"requests": [{"input_config": {"content": data, "mime_type": mime_type}, "features": list(features), **more}]}


def stored(uri: str, mime_type: str = PDF, features: tuple[dict[str, Any], ...] = (READ,), **more: Any) -> dict[str, Any]:
    return {"input_config": {"gcs_source": {"uri": uri}, "mime_type": mime_type}, "features": list(features), **more}


def offline(uri: str, destination: str = "gs://results/", batch_size: int = 2, mime_type: str = PDF, **more: Any) -> dict[str, Any]:
    output = {"gcs_destination": {"uri": destination}, "batch_size": batch_size}
    return stored(uri, mime_type, output_config=output, **more)


async def annotated(api: Api, request: dict[str, Any]) -> Any:
    (response,) = (await api("BatchAnnotateFiles", request)).message.responses
    return response


async def run(api: Api, *requests: dict[str, Any]) -> Any:
    """Submits files and answers the operation as its first poll finds it."""
    created = (await api("AsyncBatchAnnotateFiles", {"requests": list(requests)})).message
    return (await api("GetOperation", {"name": created.name})).message


def parsed(text: bytes) -> Any:
    """An output file as a strict consumer reads it: no unknown key passes."""
    vision.AnnotateFileResponse.from_json(text.decode(), ignore_unknown_fields=False)
    return json_format.Parse(text, AnnotateFileResponse(), descriptor_pool=POOL)


# ---- online ----


async def test_a_born_digital_document_is_read_exactly(api: Api) -> None:
    """Each page is answered with the text it contains, its number, and shares of the page; nothing is invented."""
    answer = await api("BatchAnnotateFiles", inline(text_pdf(3)))
    (response,) = answer.message.responses
    assert response.total_pages == 3
    assert response.input_config.mime_type == PDF
    assert not response.input_config.content
    assert not response.HasField("error")
    assert [page.context.page_number for page in response.responses] == [1, 2, 3]
    assert [page.context.uri for page in response.responses] == [""] * 3
    texts = [page.full_text_annotation.text for page in response.responses]
    assert texts == [f"Page {number} of 3.\nWords stand here." for number in (1, 2, 3)]
    assert answer.metadata["x-vision-emulator-annotators"] == "local=3"
    first = response.responses[0]
    assert not first.text_annotations
    (page,) = first.full_text_annotation.pages
    assert (page.width, page.height) == (612, 792)
    word = page.blocks[0].paragraphs[0].words[0]
    assert not word.bounding_box.vertices
    assert word.bounding_box.normalized_vertices[0].x == pytest.approx(72 / 612, abs=1 / 612)
    assert word.bounding_box.normalized_vertices[0].y == pytest.approx((792 - 711) / 792, abs=2 / 792)
    assert not any(symbol.HasField("bounding_box") for symbol in word.symbols)
    assert word.confidence == 1


async def test_a_file_in_storage_is_echoed_and_named_in_each_context(api: Api, files: Files) -> None:
    """inputConfig comes back as it was given, and every page says which file it belongs to."""
    uri = await files.put("gs://inputs/a.pdf", text_pdf(2))
    response = await annotated(api, {"requests": [stored(uri)]})
    assert response.input_config.gcs_source.uri == uri
    assert [(page.context.uri, page.context.page_number) for page in response.responses] == [(uri, 1), (uri, 2)]


@pytest.mark.parametrize(("mime_type", "data"), [(TIFF, frames("TIFF", 7)), (GIF, frames("GIF", 7)), (PDF, scanned_pdf(7))])
async def test_pictures_of_every_container_are_looked_at(api: Api, mime_type: str, data: bytes) -> None:
    """The first five pages or frames are answered when none are named, each for itself, by whoever looks at pictures."""
    features = (LABELS, {"type": Feature.IMAGE_PROPERTIES}, {"type": Feature.CROP_HINTS}, {"type": Feature.FACE_DETECTION})
    response = await annotated(api, inline(data, mime_type, features))
    assert response.total_pages == 7
    assert [page.context.page_number for page in response.responses] == [1, 2, 3, 4, 5]
    colours = [page.image_properties_annotation.dominant_colors.colors[0].color for page in response.responses]
    assert len({(colour.red, colour.green, colour.blue) for colour in colours}) == 5
    for page in response.responses:
        assert not page.HasField("error")
        assert page.label_annotations
        (hint,) = page.crop_hints_annotation.crop_hints
        assert not hint.bounding_poly.vertices
        assert all(0 <= vertex.x <= 1 and 0 <= vertex.y <= 1 for vertex in hint.bounding_poly.normalized_vertices)


async def test_whoever_answers_pages_have_their_own_form(api: Api) -> None:
    """Text that is not the document's own, too: shares of the page down to words, nothing around symbols, no textAnnotations."""
    response = await annotated(api, inline(frames("TIFF", 5), TIFF))
    written = [page for page in response.responses if page.full_text_annotation.text]
    assert written
    for answer in written:
        assert not answer.text_annotations
        (page,) = answer.full_text_annotation.pages
        assert (page.width, page.height) == (160, 120)
        for word in (word for block in page.blocks for paragraph in block.paragraphs for word in paragraph.words):
            assert not word.bounding_box.vertices
            assert all(0 <= vertex.x <= 1 and 0 <= vertex.y <= 1 for vertex in word.bounding_box.normalized_vertices)
            assert not any(symbol.HasField("bounding_box") for symbol in word.symbols)


async def test_pages_are_chosen_in_the_order_given(api: Api) -> None:
    """Numbers count from 1, negative ones from the end; one beyond an end is the error of its slot, and the others are answered."""
    response = await annotated(api, inline(text_pdf(3), pages=[-1, 1, 4, -4, 2]))
    assert [page.context.page_number for page in response.responses] == [3, 1, 4, -4, 2]
    assert [page.error.message for page in response.responses] == [
        "",
        "",
        "Invalid page number: 4. The file has 3 pages.",
        "Invalid page number: -4. The file has 3 pages.",
        "",
    ]
    assert [page.full_text_annotation.text[:6] for page in response.responses] == ["Page 3", "Page 1", "", "", "Page 2"]


@given(
    count=st.integers(1, 6),
    pages=st.lists(st.integers(-8, 8).filter(bool), max_size=5),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_selection_of_pages_is_answered_slot_by_slot(emulator: Emulator, count: int, pages: list[int]) -> None:
    """Whatever is asked: as many slots as pages, each the page that its number means or an error."""
    response = await annotated(Direct(emulator), inline(text_pdf(count), pages=pages))
    meant = [number if number > 0 else count + 1 + number for number in pages] or list(range(1, min(count, 5) + 1))
    assert len(response.responses) == len(meant)
    for number, page in zip(meant, response.responses, strict=True):
        if 1 <= number <= count:
            assert page.full_text_annotation.text.startswith(f"Page {number} of")
            assert page.context.page_number == number
        else:
            assert page.error.code == Code.INVALID_ARGUMENT


BROKEN = "Error in extracting images from"
UNOPENED = {
    "garbage": (b"no document", PDF, f"{BROKEN} PDF file"),
    "cut off": (text_pdf()[:400], PDF, f"{BROKEN} PDF file"),
    "without pages": (pdf(), PDF, f"{BROKEN} PDF file"),
    "behind a password": (locked_pdf(b"secret"), PDF, f"{BROKEN} PDF file: it is protected by a password."),
    "another kind": (frames("TIFF"), PDF, f"{BROKEN} PDF file"),
    "no TIFF": (text_pdf(), TIFF, f"{BROKEN} TIFF file"),
    "no GIF": (frames("TIFF"), GIF, f"{BROKEN} GIF file"),
    "a huge GIF": (frames("GIF")[:6] + b"\xff\xff\xff\xff" + frames("GIF")[10:], GIF, "The frames of the file are too large."),
}


@pytest.mark.parametrize("case", UNOPENED)
async def test_a_file_that_cannot_be_opened_is_the_files_error(api: Api, case: str) -> None:
    """The call succeeds; the one response says what is wrong with the file, and has no pages."""
    data, mime_type, message = UNOPENED[case]
    response = await annotated(api, inline(data, mime_type))
    assert (response.error.code, response.error.message) == (Code.INVALID_ARGUMENT, message)
    assert (list(response.responses), response.total_pages) == ([], 0)
    assert response.input_config.mime_type == mime_type


async def test_an_owners_restrictions_do_not_keep_a_file_shut(api: Api) -> None:
    """A PDF encrypted without a user password opens as in every reader."""
    response = await annotated(api, inline(locked_pdf(b"")))
    assert response.responses[0].full_text_annotation.text == "Locked words."


@pytest.mark.parametrize(
    ("uri", "code", "message"),
    [
        ("gs://inputs/none.pdf", Code.NOT_FOUND, "Error opening file: gs://inputs/none.pdf."),
        ("gs://nowhere/a.pdf", Code.PERMISSION_DENIED, "Error opening file: gs://nowhere/a.pdf."),
        ("https://example.com/a.pdf", Code.INVALID_ARGUMENT, "Invalid GCS path specified: https://example.com/a.pdf"),
    ],
)
async def test_a_file_that_cannot_be_read_is_the_files_error(api: Api, uri: str, code: Code, message: str) -> None:
    """A missing object, a missing bucket, and what is no gs:// URI, with the texts of images."""
    response = await annotated(api, {"requests": [stored(uri)]})
    assert (response.error.code, response.error.message) == (code, message)


async def test_a_size_bomb_costs_nothing(api: Api) -> None:
    """A page of 200 by 200 inches is answered like any other: it is never drawn at the size it claims."""
    data = pdf(lines("Large"), size=(14400, 14400))
    response = await annotated(api, inline(data, features=({"type": Feature.IMAGE_PROPERTIES},)))
    assert response.responses[0].image_properties_annotation.dominant_colors.colors
    assert not response.responses[0].HasField("error")


GOOD = inline(b"x")["requests"][0]
REFUSED = {
    "two files": ({"requests": [GOOD, GOOD]}, "Too many files per request: 2. The limit is 1."),
    "no input": ({"requests": [{"features": [READ]}]}, "Request must specify input_config and features."),
    "no source": (
        {"requests": [{"input_config": {"mime_type": PDF}, "features": [READ]}]},
        "Request must specify input_config and features.",
    ),
    "no features": (inline(b"x", features=()), "Request must specify input_config and features."),
    "an unknown feature": (inline(b"x", features=({"type": 99},)), "Unsupported feature type: 99."),
    "no mime type": (
        inline(b"x", ""),
        "Unsupported mime_type: ''. Supported are application/pdf, image/tiff and image/gif.",
    ),
    "a picture's mime type": (
        inline(b"x", "image/png"),
        "Unsupported mime_type: 'image/png'. Supported are application/pdf, image/tiff and image/gif.",
    ),
    "six pages": (inline(b"x", pages=[1, 2, 3, 4, 5, 6]), "Too many pages per request: 6. The limit is 5."),
    "page 0": (inline(b"x", pages=[1, 0]), "Invalid page number: 0. Pages are counted from 1, and from -1 backwards."),
    "a parent of another kind": (
        inline(b"x") | {"parent": "folders/1"},
        "Invalid parent: folders/1. Expected projects/PROJECT or projects/PROJECT/locations/LOCATION.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_online_refused_as_a_whole(api: Api, case: str) -> None:
    """A request that cannot be right is INVALID_ARGUMENT with the catalogue's text, the same on every transport."""
    request, message = REFUSED[case]
    with pytest.raises(Refused) as refused:
        await api("BatchAnnotateFiles", request)
    assert (refused.value.code, refused.value.message) == (Code.INVALID_ARGUMENT, message)


async def test_no_file_at_all_answers_nothing(api: Api) -> None:
    """As for images, an empty list is answered and not refused."""
    assert not (await api("BatchAnnotateFiles", {})).message.responses


# ---- offline ----


async def test_files_end_in_shards_named_by_pages(api: Api, files: Files) -> None:
    """Each file has its own destination; shards are named by page numbers and hold AnnotateFileResponses."""
    one = await files.put("gs://inputs/one.pdf", text_pdf(5))
    two = await files.put("gs://inputs/two.tiff", frames("TIFF", 2))
    operation = await run(
        api,
        offline(one, "gs://results/one/"),
        offline(two, "gs://results/two-", batch_size=0, mime_type=TIFF, features=(LABELS,)),
    )
    assert operation.done
    assert OperationMetadata.FromString(operation.metadata.value).state == OperationMetadata.DONE
    answer = AsyncBatchAnnotateFilesResponse.FromString(operation.response.value)
    outputs = [response.output_config for response in answer.responses]
    assert [(output.gcs_destination.uri, output.batch_size) for output in outputs] == [("gs://results/one/", 2), ("gs://results/two-", 0)]
    names = [f"one/output-{name}.json" for name in ("1-to-2", "3-to-4", "5-to-5")]
    assert await files.names("gs://results/") == [*names, "two-output-1-to-2.json"]
    pages = []
    for name in names:
        shard = parsed(await files.get(f"gs://results/{name}"))
        assert (shard.input_config.gcs_source.uri, shard.input_config.mime_type) == (one, PDF)
        pages += shard.responses
    assert [(page.context.uri, page.context.page_number) for page in pages] == [(one, number) for number in range(1, 6)]
    assert [page.full_text_annotation.text[:11] for page in pages] == [f"Page {number} of 5" for number in range(1, 6)]
    shard = parsed(await files.get("gs://results/two-output-1-to-2.json"))
    assert all(page.label_annotations for page in shard.responses)


async def test_output_files_have_the_recorded_form(api: Api, files: Files) -> None:
    """One line of JSON: inputConfig, responses, no totalPages; pages in points, shares at blocks, paragraphs and words, none at symbols."""
    uri = await files.put("gs://inputs/a.pdf", text_pdf(1, size=(595.28, 841.89)))
    await run(api, offline(uri))
    text = await files.get("gs://results/output-1-to-1.json")
    assert b"\n" not in text
    content = json.loads(text)
    assert list(content) == ["inputConfig", "responses"]
    assert content["inputConfig"] == {"gcsSource": {"uri": uri}, "mimeType": PDF}
    (response,) = content["responses"]
    assert list(response) == ["fullTextAnnotation", "context"]
    assert response["context"] == {"uri": uri, "pageNumber": 1}
    (page,) = response["fullTextAnnotation"]["pages"]
    assert (page["width"], page["height"]) == (595, 841)
    block = page["blocks"][0]
    paragraph = block["paragraphs"][0]
    word = paragraph["words"][0]
    for part in (block, paragraph, word):
        assert list(part["boundingBox"]) == ["normalizedVertices"]
        assert len(part["boundingBox"]["normalizedVertices"]) == 4
    assert word["symbols"][0] == {"text": "P", "confidence": 1}
    assert word["symbols"][-1]["property"] == {"detectedBreak": {"type": "SPACE"}}


OFFLINE_REFUSED = {
    "no file": ({}, "Request must contain at least one file."),
    "inline content": (
        {"requests": [inline(b"x")["requests"][0] | {"output_config": {"gcs_destination": {"uri": "gs://results/"}}}]},
        "Only files in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests.",
    ),
    "a file of the web": (
        {"requests": [offline("https://example.com/a.pdf")]},
        "Only files in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests.",
    ),
    "no output": ({"requests": [stored("gs://inputs/a.pdf")]}, "Request must specify output_config.gcs_destination.uri."),
    "batch_size too large": (
        {"requests": [offline("gs://inputs/a.pdf", batch_size=101)]},
        "Invalid batch_size: 101. It must be between 1 and 100.",
    ),
    "a wrong mime type": (
        {"requests": [offline("gs://inputs/a.pdf", mime_type="text/plain")]},
        "Unsupported mime_type: 'text/plain'. Supported are application/pdf, image/tiff and image/gif.",
    ),
}


@pytest.mark.parametrize("case", OFFLINE_REFUSED)
async def test_offline_refused_as_a_whole(api: Api, emulator: Emulator, case: str) -> None:
    """A request that cannot be right is INVALID_ARGUMENT and starts nothing."""
    request, message = OFFLINE_REFUSED[case]
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateFiles", request)
    assert (refused.value.code, refused.value.message) == (Code.INVALID_ARGUMENT, message)
    assert list(emulator.vision.operations) == []


@pytest.mark.parametrize(("uri", "code"), [("gs://inputs/none.pdf", Code.NOT_FOUND), ("gs://nowhere/a.pdf", Code.PERMISSION_DENIED)])
async def test_unreadable_input_is_refused_at_creation(api: Api, files: Files, emulator: Emulator, uri: str, code: Code) -> None:
    """Unlike images, a file that cannot be read fails the create call (recorded), also beside one that can."""
    good = await files.put("gs://inputs/a.pdf", text_pdf())
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateFiles", {"requests": [offline(good), offline(uri)]})
    assert (refused.value.code, refused.value.message) == (code, f"Error opening file: {uri}.")
    assert list(emulator.vision.operations) == []
    assert await files.names("gs://results/") == []


async def test_a_broken_file_ends_the_operation(api: Api, files: Files) -> None:
    """What cannot be opened is found by the work: the operation ends with the recorded text, and earlier files keep their results."""
    good = await files.put("gs://inputs/a.pdf", text_pdf(1))
    bad = await files.put("gs://inputs/b.pdf", b"%PDF-1.7 and no more")
    operation = await run(api, offline(good), offline(bad, "gs://results/b/"))
    assert operation.done
    assert operation.error.code == Code.INVALID_ARGUMENT
    assert operation.error.message == "Error in extracting images from PDF file gs://inputs/b.pdf"
    assert await files.names("gs://results/") == ["output-1-to-1.json"]


async def test_2000_pages_pass_and_2001_end_the_operation(api: Api, files: Files) -> None:
    """The bound from both sides."""
    blank = [b""] * 2001
    good = await files.put("gs://inputs/a.pdf", pdf(*blank[:2000]))
    large = await files.put("gs://inputs/b.pdf", pdf(*blank))
    refused = await run(api, offline(large, features=(LABELS,)))
    assert refused.error.message == "Too many pages: gs://inputs/b.pdf has 2001. The limit is 2000 pages per file."
    assert not (await run(api, offline(good, batch_size=100, features=(LABELS,)))).HasField("error")
    assert len(await files.names("gs://results/")) == 20


async def test_an_unwritable_destination_is_the_operations_error(api: Api, files: Files) -> None:
    """As for images: code 7 and the recorded text."""
    uri = await files.put("gs://inputs/a.pdf", text_pdf())
    operation = await run(api, offline(uri, "gs://nowhere/x"))
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://nowhere/x")


async def test_cancelling_stops_the_pages(api: Api, files: Files) -> None:
    """A cancelled operation ends CANCELLED with code 1, and every file it wrote is complete."""
    uri = await files.put("gs://inputs/a.pdf", scanned_pdf(200))
    created = (await api("AsyncBatchAnnotateFiles", {"requests": [offline(uri, features=({"type": Feature.IMAGE_PROPERTIES},))]})).message
    await api("CancelOperation", {"name": created.name})
    operation = (await api("GetOperation", {"name": created.name})).message
    assert operation.error.code == Code.CANCELLED
    for name in await files.names("gs://results/"):
        assert (await files.get(f"gs://results/{name}")).endswith(b"]}")
