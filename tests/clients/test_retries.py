"""How Google's own clients retry, and what their owner can say of it: the report of a rule asserts that the client met the fault."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.cloud import storage, vision
from google.cloud.storage.retry import DEFAULT_RETRY

from pictures import drawn
from vision_emulator import VisionEmulator

QUICKLY = {"initial": 0.01, "maximum": 0.02, "multiplier": 1.0, "timeout": 30.0}
FEATURES = [vision.Feature(type_=vision.Feature.Type.LABEL_DETECTION)]
REJECT = {"fault": "reject", "code": "UNAVAILABLE"}


def control(emulator: VisionEmulator, verb: str, path: str, body: Any = None) -> Any:
    """One control call, as any program makes it."""
    reply = requests.request(verb, emulator.url + path, json=body, timeout=30)
    assert reply.ok, reply.text
    return reply.json()


@pytest.fixture
def fresh(emulator: VisionEmulator) -> Iterator[VisionEmulator]:
    emulator.reset()
    yield emulator
    emulator.reset()


def annotate(client: vision.ImageAnnotatorClient, retry: Retry | None = None, **metadata: str) -> Any:
    """One picture's labels."""
    image = {"content": drawn()}
    more = {} if retry is None else {"retry": retry}
    named = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    answer = client.batch_annotate_images(requests=[{"image": image, "features": FEATURES}], metadata=named, **more)
    return answer.responses[0].label_annotations


def test_unavailable_twice_then_success(fresh: VisionEmulator, client: vision.ImageAnnotatorClient) -> None:
    """The client's own default retries UNAVAILABLE until it is answered; the report says it did so twice."""
    rule = control(fresh, "POST", "/_emulator/v1/faults", {"script": [REJECT], "times": 2})
    assert annotate(client, Retry(if_exception_type(exceptions.ServiceUnavailable), **QUICKLY))
    report = control(fresh, "GET", f"/_emulator/v1/faults/{rule['id']}")
    assert (report["struck"], report["exhausted"]) == (2, True)
    entries = control(fresh, "GET", "/_emulator/v1/journal")["entries"]
    assert [entry["code"] for entry in entries] == ["UNAVAILABLE", "UNAVAILABLE", "OK"]
    assert [strike["call"] for strike in report["strikes"]] == [entry["number"] for entry in entries[:2]]


def test_the_default_retry_of_the_method(fresh: VisionEmulator, client: vision.ImageAnnotatorClient) -> None:
    """Nothing configured: images:annotate is retried after UNAVAILABLE, and never after RESOURCE_EXHAUSTED."""
    control(fresh, "POST", "/_emulator/v1/faults", {"script": [REJECT]})
    assert annotate(client)
    control(fresh, "POST", "/_emulator/v1/faults", {"preset": "quota-exceeded", "times": None})
    with pytest.raises(
        exceptions.ResourceExhausted if hasattr(client.transport, "grpc_channel") else exceptions.TooManyRequests
    ) as refused:
        annotate(client)
    assert "Quota exceeded" in refused.value.message
    assert refused.value.reason == "RATE_LIMIT_EXCEEDED"


async def test_the_asyncio_client(fresh: VisionEmulator) -> None:
    """It retries UNAVAILABLE and a broken connection by default, and hears why it is refused for good."""
    rule = control(fresh, "POST", "/_emulator/v1/faults", {"script": [REJECT, {"fault": "drop"}]})
    wanted = [{"image": {"content": drawn()}, "features": FEATURES}]
    async with fresh.async_client() as client:
        assert (await client.batch_annotate_images(requests=wanted)).responses[0].label_annotations
        assert control(fresh, "GET", f"/_emulator/v1/faults/{rule['id']}")["struck"] == 2
        control(fresh, "POST", "/_emulator/v1/faults", {"preset": "expired-token"})
        with pytest.raises(exceptions.Unauthenticated, match="Request had invalid authentication credentials"):
            await client.batch_annotate_images(requests=wanted)


def test_a_retry_test_id_over_either_transport(fresh: VisionEmulator, client: vision.ImageAnnotatorClient) -> None:
    """A constant header on all calls: two failures in order, then success, and the test is completed."""
    transport = "GRPC" if hasattr(client.transport, "grpc_channel") else "HTTP"
    wanted = {"instructions": {"vision.images.annotate": ["return-503", "return-500"]}, "transport": transport}
    test = control(fresh, "POST", "/retry_test", wanted)
    retried = Retry(if_exception_type(exceptions.ServiceUnavailable, exceptions.InternalServerError), **QUICKLY)
    assert annotate(client, retried, x_retry_test_id=test["id"])
    assert control(fresh, "GET", f"/retry_test/{test['id']}")["completed"]


