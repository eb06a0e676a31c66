"""What JSON values the codec takes, and what it says to those it refuses: texts, paths, all violations at once."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_emulator.contract import codec
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.json_reader import ECHO_CHARS_MAX, FAULTS_MAX
from vision_emulator.contract.messages import (
    POOL,
    AnnotateImageResponse,
    BatchAnnotateImagesRequest,
    CropHintsParams,
    Feature,
    Image,
    Operation,
    Product,
    ProductSet,
    PurgeProductsRequest,
    Status,
    TextDetectionParams,
    UpdateProductRequest,
    message_class,
)

FLOAT_VALUE = message_class("google.protobuf.FloatValue")


def violations(value: Any, cls: type[Any] = BatchAnnotateImagesRequest, path: str = "") -> list[tuple[str, str]]:
    """The field and text of each violation; the error's own text is all of them, one a line."""
    with pytest.raises(VisionError) as caught:
        codec.from_json(cls, value, path)
    error = caught.value
    assert error.code is Code.INVALID_ARGUMENT
    (details,) = error.details
    found = [(violation.field, violation.description) for violation in details.field_violations]
    assert error.message == "\n".join(description for _field, description in found)
    return found


# ---- refusals ----

UNKNOWN = "Invalid JSON payload received. Unknown name"
FEATURE_TYPE = "(type.googleapis.com/google.cloud.vision.v1.Feature.Type)"


@pytest.mark.parametrize(
    ("value", "field", "text"),
    [
        ({"foo": 1}, "", f'{UNKNOWN} "foo": Cannot find field.'),
        ({"requests": [{"images": {}}]}, "requests[0]", f"{UNKNOWN} \"images\" at 'requests[0]': Cannot find field."),
        ({"parent": []}, "", f'{UNKNOWN} "parent": Proto field is not repeating, cannot start list.'),
        (
            {"requests": [{"imageContext": []}]},
            "requests[0]",
            f"{UNKNOWN} \"imageContext\" at 'requests[0]': Proto field is not repeating, cannot start list.",
        ),
        (
            {"requests": [{}, {"image": {"content": "data:image/gif;base64,"}}]},
            "requests[1].image.content",
            "Invalid value at 'requests[1].image.content' (TYPE_BYTES), Base64 decoding failed for \"data:image/gif;base64,\"",
        ),
        (
            {"requests": [{"features": [{"type": "FOO"}]}]},
            "requests[0].features[0].type",
            f"Invalid value at 'requests[0].features[0].type' {FEATURE_TYPE}, \"FOO\"",
        ),
        (
            {"requests": [{"features": [{"type": True}]}]},
            "requests[0].features[0].type",
            f"Invalid value at 'requests[0].features[0].type' {FEATURE_TYPE}, true",
        ),
        (
            {"requests": [{"features": [{"maxResults": "abc"}]}]},
            "requests[0].features[0].max_results",
            "Invalid value at 'requests[0].features[0].max_results' (TYPE_INT32), \"abc\"",
        ),
        (
            {"requests": [{"image": "gs://b/o"}]},
            "requests[0].image",
            "Invalid value at 'requests[0].image' (type.googleapis.com/google.cloud.vision.v1.Image), \"gs://b/o\"",
        ),
        ({"parent": 1}, "parent", "Invalid value at 'parent' (TYPE_STRING), 1"),
        ({"parent": {}}, "", "Invalid value (parent), Starting an object on a scalar field"),
        (
            {"requests": [{"image": {"content": {}}}]},
            "requests[0].image",
            "Invalid value at 'requests[0].image' (content), Starting an object on a scalar field",
        ),
        ({"labels": {"a": "x", "b": 1}}, "labels[1].value", "Invalid value at 'labels[1].value' (TYPE_STRING), 1"),
        ({"labels": []}, "labels", "Invalid value at 'labels' (Map), Cannot bind a list to map for field 'labels'."),
        ([], "", f'{UNKNOWN} "": Root element must be a message.'),
        ("text", "", f'{UNKNOWN} "": Root element must be a message.'),
    ],
)
def test_refusals_say_what_and_where(value: Any, field: str, text: str) -> None:
    """Each refusal has the real service's text and the path of the fault in proto names; at the top there is no path."""
    assert violations(value) == [(field, text)]


