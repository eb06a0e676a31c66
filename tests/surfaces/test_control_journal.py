"""The journal over the control API: queries, expectations, events, exports; and the ledger of cost."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract import limits
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.surfaces.control.journal import JournalEntry, NearMisses
from wire import Connection, Reply, ask, connected, eventually, request

CAT, DOG = drawn(1), drawn(2)


async def control(emulator: Emulator, verb: str, path: str, body: Any = None) -> Any:
    """The answer of a control call that must succeed."""
    reply = await asked(emulator, verb, path, body)
    assert reply.status == 200, reply.json
    return reply.json


async def asked(emulator: Emulator, verb: str, path: str, body: Any = None) -> Reply:
    """The answer of any control call."""
    return await ask(emulator, verb, "/_emulator/v1/" + path, b"" if body is None else json.dumps(body).encode())


async def annotate(
    emulator: Emulator, *images: bytes | str, feature: str = "LABEL_DETECTION", headers: Mapping[str, str] | None = None
) -> Any:
    """An online call about these images, bytes or uris."""
    elements = []
    for image in images:
        source: Any = {"source": {"imageUri": image}} if isinstance(image, str) else {"content": base64.b64encode(image).decode()}
        elements.append({"image": source, "features": [{"type": feature}]})
    return (await ask(emulator, "POST", "/v1/images:annotate", json.dumps({"requests": elements}).encode(), headers)).json


async def numbers(emulator: Emulator, query: str) -> list[int]:
    """The calls that a query finds; the count must say the same."""
    found = [entry["number"] for entry in (await control(emulator, "GET", f"journal?{query}"))["entries"]]
    if "limit" not in query:
        assert (await control(emulator, "GET", f"journal:count?{query}"))["count"] == len(found)
    return found


async def seed(emulator: Emulator) -> None:
    """Four calls: two images of a Python client, one by uri of project b, a poll in vain, a refused call."""
    await annotate(emulator, CAT, DOG, headers={"x-goog-api-client": "gl-python/3.12 gapic/3.9", "user-agent": "unit"})
    await annotate(emulator, "gs://inputs/a.jpg", feature="TEXT_DETECTION", headers={"x-goog-user-project": "b"})
    await ask(emulator, "GET", "/v1/operations/0123456789abcdef")
    await ask(emulator, "POST", "/v1/images:annotate", b'{"requests": [{}]}')


# ---- queries ----


async def test_an_entry_is_as_described(emulator: Emulator) -> None:
    """Every entry has exactly the keys and types that the OpenAPI document says, in the list and by itself."""
    await seed(emulator)
    entries = (await control(emulator, "GET", "journal"))["entries"]
    for number, entry in enumerate(entries, 1):
        assert entry == await control(emulator, "GET", f"journal/{number}")
        assert msgspec.to_builtins(msgspec.convert(entry, JournalEntry)) == entry
    assert [entry["code"] for entry in entries] == ["OK", "OK", "NOT_FOUND", "INVALID_ARGUMENT"]
    assert entries[0]["images"][0]["sha256"] == entries[0]["request"]["requests"][0]["image"]["content"]["sha256"]
    assert (entries[0]["images"][0]["width"], entries[0]["images"][0]["type"]) == (160, "image/jpeg")
    assert entries[0]["answer"]["responses"][0]["labelAnnotations"]
    assert entries[3]["answer"] is None


async def test_queries(emulator: Emulator) -> None:
    """Each filter by itself and several together; patterns where they are promised."""
    await seed(emulator)
    digest = (await control(emulator, "GET", "journal/1"))["images"][1]["sha256"]
    for query, expected in {
        "": [1, 2, 3, 4],
        "method=BatchAnnotateImages": [1, 2, 4],
        "method=google.longrunning.Operations.GetOperation": [3],
        "method=*Operation": [3],
        "transport=rest": [1, 2, 3, 4],
        "transport=grpc": [],
        "project=b": [2],
        "project=vision-*": [1, 3, 4],
        "code=OK": [1, 2],
        "code=5": [3],
        "client=PYTHON": [1],
        "client=unit": [1],
        f"image={digest}": [1],
        "image=gs://inputs/*": [2],
        "since=2": [3, 4],
        "limit=2": [3, 4],
        "limit=2&since=1": [2, 3],
        "limit=0": [],
        "method=BatchAnnotateImages&code=OK&project=b": [2],
    }.items():
        assert await numbers(emulator, query) == expected, query
    assert (await control(emulator, "GET", "journal?limit=3"))["left"] == 1


async def test_heavy_entries_are_listed_in_parts(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing takes bounded room: it says how many are left, and ``since`` goes on from there, one entry at least at a time."""
    monkeypatch.setattr(limits, "JOURNAL_LISTED_BYTES_MAX", 3000)
    for _ in range(5):
        await ask(emulator, "GET", "/v1/operations/1", headers={"x-pad": "p" * 2500})
    assert [entry["number"] for entry in (await control(emulator, "GET", "journal"))["entries"]] == [5]
    found, left = [0], 1
    while left:
        answer = await control(emulator, "GET", f"journal?since={found[-1]}")
        found += [entry["number"] for entry in answer["entries"]]
        left = answer.get("left", 0)
    assert found == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("path", "status", "hint"),
    [
        ("journal?method=BatchAnnotateImage", 400, "did you mean BatchAnnotateImages?"),
        ("journal?transport=http", 400, "use one of rest, grpc, direct"),
        ("journal?code=NOTFOUND", 400, "did you mean NOT_FOUND?"),
        ("journal?since=-1", 400, "since=-1 is no whole number"),
        ("journal?limit=1001", 400, "use 0 to 1000"),
        ("journal?format=xml", 400, "use one of json, har, fixtures"),
        ("journal?metod=x", 400, "did you mean method?"),
        ("journal/99", 404, "no entry 99"),
        ("journal/first", 400, "no whole number"),
        ("events?since=x", 400, "no whole number"),
        ("usage?month=2026-13", 400, "write it as 2026-11"),
    ],
)
async def test_what_cannot_be_asked(emulator: Emulator, path: str, status: int, hint: str) -> None:
    """What could never find anything is refused, with the nearest name that could."""
    reply = await asked(emulator, "GET", path)
    assert reply.status == status
    assert hint in reply.json["error"]


