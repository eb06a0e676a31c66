"""Given answers over the control API: added, listed, replaced and removed; read again; and why none fitted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from wire import Reply, ask

CAT = {"match": {"uri": "gs://photos/cat.jpg"}, "response": {"labelAnnotations": [{"description": "Cat"}]}}
DOGS = "- match: {{uri: gs://photos/dog.jpg}}\n  response: {{labelAnnotations: [{{description: {}}}]}}\n"
ANY = {"match": {"uri": "*"}, "response": {"labelAnnotations": [{"description": "Any"}]}}


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    """A server with a folder of rules and no other answers."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "dogs.yaml").write_text(
        "- match: {uri: gs://photos/dog.jpg}\n  response: {labelAnnotations: [{description: Dog}]}\n"
    )
    config = Config(port=0, fixtures=(tmp_path / "rules",), shipped_fixtures=False, annotators=("fixtures",), certificates=tmp_path / "ca")
    async with Emulator(config) as running:
        yield running


async def control(emulator: Emulator, verb: str, path: str, body: Any = None) -> Any:
    """The answer of a control call that must succeed."""
    reply = await asked(emulator, verb, path, body)
    assert reply.status == 200, reply.body
    return reply.json


async def asked(emulator: Emulator, verb: str, path: str, body: Any = None) -> Reply:
    return await ask(emulator, verb, "/_emulator/v1/" + path, b"" if body is None else json.dumps(body).encode())


async def label(emulator: Emulator, uri: str, project: str = "") -> str:
    """The first label that a client gets for a picture, or its error's text."""
    element = {"image": {"source": {"imageUri": uri}}, "features": [{"type": "LABEL_DETECTION"}]}
    headers = {"x-goog-user-project": project} if project else {}
    reply = await ask(emulator, "POST", "/v1/images:annotate", json.dumps({"requests": [element]}).encode(), headers)
    (response,) = reply.json["responses"]
    return str(response["error"]["message"]) if "error" in response else str(response["labelAnnotations"][0]["description"])


async def test_rules_are_added_listed_and_forgotten(emulator: Emulator) -> None:
    """They hold from the next call on, before the files; the list counts how often each was used, best first."""
    added = await control(emulator, "POST", "fixtures", {"rules": [CAT, {**ANY, "id": "any"}]})
    assert [given["id"] for given in added["rules"]] == ["rule-1", "any"]
    assert [await label(emulator, f"gs://photos/{name}.jpg") for name in ("cat", "cat")] == ["Cat", "Cat"]
    listed = await control(emulator, "GET", "fixtures")
    assert listed["total"] == 3
    assert [(given["id"], given["uses"]) for given in listed["rules"]] == [("rule-1", 2), ("any", 0), ("", 0)]
    assert listed["rules"][0]["rule"] == {"id": "rule-1", **CAT}
    assert listed["rules"][2]["where"].endswith("rules/dogs.yaml:1")
    assert await control(emulator, "DELETE", "fixtures") == {}
    assert (await control(emulator, "GET", "fixtures"))["total"] == 1
    assert "Error opening file" in await label(emulator, "gs://photos/cat.jpg")


async def test_one_rule(emulator: Emulator) -> None:
    """PUT adds or replaces under the id of the path, GET shows it, DELETE forgets it; then it is unknown."""
    assert (await control(emulator, "PUT", "fixtures/mine", CAT))["id"] == "mine"
    assert await label(emulator, "gs://photos/cat.jpg") == "Cat"
    await control(emulator, "PUT", "fixtures/mine", {**ANY, "match": CAT["match"], "times": 1})
    assert await label(emulator, "gs://photos/cat.jpg") == "Any"
    shown = await control(emulator, "GET", "fixtures/mine")
    assert (shown["uses"], shown["rule"]["times"], shown["where"]) == (1, 1, "rule mine")
    await control(emulator, "DELETE", "fixtures/mine")
    for verb in ("GET", "DELETE"):
        reply = await asked(emulator, verb, "fixtures/mine")
        assert (reply.status, reply.json) == (404, {"error": "no rule was added as mine; there are none."})


async def test_a_projects_rules(emulator: Emulator) -> None:
    """With ?project= they are that project's alone: to its calls, in its list, and on its reset."""
    await control(emulator, "POST", "fixtures?project=p1", {"rules": [CAT]})
    assert await label(emulator, "gs://photos/cat.jpg", "p1") == "Cat"
    assert "Error opening file" in await label(emulator, "gs://photos/cat.jpg", "p2")
    assert [(await control(emulator, "GET", f"fixtures?project={project}"))["total"] for project in ("p1", "p2")] == [2, 1]
    assert (await asked(emulator, "GET", "fixtures/rule-1")).status == 404
    assert (await control(emulator, "GET", "fixtures/rule-1?project=p1"))["uses"] == 1


