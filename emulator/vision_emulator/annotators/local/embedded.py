"""The text that a page of a document brings along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from vision_emulator.annotators import Picture, Settings, text
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext


class EmbeddedText(Part):
    """Answers TEXT_DETECTION and DOCUMENT_TEXT_DETECTION of pages with embedded text, to the letter.

    Its confidences are 1: the characters were read from the file and not recognized, so there is nothing to measure. The language is
    the first hint of the request, or undetermined.
    """

    name: ClassVar[str] = "embedded"
    features = frozenset({Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION})
    note: ClassVar[str] = "a PDF's own text is read to the letter"
    partial: ClassVar[bool] = True
    remembered = False  # building the tree costs little more than keeping it

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 - it needs none
        """Always."""
        return cls()

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether the feature asks for text and the picture brings its own."""
        return feature in self.features and picture.embedded_text is not None

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The embedded text as a tree of blocks, paragraphs, words and symbols."""
        confidences = context.text_detection_params.enable_text_detection_confidence_score or any(
            feature.type == Feature.DOCUMENT_TEXT_DETECTION for feature in features
        )
        hint = next(iter(context.language_hints), text.UNDETERMINED)  # a document does not say, and nothing here guesses
        language = text.Language(hint, 1.0 if hint != text.UNDETERMINED else 0.0)
        blocks = picture.embedded_text or ()
        return AnnotateImageResponse(**text.annotation(blocks, picture.size, language, confidences=confidences, of_page=True))
