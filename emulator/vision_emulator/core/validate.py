"""A request goes in; nothing comes out, or the exact VisionError. What is checked here concerns the whole request, never one image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vision_emulator.contract import errors, limits
from vision_emulator.contract.messages import (
    AnnotateFileRequest,
    AnnotateImageRequest,
    AsyncAnnotateFileRequest,
    AsyncBatchAnnotateFilesRequest,
    AsyncBatchAnnotateImagesRequest,
    BatchAnnotateFilesRequest,
    BatchAnnotateImagesRequest,
    Feature,
    OutputConfig,
)

_PARENT = re.compile(r"projects/[^/]+(?:/locations/(?P<location>[^/]+))?")
_LOCATIONS = frozenset({"us", "eu", "asia"})  # documented
_MODEL = re.compile(r"(builtin/(stable|latest|weekly|rc|legacy(_\d{8})?))?")  # documented, legacy_20190601 in the past
_LABEL_KEY = re.compile(r"[^\W\d_][\w-]*")
_LABEL_VALUE = re.compile(r"[\w-]*")
_IN_STORAGE = re.compile(r"gs://[^/]")
MIME_TYPES = frozenset({"application/pdf", "image/tiff", "image/gif"})  # of files; documented
_FEATURES = frozenset(Feature.Type.values()) - {Feature.TYPE_UNSPECIFIED}


def batch_annotate_images(request: BatchAnnotateImagesRequest) -> None:
    """An online call: up to 16 images, each with a source and features. None at all is allowed and answers nothing."""
    _parent(request.parent)
    _labels(request.labels)
    if len(request.requests) > limits.IMAGES_PER_CALL_MAX:
        raise errors.too_many_images()
    _images(request.requests)


def async_batch_annotate_images(request: AsyncBatchAnnotateImagesRequest) -> None:
    """An offline batch: 1 to 2000 images, all in Cloud Storage, and a place for the results."""
    _parent(request.parent)
    _labels(request.labels)
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


def batch_annotate_files(request: BatchAnnotateFilesRequest) -> None:
    """An online call: one file with a source, features and at most five pages. None at all is allowed, as for images."""
    _parent(request.parent)
    _labels(request.labels)
    if len(request.requests) > limits.FILES_PER_CALL_MAX:
        raise errors.too_many_files(len(request.requests))
    for element in request.requests:
        _file(element)
        if len(element.pages) > limits.PAGES_PER_CALL_MAX:
            raise errors.too_many_pages_asked(len(element.pages))
        if 0 in element.pages:
            raise errors.page_number_zero()


def async_batch_annotate_files(request: AsyncBatchAnnotateFilesRequest) -> None:
    """An offline batch: files in Cloud Storage, each with a place for its results. Whether they can be read is another question."""
    _parent(request.parent)
    _labels(request.labels)
    if not request.requests:
        raise errors.files_are_none()
    for element in request.requests:
        _file(element)
        if element.input_config.content or not is_in_storage(element.input_config.gcs_source.uri):
            raise errors.offline_file_must_be_in_storage()
        _output(element.output_config)


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
    if not parent:
        return
    parts = _PARENT.fullmatch(parent)
    if parts is None:
        raise errors.parent_malformed(parent)
    if parts["location"] is not None and parts["location"] not in _LOCATIONS:
        raise errors.location_unsupported(parent)


def _labels(labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        fitting = _LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value) and (key, value) == (key.lower(), value.lower())
        if not fitting or max(len(key), len(value)) > limits.REQUEST_LABEL_CHARS_MAX:
            raise errors.label_malformed(key, value)


def _images(requests: Iterable[AnnotateImageRequest]) -> None:
    for element in requests:
        if not element.features or not (image_uri(element) or element.image.content):  # in this order: reading content copies it
            raise errors.image_and_features_required()
        _features(element.features)


def _file(request: AnnotateFileRequest | AsyncAnnotateFileRequest) -> None:
    source = request.input_config
    if not request.features or not (source.content or source.gcs_source.uri):
        raise errors.file_and_features_required()
    if source.mime_type not in MIME_TYPES:
        raise errors.mime_type_unsupported(source.mime_type)
    _features(request.features)


def _features(features: Iterable[Feature]) -> None:
    for feature in features:
        if feature.type not in _FEATURES:
            raise errors.unsupported_feature(feature.type)
        if feature.model and not _MODEL.fullmatch(feature.model):
            raise errors.unsupported_model(feature.model)


def _output(output: OutputConfig) -> None:
    uri = output.gcs_destination.uri
    if not uri:
        raise errors.output_uri_required()
    if not is_in_storage(uri):
        raise errors.output_uri_malformed(uri)
    if not 0 <= output.batch_size <= limits.BATCH_SIZE_MAX:
        raise errors.batch_size_out_of_range(output.batch_size)