async def test_expectations(emulator: Emulator) -> None:
    """``:find`` answers the calls that fit; ``:nearMisses`` how those differ that almost do, and nothing when one fits."""
    await seed(emulator)
    found = await control(emulator, "POST", "journal:find", {"features": ["LABEL_DETECTION"], "images": 2})
    assert [entry["number"] for entry in found["entries"]] == [1]
    near = await control(
        emulator, "POST", "journal:nearMisses", {"method": "BatchAnnotateImages", "features": "TEXT_DETECTION", "images": 2}
    )
    assert msgspec.convert(near, NearMisses).count == 0
    first, second, *_ = near["nearMisses"]
    assert first["differences"] == ["images: expected 2, was 1"]
    assert second["differences"] == ["features: TEXT_DETECTION not among LABEL_DETECTION"]
    assert await control(emulator, "POST", "journal:nearMisses", {"code": "OK"}) == {"count": 2, "nearMisses": []}
    assert (await control(emulator, "POST", "journal:nearMisses?project=b", {"code": "OK"}))["count"] == 1


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"metod": "x"}, "did you mean method?"),
        ({"method": "BatchAnnotate"}, "did you mean"),
        ({"features": ["LABELS_DETECTION"]}, "did you mean LABEL_DETECTION?"),
        ({"code": "FORBIDDEN"}, "code=FORBIDDEN is none"),
        ({"images": {"a": 1}}, "images"),
    ],
)
async def test_expectations_that_no_call_can_meet(emulator: Emulator, body: Any, hint: str) -> None:
    """They are refused, with the nearest that one could."""
    reply = await asked(emulator, "POST", "journal:find", body)
    assert reply.status == 400
    assert hint in reply.json["error"]


