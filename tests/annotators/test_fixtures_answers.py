"""What a rule answers over time: sequences, limits, delays, features without fields, and rules added while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from rule_folder import FACE, LABEL, TEXT, Folder, answer, first_label, labels, rule

from vision_emulator.annotators import Inquiry, Picture
from vision_emulator.annotators.fixtures import ADDED_MAX, MISSES_MAX, FixtureError, Fixtures, UnknownRule, read_rule
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import Feature, ImageContext
from vision_emulator.control.clock import ManualClock

URI = "gs://b/x"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def several(fixtures: Fixtures, count: int) -> list[str]:
    """The first label of so many pictures one after the other, an error's text in its place."""
    found = []
    for _ in range(count):
        try:
            found.append(await first_label(fixtures, URI))
        except VisionError as failure:
            found.append(failure.message)
    return found


async def test_a_sequence_answers_one_picture_after_the_other(folder: Folder) -> None:
    """Each picture takes the next answer, the last stays; an error is an answer like others."""
    steps: list[dict[str, Any]] = [
        {"response": labels("a")},
        {"error": {"code": "UNAVAILABLE", "message": "not now"}},
        {"response": labels("b")},
    ]
    fixtures = folder.fixtures({"match": {"uri": URI}, "sequence": steps})
    assert await several(fixtures, 5) == ["a", "not now", "b", "b", "b"]
    assert fixtures.rules[0].uses == 5


async def test_after_its_times_a_rule_matches_no_more(folder: Folder) -> None:
    """Then the next rule answers, and a uri that only it knew is unknown again; with a sequence, too."""
    fixtures = folder.fixtures(
        {"match": {"uri": URI}, "sequence": [{"response": labels("a")}, {"response": labels("b")}], "times": 3},
        rule("gs://b/*", labels("later")),
    )
    assert fixtures.knows(URI)
    assert await several(fixtures, 4) == ["a", "b", "b", "later"]
    assert not fixtures.knows(URI)
    fixtures.reset()
    assert fixtures.knows(URI)
    assert await several(fixtures, 4) == ["a", "b", "b", "later"]


async def test_a_rule_is_used_once_for_all_features_of_a_picture(folder: Folder) -> None:
    """Two features of one picture are one use, and see the same answer."""
    response = {**labels("a"), "faceAnnotations": [{"rollAngle": 1}]}
    fixtures = folder.fixtures({"match": {"uri": URI}, "sequence": [{"response": response}, {"response": labels("b")}]})
    found = await answer(fixtures, Picture(b"", URI), LABEL, FACE)
    assert (found.label_annotations[0].description, len(found.face_annotations)) == ("a", 1)
    assert fixtures.rules[0].uses == 1
    assert not fixtures.claims(Picture(b"", URI), FACE), "the second answer has no faces"


async def test_features_say_what_was_asked_and_not_found(folder: Folder) -> None:
    """With ``features`` exactly these are answered: those without a field are empty, fields of others are passed over."""
    response = {**labels("a"), "faceAnnotations": [{"rollAngle": 1}]}
    fixtures = folder.fixtures({"match": {"uri": URI}, "features": ["LABEL_DETECTION", "TEXT_DETECTION"], "response": response})
    picture = Picture(b"", URI)
    assert [fixtures.claims(picture, feature) for feature in (LABEL, TEXT, FACE)] == [True, True, False]
    found = await answer(fixtures, picture, LABEL, TEXT)
    assert [field.name for field, _ in found.ListFields()] == ["label_annotations"]
    nothing = folder.fixtures({"match": {"uri": URI}, "features": ["FACE_DETECTION"], "response": {}})
    assert not (await answer(nothing, picture, FACE)).ListFields()
    assert nothing.claims(picture, FACE)
    assert not nothing.claims(picture, LABEL)


