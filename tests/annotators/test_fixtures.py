"""Rule files: what they match, what they answer, and how a bad one is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from rule_folder import DOCUMENT, FACE, LABEL, TEXT, Folder, answer, first_label, labels, rule

from vision_emulator.annotators import FIELDS_OF_FEATURE, Picture, Settings, load
from vision_emulator.annotators.fixtures import FixtureError, Fixtures
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.json_reader import repeated_fields
from vision_emulator.contract.messages import AnnotateImageResponse, Feature

PROPERTIES, CROPS = Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def test_exact_uri_answers_without_bytes(folder: Folder) -> None:
    """A rule that names a uri is known and answers it, bytes or not; another uri stays unclaimed."""
    fixtures = folder.fixtures(rule("gs://b/cat.jpg", labels("Cat")))
    assert fixtures.knows("gs://b/cat.jpg")
    assert not fixtures.knows("gs://b/dog.jpg")
    assert await first_label(fixtures, "gs://b/cat.jpg") == "Cat"
    assert not fixtures.claims(Picture(b"", "gs://b/dog.jpg"), LABEL)


async def test_a_yaml_file_says_the_same_as_json(folder: Folder) -> None:
    """YAML and JSON, camelCase and snake_case, number and name of a code are one language."""
    folder.write(
        "pets/cats.yaml",
        """
        source: the cat itself
        rules:
        - match: {uri: "gs://b/cat.jpg"}
          response:
            label_annotations: [{mid: /m/01yrx, description: Cat, score: 0.98}]
        - match: {uri: "gs://b/broken.jpg"}
          error: {code: INVALID_ARGUMENT, message: Bad image data.}
        """,
    )
    fixtures = folder.fixtures()
    found = await answer(fixtures, Picture(b"", "gs://b/cat.jpg"), LABEL)
    assert found == AnnotateImageResponse(label_annotations=[{"mid": "/m/01yrx", "description": "Cat", "score": 0.98}])
    with pytest.raises(VisionError, match=r"^Bad image data\.$") as failure:
        await answer(fixtures, Picture(b"", "gs://b/broken.jpg"), FACE)
    assert failure.value.code is Code.INVALID_ARGUMENT


async def test_yaml_leaves_a_timestamp_a_text(folder: Folder) -> None:
    """A time in YAML needs no quotes: it reads as in JSON."""
    folder.write("p.yml", "- match: {uri: 'gs://b/p'}\n  response: {productSearchResults: {indexTime: 2020-01-02T03:04:05Z}}\n")
    found = await answer(folder.fixtures(), Picture(b"", "gs://b/p"), Feature.PRODUCT_SEARCH)
    assert found.product_search_results.index_time.ToJsonString() == "2020-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("pattern", "uri", "fits"),
    [
        ("gs://b/*.jpg", "gs://b/cat.jpg", True),
        ("gs://b/*.jpg", "gs://b/cats/tom.jpg", True),
        ("gs://b/*.jpg", "gs://b/cat.png", False),
        ("gs://b/*.jpg", "gs://bb/cat.jpg", False),
        ("*", "", True),
        ("*", "gs://b/line\nbreak", True),
        ("https://h/*?size=[1]", "https://h/a?size=[1]", True),
        ("https://h/*?size=[1]", "https://h/axsize=1", False),
    ],
)
async def test_only_the_asterisk_is_special(folder: Folder, pattern: str, uri: str, fits: bool) -> None:
    """An asterisk stands for any characters, slashes included; all else in a uri is itself."""
    fixtures = folder.fixtures(rule(pattern, labels("Cat")))
    assert fixtures.claims(Picture(b"", uri), LABEL) is fits
    assert not fixtures.knows(uri), "a pattern cannot promise that an object exists"


async def test_sha256_matches_content_wherever_it_is(folder: Folder) -> None:
    """A hash answers for the bytes under any uri, and with a uri only for both together."""
    digest = hashlib.sha256(b"cat").hexdigest()
    fixtures = folder.fixtures(
        {"match": {"sha256": digest.upper(), "uri": "gs://b/*"}, "response": labels("Cat in b")},
        {"match": {"sha256": digest}, "response": labels("Cat")},
    )
    assert await first_label(fixtures, "gs://b/x", b"cat") == "Cat in b"
    assert await first_label(fixtures, "gs://c/x", b"cat") == "Cat"
    assert await first_label(fixtures, "", b"cat") == "Cat"
    assert await first_label(fixtures, "gs://c/x", b"dog") == ""
    assert not fixtures.knows("gs://b/x")


async def test_the_hash_of_nothing_is_no_match(folder: Folder) -> None:
    """A picture whose bytes nobody has matches no hash, not even that of the empty text."""
    fixtures = folder.fixtures({"match": {"sha256": hashlib.sha256(b"").hexdigest()}, "response": labels("Nothing")})
    assert await first_label(fixtures, "gs://b/x") == ""


async def test_exact_before_pattern_and_longer_before_shorter(folder: Folder) -> None:
    """The rule that says more about the picture wins, wherever it stands."""
    fixtures = folder.fixtures(
        rule("gs://b/*", labels("any")),
        rule("gs://b/cats/*", labels("cats")),
        rule("gs://b/cats/tom.jpg", labels("Tom")),
        {"match": {"sha256": hashlib.sha256(b"x").hexdigest()}, "response": labels("x")},
        rule("*", labels("all")),
    )
    assert await first_label(fixtures, "gs://b/cats/tom.jpg") == "Tom"
    assert await first_label(fixtures, "gs://b/cats/tom.jpg", b"x") == "Tom", "both are exact: the earlier one"
    assert await first_label(fixtures, "gs://b/cats/leo.jpg", b"x") == "x"
    assert await first_label(fixtures, "gs://b/cats/leo.jpg") == "cats"
    assert await first_label(fixtures, "gs://b/dog.jpg") == "any"
    assert await first_label(fixtures, "") == "all"


async def test_the_earlier_of_equals_wins(folder: Folder) -> None:
    """Equal rules: the first in the file, files in the order of their paths, folders in the order given."""
    folder.write("1/b.json", [rule("gs://b/x", labels("b"))])
    folder.write("1/a.json", [rule("gs://b/x", labels("a1")), rule("gs://b/x", labels("a2"))])
    folder.write("0/z.json", [rule("gs://b/x", labels("z"))])
    one, zero = folder.path / "1", folder.path / "0"
    assert await first_label(Fixtures([one, zero], shipped=False), "gs://b/x") == "a1"
    assert await first_label(Fixtures([zero, one], shipped=False), "gs://b/x") == "z"
    assert await first_label(Fixtures([one / "b.json"], shipped=False), "gs://b/x") == "b"


async def test_rules_answer_feature_by_feature(folder: Folder) -> None:
    """Two rules may answer different features of one picture: the better one wins only where it claims."""
    fixtures = folder.fixtures(
        rule("gs://b/*", {**labels("any"), "faceAnnotations": [{"rollAngle": 1}], "safeSearchAnnotation": {"adult": "LIKELY"}}),
        rule("gs://b/x", labels("x")),
    )
    found = await answer(fixtures, Picture(b"", "gs://b/x"), LABEL, FACE)
    assert [label.description for label in found.label_annotations] == ["x"]
    assert len(found.face_annotations) == 1
    assert not found.HasField("safe_search_annotation"), "only the fields of the features asked for"


@pytest.mark.parametrize("feature", sorted(FIELDS_OF_FEATURE))
def test_each_feature_is_claimed_by_its_field(folder: Folder, feature: int) -> None:
    """The first field of every feature claims it, given empty as well, and claims nothing that does not share it."""
    name = FIELDS_OF_FEATURE[feature][0]
    empty: Any = [] if name in repeated_fields(AnnotateImageResponse.DESCRIPTOR) else {}
    fixtures = folder.fixtures(rule("gs://b/x", {name: empty}))
    claimed = {other for other in FIELDS_OF_FEATURE if fixtures.claims(Picture(b"", "gs://b/x"), other)}
    assert claimed == ({TEXT, DOCUMENT} if feature in (TEXT, DOCUMENT) else {feature})


async def test_nothing_found_is_an_answer(folder: Folder) -> None:
    """An empty list is claimed and final: a weaker rule does not fill it."""
    fixtures = folder.fixtures(rule("gs://b/x", {"labelAnnotations": [], "webDetection": {}}), rule("gs://b/*", labels("any")))
    assert await first_label(fixtures, "gs://b/x") == ""
    found = await answer(fixtures, Picture(b"", "gs://b/x"), Feature.WEB_DETECTION)
    assert found.HasField("web_detection"), "an empty object stays an object"


async def test_crop_hints_come_along_with_image_properties(folder: Folder) -> None:
    """Image properties bring their rule's crop hints; hints alone claim no properties; asked for both, hints come once."""
    hints = {"cropHints": [{"confidence": 0.5}]}
    fixtures = folder.fixtures(
        rule("gs://b/both", {"imagePropertiesAnnotation": {}, "cropHintsAnnotation": hints}),
        rule("gs://b/hints", {"cropHintsAnnotation": hints}),
        rule("gs://b/mixed", {"imagePropertiesAnnotation": {}}),
        rule("gs://b/more", {"cropHintsAnnotation": {"cropHints": [{}, {}, {}]}}),
        rule("gs://b/m*", {"imagePropertiesAnnotation": {}, "cropHintsAnnotation": {"cropHints": [{}, {}]}}),
    )
    both = Picture(b"", "gs://b/both")
    assert len((await answer(fixtures, both, PROPERTIES)).crop_hints_annotation.crop_hints) == 1
    assert len((await answer(fixtures, both, CROPS, PROPERTIES)).crop_hints_annotation.crop_hints) == 1
    assert not fixtures.claims(Picture(b"", "gs://b/hints"), PROPERTIES)
    mixed = await answer(fixtures, Picture(b"", "gs://b/mixed"), CROPS, PROPERTIES)
    assert len(mixed.crop_hints_annotation.crop_hints) == 2
    for order in ((CROPS, PROPERTIES), (PROPERTIES, CROPS)):
        more = await answer(fixtures, Picture(b"", "gs://b/more"), *order)
        assert len(more.crop_hints_annotation.crop_hints) == 3, "hints that were asked for win over those that come along"


