"""The clock, and operations by hand, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from wire import Reply, ask, eventually

BATCH = {
    "requests": [{"image": {"source": {"imageUri": "gs://inputs/none.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}],
    "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}},
}


async def control(emulator: Emulator, verb: str, path: str, body: Any = None) -> Reply:
    return await ask(emulator, verb, "/_emulator/v1/" + path, b"" if body is None else json.dumps(body).encode())


async def start(emulator: Emulator, pace: str = "", **headers: str) -> str:
    """The id of an operation whose work is done."""
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({"x-vision-emulator-pace": pace} if pace else {})
    created = (await ask(emulator, "POST", "/v1/images:asyncBatchAnnotate", json.dumps(BATCH).encode(), named)).json
    operation_id = str(created["name"]).rpartition("/")[2]
    await emulator.vision.operations.find(f"operations/{operation_id}").finished.wait()
    return operation_id


async def poll(emulator: Emulator, operation_id: str, **headers: str) -> Any:
    return (await ask(emulator, "GET", f"/v1/operations/{operation_id}", headers=headers)).json


async def test_time_stops_and_is_moved_on(emulator: Emulator) -> None:
    """A stopped clock moves by what it is told, and no operation ripens meanwhile; let go it runs on from there."""
    assert (await control(emulator, "GET", "clock")).json["mode"] == "system"
    stopped = (await control(emulator, "PUT", "clock", {"mode": "manual"})).json
    operation = await start(emulator, "seconds:3600")
    assert not (await poll(emulator, operation)).get("done")
    moved = (await control(emulator, "POST", "clock:advance", {"seconds": 3600})).json
    assert 3600 <= moved["now"] - stopped["now"] < 3601
    assert (await poll(emulator, operation))["done"]
    running = (await control(emulator, "PUT", "clock", {"mode": "system"})).json
    assert running["mode"] == "system"
    assert running["now"] > moved["now"]


async def test_a_running_clock_can_be_moved_on_too(emulator: Emulator) -> None:
    """An hour passes at once without stopping time; a client that waits is woken."""
    operation = await start(emulator, "seconds:3600")
    await control(emulator, "POST", "clock:advance", {"seconds": 3600})
    assert (await poll(emulator, operation))["done"]


@pytest.mark.parametrize("body", [{"seconds": -1}, {"seconds": "5"}, {}, {"minutes": 1}])
async def test_time_does_not_go_back(emulator: Emulator, body: Any) -> None:
    """Nor by what is no number of seconds."""
    assert (await control(emulator, "POST", "clock:advance", body)).status == 400
    assert (await control(emulator, "PUT", "clock", {"mode": "warp"})).status == 400


async def test_a_reset_gives_the_clock_its_first_mode(emulator: Emulator) -> None:
    """Time stopped by one test does not stand still in the next."""
    await control(emulator, "PUT", "clock", {"mode": "manual"})
    await control(emulator, "POST", "reset")
    assert (await control(emulator, "GET", "clock")).json["mode"] == "system"


@pytest.fixture
async def forgetful() -> AsyncIterator[Emulator]:
    async with Emulator(Config(port=0, bucket=("results",), clock="manual", operations_kept_seconds=60)) as running:
        yield running


async def test_operations_are_forgotten_in_time(forgetful: Emulator) -> None:
    """--clock manual, --operations-kept-seconds: so long after its end an operation is found, and then it is not."""
    operation = await start(forgetful)
    await control(forgetful, "POST", "clock:advance", {"seconds": 59})
    assert (await poll(forgetful, operation))["done"]
    await control(forgetful, "POST", "clock:advance", {"seconds": 1})
    assert (await poll(forgetful, operation))["error"]["status"] == "NOT_FOUND"
    assert (await control(forgetful, "GET", "operations")).json == {"operations": []}


# ---- operations by hand ----


async def test_advance_is_a_poll_or_the_last_step(emulator: Emulator) -> None:
    """polls:N comes nearer by one; every other pace is over."""
    operation = await start(emulator, "polls:2")
    shown = [(await control(emulator, "POST", f"operations/{operation}:advance")).json.get("done", False) for _ in range(3)]
    assert shown == [False, False, True]
    for pace in ("manual", "never", "seconds:9999"):
        operation = await start(emulator, pace)
        assert (await control(emulator, "POST", f"operations/{operation}:advance")).json["done"]


async def test_fail(emulator: Emulator) -> None:
    """The operation ends with the error that is asked for, for all to see; one that is done stays as it is."""
    operation = await start(emulator, "never")
    failed = (await control(emulator, "POST", f"operations/{operation}:fail", {"code": "INTERNAL", "message": "no luck"})).json
    assert (failed["done"], failed["error"]) == (True, {"code": 13, "message": "no luck"})
    assert (await poll(emulator, operation))["error"] == failed["error"]
    again = await control(emulator, "POST", f"operations/{operation}:fail", {"code": "ABORTED"})
    assert again.status == 409
    assert (await poll(emulator, operation))["error"] == failed["error"]
    other = await start(emulator, "never")
    wrong = await control(emulator, "POST", f"operations/{other}:fail", {"code": "INTERNL"})
    assert (wrong.status, "did you mean INTERNAL" in wrong.json["error"]) == (400, True)


async def test_the_pace_of_one_operation(emulator: Emulator) -> None:
    """It can be changed while the operation is there, and who waits for it waits by the new one."""
    operation = await start(emulator, "never")
    waiting = asyncio.get_running_loop().create_task(ask(emulator, "POST", f"/v1/operations/{operation}:wait", b"{}"))
    await eventually(lambda: len(emulator.vision.journal) == 2)
    await control(emulator, "PUT", f"operations/{operation}/pace", {"pace": "polls:0"})
    assert (await waiting).json["done"]
    assert (await control(emulator, "PUT", f"operations/{operation}/pace", {"pace": "soon"})).status == 400


async def test_the_pace_of_a_project(emulator: Emulator) -> None:
    """A project's calls have its pace, all others the server's; a reset of the project takes it back."""
    assert (await control(emulator, "PUT", "pace?project=mine", {"pace": "never"})).json == {"pace": "never"}
    assert (await control(emulator, "GET", "pace")).json == {"pace": "auto"}
    assert (await control(emulator, "GET", "pace?project=mine")).json == {"pace": "never"}
    mine, other = await start(emulator, x_goog_user_project="mine"), await start(emulator)
    assert not (await poll(emulator, mine)).get("done")
    assert (await poll(emulator, other))["done"]
    listed = (await control(emulator, "GET", "operations?project=mine")).json["operations"]
    assert [operation["name"].rpartition("/")[2] for operation in listed] == [mine]
    await control(emulator, "POST", "reset?project=mine")
    assert (await control(emulator, "GET", "pace?project=mine")).json == {"pace": "auto"}
    assert (await poll(emulator, other))["done"]


async def test_how_clients_polled(emulator: Emulator) -> None:
    """Each client with its times, the gaps between them, and whether it saw the end; looking by the control API is no poll."""
    await control(emulator, "PUT", "clock", {"mode": "manual"})
    operation = await start(emulator, "polls:2")
    for seconds in (1, 2):
        await poll(emulator, operation, **{"User-Agent": "patient/1", "x-goog-api-client": "gl-python/3"})
        await control(emulator, "POST", "clock:advance", {"seconds": seconds})
    await poll(emulator, operation, **{"User-Agent": "patient/1", "x-goog-api-client": "gl-python/3"})
    await poll(emulator, operation, **{"User-Agent": "other/2"})
    await control(emulator, "GET", f"operations/{operation}")
    told = (await control(emulator, "GET", f"operations/{operation}/polls")).json
    assert told["attempts"] == 4
    patient, other = told["clients"]
    assert (patient["userAgent"], patient["client"], patient["transport"]) == ("patient/1", "gl-python/3", "rest")
    assert (patient["attempts"], patient["sawDone"], patient["kinds"]) == (3, True, ["get"] * 3)
    assert patient["gaps"] == pytest.approx([1, 2], abs=0.01)
    assert (other["userAgent"], other["attempts"], other["gaps"]) == ("other/2", 1, [])
    assert (await control(emulator, "GET", "operations/0123456789abcdef/polls")).status == 404