def test_connections_that_break(fresh: VisionEmulator, client: vision.ImageAnnotatorClient) -> None:
    """A client that retries broken connections comes through one that breaks before the answer and one that breaks inside it."""
    script = [{"fault": "drop"}, {"fault": "drop", "when": "middle"}]
    rule = control(fresh, "POST", "/_emulator/v1/faults", {"method": "BatchAnnotateImages", "script": script})
    broken = (exceptions.ServiceUnavailable, requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    assert annotate(client, Retry(if_exception_type(*broken), **QUICKLY))
    report = control(fresh, "GET", f"/_emulator/v1/faults/{rule['id']}")
    assert [strike["fault"] for strike in report["strikes"]] == ["drop", "drop"]


def test_a_poll_that_fails(fresh: VisionEmulator, client: vision.ImageAnnotatorClient) -> None:
    """A client that waits for an operation outlasts an unavailable poll; the report on its polls has the others."""
    control(fresh, "POST", "/_emulator/v1/faults", {"method": "GetOperation", "script": [REJECT]})
    control(fresh, "PUT", "/_emulator/v1/pace", {"pace": "polls:1"})
    images = [{"image": {"source": {"image_uri": "gs://inputs/none.png"}}, "features": FEATURES}]
    output = {"gcs_destination": {"uri": "gs://results/run/"}}
    operation = client.async_batch_annotate_images(requests=images, output_config=output)
    quick = Retry(if_exception_type(exceptions.ServiceUnavailable, exceptions.Unknown), **QUICKLY)
    polling = operation._polling.with_delay(initial=0.01, maximum=0.02, multiplier=1.0)
    operation.result(timeout=30, retry=quick, polling=polling)
    name = operation.operation.name.rpartition("/")[2]
    polls = control(fresh, "GET", f"/_emulator/v1/operations/{name}/polls")
    (who,) = polls["clients"]
    assert polls["attempts"] == who["attempts"] >= 2
    assert who["sawDone"]
    assert len(who["gaps"]) == who["attempts"] - 1


# ---- storage ----


QUICK_STORAGE = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.02, multiplier=1.0).with_timeout(30.0)


def with_test(client: storage.Client, test: dict[str, Any]) -> None:
    """The test's id on every call of the client, as the storage libraries' own tests send it."""
    client._http.headers["x-retry-test-id"] = test["id"]


@pytest.mark.parametrize("instruction", ["return-503", "return-429", "return-408", "return-502", "return-reset-connection"])
def test_storage_retries_what_it_says_it_does(fresh: VisionEmulator, buckets: storage.Client, instruction: str) -> None:
    """google-cloud-storage lists buckets again after each of these, and the test is completed."""
    test = control(fresh, "POST", "/retry_test", {"instructions": {"storage.buckets.list": [instruction, instruction]}})
    with_test(buckets, test)
    assert {bucket.name for bucket in buckets.list_buckets(retry=QUICK_STORAGE)} == {"inputs", "results"}
    assert control(fresh, "GET", f"/retry_test/{test['id']}")["completed"]


def test_storage_does_not_retry_what_is_refused(fresh: VisionEmulator, buckets: storage.Client) -> None:
    """403 is final at the first attempt."""
    test = control(fresh, "POST", "/retry_test", {"instructions": {"storage.buckets.list": ["return-403", "return-403"]}})
    with_test(buckets, test)
    with pytest.raises(exceptions.Forbidden):
        list(buckets.list_buckets(retry=QUICK_STORAGE))
    assert control(fresh, "GET", f"/retry_test/{test['id']}")["instructions"] == {"storage.buckets.list": ["return-403"]}


def test_an_upload_that_is_refused_at_first(fresh: VisionEmulator, buckets: storage.Client) -> None:
    """A resumable upload goes on after a chunk was refused, and what arrives is whole."""
    wanted = {"method": "storage.objects.insert", "script": [{"fault": "pass"}, REJECT]}
    rule = control(fresh, "POST", "/_emulator/v1/faults", wanted)
    content = bytes(range(256)) * 4096  # 1 MiB, in chunks of 256 KiB
    blob = buckets.bucket("inputs").blob("large", chunk_size=256 * 1024)
    blob.upload_from_file(io.BytesIO(content), retry=QUICK_STORAGE)
    assert blob.download_as_bytes() == content
    assert control(fresh, "GET", f"/_emulator/v1/faults/{rule['id']}")["struck"] == 1


def test_a_download_that_breaks_or_is_corrupted(fresh: VisionEmulator, buckets: storage.Client) -> None:
    """A download that ends in the middle, and one with a turned byte, are fetched again until the checksum is right."""
    blob = buckets.bucket("inputs").blob("picture")
    content = bytes(range(256)) * 64
    blob.upload_from_string(content)
    wanted = {"method": "storage.objects.get", "script": [{"fault": "drop", "when": "middle"}]}
    rule = control(fresh, "POST", "/_emulator/v1/faults", wanted)
    assert blob.download_as_bytes(retry=QUICK_STORAGE) == content
    assert control(fresh, "GET", f"/_emulator/v1/faults/{rule['id']}")["exhausted"]
    control(fresh, "POST", "/_emulator/v1/faults", {"method": "storage.objects.get", "script": [{"fault": "corrupt"}]})
    with pytest.raises(Exception, match=r"(?i)checksum"):
        blob.download_as_bytes(retry=QUICK_STORAGE)
