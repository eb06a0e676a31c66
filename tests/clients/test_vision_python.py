"""Google's own Python clients, unmodified, with nothing set but the endpoint: the guide page's sample flow over each transport."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage, vision, vision_v1p4beta1
from google.cloud.vision_v1.services.image_annotator import transports
from googleapiclient.errors import HttpError
from official import UNLIMITED, close_polling, over_grpc

from pictures import drawn
from vision_emulator import VisionEmulator

FEATURES = [{"type_": vision.Feature.Type.LABEL_DETECTION}, {"type_": vision.Feature.Type.IMAGE_PROPERTIES}]


def upload(buckets: storage.Client, count: int) -> list[str]:
    """Uploads real pictures with the official storage client and answers their URIs."""
    bucket = buckets.get_bucket("inputs")
    for number in range(count):
        bucket.blob(f"{number}.jpg").upload_from_string(drawn(number), "image/jpeg")
    return [f"gs://inputs/{number}.jpg" for number in range(count)]


def request(uris: list[str]) -> dict[str, Any]:
    """The guide page's request: one element an image, two features each, two responses a file."""
    return {
        "requests": [{"image": {"source": {"image_uri": uri}}, "features": FEATURES} for uri in uris],
        "output_config": {"gcs_destination": {"uri": "gs://results/offline/"}, "batch_size": 2},
    }


def check(buckets: storage.Client, uris: list[str], uri: str) -> None:
    """Reads the shards back as consumers do: by prefix, strictly parsed, by context.uri."""
    assert uri == "gs://results/offline/"
    blobs = list(buckets.get_bucket("results").list_blobs(prefix="offline/"))
    assert [blob.name for blob in blobs] == ["offline/output-1-to-2.json", "offline/output-3-to-3.json"]
    assert {blob.content_type for blob in blobs} == {"application/octet-stream"}
    found = []
    for blob in blobs:
        found += vision.BatchAnnotateImagesResponse.from_json(blob.download_as_text(), ignore_unknown_fields=False).responses
    assert [response.context.uri for response in found] == uris
    assert all(response.label_annotations and response.image_properties_annotation.dominant_colors.colors for response in found)
    assert all(response.crop_hints_annotation.crop_hints for response in found)
    assert not any("error" in response for response in found)


