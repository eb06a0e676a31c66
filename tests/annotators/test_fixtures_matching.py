"""What a rule can match besides a uri and a hash, which of many wins, and that the index finds what a plain loop would."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rule_folder import FACE, LABEL, Folder, answer, first_label, labels

from pictures import drawn
from vision_emulator.annotators import Inquiry, Picture, likeness
from vision_emulator.annotators.fixtures import Fixtures
from vision_emulator.annotators.fixtures.index import Index
from vision_emulator.annotators.fixtures.rule import NO_TRAITS, Answer, Glob, Match, Rule
from vision_emulator.contract.errors import VisionError

PNG = drawn(3, (160, 120), "PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def again(data: bytes, image_format: str, **options: Any) -> bytes:
    """The same picture written anew."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, image_format, **options)
    return buffer.getvalue()


async def matches(folder: Folder, match: dict[str, Any], data: bytes = PNG, uri: str = "", inquiry: Inquiry | None = None) -> bool:
    """Whether a rule with this match answers the picture."""
    fixtures = folder.fixtures({"match": match, "response": labels("found")})
    return bool((await answer(fixtures, Picture(data, uri, inquiry), LABEL)).label_annotations)


async def test_pixels_match_a_copy_in_another_format(folder: Folder) -> None:
    """The pixel hash is that of the decoded picture: lossless copies match whatever their bytes, another picture does not."""
    match = {"pixels": likeness.pixel_hash(Picture(PNG))}
    for image_format in ("PNG", "BMP", "TIFF"):
        assert await matches(folder, match, again(PNG, image_format))
    assert not await matches(folder, match, drawn(4, (160, 120), "PNG"))
    assert not await matches(folder, match, b"no picture"), "what cannot be decoded has no pixels, and is no failure of the rule"
    assert not await matches(folder, match, b"", "gs://b/x"), "nor has what has no bytes"


@pytest.mark.parametrize("spelling", ["looksLike", "looks_like"])
async def test_a_look_matches_within_its_distance(folder: Folder, spelling: str) -> None:
    """A picture that was resized and compressed still looks alike; the allowed distance decides, and is 8 when nobody says."""
    look = likeness.perceptual_hash(Picture(PNG))
    worse = again(PNG, "JPEG", quality=20)
    assert await matches(folder, {spelling: f"{look:016x}"}, worse)
    assert not await matches(folder, {spelling: f"{look:016x}"}, drawn(200, (90, 200)))
    for distance, expected in ((2, True), (3, True), (1, False)):
        assert await matches(folder, {spelling: {"hash": f"{look ^ 0b11:016x}", "distance": distance}}) is expected


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ({"width": 160}, True),
        ({"width": 161}, False),
        ({"width": 160, "height": 120}, True),
        ({"width": 160, "height": 121}, False),
        ({"width": {"min": 100}}, True),
        ({"width": {"min": 160, "max": 160}}, True),
        ({"width": {"max": 159}}, False),
        ({"height": {"min": 121}}, False),
    ],
)
async def test_size(folder: Folder, size: dict[str, Any], fits: bool) -> None:
    """Width and height are exact, or a range whose ends belong to it; what is no picture has no size."""
    assert await matches(folder, {"size": size}) is fits
    assert not await matches(folder, {"size": size}, b"no picture")


@pytest.mark.parametrize(
    ("image_format", "mime_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("ICO", "image/x-icon"),
        ("PDF", "application/pdf"),
    ],
)
async def test_mime_type(folder: Folder, image_format: str, mime_type: str) -> None:
    """The format is read from the bytes, not from a name; asterisks work."""
    data = again(drawn(1), image_format)
    assert await matches(folder, {"mimeType": mime_type}, data)
    assert await matches(folder, {"mime_type": "*/" + mime_type.partition("/")[2]}, data, "gs://b/name.txt")
    assert not await matches(folder, {"mimeType": "image/heic"}, data)


async def test_what_the_call_says(folder: Folder) -> None:
    """Headers by lower-case name, language hints without case, the project: each exact or with asterisks, and all of them must fit."""
    asked = Inquiry({"x-test": "cats-1", "user-agent": "x"}, "p1", ["ja-JP", "en"])
    for match, fits in (
        ({"header": {"X-Test": "cats-1"}}, True),
        ({"header": {"x-test": "cats-*"}}, True),
        ({"header": {"x-test": "dogs"}}, False),
        ({"header": {"x-test": "*", "x-other": "*"}}, False),
        ({"languageHint": "ja*"}, True),
        ({"language_hint": "EN"}, True),
        ({"languageHint": "ja"}, False),
        ({"project": "p1"}, True),
        ({"project": "p2"}, False),
        ({"project": "p*", "languageHint": "en", "header": {"x-test": "cats-1"}, "uri": "*", "mimeType": "image/*"}, True),
    ):
        assert await matches(folder, match, inquiry=asked) is fits, match
    assert not await matches(folder, {"languageHint": "*"}), "a call without hints fits none"
    assert not await matches(folder, {"project": "p*"})