async def test_clearing(emulator: Emulator) -> None:
    """All calls, or one project's, are forgotten; the rest of the server's state stays."""
    await seed(emulator)
    await control(emulator, "DELETE", "journal?project=b")
    assert await numbers(emulator, "") == [1, 3, 4]
    await control(emulator, "DELETE", "journal")
    assert await numbers(emulator, "") == []


async def test_the_journals_length_is_an_option() -> None:
    """``journal_entries`` calls are remembered."""
    async with Emulator(Config(port=0, journal_entries=2)) as emulator:
        for _ in range(3):
            await ask(emulator, "GET", "/v1/operations/1")
        assert await numbers(emulator, "") == [2, 3]


# ---- secrets ----


async def test_no_secret_leaves_the_journal(emulator: Emulator) -> None:
    """Keys and tokens of header and query are in no listing, export or event."""
    async with listening(emulator) as events:
        await ask(emulator, "GET", "/v1/operations/1?key=SECRET1&access_token=SECRET2", headers={"authorization": "Bearer SECRET3"})
        await annotate(emulator, CAT, headers={"x-goog-api-key": "SECRET4", "cookie": "SECRET5"})
        text = json.dumps([await events.next() for _ in range(4)])
    for path in ("journal", "journal?format=har", "journal?format=fixtures", "journal/1", "journal/2"):
        text += json.dumps(await control(emulator, "GET", path))
    assert "SECRET" not in text
    assert "bearer token" in text
    assert "API key" in text


# ---- exports ----


async def test_fixtures_give_the_same_answers(emulator: Emulator, tmp_path: Path) -> None:
    """What was answered, errors and nothing found included, is answered again by an emulator that has the export as fixtures."""
    asked_for = [(CAT, b"no picture"), ("gs://inputs/none.jpg", DOG)]
    before = [
        await annotate(emulator, *images, feature=feature) for images in asked_for for feature in ("LABEL_DETECTION", "LOGO_DETECTION")
    ]
    exported = await control(emulator, "GET", "journal?format=fixtures")
    assert len(exported["rules"]) == 4
    (tmp_path / "rules.json").write_text(json.dumps(exported))
    options = {"fixtures": (tmp_path,), "annotators": ("fixtures",), "shipped_fixtures": False, "bucket": ("inputs",)}
    async with Emulator(Config(port=0, **options)) as replaying:
        after = [
            await annotate(replaying, *images, feature=feature) for images in asked_for for feature in ("LABEL_DETECTION", "LOGO_DETECTION")
        ]
    assert after == before


async def test_nothing_found_is_an_answer_too(tmp_path: Path) -> None:
    """A feature that was asked for and not answered is given as such: nobody behind the fixtures invents one."""
    async with Emulator(Config(port=0, annotators=())) as emulator:
        assert await annotate(emulator, CAT, feature="SAFE_SEARCH_DETECTION") == {"responses": [{}]}
        await annotate(emulator, CAT)
        exported = await control(emulator, "GET", "journal?format=fixtures")
    (rule,) = exported["rules"]
    assert rule["response"] == {"safeSearchAnnotation": {}, "labelAnnotations": []}
    (tmp_path / "rules.json").write_text(json.dumps(exported))
    async with Emulator(Config(port=0, fixtures=(tmp_path,), annotators=("fixtures", "synthetic"))) as replaying:
        assert await annotate(replaying, CAT) == {"responses": [{}]}
        assert (await annotate(replaying, DOG))["responses"][0]["labelAnnotations"]


async def test_the_archive(emulator: Emulator) -> None:
    """HAR is served with the address by which the client came."""
    await seed(emulator)
    log = (await control(emulator, "GET", "journal?format=har&limit=1"))["log"]
    (entry,) = log["entries"]
    assert entry["request"]["url"] == "http://localhost/v1/images:annotate"
    assert entry["response"]["status"] == 400


