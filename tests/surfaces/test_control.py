"""The control API: health, journal, operations, pace, reset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.app import Emulator
from vision_emulator.config import Config
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


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("GET v1/jurnal", "GET /_emulator/v1/journal?"),
        ("GET v1/healht", "GET /_emulator/health?"),
        ("PUT v1/paces", "PUT /_emulator/v1/pace?"),
        ("POST v1/operations/x:complet", "POST /_emulator/v1/operations/{id}:complete?"),
        ("GET v1/operations/x/y", "/_emulator/v1/"),
        ("GET zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "openapi.json"),
        ("GET v1/" + "x" * 5000, "openapi.json"),
    ],
)
async def test_an_unknown_call_names_the_nearest(emulator: Emulator, asked: str, near: str) -> None:
    """404 with what was likely meant, and where all calls are described; however long the path, the answer is short."""
    verb, path = asked.split()
    reply = await ask(emulator, verb, "/_emulator/" + path)
    assert (reply.status, near in reply.error) == (404, True), reply.error
    assert "/_emulator/v1/openapi.json describes them all" in reply.error
    assert len(reply.error) < 500


@pytest.mark.parametrize(
    ("asked", "verbs"),
    [("POST health", "GET"), ("GET v1/reset", "POST"), ("PATCH v1/pace", "GET, PUT"), ("GET v1/operations/x:complete", "POST"),
     ("OPTIONS v1/pace", "GET, PUT")],
)  # fmt: skip
async def test_a_wrong_verb_names_the_right_ones(emulator: Emulator, asked: str, verbs: str) -> None:
    """405 with Allow, as HTTP wants it; no browser of another site is told that it may call (OPTIONS)."""
    verb, path = asked.split()
    reply = await ask(emulator, verb, "/_emulator/" + path)
    assert (reply.status, reply.headers["allow"], verbs in reply.error) == (405, verbs, True)
    assert "access-control-allow-origin" not in reply.headers


async def test_paths_may_be_escaped(emulator: Emulator) -> None:
    """A client that escapes more than it must reaches the same call; variables are told apart before they are unescaped."""
    operation = await start(emulator, "never")
    assert (await control(emulator, "GET", "v1%2Fpace"))["pace"] == "auto"
    assert (await control(emulator, "POST", f"v1/operations/{operation}%3Acancel"))["metadata"]["state"] == "CANCELLED"
    await control(emulator, "PUT", "v1/buckets/inputs/objects/a%2Fb%3Ac", None)
    assert [info.name async for info in (await emulator.storage.bucket("inputs")).list()] == ["a/b:c"]


async def test_unknown_parameters_are_refused(emulator: Emulator) -> None:
    """A misspelt parameter would otherwise be passed over in silence; the nearest is named."""
    reply = await ask(emulator, "GET", "/_emulator/v1/buckets/inputs/objects?prefixx=a")
    assert (reply.status, "did you mean prefix?" in reply.error) == (400, True)
    reply = await ask(emulator, "GET", "/_emulator/v1/capabilities?project=p")
    assert (reply.status, "it takes none" in reply.error) == (400, True)


async def test_what_is_sent_to_a_call_without_a_body(emulator: Emulator) -> None:
    """A body that nobody reads is refused, so that no wish is lost; {} says nothing and is taken."""
    reply = await ask(emulator, "POST", "/_emulator/v1/reset", b'{"project": "p"}')
    assert (reply.status, reply.error) == (400, "POST /_emulator/v1/reset takes no body.")
    assert await control(emulator, "POST", "v1/reset", {}) == {}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/json; charset=utf-8", 200), ("application/vnd.x+json", 200), ("application/x-www-form-urlencoded", 200), ("", 200),
     ("application/yaml", 415), ("multipart/form-data; boundary=x", 415), ("application/x-protobuf", 415)],
)  # fmt: skip
async def test_the_type_of_a_body(emulator: Emulator, content_type: str, status: int) -> None:
    """JSON, and what curl and others say who say nothing; another format is refused by its name, not as broken JSON."""
    reply = await ask(emulator, "PUT", "/_emulator/v1/pace", b'{"pace": "manual"}', {"Content-Type": content_type})
    assert reply.status == status, reply.body
    assert status == 200 or content_type.partition(";")[0] in reply.error


async def test_answers_are_not_kept_or_guessed_at(emulator: Emulator) -> None:
    """No cache keeps an answer, no browser takes it for a page; what is stored in a bucket can be no page either."""
    reply = await ask(emulator, "GET", "/_emulator/v1/pace")
    assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")
    await ask(emulator, "PUT", "/_emulator/v1/buckets/inputs/objects/a.html", b"<script>", {"Content-Type": "text/html"})
    stored = await ask(emulator, "GET", "/_emulator/v1/buckets/inputs/objects/a.html")
    assert (stored.body, stored.headers["content-type"]) == (b"<script>", "application/octet-stream")
    assert stored.headers["content-security-policy"] == "sandbox"


async def test_buckets_and_objects(emulator: Emulator) -> None:
    """Made, filled, listed, read, emptied and removed; what the storage refuses is said in a sentence."""
    assert await control(emulator, "PUT", "v1/buckets/more") == {"name": "more"}
    assert await control(emulator, "PUT", "v1/buckets/more") == {"name": "more"}
    listed = await control(emulator, "GET", "v1/buckets")
    assert [bucket["name"] for bucket in listed["buckets"]] == ["inputs", "more", "results"]
    for name in ("b", "a%2F1", "a%2F2"):
        await ask(emulator, "PUT", f"/_emulator/v1/buckets/more/objects/{name}", name.encode(), {"Content-Type": "image/png"})
    objects = (await control(emulator, "GET", "v1/buckets/more/objects?prefix=a/&after=a/1"))["objects"]
    assert [(item["name"], item["size"]) for item in objects] == [("a/2", 5)]
    assert (await ask(emulator, "GET", "/storage/v1/b/more/o/b")).json["contentType"] == "image/png"
    await control(emulator, "DELETE", "v1/buckets/more/objects/b")
    for verb, path, status in (
        ("GET", "more/objects/b", 404),
        ("GET", "none/objects", 404),
        ("PUT", "none/objects/a", 404),
        ("DELETE", "none", 404),
        ("PUT", "NOT_A_BUCKET", 400),
    ):
        reply = await ask(emulator, verb, f"/_emulator/v1/buckets/{path}")
        assert (reply.status, bool(reply.error)) == (status, True), path
    await control(emulator, "DELETE", "v1/buckets/more")
    assert len((await control(emulator, "GET", "v1/buckets"))["buckets"]) == 2
    await ask(emulator, "PUT", "/_emulator/v1/buckets/inputs/objects/x", b"1")
    await control(emulator, "DELETE", "v1/buckets/inputs/objects")
    assert await control(emulator, "GET", "v1/buckets/inputs/objects") == {"objects": [], "next": ""}


async def test_long_listings_come_in_pieces(emulator: Emulator) -> None:
    """A thousand objects an answer, and the name behind which to go on."""
    bucket = await emulator.storage.bucket("inputs")
    for number in range(1001):
        await bucket.write(f"{number:04}", b"", "text/plain")
    first = await control(emulator, "GET", "v1/buckets/inputs/objects")
    assert (len(first["objects"]), first["next"]) == (1000, "0999")
    rest = await control(emulator, "GET", f"v1/buckets/inputs/objects?after={first['next']}")
    assert ([item["name"] for item in rest["objects"]], rest["next"]) == (["1000"], "")


async def test_buckets_of_another_storage(emulator: Emulator) -> None:
    """With --storage objects are read and written there, and what only its owner can do is refused with a sentence."""
    async with Emulator(Config(port=0, storage=emulator.url)) as other:
        await control(other, "PUT", "v1/buckets/inputs/objects/a", None)
        assert [info.name async for info in (await emulator.storage.bucket("inputs")).list()] == ["a"]
        assert (await control(other, "GET", "v1/buckets/inputs/objects"))["objects"][0]["name"] == "a"
        for verb, path in (
            ("GET", "buckets"),
            ("PUT", "buckets/more"),
            ("DELETE", "buckets/inputs"),
            ("DELETE", "buckets/inputs/objects/a"),
        ):
            reply = await ask(other, verb, f"/_emulator/v1/{path}")
            assert (reply.status, "another Cloud Storage" in reply.error) == (409, True)


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
