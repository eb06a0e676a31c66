"""Variants of every annotation method and of the operations: made from the descriptors and the limits, each with a stable name.

A variant is a small valid request with one thing (or two) done to it. A message variant can be said over every transport; a JSON variant
is about the text itself and can be sent over REST alone.
"""

from __future__ import annotations

import base64
import copy
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from samples import DOCUMENT, DOCUMENT_URI, PDF_URI, PICTURE, PICTURE_URI, RESULTS_URI, TOO_LARGE, picture_of_bytes

from vision_emulator.contract import limits
from vision_emulator.contract.json_reader import is_map, repeated_fields
from vision_emulator.contract.messages import BETAS, V1, Feature
from vision_emulator.contract.methods import METHODS, Method

ANNOTATE: Final = ("BatchAnnotateImages", "AsyncBatchAnnotateImages", "BatchAnnotateFiles", "AsyncBatchAnnotateFiles")
OPERATIONS: Final = ("ListOperations", "GetOperation", "DeleteOperation", "CancelOperation", "WaitOperation")
STAGED: Final = ("done", "failed", "cancelled", "running")  # the operations there are; a name says {done} for the id of that one

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MessageVariant:
    """A request as a message."""

    name: str
    fields: Mapping[str, Any]  # what the message's constructor takes
    package: str = V1


@dataclass(frozen=True, slots=True)
class JsonVariant:
    """A request as text."""

    name: str
    verb: str
    path: str
    body: bytes


Variant = MessageVariant | JsonVariant


class Place(NamedTuple):
    """A field somewhere in a request; of lists on the way the first element is meant."""

    path: Path
    field: Any
    repeated: bool

    @property
    def is_message(self) -> bool:
        return bool(self.field.type == FieldDescriptor.TYPE_MESSAGE) and not is_map(self.field)


def method(rpc: str, package: str = V1) -> Method:
    """The row of a method in this version of the API."""
    service = "google.longrunning.Operations" if rpc in OPERATIONS else f"{package}.ImageAnnotator"
    return METHODS[f"/{service}/{rpc}"]


def variants(rpc: str) -> list[Variant]:
    """All variants of a method; no two have one name."""
    made: Iterable[Variant] = _operations(rpc) if rpc in OPERATIONS else (*_messages(rpc), *_texts(rpc))
    by_name: dict[str, Variant] = {}
    for variant in made:
        known = by_name.setdefault(variant.name, variant)
        assert repr(known) == repr(variant), f"{rpc}: two variants are called {variant.name}"
    return list(by_name.values())


def places(descriptor: Any, path: Path = ()) -> Iterator[Place]:
    """Every field of a message type and of all below it."""
    repeated = repeated_fields(descriptor)
    for field in descriptor.fields:
        place = Place((*path, field.name), field, field.name in repeated)
        yield place
        if place.is_message:
            yield from places(field.message_type, (*place.path, 0) if place.repeated else place.path)


# ---- requests and what is done to them ----

LABELS: Final = {"type": Feature.LABEL_DETECTION}
TEXT: Final = {"type": Feature.DOCUMENT_TEXT_DETECTION}
_OUTPUT: Final = {"gcs_destination": {"uri": RESULTS_URI}, "batch_size": 2}
_TIFF: Final = {"gcs_source": {"uri": DOCUMENT_URI}, "mime_type": "image/tiff"}
_BASES: Final[Mapping[str, dict[str, Any]]] = {
    "BatchAnnotateImages": {"requests": [{"image": {"content": PICTURE}, "features": [LABELS]}]},
    "AsyncBatchAnnotateImages": {
        "requests": [{"image": {"source": {"image_uri": PICTURE_URI}}, "features": [LABELS]}],
        "output_config": _OUTPUT,
    },
    "BatchAnnotateFiles": {"requests": [{"input_config": _TIFF, "features": [TEXT]}]},
    "AsyncBatchAnnotateFiles": {"requests": [{"input_config": _TIFF, "features": [TEXT], "output_config": _OUTPUT}]},
}

_EXAMPLES: Final[Mapping[str, Any]] = {
    "Image.content": PICTURE,
    "ImageSource.image_uri": PICTURE_URI,
    "ImageSource.gcs_image_uri": PICTURE_URI,
    "Feature.type": Feature.TEXT_DETECTION,
    "Feature.model": "builtin/stable",
    "GcsSource.uri": DOCUMENT_URI,
    "GcsDestination.uri": RESULTS_URI,
    "InputConfig.mime_type": "image/tiff",
    "OutputConfig.batch_size": 2,
    "ImageContext.language_hints": "en",
    "TextDetectionParams.advanced_ocr_options": "legacy_layout",
    "ProductSearchParams.product_set": "projects/p/locations/us-west1/productSets/s",
    "ProductSearchParams.product_categories": "apparel-v2",
    "ProductSearchParams.filter": "color = red",
    "BatchAnnotateImagesRequest.parent": "projects/p",
    "AsyncBatchAnnotateImagesRequest.parent": "projects/p/locations/eu",
    "BatchAnnotateFilesRequest.parent": "projects/p/locations/us",
    "AsyncBatchAnnotateFilesRequest.parent": "projects/p/locations/asia",
}
_PLAIN: Final[Mapping[int, Any]] = {
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_INT32: 1,
    FieldDescriptor.TYPE_FLOAT: 0.5,
    FieldDescriptor.TYPE_DOUBLE: 0.5,
    FieldDescriptor.TYPE_ENUM: 1,
}


def _example(field: Any) -> Any:
    """A value of this field that makes sense where it stands; of a list, one element."""
    key = f"{field.containing_type.name}.{field.name}"
    if field.name == "content":
        return PICTURE if key == "Image.content" else DOCUMENT
    if is_map(field):
        return {"team": "tests"}
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return {}
    return _EXAMPLES.get(key, _PLAIN.get(field.type))


