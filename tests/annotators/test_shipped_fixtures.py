"""The answers that ship with the emulator: all load, keep the invariants, and reproduce the guide page's example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from vision_emulator.annotators import Picture
from vision_emulator.annotators.fixtures import Fixtures, Rule, read_rules, shipped_folder
from vision_emulator.annotators.fixtures.files import SCHEMA_NAME, rule_files
from vision_emulator.contract import codec
from vision_emulator.contract.json_reader import repeated_fields
from vision_emulator.contract.messages import AnnotateImageResponse, BatchAnnotateImagesResponse, Feature, ImageContext, TextAnnotation

FILES = rule_files(shipped_folder())
GUIDE_IMAGES = "gs://cloud-samples-data/vision/document_understanding/"


def whole(rule: Rule) -> AnnotateImageResponse:
    """Everything that a rule answers, in one response."""
    return AnnotateImageResponse.FromString(b"".join(rule.fields.values()))


RULES = [pytest.param(whole(rule), id=rule.uri.rpartition("/")[2]) for file in FILES for rule in read_rules(file)]


def test_every_shipped_file_is_json_and_says_its_source() -> None:
    """JSON, since YAML would cost start-up time; and each answer says where its values come from."""
    assert FILES
    assert sorted(path for path in shipped_folder().iterdir() if path.suffix != ".md" and path.name != SCHEMA_NAME) == FILES
    assert {file.suffix for file in FILES} == {".json"}
    for file in FILES:
        document = json.loads(file.read_text())
        for rule in document["rules"]:
            assert rule.get("source") or document.get("source"), file


def test_every_shipped_rule_names_one_picture() -> None:
    """The samples answer without their bytes, so each rule names exactly one uri, and no two the same."""
    fixtures = Fixtures()
    uris = [rule.uri for rule in fixtures.rules]
    assert len(set(uris)) == len(uris)
    assert all(fixtures.knows(uri) for uri in uris)


def test_they_come_after_the_users_own(tmp_path: Path) -> None:
    """A user's rule for a sample image wins over the shipped one, and the shipped ones can be left out."""
    uri = GUIDE_IMAGES + "image1.png"
    (tmp_path / "a.json").write_text(json.dumps([{"match": {"uri": uri}, "response": {"labelAnnotations": []}}]))
    assert Fixtures([tmp_path]).rules[0].fields["label_annotations"] == b""
    assert not Fixtures(shipped=False).knows(uri)


@pytest.mark.parametrize("response", RULES)
def test_scores_descend(response: AnnotateImageResponse) -> None:
    """Lists come best first, as the real service sorts them."""
    for scores in (
        [label.score for label in response.label_annotations],
        [place.score for place in response.landmark_annotations],
        [logo.score for logo in response.logo_annotations],
        [thing.score for thing in response.localized_object_annotations],
        [face.detection_confidence for face in response.face_annotations],
        [color.score for color in response.image_properties_annotation.dominant_colors.colors],
        [entity.score for entity in response.web_detection.web_entities],
    ):
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("response", RULES)
def test_boxes_have_four_corners_inside_the_picture(response: AnnotateImageResponse) -> None:
    """Four vertices each; normalized ones within 0..1, the others never negative, and on the page where there is one."""
    pages = response.full_text_annotation.pages
    width, height = (pages[0].width, pages[0].height) if pages else (10_000, 10_000)
    for name, polygon in polygons(response):
        assert len(polygon.vertices) + len(polygon.normalized_vertices) == 4, name
        assert all(0 <= vertex.x < width and 0 <= vertex.y < height for vertex in polygon.vertices), name
        assert all(0 <= vertex.x <= 1 and 0 <= vertex.y <= 1 for vertex in polygon.normalized_vertices), name


def polygons(message: object) -> Iterator[tuple[str, object]]:
    """Every BoundingPoly inside a message."""
    lists = repeated_fields(message.DESCRIPTOR)
    for field, value in message.ListFields():
        for inner in value if field.name in lists else [value]:
            if field.message_type is None:
                continue
            if field.message_type.name == "BoundingPoly":
                yield field.name, inner
            else:
                yield from polygons(inner)


@pytest.mark.parametrize("response", [case for case in RULES if case.values[0].HasField("full_text_annotation")])
def test_text_is_what_its_symbols_spell(response: AnnotateImageResponse) -> None:
    """The whole text, its first annotation, the words and the symbols with their breaks say the same."""
    text, *words = [annotation.description for annotation in response.text_annotations]
    assert response.full_text_annotation.text == text
    assert spelled(response.full_text_annotation) == text
    assert words == text.split()


def spelled(annotation: TextAnnotation) -> str:
    """The text that pages, blocks, paragraphs, words and symbols amount to."""
    breaks = TextAnnotation.DetectedBreak
    ends = {breaks.UNKNOWN: "", breaks.SPACE: " ", breaks.SURE_SPACE: " ", breaks.EOL_SURE_SPACE: "\n", breaks.LINE_BREAK: "\n"}
    return "".join(
        symbol.text + ends[symbol.property.detected_break.type]
        for page in annotation.pages
        for block in page.blocks
        for paragraph in block.paragraphs
        for word in paragraph.words
        for symbol in word.symbols
    )


