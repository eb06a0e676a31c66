"""Dominant colours and crop hints, measured on the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from vision_emulator.annotators import Picture, Settings, pixels
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext


class Properties(Part):
    """Answers IMAGE_PROPERTIES and CROP_HINTS of every picture from a thumbnail of it."""

    name: ClassVar[str] = "properties"
    features = frozenset({Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS})

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 - it needs none
        """Always."""
        return cls()

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """Both features bring crop hints, IMAGE_PROPERTIES alone one of the whole picture."""
        asked = {feature.type for feature in features}
        ratios = list(context.crop_hints_params.aspect_ratios) if Feature.CROP_HINTS in asked else []
        fields = pixels.measured(picture.thumbnail, picture.size, ratios, colors=Feature.IMAGE_PROPERTIES in asked)
        return AnnotateImageResponse(**fields)
