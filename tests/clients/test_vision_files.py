"""Files of pages with Google's own Python clients: PDF, TIFF and GIF, online and offline."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import BadRequest, GoogleAPICallError, NotFound
from google.cloud import storage, vision
from google.cloud.vision_v1.services.image_annotator import transports
from official import UNLIMITED

from documents import frames, text_pdf
from vision_emulator import VisionEmulator

PDF, TIFF, GIF = "application/pdf", "image/tiff", "image/gif"
READ = vision.Feature(type_=vision.Feature.Type.DOCUMENT_TEXT_DETECTION)
LABELS = vision.Feature(type_=vision.Feature.Type.LABEL_DETECTION)


def offline(uri: str, destination: str, mime_type: str = PDF, feature: vision.Feature = READ) -> vision.AsyncAnnotateFileRequest:
    """One file of an offline batch, as the samples build it: two pages an output file."""
    return vision.AsyncAnnotateFileRequest(
        input_config=vision.InputConfig(gcs_source=vision.GcsSource(uri=uri), mime_type=mime_type),
        features=[feature],
        output_config=vision.OutputConfig(gcs_destination=vision.GcsDestination(uri=destination), batch_size=2),
    )


def upload(buckets: storage.Client, name: str, data: bytes, mime_type: str = PDF) -> str:
    buckets.get_bucket("inputs").blob(name).upload_from_string(data, mime_type)
    return f"gs://inputs/{name}"


def read_back(buckets: storage.Client, prefix: str) -> list[Any]:
    """All pages of a destination, shard after shard by their numbers, strictly parsed, as the samples do it."""
    blobs = sorted(buckets.get_bucket("results").list_blobs(prefix=prefix), key=first_page)
    shards = [vision.AnnotateFileResponse.from_json(blob.download_as_text(), ignore_unknown_fields=False) for blob in blobs]
    return [page for shard in shards for page in shard.responses]


def first_page(blob: storage.Blob) -> int:
    found = re.search(r"output-(\d+)-to-\d+\.json$", blob.name)
    assert found, blob.name
    return int(found[1])


def test_reading_a_document_online(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """The sample for small batches of files: the first, second and last page of a PDF in Cloud Storage."""
    uri = upload(buckets, "a.pdf", text_pdf(7))
    request = {
        "input_config": {"gcs_source": {"uri": uri}, "mime_type": PDF},
        "features": [READ],
        "pages": [1, 2, -1],
    }
    (response,) = client.batch_annotate_files(requests=[request]).responses
    assert (response.total_pages, response.input_config.gcs_source.uri) == (7, uri)
    assert [page.context.page_number for page in response.responses] == [1, 2, 7]
    assert [page.full_text_annotation.text[:11] for page in response.responses] == [f"Page {number} of 7" for number in (1, 2, 7)]
    for page in response.responses:
        paragraph = page.full_text_annotation.pages[0].blocks[0].paragraphs[0]
        assert "".join(symbol.text for symbol in paragraph.words[0].symbols) == "Page"
        assert paragraph.confidence == 1


@pytest.mark.parametrize(("mime_type", "kind"), [(TIFF, "TIFF"), (GIF, "GIF")])
def test_looking_at_frames_online(client: vision.ImageAnnotatorClient, mime_type: str, kind: str) -> None:
    """Inline TIFF and GIF: every frame has its labels."""
    request = {"input_config": {"content": frames(kind, 2), "mime_type": mime_type}, "features": [LABELS]}
    (response,) = client.batch_annotate_files(requests=[request]).responses
    assert response.total_pages == 2
    assert all(page.label_annotations for page in response.responses)


def test_reading_documents_offline(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """The sample for PDF and TIFF files: submit several, wait, list by prefix, read the pages in order."""
    one, two = upload(buckets, "one.pdf", text_pdf(23)), upload(buckets, "two.tiff", frames("TIFF", 3), TIFF)
    operation = client.async_batch_annotate_files(
        requests=[offline(one, "gs://results/one/"), offline(two, "gs://results/two/", TIFF, LABELS)]
    )
    response = operation.result(timeout=60)
    assert operation.metadata.state == vision.OperationMetadata.State.DONE
    assert [each.output_config.gcs_destination.uri for each in response.responses] == ["gs://results/one/", "gs://results/two/"]
    pages = read_back(buckets, "one/")
    assert [(page.context.uri, page.context.page_number) for page in pages] == [(one, number) for number in range(1, 24)]
    assert [page.full_text_annotation.text.partition("\n")[0] for page in pages] == [f"Page {number} of 23." for number in range(1, 24)]
    assert [page.context.page_number for page in read_back(buckets, "two/")] == [1, 2, 3]


async def test_reading_a_document_offline_asyncio(emulator: VisionEmulator, buckets: storage.Client) -> None:
    """The same with the asyncio client."""
    uri = upload(buckets, "a.pdf", text_pdf(3))
    channel = grpc.aio.insecure_channel(emulator.address, options=UNLIMITED)
    transport = transports.ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
    async with vision.ImageAnnotatorAsyncClient(transport=transport) as client:
        operation = await client.async_batch_annotate_files(requests=[offline(uri, "gs://results/x")])
        await operation.result(timeout=60)
    assert len(read_back(buckets, "x")) == 3


def test_reading_a_document_offline_by_discovery(service: Any, buckets: storage.Client) -> None:
    """The same with google-api-python-client."""
    uri = upload(buckets, "a.pdf", text_pdf(3))
    request = {
        "inputConfig": {"gcsSource": {"uri": uri}, "mimeType": PDF},
        "features": [{"type": "DOCUMENT_TEXT_DETECTION"}],
        "outputConfig": {"gcsDestination": {"uri": "gs://results/x/"}, "batchSize": 2},
    }
    name = service.files().asyncBatchAnnotate(body={"requests": [request]}).execute()["name"]
    done = service.projects().operations().get(name=name).execute()
    assert done["response"]["@type"] == "type.googleapis.com/google.cloud.vision.v1.AsyncBatchAnnotateFilesResponse"
    assert done["response"]["responses"] == [{"outputConfig": request["outputConfig"]}]
    assert [page.context.page_number for page in read_back(buckets, "x/")] == [1, 2, 3]


def test_errors_reach_the_client_where_they_belong(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """A wrong request and an unreadable file refuse the call; a broken file is found by the operation."""
    with pytest.raises(BadRequest, match="Unsupported mime_type"):
        client.async_batch_annotate_files(requests=[offline("gs://inputs/a.pdf", "gs://results/", "text/plain")])
    with pytest.raises(NotFound, match=r"Error opening file: gs://inputs/none\.pdf"):
        client.async_batch_annotate_files(requests=[offline("gs://inputs/none.pdf", "gs://results/")])
    broken = upload(buckets, "broken.pdf", text_pdf()[:300])
    operation = client.async_batch_annotate_files(requests=[offline(broken, "gs://results/")])
    with pytest.raises(GoogleAPICallError, match="Error in extracting images from PDF file"):
        operation.result(timeout=60)
