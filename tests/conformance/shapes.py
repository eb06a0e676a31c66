"""Small valid requests, every field they could have, and what can be done to them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from samples import DOCUMENT, DOCUMENT_URI, PICTURE, PICTURE_URI, RESULTS_URI

from vision_emulator.contract.json_reader import is_map, repeated_fields
from vision_emulator.contract.messages import V1, Feature
from vision_emulator.contract.methods import METHODS, Method

ANNOTATE: Final = ("BatchAnnotateImages", "AsyncBatchAnnotateImages", "BatchAnnotateFiles", "AsyncBatchAnnotateFiles")
OPERATIONS: Final = ("ListOperations", "GetOperation", "DeleteOperation", "CancelOperation", "WaitOperation")

Path = tuple[str | int, ...]


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


def places(descriptor: Any, path: Path = ()) -> Iterator[Place]:
    """Every field of a message type and of all below it."""
    repeated = repeated_fields(descriptor)
    for field in descriptor.fields:
        place = Place((*path, field.name), field, field.name in repeated)
        yield place
        if place.is_message:
            yield from places(field.message_type, (*place.path, 0) if place.repeated else place.path)


LABELS: Final = {"type": Feature.LABEL_DETECTION}
TEXT: Final = {"type": Feature.DOCUMENT_TEXT_DETECTION}
_OUTPUT: Final = {"gcs_destination": {"uri": RESULTS_URI}, "batch_size": 2}
_TIFF: Final = {"gcs_source": {"uri": DOCUMENT_URI}, "mime_type": "image/tiff"}
BASES: Final[Mapping[str, dict[str, Any]]] = {
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


def example(field: Any) -> Any:
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
        if not has(target, (step,)):
            return changed
        target = target[step]
    if isinstance(target, dict):
        target.pop(path[-1], None)
    return changed


def _copied(request: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(dict(request))


def full(rpc: str) -> dict[str, Any]:
    """The request with every field present but the other side of what excludes each other."""
    base = request = BASES[rpc]
    excluded = {
        ("requests", 0, "image", "source" if rpc == "BatchAnnotateImages" else "content"),
        ("requests", 0, "input_config", "content"),
    }
    for place in places(method(rpc).request.DESCRIPTOR):
        if not place.is_message and not any(place.path[: len(path)] == path for path in excluded) and not has(base, place.path):
            one = example(place.field)
            request = put(request, place.path, [one] if place.repeated and not is_map(place.field) else one)
    return dict(request)


def has(request: Any, path: Path) -> bool:
    for step in path:
        if not (step in request if isinstance(request, dict) else isinstance(step, int) and step < len(request)):
            return False
        request = request[step]
    return True


def get(request: Any, path: Path, default: Any) -> Any:
    for step in path:
        if not has(request, (step,)):
            return default
        request = request[step]
    return request


def at(path: Path) -> str:
    """A place as errors write it: requests[0].image.source.image_uri."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def said(value: Any) -> str:
    """A value as a name shows it, never longer than a few words."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {value[:8].hex()}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:40]}… ({len(value) if isinstance(value, str | list) else len(text)})"