# ---- events ----


class Events:
    """A stream of server-sent events, read one by one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffer = b""

    async def next(self) -> tuple[str, Any]:
        """The next event: its kind, and its data."""
        while True:
            head, blank, rest = self._buffer.partition(b"\n\n")
            if not blank:
                size = int((await self._connection.reader.readuntil(b"\r\n")).strip() or b"0", 16)
                self._buffer += await self._connection.reader.readexactly(size)
                await self._connection.reader.readexactly(2)
                continue
            self._buffer = rest
            fields = dict(line.split(": ", 1) for line in head.decode().split("\n") if not line.startswith(":"))
            if fields:
                return fields["event"], json.loads(fields["data"])


@asynccontextmanager
async def listening(emulator: Emulator, query: str = "", headers: Mapping[str, str] | None = None) -> AsyncIterator[Events]:
    """A reader of events, told of everything from now on."""
    async with connected(emulator.address) as connection:
        connection.send(request("GET", f"/_emulator/v1/events{query}", headers=headers))
        head = (await connection.reader.readuntil(b"\r\n\r\n")).decode()
        assert "Content-Type: text/event-stream" in head
        yield Events(connection)


async def test_calls_are_told_as_they_happen(emulator: Emulator) -> None:
    """Each call when it comes and when it is answered; of a project its own alone."""
    async with listening(emulator) as all_, listening(emulator, "?project=b") as of_b:
        await ask(emulator, "GET", "/v1/operations/1")
        await annotate(emulator, CAT, headers={"x-goog-user-project": "b"})
        told = [await all_.next() for _ in range(4)]
        assert [(kind, entry["number"]) for kind, entry in told] == [("started", 1), ("finished", 1), ("started", 2), ("finished", 2)]
        assert told[1][1] == await control(emulator, "GET", "journal/1")
        assert [(kind, entry["number"]) for kind, entry in (await of_b.next(), await of_b.next())] == [("started", 2), ("finished", 2)]


async def test_operations_are_told_as_they_move(emulator: Emulator) -> None:
    """An operation when it is there, and when clients get to see that it is done."""
    body = {
        "requests": [{"image": {"source": {"imageUri": "gs://inputs/none.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}],
        "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}},
    }
    async with listening(emulator) as events:
        created = await ask(
            emulator, "POST", "/v1/images:asyncBatchAnnotate", json.dumps(body).encode(), {"x-vision-emulator-pace": "manual"}
        )
        name = created.json["name"]
        told = await until(events, "operation")
        assert (told["name"], told.get("done", False)) == (name, False)
        await control(emulator, "POST", f"operations/{name.rpartition('/')[2]}:complete")
        while not told.get("done"):
            told = await until(events, "operation")
        assert told["name"] == name


async def until(events: Events, kind: str) -> Any:
    """The data of the next event of this kind."""
    while True:
        found, data = await events.next()
        if found == kind:
            return data


async def test_who_comes_back_is_told_what_was_missed(emulator: Emulator) -> None:
    """``since`` or a browser's Last-Event-ID begins with the finished calls after that one."""
    await seed(emulator)
    for query, headers in (("?since=2", None), ("", {"Last-Event-ID": "2"})):
        async with listening(emulator, query, headers) as events:
            assert [(kind, entry["number"]) for kind, entry in (await events.next(), await events.next())] == [
                ("finished", 3),
                ("finished", 4),
            ]


