"""Answers that are computed, not invented: for now the text that a document itself says is on a page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import ClassVar, Self

from vision_emulator.annotators import Annotator, Picture, Settings, text
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

UNDETERMINED = "und"  # BCP-47 for a language that nobody determined: a document does not say, and nothing here guesses


class Local(Annotator):
    """Answers TEXT_DETECTION and DOCUMENT_TEXT_DETECTION of pages with embedded text, to the letter; silent about everything else.

    Its confidences are 1: the characters were read from the file and not recognized, so there is nothing to measure. The language is
    the first hint of the request, or undetermined.
    """

    name: ClassVar[str] = "local"

    def __init__(self, threads: Executor | None = None) -> None:
        """Trees of text are built in ``threads``, by default the event loop's own."""
        self._threads = threads

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One that works in this server's threads."""
        return cls(settings.threads)

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether the feature asks for text and the picture brings its own."""
        return feature in (Feature.TEXT_DETECTION, Feature.DOCUMENT_TEXT_DETECTION) and picture.embedded_text is not None

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The embedded text as a tree of blocks, paragraphs, words and symbols."""
        confidences = context.text_detection_params.enable_text_detection_confidence_score or any(
            feature.type == Feature.DOCUMENT_TEXT_DETECTION for feature in features
        )
        hint = next(iter(context.language_hints), UNDETERMINED)
        language = text.Language(hint, 1.0 if hint != UNDETERMINED else 0.0)

        def answer() -> AnnotateImageResponse:
            blocks = picture.embedded_text or ()
            return AnnotateImageResponse(**text.annotation(blocks, picture.size, language, confidences=confidences, of_page=True))

        return await asyncio.get_running_loop().run_in_executor(self._threads, answer)  # a full page has thousands of symbols
