"""Whatever valid message comes in: a whole answer, slot for slot, or a VisionError; and every answer is sound."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import invariants
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transports import Api, method

from broken import BAD, ODD
from pictures import drawn
from plain import PLAIN
from vision_emulator.annotators import FIELDS_OF_FEATURE
from vision_emulator.annotators.fixtures import Fixtures, Rule
from vision_emulator.annotators.synthetic import ASSUMED_SIZE
from vision_emulator.app import Core, core
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.limits import IMAGES_PER_CALL_MAX
from vision_emulator.contract.messages import AnnotateImageResponse, BatchAnnotateImagesRequest, Feature, ImageContext
from vision_emulator.contract.methods import Call
from vision_emulator.control.clock import Chance, SystemClock

EVERYTHING = [Feature(type=number, max_results=50) for number in FIELDS_OF_FEATURE]

# ---- any message ----


class Bytes(bytes):
    """An image that an example of a failure does not print whole."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


SIZES = {drawn(3): (160, 120), drawn(4, (70, 300), "PNG"): (70, 300)} | dict(
    ODD[kind]() for kind in ("one pixel", "animated GIF", "16-bit PNG")
)
STORED = {f"gs://inputs/{number}": data for number, data in enumerate(SIZES)}
BROKEN = [BAD[kind]() for kind in ("text", "cut JPEG", "PNG of no pixels", "GIF with no codes")]
IMAGES = st.sampled_from([Bytes(data) for data in (*SIZES, *BROKEN)])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT32 = st.integers(-(2**31), 2**31 - 1)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_ENUM: INT32,
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_INT32: INT32 | st.integers(-2, 20),
    FieldDescriptor.TYPE_STRING: TEXTS,
}
# What would nearly always be refused if it were anything at all.
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "BatchAnnotateImagesRequest.parent": st.sampled_from(["", "", "projects/p", "projects/p/locations/eu"]) | TEXTS,
    "Feature.type": st.sampled_from([*FIELDS_OF_FEATURE] * 20 + [0, 13]),
    "Feature.model": st.sampled_from(["builtin/stable"] * 20 + ["x"]),
    "Image.content": IMAGES | st.just(b""),
    "ImageSource.image_uri": st.sampled_from([*STORED, "gs://inputs/none", "gs://", "http://127.0.0.1:1/", "http://[", ""]) | TEXTS,
    "ImageSource.gcs_image_uri": st.sampled_from([*STORED, "gs://nowhere/a", "x", ""]),
    "ImageContext.language_hints": st.sampled_from(["en", "ja-JP", "th", "", "xx"]),
}


def fields_of(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    """Values for any of a message's fields, by name."""
    return st.fixed_dictionaries({}, optional={field.name: value_of(field) for field in descriptor.fields})


def value_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    name = f"{field.containing_type.name}.{field.name}"
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return st.dictionaries(st.sampled_from(["team", "a1"]) | TEXTS, st.sampled_from(["", "b"]), max_size=1)
    one = LIKELY.get(name, SCALARS[field.type]) if field.message_type is None else fields_of(field.message_type)
    return st.lists(one, max_size=4) if field.is_repeated else one


ANY = fields_of(BatchAnnotateImagesRequest.DESCRIPTOR)
PICTURES = st.fixed_dictionaries({"content": IMAGES}) | st.fixed_dictionaries(
    {"source": st.fixed_dictionaries({"image_uri": st.sampled_from([*STORED, "gs://inputs/none", "http://127.0.0.1:1/"])})}
)
FEATURES = st.fixed_dictionaries({"type": st.sampled_from([*FIELDS_OF_FEATURE])}, optional={"max_results": INT32 | st.integers(-2, 20)})
# Requests that have what each needs; the context is anything.
COMPLETE = st.fixed_dictionaries(
    {"image": PICTURES, "features": st.lists(FEATURES, min_size=1, max_size=6)},
    optional={"image_context": fields_of(ImageContext.DESCRIPTOR)},
)


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[asyncio.Runner, Core]]:
    """The API without a socket, with the pictures in its bucket, and the loop it lives in."""

    async def enter() -> Core:
        running = await stack.enter_async_context(core(Config(bucket=("inputs",), settings=PLAIN), SystemClock(), Chance()))
        bucket = await running.storage.bucket("inputs")
        for uri, data in STORED.items():
            await bucket.write(uri.rpartition("/")[2], data, "image/any")
        return running

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        yield runner, runner.run(enter())
        runner.run(stack.aclose())


