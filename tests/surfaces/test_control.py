"""The control API: health, journal, operations, pace, reset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.app import Emulator
from vision_emulator.core.operations import Pace
from wire import ask, connected, eventually, request

BATCH = {
    "requests": [{"image": {"source": {"imageUri": "gs://inputs/none.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}],
    "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}},
}


async def control(emulator: Emulator, verb: str, path: str, body: Any = None) -> Any:
    """The answer of a control call that must succeed."""
    reply = await ask(emulator, verb, "/_emulator/" + path, b"" if body is None else json.dumps(body).encode())
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json; charset=UTF-8"
    return reply.json


async def start(emulator: Emulator, pace: str) -> str:
    """Starts a batch of one missing image; answers the operation's id."""
    headers = {"x-vision-emulator-pace": pace}
    name: str = (await ask(emulator, "POST", "/v1/images:asyncBatchAnnotate", json.dumps(BATCH).encode(), headers)).json["name"]
    return name.rpartition("/")[2]


async def test_health(emulator: Emulator) -> None:
    """Health answers with and without a final slash or query, and to HEAD."""
    for path in ("health", "health/", "health?verbose=1"):
        assert await control(emulator, "GET", path) == {"status": "serving"}
    async with connected(emulator.address) as connection:
        connection.send(b"HEAD /_emulator/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


async def test_the_journal_in_plain_words(emulator: Emulator) -> None:
    """One entry a call: method and code by name, transport, who annotated; what the control API itself is asked is not noted."""
    assert await control(emulator, "GET", "v1/journal") == {"entries": []}
    await start(emulator, "instant")
    await ask(emulator, "GET", "/v1/operations/0123456789abcdef")
    first, second = (await control(emulator, "GET", "v1/journal"))["entries"]
    assert (first["number"], first["method"].rpartition(".")[2], first["transport"], first["code"]) == (
        1,
        "AsyncBatchAnnotateImages",
        "rest",
        "OK",
    )
    assert (second["number"], second["code"]) == (2, "NOT_FOUND")
    assert second["message"] == "Not found: operation operations/0123456789abcdef"
    assert second["at"] > first["at"] > 0


async def test_a_call_that_is_being_answered_has_no_code_yet(emulator: Emulator) -> None:
    """The journal shows a held call with code null; when it is answered, the code is there."""
    operation = await start(emulator, "manual")
    async with connected(emulator.address) as connection:
        connection.send(request("POST", f"/v1/operations/{operation}:wait", b'{"timeout": "20s"}'))
        await eventually(lambda: len(emulator.vision.journal) == 2)
        assert (await control(emulator, "GET", "v1/journal"))["entries"][1]["code"] is None
        await control(emulator, "POST", f"v1/operations/{operation}:complete")
        assert (await connection.reply()).json["done"]
    assert (await control(emulator, "GET", "v1/journal"))["entries"][1]["code"] == "OK"


@pytest.mark.parametrize("pace", ["manual", "never", "polls:9", "seconds:900"])
async def test_completing_an_operation(emulator: Emulator, pace: str) -> None:
    """``:complete`` lets clients see the result, whatever the pace; looking at the list is no poll."""
    operation = await start(emulator, pace)
    await eventually(lambda: emulator.vision.operations.running == 0)
    (listed,) = (await control(emulator, "GET", "v1/operations"))["operations"]
    assert listed["name"].endswith(operation)
    assert "done" not in listed
    assert listed["metadata"]["state"] == "RUNNING"
    shown = await control(emulator, "POST", f"v1/operations/{operation}:complete")
    assert shown["done"]
    assert shown["metadata"]["state"] == "DONE"
    polled = (await ask(emulator, "GET", f"/v1/operations/{operation}")).json
    assert (polled["done"], polled["response"]) == (True, shown["response"])


async def test_cancelling_an_operation(emulator: Emulator) -> None:
    """``:cancel`` ends it as a client's own cancel would."""
    operation = await start(emulator, "never")
    await eventually(lambda: emulator.vision.operations.running == 0)
    shown = await control(emulator, "POST", f"v1/operations/{operation}:cancel")
    assert shown["error"]["code"] == 1
    assert shown["metadata"]["state"] == "CANCELLED"


@pytest.mark.parametrize("verb", ["complete", "cancel"])
async def test_an_unknown_operation(emulator: Emulator, verb: str) -> None:
    """NOT_FOUND, in the words of the API."""
    reply = await ask(emulator, "POST", f"/_emulator/v1/operations/0123456789abcdef:{verb}")
    assert reply.status == 404
    assert reply.json["error"].startswith("Not found: operation")


@pytest.mark.parametrize("pace", ["auto", "instant", "polls:3", "seconds:1.5", "manual", "never"])
async def test_the_pace_is_read_and_set(emulator: Emulator, pace: str) -> None:
    """The server's pace is told in the very words in which it is set, and holds for calls that ask for none."""
    assert await control(emulator, "PUT", "v1/pace", {"pace": pace}) == {"pace": pace}
    assert await control(emulator, "GET", "v1/pace") == {"pace": pace}
    created = await ask(emulator, "POST", "/v1/images:asyncBatchAnnotate", json.dumps(BATCH).encode())
    assert created.json.get("done", False) == (pace == "instant")


PACES = st.one_of(
    st.sampled_from(["auto", "instant", "manual", "never"]).map(Pace),
    st.integers(0, 10**9 - 1).map(lambda count: Pace("polls", count)),
    st.floats(0, allow_infinity=False).map(lambda seconds: Pace("seconds", seconds)),
)


@given(PACES)
def test_every_pace_reads_back(pace: Pace) -> None:
    """What a pace is called is what it is asked for by."""
    assert Pace.parse(str(pace)) == pace


async def test_a_body_that_is_too_large(emulator: Emulator) -> None:
    """More than a control call can need is refused before it is read."""
    reply = await ask(emulator, "PUT", "/_emulator/v1/pace", b" " * 70_000)
    assert (reply.status, reply.json) == (413, {"error": "The body is larger than 65536 bytes."})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"pace": 3}', b'{"pace": "soon"}', b'"auto"', b"\xff", b"[" * 60_000])