def test_all_violations_are_collected() -> None:
    """One answer lists everything that is wrong, in the order of the request."""
    value = {
        "requests": [
            {"images": 1, "features": [{"type": "FOO"}, {"type": 4}, {"maxResults": 1.5}]},
            {"image": {"content": "!", "source": {"gcsImageUri": 7}}},
        ],
        "foo": 1,
    }
    assert [field for field, _text in violations(value)] == [
        "requests[0]",
        "requests[0].features[0].type",
        "requests[0].features[2].max_results",
        "requests[1].image.content",
        "requests[1].image.source.gcs_image_uri",
        "",
    ]


def test_violations_are_bounded() -> None:
    """A body full of faults gets an answer of bounded size."""
    assert len(violations({"requests": [{"a": 1, "b": 2}] * FAULTS_MAX})) == FAULTS_MAX
    assert len(violations({"requests": [{"a": 1}] * FAULTS_MAX, "parent": 1, "foo": 1})) == FAULTS_MAX
    assert len(violations({f"x{number}": 1 for number in range(2 * FAULTS_MAX)})) == FAULTS_MAX
    assert len(violations({"labels": {f"x{number}": 1 for number in range(2 * FAULTS_MAX)}})) == FAULTS_MAX


def test_the_echoed_value_is_bounded_and_encodable() -> None:
    """A refused megabyte is not sent back, and half a surrogate pair does not break the answer."""
    ((_field, text),) = violations({"content": "!" * 1_000_000}, Image)
    assert text.endswith('"' + "!" * ECHO_CHARS_MAX + '..."')
    ((_field, text),) = violations({"\ud800": 1})
    assert text == f'{UNKNOWN} "?": Cannot find field.'


def test_half_a_surrogate_pair_is_refused() -> None:
    """A Python string that is no Unicode text, which YAML fixtures can hold, is refused like any other bad value."""
    assert violations({"parent": "\ud800"}) == [("", "Invalid value (TYPE_STRING), a string holds half of a surrogate pair.")]


def test_a_path_is_where_the_value_stands() -> None:
    """The body of a call may be one field of its request: paths start with that field."""
    assert violations({"displayName": 1}, ProductSet, "product_set")[0][0] == "product_set.display_name"
    assert violations({"foo": 1}, ProductSet, "product_set")[0][1] == f"{UNKNOWN} \"foo\" at 'product_set': Cannot find field."
    assert violations("x", ProductSet, "product_set")[0] == (
        "product_set",
        "Invalid value at 'product_set' (type.googleapis.com/google.cloud.vision.v1.ProductSet), \"x\"",
    )
    assert violations([], ProductSet, "product_set")[0][1] == f'{UNKNOWN} "product_set": Proto field is not repeating, cannot start list.'


def test_two_members_of_a_oneof_are_refused() -> None:
    """A oneof holds one member."""
    value = {"deleteOrphanProducts": True, "productSetPurgeConfig": {}}
    assert violations(value, PurgeProductsRequest) == [
        ("", "Invalid value (oneof), oneof field 'target' is already set. Cannot set 'deleteOrphanProducts'")
    ]


# ---- leniency ----


@pytest.mark.parametrize("key", ["maxResults", "max_results"])
def test_keys_may_be_camel_or_snake_case(key: str) -> None:
    """Clients send both styles of key."""
    assert codec.from_json(Feature, {key: 3}).max_results == 3


def test_of_both_styles_the_last_wins() -> None:
    """The same field under both its names is treated as a duplicate key is: the last one counts."""
    assert codec.from_json(Feature, {"max_results": 3, "maxResults": 4}).max_results == 4
    assert codec.decode(Feature, b'{"maxResults": 3, "maxResults": 4}').max_results == 4


def test_null_is_absent() -> None:
    """A null field, a null element and a null body are as if they were not there."""
    assert codec.from_json(BatchAnnotateImagesRequest, None) == BatchAnnotateImagesRequest()
    value = {"requests": [None, {"image": None, "features": [{"type": None}]}], "parent": None, "labels": {"a": None}}
    assert codec.from_json(BatchAnnotateImagesRequest, value) == BatchAnnotateImagesRequest(requests=[{"features": [{}]}])


def test_a_single_value_stands_for_a_list_of_one() -> None:
    """A forgotten pair of brackets is forgiven; the path of a fault then has no index."""
    value = {"requests": {"features": {"type": "LABEL_DETECTION"}}}
    assert codec.from_json(BatchAnnotateImagesRequest, value).requests[0].features[0].type == 4
    assert violations({"requests": {"features": {"type": "X"}}})[0][0] == "requests.features.type"
    assert codec.from_json(CropHintsParams, {"aspectRatios": 1.5}).aspect_ratios == [1.5]


