"""Output files checked and made: the emulator's own are clean, each kind of damage is found, and awkward sets are what they say."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.cloud import vision
from hypothesis import given, settings
from hypothesis import strategies as st

from documents import text_pdf
from pictures import drawn
from plain import PLAIN
from vision_emulator import VisionEmulator
from vision_emulator.cli import main
from vision_emulator.contract import codec
from vision_emulator.core.outputs import OCTETS, Expected, Finding, NoOutput, Outputs
from vision_emulator.output_kit import AWKWARD, Made, Plan, make, make_awkward

SECONDS_MAX = 60


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.chdir(tmp_path)


def call(url: str, body: Any = None, data: bytes | None = None) -> Any:
    sent = data if data is not None else json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, sent), timeout=SECONDS_MAX) as answer:  # noqa: S310 - the server of the test
        return json.load(answer)


def found(made: Made, expected: Expected = Expected()) -> list[Finding]:  # noqa: B008 - immutable
    """What a look at a set finds."""
    outputs = Outputs(expected)
    for name in outputs.names([*("set/" for _ in made.empty), *sorted(made.files)]):
        outputs.look(name, made.files[name], made.content_type)
    return outputs.findings()


def kinds(findings: list[Finding], level: str = "wrong") -> set[str]:
    return {finding.kind for finding in findings if finding.level == level}


# ---- clean ----


def test_the_emulators_own_sets_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Batches of images and of files, with errors in them, as a client has them written: nothing wrong, whichever way they are reached."""
    features = [{"type": name} for name in ("LABEL_DETECTION", "TEXT_DETECTION", "FACE_DETECTION", "CROP_HINTS", "IMAGE_PROPERTIES")]
    features += [{"type": name} for name in ("WEB_DETECTION", "OBJECT_LOCALIZATION", "LANDMARK_DETECTION", "SAFE_SEARCH_DETECTION")]
    with VisionEmulator(buckets="tree", bucket=["photos", "results"], settings=PLAIN, pace="instant") as emulator:
        for number in range(6):
            call(f"{emulator.url}/upload/storage/v1/b/photos/o?uploadType=media&name={number}.jpg", data=drawn(number))
        call(f"{emulator.url}/upload/storage/v1/b/photos/o?uploadType=media&name=a.pdf", data=text_pdf(7))
        elements = [{"image": {"source": {"imageUri": f"gs://photos/{number}.jpg"}}, "features": features} for number in range(7)]
        output = {"gcsDestination": {"uri": "gs://results/images/"}, "batchSize": 3}
        assert call(f"{emulator.url}/v1/images:asyncBatchAnnotate", {"requests": elements, "outputConfig": output})["done"]
        source = {"gcsSource": {"uri": "gs://photos/a.pdf"}, "mimeType": "application/pdf"}
        output = {"gcsDestination": {"uri": "gs://results/pages-"}, "batchSize": 3}
        element = {"inputConfig": source, "features": features, "outputConfig": output}
        assert call(f"{emulator.url}/v1/files:asyncBatchAnnotate", {"requests": [element]})["done"]
        for prefix in ("images/", "pages-"):
            assert main(["lint-output", f"gs://results/{prefix}", "--storage", emulator.url, "--batch-size", "3", "--count", "7"]) == 0
    assert main(["lint-output", "gs://results/images/", "--buckets", "tree"]) == 0
    assert main(["lint-output", "tree/results"]) == 0
    printed = capsys.readouterr().out
    assert "wrong" not in printed
    assert "gs://photos/6.jpg" in printed  # the missing image, as an unusual slot


def test_real_guides_output_is_clean() -> None:
    """A file as the service itself documents it, an error among its slots, is no finding but the error."""
    text = (
        '{"responses":[{"labelAnnotations":[{"mid":"/m/07s6nbt","description":"Text","score":0.93413997,"topicality":0.93413997}],'
        '"context":{"uri":"gs://b/image1.png"}},{"error":{"code":7,"message":"Error opening file: gs://b/2.png."},"context":{"uri":"gs://b/2.png"}}]}'
    )
    assert [(finding.level, finding.kind) for finding in found(Made({"output-1-to-2.json": text.encode()}))] == [("unusual", "error-slot")]


