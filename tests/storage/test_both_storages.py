"""The same work on the built-in Cloud Storage and on fake-gcs-server, named by ``--storage``: what a user sees tells not which."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import toolchains
from batches import LABELS, batch, image
from transports import Files, Rest

from documents import text_pdf
from pictures import drawn
from plain import PLAIN
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.messages import Feature
from vision_emulator.storage import BucketMissing, ObjectMissing, ObjectTooLarge

BUCKETS = ("inputs", "results")
ODD_NAMES = ["a b+c.jpg", "ä/ö#1?.jpg", "a//b", "deep/er/and/deeper", "percent%2Fslash", "quote'\"<&>", "𝄞.jpg", "～.jpg"]
pytestmark = pytest.mark.timeout(toolchains.BUILD_SECONDS_MAX)


@pytest.fixture(scope="session")
def far_end() -> Iterator[str]:
    with toolchains.fake_gcs_serving() as url:
        yield url


@pytest.fixture(params=["embedded", "fake-gcs-server"])
async def emulator(request: pytest.FixtureRequest) -> AsyncIterator[Emulator]:
    options: dict[str, Any] = {"bucket": BUCKETS}
    if request.param == "fake-gcs-server":
        url = request.getfixturevalue("far_end")
        async with aiohttp.ClientSession() as session:
            for bucket in BUCKETS:
                await session.post(f"{url}/storage/v1/b", json={"name": bucket})
                async with session.get(f"{url}/storage/v1/b/{bucket}/o") as listed:
                    for item in (await listed.json()).get("items", []):
                        name = quote(item["name"], safe="")
                        await session.delete(f"{url}/storage/v1/b/{bucket}/o/{name}")
        options = {"storage": url}
    async with Emulator(Config(port=0, settings=PLAIN, **options)) as running:
        yield running


@pytest.fixture
async def api(emulator: Emulator) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(emulator, session)


@pytest.fixture
def files(emulator: Emulator) -> Files:
    return Files(emulator)


async def finished(api: Rest, rpc: str, request: dict[str, Any]) -> Any:
    operation = (await api(rpc, request, {"x-vision-emulator-pace": "instant"})).message
    assert operation.done
    return operation


async def test_a_batch_with_results_in_files(api: Rest, files: Files) -> None:
    """Five images, one of them missing: three files, slots in order, the missing one's error in its slot; written anew the next time."""
    uris = [f"gs://inputs/{number}.jpg" for number in range(5)]
    for number in (0, 1, 2, 4):
        await files.put(uris[number], drawn())
    for _ in range(2):
        operation = await finished(api, "AsyncBatchAnnotateImages", batch([image(uri) for uri in uris]))
        assert operation.HasField("response"), operation
        names = await files.names("gs://results/run/")
        assert names == [f"run/output-{part}.json" for part in ("1-to-2", "3-to-4", "5-to-5")]
    read = [json.loads(await files.get(f"gs://results/{name}")) for name in names]
    answers = [answer for part in read for answer in part["responses"]]
    assert [answer["context"]["uri"] for answer in answers] == uris
    assert [("error" in answer, "labelAnnotations" in answer) for answer in answers] == [(number == 3, number != 3) for number in range(5)]
    assert "gs://inputs/3.jpg" in answers[3]["error"]["message"]


async def test_pages_of_a_document(api: Rest, files: Files) -> None:
    """A PDF is read from storage and its pages' text written to it."""
    await files.put("gs://inputs/pages.pdf", text_pdf())
    source = {"gcs_source": {"uri": "gs://inputs/pages.pdf"}, "mime_type": "application/pdf"}
    output = {"gcs_destination": {"uri": "gs://results/pdf/"}, "batch_size": 2}
    request = {"input_config": source, "features": [{"type": Feature.DOCUMENT_TEXT_DETECTION}], "output_config": output}
    operation = await finished(api, "AsyncBatchAnnotateFiles", {"requests": [request]})
    assert operation.HasField("response"), operation
    assert await files.names("gs://results/pdf/") == ["pdf/output-1-to-2.json", "pdf/output-3-to-3.json"]
    last = json.loads(await files.get("gs://results/pdf/output-3-to-3.json"))
    assert last["responses"][0]["fullTextAnnotation"]["text"].startswith("Page 3 of 3.")


async def test_a_bucket_that_is_not_there(api: Rest, files: Files) -> None:
    """Results that have nowhere to go fail their operation, images in such a bucket their slot."""
    await files.put("gs://inputs/a.jpg", drawn())
    operation = await finished(api, "AsyncBatchAnnotateImages", batch([image("gs://inputs/a.jpg")], "gs://no-such-bucket/run/"))
    assert operation.HasField("error"), operation
    answer = (await api("BatchAnnotateImages", {"requests": [image("gs://no-such-bucket/a.jpg", LABELS)]})).message
    assert answer.responses[0].error.code
    with pytest.raises(BucketMissing):
        await files.names("gs://no-such-bucket/")


async def test_names_of_every_kind(files: Files) -> None:
    """Odd names come back as they were written, in code point order, and prefixes are literal."""
    for name in ODD_NAMES:
        await files.put(f"gs://inputs/odd/{name}", name.encode())
    assert await files.names("gs://inputs/odd/") == sorted(f"odd/{name}" for name in ODD_NAMES)
    for name in ODD_NAMES:
        assert await files.get(f"gs://inputs/odd/{name}") == name.encode()
    assert await files.names("gs://inputs/odd/ä/ö#") == ["odd/ä/ö#1?.jpg"]


async def test_listings_of_several_pages(files: Files) -> None:
    """More objects than one page holds are listed whole and in order."""
    for number in range(1100):
        await files.put(f"gs://inputs/many/{number}", b"")
    assert await files.names("gs://inputs/many/") == sorted(f"many/{number}" for number in range(1100))


async def test_contents_of_every_size(emulator: Emulator, files: Files) -> None:
    """Nothing, little and much; too much for the reader is refused, and what is missing is told."""
    for size in (0, 1, 12 * 1024 * 1024 + 1):
        content = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
        await files.put("gs://inputs/sized", content)
        assert await files.get("gs://inputs/sized") == content
    bucket = await emulator.storage.bucket("inputs")
    with pytest.raises(ObjectTooLarge):
        await bucket.read("sized", 1000)
    with pytest.raises(ObjectMissing):
        await bucket.read("none")
    packed = gzip.compress(b"text" * 100)
    await files.put("gs://inputs/packed.gz", packed)
    assert await files.get("gs://inputs/packed.gz") == packed