@pytest.mark.parametrize("name", ["LABEL_DETECTION", "label_detection", "label-detection", 4, 4.0, "4"])
def test_enums_by_name_or_number(name: Any) -> None:
    """An enum is its name, in any case and with dashes, or its number."""
    assert codec.from_json(Feature, {"type": name}).type == 4


def test_an_unknown_enum_number_is_kept() -> None:
    """Enums are open: what a number means is for the call to judge."""
    assert codec.from_json(Feature, {"type": 999}).type == 999
    assert violations({"type": 2**31}, Feature)[0][1].endswith(", 2147483648")


CONTENT = bytes(range(256)) + b"\xff\xef\xbe"  # needs every character of both alphabets
STANDARD = base64.b64encode(CONTENT).decode()
URL_SAFE = base64.urlsafe_b64encode(CONTENT).decode()


@pytest.mark.parametrize("length", range(len(CONTENT) - 3, len(CONTENT) + 1))
@pytest.mark.parametrize("encoder", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize("padded", [True, False])
def test_base64_in_every_dress(length: int, encoder: Any, padded: bool) -> None:
    """Bytes are read in both alphabets, with padding or without, wrapped in lines or not."""
    text = encoder(CONTENT[:length]).decode()
    assert codec.from_json(Image, {"content": text if padded else text.replace("=", "")}).content == CONTENT[:length]


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "QUI==", "QUI=x", "====", "=", "QU=I", "Q-/A", "QUI.", "é", "QQ===", "data:image/png;base64,QUI="]
)
def test_damaged_base64_is_refused(text: str) -> None:
    """Anything but base64 in a bytes field is an error, never silently garbage."""
    assert violations({"content": text}, Image) == [
        ("content", f"Invalid value at 'content' (TYPE_BYTES), Base64 decoding failed for \"{text}\"")
    ]


@pytest.mark.parametrize("value", [1, True, 1.5])
def test_bytes_must_be_a_string(value: Any) -> None:
    """A number is no base64."""
    assert violations({"content": value}, Image)[0][0] == "content"


@pytest.mark.parametrize(("value", "number"), [(1, 1), (1.0, 1), ("1", 1), ("-7", -7), (-0.0, 0), (1e3, 1000), (2**31 - 1, 2**31 - 1)])
def test_integers(value: Any, number: int) -> None:
    """An integer is a number without a fraction, or its digits in a string."""
    assert codec.from_json(Feature, {"maxResults": value}).max_results == number


@pytest.mark.parametrize(
    "value", [1.5, "1.0", " 1", "1 ", "", "0x1", "1_0", "١", True, 2**31, -(2**31) - 1, "2147483648", 1e300, "9" * 5000]
)
def test_no_integers(value: Any) -> None:
    """Fractions, other notations and numbers out of the field's range are refused."""
    ((field, text),) = violations({"maxResults": value}, Feature)
    assert field == "max_results"
    assert text.startswith("Invalid value at 'max_results' (TYPE_INT32), ")


def test_int64_comes_as_a_string_or_a_number() -> None:
    """Writers put 64-bit integers in strings; numbers are taken too."""
    duration = message_class("google.protobuf.Int64Value")
    assert codec.from_json(duration, "9223372036854775807").value == codec.from_json(duration, 2**63 - 1).value == 2**63 - 1


@pytest.mark.parametrize(
    ("value", "number"),
    [(2, 2.0), (0.5, 0.5), ("0.5", 0.5), ("1e3", 1000.0), ("-Infinity", -math.inf), (3.4028235e38, 3.4028234663852886e38)],
)
def test_floats(value: Any, number: float) -> None:
    """A float is a number, its digits in a string, or the name of what is no number."""
    assert codec.from_json(FLOAT_VALUE, value).value == number


def test_nan_is_a_name() -> None:
    """NaN comes as a string."""
    assert math.isnan(codec.from_json(FLOAT_VALUE, "NaN").value)


@pytest.mark.parametrize("value", ["abc", "", "nan", "inf", "1_0", " 1", True, 1e39, "1e39", 10**400])
def test_no_floats(value: Any) -> None:
    """Other spellings and numbers beyond float32 are refused, not rounded to infinity."""
    assert violations({"aspectRatios": [1.5, value]}, CropHintsParams)[0][0] == "aspect_ratios[1]"


