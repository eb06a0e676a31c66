"""Fault rules and retry tests over HTTP: what is asked for, what is told, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vision_emulator.app import Emulator
from wire import Reply, ask, connected, request

ONLINE = json.dumps(
    {"requests": [{"image": {"source": {"imageUri": "gs://inputs/none"}}, "features": [{"type": "LABEL_DETECTION"}]}]}
).encode()
REJECT = {"fault": "reject", "code": "UNAVAILABLE"}


async def control(emulator: Emulator, verb: str, path: str, body: Any = None) -> Reply:
    return await ask(emulator, verb, "/_emulator/v1/" + path, b"" if body is None else json.dumps(body).encode())


async def annotate(emulator: Emulator, **headers: str) -> int:
    """The HTTP status of one call."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await ask(emulator, "POST", "/v1/images:annotate", ONLINE, named)).status


async def test_a_preset_in_one_line(emulator: Emulator) -> None:
    """The next call of the method is refused as the preset says, the one after it is not; the report tells of it."""
    wanted = {"preset": "quota-exceeded", "method": "BatchAnnotateImages", "times": 1}
    made = (await control(emulator, "POST", "faults", wanted)).json
    assert (made["remaining"], made["struck"], made["rule"]["method"]) == (1, 0, "BatchAnnotateImages")
    assert [await annotate(emulator) for _ in range(2)] == [429, 200]
    for path in (f"faults/{made['id']}", f"faults/{made['id']}/report"):
        report = (await control(emulator, "GET", path)).json
        assert (report["struck"], report["remaining"], report["exhausted"]) == (1, 0, True)
        (strike,) = report["strikes"]
        assert strike["method"] == "google.cloud.vision.v1.ImageAnnotator.BatchAnnotateImages"
        assert (strike["fault"], strike["transport"], strike["call"]) == ("reject", "rest", 1)


async def test_a_rule_reads_back_as_it_was_given(emulator: Emulator) -> None:
    """What is told of a rule is what can be posted again."""
    wanted = {
        "id": "slow-then-broken",
        "method": ["BatchAnnotateImages", "storage.objects.*"],
        "script": [[{"fault": "delay", "median": 0.1, "sigma": 0.5}, REJECT], {"fault": "drop", "when": "middle"}],
        "skip": 1,
        "times": 3,
        "probability": 0.5,
        "seed": 42,
        "ttlSeconds": 300.0,
        "transport": "rest",
    }
    made = (await control(emulator, "POST", "faults", wanted)).json
    assert made["rule"] == wanted
    assert (await control(emulator, "DELETE", "faults/slow-then-broken")).status == 200
    assert (await control(emulator, "POST", "faults", made["rule"])).json == made


async def test_what_a_preset_is_can_be_changed(emulator: Emulator) -> None:
    """Every field of a rule may stand beside a preset; each preset is listed with its parameters and the rule that it is."""
    wanted = {"preset": "partial-batch", "parameters": {"images": [0]}, "times": None, "id": "p"}
    made = (await control(emulator, "POST", "faults", wanted)).json
    assert (made["remaining"], made["rule"]["image"]) == (None, {"index": [0]})
    presets = {preset["name"]: preset for preset in (await control(emulator, "GET", "faults/presets")).json["presets"]}
    assert len(presets) == 10
    assert {parameter["name"]: parameter["default"] for parameter in presets["quota-exceeded"]["parameters"]} == {
        "callsPerMinute": 1800,
        "retryAfterSeconds": 1.0,
    }
    for preset in presets.values():
        assert (await control(emulator, "POST", "faults", preset["rule"])).status == 200