async def test_both_text_features_share_one_answer(folder: Folder) -> None:
    """Text given once answers TEXT_DETECTION and DOCUMENT_TEXT_DETECTION, and not twice when both are asked for."""
    fixtures = folder.fixtures(rule("gs://b/x", {"fullTextAnnotation": {"text": "a"}, "textAnnotations": [{"description": "a"}]}))
    found = await answer(fixtures, Picture(b"", "gs://b/x"), TEXT, DOCUMENT)
    assert len(found.text_annotations) == 1
    assert found.full_text_annotation.text == "a"


async def test_answers_do_not_share_state(folder: Folder) -> None:
    """What a caller does to an answer (the core cuts it to max_results) does not reach the next one."""
    fixtures = folder.fixtures(rule("gs://b/x", labels("a", "b")))
    picture = Picture(b"", "gs://b/x")
    del (await answer(fixtures, picture, LABEL)).label_annotations[:]
    assert len((await answer(fixtures, picture, LABEL)).label_annotations) == 2


async def test_a_vision_output_file_works_as_it_is(folder: Folder) -> None:
    """Each response of a recorded shard answers for its context.uri, literally; an error is the error; context stays behind."""
    folder.write(
        "output-1-to-3.json",
        json.dumps(
            {
                "responses": [
                    {**labels("Cat"), "context": {"uri": "gs://b/a*.jpg"}},
                    {"error": {"code": 5, "message": "Error opening file: gs://b/b.jpg."}, "context": {"uri": "gs://b/b.jpg"}},
                    {"context": {"uri": "gs://b/empty.jpg"}},
                ]
            }
        ),
    )
    fixtures = folder.fixtures()
    found = await answer(fixtures, Picture(b"", "gs://b/a*.jpg"), LABEL)
    assert found.label_annotations[0].description == "Cat"
    assert not found.HasField("context")
    assert not fixtures.claims(Picture(b"", "gs://b/ab.jpg"), LABEL)
    with pytest.raises(VisionError, match="Error opening file") as failure:
        await answer(fixtures, Picture(b"", "gs://b/b.jpg"), LABEL)
    assert failure.value.code is Code.NOT_FOUND
    assert not fixtures.claims(Picture(b"", "gs://b/empty.jpg"), LABEL), "an empty response does not say what was asked"