def test_offline_batch(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """Upload, submit, wait for the operation, read the shards: gRPC and REST."""
    uris = upload(buckets, 3)
    operation = client.async_batch_annotate_images(request=request(uris))
    response = operation.result(timeout=60)
    assert operation.metadata.state == vision.OperationMetadata.State.DONE
    check(buckets, uris, response.output_config.gcs_destination.uri)


async def test_offline_batch_asyncio(emulator: VisionEmulator, buckets: storage.Client) -> None:
    """The same with the asyncio client."""
    uris = upload(buckets, 3)
    channel = grpc.aio.insecure_channel(emulator.address, options=UNLIMITED)
    transport = transports.ImageAnnotatorGrpcAsyncIOTransport(channel=channel)
    async with vision.ImageAnnotatorAsyncClient(transport=transport) as client:
        operation = await client.async_batch_annotate_images(request=request(uris))
        response = await operation.result(timeout=60)
    check(buckets, uris, response.output_config.gcs_destination.uri)


def test_offline_batch_by_discovery(service: Any, buckets: storage.Client) -> None:
    """The same with google-api-python-client, polling under both forms of the name that it knows."""
    uris = upload(buckets, 3)
    body = {
        "requests": [
            {"image": {"source": {"imageUri": uri}}, "features": [{"type": "LABEL_DETECTION"}, {"type": "IMAGE_PROPERTIES"}]}
            for uri in uris
        ],
        "outputConfig": {"gcsDestination": {"uri": "gs://results/offline/"}, "batchSize": 2},
    }
    name = service.images().asyncBatchAnnotate(body=body).execute()["name"]
    by_project = service.projects().operations().get(name=name).execute()
    alone = service.operations().get(name="operations/" + name.rpartition("/")[2]).execute()
    assert by_project["done"] is alone["done"] is True
    assert alone["metadata"]["state"] == "DONE"
    check(buckets, uris, alone["response"]["outputConfig"]["gcsDestination"]["uri"])


@pytest.mark.parametrize("parent", ["projects/mine", "projects/mine/locations/eu"])
def test_parents_name_the_operation(emulator: VisionEmulator, service: Any, buckets: storage.Client, parent: str) -> None:
    """All three REST bindings are answered, and an operation is named after its parent."""
    uris = upload(buckets, 1)
    projects = service.projects()
    images = projects.locations().images() if "locations" in parent else projects.images()
    body = {
        "requests": [{"image": {"source": {"imageUri": uris[0]}}, "features": [{"type": "LABEL_DETECTION"}]}],
        "outputConfig": {"gcsDestination": {"uri": "gs://results/offline/"}},
    }
    assert images.asyncBatchAnnotate(parent=parent, body=body).execute()["name"].startswith(parent + "/operations/")
    with over_grpc(emulator) as client:
        operation = client.async_batch_annotate_images(request=request(uris) | {"parent": parent})
        assert operation.operation.name.startswith(parent + "/operations/")
        assert operation.result(timeout=60)


def test_errors_reach_the_client_typed(client: vision.ImageAnnotatorClient) -> None:
    """The official client raises its own exceptions, with our texts, from both transports."""
    with pytest.raises(BadRequest, match="2000"):
        client.async_batch_annotate_images(request=request(["gs://inputs/0.jpg"] * 2001))
    with pytest.raises(BadRequest, match="Request must specify image and features"):
        client.async_batch_annotate_images(request={"requests": [{}]})
    with pytest.raises(NotFound, match="Not found"):
        client.get_operation({"name": "projects/p/operations/0123456789abcdef"})


def test_errors_by_discovery(service: Any) -> None:
    """google-api-python-client shows the front end's text and details."""
    with pytest.raises(HttpError) as refused:
        service.images().annotate(body={"requests": [{"images": {}}]}).execute()
    assert refused.value.status_code == 400
    assert "Unknown name \"images\" at 'requests[0]'" in refused.value.reason
    assert refused.value.error_details[0]["fieldViolations"][0]["field"] == "requests[0]"


def test_online_labels(client: vision.ImageAnnotatorClient) -> None:
    """images:annotate with inline bytes, also far beyond gRPC's 4 MiB and aiohttp's 1 MiB defaults."""
    large = drawn() + bytes(8_000_000)  # what follows the end of a JPEG is no part of it
    response = client.label_detection(image=vision.Image(content=large))
    assert response.label_annotations
    assert not response.error.message


def test_listing_and_cancelling(emulator: VisionEmulator, buckets: storage.Client) -> None:
    """The client's own operations surface lists, cancels and deletes."""
    uris = upload(buckets, 1)
    with over_grpc(emulator) as client:
        pace = [("x-vision-emulator-pace", "never")]
        operation = client.async_batch_annotate_images(request=request(uris), metadata=pace)
        api = client.transport.operations_client
        assert [listed.name for listed in api.list_operations("operations", "")] == [operation.operation.name]
        assert not operation.done()
        operation.cancel()
        assert operation.cancelled()
        api.delete_operation(operation.operation.name)
        assert list(api.list_operations("operations", "")) == []


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_betas(emulator: VisionEmulator, buckets: storage.Client, transport: str) -> None:
    """A beta client's offline batch: its own type URLs, its own polling paths."""
    uris = upload(buckets, 3)
    beta = vision_v1p4beta1.services.image_annotator.transports
    if transport == "grpc":
        made = beta.ImageAnnotatorGrpcTransport(channel=grpc.insecure_channel(emulator.address))
    else:
        made = beta.ImageAnnotatorRestTransport(host=emulator.address, url_scheme="http", credentials=AnonymousCredentials())
    with vision_v1p4beta1.ImageAnnotatorClient(transport=made) as client:
        response = client.async_batch_annotate_images(request=request(uris)).result(timeout=60)
        if transport == "rest":
            close_polling(client)
    assert type(response) is vision_v1p4beta1.AsyncBatchAnnotateImagesResponse
    check(buckets, uris, response.output_config.gcs_destination.uri)


def test_raw_answers_keep_the_wire_form(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """Output files hold enum names, no unknown keys and no zero coordinates, whatever the client asked of REST."""
    uris = upload(buckets, 1)
    client.async_batch_annotate_images(request=request(uris)).result(timeout=60)
    text = buckets.bucket("results").blob("offline/output-1-to-1.json").download_as_text()
    hint = json.loads(text)["responses"][0]["cropHintsAnnotation"]["cropHints"][0]
    assert all(0 not in vertex.values() for vertex in hint["boundingPoly"]["vertices"])