async def test_rules_are_listed_and_removed(emulator: Emulator) -> None:
    """All of them, those of a project, one of them; an unknown id is a 404 that names known ones."""
    for name, query in (("a", ""), ("b", "?project=mine"), ("c", "?project=mine")):
        await control(emulator, "POST", f"faults{query}", {"id": name, "script": [REJECT]})
    assert [report["id"] for report in (await control(emulator, "GET", "faults")).json["faults"]] == ["a", "b", "c"]
    assert [report["id"] for report in (await control(emulator, "GET", "faults?project=mine")).json["faults"]] == ["b", "c"]
    assert await annotate(emulator, x_goog_user_project="mine") == 503
    await control(emulator, "DELETE", "faults?project=mine")
    await control(emulator, "DELETE", "faults/a")
    for verb in ("GET", "DELETE"):
        assert (await control(emulator, verb, "faults/a")).status == 404
    assert (await control(emulator, "GET", "faults")).json == {"faults": []}
    await control(emulator, "POST", "faults", {"id": "last", "script": [REJECT]})
    assert "last" in (await control(emulator, "GET", "faults/lost")).json["error"]
    await control(emulator, "POST", "reset")
    assert (await control(emulator, "GET", "faults")).json == {"faults": []}


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({}, "script is empty"),
        ({"scrpt": []}, "did you mean script"),
        ({"script": [{"fault": "rejct", "code": 3}]}, "'rejct' is no fault at `$.script[0].fault`; did you mean reject?"),
        ({"script": [REJECT], "transport": "http"}, "'http' is no transport at `$.transport`; use one of any, grpc, rest"),
        ({"script": [REJECT], "transport": "grpc", "method": "storage.*"}, "can never strike"),
        ({"preset": "quota-exceeded", "parameters": {"callsPerMinut": 1}}, "did you mean callsPerMinute"),
        ({"preset": "expired-token", "parameters": {"x": 1}}, "it takes none"),
        ({"script": [{"fault": "reject"}]}, "code"),
        ({"script": [{"fault": "reject", "code": 3, "retryAfter": 1}]}, "did you mean retryAfterSeconds"),
        ({"script": [REJECT], "times": "1"}, "times"),
        ({"script": [REJECT], "method": "BatchAnnotateImage"}, "did you mean BatchAnnotateImages"),
        ({"script": [REJECT], "parameters": {"x": 1}}, "none is named"),
        ({"preset": "quota"}, "quota-exceeded"),
    ],
)
async def test_wrong_rules(emulator: Emulator, wanted: Any, why: str) -> None:
    """A 400 with a sentence that says what was wrong and what would be right; nothing is added."""
    reply = await control(emulator, "POST", "faults", wanted)
    assert reply.status == 400
    assert why in reply.json["error"]
    assert (await control(emulator, "GET", "faults")).json == {"faults": []}


# ---- the storage testbench's resource ----


async def retry_test(emulator: Emulator, instructions: Any, transport: str = "HTTP") -> dict[str, Any]:
    body = json.dumps({"instructions": instructions, "transport": transport}).encode()
    made: dict[str, Any] = (await ask(emulator, "POST", "/retry_test", body)).json
    return made


async def test_a_retry_test_on_storage_calls(emulator: Emulator) -> None:
    """As the testbench has it: one instruction for each call with the id, in order, then the test is completed."""
    made = await retry_test(emulator, {"storage.buckets.list": ["return-503", "return-408"]})
    assert made == {
        "id": made["id"],
        "instructions": {"storage.buckets.list": ["return-503", "return-408"]},
        "completed": False,
        "transport": "HTTP",
    }
    headers = {"x-retry-test-id": made["id"]}
    replies = [await ask(emulator, "GET", "/storage/v1/b?project=p", headers=headers) for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 408, 200]
    assert replies[0].error["errors"][0]["reason"] == "backendError"
    assert (await ask(emulator, "GET", "/storage/v1/b?project=p")).status == 200
    told = (await ask(emulator, "GET", f"/retry_test/{made['id']}")).json
    assert (told["completed"], told["instructions"]) == (True, {"storage.buckets.list": []})
    assert (await ask(emulator, "GET", "/retry_tests")).json == {"retry_test": [told]}
    assert (await ask(emulator, "DELETE", f"/retry_test/{made['id']}")).body == f"Deleted {made['id']}".encode()
    assert (await ask(emulator, "GET", f"/retry_test/{made['id']}")).status == 404
    assert (await ask(emulator, "GET", "/storage/v1/b?project=p", headers=headers)).status == 404


