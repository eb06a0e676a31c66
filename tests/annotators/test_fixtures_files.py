"""Rule files that change while the server runs, where rules stand in them, and the schema that editors check them by."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_folder import Folder, first_label, labels, rule

from vision_emulator.annotators.fixtures import FixtureError, Fixtures, read_rule, read_rules, schema, shipped_folder, where
from vision_emulator.annotators.fixtures.files import DISTANCE_DEFAULT, MATCH_KEYS, RULE_KEYS, SCHEMA_NAME, rule_files
from vision_emulator.control.clock import ManualClock
from wire import eventually

URI = "gs://b/x"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def newer(file: Path) -> Path:
    """The file with a time of change that is surely another."""
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    return file


# ---- reading again ----


async def test_changed_new_and_deleted_files_are_noticed(folder: Folder) -> None:
    """Each reload answers what the folder holds now, and says whether anything is new."""
    file = folder.write("a.json", [rule(URI, labels("a"))])
    fixtures = folder.fixtures()
    assert not (await fixtures.reload()).changed
    folder.write("a.json", [rule(URI, labels("b"))])
    newer(file)
    assert (await fixtures.reload()).changed
    assert await first_label(fixtures, URI) == "b"
    folder.write("deep/c.yaml", "- match: {uri: gs://b/y}\n  response: {labelAnnotations: [{description: y}]}\n")
    assert len((await fixtures.reload()).rules) == 2
    assert await first_label(fixtures, "gs://b/y") == "y"
    file.unlink()
    assert (await fixtures.reload()).changed
    assert await first_label(fixtures, URI) == ""


async def test_a_file_broken_by_an_edit_keeps_its_old_rules(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong is told with file and line, logged once, and the rules stay until the file is right again."""
    file = folder.write("a.json", [rule(URI, labels("a"))])
    fixtures = folder.fixtures()
    folder.write("a.json", '[\n{"match": {"urj": "x"}, "response": {}}]')
    wrong = f'{file}:2: unknown key "urj", did you mean "uri"?'
    for _ in range(3):
        reading = await fixtures.reload()
        assert (reading.changed, reading.broken) == (False, [wrong])
    assert caplog.messages == [f"{wrong}; its rules stay as they were"]
    assert await first_label(fixtures, URI) == "a"
    folder.write("a.json", [rule(URI, labels("mended"))])
    reading = await fixtures.reload()
    assert (reading.changed, reading.broken) == (True, [])
    assert await first_label(fixtures, URI) == "mended"


async def test_a_new_file_that_is_broken_is_left_out(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """It has no old rules; the others are not touched."""
    fixtures = folder.fixtures(rule(URI, labels("a")))
    folder.write("b.yaml", "- match: {}\n")
    assert len((await fixtures.reload()).broken) == 1
    assert caplog.messages[0].endswith("; it is left out")
    assert await first_label(fixtures, URI) == "a"


async def test_a_folder_that_is_gone_keeps_its_rules(tmp_path: Path) -> None:
    """A folder that is being replaced is missing for a moment: until it is back the old rules hold."""
    folder = Folder(tmp_path / "rules")
    fixtures = folder.fixtures(rule(URI, labels("a")))
    folder.path.rename(tmp_path / "away")
    reading = await fixtures.reload()
    assert reading.broken == [f"{folder.path}: no such folder of fixtures"]
    assert await first_label(fixtures, URI) == "a"
    (tmp_path / "away").rename(folder.path)
    assert (await fixtures.reload()).broken == []


async def test_uses_of_untouched_files_are_kept(folder: Folder) -> None:
    """A reload begins the rules of a changed file anew and leaves all other counts."""
    folder.write("a.json", [rule(URI, labels("a"))])
    changing = folder.write("b.json", [rule("gs://b/y", labels("b"))])
    fixtures = folder.fixtures()
    assert [await first_label(fixtures, uri) for uri in (URI, "gs://b/y")] == ["a", "b"]
    newer(changing)
    await fixtures.reload()
    assert {entry.uri: entry.uses for entry in fixtures.rules} == {URI: 1, "gs://b/y": 0}


async def test_an_entered_annotator_looks_once_a_second(folder: Folder) -> None:
    """On the server's clock, in a task of its own that ends with the block."""
    clock = ManualClock()
    fixtures = Fixtures([folder.path], shipped=False, clock=clock)
    before = asyncio.all_tasks()
    async with fixtures:
        folder.write("a.json", [rule(URI, labels("a"))])
        await asyncio.sleep(0)  # noqa: TID251 - lets the task begin
        clock.advance(0.5)
        await asyncio.sleep(0)  # noqa: TID251 - lets it wake, if it would
        assert not fixtures.knows(URI)
        clock.advance(0.6)
        await eventually(lambda: fixtures.knows(URI))
        assert len(asyncio.all_tasks() - before) == 1
    assert asyncio.all_tasks() == before


async def test_without_folders_nothing_watches() -> None:
    """A server without a user's rules has no task for them."""
    before = asyncio.all_tasks()
    async with Fixtures():
        assert asyncio.all_tasks() == before


# ---- where a rule stands ----


TWO_LINES = '{"match": {"uri": "b"},\n "error": {"code": 3}}'


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.yaml", "# comment\n\n- match: {uri: a}\n  error: {code: 3}\n-\n  match: {uri: b}\n  error: {code: 3}\n", [3, 6]),
        ("a.yaml", "source: x\nrules:\n- {match: {uri: a}, error: {code: 3}}\n", [3]),
        ("a.json", '{"source": "[{",\n "rules": [\n{"match": {"uri": "a"},\n "error": {"code": 3}}\n,\n\n' + TWO_LINES + "]}", [3, 7]),
        ("a.json", '[{"match": {"uri": "a"}, "error": {"code": 3}}]', [1]),
        ("a.json", '{"responses": [\n{"labelAnnotations": [], "context": {"uri": "a"}}]}', [2]),
    ],
)  # fmt: skip
def test_where(folder: Folder, name: str, text: str, lines: list[int]) -> None:
    """File and line at which the rule begins, in every form of a file."""
    file = folder.write(name, text)
    assert [where(entry) for entry in read_rules(file)] == [f"{file}:{line}" for line in lines]


