"""The command `fixtures`: rules written for images, rule files checked, the schema printed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from PIL import Image

from pictures import drawn
from vision_emulator.annotators import Picture
from vision_emulator.annotators.fixtures import Fixtures, read_rules, schema
from vision_emulator.cli import main
from vision_emulator.contract.messages import Feature, ImageContext


@pytest.fixture(autouse=True)
def working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """With two images and a text in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(drawn(1, (160, 120), "PNG"))
    (tmp_path / "dog.jpg").write_bytes(drawn(2))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def answered(picture: Picture, *features: int) -> list[bool]:
    """Which features the rules in rules.yaml answer for a picture."""
    fixtures = Fixtures([Path("rules.yaml")], shipped=False)

    async def prepared() -> None:
        if (work := fixtures.prepare(picture)) is not None:
            await work

    asyncio.run(prepared())
    return [fixtures.claims(picture, feature) for feature in features]


@pytest.mark.parametrize("way", ["sha256", "pixels", "looksLike", "uri"])
def test_a_new_rule_answers_its_image(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """However it matches, the image gets the answers that it had; what was asked for and not found is answered, other features are not."""
    features = ["--feature", "IMAGE_PROPERTIES", "--feature", "FACE_DETECTION"]
    assert main(["fixtures", "new", "cat.png", "dog.jpg", "--match", way, "--output", "rules.yaml", *features]) == 0
    assert capsys.readouterr().out == ""
    picture = Picture(Path("cat.png").read_bytes(), "gs://photos/cat.png")
    asked = (Feature.IMAGE_PROPERTIES, Feature.FACE_DETECTION, Feature.LABEL_DETECTION)
    assert answered(picture, *asked) == [True, True, False]
    assert answered(Picture(drawn(77, (90, 120)), "gs://photos/other.png"), *asked) == [False, False, False]


def test_the_rule_holds_the_answers_of_now() -> None:
    """The very answer that the configured annotators gave, as the one thing an emulator without them would say."""
    assert main(["fixtures", "new", "cat.png", "--output", "rules.json", "--annotators", "synthetic", "--seed", "5"]) == 0
    (rule,) = json.loads(Path("rules.json").read_text())["rules"]
    assert rule["features"] == ["LABEL_DETECTION", "TEXT_DETECTION"]
    fixtures = Fixtures([Path("rules.json")], shipped=False)
    picture = Picture(Path("cat.png").read_bytes())
    found = asyncio.run(fixtures.annotate(picture, [Feature(type=Feature.LABEL_DETECTION)], ImageContext()))
    assert [label.description for label in found.label_annotations] == [
        label["description"] for label in rule["response"]["labelAnnotations"]
    ]


def test_an_images_error_is_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no image gets its error written down, ready to be another."""
    assert main(["fixtures", "new", "notes.txt", "--feature", "IMAGE_PROPERTIES"]) == 0
    Path("rules.yaml").write_text(capsys.readouterr().out)
    (rule,) = read_rules(Path("rules.yaml"))
    assert rule.answers[0].error is not None
    assert rule.answers[0].error[1] == "Bad image data."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["new", "none.png"], "none.png: No such file or directory"),
        (["new", "notes.txt", "--match", "pixels"], "notes.txt: Bad image data."),
        (["new", "cat.png", "--feature", "LABELS"], "LABELS is no feature; "),
        (["new", "cat.png", "--output", "rules.txt"], "rules.txt: a rule file is called .yaml, .yml or .json"),
        (["new", "cat.png", "--output", "there.yaml"], "there.yaml: File exists; a file that is there stays as it is"),
        (["new", "cat.png", "--output", "nowhere/rules.yaml"], "nowhere/rules.yaml: No such file or directory"),
        (["new", "cat.png", "--fixtures", "wrong"], "{here}/wrong/a.yaml:1: a rule needs a match"),
        (["check", "nowhere"], "nowhere: no such folder of fixtures"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing printed, and nothing overwritten."""
    Path("there.yaml").write_text("[]")
    Path("wrong").mkdir()
    Path("wrong/a.yaml").write_text("- {match: {}}\n")
    assert main(["fixtures", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("vision-emulator: " + reason.replace("{here}", str(Path.cwd())))
    assert printed.err.count("\n") == 1
    assert Path("there.yaml").read_text() == "[]"


def test_check_says_every_file_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """A line with file, line and reason for each, and exit code 1; 0 when all are right."""
    Path("rules").mkdir()
    Path("rules/a.yaml").write_text("- match: {uri: x}\n  response: {labelAnotations: []}\n")
    Path("rules/b.json").write_text('[{"match": {"uri": "x"}, "response": {"labelAnnotations": []}}]')
    Path("rules/c.json").write_text("{")
    assert main(["fixtures", "check", "rules"]) == 1
    wrong_key, broken, total = capsys.readouterr().out.splitlines()
    assert wrong_key == 'rules/a.yaml:2: unknown key "labelAnotations", did you mean "labelAnnotations"?'
    assert broken.startswith("rules/c.json:1: broken JSON")
    assert total == "1 rules in 3 files, 2 of them wrong"
    assert main(["fixtures", "check", "rules/b.json"]) == 0


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """As it ships, for an editor to find beside one's rules; a folder of rules may hold it."""
    assert main(["fixtures", "schema"]) == 0
    text = capsys.readouterr().out
    assert text == schema.text()
    Path("rules").mkdir()
    Path("rules/fixture.schema.json").write_text(text)
    assert main(["fixtures", "check", "rules"]) == 0


def test_lossy_copies_keep_their_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule by the look of an image answers for a smaller, compressed copy of it."""
    assert main(["fixtures", "new", "cat.png", "--match", "looksLike", "--feature", "FACE_DETECTION"]) == 0
    Path("rules.yaml").write_text(capsys.readouterr().out)
    Image.open("cat.png").resize((120, 90)).save("copy.jpg", quality=40)
    assert answered(Picture(Path("copy.jpg").read_bytes()), Feature.FACE_DETECTION) == [True]