async def test_a_feature_in_the_match_narrows_the_answer(folder: Folder) -> None:
    """A rule for one feature leaves the others to the next rule, an error too."""
    fixtures = folder.fixtures(
        {"match": {"uri": "gs://b/x", "feature": "FACE_DETECTION"}, "error": {"code": 3, "message": "no faces"}},
        {"match": {"uri": "gs://b/*", "feature": ["LABEL_DETECTION"]}, "response": {**labels("a"), "faceAnnotations": []}},
    )
    assert await first_label(fixtures, "gs://b/x") == "a"
    assert not fixtures.claims(Picture(b"", "gs://b/y"), FACE)
    with pytest.raises(VisionError, match="no faces"):
        await answer(fixtures, Picture(b"", "gs://b/x"), LABEL, FACE)


async def test_a_page_matches_by_its_number(folder: Folder) -> None:
    """A rule for a page answers that page alone; the document's uri is not known by it, since an image of that name is something else."""
    fixtures = folder.fixtures({"match": {"uri": "gs://b/a.pdf", "page": 2}, "response": labels("two")})
    for number, expected in ((0, ""), (1, ""), (2, "two")):
        page = Picture(b"%PDF", "gs://b/a.pdf")
        page.number = number
        found = (await answer(fixtures, page, LABEL)).label_annotations
        assert (found[0].description if found else "") == expected
    assert not fixtures.knows("gs://b/a.pdf")


async def test_the_documented_order(folder: Folder) -> None:
    """One picture before alike before pattern; smaller distance, longer pattern, more conditions first; then the earlier."""
    look = f"{likeness.perceptual_hash(Picture(PNG)):016x}"
    weakest_first: list[dict[str, Any]] = [
        {"uri": "*"},
        {"mimeType": "image/png"},
        {"mimeType": "image/png", "size": {"width": 160}},
        {"uri": "gs://*"},
        {"uri": "gs://b/*"},
        {"uri": "gs://b/*", "mimeType": "image/*"},
        {"looksLike": {"hash": look, "distance": 10}},
        {"looksLike": {"hash": look, "distance": 4}},
        {"uri": "gs://b/x.png"},
        {"uri": "gs://b/x.png", "header": {"x": "1"}},
        {"sha256": hashlib.sha256(PNG).hexdigest(), "size": {"width": 160, "height": 120}},
    ]
    for count in range(1, len(weakest_first) + 1):
        rules = [{"match": match, "response": labels(str(match))} for match in weakest_first[:count]]
        fixtures = folder.fixtures(*rules)
        found = await answer(fixtures, Picture(PNG, "gs://b/x.png", Inquiry({"x": "1"})), LABEL)
        assert found.label_annotations[0].description == str(weakest_first[count - 1])


async def test_of_pictures_that_look_alike_the_nearest_answers(folder: Folder) -> None:
    """However far each rule lets a picture be from its own, and wherever it stands; at one distance the stricter rule.
    Where a rule names the picture, too, distances count for nothing."""
    look = likeness.perceptual_hash(Picture(PNG))
    near = {"hash": f"{look ^ 0b1:016x}", "distance": 20}
    strict = {"hash": f"{look ^ 0b110:016x}", "distance": 2}
    loose = {"hash": f"{look ^ 0b11000:016x}", "distance": 3}
    weakest_first = [loose, strict, near]
    for count in range(1, len(weakest_first) + 1):
        rules = [{"match": {"looksLike": alike}, "response": labels(alike["hash"])} for alike in weakest_first[:count]]
        found = await answer(folder.fixtures(*rules), Picture(PNG), LABEL)
        assert found.label_annotations[0].description == weakest_first[count - 1]["hash"]
    plain = {"match": {"uri": "gs://b/x.png"}, "response": labels("plain")}
    named = {"match": {"uri": "gs://b/x.png", "looksLike": loose}, "response": labels("named")}
    found = await answer(folder.fixtures(*rules, plain, named), Picture(PNG, "gs://b/x.png"), LABEL)
    assert found.label_annotations[0].description == "named"


def test_nothing_is_decoded_unless_a_rule_asks(folder: Folder) -> None:
    """By uri, hash and format a picture is looked up at once, on the spot; only pixels, looks and sizes are work to wait for."""
    for match in ({"uri": "gs://b/*"}, {"sha256": "0" * 64}, {"mimeType": "image/png"}):
        assert folder.fixtures({"match": match, "response": labels("a")}).prepare(Picture(PNG)) is None
    for match in ({"pixels": "0" * 64}, {"looksLike": "0" * 16}, {"size": {"width": 1}}):
        fixtures = folder.fixtures({"match": match, "response": labels("a")})
        assert fixtures.prepare(Picture(b"", "gs://b/x")) is None
        work = fixtures.prepare(Picture(PNG))
        assert work is not None
        work.close()  # type: ignore[attr-defined]