def test_pages_of_a_document_answer_no_picture(folder: Folder) -> None:
    """The output of a document is accepted, and its pages do not pass for an answer to the whole file."""
    page = {"fullTextAnnotation": {"text": "a"}, "context": {"uri": "gs://b/a.pdf", "pageNumber": 1}}
    folder.write("a.json", {"inputConfig": {"mimeType": "application/pdf"}, "responses": [page], "totalPages": 1})
    fixtures = folder.fixtures()
    assert not fixtures.knows("gs://b/a.pdf")
    assert not fixtures.claims(Picture(b"", "gs://b/a.pdf"), TEXT)


FAULTS = {
    'a.yaml:2: unknown key "mach", did you mean "match"?': "- response: {labelAnnotations: []}\n  mach: {uri: x}\n",
    'a.yaml:1: unknown key "rule", did you mean "rules"?': "rule: []\n",
    'a.yaml:3: unknown key "labelAnotations", did you mean "labelAnnotations"?': (
        "- match: {uri: x}\n  response:\n    labelAnotations: []\n"
    ),
    'a.yaml:4: unknown key "scores", did you mean "score"?': (
        "- match: {uri: x}\n  response:\n    labelAnnotations:\n    - {description: a, scores: 1}\n"
    ),
    'a.yaml:1: "match" must be an object, not None': "- response: {labelAnnotations: []}\n",
    "a.yaml:1: a rule needs a match with uri or sha256": "- {match: {}, response: {labelAnnotations: []}}\n",
    "a.yaml:1: a rule needs either a response or an error": "- match: {uri: x}\n",
    "a.yaml:2: the rule answers no feature": "\n- {match: {uri: x}, response: {}}\n",
    "a.yaml:3: the rule answers no feature": "\n\n- {match: {uri: x}, response: {context: {uri: x}}}\n",
    'a.yaml:2: "uri" must be a text, not 5': "- match:\n    uri: 5\n  response: {labelAnnotations: []}\n",
    "a.yaml:1: uri is empty": '- {match: {uri: ""}, response: {labelAnnotations: []}}\n',
    "a.yaml:1: sha256 must be 64 hex digits, not 'abc'": "- {match: {sha256: abc}, response: {labelAnnotations: []}}\n",
    "a.yaml:3: unknown error code 99": "- match: {uri: x}\n  error:\n    code: 99\n",
    "a.yaml:3: unknown error code 'BAD'": "- match: {uri: x}\n  error:\n    {code: BAD}\n",
    "a.yaml:1: this must be a list, not None": "# nothing\n",
    "a.yaml:2: broken YAML:": "- match: {uri: x}\n  - b\n",
    "a.json:3: broken JSON:": '[\n{"match": {}}\n{"match": {}}]',
    'a.json:3: unknown key "mach", did you mean "match"?': '[\n\t{"response": {"labelAnnotations": []},\n\t\t"mach": {}}]',
    "a.json:3: Invalid value at 'label_annotations[1].score' (TYPE_FLOAT), \"high\"": (
        '[{"match": {"uri": "x"}, "response": {"labelAnnotations":\n [{"mid": "/m/0"},\n {"score": "high"}]}}]'
    ),
    "a.yaml:4: Invalid value at 'safe_search_annotation.adult'": (
        "- match: {uri: x}\n  response:\n    safeSearchAnnotation:\n      adult: LIKLY\n"
    ),
    "a.json:1: this response has no context.uri": '{"responses": [{"labelAnnotations": []}]}',
}


