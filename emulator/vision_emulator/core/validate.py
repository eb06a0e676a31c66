"""A request goes in; nothing comes out, or the exact VisionError. What is checked here concerns the whole request, never one image."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vision_emulator.contract import errors, limits
from vision_emulator.contract.messages import (
    AnnotateImageRequest,
    AsyncBatchAnnotateImagesRequest,
    BatchAnnotateImagesRequest,
    Feature,
    OutputConfig,
)

_PARENT = re.compile(r"projects/[^/]+(/locations/[^/]+)?")
_IN_STORAGE = re.compile(r"gs://[^/]")
_FEATURES = frozenset(Feature.Type.values()) - {Feature.TYPE_UNSPECIFIED}


def batch_annotate_images(request: BatchAnnotateImagesRequest) -> None:
    """An online call: up to 16 images, each with a source and features. None at all is allowed and answers nothing."""
    _parent(request.parent)
    if len(request.requests) > limits.IMAGES_PER_CALL_MAX:
        raise errors.too_many_images()
    _images(request.requests)


def async_batch_annotate_images(request: AsyncBatchAnnotateImagesRequest) -> None:
    """An offline batch: 1 to 2000 images, all in Cloud Storage, and a place for the results."""
    _parent(request.parent)
    count = len(request.requests)
    if count == 0:
        raise errors.batch_is_empty()
    if count > limits.IMAGES_PER_BATCH_MAX:
        raise errors.too_many_images_in_batch(count)
    _images(request.requests)
    for element in request.requests:
        if element.image.content or not is_in_storage(image_uri(element)):
            raise errors.offline_image_must_be_in_storage()
    _output(request.output_config)


def image_uri(request: AnnotateImageRequest) -> str:
    """Where the image is to be read from; "" when it came inline. ``image_uri`` wins over ``gcs_image_uri`` (documented)."""
    source = request.image.source
    return source.image_uri or source.gcs_image_uri


def is_in_storage(uri: str) -> bool:
    """Whether a URI names something in Cloud Storage."""
    return _IN_STORAGE.match(uri) is not None


def batch_size(output: OutputConfig) -> int:
    """How many responses go into one output file."""
    return output.batch_size or limits.BATCH_SIZE_DEFAULT


def _parent(parent: str) -> None:
    if parent and not _PARENT.fullmatch(parent):
        raise errors.parent_malformed(parent)


def _images(requests: Iterable[AnnotateImageRequest]) -> None:
    for element in requests:
        if not element.features or not (element.image.content or image_uri(element)):
            raise errors.image_and_features_required()
        for feature in element.features:
            if feature.type not in _FEATURES:
                raise errors.unsupported_feature(feature.type)


def _output(output: OutputConfig) -> None:
    uri = output.gcs_destination.uri
    if not uri:
        raise errors.output_uri_required()
    if not is_in_storage(uri):
        raise errors.output_uri_malformed(uri)
    if not 0 <= output.batch_size <= limits.BATCH_SIZE_MAX:
        raise errors.batch_size_out_of_range(output.batch_size)