def test_a_large_picture_is_hashed_off_the_loop(folder: Folder) -> None:
    """The hash of many bytes takes milliseconds, so it is work to wait for, too."""
    work = folder.fixtures({"match": {"sha256": "0" * 64}, "response": labels("a")}).prepare(Picture(b"x" * 300_000))
    assert work is not None
    work.close()  # type: ignore[attr-defined]


# ---- the index ----

PIECES = st.text("ab/", max_size=4)
URIS = st.text("ab/", max_size=9)
PATTERNS = st.lists(PIECES, min_size=1, max_size=4).map("*".join)


def plain_rule(uri: str) -> Rule:
    return Rule(Match(uri, Glob(uri) if "*" in uri else None), (Answer(),))


@settings(max_examples=500)
@given(st.lists(PATTERNS.filter(bool), max_size=12), URIS)
def test_the_index_finds_what_a_loop_finds(patterns: list[str], uri: str) -> None:
    """Whatever the patterns, the index answers as if each had been tried, best first."""
    rules = [plain_rule(pattern) for pattern in patterns]
    expected = [rule for rule in rules if fits_by_loop(rule.uri, uri)]
    found = Index(rules).matching(Picture(b"", uri), NO_TRAITS)
    assert found == sorted(expected, key=lambda rule: rule.match.specificity)


def fits_by_loop(pattern: str, uri: str) -> bool:
    """Globbing by trying every place, in the slowest way there is."""
    if not pattern or not uri:
        return not pattern.strip("*") and not uri
    if pattern[0] == "*":
        return fits_by_loop(pattern[1:], uri) or fits_by_loop(pattern, uri[1:])
    return pattern[0] == uri[0] and fits_by_loop(pattern[1:], uri[1:])


@pytest.mark.parametrize("shape", ["gs://b/{}-*", "*-{}.jpg", "gs://b/*/{}/*.jpg", "*{}*"])
def test_patterns_are_found_without_trying_all(shape: str) -> None:
    """Of two thousand patterns of one shape only a handful is tried for a picture, wherever they differ."""
    index = Index(plain_rule(shape.format(f"{number:05}")) for number in range(2000))
    uri = shape.format("01234").replace("*", "x")
    assert len(index._patterns.candidates(uri)) < 20
    assert [rule.uri for rule in index.matching(Picture(b"", uri), NO_TRAITS)] == [shape.format("01234")]


async def test_rules_that_match_one_picture_in_many_ways_come_once(folder: Folder) -> None:
    """A rule with several keys is found by one of them and checked by the others."""
    everything = {
        "uri": "gs://b/*.png",
        "sha256": hashlib.sha256(PNG).hexdigest(),
        "pixels": likeness.pixel_hash(Picture(PNG)),
        "looksLike": f"{likeness.perceptual_hash(Picture(PNG)):016x}",
        "size": {"width": 160, "height": {"min": 1}},
        "mimeType": "image/png",
    }
    assert await matches(folder, everything, PNG, "gs://b/x.png")
    beyond = {"hash": f"{likeness.perceptual_hash(Picture(PNG)) ^ 0b11:016x}", "distance": 1}
    assert not await matches(folder, everything | {"looksLike": beyond}, PNG, "gs://b/x.png"), "a bit more than it may differ"
    for key, other in (
        ("uri", "gs://c/*"),
        ("pixels", "0" * 64),
        ("looksLike", "0" * 16),
        ("mimeType", "image/gif"),
        ("size", {"width": 1}),
    ):
        assert not await matches(folder, everything | {key: other}, PNG, "gs://b/x.png"), key


def test_a_match_reads_back_as_it_was_written(folder: Folder) -> None:
    """What is listed is what could be written again."""
    match = {
        "uri": "gs://b/*",
        "sha256": "0" * 64,
        "pixels": "1" * 64,
        "looksLike": {"hash": "0123456789abcdef", "distance": 3},
        "size": {"width": 5, "height": {"min": 1, "max": 9}},
        "mimeType": "image/*",
        "page": 2,
        "languageHint": "ja",
        "header": {"x-test": "a*"},
        "project": "p",
        "feature": ["FACE_DETECTION", "LABEL_DETECTION"],
    }
    given_rule = {"match": match, "response": labels("a"), "features": ["FACE_DETECTION", "LABEL_DETECTION"]}
    fixtures = folder.fixtures(given_rule)
    assert fixtures.rules[0].as_json() == given_rule
    assert Fixtures([folder.path], shipped=False).rules[0].match.as_json() == match