async def test_a_retry_test_on_vision_calls(emulator: Emulator) -> None:
    """Methods of Vision go by the ids of its discovery document."""
    made = await retry_test(emulator, {"vision.images.annotate": ["return-503"]})
    assert [await annotate(emulator, x_retry_test_id=made["id"]) for _ in range(2)] == [503, 200]
    assert (await ask(emulator, "GET", f"/retry_test/{made['id']}")).json["completed"]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("POST", "/retry_test", b"{", 400),
        ("POST", "/retry_test", b"{}", 400),
        ("POST", "/retry_test", b'{"instructions": {"storage.bucket.list": ["return-503"]}}', 400),
        ("POST", "/retry_test", b'{"instructions": {"storage.buckets.list": ["explode"]}}', 400),
        ("POST", "/retry_test", b'{"instructions": {}, "transprt": "HTTP"}', 400),
        ("POST", "/retry_test", b" " * 70_000, 413),
        ("GET", "/retry_test/none", b"", 404),
        ("DELETE", "/retry_test/none", b"", 404),
        ("PUT", "/retry_test/none", b"", 405),
        ("POST", "/retry_tests", b"", 405),
    ],
)
async def test_wrong_retry_tests(emulator: Emulator, verb: str, path: str, body: bytes, status: int) -> None:
    """Each refused with a sentence."""
    reply = await ask(emulator, verb, path, body)
    assert reply.status == status
    assert reply.error["message"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"instructions": {}, "transprt": "HTTP"}', "did you mean transport?"),
        (b'{"instructions": {"storage.buckets.list": ["return-503"]}, "transport": "GRPC"}', "can never strike"),
    ],
)
async def test_what_is_wrong_with_a_retry_test(emulator: Emulator, body: bytes, why: str) -> None:
    """It is said as of rules; nothing is made."""
    assert why in (await ask(emulator, "POST", "/retry_test", body)).error["message"]
    assert (await ask(emulator, "GET", "/retry_tests")).json == {"retry_test": []}


async def test_other_sites_make_no_retry_tests(emulator: Emulator) -> None:
    """It is a lever like the others: a page of another site may not pull it."""
    reply = await ask(emulator, "POST", "/retry_test", b"{}", {"Origin": "https://example.com"})
    assert reply.status == 403


# ---- storage calls ----


@pytest.mark.parametrize(
    ("verb", "path", "name"),
    [
        ("GET", "/storage/v1/b?project=p", "storage.buckets.list"),
        ("POST", "/storage/v1/b?project=p", "storage.buckets.insert"),
        ("GET", "/storage/v1/b/inputs", "storage.buckets.get"),
        ("PATCH", "/storage/v1/b/inputs", "storage.buckets.patch"),
        ("PUT", "/storage/v1/b/inputs", "storage.buckets.update"),
        ("DELETE", "/storage/v1/b/inputs", "storage.buckets.delete"),
        ("GET", "/storage/v1/b/inputs/iam", "storage.buckets.getIamPolicy"),
        ("GET", "/storage/v1/b/inputs/iam/testPermissions", "storage.buckets.testIamPermissions"),
        ("GET", "/storage/v1/b/inputs/storageLayout", "storage.buckets.getStorageLayout"),
        ("GET", "/storage/v1/b/inputs/o", "storage.objects.list"),
        ("GET", "/storage/v1/b/inputs/o/a%2Fb", "storage.objects.get"),
        ("GET", "/download/storage/v1/b/inputs/o/a?alt=media", "storage.objects.get"),
        ("GET", "/inputs/a", "storage.objects.get"),
        ("PUT", "/inputs/a", "storage.objects.insert"),
        ("POST", "/upload/storage/v1/b/inputs/o?uploadType=media&name=a", "storage.objects.insert"),
        ("PUT", "/upload/storage/v1/b/inputs/o?upload_id=x", "storage.objects.insert"),
        ("PATCH", "/storage/v1/b/inputs/o/a", "storage.objects.patch"),
        ("DELETE", "/storage/v1/b/inputs/o/a", "storage.objects.delete"),
        ("POST", "/storage/v1/b/inputs/o/a/compose", "storage.objects.compose"),
        ("POST", "/storage/v1/b/inputs/o/a/rewriteTo/b/results/o/b", "storage.objects.rewrite"),
        ("POST", "/storage/v1/b/inputs/o/a/copyTo/b/results/o/b", "storage.objects.copy"),
        ("POST", "/storage/v1/b/inputs/o/a/moveTo/o/b", "storage.objects.move"),
        ("GET", "/storage/v1/b/inputs/o/a/acl", "storage.object_acl.get"),
        ("POST", "/storage/v1/b/inputs/acl", "storage.bucket_acl.insert"),
        ("GET", "/storage/v1/b/inputs/defaultObjectAcl", "storage.default_object_acl.get"),
    ],
)
async def test_names_of_storage_calls(emulator: Emulator, verb: str, path: str, name: str) -> None:
    """Each call goes by Google's name for it, and only by that one."""
    await control(
        emulator, "POST", "faults", {"id": "it", "method": name, "script": [{"fault": "reject", "code": "ABORTED", "httpStatus": 418}]}
    )
    assert (await ask(emulator, verb, path, b"{}")).status == 418
    (strike,) = (await control(emulator, "GET", "faults/it")).json["strikes"]
    assert (strike["method"], strike.get("call")) == (name, None)


