"""Requests as messages: each field absent, present, empty and odd; each bound from both sides; what excludes or outranks each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from samples import DOCUMENT, DOCUMENT_URI, PDF_URI, PICTURE, PICTURE_URI, TOO_LARGE, picture_of_bytes
from shapes import BASES, LABELS, TEXT, Path, Place, at, example, full, get, method, places, put, said, without

from vision_emulator.contract import limits
from vision_emulator.contract.json_reader import is_map
from vision_emulator.contract.messages import BETAS, V1, Feature


@dataclass(frozen=True, slots=True)
class MessageVariant:
    """A request as a message."""

    name: str
    fields: Mapping[str, Any]  # what the message's constructor takes
    package: str = V1


TEXTS: Final = ("", " ", "text", "ü ☃ 𝄞", "a\tb\nc", "<script>&\u2028", "%2F%00", "x" * 1000, "é" * 5000)
INTS: Final = (0, 1, -1, 2, 5, 6, 10, 16, 17, 20, 99, 100, 101, 2**31 - 1, -(2**31))
FLOATS: Final = (0.0, -0.0, 0.1, 1.0, -1.0, 100.0, 181.0, 1e-45, 3.4e38, math.nan, math.inf, -math.inf)
BYTES: Final = (
    b"", b"\0", b"no picture", PICTURE[:2], PICTURE[:-1], PICTURE[:54], b"%PDF-1.7", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff",
)  # fmt: skip


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
            return TEXTS
        case FieldDescriptor.TYPE_BYTES:
            return BYTES
        case FieldDescriptor.TYPE_BOOL:
            return (False, True)
        case FieldDescriptor.TYPE_INT32:
            return INTS
    return FLOATS


def message_variants(rpc: str) -> Iterator[MessageVariant]:
    base, everything = BASES[rpc], full(rpc)
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
    path, field, name = place.path, place.field, at(place.path)
    listed = place.repeated and not is_map(field)
    one = example(field)
    yield MessageVariant(f"{name} absent", without(base, path))
    yield MessageVariant(f"every field but {name}", without(everything, path))
    yield MessageVariant(f"{name} present", put(base, path, [one] if listed else one))
    if listed:
        yield MessageVariant(f"{name}=[]", put(base, path, []))
        for count in (2, 16, 17):
            yield MessageVariant(f"{name} {count} times", put(base, path, [one] * count))
        yield MessageVariant(f"{name}=[first, empty]", put(base, path, [*get(base, path, [one]), _zero(field)]))
    for value in _values(field):
        shown = f"{name}{'[0]' if listed else ''}={said(value)}"
        yield MessageVariant(shown, put(base, path, [value] if listed else value))
        yield MessageVariant(f"every field, {shown}", put(everything, path, [value] if listed else value))


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
    "", "projects/p", "projects/my-project-1", "projects/123456789", "projects/example.com:p", "projects/-", "projects/P_Q",
    *(f"projects/p/locations/{location}" for location in ("us", "eu", "asia", "global", "us-west1", "US", "-", "moon", "")),
    "projects", "projects/", "/projects/p", "projects/p/", "projects//locations/us", "projects/p/locations", "project/p", "p", "/", "//",
    "projects/p/locations/us/", "projects/p/locations/us/more", "projects/p/operations/1", "locations/us", "organizations/1", "folders/1",
    "projects/p\n", " projects/p", "projects/p q", "projects/ü", "projects/*", "projects/{project}", "Projects/p", "projects/p%2Fq",
    "projects/p?x=1", "projects/..", "projects/p#f", "projects/" + "p" * 1000,
)  # fmt: skip


def _parents(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    for parent in _PARENTS:
        yield MessageVariant(f"parent={said(parent)}", {**base, "parent": parent})


def _labels(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Labels of a request: keys and values at their bounds and of every kind of letter."""
    longest = limits.REQUEST_LABEL_CHARS_MAX
    for count in (1, longest - 1, longest, longest + 1, 128, 129):
        yield MessageVariant(f"labels: key of {count}", {**base, "labels": {"k" * count: "v"}})
        yield MessageVariant(f"labels: value of {count}", {**base, "labels": {"k": "v" * count}})
    for text in ("K", "1k", "_k", "-k", "k.k", "k k", "é", "ключ", "k_k", "k-k", "k1", "k/k", "k\n", "<k>"):
        yield MessageVariant(f"labels: key {said(text)}", {**base, "labels": {text: "v"}})
        yield MessageVariant(f"labels: value {said(text)}", {**base, "labels": {"k": text}})
    for count in (63, 64, 65):
        yield MessageVariant(f"labels: {count} of them", {**base, "labels": {f"k{number}": "v" for number in range(count)}})


