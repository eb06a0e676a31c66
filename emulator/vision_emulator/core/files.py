"""One file of pages: open it, look at its pages, and give each answer the form that pages have."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import (
    AnnotateFileRequest,
    AnnotateFileResponse,
    AnnotateImageResponse,
    AsyncAnnotateFileRequest,
    BoundingPoly,
    Feature,
    InputConfig,
)
from vision_emulator.core import pages
from vision_emulator.core.annotate import ImageAnnotation, Reader
from vision_emulator.core.pages import Document

AnyFileRequest = AnnotateFileRequest | AsyncAnnotateFileRequest  # features and image_context are the same in both

_TEXT: Final = frozenset({Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION})


class FileAnnotation:
    """Annotates files page by page."""

    def __init__(self, annotation: ImageAnnotation) -> None:
        self._annotation = annotation

    async def annotate(self, request: AnnotateFileRequest, reader: Reader, answered_by: Counter[str]) -> AnnotateFileResponse:
        """The response for one file with the pages asked for, in their order; what is wrong with the file as the response's ``error``."""
        source = request.input_config
        try:
            async with self.opened(source, reader) as document:
                responses = [
                    await self.page(document, number, request, reader, answered_by, index)
                    for index, number in enumerate(request.pages or range(1, min(document.count, limits.PAGES_PER_CALL_MAX) + 1))
                ]
                return AnnotateFileResponse(input_config=without_content(source), responses=responses, total_pages=document.count)
        except VisionError as failure:
            return AnnotateFileResponse(input_config=without_content(source), error=failure.image_status())

    @asynccontextmanager
    async def opened(self, source: InputConfig, reader: Reader) -> AsyncIterator[Document]:
        """The document that a request means, inline bytes before a URI as for images; VisionError when it cannot be had or opened."""
        uri = "" if source.content else source.gcs_source.uri
        data = source.content or await reader.read_file(uri)
        async with pages.opened(data, source.mime_type, uri) as document:
            yield document

    async def page(
        self, document: Document, number: int, request: AnyFileRequest, reader: Reader, answered_by: Counter[str], index: int
    ) -> AnnotateImageResponse:
        """The response for one page, its failure as the response's ``error``; a negative number counts from the end.

        ``index`` is the page's place among those answered.
        """
        place = number if number > 0 else document.count + 1 + number
        try:
            if not 1 <= place <= document.count:
                place = number
                raise errors.page_beyond_end(number, document.count)
            reader.check(index, document.uri)
            page = await document.page(place, with_text=any(feature.type in _TEXT for feature in request.features))
            page.inquiry = reader.inquiry(request.image_context)
            response = await self._annotation.look_at(page, request.features, request.image_context, answered_by)
            _give_the_form_of_pages(response, page.size)
        except VisionError as failure:
            response = AnnotateImageResponse(error=failure.image_status())
        response.context.uri = document.uri
        response.context.page_number = place
        return response


def without_content(source: InputConfig) -> InputConfig:
    """What an answer says about its input: where it was and what, never the bytes."""
    echo = InputConfig(mime_type=source.mime_type)
    if source.HasField("gcs_source"):
        echo.gcs_source.CopyFrom(source.gcs_source)
    return echo


def _give_the_form_of_pages(response: AnnotateImageResponse, size: tuple[int, int]) -> None:
    """Polygons in shares of the page, none around symbols, and no text_annotations.

    Recorded for the text in output files. Online answers come from the same machinery and get the same form; so do the polygons of
    other features: pixels would mean nothing where nobody says how large the page was drawn.
    """
    response.ClearField("text_annotations")
    for poly in _polygons(response):
        if poly.vertices:
            shares = [{"x": vertex.x / size[0], "y": vertex.y / size[1]} for vertex in poly.vertices]
            poly.CopyFrom(BoundingPoly(normalized_vertices=shares))


def _polygons(response: AnnotateImageResponse) -> Iterator[BoundingPoly]:
    """Every polygon that stays, those around symbols cleared away."""
    for face in response.face_annotations:
        yield face.bounding_poly
        yield face.fd_bounding_poly
    for entity in (*response.landmark_annotations, *response.logo_annotations):
        yield entity.bounding_poly
    for hint in response.crop_hints_annotation.crop_hints:
        yield hint.bounding_poly
    for page in response.full_text_annotation.pages:
        for block in page.blocks:
            if not block.bounding_box.vertices:
                continue  # it has this form already
            yield block.bounding_box
            for paragraph in block.paragraphs:
                yield paragraph.bounding_box
                for word in paragraph.words:
                    yield word.bounding_box
                    for symbol in word.symbols:
                        symbol.ClearField("bounding_box")
