"""How far operations are, over the control API: counts for all, files for one, and an event when one moves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pictures import drawn
from vision_emulator.app import Emulator
from wire import ask, connected, eventually, request


async def stop_at(emulator: Emulator, delays: dict[int, int]) -> None:
    """Stops the clock, and lets these images take so many seconds on it."""
    await ask(emulator, "PUT", "/_emulator/v1/clock", b'{"mode": "manual"}')
    for number, delay in delays.items():
        rule = {"match": {"uri": f"gs://inputs/{number}.jpg"}, "response": {"labelAnnotations": [{"description": "Slow"}]}, "delay": delay}
        assert (await ask(emulator, "PUT", f"/_emulator/v1/fixtures/slow-{number}", json.dumps(rule).encode())).status == 200


async def begin(emulator: Emulator, count: int, pace: str = "auto") -> str:
    """Begins a batch of so many images, of which the third is missing, in files of two; answers the operation's id."""
    for number in range(count):
        if number != 2:
            assert (await ask(emulator, "PUT", f"/_emulator/v1/buckets/inputs/objects/{number}.jpg", drawn(number))).status == 200
    feature = [{"type": "LABEL_DETECTION"}]
    requests = [{"image": {"source": {"imageUri": f"gs://inputs/{number}.jpg"}}, "features": feature} for number in range(count)]
    output = {"gcsDestination": {"uri": "gs://results/run-"}, "batchSize": 2}
    body = json.dumps({"requests": requests, "outputConfig": output}).encode()
    reply = await ask(emulator, "POST", "/v1/images:asyncBatchAnnotate", body, {"x-vision-emulator-pace": pace})
    return str(reply.json["name"]).rpartition("/")[2]


async def progress(emulator: Emulator, id_: str) -> Any:
    return (await ask(emulator, "GET", f"/_emulator/v1/operations/{id_}/progress")).json


async def test_work_that_is_done_and_hidden(emulator: Emulator) -> None:
    """All images and files are counted, failed ones apart; the work is over, though clients still see it running."""
    id_ = await begin(emulator, 5, "manual")
    await eventually(lambda: emulator.vision.operations.running == 0)
    whole = await progress(emulator, id_)
    assert {name: whole[name] for name in ("state", "worked", "code", "pace", "attempts")} == {
        "state": "RUNNING",
        "worked": True,
        "code": "OK",
        "pace": "manual",
        "attempts": 0,
    }
    assert [whole[name] for name in ("images", "lookedAt", "failed", "shards", "written")] == [5, 5, 1, 3, 3]
    (output,) = whole["outputs"]
    assert output["destination"] == "gs://results/run-"
    assert [(shard["first"], shard["last"], shard["written"]) for shard in output["shards"]] == [(1, 2, True), (3, 4, True), (5, 5, True)]
    listed = (await ask(emulator, "GET", "/_emulator/v1/buckets/results/objects")).json["objects"]
    assert [shard["uri"] for shard in output["shards"]] == [f"gs://results/{each['name']}" for each in listed]


async def test_work_that_goes_on(emulator: Emulator) -> None:
    """What is looked at and written so far is told; a cancelled operation keeps its counts."""
    await stop_at(emulator, {4: 60})
    id_ = await begin(emulator, 6)
    (record,) = emulator.vision.operations
    await eventually(lambda: bool(record.outputs) and record.outputs[0].looked_at == 5)
    whole = await progress(emulator, id_)
    assert (whole["worked"], whole["code"], whole["lookedAt"], whole["written"]) == (False, "", 5, 2)
    assert [shard["written"] for shard in whole["outputs"][0]["shards"]] == [True, True, False]
    await ask(emulator, "POST", f"/_emulator/v1/operations/{id_}:cancel")
    await eventually(lambda: emulator.vision.operations.running == 0)
    whole = await progress(emulator, id_)
    assert (whole["state"], whole["code"], whole["lookedAt"]) == ("CANCELLED", "CANCELLED", 5)


async def test_progress_is_an_event(emulator: Emulator) -> None:
    """Whoever listens is told of an operation again when another image of it is looked at, while it runs."""
    await stop_at(emulator, {4: 60, 5: 120})
    async with connected(emulator.address) as connection:
        connection.send(request("GET", "/_emulator/v1/events"))
        await begin(emulator, 6)
        await connection.reader.readuntil(b"event: operation")
        (record,) = emulator.vision.operations
        await eventually(lambda: bool(record.outputs) and record.outputs[0].looked_at == 4)
        await ask(emulator, "POST", "/_emulator/v1/clock:advance", b'{"seconds": 60}')
        await connection.reader.readuntil(b"event: operation")
        assert emulator.vision.operations.running == 1


async def test_the_newest_are_listed(emulator: Emulator) -> None:
    """Oldest first, without their files; a limit leaves out the oldest, and the total counts them."""
    ids = [await begin(emulator, 1, "instant") for _ in range(3)]
    answer = (await ask(emulator, "GET", "/_emulator/v1/operations:progress?limit=2")).json
    assert [each["name"].rpartition("/")[2] for each in answer["operations"]] == ids[1:]
    assert answer["total"] == 3
    assert "outputs" not in answer["operations"][0]
    assert (await ask(emulator, "GET", "/_emulator/v1/operations:progress?project=other")).json == {"operations": [], "total": 0}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "two", "99999"])
async def test_limits_that_are_none(emulator: Emulator, limit: str) -> None:
    """They are refused with the range."""
    reply = await ask(emulator, "GET", f"/_emulator/v1/operations:progress?limit={limit}")
    assert reply.status == 400
    assert "use 1 to 1000" in reply.json["error"]


async def test_an_operation_that_failed_says_why(emulator: Emulator) -> None:
    """Code and message are those that clients get; files that could not be written are told apart from those that were."""
    await ask(emulator, "POST", "/_emulator/v1/faults", b'{"preset": "storage-write-fails"}')
    whole = await progress(emulator, await begin(emulator, 5, "instant"))
    assert (whole["state"], whole["code"]) == ("DONE", "PERMISSION_DENIED")
    assert "gs://results/run-" in whole["message"]
    assert not all(shard["written"] for shard in whole["outputs"][0]["shards"])
