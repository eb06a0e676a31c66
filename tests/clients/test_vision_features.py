"""Every feature type on images, PDF, TIFF and GIF, online and offline, with each of Google's Python clients."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.cloud import storage, vision
from google.cloud.vision_v1.services.image_annotator import transports
from official import UNLIMITED, by_discovery, over_grpc, over_rest

from documents import frames, text_pdf
from pictures import drawn
from vision_emulator import VisionEmulator

FEATURES = [number for number in vision.Feature.Type if number != vision.Feature.Type.TYPE_UNSPECIFIED]
DOCUMENTS = {"application/pdf": text_pdf(2), "image/tiff": frames("TIFF", 2), "image/gif": frames("GIF", 2)}
Ask = Callable[[VisionEmulator, str, dict[str, Any]], Any]  # a method's name in snake case and its request; the message that came back


def by_grpc(emulator: VisionEmulator, method: str, request: dict[str, Any]) -> Any:
    with over_grpc(emulator) as client:
        return _finished(getattr(client, method)(request=request))


def by_rest(emulator: VisionEmulator, method: str, request: dict[str, Any]) -> Any:
    with over_rest(emulator) as client:
        return _finished(getattr(client, method)(request=request))


def by_asyncio(emulator: VisionEmulator, method: str, request: dict[str, Any]) -> Any:
    async def ask() -> Any:
        channel = grpc.aio.insecure_channel(emulator.address, options=UNLIMITED)
        transport = transports.ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
        async with vision.ImageAnnotatorAsyncClient(transport=transport) as client:
            answer = await getattr(client, method)(request=request)
            return await answer.result(timeout=60) if hasattr(answer, "result") else answer

    return asyncio.run(ask())


def by_googleapiclient(emulator: VisionEmulator, method: str, request: dict[str, Any]) -> Any:
    """The same request in JSON; the answer read back strictly into the typed client's message."""
    verbs = {
        "batch_annotate_images": ("images", "annotate", vision.BatchAnnotateImagesResponse),
        "batch_annotate_files": ("files", "annotate", vision.BatchAnnotateFilesResponse),
        "async_batch_annotate_images": ("images", "asyncBatchAnnotate", vision.AsyncBatchAnnotateImagesResponse),
        "async_batch_annotate_files": ("files", "asyncBatchAnnotate", vision.AsyncBatchAnnotateFilesResponse),
    }
    noun, verb, kind = verbs[method]
    with by_discovery(emulator) as service:
        answer = getattr(getattr(service, noun)(), verb)(body=_json(request)).execute()
        if method.startswith("async"):
            answer = service.projects().operations().get(name=answer["name"]).execute()
            assert answer["done"], answer
            answer = {name: value for name, value in answer["response"].items() if name != "@type"}
    return kind.from_json(json.dumps(answer), ignore_unknown_fields=False)


def _finished(answer: Any) -> Any:
    return answer.result(timeout=60) if hasattr(answer, "result") else answer


def _json(value: Any) -> Any:
    """A request as JSON has it: bytes in base64, names in camel case."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {_camel(name): _json(item) for name, item in value.items()}
        case list():
            return [_json(item) for item in value]
        case _:
            return value


def _camel(name: str) -> str:
    head, *rest = name.removesuffix("_").split("_")
    return head + "".join(part.capitalize() for part in rest)


CLIENTS = pytest.mark.parametrize("ask", [by_grpc, by_asyncio, by_rest, by_googleapiclient])


def wanted() -> list[dict[str, Any]]:
    return [{"type_": number} for number in FEATURES]


def read(buckets: storage.Client, prefix: str, kind: Any) -> list[Any]:
    """What the output files under a prefix hold, strictly parsed."""
    blobs = buckets.get_bucket("results").list_blobs(prefix=prefix)
    return [kind.from_json(blob.download_as_text(), ignore_unknown_fields=False) for blob in blobs]


@CLIENTS
def test_all_features_of_an_image_online(emulator: VisionEmulator, ask: Ask) -> None:
    """images:annotate answers all twelve types at once; those that every picture has are there."""
    answer = ask(emulator, "batch_annotate_images", {"requests": [{"image": {"content": drawn()}, "features": wanted()}]})
    (response,) = answer.responses
    assert not response.error.message
    assert response.label_annotations
    assert response.safe_search_annotation.adult
    assert response.image_properties_annotation.dominant_colors.colors
    assert response.crop_hints_annotation.crop_hints
    assert response.web_detection.web_entities
    assert response.product_search_results.index_time


@CLIENTS
@pytest.mark.parametrize("mime_type", DOCUMENTS)
def test_all_features_of_a_file_online(emulator: VisionEmulator, ask: Ask, mime_type: str) -> None:
    """files:annotate answers all twelve types for every page or frame, and a PDF's own text to the letter."""
    element = {"input_config": {"content": DOCUMENTS[mime_type], "mime_type": mime_type}, "features": wanted()}
    (answer,) = ask(emulator, "batch_annotate_files", {"requests": [element]}).responses
    assert answer.total_pages == 2
    assert [page.context.page_number for page in answer.responses] == [1, 2]
    assert all(page.label_annotations and not page.error.message for page in answer.responses)
    if mime_type == "application/pdf":
        assert answer.responses[1].full_text_annotation.text == "Page 2 of 2.\nWords stand here."


@CLIENTS
def test_all_features_of_images_offline(emulator: VisionEmulator, buckets: storage.Client, ask: Ask) -> None:
    """images:asyncBatchAnnotate writes all twelve types."""
    buckets.bucket("inputs").blob("a.jpg").upload_from_string(drawn())
    element = {"image": {"source": {"image_uri": "gs://inputs/a.jpg"}}, "features": wanted()}
    output = {"gcs_destination": {"uri": "gs://results/images/"}, "batch_size": 2}
    ask(emulator, "async_batch_annotate_images", {"requests": [element] * 3, "output_config": output})
    files = read(buckets, "images/", vision.BatchAnnotateImagesResponse)
    assert [len(file.responses) for file in files] == [2, 1]
    assert all(response.label_annotations and response.context.uri for file in files for response in file.responses)


@CLIENTS
@pytest.mark.parametrize("mime_type", DOCUMENTS)
def test_all_features_of_files_offline(emulator: VisionEmulator, buckets: storage.Client, ask: Ask, mime_type: str) -> None:
    """files:asyncBatchAnnotate writes all twelve types for every page or frame."""
    buckets.bucket("inputs").blob("document").upload_from_string(DOCUMENTS[mime_type])
    element = {
        "input_config": {"gcs_source": {"uri": "gs://inputs/document"}, "mime_type": mime_type},
        "features": wanted(),
        "output_config": {"gcs_destination": {"uri": "gs://results/files/"}, "batch_size": 1},
    }
    answer = ask(emulator, "async_batch_annotate_files", {"requests": [element]})
    assert answer.responses[0].output_config.gcs_destination.uri == "gs://results/files/"
    files = read(buckets, "files/", vision.AnnotateFileResponse)
    assert [page.context.page_number for file in files for page in file.responses] == [1, 2]
    assert all(page.label_annotations and page.context.uri == "gs://inputs/document" for file in files for page in file.responses)
