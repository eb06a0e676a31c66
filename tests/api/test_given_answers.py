"""Given answers as a user meets them: whichever way the call comes, and through the whole of the API."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transports import Api, Files

from documents import text_pdf
from pictures import drawn
from vision_emulator.annotators import Picture, likeness
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import Feature
from vision_emulator.control.clock import ManualClock

PNG = drawn(7, (200, 100), "PNG")


def labels(description: str) -> dict[str, Any]:
    return {"labelAnnotations": [{"description": description, "score": 0.5}]}


RULES: list[dict[str, Any]] = [
    {"match": {"pixels": likeness.pixel_hash(Picture(PNG))}, "response": labels("those pixels")},
    {"match": {"looksLike": f"{likeness.perceptual_hash(Picture(PNG)):016x}"}, "response": labels("looks like it")},
    {"match": {"header": {"x-test": "mine*"}}, "response": labels("my header")},
    {"match": {"languageHint": "ja", "feature": "TEXT_DETECTION"}, "response": {"textAnnotations": [{"description": "日本"}]}},
    {"match": {"uri": "gs://inputs/flaky"}, "sequence": [{"error": {"code": 14, "message": "later"}}, {"response": labels("at last")}]},
    {"match": {"uri": "gs://inputs/slow"}, "response": labels("slow"), "delay": "5s"},
    {"match": {"uri": "gs://inputs/a.pdf", "page": 2}, "response": labels("page two")},
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def emulator(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Emulator]:
    """With these rules and nothing invented, on a clock that the test moves."""
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    config = Config(
        port=0, bucket=("inputs", "results"), fixtures=(tmp_path / "rules.json",), annotators=("fixtures",), certificates=tmp_path / "ca"
    )
    async with Emulator(config, clock) as running:
        yield running


def saved(data: bytes, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, image_format, **options)
    return buffer.getvalue()


async def asked(
    api: Api, image: dict[str, Any], *, feature: int = Feature.LABEL_DETECTION, hints: tuple[str, ...] = (), **headers: str
) -> Any:
    """The response for one image."""
    element = {"image": image, "features": [{"type": feature}], "image_context": {"language_hints": hints}}
    metadata = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await api("BatchAnnotateImages", {"requests": [element]}, metadata)).message.responses[0]


async def test_copies_are_matched_by_what_is_on_them(api: Api) -> None:
    """A copy in another format by its pixels, a worse and smaller one by its look, another picture not at all."""
    for data, expected in ((PNG, "those pixels"), (saved(PNG, "BMP"), "those pixels"), (saved(PNG, "JPEG", quality=30), "looks like it")):
        assert (await asked(api, {"content": data})).label_annotations[0].description == expected
    assert not (await asked(api, {"content": drawn(90, (90, 120))})).ListFields()


async def test_what_cannot_be_decoded_is_matched_by_nothing(api: Api) -> None:
    """Rules about pixels pass it over; nobody else is configured, so its answer is empty, and the server lives."""
    assert not (await asked(api, {"content": b"no picture"})).ListFields()


async def test_by_what_the_call_says(api: Api) -> None:
    """A header, or gRPC metadata, and the language hints of the request select rules."""
    assert (await asked(api, {"content": b"x"}, x_test="mine-1")).label_annotations[0].description == "my header"
    assert not (await asked(api, {"content": b"x"}, x_test="yours")).ListFields()
    text = await asked(api, {"content": b"x"}, feature=Feature.TEXT_DETECTION, hints=("ja",))
    assert text.text_annotations[0].description == "日本"
    assert not (await asked(api, {"content": b"x"}, feature=Feature.TEXT_DETECTION, hints=("en",))).ListFields()


async def test_a_retry_gets_the_next_answer(api: Api) -> None:
    """First the error, in this image's slot alone, then the answer."""
    first = await asked(api, {"source": {"image_uri": "gs://inputs/flaky"}})
    assert (first.error.code, first.error.message) == (Code.UNAVAILABLE, "later")
    second = await asked(api, {"source": {"image_uri": "gs://inputs/flaky"}})
    assert second.label_annotations[0].description == "at last"


async def test_a_slow_answer_holds_nobody_up(api: Api, clock: ManualClock) -> None:
    """It comes when the server's clock has passed its delay; another call is answered before."""
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(asked(api, {"source": {"image_uri": "gs://inputs/slow"}}))
        async with asyncio.timeout(60):
            assert not (await asked(api, {"content": b"x"})).ListFields()
            while not slow.done():
                assert not (await asked(api, {"content": b"x"})).ListFields()
                clock.advance(1)
    assert slow.result().label_annotations[0].description == "slow"


async def test_a_rule_for_a_page(api: Api, files: Files) -> None:
    """Only the page of that number is answered by it, online and in the order asked for."""
    await files.put("gs://inputs/a.pdf", text_pdf(3))
    source = {"gcs_source": {"uri": "gs://inputs/a.pdf"}, "mime_type": "application/pdf"}
    request = {"requests": [{"input_config": source, "features": [{"type": Feature.LABEL_DETECTION}], "pages": [3, 2, 1]}]}
    (file,) = (await api("BatchAnnotateFiles", request)).message.responses
    assert [[label.description for label in page.label_annotations] for page in file.responses] == [[], ["page two"], []]