@pytest.mark.parametrize(("message", "text"), FAULTS.items(), ids=FAULTS)
def test_a_bad_rule_is_refused_with_its_place(folder: Folder, message: str, text: str) -> None:
    """A rule that cannot be used stops the start: file, line, reason, and the nearest valid name."""
    file = folder.write(message.partition(":")[0], text)
    with pytest.raises(FixtureError) as refused:
        folder.fixtures()
    assert str(refused.value).startswith(f"{file.parent}/{message}")


def test_the_settings_name_the_folders(folder: Folder) -> None:
    """Made by its name, as a server makes it, it reads the configured folders and the shipped answers only if wanted."""
    folder.write("rules.json", [rule("gs://b/x", labels("x"))])
    [fixtures] = load(["fixtures"], Settings(fixtures=(folder.path,), shipped_fixtures=False))
    assert isinstance(fixtures, Fixtures)
    assert [found.uri for found in fixtures.rules] == ["gs://b/x"]
    [with_shipped] = load(["fixtures"], Settings(fixtures=(folder.path,)))
    assert with_shipped.knows("gs://b/x")
    assert with_shipped.knows("gs://cloud-samples-data/vision/document_understanding/image1.png")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there is a mistake in the configuration, not an empty set of rules."""
    with pytest.raises(FixtureError, match="no such folder"):
        Fixtures([tmp_path / "nowhere"], shipped=False)


def test_other_files_are_left_alone(folder: Folder) -> None:
    """Pictures and notes may lie beside the rules."""
    folder.write("notes.md", "# no rules")
    assert folder.fixtures().rules == []