@pytest.mark.parametrize(("value", "truth"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_booleans(value: Any, truth: bool) -> None:
    """A boolean is true or false, or a string that says so."""
    assert (
        codec.from_json(TextDetectionParams, {"enableTextDetectionConfidenceScore": value}).enable_text_detection_confidence_score is truth
    )


@pytest.mark.parametrize("value", [1, 0, "maybe", 1.0])
def test_no_booleans(value: Any) -> None:
    """A number is no boolean."""
    assert "(TYPE_BOOL)" in violations({"enableTextDetectionConfidenceScore": value}, TextDetectionParams)[0][1]


# ---- well-known types ----


@pytest.mark.parametrize("mask", ["displayName,productLabels", "display_name,product_labels"])
def test_field_masks_in_either_case(mask: str) -> None:
    """Python sends camelCase masks, Node snake_case ones."""
    assert codec.from_json(UpdateProductRequest, {"updateMask": mask}).update_mask.paths == ["display_name", "product_labels"]


def test_timestamps() -> None:
    """A time is a string; refusals name the field as the client knows it."""
    assert codec.from_json(ProductSet, {"indexTime": "2019-05-15T21:10:08.401917049Z"}).index_time.nanos == 401917049
    kind = "(type.googleapis.com/google.protobuf.Timestamp), Field 'indexTime'"
    assert violations({"indexTime": "yesterday"}, ProductSet)[0][1] == (
        f"Invalid value at 'index_time' {kind}, Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone offset."
    )
    assert (
        violations({"indexTime": 5}, ProductSet)[0][1]
        == f"Invalid value at 'index_time' {kind}, Invalid data type for timestamp, value is 5"
    )


def test_any_is_read_by_its_type() -> None:
    """Fixtures and recorded answers hold operations and error details: an Any is read with the contract's own types."""
    value = {
        "name": "operations/1",
        "metadata": {"@type": "type.googleapis.com/google.cloud.vision.v1.OperationMetadata", "state": "RUNNING"},
        "error": {"details": [{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "5s"}, {}]},
    }
    assert codec.from_json(Operation, value) == json_format.ParseDict(value, Operation(), descriptor_pool=POOL)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"code": 3}, "Missing @type for any field."),
        ({"@type": 3}, "Missing @type for any field."),
        ({"@type": "x/no.such.Type"}, "Invalid type URL, unknown type: x/no.such.Type"),
    ],
)
def test_an_any_without_a_known_type_is_refused(value: Any, text: str) -> None:
    """Without a type there is no telling what the fields mean."""
    assert violations({"details": [value]}, Status) == [
        ("details[0]", f"Invalid value at 'details[0]' (type.googleapis.com/google.protobuf.Any), {text}")
    ]


def test_faults_inside_an_any_have_their_path() -> None:
    """The fields of a packed message stand directly under the Any."""
    value = {"details": [{"@type": "type.googleapis.com/google.rpc.Status", "code": "x"}]}
    assert violations(value, Status)[0][0] == "details[0].code"


def test_endless_nesting_is_refused() -> None:
    """Values deeper than any stack are refused, not crashed on."""
    value: Any = {}
    for _ in range(5000):
        value = {"@type": "type.googleapis.com/google.rpc.Status", "details": [value]}
    assert violations({"details": [value]}, Status) == [("", "Invalid JSON payload received. Message too deep.")]


# ---- anything at all ----

NAMES = sorted(
    {
        name
        for cls in (BatchAnnotateImagesRequest, AnnotateImageResponse, Operation, Product)
        for name in cls.DESCRIPTOR.fields_by_camelcase_name
    }
    | {"image", "features", "content", "source", "type", "maxResults", "@type", "value", "details", "paths", "x", "latLng", "score"}
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["type.googleapis.com/google.rpc.Status", "type.googleapis.com/google.protobuf.Struct", "1", "5s", "AAAA"])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4),
    max_leaves=20,
)
ANY_TYPES = [BatchAnnotateImagesRequest, AnnotateImageResponse, Operation, Product, UpdateProductRequest, Status] + [
    message_class(f"google.protobuf.{name}")
    for name in ("Any", "Struct", "Value", "ListValue", "Timestamp", "Duration", "FieldMask", "BytesValue")
]


@given(st.sampled_from(ANY_TYPES), json_values)
@settings(max_examples=1000, deadline=None)
def test_nothing_but_vision_errors_escapes(cls: type[Any], value: Any) -> None:
    """Whatever the value, it becomes a message or an INVALID_ARGUMENT that can be sent."""
    try:
        outcome: Any = codec.from_json(cls, value)
    except VisionError as error:
        outcome = error
    if isinstance(outcome, VisionError):
        assert outcome.code is Code.INVALID_ARGUMENT
        assert outcome.status().SerializeToString()
    else:
        assert isinstance(outcome, cls)