def test_a_line_is_not_told_of_a_file_that_has_changed(folder: Folder) -> None:
    """Better no line than that of another rule."""
    file = folder.write("a.json", [rule(URI, labels("a"))])
    (only,) = read_rules(file)
    folder.write("a.json", "\n\n\n" + file.read_text())
    assert where(only) == str(file)


def test_a_fault_deep_in_a_large_file_is_found_at_once(folder: Folder) -> None:
    """The line is that of the key in its rule, however much stands before."""
    rules = [rule(f"gs://b/{number}", labels("a")) for number in range(3000)]
    file = folder.write("a.json", "[\n" + ",\n".join(json.dumps(entry) for entry in rules) + ',\n{"match":\n {"sha": "x"}}]')
    with pytest.raises(FixtureError) as refused:
        read_rules(file)
    assert str(refused.value) == f'{file}:3003: unknown key "sha", did you mean "sha256"?'


# ---- wrong rules ----

LOOK = "0123456789abcdef"
ANSWER = "response: {labelAnnotations: []}"
FAULTS = {
    '3: unknown key "mimetype", did you mean "mimeType"?': f"- {ANSWER}\n  match:\n    mimetype: x\n",
    '2: "page" must be a whole number of at least 1, not 0': f"- match:\n    page: 0\n  {ANSWER}\n",
    "1: pixels must be 64 hex digits": f"- {{match: {{pixels: abc}}, {ANSWER}}}\n",
    "1: a perceptual hash is 16 hex digits": f"- {{match: {{looksLike: abc}}, {ANSWER}}}\n",
    '1: "distance" must be a whole number from 0 to 64': f"- {{match: {{looksLike: {{hash: '{LOOK}', distance: 65}}}}, {ANSWER}}}\n",
    "1: size needs width, height or both": f"- {{match: {{size: {{}}}}, {ANSWER}}}\n",
    "1: header needs a header's name and value": f"- {{match: {{header: {{}}}}, {ANSWER}}}\n",
    '1: unknown key "depth"': f"- {{match: {{size: {{depth: 3}}}}, {ANSWER}}}\n",
    "1: a range needs min, max or both": f"- {{match: {{size: {{width: {{}}}}}}, {ANSWER}}}\n",
    "1: max 3 is less than min 5": f"- {{match: {{size: {{width: {{min: 5, max: 3}}}}}}, {ANSWER}}}\n",
    '1: "header" must be an object': f"- {{match: {{header: x}}, {ANSWER}}}\n",
    '1: "x-test" must be a text, not 1': f"- {{match: {{header: {{x-test: 1}}}}, {ANSWER}}}\n",
    "1: project is empty": f"- {{match: {{project: ''}}, {ANSWER}}}\n",
    """1: 'FACES' is no feature""": f"- {{match: {{feature: FACES}}, {ANSWER}}}\n",
    """2: 'LABELS' is no feature, use one of FACE_DETECTION, """: f"- match: {{uri: x}}\n  features: [LABELS]\n  {ANSWER}\n",
    """1: 'LABEL_DETEKTION' is no feature, did you mean "LABEL_DETECTION"?""": f"- {{match: {{feature: LABEL_DETEKTION}}, {ANSWER}}}\n",
    "1: the list of features is empty": f"- {{match: {{uri: x}}, features: [], {ANSWER}}}\n",
    "1: the rule answers none of the features that its match asks for": f"- {{match: {{uri: x, feature: FACE_DETECTION}}, {ANSWER}}}\n",
    "2: delay must be 0 to 3600 seconds": f"- match: {{uri: x}}\n  delay: 5 minutes\n  {ANSWER}\n",
    "1: delay must be 0 to 3600 seconds, or a text such as": f"- {{match: {{uri: x}}, delay: -1, {ANSWER}}}\n",
    '1: "times" must be a whole number of at least 1': f"- {{match: {{uri: x}}, times: 0, {ANSWER}}}\n",
    '1: "times" must be a whole number of at least 1, not True': f"- {{match: {{uri: x}}, times: true, {ANSWER}}}\n",
    "1: the sequence is empty": "- {match: {uri: x}, sequence: []}\n",
    '1: "response" belongs inside the entries of the sequence': f"- {{match: {{uri: x}}, sequence: [{{{ANSWER}}}], {ANSWER}}}\n",
    '4: unknown key "times"': f"- match: {{uri: x}}\n  sequence:\n  - {ANSWER}\n    times: 3\n",
    "4: a rule needs either a response or an error": f"- match: {{uri: x}}\n  sequence:\n  - {ANSWER}\n  - delay: 1\n",
}  # fmt: skip