async def test_a_download_that_is_damaged(emulator: Emulator) -> None:
    """A corrupted download differs by a byte; a broken one ends in the middle; a reset one never begins."""
    content = bytes(range(100))
    await (await emulator.storage.bucket("inputs")).write("a", content, "text/plain")
    for step in ({"fault": "corrupt"}, {"fault": "truncate", "bytes": 10}):
        await control(emulator, "POST", "faults", {"method": "storage.objects.get", "script": [step]})
        reply = await ask(emulator, "GET", "/storage/v1/b/inputs/o/a?alt=media")
        assert reply.status == 200
        assert reply.body == (content[:50] + bytes([50 ^ 255]) + content[51:] if step["fault"] == "corrupt" else content[:10])
    await control(
        emulator, "POST", "faults", {"method": "storage.objects.get", "script": [{"fault": "drop", "when": "middle", "bytes": 30}]}
    )
    async with connected(emulator.address) as connection:
        connection.send(request("GET", "/storage/v1/b/inputs/o/a?alt=media"))
        assert (await connection.rest()).partition(b"\r\n\r\n")[2] == content[:30]
    headers = {"x-goog-emulator-instructions": "return-reset-connection"}
    async with connected(emulator.address) as connection:
        connection.send(request("GET", "/storage/v1/b/inputs/o/a?alt=media", headers=headers))
        with pytest.raises(ConnectionResetError):
            await connection.reader.read()
    assert (await ask(emulator, "GET", "/storage/v1/b/inputs/o/a?alt=media")).body == content


async def test_a_refused_storage_call_changes_nothing(emulator: Emulator) -> None:
    """An upload that is refused is not there; one that asks for a rule which is none is told so."""
    upload = "/upload/storage/v1/b/inputs/o?uploadType=media&name=a"
    refused = await ask(emulator, "POST", upload, b"1", {"x-goog-emulator-instructions": "return-503"})
    assert refused.status == 503
    assert (await ask(emulator, "GET", "/storage/v1/b/inputs/o/a")).status == 404
    small = await ask(emulator, "POST", upload, b"1", {"x-goog-emulator-instructions": "return-503-after-1K"})
    large = await ask(emulator, "POST", upload, b"1" * 2000, {"x-goog-emulator-instructions": "return-503-after-1K"})
    assert (small.status, large.status) == (200, 503)
    unknown = await ask(emulator, "GET", "/storage/v1/b", headers={"x-vision-emulator-rule": "none"})
    assert (unknown.status, "names no fault rule" in unknown.error["message"]) == (400, True)


async def test_parts_of_a_storage_batch_are_struck_one_by_one(emulator: Emulator) -> None:
    """The calls in a batch have names, the batch has none."""
    await control(emulator, "POST", "faults", {"method": "storage.*", "script": [REJECT]})
    part = b"--x\r\nContent-Type: application/http\r\n\r\nGET /storage/v1/b/inputs HTTP/1.1\r\n\r\n\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=x"}
    reply = await ask(emulator, "POST", "/batch/storage/v1", part * 2 + b"--x--", headers)
    assert (reply.body.count(b"HTTP/1.1 503"), reply.body.count(b"HTTP/1.1 200")) == (1, 1)