@pytest.mark.parametrize(("written", "seconds"), [("250ms", 0.25), ("2s", 2), (1.5, 1.5), ("0.5 s", 0.5), (3, 3)])
async def test_a_delay_passes_on_the_servers_clock(folder: Folder, written: Any, seconds: float) -> None:
    """The answer comes when the clock has moved so far and no sooner; other pictures are answered meanwhile."""
    clock = ManualClock()
    folder.write("a.json", [{"match": {"uri": URI}, "response": labels("slow"), "delay": written}, rule("gs://b/y", labels("fast"))])
    fixtures = Fixtures([folder.path], shipped=False, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(first_label(fixtures, URI))
        assert await asyncio.wait_for(first_label(fixtures, "gs://b/y"), 30) == "fast"
        clock.advance(seconds - 0.01)
        await asyncio.sleep(0)  # noqa: TID251 - lets what was woken run
        assert not slow.done()
        clock.advance(0.02)
        assert await asyncio.wait_for(slow, 30) == "slow"


async def test_errors_wait_too_and_steps_inherit_the_delay(folder: Folder) -> None:
    """A delay on the rule is that of each answer that has none of its own."""
    steps: list[dict[str, Any]] = [{"error": {"code": 14}}, {"response": labels("a"), "delay": 0}]
    fixtures = folder.fixtures({"match": {"uri": URI}, "sequence": steps, "delay": "1s"})
    assert [given.delay_seconds for given in fixtures.rules[0].answers] == [1.0, 0.0]
    clock = ManualClock()
    fixtures = Fixtures([folder.path], shipped=False, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(several(fixtures, 1))
        await asyncio.sleep(0)  # noqa: TID251 - lets it begin
        assert not slow.done()
        clock.advance(2)
    fixtures.reset()
    assert fixtures.rules[0].uses == 0


async def test_the_pages_of_a_recorded_document(folder: Folder) -> None:
    """Vision's own output for a document answers its pages; a page's error is that page's error."""
    pages: list[dict[str, Any]] = [
        {"fullTextAnnotation": {"text": "one"}, "context": {"uri": "gs://b/a.pdf", "pageNumber": 1}},
        {"error": {"code": 3, "message": "Bad image data."}, "context": {"uri": "gs://b/a.pdf", "pageNumber": 2}},
    ]
    folder.write("output.json", {"inputConfig": {"mimeType": "application/pdf"}, "responses": pages, "totalPages": 2})
    fixtures = folder.fixtures()
    page = Picture(b"%PDF", "gs://b/a.pdf")
    page.number = 1
    assert (await answer(fixtures, page, TEXT)).full_text_annotation.text == "one"
    page = Picture(b"%PDF", "gs://b/a.pdf")
    page.number = 2
    with pytest.raises(VisionError, match="Bad image data"):
        await answer(fixtures, page, TEXT)


# ---- rules at run time ----


def added(uri: str, description: str, **keys: Any) -> Any:
    return read_rule(rule(uri, labels(description)) | keys)


async def test_added_rules_come_before_files(folder: Folder) -> None:
    """What was added last wins nothing, but every added rule stands before every file, however general it is."""
    fixtures = folder.fixtures(rule(URI, labels("file")))
    fixtures.add([added("*", "any"), added("gs://*", "pattern")])
    assert await first_label(fixtures, URI) == "pattern"
    fixtures.remove("rule-2")
    assert await first_label(fixtures, URI) == "any"
    fixtures.clear()
    assert await first_label(fixtures, URI) == "file"
    assert fixtures.added() == []


async def test_a_rule_is_replaced_in_its_place(folder: Folder) -> None:
    """Putting a rule under a known id replaces it, with its uses; an unknown id adds one at the end."""
    fixtures = folder.fixtures()
    fixtures.put(added(URI, "a", id="one"))
    fixtures.put(added(URI, "b", id="two"))
    assert await first_label(fixtures, URI) == "a"
    fixtures.put(added(URI, "c", id="one"))
    assert await first_label(fixtures, URI) == "c"
    assert [given.id for given in fixtures.added()] == ["one", "two"]
    assert fixtures.find("one").uses == 1
    with pytest.raises(UnknownRule, match="no rule was added as three; there are one, two"):
        fixtures.remove("three")


async def test_a_picture_in_hand_sees_rules_that_come_and_go(folder: Folder) -> None:
    """What was looked up for a picture is forgotten when the rules change."""
    fixtures = folder.fixtures()
    picture = Picture(b"", URI)
    assert not fixtures.claims(picture, LABEL)
    fixtures.add([added(URI, "a")])
    assert fixtures.claims(picture, LABEL)
    fixtures.reset()
    assert not fixtures.claims(picture, LABEL)


async def test_ids_are_checked_and_nothing_is_half_added(folder: Folder) -> None:
    """A taken or malformed id refuses the whole list; given ids do not collide with those made up."""
    fixtures = folder.fixtures()
    fixtures.add([added(URI, "a", id="rule-1")])
    for wrong in ("rule-1", "a/b", "a:b", "x" * 65):
        with pytest.raises(FixtureError):
            fixtures.add([added(URI, "b"), added(URI, "c", id=wrong)])
    with pytest.raises(FixtureError):
        fixtures.add([added(URI, "b", id="same"), added(URI, "c", id="same")])
    fixtures.add([added(URI, "b")])
    assert [given.id for given in fixtures.added()] == ["rule-1", "rule-2"]


def test_added_rules_are_bounded(folder: Folder) -> None:
    """More rules than a server should hold are refused with the way out."""
    fixtures = folder.fixtures()
    with pytest.raises(FixtureError, match="put more into a folder"):
        fixtures.add([added(URI, "a")] * (ADDED_MAX + 1))


async def test_a_projects_rules_are_its_own(folder: Folder) -> None:
    """A rule added for a project answers its calls alone, before those for everybody; resetting it leaves the others."""
    fixtures = folder.fixtures()
    fixtures.add([added(URI, "everybody")])
    fixtures.add([added("gs://b/*", "p1")], "p1")
    fixtures.add([added("gs://only/p1", "p1")], "p1")

    async def asked(project: str) -> str:
        found = await answer(fixtures, Picture(b"", URI, Inquiry(project=project)), LABEL)
        return found.label_annotations[0].description

    assert [await asked(project) for project in ("p1", "p2", "")] == ["p1", "everybody", "everybody"]
    assert fixtures.stands_in(Picture(b"", "gs://only/p1", Inquiry(project="p1")))
    assert not fixtures.stands_in(Picture(b"", "gs://only/p1", Inquiry(project="p2")))
    assert not fixtures.knows("gs://only/p1")
    fixtures.reset("p1")
    assert [await asked(project) for project in ("p1", "p2")] == ["everybody", "everybody"]
    with pytest.raises(UnknownRule, match="there are none"):
        fixtures.find("rule-1", "p1")


def test_a_rule_that_asks_for_more_than_a_uri_stands_in_only_where_it_fits(folder: Folder) -> None:
    """A missing object is answered for when the rest of the rule fits the call, and never by a rule about bytes."""
    fixtures = folder.fixtures(
        {"match": {"uri": URI, "header": {"x-test": "1"}}, "response": labels("a")},
        {"match": {"uri": "gs://b/y", "mimeType": "*"}, "response": labels("a")},
    )
    assert fixtures.stands_in(Picture(b"", URI, Inquiry({"x-test": "1"})))
    assert not fixtures.stands_in(Picture(b"", URI))
    assert not fixtures.stands_in(Picture(b"", "gs://b/y"))


# ---- near misses ----


def told(fixtures: Fixtures, limit: int = 10) -> list[dict[str, Any]]:
    return fixtures.near_misses(limit)


async def test_the_closest_rule_says_where_it_stands_and_in_what_it_differs(folder: Folder) -> None:
    """File and line, the key, what was wanted and what came; the rule that differs in the least comes first."""
    text = "rules:\n- match: {uri: gs://b/cat-1.jpg}\n  response: {labelAnnotations: []}\n\n- match:\n    sha256: '" + "0" * 64
    folder.write("cats.yaml", text + "'\n  response: {labelAnnotations: []}\n")
    fixtures = folder.fixtures()
    assert not fixtures.claims(Picture(b"cat", "gs://b/cat-2.jpg"), LABEL)
    (miss,) = told(fixtures)
    assert miss["uri"] == "gs://b/cat-2.jpg"
    assert miss["features"] == ["LABEL_DETECTION"]
    by_hash, by_uri = miss["closest"]
    got = Picture(b"cat").sha256
    assert by_hash["rule"] == f"{folder.path}/cats.yaml:5"
    assert by_hash["differences"] == [{"in": "sha256", "wanted": "0" * 64, "got": got}]
    assert by_hash["text"] == f"closest rule: {folder.path}/cats.yaml:5, differs in sha256: wanted 00000000…, got {got[:8]}…"
    assert by_uri["rule"] == f"{folder.path}/cats.yaml:2"
    assert by_uri["text"].endswith("differs in uri: wanted gs://b/cat-1.jpg, got gs://b/cat-2.jpg")


async def test_the_nearest_uri_comes_first(folder: Folder) -> None:
    """Among rules that differ in the uri alone, the one that shares the most of it."""
    fixtures = folder.fixtures(rule("gs://other/x.png", labels("a")), rule("gs://b/cats/1.jpg", labels("a")), rule("gs://b/d", labels("a")))
    assert not fixtures.claims(Picture(b"", "gs://b/cats/2.jpg"), LABEL)
    assert told(fixtures)[0]["closest"][0]["differences"][0]["wanted"] == "gs://b/cats/1.jpg"


async def test_a_rule_that_fits_but_answers_something_else(folder: Folder) -> None:
    """Then the feature is what differs, or that it was used up."""
    fixtures = folder.fixtures({"match": {"uri": URI}, "response": labels("a"), "times": 1})
    assert not fixtures.claims(Picture(b"", URI), FACE)
    assert await first_label(fixtures, URI) == "a"
    assert not fixtures.claims(Picture(b"", URI), LABEL)
    used_up, wrong_feature = told(fixtures)
    assert used_up["closest"][0]["differences"] == [{"in": "times", "wanted": "1", "got": "1 before it"}]
    assert wrong_feature["features"] == ["FACE_DETECTION"]
    assert told(fixtures, 1) == [used_up]


async def test_misses_are_bounded_and_keep_no_bytes(folder: Folder) -> None:
    """The last hundred pictures, latest first, one entry each whatever it was asked for; the pictures themselves are let go."""
    fixtures = folder.fixtures(rule("gs://none", labels("a")))
    for number in range(MISSES_MAX + 5):
        picture = Picture(b"x" * 1000, f"gs://b/{number}")
        assert not any(fixtures.claims(picture, feature) for feature in (LABEL, FACE))
    missed = told(fixtures, 1000)
    assert len(missed) == MISSES_MAX
    assert missed[0]["uri"] == f"gs://b/{MISSES_MAX + 4}"
    assert missed[0]["features"] == ["FACE_DETECTION", "LABEL_DETECTION"]
    assert max(len(miss.sighting.data) for miss in fixtures._misses) < 100
    fixtures.reset()
    assert told(fixtures) == []


async def test_without_rules_of_the_users_nothing_is_missed() -> None:
    """The shipped answers are for the samples alone; that they do not fit is no news."""
    fixtures = Fixtures()
    assert not fixtures.claims(Picture(b"", URI), LABEL)
    assert fixtures.near_misses(10) == []


async def test_credentials_are_not_shown(folder: Folder) -> None:
    """A rule may ask for a token; what a call had instead is nobody's business."""
    fixtures = folder.fixtures({"match": {"header": {"authorization": "Bearer a"}}, "response": labels("a")})
    assert not fixtures.claims(Picture(b"", URI, Inquiry({"authorization": "Bearer secret"})), LABEL)
    assert "secret" not in str(told(fixtures))


def test_the_log_names_the_closest_rule(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """At level debug every unanswered feature is a line; above it nothing is worked out."""
    caplog.set_level("DEBUG")
    fixtures = folder.fixtures(rule("gs://b/cat", labels("a")))
    assert not fixtures.claims(Picture(b"", "gs://b/car"), LABEL)
    (line,) = caplog.messages
    assert line.startswith(f"no fixture answers LABEL_DETECTION of gs://b/car: closest rule: {folder.path}/rules.json:2, ")
    assert line.endswith("differs in uri: wanted gs://b/cat, got gs://b/car")


async def test_the_first_best_rules_error_counts(folder: Folder) -> None:
    """An error with ``features`` is the picture's error only when one of them is asked for."""
    fixtures = folder.fixtures(
        {"match": {"uri": URI}, "features": ["FACE_DETECTION"], "error": {"code": "PERMISSION_DENIED", "message": "no"}},
        rule("gs://b/*", labels("a")),
    )
    assert await first_label(fixtures, URI) == "a"
    with pytest.raises(VisionError) as failure:
        await fixtures.annotate(Picture(b"", URI), [Feature(type=FACE), Feature(type=LABEL)], ImageContext())
    assert failure.value.code is Code.PERMISSION_DENIED