@pytest.mark.parametrize("plan", [Plan(pages=23, batch_size=2, errors=(3, 7)), Plan(images=23, batch_size=2, errors=(3, 7))])
async def test_a_made_set_is_what_was_asked_for(plan: Plan) -> None:
    """As many slots as asked for in files of that size, errors where they were wanted, context everywhere; strict clients can read it,
    and the same seed gives the same bytes."""
    made = await make(plan)
    assert sorted(made.files, key=lambda name: int(name.split("-")[1])) == [
        *(f"output-{first}-to-{first + 1}.json" for first in range(1, 23, 2)),
        "output-23-to-23.json",
    ]
    slots = []
    for name in sorted(made.files, key=lambda name: int(name.split("-")[1])):
        kind = vision.AnnotateFileResponse if plan.pages else vision.BatchAnnotateImagesResponse
        kind.from_json(made.files[name].decode(), ignore_unknown_fields=False)
        slots += json.loads(made.files[name])["responses"]
    assert [number for number, slot in enumerate(slots, 1) if "error" in slot] == [3, 7]
    if plan.pages:
        assert [slot["context"] for slot in slots] == [{"uri": "gs://inputs/document.pdf", "pageNumber": number} for number in range(1, 24)]
    else:
        assert [slot["context"]["uri"] for slot in slots] == [f"gs://inputs/image-{number:04}.png" for number in range(1, 24)]
    findings = found(made, Expected(batch_size=2, count=23))
    assert not kinds(findings)
    assert kinds(findings, "unusual") >= {"listing-order", "error-slot"}
    assert (await make(plan)).files == made.files
    assert (await make(Plan(**{**{name: getattr(plan, name) for name in plan.__slots__}, "seed": 1}))).files != made.files


async def test_the_input_is_in_the_contexts() -> None:
    """--input names the document, or what the images' names begin with; the batch size defaults to the API's."""
    made = await make(Plan(pages=21, input="gs://in-box/scans/two.pdf"))
    assert list(made.files) == ["output-1-to-20.json", "output-21-to-21.json"]
    assert json.loads(made.files["output-21-to-21.json"])["inputConfig"]["gcsSource"]["uri"] == "gs://in-box/scans/two.pdf"
    made = await make(Plan(images=1, input="gs://in-box/a/b-"))
    assert json.loads(made.files["output-1-to-1.json"])["responses"][0]["context"] == {"uri": "gs://in-box/a/b-image-0001.png"}


# ---- awkward ----

FOUND: dict[str, tuple[str, set[str]]] = {
    "listing-order": ("unusual", {"listing-order"}),
    "zero-coordinates": ("unusual", {"zero-coordinates"}),
    "empty-responses": ("unusual", {"empty-response"}),
    "errors": ("unusual", {"error-slot"}),
    "unicode": ("unusual", {"beyond-bmp", "right-to-left", "combining"}),
    "huge": ("unusual", {"large-file"}),
    "folder-marker": ("unusual", {"stray-object"}),
    "leftovers": ("wrong", {"overlap", "batch-size"}),
    "missing-last": ("wrong", {"count"}),
    "gap": ("wrong", {"gap"}),
    "fewer-responses": ("wrong", {"count"}),
    "wrong-order": ("wrong", {"order"}),
    "mixed-forms": ("wrong", {"form"}),
    "no-context": ("wrong", {"context"}),
    "empty-errors": ("wrong", {"error"}),
    "unknown-key": ("wrong", {"unknown-key"}),
    "enum-numbers": ("wrong", {"enum"}),
    "zero-values": ("wrong", {"zero-value"}),
    "truncated": ("wrong", {"json"}),
    "byte-order-mark": ("wrong", {"byte-order-mark"}),
    "indented": ("unusual", {"not-one-line"}),
    "content-type": ("wrong", {"content-type"}),
}


@pytest.mark.parametrize("name", AWKWARD)
async def test_each_awkward_set_is_known_for_what_it_is(name: str) -> None:
    """The check says what is unusual or wrong with it, and nothing is wrong with those that a real service writes."""
    awkward = AWKWARD[name]
    findings = found(await make_awkward(awkward, Plan()), Expected(count=awkward.plan.count))
    level, expected = FOUND[name]
    assert kinds(findings, level) >= expected
    assert kinds(findings) == (expected if level == "wrong" else set())


async def test_awkward_sets_take_the_users_counts() -> None:
    """--pages and --errors hold for awkward sets, too."""
    made = await make_awkward(AWKWARD["gap"], Plan(pages=9, batch_size=3, errors=(1,)))
    assert list(made.files) == ["output-1-to-3.json", "output-7-to-9.json"]
    assert "error" in json.loads(made.files["output-1-to-3.json"])["responses"][0]