async def test_a_reader_that_does_not_read_holds_nobody_up(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go on while nobody takes the events; who reads at last learns how many were dropped, and gets the newest."""
    monkeypatch.setattr(limits, "EVENTS_QUEUED_MAX", 10)
    get = METHODS["/google.longrunning.Operations/ListOperations"]
    async with listening(emulator) as events:
        for _ in range(300):  # together more than the sockets between them can hold
            await emulator.vision.call(Call(get, get.request(name="operations"), {"x-pad": "p" * 100_000}))
            await turn()
        numbers = []
        while 300 not in numbers:
            kind, data = await events.next()
            numbers.append(data["count"] if kind == "missed" else data["number"])
            if kind == "missed":
                assert data["count"] > 0
                numbers.clear()
        assert numbers[-1] == 300
        assert len(numbers) <= 20


async def turn() -> None:
    """Lets everything else on the loop have a turn."""
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(later.set_result, None)
    await later


async def test_readers_are_bounded(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader more than there may be is refused with a sentence; when another has left there is room."""
    monkeypatch.setattr(limits, "EVENTS_READERS_MAX", 1)
    monkeypatch.setattr(limits, "EVENTS_LOOK_SECONDS", 0.01)
    async with listening(emulator):
        reply = await asked(emulator, "GET", "events")
        assert reply.status == 503
        assert "close one" in reply.json["error"]
    await eventually(lambda: emulator.vision.journal.readers == 0)
    async with listening(emulator):
        pass


async def test_silence_is_broken(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then keeps the connection of a reader to whom nothing happens."""
    monkeypatch.setattr(limits, "EVENTS_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "EVENTS_HEARTBEAT_SECONDS", 0.02)
    async with connected(emulator.address) as connection:
        connection.send(request("GET", "/_emulator/v1/events"))
        await connection.reader.readuntil(b": listening\n\n")
        for _ in range(2):
            await connection.reader.readuntil(b": nothing happened\n\n")


async def test_the_end_of_the_server_ends_the_stream() -> None:
    """Readers are let go at once: they hold up no stop, and see a stream that is whole."""
    async with Emulator(Config(port=0)) as emulator:
        listener = listening(emulator)
        events = await listener.__aenter__()
        started = asyncio.get_running_loop().time()
    assert (await events._connection.rest()).endswith(b"0\r\n\r\n")
    assert asyncio.get_running_loop().time() - started < 30
    await listener.__aexit__(None, None, None)


async def test_a_head_request_is_answered(emulator: Emulator) -> None:
    """HEAD gets the headers and no stream."""
    async with connected(emulator.address) as connection:
        connection.send(b"HEAD /_emulator/v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    assert b"text/event-stream" in head
    assert body == b""


# ---- the ledger ----


async def test_usage(emulator: Emulator) -> None:
    """Units by project and feature of what was annotated; errors and repeated features are none; a reset forgets them."""
    await annotate(emulator, CAT, DOG, b"no picture")
    await annotate(emulator, CAT, feature="WEB_DETECTION", headers={"x-goog-user-project": "b"})
    bill = await control(emulator, "GET", "usage")
    assert (bill["units"], bill["currency"], bill["amount"]) == (3, "USD", 0)
    assert {row["project"]: [(one["feature"], one["units"]) for one in row["features"]] for row in bill["projects"]} == {
        "b": [("WEB_DETECTION", 1)],
        "vision-emulator": [("LABEL_DETECTION", 2)],
    }
    assert (await control(emulator, "GET", "usage?project=b"))["units"] == 1
    assert (await control(emulator, "GET", "usage?month=2001-01"))["units"] == 0
    await control(emulator, "POST", "reset?project=b")
    assert (await control(emulator, "GET", "usage"))["units"] == 2
    await control(emulator, "POST", "reset")
    assert (await control(emulator, "GET", "usage"))["units"] == 0


async def test_usage_by_other_prices(tmp_path: Path) -> None:
    """``prices`` is what the units are billed by."""
    file = tmp_path / "prices.toml"
    file.write_text("free_units = 0\n[prices]\nLABEL_DETECTION = 2000\n")
    async with Emulator(Config(port=0, prices=file)) as emulator:
        await annotate(emulator, CAT)
        assert (await control(emulator, "GET", "usage"))["amount"] == 2