async def test_wrong_bodies(emulator: Emulator, body: bytes) -> None:
    """A body that says no pace is a 400 with a sentence, and changes nothing."""
    reply = await ask(emulator, "PUT", "/_emulator/v1/pace", body)
    assert reply.status == 400
    assert reply.json["error"]
    assert await control(emulator, "GET", "v1/pace") == {"pace": "auto"}


async def test_a_body_in_pieces(emulator: Emulator) -> None:
    """A body is read to its end however it arrives."""
    async with connected(emulator.address) as connection:
        whole = request("PUT", "/_emulator/v1/pace", b'{"pace": "never"}')
        connection.send(whole[:-9])
        await connection.writer.drain()
        await control(emulator, "GET", "health")  # the first piece has been seen by now
        connection.send(whole[-9:])
        assert (await connection.reply()).json == {"pace": "never"}


async def test_an_unknown_call_names_the_known_ones(emulator: Emulator) -> None:
    """404 with the list, for an unknown path and for the wrong verb."""
    for asked in ("GET nothing", "DELETE v1/journal", "POST v1/operations/x:explode", "POST health", "GET v1/reset"):
        verb, path = asked.split()
        reply = await ask(emulator, verb, "/_emulator/" + path)
        assert reply.status == 404
        for known in ("health", "v1/journal", "v1/operations", ":complete", ":cancel", "v1/pace", "v1/reset"):
            assert known in reply.json["error"]


async def test_reset(emulator: Emulator) -> None:
    """After a reset there are no operations, no journal, no objects, and the pace is the configured one."""
    await start(emulator, "instant")
    await control(emulator, "PUT", "v1/pace", {"pace": "never"})
    await start(emulator, "never")
    assert await control(emulator, "POST", "v1/reset") == {}
    assert await control(emulator, "GET", "v1/operations") == {"operations": []}
    assert await control(emulator, "GET", "v1/journal") == {"entries": []}
    assert await control(emulator, "GET", "v1/pace") == {"pace": "auto"}
    assert [info async for info in (await emulator.storage.bucket("results")).list()] == []