# ---- damage ----


def image_file() -> dict[str, Any]:
    """A set of one file: two images, one in error."""
    symbols = [{"text": "H"}, {"property": {"detectedBreak": {"type": "SPACE"}}, "text": "i"}, {"text": "!"}]
    page = {"width": 10, "height": 10, "blocks": [{"paragraphs": [{"words": [{"symbols": symbols}]}], "blockType": "TEXT"}]}
    corners = [{}, {"x": 9}, {"x": 9, "y": 9}, {"y": 9}]
    first = {
        "labelAnnotations": [{"mid": "/m/01yrx", "description": "Cat", "score": 0.9}],
        "textAnnotations": [{"locale": "en", "description": "Hi !", "boundingPoly": {"vertices": corners}}],
        "safeSearchAnnotation": {"adult": "VERY_UNLIKELY"},
        "fullTextAnnotation": {"pages": [page], "text": "Hi !"},
        "context": {"uri": "gs://photos/a.jpg"},
    }
    failed = {"error": {"code": 3, "message": "Bad image data."}, "context": {"uri": "gs://photos/b.jpg"}}
    return {"responses": [first, failed]}


def page_file() -> dict[str, Any]:
    """A set of one file: two empty pages of a document."""
    uri = "gs://photos/a.pdf"
    pages = [{"context": {"uri": uri, "pageNumber": number}} for number in (1, 2)]
    return {"inputConfig": {"gcsSource": {"uri": uri}, "mimeType": "application/pdf"}, "responses": pages}


def put(*path: Any) -> Callable[[Any], None]:
    """Puts the last of the path where the others lead."""

    def change(value: Any) -> None:
        *steps, last, new = path
        for step in steps:
            value = value[step]
        if new is ...:
            del value[last]
        else:
            value[last] = new

    return change


