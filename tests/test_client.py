"""The Python client of the control API against a real server: every lever does what it says, and every refusal is the server's sentence."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pictures import drawn
from vision_emulator import Config, Control, ControlError, RemoteEmulator, VisionEmulator
from vision_emulator.contract.limits import JOURNAL_LISTED_MAX

SECONDS_MAX = 60


@pytest.fixture(scope="module")
def server() -> Iterator[VisionEmulator]:
    with VisionEmulator(bucket=("inputs", "results")) as running:
        yield running


@pytest.fixture
def emulator(server: VisionEmulator) -> VisionEmulator:
    """As at its start."""
    server.reset()
    return server


def call(emulator: Control, path: str, body: Any = None, **headers: str) -> Any:
    """The JSON of one call of the API itself; of a refusal, its error."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{emulator.address}/v1/{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 - the emulator
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return json.load(refusal)["error"]


def labels(emulator: Control, uri: str = "gs://inputs/a.png", **headers: str) -> Any:
    """What is said of one image."""
    element = {"image": {"source": {"imageUri": uri}}, "features": [{"type": "LABEL_DETECTION"}]}
    return call(emulator, "images:annotate", {"requests": [element]}, **headers)


def start(emulator: Control, pace: str = "manual", **headers: str) -> str:
    """Starts a batch; answers the operation's name."""
    element = {"image": {"source": {"imageUri": "gs://inputs/a.png"}}, "features": [{"type": "LABEL_DETECTION"}]}
    body = {"requests": [element], "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}}}
    name: str = call(emulator, "images:asyncBatchAnnotate", body, **headers, **{"x-vision-emulator-pace": pace})["name"]
    return name


def test_buckets(emulator: VisionEmulator) -> None:
    """Buckets are made, filled, listed, read and removed under the names that Vision gives objects."""
    emulator.buckets.create("more", "inputs")
    assert emulator.buckets.list() == ["inputs", "more", "results"]
    uri = emulator.buckets.write("gs://more/a b/ü:?#.png", b"\0\1", "image/png")
    assert emulator.buckets.read(uri) == b"\0\1"
    emulator.buckets.write("gs://more/other", b"[1]")
    assert emulator.buckets.objects("gs://more/a") == [uri]
    assert emulator.buckets.objects("gs://more") == [uri, "gs://more/other"]
    assert emulator.buckets.read_json("gs://more/other") == [1]
    emulator.buckets.remove(uri)
    with pytest.raises(ControlError, match="no such object") as missing:
        emulator.buckets.read(uri)
    assert missing.value.status == 404
    emulator.buckets.delete("more")
    assert emulator.buckets.list() == ["inputs", "results"]


def test_long_listings_are_whole(emulator: VisionEmulator) -> None:
    """The client asks on until it has everything, objects and calls alike."""
    for number in range(1003):
        emulator.buckets.write(f"gs://inputs/{number:04}", b"")
    assert len(emulator.buckets.objects("gs://inputs")) == 1003
    connection = http.client.HTTPConnection(emulator.address)
    for _ in range(JOURNAL_LISTED_MAX + 2):
        connection.request("GET", "/v1/operations")
        connection.getresponse().read()
    connection.close()
    numbers = [entry["number"] for entry in emulator.journal.entries()]
    assert numbers == list(range(1, JOURNAL_LISTED_MAX + 3))


@pytest.mark.parametrize("uri", ["inputs/a", "gs://", "gs:///a", "http://inputs/a"])
def test_what_names_no_place(emulator: VisionEmulator, uri: str) -> None:
    """A slip in a URI is told before anything is asked."""
    with pytest.raises(ValueError, match="gs://bucket/object"):
        emulator.buckets.objects(uri)
    with pytest.raises(ValueError, match="no object"):
        emulator.buckets.read("gs://inputs")


def test_the_journal(emulator: VisionEmulator) -> None:
    """Calls are listed, counted, found, explained and forgotten."""
    emulator.buckets.write("gs://inputs/a.png", drawn())
    labels(emulator)
    labels(emulator, "gs://inputs/none.png")
    call(emulator, "operations/0123456789abcdef")
    assert [entry["number"] for entry in emulator.journal.entries()] == [1, 2, 3]
    assert [entry["number"] for entry in emulator.journal.entries(since=1, code="OK")] == [2]
    assert emulator.journal.count(method="BatchAnnotateImages") == 2
    (found,) = emulator.journal.find("BatchAnnotateImages", images="gs://inputs/none.png")
    assert found["number"] == 2
    (nearest, *_) = emulator.journal.near_misses("BatchAnnotateImages", images=2)
    assert nearest["differences"]
    emulator.journal.assert_called("BatchAnnotateImages", times=2, features="LABEL_DETECTION")
    emulator.journal.assert_not_called("CancelOperation")
    with pytest.raises(AssertionError, match=r"expected 3 times: method BatchAnnotateImages; but 2 of 3 calls fit"):
        emulator.journal.assert_called("BatchAnnotateImages", times=3)
    for slip, meant in (
        ({"method": "CancelOperatoin"}, "CancelOperation"),
        ({"imgs": 1}, "images"),
        ({"features": "LABEL_DETECTON"}, "LABEL_DETECTION"),
    ):
        with pytest.raises(ControlError, match=f"did you mean {meant}"):
            emulator.journal.assert_not_called(**slip)
    assert emulator.journal.har()["log"]["entries"]
    assert emulator.journal.as_fixtures()["rules"]
    with pytest.raises(ControlError, match="did you mean BatchAnnotateImages"):
        emulator.journal.count(method="BatchAnotateImages")
    emulator.journal.clear()
    assert emulator.journal.entries() == []


def test_calls_are_followed(emulator: VisionEmulator) -> None:
    """Calls come as they are answered, none is missed since the reader asked, and another project's are not told."""
    labels(emulator)
    calls, of_mine = emulator.journal.follow(), Control(emulator.address, project="mine").journal.follow()
    for uri in ("gs://inputs/first.png", "gs://inputs/second.png"):
        labels(emulator, uri)
    labels(emulator, "gs://inputs/third.png", **{"x-goog-user-project": "mine"})
    assert [next(calls)["number"] for _ in range(3)] == [2, 3, 4]
    assert next(of_mine)["images"][0]["uri"] == "gs://inputs/third.png"
    assert [next(emulator.journal.follow(since=number))["number"] for number in (0, 2)] == [1, 3]


def test_a_server_that_ends_ends_what_follows_it() -> None:
    """The iterator is over when the emulator is."""
    with VisionEmulator() as emulator:
        calls = emulator.journal.follow()
        labels(emulator)
    assert [call["code"] for call in calls] == ["OK"]


def test_differences_of_an_upstream(emulator: VisionEmulator) -> None:
    """The client has the report of mode diff, and where no upstream is configured the server's sentence on how to have one."""
    with pytest.raises(ControlError, match=r"upstream\.mode=diff"):
        emulator.upstream.differences()
    diff = {"mode": "diff", "endpoint": emulator.url}
    with VisionEmulator(annotators=("upstream", "synthetic"), settings={"upstream": diff}) as here:
        assert here.upstream.differences()["different"] == 0


def test_fixtures(emulator: VisionEmulator) -> None:
    """Answers are given, replaced and taken back while the server runs; a broken rule is refused in words."""
    emulator.buckets.write("gs://inputs/a.png", drawn())
    cat = {"labelAnnotations": [{"description": "Cat", "score": 0.5}]}
    added = emulator.fixtures.add("gs://inputs/*", cat, id="cats")
    assert added["id"] == "cats"
    assert labels(emulator)["responses"][0]["labelAnnotations"][0]["description"] == "Cat"
    emulator.fixtures.replace("cats", {"uri": "gs://inputs/*"}, error={"code": "PERMISSION_DENIED", "message": "No."})
    assert labels(emulator)["responses"][0]["error"] == {"code": 7, "message": "No."}
    listed = emulator.fixtures.list()
    assert [(rule["id"], rule["uses"]) for rule in listed if rule["id"]] == [("cats", 1)]
    assert len(listed) == len({rule["where"] for rule in listed})
    emulator.fixtures.remove("cats")
    with pytest.raises(ControlError, match="cats"):
        emulator.fixtures.remove("cats")
    emulator.fixtures.add("gs://inputs/*", cat)
    emulator.fixtures.clear()
    assert not [rule for rule in emulator.fixtures.list() if rule["id"]]
    assert emulator.fixtures.reload()["broken"] == []
    emulator.fixtures.add("gs://inputs/b.png", cat)
    labels(emulator)
    assert emulator.fixtures.near_misses()
    with pytest.raises(ControlError, match="response"):
        emulator.fixtures.add("gs://inputs/*")


def test_faults(emulator: VisionEmulator) -> None:
    """Rules strike as their script says, tell whom they struck, and are gone when removed."""
    rule = emulator.faults.add({"fault": "reject", "code": "UNAVAILABLE"}, {"fault": "pass"}, method="BatchAnnotateImages", ttl_seconds=60)
    assert rule["rule"]["ttlSeconds"] == 60
    assert labels(emulator)["status"] == "UNAVAILABLE"
    assert "responses" in labels(emulator)
    report = emulator.faults.report(rule["id"])
    assert (report["struck"], report["exhausted"], report["strikes"][0]["call"]) == (1, True, 1)
    assert [listed["id"] for listed in emulator.faults.list()] == [rule["id"]]
    emulator.faults.remove(rule["id"])
    quota = emulator.faults.preset("quota-exceeded", skip=1)
    assert "responses" in labels(emulator)
    assert labels(emulator)["status"] == "RESOURCE_EXHAUSTED"
    assert emulator.faults.report(quota["id"])["struck"] == 1
    assert "quota-exceeded" in [preset["name"] for preset in emulator.faults.presets()]
    with pytest.raises(ControlError, match="quota-exceeded"):
        emulator.faults.preset("quota-exceded")
    emulator.faults.clear()
    assert emulator.faults.list() == []


def test_operations_and_pace(emulator: VisionEmulator) -> None:
    """An operation is completed or cancelled by its full name or by its id, and the pace holds for those that come."""
    name = start(emulator)
    assert [operation["name"] for operation in emulator.operations.list()] == [name]
    assert emulator.operations.complete(name)["done"]
    assert emulator.operations.progress(name)["images"] == 1
    assert emulator.operations.get(name)["response"]
    failed = emulator.operations.fail(start(emulator), "RESOURCE_EXHAUSTED", "Enough.")
    assert (failed["error"]["code"], failed["error"]["message"]) == (8, "Enough.")
    with pytest.raises(ControlError, match="is done"):
        emulator.operations.fail(name)
    polled = start(emulator)
    call(emulator, polled)
    assert emulator.operations.polls(polled)["clients"][0]["attempts"] == 1
    assert not emulator.operations.get(polled).get("done")
    assert emulator.operations.advance(polled)["done"]
    polled = start(emulator)
    emulator.operations.set_pace(polled, "polls:1")
    assert [call(emulator, polled).get("done", False) for _ in range(2)] == [False, True]
    assert emulator.operations.cancel(start(emulator).rpartition("/")[2])["metadata"]["state"] == "CANCELLED"
    with pytest.raises(ControlError, match="Not found"):
        emulator.operations.complete("0123456789abcdef")
    emulator.pace = "polls:2"
    assert emulator.pace == "polls:2"
    with pytest.raises(ControlError, match="soon"):
        emulator.pace = "soon"


def test_the_clock(emulator: VisionEmulator) -> None:
    """Time stops, is moved on without waiting, and goes on again; a reset lets it go."""
    name = start(emulator, "seconds:3600")
    emulator.clock.stop()
    before = emulator.clock.now()
    assert not call(emulator, name).get("done")
    assert emulator.clock.advance(3600) - before == pytest.approx(3600, abs=1)
    assert call(emulator, name)["done"]
    emulator.clock.go()
    with pytest.raises(ControlError, match="forwards"):
        emulator.clock.advance(-1)


def test_usage(emulator: VisionEmulator) -> None:
    """Units are counted for each feature; a month that is none is refused."""
    emulator.buckets.write("gs://inputs/a.png", drawn())
    labels(emulator)
    assert emulator.usage()["units"] == 1
    assert emulator.usage("2001-01")["units"] == 0
    with pytest.raises(ControlError, match="no month"):
        emulator.usage("soon")


def test_what_the_server_says_of_itself(emulator: VisionEmulator) -> None:
    """Health and capabilities are the server's."""
    assert emulator.health() == {"status": "serving"}
    assert "exact" in emulator.capabilities()["levels"]


def test_two_projects_do_not_see_each_other(emulator: VisionEmulator) -> None:
    """Workers that share a server have a journal, rules, faults, operations and pace of their own; the reset of one leaves the other's."""
    emulator.buckets.write("gs://inputs/a.png", drawn())
    one, two = (Control(emulator.address, project=project) for project in ("one", "two"))
    mine, other = {"x-goog-user-project": "one"}, {"x-goog-user-project": "two"}
    one.fixtures.add("*", {"labelAnnotations": [{"description": "One"}]})
    one.faults.preset("quota-exceeded", method="AsyncBatchAnnotateImages")
    two.fixtures.add("*", {"labelAnnotations": [{"description": "Two"}]})
    for headers, said in ((mine, "One"), (other, "Two")):
        assert labels(emulator, **headers)["responses"][0]["labelAnnotations"][0]["description"] == said
    one.pace = "never"
    assert (one.pace, two.pace) == ("never", "auto")
    operation = start(emulator, **other)
    assert (one.operations.list(), len(two.operations.list())) == ([], 1)
    assert [entry["project"] for entry in one.journal.entries()] == ["one"]
    one.journal.assert_called("BatchAnnotateImages", times=1)
    assert (one.journal.find(), two.journal.count()) == (one.journal.entries(), 2)
    one.reset()
    assert (one.journal.entries(), one.faults.list(), one.pace) == ([], [], "auto")
    assert two.journal.count() == 2
    assert labels(emulator, **other)["responses"][0]["labelAnnotations"][0]["description"] == "Two"
    assert two.operations.complete(operation)["done"]
    two.reset()


def test_threads_may_share_it(emulator: VisionEmulator) -> None:
    """Calls of many threads at once do not meet on a connection."""
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(10):
            uri = emulator.buckets.write(f"gs://inputs/{number}-{turn}", f"{number} {turn}".encode())
            if emulator.buckets.read(uri) != f"{number} {turn}".encode():
                wrong.append(uri)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(emulator.buckets.objects("gs://inputs")) == 80


def test_a_server_that_is_not_there() -> None:
    """The error names the address; one that was not entered says so."""
    with VisionEmulator() as gone:
        address = gone.address
    with pytest.raises(ControlError, match=f"at {address} does not answer") as failure:
        Control(address).health()
    assert failure.value.status == 0
    with pytest.raises(ControlError, match="enter it"):
        VisionEmulator().reset()


def test_the_token() -> None:
    """With a token the levers work for whoever has it; an emulator that others may reach makes one for its own levers."""
    with VisionEmulator(control_token="abc") as emulator:
        assert emulator.journal.entries() == []
        assert Control(f"http://{emulator.address}/", "abc").pace == "auto"
        for wrong in (None, "abd"):
            with pytest.raises(ControlError, match="control token") as refusal:
                Control(emulator.address, wrong).reset()
            assert refusal.value.status == 401
    with VisionEmulator(host="0.0.0.0") as emulator:
        emulator.reset()
        with pytest.raises(ControlError, match="is missing"):
            Control(emulator.address).reset()
    assert "abc" not in repr(Config(control_token="abc"))


def test_the_client_is_light() -> None:
    """Importing it loads neither server nor messages nor anybody's client."""
    code = "import sys; import vision_emulator; vision_emulator.RemoteEmulator('x'); print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    for heavy in ("'aiohttp'", "'grpc'", "'google.protobuf'", "'asyncio'", "'msgspec'", "'vision_emulator.contract'"):
        assert heavy not in run.stdout


def test_clients_name_their_project(emulator: VisionEmulator) -> None:
    """Every call of a client that is asked for under a project is that project's, over either transport, and of the asyncio client."""
    import asyncio

    from google.cloud import vision

    image = vision.Image(source=vision.ImageSource(image_uri="gs://inputs/a.png"))
    request = vision.AnnotateImageRequest(image=image, features=[vision.Feature(type_=vision.Feature.Type.LABEL_DETECTION)])
    with RemoteEmulator(emulator.address, project="mine") as remote:
        remote.fixtures.add("gs://inputs/a.png", {"labelAnnotations": [{"description": "Cat"}]})

        async def asynchronously() -> Any:
            client = remote.async_client()
            answer = await client.batch_annotate_images(requests=[request])
            await client.transport.close()  # type: ignore[no-untyped-call]
            return answer

        answers = [client.batch_annotate_images(requests=[request]) for client in (remote.client(), remote.rest_client())]
        for answer in (*answers, asyncio.run(asynchronously())):
            assert answer.responses[0].label_annotations[0].description == "Cat"
        assert [entry["transport"] for entry in remote.journal.entries()] == ["grpc", "rest", "grpc"]
        output = {"gcs_destination": {"uri": "gs://results/"}}
        operation = remote.rest_client().async_batch_annotate_images(requests=[request], output_config=output)
        assert operation.result(timeout=SECONDS_MAX).output_config.gcs_destination.uri == "gs://results/"
        assert remote.journal.count(method="GetOperation") == 1
    assert emulator.journal.count(project="mine") == 5
