"""The journal says the same of a call whichever way it came: what was asked, what was answered, who answered, what it would cost."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from batches import batch, image
from transports import Api, Files, Refused

from documents import text_pdf
from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract.methods import METHODS
from vision_emulator.control.assertions import assert_called
from wire import ask, eventually

PICTURE = drawn(7)
LABELS, SAFE = {"type": "LABEL_DETECTION"}, {"type": "SAFE_SEARCH_DETECTION"}
CLIENT = "gl-python/3.12.1 gapic/3.9.0"


def entries(emulator: Emulator) -> list[dict[str, Any]]:
    """The journal as JSON; it must survive the way through JSON."""
    plain = [entry.plain() for entry in emulator.vision.journal]
    assert json.loads(json.dumps(plain)) == plain
    return plain


async def test_one_call(api: Api, emulator: Emulator) -> None:
    """Request, answer, images, client, credentials, annotators: all of it, and the picture by its digest alone."""
    request = {"requests": [{"image": {"content": PICTURE}, "features": [LABELS, SAFE]}], "parent": "projects/p"}
    answer = await api("BatchAnnotateImages", request, {"x-goog-api-client": CLIENT, "authorization": "Bearer abc"})
    (entry,) = entries(emulator)
    facts = {"sha256": hashlib.sha256(PICTURE).hexdigest(), "size": len(PICTURE), "type": "image/jpeg", "width": 160, "height": 120}
    assert entry["images"] == [{**facts, "features": ["LABEL_DETECTION", "SAFE_SEARCH_DETECTION"]}]
    assert entry["request"]["requests"][0] == {"image": {"content": facts}, "features": [LABELS, SAFE]}
    assert (entry["project"], entry["code"], entry["credentials"]) == ("p", "OK", "bearer token")
    assert (entry["client"]["language"], entry["client"]["library"]) == ("python", "gapic")
    assert len(entry["answer"]["responses"][0]["labelAnnotations"]) == len(answer.message.responses[0].label_annotations)
    assert sum(entry["annotators"].values()) == 2
    assert entry["transport"] in ("direct", "rest", "grpc")
    assert entry["seconds"] > 0
    assert entry["fault"] == ""


async def test_a_large_picture(api: Api, emulator: Emulator) -> None:
    """Its bytes are gone when the call is over; what is told of it is the same."""
    picture = drawn(8, (200, 150), "BMP")
    await api("BatchAnnotateImages", {"requests": [{"image": {"content": picture}, "features": [LABELS]}] * 3})
    await eventually(lambda: emulator.vision.journal.bytes < 50_000)
    (entry,) = entries(emulator)
    assert [one["sha256"] for one in entry["images"]] == [hashlib.sha256(picture).hexdigest()] * 3
    assert [one["width"] for one in entry["images"]] == [200] * 3


async def test_each_picture_by_itself(api: Api, emulator: Emulator) -> None:
    """What is told stands at its own picture, whoever found it out, pictures by uri and broken ones between them."""
    pictures = [drawn(1), drawn(2, (300, 200), "BMP"), b"no picture", drawn(3, (90, 30), "PNG")]
    requests: list[Any] = [{"image": {"content": picture}, "features": [LABELS]} for picture in pictures]
    requests.insert(1, image("gs://inputs/none.jpg"))
    await api("BatchAnnotateImages", {"requests": requests})
    (entry,) = entries(emulator)
    digests = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    assert [one.get("sha256") for one in entry["images"]] == [digests[0], None, *digests[1:]]
    assert [one.get("width") for one in entry["images"]] == [160, None, 300, None, 90]


async def test_a_refused_call(api: Api, emulator: Emulator) -> None:
    """Its code and its message, no answer, and nothing to pay."""
    with pytest.raises(Refused):
        await api("BatchAnnotateImages", {"requests": [{"image": {"content": PICTURE}, "features": [LABELS]}] * 17})
    (entry,) = entries(emulator)
    assert (entry["code"], entry["answer"], len(entry["images"])) == ("INVALID_ARGUMENT", None, 17)
    assert entry["message"].startswith("Too many images")
    assert emulator.vision.usage.bill(emulator.vision.usage.month)["units"] == 0


async def test_a_batch(api: Api, files: Files, emulator: Emulator) -> None:
    """The call that began the operation and the polls carry its name; its images count once it has looked at them."""
    await files.put("gs://inputs/a.jpg", PICTURE)
    operation = (await api("AsyncBatchAnnotateImages", batch([image("gs://inputs/a.jpg"), image("gs://inputs/none.jpg")]))).message
    await api("GetOperation", {"name": operation.name})
    begun, polled = entries(emulator)
    assert begun["operation"] == polled["operation"] == operation.name
    assert [one["uri"] for one in begun["images"]] == ["gs://inputs/a.jpg", "gs://inputs/none.jpg"]
    assert polled["answer"]["done"]
    assert emulator.vision.usage.bill(emulator.vision.usage.month)["units"] == 1
    assert_called(entries(emulator), "AsyncBatchAnnotateImages", times=1, images=["gs://inputs/*.jpg"], features="LABEL_DETECTION")


async def test_the_fault_that_struck(api: Api, emulator: Emulator) -> None:
    """The entry of a call that a rule refused says so."""
    rule = {"method": "BatchAnnotateImages", "script": [{"fault": "reject", "code": "UNAVAILABLE"}]}
    added = await ask(emulator, "POST", "/_emulator/v1/faults", json.dumps(rule).encode())
    assert added.status == 200, added.body
    with pytest.raises(Refused):
        await api("BatchAnnotateImages", {"requests": [{"image": {"content": PICTURE}, "features": [LABELS]}]})
    (entry,) = entries(emulator)
    assert (entry["code"], entry["fault"]) == ("UNAVAILABLE", "reject")


async def test_pages_are_units(api: Api, emulator: Emulator) -> None:
    """Each page of a file counts for each feature; safe search beside labels is free, text beside document text no unit."""
    features = [LABELS, SAFE, {"type": "TEXT_DETECTION"}, {"type": "DOCUMENT_TEXT_DETECTION"}]
    config = {"content": text_pdf(3), "mime_type": "application/pdf"}
    await api("BatchAnnotateFiles", {"requests": [{"input_config": config, "features": features}]})
    (project,) = emulator.vision.usage.bill(emulator.vision.usage.month)["projects"]
    assert {row["feature"]: (row["units"], row["included"]) for row in project["features"]} == {
        "LABEL_DETECTION": (3, 0),
        "SAFE_SEARCH_DETECTION": (3, 3),
        "DOCUMENT_TEXT_DETECTION": (3, 0),
    }


def test_every_method_can_be_noted() -> None:
    """No request of the API has pictures' bytes where the journal does not look for them."""
    for method in METHODS.values():
        paths = {
            path for path in _bytes(method.request.DESCRIPTOR, "") if not path.startswith(("requests.image.", "requests.input_config."))
        }
        assert paths == set(), method.full_name


def _bytes(message: Any, place: str, within: tuple[str, ...] = ()) -> list[str]:
    """Where a message type has bytes."""
    if message.full_name in within or message.full_name == "google.protobuf.Any":  # details of an error, which no caller sends
        return []
    found = [place + field.name for field in message.fields if field.type == field.TYPE_BYTES]
    for field in message.fields:
        if field.message_type is not None:
            found += _bytes(field.message_type, f"{place}{field.name}.", (*within, message.full_name))
    return found