FIRST = ("responses", 0)
LABEL = (*FIRST, "labelAnnotations", 0)
DAMAGE: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Any], None], str]] = {
    "unknown key": (image_file, put(*LABEL, "colour", 1), "responses[0].labelAnnotations[0].colour: is unknown [unknown-key]"),
    "nearly a key": (
        image_file,
        put(*LABEL, "scor", 1),
        "responses[0].labelAnnotations[0].scor: is unknown; did you mean score? [unknown-key]",
    ),
    "snake case": (
        image_file,
        put(*FIRST, "label_annotations", []),
        "responses[0].label_annotations: is unknown; did you mean labelAnnotations? [unknown-key]",
    ),
    "unknown at the top": (image_file, put("kind", "x"), "kind: is unknown [unknown-key]"),
    "text for a number": (
        image_file,
        put(*LABEL, "score", "0.9"),
        'responses[0].labelAnnotations[0].score: is a text ("0.9"), not a number [schema]',
    ),
    "number for a text": (
        image_file,
        put(*LABEL, "mid", 7),
        "responses[0].labelAnnotations[0].mid: is a number (7), not a text [schema]",
    ),
    "truth for a number": (
        image_file,
        put(*LABEL, "score", True),
        "responses[0].labelAnnotations[0].score: is true or false (true), not a number [schema]",
    ),
    "fraction for a whole": (
        image_file,
        put(*FIRST, "textAnnotations", 0, "boundingPoly", "vertices", 2, "x", 1.5),
        "responses[0].textAnnotations[0].boundingPoly.vertices[2].x: is a number (1.5), not a whole number [schema]",
    ),
    "object for a list": (
        image_file,
        put(*FIRST, "labelAnnotations", {}),
        "responses[0].labelAnnotations: is an object, not a list [schema]",
    ),
    "list for an object": (image_file, put(*FIRST, []), "responses[0]: is a list, not an object [schema]"),
    "null": (image_file, put(*FIRST, "error", None), "responses[0].error: is null; what is not set is left out [schema]"),
    "too large for a float": (image_file, put(*LABEL, "score", 1e300), "score"),
    "an enum's number": (
        image_file,
        put(*FIRST, "safeSearchAnnotation", "adult", 1),
        "responses[0].safeSearchAnnotation.adult: is the number 1; output files have names, here VERY_UNLIKELY [enum]",
    ),
    "an enum's misspelt name": (
        image_file,
        put(*FIRST, "safeSearchAnnotation", "adult", "VERY_UNLIKLY"),
        'responses[0].safeSearchAnnotation.adult: is "VERY_UNLIKLY", no Likelihood; did you mean VERY_UNLIKELY? [enum]',
    ),
    "a zero enum": (
        image_file,
        put(*FIRST, "safeSearchAnnotation", "adult", "UNKNOWN"),
        'responses[0].safeSearchAnnotation.adult: is "UNKNOWN"; zero values are left out [zero-value]',
    ),
    "a zero number": (
        image_file,
        put(*LABEL, "topicality", 0),
        "responses[0].labelAnnotations[0].topicality: is 0; zero values are left out [zero-value]",
    ),
    "an empty text": (
        image_file,
        put(*LABEL, "locale", ""),
        'responses[0].labelAnnotations[0].locale: is ""; zero values are left out [zero-value]',
    ),
    "an empty list": (
        image_file,
        put(*FIRST, "faceAnnotations", []),
        "responses[0].faceAnnotations: is an empty list; such are left out [zero-value]",
    ),
    "half a surrogate pair": (
        image_file,
        put(*LABEL, "description", "\ud83d"),
        "responses[0].labelAnnotations[0].description: has half of a surrogate pair [schema]",
    ),
    "an empty error": (
        image_file,
        put(*FIRST, "error", {}),
        "responses[0].error: is empty; a response without failure has no error at all [error]",
    ),
    "an error's code": (
        image_file,
        put("responses", 1, "error", "code", 404),
        "responses[1].error.code: is 404; it is one of 1 to 16 [error]",
    ),
    "an error's message": (image_file, put("responses", 1, "error", "message", ...), "responses[1].error.message: is missing [error]"),
    "no context": (
        image_file,
        put("responses", 1, "context", ...),
        "responses[1].context.uri: is missing; every slot says whose it is, also one with an error [context]",
    ),
    "a page of an image": (
        image_file,
        put(*FIRST, "context", "pageNumber", 1),
        "inputConfig: is missing; a file of pages says what its input was [context]",
    ),
    "one response too many": (
        image_file,
        lambda value: value["responses"].append(value["responses"][0]),
        "responses: has 3 responses, and the name promises 2 [count]",
    ),
    "no responses": (image_file, put("responses", ...), "responses: has 0 responses, and the name promises 2 [count]"),
    "another text than the symbols'": (
        image_file,
        put(*FIRST, "fullTextAnnotation", "text", "Hi!"),
        "responses[0].fullTextAnnotation.text: is not what the symbols and breaks of its pages spell [text]",
    ),
    "two texts": (
        image_file,
        put(*FIRST, "textAnnotations", 0, "description", "Ho"),
        "responses[0].textAnnotations[0].description: is not fullTextAnnotation.text [text]",
    ),
    "no page number": (
        page_file,
        put("responses", 1, "context", "pageNumber", ...),
        "responses[1].context.pageNumber: is missing; here it must be 2 [order]",
    ),
    "another page number": (
        page_file,
        put("responses", 1, "context", "pageNumber", 3),
        "responses[1].context.pageNumber: is 3; here it must be 2 [order]",
    ),
    "another document": (
        page_file,
        put("responses", 1, "context", "uri", "gs://photos/b.pdf"),
        'responses[1].context.uri: is "gs://photos/b.pdf", and inputConfig says "gs://photos/a.pdf" [context]',
    ),
    "no source": (page_file, put("inputConfig", "gcsSource", ...), "inputConfig.gcsSource.uri: is missing [context]"),
    "no mime type": (page_file, put("inputConfig", "mimeType", ...), "inputConfig.mimeType: is missing [context]"),
    "inline bytes": (page_file, put("inputConfig", "content", "AAAA"), "inputConfig.content: has no place in an answer [context]"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_inside_a_file_is_found(case: str) -> None:
    """Each kind is named with the file and the place in its JSON; the same file undamaged has nothing wrong."""
    good, change, line = DAMAGE[case]
    assert not kinds(found(Made({"output-1-to-2.json": json.dumps(good()).encode()})))
    damaged = good()
    change(damaged)
    lines = [str(finding) for finding in found(Made({"output-1-to-2.json": json.dumps(damaged).encode()}))]
    assert any(said.startswith("wrong: output-1-to-2.json: ") and line in said for said in lines), lines


RAW: dict[str, tuple[bytes, str]] = {
    "a key twice": (b'{"responses":[{"context":{"uri":"gs://b/a","uri":"gs://b/a"}}]}', "uri: stands twice in one object [duplicate-key]"),
    "no UTF-8": (b'{"responses":[{"context":{"uri":"gs://b/\xff"}}]}', "is no UTF-8: byte 40 of 46 [json]"),
    "NaN": (b'{"responses":[{"context":{"uri":"gs://b/a"},"labelAnnotations":[{"score":NaN}]}]}', "NaN is no number of JSON [json]"),
    "cut off": (b'{"responses":[{"context":', "is no JSON at character 25 of 25: Expecting value; it looks cut off [json]"),
    "two values": (b'{"responses":[{"context":{"uri":"gs://b/a"}}]} {}', "is no JSON at character 47 of 49: Extra data [json]"),
    "empty": (b"", "is no JSON at character 0 of 0: Expecting value; it looks cut off [json]"),
    "no object": (b"[]", "is a list, not an object [schema]"),
    "null": (b"null", "is null, not an object [schema]"),
    "deep": (b'{"responses":' * 100_000, "is no JSON"),
}


@pytest.mark.parametrize("case", RAW)
def test_what_is_no_json_is_found(case: str) -> None:
    """Broken text is one finding, with where it breaks."""
    data, line = RAW[case]
    (finding,) = [finding for finding in found(Made({"output-1-to-1.json": data})) if finding.level == "wrong"]
    assert line in str(finding)


NAMES: dict[str, tuple[list[str], Expected, list[str]]] = {
    "whole": (["1-to-2", "3-to-4", "5-to-5"], Expected(batch_size=2, count=5), []),
    "one": (["1-to-1"], Expected(batch_size=20), []),
    "a late start": (["3-to-4"], Expected(), ["gap"]),
    "a gap": (["1-to-2", "4-to-5"], Expected(), ["gap"]),
    "an overlap": (["1-to-3", "3-to-5"], Expected(), ["overlap"]),
    "one inside another": (["1-to-4", "2-to-3", "5-to-8"], Expected(), ["batch-size", "overlap"]),
    "a short one amid": (["1-to-3", "4-to-5", "6-to-8"], Expected(), ["batch-size"]),
    "a long last": (["1-to-2", "3-to-5"], Expected(), ["batch-size"]),
    "another size": (["1-to-2", "3-to-4"], Expected(batch_size=3), ["batch-size"]),
    "too large": (["1-to-101"], Expected(), ["batch-size"]),
    "the end missing": (["1-to-2", "3-to-4"], Expected(count=5), ["count"]),
    "too many": (["1-to-2", "3-to-4"], Expected(count=3), ["count"]),
    "zeros in front": (["01-to-02"], Expected(), ["name"]),
    "backwards": (["1-to-2", "4-to-3"], Expected(), ["name"]),
    "from zero": (["0-to-1", "1-to-2"], Expected(), ["name"]),
    "two sets": (["1-to-2", "../b/output-1-to-9"], Expected(), []),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_make_a_set(case: str) -> None:
    """Ranges that touch, start at 1 and are of one size but the last; sets with another prefix are others."""
    spans, expected, wanted = NAMES[case]
    outputs = Outputs(expected)
    outputs.names([f"a/output-{span}.json" if "output" not in span else f"{span}.json" for span in spans])
    assert sorted(kinds(outputs.findings())) == wanted


def test_names_that_are_none() -> None:
    """Other objects are unusual; nothing but such is no set."""
    outputs = Outputs()
    assert outputs.names(["x/", "x/notes.txt", "x/output-1-to-1.json"]) == ["x/output-1-to-1.json"]
    assert kinds(outputs.findings(), "unusual") == {"stray-object"}
    with pytest.raises(NoOutput, match=r"there is a\.txt"):
        Outputs().names(["a.txt"])


def test_a_file_of_another_document_is_no_part_of_the_set() -> None:
    """All files of a set say the same of their input."""
    one, two = page_file(), page_file()
    two["inputConfig"]["mimeType"] = "image/tiff"
    for number, response in enumerate(two["responses"], 3):
        response["context"]["pageNumber"] = number
    findings = found(Made({"output-1-to-2.json": json.dumps(one).encode(), "output-3-to-4.json": json.dumps(two).encode()}))
    assert [str(finding) for finding in findings if finding.level == "wrong"] == [
        "wrong: output-3-to-4.json: inputConfig: is another one than in the first file of the set [context]"
    ]


def test_many_of_one_kind_are_cut() -> None:
    """What is wrong everywhere in a file is said a bounded number of times."""
    value = {"responses": [{"context": {"uri": "gs://b/a"}, "x": 1} for _ in range(100)]}
    lines = [str(finding) for finding in found(Made({"output-1-to-100.json": json.dumps(value).encode()}))]
    assert len([line for line in lines if "unknown-key" in line]) == 21
    assert "wrong: output-1-to-100.json: and more of this kind [unknown-key]" in lines


KEYS = ["x", "uri", "error", "context", "pages", "text"]
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(["TEXT", "gs://b/a", "AAAA"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, member in members for place in ((*path, key), *places(member, (*path, key)))]


@settings(deadline=None, max_examples=300)
@given(data=st.data(), of_pages=st.booleans(), new=anything)
def test_whatever_stands_in_a_file_is_a_finding_and_no_crash(data: st.DataObject, of_pages: bool, new: Any) -> None:
    """Any value in any place: the check ends, and what it calls right the strict reader of the wire takes."""
    value = page_file() if of_pages else image_file()
    put(*data.draw(st.sampled_from(places(value))), new)(value)
    findings = found(Made({"output-1-to-2.json": json.dumps(value).encode()}))
    assert all(str(finding).isprintable() for finding in findings)
    if not kinds(findings):
        kind = vision.AnnotateFileResponse if "inputConfig" in value else vision.BatchAnnotateImagesResponse
        kind.from_json(json.dumps(value), ignore_unknown_fields=False)


@given(data=st.binary(max_size=60))
def test_any_bytes_are_no_crash(data: bytes) -> None:
    """What is no JSON at all is a finding."""
    assert kinds(found(Made({"output-1-to-1.json": data})))


# ---- the commands ----


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that cannot start says: exit code 2, nothing printed, one line on standard error."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    return printed.err.removeprefix("vision-emulator: ").rstrip("\n")


def test_make_and_lint_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: a good set exits 0, a damaged one 1 with a line for what is wrong, or all as one JSON."""
    assert main(["make-output", "--pages", "5", "--batch-size", "2", "--errors", "3", "--output", "good"]) == 0
    assert capsys.readouterr().out == "good: 3 files\n"
    assert main(["lint-output", "good", "--batch-size", "2", "--count", "5"]) == 0
    assert capsys.readouterr().out.startswith("unusual: output-3-to-4.json: responses[0].error: is 4 ")
    Path("good/output-3-to-4.json").unlink()
    assert main(["lint-output", "good"]) == 1
    assert "wrong: output-5-to-5.json: nothing holds 3 to 4 [gap]\n" in capsys.readouterr().out
    assert main(["lint-output", "good", "--format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["files"], said["responses"]) == (2, 3)
    assert said["findings"][0] == {
        "file": "output-5-to-5.json",
        "path": "",
        "level": "wrong",
        "kind": "gap",
        "message": "nothing holds 3 to 4",
    }


def test_awkward_sets_are_listed_and_made(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a name and a description, and goes into a folder of its own."""
    assert main(["make-output", "--list-awkward"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(AWKWARD) == list(FOUND)
    assert all(len(line.split(maxsplit=1)[1]) > 10 for line in lines)
    assert main(["make-output", "--awkward", "gap,folder-marker", "--output", "sets"]) == 0
    assert {path.name for path in Path("sets").iterdir()} == {"gap", "folder-marker"}
    assert len(list(Path("sets/gap").iterdir())) == 11
    assert main(["lint-output", "sets/folder-marker"]) == 0
    assert "_$folder$: is the marker of a folder" in capsys.readouterr().out


def test_sets_are_written_to_a_running_storage(capsys: pytest.CaptureFixture[str]) -> None:
    """gs:// with --storage is any Cloud Storage; content types and folder markers are there as in the real one."""
    with VisionEmulator(bucket=["results"]) as emulator:
        for name in ("folder-marker", "content-type"):
            assert main(["make-output", "--awkward", name, "--output", "gs://results/sets", "--storage", emulator.url]) == 0
        listed = call(f"{emulator.url}/storage/v1/b/results/o")["items"]
        types = {item["name"]: item["contentType"] for item in listed}
        assert types["sets/folder-marker/output-1-to-2.json"] == OCTETS
        assert types["sets/content-type/output-1-to-2.json"] == "application/json"
        assert "sets/folder-marker/" in types
        capsys.readouterr()
        assert main(["lint-output", "gs://results/sets/folder-marker/", "--storage", emulator.url]) == 0
        assert "unusual: sets/folder-marker/: is the marker of a folder" in capsys.readouterr().out
        assert main(["lint-output", "gs://results/sets/content-type/", "--storage", emulator.url]) == 1
        chosen = ("--storage", emulator.url, "--output-content-type", "application/json")
        assert main(["lint-output", "gs://results/sets/content-type/", *chosen]) == 0
        capsys.readouterr()
        message = refused(capsys, "make-output", "--awkward", "content-type", "--output", "gs://results/sets", *chosen)
        assert message == (
            "gs://results/sets/content-type/: sets/content-type/output-1-to-2.json is there already; a set mixed with another is no set"
        )


def test_what_may_not_be_read_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A storage that refuses, a bucket that is not there, and nobody listening: exit code 2 and the reason."""
    with VisionEmulator(bucket=["results"]) as emulator:
        emulator.faults.add(script=[{"fault": "reject", "code": "PERMISSION_DENIED"}], method="storage.objects.list", times=None)
        message = refused(capsys, "lint-output", "gs://results/x", "--storage", emulator.url, "--log-level", "error")
        assert message.startswith("gs://results/x: gs://results")
        message = refused(capsys, "lint-output", "gs://nowhere/x", "--storage", emulator.url, "--log-level", "error")
        assert message.startswith("gs://nowhere/x: there is no bucket")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lint-output", "missing"), "missing: No such file or directory"),
        (("lint-output", "file.txt"), "file.txt: Not a directory"),
        (("lint-output", "empty"), "empty: no file called output-A-to-B.json; there is nothing at all"),
        (("lint-output", "other"), "other: no file called output-A-to-B.json; there is a.txt"),
        (("lint-output", "gs://b/x"), "gs://b/x: where is this bucket? Name --storage URL"),
        (("lint-output", "gs://", "--buckets", "other"), "not a gs:// URI: 'gs://'"),
        (("lint-output", "empty", "--count", "0"), "--count 0 is none; use 1 or more"),
        (("make-output", "--pages", "3"), "--output says where to"),
        (("make-output", "--output", "new"), "what is to be made? --pages N, --images N, or --awkward NAME"),
        (("make-output", "--pages", "0", "--output", "new"), "0 is out of range; an offline batch has 1 to 2000"),
        (("make-output", "--images", "2001", "--output", "new"), "2001 is out of range; an offline batch has 1 to 2000"),
        (("make-output", "--pages", "3", "--batch-size", "101", "--output", "new"), "--batch-size 101 is out of range; use 1 to 100"),
        (("make-output", "--pages", "3", "--errors", "4", "--output", "new"), "--errors 4 is none of them; use 1 to 3"),
        (("make-output", "--pages", "3", "--errors", "x", "--output", "new"), "--errors x: write numbers with commas between, as 3,7"),
        (("make-output", "--pages", "3", "--input", "a.pdf", "--output", "new"), "--input a.pdf: not a gs:// URI: 'a.pdf'"),
        (("make-output", "--awkward", "gaps", "--output", "new"), "--awkward gaps is none; did you mean gap?"),
        (("make-output", "--awkward", "content-type", "--output", "new"), "new/content-type: files in a folder have no content type"),
        (("make-output", "--pages", "1", "--output", "file.txt"), "file.txt: File exists"),
        (("make-output", "--pages", "1", "--output", "used"), "used/output-1-to-1.json is there already"),
        (("make-output", "--pages", "1", "--feature", "TEXT", "--output", "new"), "TEXT is no feature"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what was wrong, and what would do."""
    Path("empty").mkdir()
    Path("other").mkdir()
    Path("used").mkdir()
    Path("other/a.txt").touch()
    Path("used/output-1-to-1.json").touch()
    Path("file.txt").touch()
    assert said in refused(capsys, *arguments)
    assert not Path("new").exists() or not list(Path("new").iterdir())


def test_a_set_of_every_script_survives_the_disk() -> None:
    """What a folder holds is to the byte what the emulator writes."""
    assert main(["make-output", "--awkward", "unicode", "--output", "sets"]) == 0
    texts = [path.read_bytes() for path in sorted(Path("sets/unicode").iterdir())]
    assert len(texts) == 2
    assert all(codec.dump_json(json.loads(text)) == text and not text.isascii() for text in texts)
