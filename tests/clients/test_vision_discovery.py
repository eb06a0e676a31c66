"""google-api-python-client built from the emulator's own discovery document, as clients of other languages are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httplib2
import pytest
from googleapiclient.discovery import build, build_from_document
from googleapiclient.errors import HttpError

from plain import PLAIN
from vision_emulator import VisionEmulator

SAMPLE = "gs://cloud-samples-data/vision/document_understanding/image1.png"
IMAGE = {"image": {"source": {"imageUri": SAMPLE}}, "features": [{"type": "LABEL_DETECTION"}]}


@pytest.fixture(scope="module")
def emulator() -> Iterator[VisionEmulator]:
    with VisionEmulator(bucket="results", settings=PLAIN) as running:
        yield running


@pytest.fixture
def http() -> Iterator[httplib2.Http]:
    opened = httplib2.Http()
    yield opened
    opened.close()


@pytest.fixture
def service(emulator: VisionEmulator, http: httplib2.Http) -> Any:
    """The API as the client makes it from the document it fetched; no endpoint is set, the document says it."""
    address = f"{emulator.url}/$discovery/rest?version={{apiVersion}}"
    return build("vision", "v1", http=http, developerKey="k", discoveryServiceUrl=address, static_discovery=False, cache_discovery=False)


def test_online_and_offline(service: Any) -> None:
    """Images online under each parent; a batch offline, polled under every name that its operation has."""
    body = {"requests": [IMAGE]}
    answers = [
        service.images().annotate(body=body, fields="responses(labelAnnotations(description))").execute(),
        service.projects().images().annotate(parent="projects/p", body=body).execute(),
        service.projects().locations().images().annotate(parent="projects/p/locations/eu", body=body).execute(),
    ]
    assert {answer["responses"][0]["labelAnnotations"][0]["description"] for answer in answers} == {"Text"}
    output = {"gcsDestination": {"uri": "gs://results/"}, "batchSize": 1}
    started = (
        service.projects()
        .locations()
        .images()
        .asyncBatchAnnotate(parent="projects/p/locations/eu", body={"requests": [IMAGE], "outputConfig": output})
        .execute()
    )
    name = started["name"]
    identity = name.rpartition("/")[2]
    polls = [
        service.projects().locations().operations().get(name=name),
        service.operations().get(name=f"operations/{identity}"),
        service.projects().operations().get(name=f"projects/p/operations/{identity}"),
        service.locations().operations().get(name=f"locations/eu/operations/{identity}"),
    ]
    for poll in polls:
        operation = poll.execute()
        assert operation["done"]
        assert operation["response"]["outputConfig"] == output
    assert service.operations().list(name="operations", pageSize=10).execute()["operations"]
    service.operations().delete(name=f"operations/{identity}").execute()
    with pytest.raises(HttpError, match="Not found"):
        polls[0].execute()


def test_its_own_checks_pass_our_patterns(service: Any) -> None:
    """The client refuses, by the document's patterns, what the API would refuse."""
    for wrong in ("p", "projects/p/locations/l", "projects/"):
        with pytest.raises(TypeError, match="does not match the pattern"):
            service.projects().images().annotate(parent=wrong, body={})


def test_a_batch_of_calls(service: Any) -> None:
    """The client's own batches go to the address of the document, and each call gets its own answer or refusal."""
    answers: dict[str, Any] = {}
    batch = service.new_batch_http_request(callback=lambda identity, answer, refusal: answers.update({identity: refusal or answer}))
    batch.add(service.images().annotate(body={"requests": [IMAGE]}), request_id="right + ä")
    batch.add(service.images().annotate(body={"requests": [{}]}), request_id="wrong")
    batch.add(service.operations().get(name="operations/0123456789abcdef"), request_id="missing")
    batch.execute()
    assert answers["right + ä"]["responses"][0]["labelAnnotations"][0]["description"] == "Text"
    assert (answers["wrong"].resp.status, answers["missing"].resp.status) == (400, 404)
    assert "Request must specify image and features." in str(answers["wrong"])


@pytest.mark.parametrize("version", ["v1p1beta1", "v1p2beta1", "v1p3beta1", "v1p4beta1"])
def test_the_betas(emulator: VisionEmulator, http: httplib2.Http, version: str) -> None:
    """Each beta's document makes a client of that beta."""
    _, document = http.request(f"{emulator.url}/discovery/v1/apis/vision/{version}/rest")
    service = build_from_document(json.loads(document), http=http, developerKey="k")
    request = service.images().annotate(body={"requests": [IMAGE]})
    assert f"/{version}/images:annotate" in request.uri
    assert request.execute()["responses"][0]["labelAnnotations"]