def put(request: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The request with this value at that place; what is missing on the way is made."""
    changed = _copied(request)
    target: Any = changed
    for step, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if len(target) <= step:
                target.append(empty)
            target = target[step]
        else:
            target = target.setdefault(step, empty)
    last = path[-1]
    if isinstance(last, int) and len(target) <= last:
        target.append(value)
    else:
        target[last] = value
    return changed


def without(request: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The request with nothing at that place."""
    changed = _copied(request)
    target: Any = changed
    for step in path[:-1]:
        if not _has(target, (step,)):
            return changed
        target = target[step]
    if isinstance(target, dict):
        target.pop(path[-1], None)
    return changed


def _copied(request: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(dict(request))


def full(rpc: str) -> dict[str, Any]:
    """The request with every field present but the other side of what excludes each other."""
    base = request = _BASES[rpc]
    excluded = {
        ("requests", 0, "image", "source" if rpc == "BatchAnnotateImages" else "content"),
        ("requests", 0, "input_config", "content"),
    }
    for place in places(method(rpc).request.DESCRIPTOR):
        if not place.is_message and not any(place.path[: len(path)] == path for path in excluded) and not _has(base, place.path):
            example = _example(place.field)
            request = put(request, place.path, [example] if place.repeated and not is_map(place.field) else example)
    return dict(request)


def _has(request: Any, path: Path) -> bool:
    for step in path:
        if not (step in request if isinstance(request, dict) else isinstance(step, int) and step < len(request)):
            return False
        request = request[step]
    return True


def _at(path: Path) -> str:
    """A place as errors write it: requests[0].image.source.image_uri."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _said(value: Any) -> str:
    """A value as a name shows it, never longer than a few words."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {value[:8].hex()}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:40]}… ({len(value) if isinstance(value, str | list) else len(text)})"


# ---- messages ----

_TEXTS: Final = ("", " ", "text", "ü ☃ 𝄞", "a\tb\nc", "<script>&\u2028", "%2F%00", "x" * 1000, "é" * 5000)
_INTS: Final = (0, 1, -1, 2, 5, 6, 10, 16, 17, 20, 99, 100, 101, 2**31 - 1, -(2**31))
_FLOATS: Final = (0.0, -0.0, 0.1, 1.0, -1.0, 100.0, 181.0, 1e-45, 3.4e38, math.nan, math.inf, -math.inf)
_BYTES: Final = (
    b"",
    b"\0",
    b"no picture",
    PICTURE[:2],
    PICTURE[:-1],
    PICTURE[:54],
    b"%PDF-1.7",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
)


def _values(field: Any) -> Iterable[Any]:
    """What is worth trying in a field of this type: each enum value and unknown ones, the ends of a range, odd texts and bytes."""
    if is_map(field):
        return ({}, {"k": ""}, {"": "v"}, {"": ""}, {"a": "1", "b": "2"})
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return ({},)
        case FieldDescriptor.TYPE_ENUM:
            return (*sorted(field.enum_type.values_by_number), -1, 8, 13, 99, 2**31 - 1)
        case FieldDescriptor.TYPE_STRING:
            return _TEXTS
        case FieldDescriptor.TYPE_BYTES:
            return _BYTES
        case FieldDescriptor.TYPE_BOOL:
            return (False, True)
        case FieldDescriptor.TYPE_INT32:
            return _INTS
    return _FLOATS


def _messages(rpc: str) -> Iterator[MessageVariant]:
    base, everything = _BASES[rpc], full(rpc)
    yield MessageVariant("as it is", base)
    yield MessageVariant("{}", {})
    yield MessageVariant("every field", everything)
    for package in BETAS:
        version = package.rpartition(".")[2]
        yield MessageVariant(f"{version}, as it is", base, package)
        yield MessageVariant(f"{version}, every field", everything, package)
        yield MessageVariant(f"{version}, a bad parent", {**base, "parent": "nowhere"}, package)
    for place in places(method(rpc).request.DESCRIPTOR):
        yield from _of_place(place, base, everything)
    yield from _counts(rpc, base)
    yield from _sized(rpc, base)
    yield from _parents(base)
    yield from _labels(base)
    yield from _features(base)
    yield from _contexts(base)
    yield from _combined(rpc, base)
    if "Images" in rpc:
        yield from _images(base)
    else:
        yield from _files(rpc, base)
    if rpc.startswith("Async"):
        yield from _destinations(rpc, base)


def _of_place(place: Place, base: Mapping[str, Any], everything: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """One field: absent, present, empty, with each value worth trying; alone and in a request that has all the others."""
    path, field, name = place.path, place.field, _at(place.path)
    listed = place.repeated and not is_map(field)
    example = _example(field)
    yield MessageVariant(f"{name} absent", without(base, path))
    yield MessageVariant(f"every field but {name}", without(everything, path))
    yield MessageVariant(f"{name} present", put(base, path, [example] if listed else example))
    if listed:
        yield MessageVariant(f"{name}=[]", put(base, path, []))
        for count in (2, 16, 17):
            yield MessageVariant(f"{name} {count} times", put(base, path, [example] * count))
        yield MessageVariant(f"{name}=[first, empty]", put(base, path, [*_get(base, path, [example]), _zero(field)]))
    for value in _values(field):
        said = f"{name}{'[0]' if listed else ''}={_said(value)}"
        yield MessageVariant(said, put(base, path, [value] if listed else value))
        yield MessageVariant(f"every field, {said}", put(everything, path, [value] if listed else value))


def _get(request: Any, path: Path, default: Any) -> Any:
    for step in path:
        if not _has(request, (step,)):
            return default
        request = request[step]
    return request


def _zero(field: Any) -> Any:
    return {FieldDescriptor.TYPE_MESSAGE: {}, FieldDescriptor.TYPE_STRING: ""}.get(field.type, 0)


def _counts(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """How many requests one call may hold."""
    bounds = {
        "BatchAnnotateImages": (1, limits.IMAGES_PER_CALL_MAX),
        "AsyncBatchAnnotateImages": (1, limits.IMAGES_PER_BATCH_MAX),
        "BatchAnnotateFiles": (1, limits.FILES_PER_CALL_MAX),
        "AsyncBatchAnnotateFiles": (1, 3),
    }
    low, high = bounds[rpc]
    (element,) = base["requests"]
    for count in sorted({low - 1, low, low + 1, high - 1, high, high + 1}):
        yield MessageVariant(f"{count} requests", {**base, "requests": [element] * count})
    for index, spoilt in ((0, {}), (1, {}), (0, {**element, "features": []}), (1, {**element, "features": []})):
        pair = [element, element]
        pair[index] = spoilt
        what = "without features" if spoilt else "empty"
        yield MessageVariant(f"2 requests, requests[{index}] {what}", {**base, "requests": pair})


def _sized(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """The largest picture, and one byte more; once, for it is the slowest thing here."""
    if rpc == "BatchAnnotateImages":
        for count in (limits.IMAGE_BYTES_MAX, TOO_LARGE):
            yield MessageVariant(f"image of {count} bytes", put(base, ("requests", 0, "image", "content"), picture_of_bytes(count)))


_PARENTS: Final = (
    *("", "projects/p", "projects/my-project-1", "projects/123456789", "projects/example.com:p", "projects/-", "projects/P_Q"),
    *(f"projects/p/locations/{location}" for location in ("us", "eu", "asia", "global", "us-west1", "US", "-", "moon", "")),
    *("projects", "projects/", "/projects/p", "projects/p/", "projects//locations/us", "projects/p/locations", "project/p", "p", "/", "//"),
    *(
        "projects/p/locations/us/",
        "projects/p/locations/us/more",
        "projects/p/operations/1",
        "locations/us",
        "organizations/1",
        "folders/1",
    ),
    *(
        "projects/p\n",
        " projects/p",
        "projects/p q",
        "projects/ü",
        "projects/*",
        "projects/{project}",
        "Projects/p",
        "projects/p%2Fq",
        "projects/p?x=1",
    ),
    *("projects/..", "projects/p#f", "projects/" + "p" * 1000),
)


def _parents(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    for parent in _PARENTS:
        yield MessageVariant(f"parent={_said(parent)}", {**base, "parent": parent})


def _labels(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Labels of a request: keys and values at their bounds and of every kind of letter."""
    longest = limits.REQUEST_LABEL_CHARS_MAX
    for count in (1, longest - 1, longest, longest + 1, 128, 129):
        yield MessageVariant(f"labels: key of {count}", {**base, "labels": {"k" * count: "v"}})
        yield MessageVariant(f"labels: value of {count}", {**base, "labels": {"k": "v" * count}})
    for text in ("K", "1k", "_k", "-k", "k.k", "k k", "é", "ключ", "k_k", "k-k", "k1", "k/k", "k\n", "<k>"):
        yield MessageVariant(f"labels: key {_said(text)}", {**base, "labels": {text: "v"}})
        yield MessageVariant(f"labels: value {_said(text)}", {**base, "labels": {"k": text}})
    for count in (63, 64, 65):
        yield MessageVariant(f"labels: {count} of them", {**base, "labels": {f"k{number}": "v" for number in range(count)}})


_TYPES: Final = tuple(sorted(Feature.Type.values()))
_FEATURES: Final = ("requests", 0, "features")


def _features(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Each feature with each number of results and each model; each two features together, in either order and twice."""
    name = Feature.Type.Name
    for kind in (*_TYPES, 99):
        said = name(kind) if kind in _TYPES else kind
        for most in (-(2**31), -1, 0, 1, 2, 10, 11, 100, 101, 2**31 - 1):
            yield MessageVariant(f"{said} max_results={most}", put(base, _FEATURES, [{"type": kind, "max_results": most}]))
        for model in ("builtin/stable", "builtin/latest", "builtin/weekly", "builtin/rc", "builtin/legacy", "BUILTIN/STABLE", "bogus", " "):
            yield MessageVariant(f"{said} model={_said(model)}", put(base, _FEATURES, [{"type": kind, "model": model}]))
    for first in _TYPES:
        for second in _TYPES:
            pair = [{"type": first, "max_results": 1}, {"type": second, "max_results": 3}]
            yield MessageVariant(f"{name(first)} and {name(second)}", put(base, _FEATURES, pair))
    every = [{"type": kind} for kind in _TYPES if kind]
    yield MessageVariant("all features", put(base, _FEATURES, every))
    yield MessageVariant("all features, backwards", put(base, _FEATURES, every[::-1]))
    yield MessageVariant("all features, one result each", put(base, _FEATURES, [{**feature, "max_results": 1} for feature in every]))
    for kind in _TYPES:
        yield MessageVariant(f"all features but {name(kind)}", put(base, _FEATURES, [one for one in every if one["type"] != kind]))


def _polygon(kind: str, *corners: tuple[float, float]) -> dict[str, Any]:
    return {kind: [{"x": x, "y": y} for x, y in corners]}


_PARAMS: Final[Mapping[str, dict[str, Any]]] = {
    "an empty context": {},
    **{
        f"language_hints={_said(hints)}": {"language_hints": hints}
        for hints in (
            ["en"],
            ["en", "de"],
            ["de", "en"],
            ["zh-Hant"],
            ["EN"],
            ["en-t-i0-handwrit"],
            ["xx"],
            [""],
            ["english"],
            ["en"] * 100,
            ["ü"],
        )
    },
    **{
        f"aspect_ratios={_said(ratios)}": {"crop_hints_params": {"aspect_ratios": ratios}}
        for ratios in (
            *([], [1.0], [0.5], [1.77777], [2.0, 0.5], [0.0], [-0.0], [-1.0], [math.nan], [math.inf], [-math.inf], [1e-45], [3.4e38]),
            *([1.0] * 15, [1.0] * 16, [1.0] * 17, [1.0, 0.0], [1.0, -1.0], [1.0] * 16 + [-1.0], [0.01], [100.0]),
        )
    },
    "no crop_hints_params": {"crop_hints_params": {}},
    "include_geo_results": {"web_detection_params": {"include_geo_results": True}},
    "no geo results": {"web_detection_params": {"include_geo_results": False}},
    "confidence score": {"text_detection_params": {"enable_text_detection_confidence_score": True}},
    "no confidence score": {"text_detection_params": {}},
    "legacy_layout": {"text_detection_params": {"advanced_ocr_options": ["legacy_layout"]}},
    "unknown ocr option": {"text_detection_params": {"advanced_ocr_options": ["bogus", ""]}},
    "lat_long_rect": {
        "lat_long_rect": {"min_lat_lng": {"latitude": -91, "longitude": 181}, "max_lat_lng": {"latitude": 91, "longitude": -181}}
    },
    "lat_long_rect upside down": {"lat_long_rect": {"min_lat_lng": {"latitude": 10}, "max_lat_lng": {"latitude": -10}}},
    **{
        f"product_set={_said(name)}": {"product_search_params": {"product_set": name, "product_categories": ["apparel-v2"]}}
        for name in ("", "projects/p/locations/us-west1/productSets/s", "projects/p/locations/us-west1/productSets/", "s", "projects/p")
    },
    **{
        f"product_categories={_said(names)}": {
            "product_search_params": {"product_set": "projects/p/locations/us-west1/productSets/s", **names}
        }
        for names in ({}, *({"product_categories": [kind]} for kind in ("apparel", "homegoods", "toys-v2", "general-v1", "bogus", "")))
    },
    **{
        f"filter={_said(text)}": {"product_search_params": {"product_set": "projects/p/locations/us-west1/productSets/s", "filter": text}}
        for text in ("color = red", "(color = red OR color = blue) AND brand = x", "color =", "= red", "((", "color == red", "a" * 1000)
    },
    **{
        f"bounding_poly {name}": {"product_search_params": {"product_categories": ["toys-v2"], "bounding_poly": polygon}}
        for name, polygon in {
            "empty": {},
            "in pixels": _polygon("vertices", (0, 0), (9, 0), (9, 9), (0, 9)),
            "in fractions": _polygon("normalized_vertices", (0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)),
            "in both": _polygon("vertices", (0, 0), (9, 9)) | _polygon("normalized_vertices", (0, 0), (1, 1)),
            "of one point": _polygon("vertices", (1, 1)),
            "outside": _polygon("vertices", (-5, -5), (2**31 - 1, -(2**31))),
            "beyond one": _polygon("normalized_vertices", (-1, 2), (math.nan, math.inf)),
        }.items()
    },
}  # parts of an image context, by name


def _contexts(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Each part of an image context with each feature it is for and some it is not for."""
    every = [{"type": kind} for kind in _TYPES if kind]
    for name, context in _PARAMS.items():
        with_context = put(base, ("requests", 0, "image_context"), context)
        for kind in _interested(context):
            yield MessageVariant(f"{Feature.Type.Name(kind)} with {name}", put(with_context, _FEATURES, [{"type": kind}]))
        yield MessageVariant(f"all features with {name}", put(with_context, _FEATURES, every))


def _interested(context: Mapping[str, Any]) -> tuple[int, ...]:
    """The features that read this part of a context, and one that reads nothing."""
    readers = {
        "language_hints": (Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION),
        "crop_hints_params": (Feature.CROP_HINTS, Feature.IMAGE_PROPERTIES),
        "web_detection_params": (Feature.WEB_DETECTION,),
        "text_detection_params": (Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION),
        "lat_long_rect": (Feature.LANDMARK_DETECTION,),
        "product_search_params": (Feature.PRODUCT_SEARCH,),
    }
    return (Feature.FACE_DETECTION, *(kind for field in context for kind in readers[field]))


def _combined(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Each two top-level faults and fields at once: which of two violations is told first."""
    faults = {
        "a bad parent": (("parent",), "nowhere"),
        "a good parent": (("parent",), "projects/p/locations/eu"),
        "no requests": (("requests",), []),
        "no features": (_FEATURES, []),
        "an unknown feature": (_FEATURES, [{"type": 99}]),
        "two features": (_FEATURES, [LABELS, TEXT]),
        "no output": (("output_config",), {}),
        "a bad output": (("output_config", "gcs_destination", "uri"), "results"),
        "a bad batch size": (("output_config", "batch_size"), 101),
        "no image": (("requests", 0, "image"), {}),
        "a missing image": (("requests", 0, "image"), {"source": {"image_uri": "gs://inputs/none.bmp"}}),
        "no input": (("requests", 0, "input_config"), {}),
        "a missing input": (("requests", 0, "input_config", "gcs_source", "uri"), "gs://inputs/none.tiff"),
        "a bad mime type": (("requests", 0, "input_config", "mime_type"), "text/plain"),
        "a bad page": (("requests", 0, "pages"), [0]),
        "no file output": (("requests", 0, "output_config"), {}),
        "a bad file batch size": (("requests", 0, "output_config", "batch_size"), 101),
        "labels": (("labels",), {"K" * 64: "V"}),
    }
    fitting = {name: fault for name, fault in faults.items() if _fits(method(rpc).request.DESCRIPTOR, fault[0])}
    for first, (path, value) in fitting.items():
        for second, (other_path, other) in fitting.items():
            if first < second and path[: len(other_path)] != other_path and other_path[: len(path)] != path:
                yield MessageVariant(f"{first} and {second}", put(put(base, path, value), other_path, other))


def _fits(descriptor: Any, path: Path) -> bool:
    """Whether requests of this type have the field."""
    for step in path:
        if isinstance(step, str):
            if step not in descriptor.fields_by_name:
                return False
            descriptor = descriptor.fields_by_name[step].message_type
    return True


_OBJECTS: Final = (
    *(
        "picture.bmp",
        "two-pages.tiff",
        "wide picture ü.bmp",
        "wide%20picture%20%C3%BC.bmp",
        "none.bmp",
        "empty.bmp",
        "broken.bmp",
        "text.txt",
    ),
    *(
        "",
        "/picture.bmp",
        "./picture.bmp",
        "../inputs/picture.bmp",
        "*.bmp",
        "picture.bmp?x=1",
        "picture.bmp#1",
        "picture.bmp ",
        "pic\nture.bmp",
    ),
    *("o" * limits.OBJECT_NAME_BYTES_MAX, "o" * (limits.OBJECT_NAME_BYTES_MAX + 1), "é" * 3000),
)  # names in the bucket ``inputs``
_URIS: Final = (
    *("", " ", "x", *(f"gs://inputs/{name}" for name in _OBJECTS), " gs://inputs/picture.bmp", "gs://inputs", "gs://", "gs:///picture.bmp"),
    *("gs:/inputs/picture.bmp", "gs:inputs/picture.bmp", "GS://inputs/picture.bmp", "//inputs/picture.bmp", "inputs/picture.bmp"),
    *("gs://INPUTS/picture.bmp", "gs://nowhere/picture.bmp", "gs://in\0puts/o", "gs://" + "b" * 300 + "/o", "s3://inputs/picture.bmp"),
    *(
        "http://localhost/x.jpg",
        "https://example.com/x.jpg",
        "http://example.com",
        "https://",
        "http://user:pass@example.com/x",
        "http://[::1",
    ),
    *("http://169.254.169.254/", "ftp://example.com/x", "file:///etc/passwd", "data:image/png;base64,AAAA", "javascript:alert(1)"),
)


def _images(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Where an image comes from: each form of URI in both fields, and each two of the three sources."""
    image = ("requests", 0, "image")
    for uri in _URIS:
        yield MessageVariant(f"image_uri={_said(uri)}", put(base, image, {"source": {"image_uri": uri}}))
        yield MessageVariant(f"gcs_image_uri={_said(uri)}", put(base, image, {"source": {"gcs_image_uri": uri}}))
    for content in _BYTES:
        yield MessageVariant(f"content={_said(content)}, no source", put(base, image, {"content": content}))
        yield MessageVariant(
            f"content={_said(content)} and a source", put(base, image, {"content": content, "source": {"image_uri": PICTURE_URI}})
        )
    good, missing, bad = PICTURE_URI, "gs://inputs/none.bmp", "bad"
    for first in ("", good, missing, bad):
        for second in ("", good, missing, bad):
            source = {"image_uri": first, "gcs_image_uri": second}
            yield MessageVariant(f"image_uri={_said(first)} and gcs_image_uri={_said(second)}", put(base, image, {"source": source}))
            both = {"content": PICTURE, "source": source}
            yield MessageVariant(f"content, image_uri={_said(first)} and gcs_image_uri={_said(second)}", put(base, image, both))


def _files(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Where a document comes from, what it says it is, and which pages are asked for."""
    config = ("requests", 0, "input_config")
    for uri in (*_URIS, PDF_URI, "gs://inputs/broken.pdf"):
        for kind in ("image/tiff", "application/pdf"):
            yield MessageVariant(f"{kind} at {_said(uri)}", put(base, config, {"gcs_source": {"uri": uri}, "mime_type": kind}))
    kinds = (
        "",
        "application/pdf",
        "image/tiff",
        "image/gif",
        "image/tif",
        "image/png",
        "image/jpeg",
        "text/plain",
        "IMAGE/TIFF",
        " image/tiff",
        "*/*",
        "pdf",
    )
    for kind in kinds:
        for name in ("two-pages.tiff", "seven-frames.gif", "seven-pages.pdf", "picture.bmp"):
            yield MessageVariant(
                f"{name} as {_said(kind)}", put(base, config, {"gcs_source": {"uri": f"gs://inputs/{name}"}, "mime_type": kind})
            )
    for content in (*_BYTES, DOCUMENT, b"%PDF-1.7\n" + bytes(100)):
        for kind in ("image/tiff", "application/pdf", "image/gif", ""):
            alone = {"content": content, "mime_type": kind}
            yield MessageVariant(f"content={_said(content)} as {_said(kind)}", put(base, config, alone))
            both = alone | {"gcs_source": {"uri": DOCUMENT_URI}}
            yield MessageVariant(f"content={_said(content)} as {_said(kind)} and a gcs_source", put(base, config, both))
    if rpc == "BatchAnnotateFiles":
        yield from _pages(base)


def _pages(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    most = limits.PAGES_PER_CALL_MAX
    chosen = [
        *([page] for page in (0, 1, 2, 3, 6, 7, 8, -1, -2, -3, -6, -7, -8, 2000, 2001, 2**31 - 1, -(2**31))),
        *(list(range(1, count + 1)) for count in (0, 2, most - 1, most, most + 1, 7, 8)),
        *([1, 1], [2, 1], [1, -1], [-1, 1], [1, 0], [7, -1], [1, 8], [8, 9], [-1, -2, -3], [1] * most, [1] * (most + 1), [1, 2, 3, 4, 8]),
    ]
    for name, kind in (("seven-pages.tiff", "image/tiff"), ("seven-frames.gif", "image/gif"), ("seven-pages.pdf", "application/pdf")):
        seven = put(base, ("requests", 0, "input_config"), {"gcs_source": {"uri": f"gs://inputs/{name}"}, "mime_type": kind})
        for pages in chosen:
            yield MessageVariant(f"{name} pages={pages}", put(seven, ("requests", 0, "pages"), pages))


def _destinations(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Where results go, and how many to a file."""
    output: Path = ("output_config",) if rpc == "AsyncBatchAnnotateImages" else ("requests", 0, "output_config")
    uris = (
        "gs://results/",
        "gs://results",
        "gs://results/a",
        "gs://results/a/",
        "gs://results/a b/ü-",
        "gs://results//",
        "gs://results/" + "o" * 1000,
    )
    for uri in (*uris, *_URIS):
        yield MessageVariant(f"destination {_said(uri)}", put(base, (*output, "gcs_destination", "uri"), uri))
    (element,) = base["requests"]
    for size in (-(2**31), -1, 0, 1, 2, 3, 4, 19, 20, 21, 99, 100, 101, 2**31 - 1):
        sized = put(base, (*output, "batch_size"), size)
        yield MessageVariant(f"{_at(output)}.batch_size={size}", sized)
        for count in (2, 3, 5) if rpc == "AsyncBatchAnnotateImages" else (2,):
            yield MessageVariant(
                f"{count} requests, batch_size={size}", {**sized, "requests": _get(sized, ("requests",), [element]) * count}
            )


# ---- texts ----

_WRONG: Final = (
    *("null", "true", "0", "1", "-1", "1.5", "1e2", "2147483648", "1e400"),
    *('""', '"text"', '"1"', '"1.5"', '"true"', '"NaN"', '"\\ud800"'),
    *("[]", "[null]", "[[]]", "[1]", '["text"]', "[{}]", "{}", '{"x": 1}'),
)
_WRONG_KINDS: Final = ("null", "true", "1", '"text"', "[[]]", '{"x": 1}')
_MARK: Final = "\ue000"  # stands where raw text will be
_UNKNOWN: Final = ('"bogus": 1', '"bogus": {}', '"bogus": null', '"": 1', '"Bogus Ü<>": [1]', '"@type": "x"', '"' + "b" * 200 + '": 1')


def _texts(rpc: str) -> Iterator[JsonVariant]:
    base = _plain(_BASES[rpc])
    verb, path = method(rpc).bindings[0].verb, method(rpc).bindings[0].path

    def variant(name: str, text: str | bytes, path: str = path) -> JsonVariant:
        return JsonVariant(f"JSON: {name}", verb, path, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    for place in places(method(rpc).request.DESCRIPTOR):
        shared = rpc != "BatchAnnotateImages" and "image_context" in place.path[:-1]  # the same type in all: once in full will do
        for name, text in _of_value(place, base, _WRONG_KINDS if shared else _WRONG):
            yield variant(name, text)
        for name, text in _of_key(place, base):
            if not shared or name.endswith(("twice", "in both spellings")):
                yield variant(name, text)
    for name, text in _unknown(rpc, base):
        yield variant(name, text)
    for name, body in _bodies(base):
        yield variant(name, body)
    for name, other in _paths(path):
        yield variant(name, json.dumps(base), other)
        yield variant(f"{name}, a parent in the body too", json.dumps({**base, "parent": "projects/q"}), other)


def _plain(value: Any) -> Any:
    """A request as JSON says it."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _raw(base: Mapping[str, Any], path: Path, text: str) -> str:
    """The request's JSON with raw text in place of a value."""
    return json.dumps(put(base, path, _MARK), ensure_ascii=False).replace(f'"{_MARK}"', text)


def _of_value(place: Place, base: Mapping[str, Any], wrong: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each kind of JSON value in one field, in its list and in its map."""
    spots = [place.path]
    if is_map(place.field):
        spots.append((*place.path, "key"))
    elif place.repeated:
        spots.append((*place.path, 0))
    for path in spots:
        for text in wrong:
            yield f"{_at(path)}: {text}", _raw(base, path, text)
    if place.repeated and not is_map(place.field):
        yield f"{_at(place.path)}: [null, value]", _raw(base, place.path, f"[null, {json.dumps(_json_example(place, base))}]")
        yield f"{_at(place.path)}: a value for its list", _raw(base, place.path, json.dumps(_json_example(place, base)))
    special: Iterable[str] = ()
    if place.field.type == FieldDescriptor.TYPE_ENUM:
        special = _enum_texts(place.field.enum_type)
    elif place.field.type == FieldDescriptor.TYPE_BYTES:
        special = _base64_texts()
    for text in special:
        yield f"{_at(place.path)}: {_short(text)}", _raw(base, place.path, text)


def _json_example(place: Place, base: Mapping[str, Any]) -> Any:
    (first, *_) = _get(base, place.path, [_plain(_example(place.field))])
    return first


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:30]}… ({len(text)})"


def _enum_texts(enum: Any) -> Iterator[str]:
    """A value by name in any case, by number, by its number in a text; and what is none."""
    for number, value in sorted(enum.values_by_number.items()):
        for form in (
            value.name,
            value.name.lower(),
            value.name.title(),
            value.name.replace("_", "-"),
            f" {value.name}",
            str(number),
            f"{number}.0",
        ):
            yield json.dumps(form)
        yield from (str(number), f"{number}.0", f"{number}.5", f"{number}e0")
    yield from ('"BOGUS"', '"8"', '"99"', '"-1"', "8", "99", "-1", "2147483647", "-2147483649", '"0x1"', '"1 "', '"TYPE"')


def _base64_texts() -> Iterator[str]:
    """Base64 in either alphabet, padded or not, with white space; and what is none."""
    good = base64.b64encode(PICTURE).decode()
    yield from (
        f'"{good}"',
        f'"{good.rstrip("=")}"',
        f'"{good}="',
        f'"{good[:10]} {good[10:]}"',
        f'"{good[:10]}\\n{good[10:]}"',
        f'" {good} "',
    )
    yield from (
        '"-_-_"',
        '"+/+/"',
        '"-_+/"',
        '"A"',
        '"AA"',
        '"AAA"',
        '"AAAA"',
        '"AA=="',
        '"AA="',
        '"AA==="',
        '"="',
        '"===="',
        '"AB=="',
        '"AAB="',
    )
    yield from (
        f'"data:image/png;base64,{good}"',
        '"data:image/png;base64,"',
        '"A*=="',
        '"ÄÄÄÄ"',
        '"<svg>"',
        '"AA==AA=="',
        '"AAAAA"',
        '"\\u0041AAA"',
    )


def _of_key(place: Place, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A field under each spelling of its name, under two at once, and twice."""
    *above, name = place.path
    assert isinstance(name, str)
    camel, where = place.field.json_name, _at(place.path)
    example = _example(place.field)
    value = json.dumps(_get(base, place.path, _plain([example] if place.repeated and not is_map(place.field) else example)))
    rest = without(base, place.path)
    spellings = dict.fromkeys((name, camel, name.upper(), camel.capitalize(), name.replace("_", "-"), f" {name}", f"{name}_", name[:-1]))
    for key in (*map(json.dumps, spellings), f'"\\u{ord(name[0]):04x}{name[1:]}"'):
        yield f"{where} as {key}", _raw_member(rest, above, f"{key}: {value}")
    yield f"{where} twice", _raw_member(rest, above, f'"{name}": {value}, "{name}": {value}')
    yield f"{where}, then null", _raw_member(rest, above, f'"{name}": {value}, "{name}": null')
    yield f"{where}, after a wrong one", _raw_member(rest, above, f'"{name}": [[]], "{name}": {value}')
    if camel != name:
        yield f"{where} in both spellings", _raw_member(rest, above, f'"{name}": {value}, "{camel}": {value}')


def _raw_member(base: Mapping[str, Any], above: Iterable[str | int], members: str) -> str:
    """The request's JSON with raw members in one of its objects."""
    return json.dumps(put(base, (*above, _MARK), _MARK), ensure_ascii=False).replace(f'"{_MARK}": "{_MARK}"', members)


def _unknown(rpc: str, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A name that no message has, at each depth, in each form; two at once; one beside a wrong value."""
    objects: list[Path] = [()]
    objects += [(*place.path, 0) if place.repeated else place.path for place in places(method(rpc).request.DESCRIPTOR) if place.is_message]
    for path in objects:
        where = _at(path) or "the top"
        for members in _UNKNOWN:
            yield f"{_short(members)} in {where}", _raw_member(base, path, members)
        yield f"two unknown names in {where}", _raw_member(base, path, '"bogus": 1, "bad": 2')
        yield f"an unknown name in {where} and at the top", _raw_member({**base, "bogus": 1}, path, '"bad": 2')
        yield f"an unknown name in {where}, parent=1", _raw_member({**base, "parent": 1}, path, '"bad": 2')


def _bodies(base: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes]]:
    """Whole bodies: not JSON, not an object, not UTF-8, odd but right, deep."""
    text = json.dumps(base)
    for body in (
        "",
        " ",
        "\n",
        "null",
        "true",
        "1",
        '"x"',
        "[]",
        "[{}]",
        "{}",
        "{ }",
        "{",
        "}",
        "{}}",
        "{}x",
        "{},",
        '{"',
        '{"requests',
        '{"requests"',
        '{"requests":',
    ):
        yield f"body {body!r}", body
    for body in (
        "{'requests': []}",
        "{requests: []}",
        '{"requests": [],}',
        '{"requests": [,]}',
        '{"requests": []]',
        '{"requests" []}',
        '{"requests": [] "parent": ""}',
    ):
        yield f"body {body!r}", body
    for body in (
        '{"parent": NaN}',
        '{"parent": Infinity}',
        '{"parent": 01}',
        '{"parent": +1}',
        '{"parent": .5}',
        '{"parent": 1.}',
        '{"parent": 0x1}',
        '{"parent": 1e}',
    ):
        yield f"body {body!r}", body
    for body in (
        '{"parent": "\\x"}',
        '{"parent": "\\u12"}',
        '{"parent": "a\nb"}',
        '{"parent": "a\tb"}',
        '{"parent": "',
        '{"parent": tru}',
        '{"parent": True}',
        '{"parent": None}',
    ):
        yield f"body {body!r}", body
    for body in (
        "/* c */ {}",
        "// c\n{}",
        "{} // c",
        "# c\n{}",
        '{"a": 1 /* c */}',
        ")]}'\n{}",
        "\u00a0{}",
        "<requests/>",
        "requests=1&parent=2",
        "\0",
        "{}\0",
        "{}\n\n",
    ):
        yield f"body {body!r}", body
    yield "body cut in the middle", text[: len(text) // 2]
    yield "body cut at its end", text[:-1]
    yield "body twice", text + text
    yield "body indented", json.dumps(base, indent=2)
    yield "body with every character escaped in its keys", text.replace('"requests"', '"\\u0072\\u0065quests"')
    yield "body with white space of every kind", f"\t\r\n {text} \t\r\n"
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        yield f"body in {encoding}", text.encode(encoding)
    for name, raw in {
        "latin-1": b'{"parent": "\xfc"}',
        "a cut sequence": b'{"parent": "\xc3',
        "an overlong sequence": b'{"parent": "\xc0\xaf"}',
    }.items():
        yield f"body of {name}", raw
    for depth in (10, 50, 99, 100, 101, 200, 1000, 10_000):
        yield f"unknown lists {depth} deep", f'{{"bogus": {"[" * depth}{"]" * depth}}}'
        yield f"unknown objects {depth} deep", '{"bogus": ' * depth + "1" + "}" * depth
        yield f"requests {depth} lists deep", f'{{"requests": {"[" * depth}{"]" * depth}}}'
    for count in (10, 999, 1001):
        yield f"{count} unknown names", json.dumps({f"bogus{number}": 1 for number in range(count)})
        yield f"{count} wrong requests", json.dumps({"requests": [1] * count})


def _paths(path: str) -> Iterator[tuple[str, str]]:
    """The URLs that name a parent, in every version, and URLs that name nothing."""
    verb = path.removeprefix("/v1/")
    for parent in (
        "projects/p",
        "projects/p/locations/eu",
        "projects/p/locations/moon",
        "projects/-",
        "projects/p%2Fq",
        "projects/ü",
        "projects/a:b",
    ):
        yield f"POST /v1/{parent}/{verb}", f"/v1/{parent}/{verb}".replace("ü", "%C3%BC")
    for other in ("projects//", "projects/p/locations//", "project/p/", "projects/p/locations/", "projects/p/q/", "/"):
        yield f"POST /v1/{other}{verb}", f"/v1/{other}{verb}"
    for version in ("v1p1beta1", "v1p2beta1", "v1p3beta1", "v1p4beta1"):
        yield f"POST /{version}/{verb}", f"/{version}/{verb}"
        yield f"POST /{version}/projects/p/locations/us/{verb}", f"/{version}/projects/p/locations/us/{verb}"
    for other in (
        "/v2/" + verb,
        "/v1p5beta1/" + verb,
        f"/v1/{verb}x",
        f"/v1/{verb}/",
        f"/V1/{verb}",
        f"/v1/{verb.upper()}",
        f"/v1/{verb.replace(':', '%3A')}",
    ):
        yield f"POST {other}", other
    for query in (
        "bogus=1",
        "parent=projects/q",
        "requests=1",
        "alt=json",
        "$alt=json;enum-encoding=int",
        "prettyPrint=false",
        "key=k&quotaUser=u&$.xgafv=2",
    ):
        yield f"POST ?{query}", f"{path}?{query}"


# ---- operations ----

_NAMES: Final = (
    *(
        form + f"operations/{{{state}}}"
        for state in STAGED
        for form in ("", "projects/p/", "projects/p/locations/us/", "locations/us/", "projects/other/")
    ),
    *(
        "",
        "operations",
        "operations/",
        "operations/0",
        "operations/0000000000000000",
        "projects/p/operations/0",
        "projects/p/operations",
        "operations/a/b",
    ),
    *(
        "/operations/1",
        "operations/1/",
        "operation/1",
        "projects//operations/1",
        "projects/p/locations/us/operations/1",
        "locations/us/operations/1",
    ),
    *(
        "projects/p/locations//operations/1",
        "operations/ü",
        "operations/a b",
        "operations/*",
        "operations/%2F",
        "operations/" + "x" * 1000,
        "x",
        "/",
        " ",
    ),
    *(
        "operations/1:cancel",
        "operations/1?x",
        "operations/1#x",
        "Operations/1",
        "OPERATIONS/{done}",
        "operations/{done} ",
        "operations/x{done}",
    ),
)


def _operations(rpc: str) -> Iterator[MessageVariant]:
    if rpc == "ListOperations":
        yield from _lists()
        return
    for name in _NAMES:
        if rpc != "WaitOperation" or "{running}" not in name:
            yield MessageVariant(f"name={_said(name)}", {"name": name})
    if rpc == "WaitOperation":
        for state in STAGED:
            for seconds, nanos in ((0, 0), (0, 1), (0, -1), (-1, 0), (-(10**12), 0)):
                fields = {"name": f"operations/{{{state}}}", "timeout": {"seconds": seconds, "nanos": nanos}}
                yield MessageVariant(f"{state}, timeout={seconds}s {nanos}ns", fields)
        for seconds in (1, 3600, 315576000000, 10**12, 2**63 - 1, -(2**63)):
            yield MessageVariant(f"done, timeout={seconds}s", {"name": "operations/{done}", "timeout": {"seconds": seconds}})


def _lists() -> Iterator[MessageVariant]:
    base = {"name": "operations"}
    for name in (
        "",
        "operations",
        "projects/p",
        "projects/p/locations/us",
        "projects/other",
        "projects",
        "nothing",
        "projects/p/operations",
        "locations/us",
    ):
        yield MessageVariant(f"name={_said(name)}", {"name": name})
    filters = (
        "",
        "done:true",
        "done:false",
        "done=true",
        "DONE:TRUE",
        " done : true ",
        "done",
        "done:",
        "done:maybe",
        "done:true AND done:false",
        "name:x",
        "☃",
        "x" * 5000,
    )
    for text in filters:
        for size in (0, 1):
            yield MessageVariant(f"filter={_said(text)} page_size={size}", {**base, "filter": text, "page_size": size})
    for size in _INTS:
        for token in ("", "1", "2"):
            yield MessageVariant(f"page_size={size} page_token={_said(token)}", {**base, "page_size": size, "page_token": token})
    for token in ("0", "3", "4", "5", "999", "-1", "x", "1.0", " 1", "٣", "9" * 9, "9" * 10, "1" * 5000, "é"):
        yield MessageVariant(f"page_token={_said(token)}", {**base, "page_token": token})
    for partial in (False, True):
        yield MessageVariant(f"return_partial_success={partial}", {**base, "return_partial_success": partial})