_TYPES: Final = tuple(sorted(Feature.Type.values()))
_FEATURES: Final = ("requests", 0, "features")


def _features(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Each feature with each number of results and each model; each two features together, in either order and twice."""
    name = Feature.Type.Name
    for kind in (*_TYPES, 99):
        shown = name(kind) if kind in _TYPES else kind
        for most in (-(2**31), -1, 0, 1, 2, 10, 11, 100, 101, 2**31 - 1):
            yield MessageVariant(f"{shown} max_results={most}", put(base, _FEATURES, [{"type": kind, "max_results": most}]))
        for model in ("builtin/stable", "builtin/latest", "builtin/weekly", "builtin/rc", "builtin/legacy", "BUILTIN/STABLE", "bogus", " "):
            yield MessageVariant(f"{shown} model={said(model)}", put(base, _FEATURES, [{"type": kind, "model": model}]))
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
        f"language_hints={said(hints)}": {"language_hints": hints}
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
        f"aspect_ratios={said(ratios)}": {"crop_hints_params": {"aspect_ratios": ratios}}
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
        f"product_set={said(name)}": {"product_search_params": {"product_set": name, "product_categories": ["apparel-v2"]}}
        for name in ("", "projects/p/locations/us-west1/productSets/s", "projects/p/locations/us-west1/productSets/", "s", "projects/p")
    },
    **{
        f"product_categories={said(names)}": {
            "product_search_params": {"product_set": "projects/p/locations/us-west1/productSets/s", **names}
        }
        for names in ({}, *({"product_categories": [kind]} for kind in ("apparel", "homegoods", "toys-v2", "general-v1", "bogus", "")))
    },
    **{
        f"filter={said(text)}": {"product_search_params": {"product_set": "projects/p/locations/us-west1/productSets/s", "filter": text}}
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


_OBJECTS: Final = (  # names in the bucket ``inputs``
    "picture.bmp", "two-pages.tiff", "wide picture ü.bmp", "wide%20picture%20%C3%BC.bmp", "none.bmp", "empty.bmp", "broken.bmp", "text.txt",
    "", "/picture.bmp", "./picture.bmp", "../inputs/picture.bmp", "*.bmp", "picture.bmp?x=1", "picture.bmp#1", "picture.bmp ",
    "pic\nture.bmp", "o" * limits.OBJECT_NAME_BYTES_MAX, "o" * (limits.OBJECT_NAME_BYTES_MAX + 1), "é" * 3000,
)  # fmt: skip
_URIS: Final = (
    "", " ", "x", *(f"gs://inputs/{name}" for name in _OBJECTS), " gs://inputs/picture.bmp", "gs://inputs", "gs://", "gs:///picture.bmp",
    "gs:/inputs/picture.bmp", "gs:inputs/picture.bmp", "GS://inputs/picture.bmp", "//inputs/picture.bmp", "inputs/picture.bmp",
    "gs://INPUTS/picture.bmp", "gs://nowhere/picture.bmp", "gs://in\0puts/o", "gs://" + "b" * 300 + "/o", "s3://inputs/picture.bmp",
    "http://localhost/x.jpg", "https://example.com/x.jpg", "http://example.com", "https://", "http://user:pass@example.com/x", "http://[::1",
    "http://169.254.169.254/", "ftp://example.com/x", "file:///etc/passwd", "data:image/png;base64,AAAA", "javascript:alert(1)",
)  # fmt: skip
_MIME_TYPES: Final = (
    "", "application/pdf", "image/tiff", "image/gif", "image/tif", "image/png", "image/jpeg", "text/plain",
    "IMAGE/TIFF", " image/tiff", "*/*", "pdf",
)  # fmt: skip
_DESTINATIONS: Final = (
    "gs://results/", "gs://results", "gs://results/a", "gs://results/a/", "gs://results/a b/ü-", "gs://results//",
    "gs://results/" + "o" * 1000,
)  # fmt: skip


def _images(base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Where an image comes from: each form of URI in both fields, and each two of the three sources."""
    image = ("requests", 0, "image")
    for uri in _URIS:
        yield MessageVariant(f"image_uri={said(uri)}", put(base, image, {"source": {"image_uri": uri}}))
        yield MessageVariant(f"gcs_image_uri={said(uri)}", put(base, image, {"source": {"gcs_image_uri": uri}}))
    for content in BYTES:
        yield MessageVariant(f"content={said(content)}, no source", put(base, image, {"content": content}))
        yield MessageVariant(
            f"content={said(content)} and a source", put(base, image, {"content": content, "source": {"image_uri": PICTURE_URI}})
        )
    good, missing, bad = PICTURE_URI, "gs://inputs/none.bmp", "bad"
    for first in ("", good, missing, bad):
        for second in ("", good, missing, bad):
            source = {"image_uri": first, "gcs_image_uri": second}
            yield MessageVariant(f"image_uri={said(first)} and gcs_image_uri={said(second)}", put(base, image, {"source": source}))
            both = {"content": PICTURE, "source": source}
            yield MessageVariant(f"content, image_uri={said(first)} and gcs_image_uri={said(second)}", put(base, image, both))


def _files(rpc: str, base: Mapping[str, Any]) -> Iterator[MessageVariant]:
    """Where a document comes from, what it says it is, and which pages are asked for."""
    config = ("requests", 0, "input_config")
    for uri in (*_URIS, PDF_URI, "gs://inputs/broken.pdf"):
        for kind in ("image/tiff", "application/pdf"):
            yield MessageVariant(f"{kind} at {said(uri)}", put(base, config, {"gcs_source": {"uri": uri}, "mime_type": kind}))
    for kind in _MIME_TYPES:
        for name in ("two-pages.tiff", "seven-frames.gif", "seven-pages.pdf", "picture.bmp"):
            yield MessageVariant(
                f"{name} as {said(kind)}", put(base, config, {"gcs_source": {"uri": f"gs://inputs/{name}"}, "mime_type": kind})
            )
    for content in (*BYTES, DOCUMENT, b"%PDF-1.7\n" + bytes(100)):
        for kind in ("image/tiff", "application/pdf", "image/gif", ""):
            alone = {"content": content, "mime_type": kind}
            yield MessageVariant(f"content={said(content)} as {said(kind)}", put(base, config, alone))
            both = alone | {"gcs_source": {"uri": DOCUMENT_URI}}
            yield MessageVariant(f"content={said(content)} as {said(kind)} and a gcs_source", put(base, config, both))
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
    for uri in (*_DESTINATIONS, *_URIS):
        yield MessageVariant(f"destination {said(uri)}", put(base, (*output, "gcs_destination", "uri"), uri))
    (element,) = base["requests"]
    for size in (-(2**31), -1, 0, 1, 2, 3, 4, 19, 20, 21, 99, 100, 101, 2**31 - 1):
        sized = put(base, (*output, "batch_size"), size)
        yield MessageVariant(f"{at(output)}.batch_size={size}", sized)
        for count in (2, 3, 5) if rpc == "AsyncBatchAnnotateImages" else (2,):
            yield MessageVariant(
                f"{count} requests, batch_size={size}", {**sized, "requests": get(sized, ("requests",), [element]) * count}
            )