async def test_reset_forgets_them(emulator: Emulator) -> None:
    """After a reset there are the files' rules, none used, and no misses."""
    await control(emulator, "POST", "fixtures", {"rules": [CAT]})
    await control(emulator, "POST", "fixtures?project=p1", {"rules": [CAT]})
    assert await label(emulator, "gs://photos/dog.jpg") == "Dog"
    await label(emulator, "gs://photos/none.jpg")
    await control(emulator, "POST", "reset")
    (only,) = (await control(emulator, "GET", "fixtures?project=p1"))["rules"]
    assert (only["uses"], only["rule"]["match"]) == (0, {"uri": "gs://photos/dog.jpg"})
    assert await control(emulator, "GET", "fixtures:nearMisses") == {"misses": []}


async def test_the_list_comes_in_pieces(emulator: Emulator) -> None:
    """limit and offset cut it; what is no number, or too large a one, is refused."""
    await control(emulator, "POST", "fixtures", {"rules": [ANY] * 150})
    listed = await control(emulator, "GET", "fixtures")
    assert (len(listed["rules"]), listed["total"]) == (100, 151)
    piece = await control(emulator, "GET", "fixtures?limit=3&offset=149")
    assert [given["id"] for given in piece["rules"]] == ["rule-150", ""]
    for wrong in ("limit=1001", "limit=x", "offset=-1", "limit=٣"):
        reply = await asked(emulator, "GET", "fixtures?" + wrong)
        assert reply.status == 400, wrong


async def test_files_are_read_again_on_request(emulator: Emulator, tmp_path: Path) -> None:
    """At once, without waiting for the next look; what is wrong is told, and the old rules stay."""
    file = tmp_path / "rules" / "dogs.yaml"
    file.write_text(DOGS.format("Hound"))
    assert await control(emulator, "POST", "fixtures:reload") == {"rules": 1, "changed": True, "broken": []}
    assert await label(emulator, "gs://photos/dog.jpg") == "Hound"
    file.write_text("- match: {uri: gs://photos/dog.jpg}\n  respond: {}\n")
    told = await control(emulator, "POST", "fixtures:reload")
    assert told == {"rules": 1, "changed": False, "broken": [f'{file}:2: unknown key "respond", did you mean "response"?']}
    assert await label(emulator, "gs://photos/dog.jpg") == "Hound"


async def test_near_misses(emulator: Emulator) -> None:
    """A picture that no rule answered, with the rule that came closest and what it differs in."""
    element = {"image": {"content": "iVBORw0KGgo="}, "features": [{"type": "LABEL_DETECTION"}]}
    await ask(emulator, "POST", "/v1/images:annotate", json.dumps({"requests": [element]}).encode())
    (miss,) = (await control(emulator, "GET", "fixtures:nearMisses"))["misses"]
    assert miss["features"] == ["LABEL_DETECTION"]
    assert miss["closest"][0]["rule"].endswith("dogs.yaml:1")
    assert miss["closest"][0]["text"].endswith("differs in uri: wanted gs://photos/dog.jpg, got an inline picture")
    assert await control(emulator, "GET", "fixtures:nearMisses?limit=0") == {"misses": []}
    assert await control(emulator, "GET", "fixtures:nearMisses?project=p1") == {"misses": []}


URJ = {"match": {"urj": "x"}, "response": {"labelAnnotations": []}}
SCORE = {"match": {"uri": "x"}, "response": {"labelAnnotations": [{"score": "x"}]}}


@pytest.mark.parametrize(
    ("verb", "path", "body", "reason"),
    [
        ("POST", "fixtures", {"rules": [CAT, URJ]}, 'rules[1].match.urj: unknown key "urj", did you'),
        ("POST", "fixtures", {"rules": [{"match": {"uri": "x"}}]}, "rules[0]: a rule needs either a response or an error"),
        ("POST", "fixtures", {"rules": [{"mach": {}}]}, "mach is no known key at `$.rules[0]`; did you mean match?"),
        ("POST", "fixtures", {}, "Object missing required field `rules`"),
        ("POST", "fixtures", {"rules": [{**CAT, "id": "a b"}]}, "'a b' is no id"),
        ("PUT", "fixtures/a", SCORE, "response.label_annotations[0].score: "),
        ("PUT", "fixtures/a", {**CAT, "id": "b"}, "The rule says that its id is b, the path a."),
        ("PUT", "fixtures/a", {**CAT, "delay": "soon"}, "delay: delay must be 0 to 3600 seconds"),
        ("PUT", "fixtures/%20", CAT, "' ' is no id"),
    ],
)  # fmt: skip
async def test_wrong_rules_are_refused_with_their_place(emulator: Emulator, verb: str, path: str, body: Any, reason: str) -> None:
    """400 with the key, what is wrong and what would be right; nothing is added."""
    reply = await asked(emulator, verb, path, body)
    assert reply.status == 400
    assert reply.json["error"].startswith(reason)
    assert (await control(emulator, "GET", "fixtures"))["total"] == 1


async def test_a_server_without_fixtures() -> None:
    """It says so, and what to start it with."""
    async with Emulator(Config(port=0, annotators=("synthetic",))) as emulator:
        for verb, path, body in (("GET", "fixtures", None), ("POST", "fixtures", {"rules": []}), ("POST", "fixtures:reload", None)):
            reply = await asked(emulator, verb, path, body)
            assert reply.status == 409
            assert "--annotators" in reply.json["error"]
        assert (await asked(emulator, "POST", "reset")).status == 200
