"""What tests say of calls: what fits, what does not, and whether the sentence about it helps."""

from __future__ import annotations

from typing import Any

import pytest

from vision_emulator.contract.errors import Code
from vision_emulator.control import assertions
from vision_emulator.control.assertions import assert_called, assert_not_called, differences


def called(number: int = 1, method: str = "BatchAnnotateImages", code: str | None = "OK", **more: Any) -> dict[str, Any]:
    """A journal entry as JSON, as much of it as expectations look at."""
    images = more.pop("images", [{"uri": "gs://pets/cat.jpg", "sha256": "ab" * 32, "features": ["LABEL_DETECTION"]}])
    return {
        "number": number,
        "method": f"google.cloud.vision.v1.ImageAnnotator.{method}",
        "transport": "grpc",
        "project": "p",
        "credentials": "none",
        "operation": "",
        "userAgent": "grpc-python/1.60",
        "headers": {"x-goog-api-client": "gl-python/3.11.2 gapic/3.7"},
        "code": code,
        "message": "" if code == "OK" else "It failed.",
        "images": images,
        "request": {"requests": [{"image": {"source": {"imageUri": "gs://pets/cat.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}]},
        **more,
    }


FITTING: list[dict[str, Any]] = [
    {},
    {"method": "BatchAnnotateImages"},
    {"method": "google.cloud.vision.v1.ImageAnnotator.BatchAnnotateImages"},
    {"method": "Batch*Images"},
    {"transport": "grpc", "project": "*", "credentials": "none", "operation": ""},
    {"client": "gl-PYTHON"},
    {"client": "grpc-python"},
    {"code": "OK"},
    {"code": 0},
    {"code": Code.OK},
    {"images": 1},
    {"images": "gs://pets/*.jpg"},
    {"images": ["gs://pets/cat.jpg", "ab" * 32]},
    {"features": "LABEL_DETECTION"},
    {"request": {"requests": [{"features": [{"type": "LABEL_*"}]}]}},
    {"request": {}},
]


@pytest.mark.parametrize("expected", FITTING)
def test_what_fits(expected: dict[str, Any]) -> None:
    """What is not said may be anything; patterns are no more than asterisks."""
    assert differences(called(), expected) == []


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ({"method": "GetOperation"}, "method: expected GetOperation, was BatchAnnotateImages"),
        ({"transport": "rest"}, "transport: expected rest, was grpc"),
        ({"client": "gl-java"}, "client: expected gl-java, was grpc-python/1.60 gl-python/3.11.2 gapic/3.7"),
        ({"code": 8}, "code: expected RESOURCE_EXHAUSTED, was OK"),
        ({"images": 2}, "images: expected 2, was 1"),
        ({"images": ["gs://pets/dog.jpg"]}, f"images: gs://pets/dog.jpg not among gs://pets/cat.jpg, {'ab' * 32}"),
        ({"features": ["LABEL_DETECTION", "TEXT_DETECTION"]}, "features: TEXT_DETECTION not among LABEL_DETECTION"),
        (
            {"request": {"requests": [{"features": [{"type": "TEXT_DETECTION"}]}]}},
            "request.requests[0].features[0].type: expected TEXT_DETECTION, was LABEL_DETECTION",
        ),
        ({"request": {"requests": []}}, "request.requests: expected 0 elements, was 1"),
        ({"request": {"request": []}}, "request.request: expected , was not given (there is requests)"),
        ({"request": {"requests": {"a": 1}}}, "request.requests: expected {'a': 1}, was "),
    ],
)
def test_what_does_not_fit(expected: dict[str, Any], line: str) -> None:
    """One line says where, what was expected and what was there."""
    (found,) = differences(called(), expected)
    assert found.startswith(line)


@pytest.mark.parametrize("calls", [1, 0])
def test_a_key_that_nobody_can_expect(calls: int) -> None:
    """A misspelt key is an error of the test, never a pass, also where nothing was called."""
    with pytest.raises(ValueError, match="did you mean features"):
        assert_not_called([called()] * calls, feature="LABEL_DETECTION")


@pytest.mark.parametrize(("times", "passes"), [(None, True), (2, True), (1, False), (0, False), (3, False)])
def test_times(times: int | None, passes: bool) -> None:
    """Exactly so many, or one and more when nothing is said."""
    entries = [called(1), called(2), called(3, "GetOperation")]
    if passes:
        assert_called(entries, "BatchAnnotateImages", times=times)
    else:
        with pytest.raises(AssertionError):
            assert_called(entries, "BatchAnnotateImages", times=times)


def test_never() -> None:
    """No call is what was asked for, and one too many is named."""
    assert_not_called([called()], "GetOperation")
    with pytest.raises(AssertionError, match=r"expected never: method GetOperation; but 1 of 1 call fits\nthese fit:\n  #7 grpc"):
        assert_not_called([called(7, "GetOperation")], "GetOperation")


def test_the_explanation() -> None:
    """What was expected, what came closest and in what it differs, and all else there was, in a few lines."""
    entries = [called(1, "GetOperation", images=[]), called(2, code="NOT_FOUND"), called(3)]
    with pytest.raises(AssertionError) as failed:
        assert_called(entries, "BatchAnnotateImages", times=1, features=["TEXT_DETECTION"], code="OK")
    assert str(failed.value).splitlines() == [
        "expected once: method BatchAnnotateImages, features TEXT_DETECTION, code OK; but none of 3 calls fits",
        "these came closest:",
        "  #3 grpc BatchAnnotateImages OK, 1 image (LABEL_DETECTION)",
        "      features: TEXT_DETECTION not among LABEL_DETECTION",
        "  #2 grpc BatchAnnotateImages NOT_FOUND, 1 image (LABEL_DETECTION): It failed.",
        "      features: TEXT_DETECTION not among LABEL_DETECTION",
        "      code: expected OK, was NOT_FOUND",
        "  #1 grpc GetOperation OK",
        "      method: expected BatchAnnotateImages, was GetOperation",
        "      features: TEXT_DETECTION not among none",
    ]


def test_the_explanation_is_short_however_much_was_called() -> None:
    """A journal of thousands makes a message that a person reads."""
    with pytest.raises(AssertionError) as failed:
        assert_called([called(number) for number in range(3000)], "GetOperation")
    assert len(str(failed.value).splitlines()) < 50
    assert "and 2977 more" in str(failed.value)


def test_the_codes_are_the_contracts() -> None:
    """The names that a client knows without the contract are the contract's, by number."""
    assert list(assertions.CODES) == [code.name for code in Code]
