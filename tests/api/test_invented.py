"""Invented answers as a user sees them: any script and any amount, the same over every transport and in output files."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator

import aiohttp
import pytest
from batches import batch, image
from transports import Api, Files

from documents import text_pdf
from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.config import Config, ConfigError, load
from vision_emulator.contract import codec
from vision_emulator.contract.messages import BatchAnnotateImagesResponse, Feature
from vision_emulator.contract.methods import METHODS, Call

SCRIPTS = ("arabic", "hebrew", "cjk", "devanagari", "thai", "emoji", "combining")
READ = {"type": Feature.DOCUMENT_TEXT_DETECTION}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    settings = {"synthetic": {"scripts": SCRIPTS, "rotated": 0.5}}
    async with Emulator(Config(port=0, bucket=("inputs", "results"), annotators=("synthetic",), settings=settings)) as running:
        yield running


async def directly(emulator: Emulator, data: bytes) -> BatchAnnotateImagesResponse:
    """What the core answers, past every transport."""
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
    request = method.request(requests=[{"image": {"content": data}, "features": [READ]}])
    answer = await emulator.vision.call(Call(method, request, {}))
    assert isinstance(answer, BatchAnnotateImagesResponse)
    return answer


async def test_any_script_survives_every_way(api: Api, files: Files, emulator: Emulator) -> None:
    """Text of every script, rotated or not, arrives whole over REST and gRPC, and the header says that it was invented."""
    for number in range(3):
        answer = await api("BatchAnnotateImages", {"requests": [{"image": {"content": drawn(number)}, "features": [READ]}]})
        assert answer.message == await directly(emulator, drawn(number))
        assert answer.metadata["x-vision-emulator-annotators"] == "synthetic=1"
        assert len(answer.message.responses[0].full_text_annotation.pages[0].blocks) == len(SCRIPTS)
    uris = [await files.put(f"gs://inputs/{number}.jpg", drawn(number)) for number in range(3)]
    created = await api("AsyncBatchAnnotateImages", batch([image(uri, READ) for uri in uris], "gs://results/", batch_size=3))
    assert (await api("GetOperation", {"name": created.message.name})).message.done
    responses = (await directly(emulator, drawn(0))).responses
    written = json.loads(await files.get("gs://results/output-1-to-3.json"))["responses"]
    assert written[0]["fullTextAnnotation"]["text"] == responses[0].full_text_annotation.text


async def test_json_is_the_same_to_the_byte(emulator: Emulator, files: Files) -> None:
    """A response over REST and in an output file is one text, in UTF-8, but for what clients cannot see: direction and join marks are
    escaped."""
    expected = codec.encode((await directly(emulator, drawn())).responses[0])
    assert expected.decode().isprintable()
    assert not expected.isascii()
    element = {"image": {"source": {"imageUri": await files.put("gs://inputs/0.jpg", drawn())}}, "features": [{"type": int(READ["type"])}]}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{emulator.url}/v1/images:annotate?prettyPrint=false", json={"requests": [element]}) as online:
            assert await online.read() == b'{"responses":[' + expected + b"]}"
        output = {"gcsDestination": {"uri": "gs://results/"}}
        async with session.post(
            f"{emulator.url}/v1/images:asyncBatchAnnotate", json={"requests": [element], "outputConfig": output}
        ) as made:
            name = (await made.json())["name"]
        async with session.get(f"{emulator.url}/v1/{name}") as polled:
            assert (await polled.json())["done"]
    written = await files.get("gs://results/output-1-to-1.json")
    assert written == b'{"responses":[' + expected[:-1] + b',"context":{"uri":"gs://inputs/0.jpg"}}]}'


async def test_pages_of_a_document_differ(api: Api, files: Files) -> None:
    """Every page has text of its own, and the same one in the next run."""
    uri = await files.put("gs://inputs/a.pdf", text_pdf(5))
    source = {"gcs_source": {"uri": uri}, "mime_type": "application/pdf"}
    answers = [await api("BatchAnnotateFiles", {"requests": [{"input_config": source, "features": [READ]}]}) for _ in range(2)]
    texts = [page.full_text_annotation.text for page in answers[0].message.responses[0].responses]
    assert len(set(texts)) == 5
    assert answers[0].message == answers[1].message
    assert answers[0].metadata["x-vision-emulator-annotators"] == "synthetic=5"


async def test_density_makes_answers_of_megabytes() -> None:
    """The option reaches the annotator beside the settings, and an answer of several megabytes passes."""
    config = Config(port=0, annotators=("synthetic",), synthetic_density=2000, settings={"synthetic": {"rotated": True}})
    kinds = (Feature.DOCUMENT_TEXT_DETECTION, Feature.FACE_DETECTION, Feature.LABEL_DETECTION)
    features = [{"type": int(kind), "maxResults": 2000} for kind in kinds]
    async with Emulator(config) as emulator, aiohttp.ClientSession() as session:
        body = {"requests": [{"image": {"content": b64encode(drawn()).decode()}, "features": features}]}
        async with session.post(f"{emulator.url}/v1/images:annotate", json=body) as answer:
            assert answer.headers["x-vision-emulator-annotators"] == "synthetic=3"
            data = await answer.read()
    assert len(data) > 5_000_000
    response = codec.decode(BatchAnnotateImagesResponse, data).responses[0]
    assert len(response.face_annotations) == len(response.label_annotations) == 2000
    assert len(response.text_annotations) > 2000


def test_density_is_said_once() -> None:
    """The option and the setting are one thing: two values are refused, with both."""
    with pytest.raises(ConfigError, match=r"^synthetic_density is 3, and settings\.synthetic\.density 4: say one$"):
        load({"synthetic_density": "3", "settings": ["synthetic.density=4"]}, {})
    with pytest.raises(ConfigError, match="10001 is out of range; use 0 to 10000"):
        load({"synthetic_density": "10001"}, {})
    assert load({"synthetic_density": "3", "settings": ["synthetic.density=3"]}, {}).config.synthetic_density == 3