@pytest.mark.parametrize("response", [case for case in RULES if case.values[0].face_annotations])
def test_faces_have_34_landmarks_in_order(response: AnnotateImageResponse) -> None:
    """As the real service: the enum's order without the pupils."""
    for face in response.face_annotations:
        types = [landmark.type for landmark in face.landmarks]
        assert types == [number for number in range(1, 37) if number not in (29, 30)]


# What the guide page "Batch image annotation offline" shows, lists cut to the entries it shows; the text's hierarchy filled in.
BOX = '{"vertices":[{"x":72,"y":40},{"x":613,"y":40},{"x":613,"y":233},{"x":72,"y":233}]}'
ENGLISH = '"property":{"detectedLanguages":[{"languageCode":"en"}]}'
LAST = '"property":{"detectedLanguages":[{"languageCode":"en"}],"detectedBreak":{"type":"LINE_BREAK"}}'


def symbol(text: str, left: int, top: int, right: int, bottom: int, properties: str = ENGLISH) -> str:
    """One letter of the logo."""
    corners = f'{{"x":{left},"y":{top}}},{{"x":{right},"y":{top}}},{{"x":{right},"y":{bottom}}},{{"x":{left},"y":{bottom}}}'
    return f'{{{properties},"boundingBox":{{"vertices":[{corners}]}},"text":"{text}"}}'


GOOGLE = ",".join(
    [
        symbol("G", 72, 40, 217, 193),
        symbol("o", 227, 89, 321, 193),
        symbol("o", 329, 89, 423, 193),
        symbol("g", 430, 89, 519, 233),
        symbol("l", 524, 46, 547, 190),
        symbol("e", 554, 89, 613, 193, LAST),
    ]
)
OUTPUT_1_TO_2 = (
    '{"responses":[{"labelAnnotations":['
    '{"mid":"/m/07s6nbt","description":"Text","score":0.93413997,"topicality":0.93413997},'
    '{"mid":"/m/0dwx7","description":"Logo","score":0.8733531,"topicality":0.8733531},'
    '{"mid":"/m/03bxgrp","description":"Company","score":0.5682425,"topicality":0.5682425}],'
    '"textAnnotations":['
    f'{{"locale":"en","description":"Google\\n","boundingPoly":{BOX}}},'
    f'{{"description":"Google","boundingPoly":{BOX}}}],'
    f'"fullTextAnnotation":{{"pages":[{{{ENGLISH},"width":685,"height":273,"blocks":['
    f'{{{ENGLISH},"boundingBox":{BOX},"paragraphs":[{{{ENGLISH},"boundingBox":{BOX},"words":['
    f'{{{ENGLISH},"boundingBox":{BOX},"symbols":[{GOOGLE}]}}]}}],"blockType":"TEXT"}}]}}],"text":"Google\\n"}},'
    '"context":{"uri":"gs://cloud-samples-data/vision/document_understanding/image1.png"}},'
    '{"imagePropertiesAnnotation":{"dominantColors":{"colors":['
    '{"color":{"red":229,"green":230,"blue":238},"score":0.2744754,"pixelFraction":0.075339235},'
    '{"color":{"red":86,"green":87,"blue":95},"score":0.025770646,"pixelFraction":0.13109145}]}},'
    '"cropHintsAnnotation":{"cropHints":[{"boundingPoly":{"vertices":[{},{"x":1599},{"x":1599,"y":1199},{"y":1199}]},'
    '"confidence":0.79999995,"importanceFraction":1}]},'
    '"context":{"uri":"gs://cloud-samples-data/vision/document_understanding/image2.jpg"}}]}'
)
OUTPUT_3_TO_3 = (
    '{"responses":[{"context":{"uri":"gs://cloud-samples-data/vision/document_understanding/image3.jpg"},'
    '"localizedObjectAnnotations":['
    '{"mid":"/m/0bt9lr","name":"Dog","score":0.9669734,"boundingPoly":{"normalizedVertices":['
    '{"x":0.6035543,"y":0.1357359},{"x":0.98546547,"y":0.1357359},'
    '{"x":0.98546547,"y":0.98426414},{"x":0.6035543,"y":0.98426414}]}},'
    '{"mid":"/m/0jbk","name":"Animal","score":0.58003056,"boundingPoly":{"normalizedVertices":['
    '{"x":0.014534635,"y":0.1357359},{"x":0.37197515,"y":0.1357359},'
    '{"x":0.37197515,"y":0.98426414},{"x":0.014534635,"y":0.98426414}]}}]}]}'
)


async def response_for(name: str, *features: int) -> AnnotateImageResponse:
    """The answer to one of the guide's images as it stands in an output file."""
    picture = Picture(b"", GUIDE_IMAGES + name)
    answer = await Fixtures().annotate(picture, [Feature(type=feature) for feature in features], ImageContext())
    answer.context.uri = picture.uri
    return answer


async def test_the_guides_example_comes_out_as_printed() -> None:
    """The guide's three images with its features give its two output files, to the byte."""
    first = await response_for("image1.png", Feature.LABEL_DETECTION, Feature.TEXT_DETECTION)
    second = await response_for("image2.jpg", Feature.IMAGE_PROPERTIES)
    third = await response_for("image3.jpg", Feature.OBJECT_LOCALIZATION)
    assert codec.encode(BatchAnnotateImagesResponse(responses=[first, second])).decode() == OUTPUT_1_TO_2
    assert codec.encode(BatchAnnotateImagesResponse(responses=[third])).decode() == OUTPUT_3_TO_3
