"""Dominant colours and crop hints, measured on the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from vision_emulator.annotators import Picture, Settings, pixels
from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.local.faces import Finder, finder, head
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import PIL.Image


class Properties(Part):
    """Answers IMAGE_PROPERTIES and CROP_HINTS of every picture from a thumbnail of it; where faces can be found, crops go around them."""

    name: ClassVar[str] = "properties"
    note: ClassVar[str] = "computed from the pixels, by a method of our own"
    features = frozenset({Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS})

    def __init__(self, faces: Finder | None = None) -> None:
        self._finder = faces

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """Always."""
        return cls(finder(settings))

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """Both features bring crop hints, IMAGE_PROPERTIES alone one of the whole picture."""
        asked = {feature.type for feature in features}
        ratios = list(context.crop_hints_params.aspect_ratios) if Feature.CROP_HINTS in asked else []
        thumbnail = picture.thumbnail
        heads = self._heads(thumbnail) if any(ratio > 0 for ratio in ratios) else []  # there is no choice where to put the whole picture
        colors = Feature.IMAGE_PROPERTIES in asked
        return AnnotateImageResponse(**pixels.measured(thumbnail, picture.size, ratios, heads, colors=colors))

    def _heads(self, thumbnail: PIL.Image.Image) -> list[Box]:
        """Those that matter to a crop, which are large, in pixels of the thumbnail."""
        if self._finder is None:
            return []
        return [head(face, thumbnail.size) for face in self._finder.find(thumbnail, quick=True)]