@pytest.mark.parametrize(("message", "text"), FAULTS.items(), ids=FAULTS)
def test_a_wrong_key_or_value_is_refused_with_its_place(folder: Folder, message: str, text: str) -> None:
    """File, line, what is wrong, what would be right."""
    file = folder.write("a.yaml", text)
    with pytest.raises(FixtureError) as refused:
        folder.fixtures()
    assert str(refused.value).startswith(f"{file}:{message}")


# ---- the schema ----

VALIDATOR = jsonschema.Draft7Validator(schema.schema())


def test_the_schema_that_ships_is_current() -> None:
    """Beside the shipped answers lies what `vision-emulator fixtures schema` prints, in fixtures/fixture.schema.json."""
    assert (shipped_folder() / SCHEMA_NAME).read_text() == schema.text()
    jsonschema.Draft7Validator.check_schema(schema.schema())


@pytest.mark.parametrize("file", rule_files(shipped_folder()), ids=lambda file: file.name)
def test_the_shipped_files_are_valid(file: Path) -> None:
    """What the program reads, an editor does not mark."""
    VALIDATOR.validate(json.loads(file.read_text()))


ENTIRE: dict[str, Any] = {
    "$schema": "fixture.schema.json",
    "source": "all there is",
    "rules": [
        {
            "id": "one",
            "match": {
                "uri": "gs://b/*",
                "sha256": "0" * 64,
                "pixels": "1" * 64,
                "looksLike": {"hash": "0123456789abcdef", "distance": 3},
                "size": {"width": 5, "height": {"min": 1, "max": 9}},
                "mime_type": "image/*",
                "page": 2,
                "languageHint": "ja",
                "header": {"x-test": "a*"},
                "project": "p",
                "feature": ["LABEL_DETECTION"],
            },
            "features": ["LABEL_DETECTION"],
            "response": {"label_annotations": [{"description": "a", "score": 1, "locations": [{"latLng": {"latitude": 1.5}}]}]},
            "delay": "250ms",
            "times": 2,
        },
        {"match": {"looksLike": LOOK}, "sequence": [{"error": {"code": "UNAVAILABLE"}}, {"response": {"faceAnnotations": []}}]},
        {"match": {"uri": "x"}, "response": {"productSearchResults": {"indexTime": "2020-01-02T03:04:05Z"}}, "delay": 0.5},
    ],
}  # fmt: skip


