"""Selectors of partial answers: what they leave, and what they are refused for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract import codec, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.field_mask import FieldMask, M
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesResponse, BatchAnnotateImagesResponse, Operation, pack

LABELS = {"labelAnnotations": [{"mid": "/m/1", "description": "Cat", "score": 0.5}, {"description": "Dog"}]}
ANSWER = {"responses": [LABELS | {"error": {"code": 3, "message": "Bad image data."}}, {"context": {"uri": "gs://b/o"}}]}


def masked(message: M, selector: str) -> M:
    return FieldMask(selector, type(message)).masked(message)


def answer() -> Message:
    return codec.from_json(BatchAnnotateImagesResponse, ANSWER)


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ("*", ANSWER),
        ("responses", ANSWER),
        ("responses.*", ANSWER),
        (
            "responses/*/description",
            {"responses": [{"labelAnnotations": [{"description": "Cat"}, {"description": "Dog"}], "error": {}}, {"context": {}}]},
        ),
        ("responses(labelAnnotations(mid,score))", {"responses": [{"labelAnnotations": [{"mid": "/m/1", "score": 0.5}, {}]}, {}]}),
        ("responses/labelAnnotations/mid", {"responses": [{"labelAnnotations": [{"mid": "/m/1"}, {}]}, {}]}),
        ("responses.label_annotations.mid", {"responses": [{"labelAnnotations": [{"mid": "/m/1"}, {}]}, {}]}),
        (" responses ( error/code , context(uri) ) ", {"responses": [{"error": {"code": 3}}, {"context": {"uri": "gs://b/o"}}]}),
        ("responses.error.code,responses.error", {"responses": [{"error": ANSWER["responses"][0]["error"]}, {}]}),
        ("responses.faceAnnotations", {"responses": [{}, {}]}),
    ],
)
def test_a_selector_leaves_what_it_names(selector: str, left: object) -> None:
    """Both ways of writing, wildcards, and a path that covers a longer one; elements of a list keep their places."""
    message = answer()
    assert codec.to_json(masked(message, selector)) == left
    assert codec.to_json(message) == ANSWER, "the message itself is touched"


@pytest.mark.parametrize(
    ("selector", "path"),
    [
        ("foo", "foo"),
        ("responses.foo,bar", "responses.foo"),
        ("responses(labelAnnotations(score/x))", "responses.labelAnnotations.score.x"),
        ("responses/*/nothing", "responses.*.nothing"),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(selector: str, path: str) -> None:
    """The front end names the whole selector as the field at fault, and the first path that leads nowhere."""
    with pytest.raises(VisionError) as refused:
        masked(answer(), selector)
    assert refused.value.message == "Request contains an invalid argument."
    [violation] = refused.value.details[0].field_violations
    assert violation.field == selector
    assert violation.description == f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."


@pytest.mark.parametrize(
    "selector", ["", ",", "a,", "a(", "a)", "a()", "a(b))", "a(b)c", "a(b)/c", "a(b)(c)", "(a)", "a b", "/a", "a//b", "a-b", "ä"]
)
def test_a_selector_that_cannot_be_read_is_refused(selector: str) -> None:
    """Every wrong order of names and symbols is the caller's error."""
    with pytest.raises(VisionError, match="invalid argument") as refused:
        masked(answer(), selector)
    assert "Cannot read it from character" in refused.value.details[0].field_violations[0].description


def test_selectors_are_bounded() -> None:
    """Neither depth nor number of paths is the caller's to choose."""
    for selector in ("a(" * 4000, ",".join(["responses"] * (limits.FIELD_MASK_PATHS_MAX + 2))):
        with pytest.raises(VisionError, match="invalid argument"):
            masked(answer(), selector)


def test_inside_an_operation_s_answer() -> None:
    """An Any is pruned like a field, keeps its type, and may be asked for what only other types have."""
    response = AsyncBatchAnnotateImagesResponse(output_config={"batch_size": 2, "gcs_destination": {"uri": "gs://b/"}})
    operation = Operation(name="operations/1", done=True, response=pack(response))
    url = "type.googleapis.com/google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse"
    assert codec.to_json(masked(operation, "done,response(outputConfig/batchSize,elsewhere)")) == {
        "done": True,
        "response": {"@type": url, "outputConfig": {"batchSize": 2}},
    }


@given(st.text("abc*(),/. ", max_size=30))
def test_any_text_is_a_selector_or_refused(selector: str) -> None:
    """No text does more than be refused."""
    with suppress(VisionError):
        masked(answer(), selector)