PRODUCTS = {"product_search_params": {"bounding_poly": {"normalized_vertices": [{"x": math.nan}]}}}


@settings(max_examples=300, deadline=None)
@example(fields={"requests": [{"image": {"content": drawn(3)}, "features": [{"type": Feature.PRODUCT_SEARCH}], "image_context": PRODUCTS}]})
@given(fields=ANY | st.fixed_dictionaries({"requests": st.lists(COMPLETE, max_size=4)}))
def test_any_message_is_answered_or_refused(started: tuple[asyncio.Runner, Core], fields: dict[str, Any]) -> None:
    """Nothing but VisionError comes out; else there is a slot for each request, an error that says something or a sound answer."""
    runner, running = started
    request = BatchAnnotateImagesRequest(**fields)
    refusal: VisionError | None = None
    try:
        answer = runner.run(running.vision.call(Call(method("BatchAnnotateImages"), request, {})))
    except VisionError as refused:
        refusal = refused
    if refusal is None:
        check(request, answer)
    else:
        assert refusal.code == Code.INVALID_ARGUMENT
        assert refusal.message


def check(request: BatchAnnotateImagesRequest, answer: Any) -> None:
    """A slot for each request; in it an error of the catalogue, or a sound answer to a picture of known size."""
    assert len(answer.responses) == len(request.requests) <= IMAGES_PER_CALL_MAX
    for asked, response in zip(request.requests, answer.responses, strict=True):
        source = asked.image.source
        size = SIZES.get(asked.image.content or STORED.get(source.image_uri or source.gcs_image_uri, b""))
        if response.HasField("error"):
            assert response.error.code in (3, 5, 7, 14)
            assert response.error.message
        elif size is not None:
            invariants.check(response, size, wanted(asked.features), asked.image_context)


def wanted(features: Any) -> list[Feature]:
    """Each type once, with the largest number of results that was asked for."""
    most: dict[int, int] = {}
    for feature in features:
        most[feature.type] = max(most.get(feature.type, 0), feature.max_results if feature.max_results > 0 else 10)
    return [Feature(type=kind, max_results=number) for kind, number in most.items()]


# ---- all features ----


@pytest.mark.parametrize("number", FIELDS_OF_FEATURE, ids=Feature.Type.Name)
async def test_a_feature_alone_is_answered_as_among_all(api: Api, number: int) -> None:
    """Each feature fills its own fields and nothing else, with what it says when all are asked for."""
    alone, together = [
        await annotate(api, {"content": drawn(3)}, features) for features in ([Feature(type=number, max_results=50)], EVERYTHING)
    ]
    invariants.check(alone, (160, 120), [Feature(type=number, max_results=50)], ImageContext())
    invariants.check(together, (160, 120), EVERYTHING, ImageContext())
    if number != Feature.TEXT_DETECTION:  # which gives way to DOCUMENT_TEXT_DETECTION
        assert alone == only(together, FIELDS_OF_FEATURE[number])


RULES = Fixtures().rules


@pytest.mark.parametrize("rule", RULES, ids=[rule.uri.rpartition("/")[2] for rule in RULES])
async def test_documented_answers_come_through_whole(api: Api, rule: Rule) -> None:
    """For a sample image the documented fields are answered as they are given, and the features they leave open as for any picture."""
    response = await annotate(api, {"source": {"image_uri": rule.uri}}, EVERYTHING)
    assert only(response, tuple(rule.fields)) == AnnotateImageResponse.FromString(b"".join(rule.fields.values()))
    taken = {name for feature in rule.features for name in FIELDS_OF_FEATURE[feature]} | set(rule.fields)
    open_features = [feature for feature in EVERYTHING if taken.isdisjoint(FIELDS_OF_FEATURE[feature.type])]
    assert open_features
    rest = {name for feature in open_features for name in FIELDS_OF_FEATURE[feature.type]}
    invariants.check(only(response, tuple(rest)), ASSUMED_SIZE, open_features, ImageContext())


async def annotate(api: Api, image: dict[str, Any], features: list[Feature]) -> AnnotateImageResponse:
    """The answer to one image."""
    answer = await api("BatchAnnotateImages", {"requests": [{"image": image, "features": features}]})
    return answer.message.responses[0]


def only(response: AnnotateImageResponse, names: tuple[str, ...]) -> AnnotateImageResponse:
    """A copy of the response with these fields and no others."""
    copy = AnnotateImageResponse()
    copy.CopyFrom(response)
    for field, _ in response.ListFields():
        if field.name not in names:
            copy.ClearField(field.name)
    return copy
