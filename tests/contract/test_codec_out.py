"""What JSON the codec writes: the choices that json_format leaves open or makes otherwise."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import pytest

from vision_emulator.contract import codec
from vision_emulator.contract.messages import (
    AnnotateImageResponse,
    AnyMessage,
    BatchAnnotateImagesRequest,
    BoundingPoly,
    Duration,
    EntityAnnotation,
    Image,
    NormalizedVertex,
    Operation,
    PurgeProductsRequest,
    QuotaFailure,
    SafeSearchAnnotation,
    Status,
    UpdateProductRequest,
    message_class,
    pack,
)


def test_compact_is_one_line_without_spaces_or_end() -> None:
    """Output files are one line, with no space after a separator and no line end."""
    assert codec.encode(EntityAnnotation(mid="/m/1", score=0.5)) == b'{"mid":"/m/1","score":0.5}'


def test_pretty_is_indented_by_two_and_ends_with_a_line_end() -> None:
    """REST answers are indented by two spaces; an empty message is {}."""
    poly = BoundingPoly(vertices=[{}, {"x": 3}])
    assert codec.encode(poly, pretty=True) == b'{\n  "vertices": [\n    {},\n    {\n      "x": 3\n    }\n  ]\n}\n'


def test_fields_stand_in_the_order_of_their_numbers() -> None:
    """error (9) comes before fullTextAnnotation (12), context (21) before localizedObjectAnnotations (22)."""
    message = AnnotateImageResponse(
        localized_object_annotations=[{"name": "Dog"}], context={"uri": "gs://b/o"}, full_text_annotation={"text": "t"}, error={"code": 3}
    )
    assert list(codec.to_json(message)) == ["error", "fullTextAnnotation", "context", "localizedObjectAnnotations"]


def test_zero_is_left_out_but_presence_is_kept() -> None:
    """Zero, empty and default values are absent, negative zero too; a sub-message that is set and a set member of a oneof are not."""
    assert codec.encode(NormalizedVertex(x=-0.0, y=0.0)) == b"{}"
    assert codec.encode(AnnotateImageResponse(web_detection={})) == b'{"webDetection":{}}'
    assert codec.encode(PurgeProductsRequest(delete_orphan_products=False)) == b'{"deleteOrphanProducts":false}'


def test_enums_are_names_or_numbers() -> None:
    """An enum is written as its name, or as its number when asked; a number without a name stays a number."""
    message = SafeSearchAnnotation(adult="LIKELY", racy=77)
    assert codec.encode(message) == b'{"adult":"LIKELY","racy":77}'
    assert codec.encode(message, enum_numbers=True) == b'{"adult":4,"racy":77}'


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.95461607, b"0.95461607"), (1.0, b"1"), (100.0, b"100"), (0.1, b"0.1"), (1e20, b"1e+20"), (float("inf"), b'"Infinity"')],
)
def test_floats_are_the_shortest_float32(number: float, written: bytes) -> None:
    """A float has the digits of a float32, not of the double it is held in, and no fraction when it is whole."""
    assert codec.encode(EntityAnnotation(score=number)) == b'{"score":%s}' % written


def test_doubles_keep_all_their_digits() -> None:
    """Latitudes are doubles: written in full."""
    location = EntityAnnotation(locations=[{"lat_lng": {"latitude": 37.622315883636475, "longitude": 55.0}}])
    assert b'{"latitude":37.622315883636475,"longitude":55}' in codec.encode(location)


def test_angle_brackets_and_invisible_characters_are_escaped() -> None:
    """Angle brackets, DEL and format characters are escaped as the real service does; everything else is raw UTF-8."""
    written = codec.encode(EntityAnnotation(description="<b>&'é שלום\u2028\u00ad\x7f\U0001d173</b>"))
    assert written == ('{"description":"\\u003cb\\u003e&\'é שלום\\u2028\\u00ad\\u007f\\ud834\\udd73\\u003c/b\\u003e"}'.encode())
    assert json.loads(written) == {"description": "<b>&'é שלום\u2028\u00ad\x7f\U0001d173</b>"}


def test_bytes_are_standard_base64() -> None:
    """Bytes are written in the standard alphabet, padded."""
    assert codec.encode(Image(content=b"\xff\xfe\xfd\xfc")) == b'{"content":"//79/A=="}'


def test_64_bit_integers_are_strings() -> None:
    """Readers of JSON may hold numbers as doubles, so 64-bit integers are written as strings; 32-bit ones are numbers."""
    violation = {"quota_value": 2**53 + 1}
    assert codec.encode(QuotaFailure(violations=[violation])) == b'{"violations":[{"quotaValue":"9007199254740993"}]}'
    assert codec.encode(message_class("google.protobuf.UInt64Value")(value=5)) == b'"5"'
    assert codec.encode(message_class("google.protobuf.UInt32Value")(value=5)) == b"5"


def test_maps_are_sorted() -> None:
    """The same map gives the same bytes, whatever order it was filled in."""
    labels = dict.fromkeys("hgfedcba", "")
    assert list(codec.to_json(BatchAnnotateImagesRequest(labels=labels))["labels"]) == sorted(labels)


def test_any_carries_its_message() -> None:
    """An Any is its type URL and the fields of its message, or a "value" when that has a JSON form of its own."""
    operation = Operation(name="operations/1", metadata=pack(Status(code=3)), response=pack(Duration(seconds=5)))
    assert codec.to_json(operation) == {
        "name": "operations/1",
        "metadata": {"@type": "type.googleapis.com/google.rpc.Status", "code": 3},
        "response": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "5s"},
    }


@pytest.mark.parametrize("type_url", ["type.googleapis.com/no.such.Type", "nonsense", "type.googleapis.com/google.rpc.Status"])
def test_an_any_that_cannot_be_opened_is_shown_as_bytes(type_url: str) -> None:
    """A foreign type or damaged bytes in an Any do not make an answer impossible."""
    assert codec.to_json(AnyMessage(type_url=type_url, value=b"\xff")) == {"@type": type_url, "value": "/w=="}


def test_field_masks_are_camel_case() -> None:
    """A field mask is one string of camelCase paths."""
    assert codec.to_json(UpdateProductRequest(update_mask={"paths": ["display_name", "product_labels"]})) == {
        "updateMask": "displayName,productLabels"
    }


def test_structs_are_plain_json() -> None:
    """A Struct, which only an Any can bring in, is the object it stands for."""
    struct = codec.from_json(message_class("google.protobuf.Struct"), {"a": [1, None, {"b": "c"}]})
    assert codec.to_json(struct) == {"a": [1, None, {"b": "c"}]}


def test_compiling_from_many_threads_gives_whole_functions() -> None:
    """Bodies are read and written in threads: a type met first by several at once is never half compiled."""
    cls: Any = message_class("google.cloud.vision.v1p3beta1.BatchAnnotateImagesResponse")
    value = {"responses": [{"labelAnnotations": [{"mid": "/m/1"}], "context": {"uri": "gs://b/o"}}]}
    start, seen = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        seen.append(codec.to_json(codec.from_json(cls, value)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == [value] * 8