def test_nothing_found_is_written_as_it_was_read() -> None:
    """An empty list stays one, and so does an empty object: {} in place of [] would be a list of one empty entry."""
    empty = {"faceAnnotations": [], "safeSearchAnnotation": {}, "textAnnotations": []}
    assert read_rule({"match": {"uri": "x"}, "response": empty}).as_json()["response"] == empty


def test_a_file_with_every_key_is_valid_and_is_read(folder: Folder) -> None:
    """The schema and the reader take the same; a list of rules and an output of Vision are valid, too."""
    VALIDATOR.validate(ENTIRE)
    assert len(read_rules(folder.write("a.json", ENTIRE))) == 3
    VALIDATOR.validate(ENTIRE["rules"])
    VALIDATOR.validate({"responses": [{"labelAnnotations": [], "context": {"uri": "a", "pageNumber": 1}}], "totalPages": 1})


# The schema leaves to the reader what would make it unreadable: bounds between two values, and features that do not meet.
BEYOND_A_SCHEMA = ("is less than min", "none of the features that its match", "delay must be 0 to 3600 seconds")


@pytest.mark.parametrize("text", [text for message, text in FAULTS.items() if not any(part in message for part in BEYOND_A_SCHEMA)])
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    """An editor marks a wrong key or value before the program is started."""
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_the_schema_says_the_defaults() -> None:
    """What is not written has the value that the schema names."""
    definition = schema.schema()["definitions"]["rule"]["properties"]["match"]["properties"]["looksLike"]
    assert definition["anyOf"][1]["properties"]["distance"]["default"] == DISTANCE_DEFAULT


# ---- any text ----

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from(["FACE_DETECTION", "*", "0" * 64, "2s"])
KEYS = st.sampled_from([*MATCH_KEYS, "min", "hash", "code", "labelAnnotations"])
PLAIN = st.recursive(LEAVES | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
RULE_LIKE = st.fixed_dictionaries(
    {"match": st.dictionaries(st.sampled_from(MATCH_KEYS), PLAIN, max_size=3) | PLAIN},
    optional={key: PLAIN for key in RULE_KEYS if key != "match"} | {"response": st.just({"labelAnnotations": []}) | PLAIN},
)


@settings(max_examples=300, deadline=None)
@given(PLAIN | st.lists(RULE_LIKE, max_size=2) | st.fixed_dictionaries({"rules": st.lists(RULE_LIKE, max_size=2)}))
def test_any_document_is_read_or_refused_with_its_line(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    """Nothing but FixtureError comes of a wrong file, in either language; and a rule that was read can be written again."""
    folder = tmp_path_factory.getbasetemp()
    for name, text in (("any.json", json.dumps(document)), ("any.yaml", yaml.safe_dump(document, allow_unicode=True))):
        file = folder / name
        file.write_text(text, encoding="utf-8")
        refused, rules = "", []
        try:
            rules = read_rules(file)
        except FixtureError as wrong:
            refused = str(wrong)
        assert not refused or refused.removeprefix(f"{file}:").partition(":")[0].isdecimal()
        assert [read_rule(entry.as_json()).as_json() for entry in rules] == [entry.as_json() for entry in rules]


@pytest.mark.parametrize(
    "text",
    [
        "- match: {uri: !!timestamp x}\n",
        "- " + "1" * 5000 + "\n",
        "- match: {uri: !!binary \"*\"}\n",
        "[" * 3000,
        '- {match: {uri: "\\ud800"}, response: {labelAnnotations: []}}\n',
        "- match: {? [a] : b}\n",
        "- &a {match: *a}\n",
        "\0",
        "- match: {uri: x}\n  response: {labelAnnotations: [{description: \"\\ud800\"}]}\n",
        "? - a\n: b\n",
    ],
)  # fmt: skip
def test_odd_yaml_is_refused(folder: Folder, text: str) -> None:
    """Tags, endless numbers, depth, halves of characters, keys that are lists: refused with file and line."""
    file = folder.write("a.yaml", text)
    with pytest.raises(FixtureError) as refused:
        read_rules(file)
    assert str(refused.value).startswith(f"{file}:")


def test_json_that_is_no_yaml_still_has_a_line(folder: Folder) -> None:
    """A key of more than a thousand characters is none of YAML's; the line is then that of the rule."""
    file = folder.write("a.json", '[{"match": {"uri": "x"}, "error": {"code": 3}},\n{"match": {"%s": 1}}]' % ("x" * 2000))
    with pytest.raises(FixtureError) as refused:
        read_rules(file)
    assert str(refused.value).startswith(f"{file}:2: unknown key")
