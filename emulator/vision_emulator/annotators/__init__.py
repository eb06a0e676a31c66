"""Who looks at the picture: the plug-in interface, the picture they get, and how they are found.

An annotator answers with a partial AnnotateImageResponse: the fields of the features it was asked for and nothing else. The core decides
who is asked (the first in the configured order that claims a feature), merges the answers, cuts lists to ``max_results`` and turns an
exception into this one image's error.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self

from vision_emulator.contract import limits
from vision_emulator.contract.errors import bad_image_data, image_too_many_pixels
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

if TYPE_CHECKING:
    import PIL.Image

ENTRY_POINTS: Final = "vision_emulator.annotators"  # the group under which packages declare their annotators

# Which fields of AnnotateImageResponse answer a feature; the same table reads it backwards for given answers.
FIELDS_OF_FEATURE: Final[dict[int, tuple[str, ...]]] = {
    Feature.FACE_DETECTION: ("face_annotations",),
    Feature.LANDMARK_DETECTION: ("landmark_annotations",),
    Feature.LOGO_DETECTION: ("logo_annotations",),
    Feature.LABEL_DETECTION: ("label_annotations",),
    Feature.TEXT_DETECTION: ("text_annotations", "full_text_annotation"),
    Feature.DOCUMENT_TEXT_DETECTION: ("text_annotations", "full_text_annotation"),
    Feature.SAFE_SEARCH_DETECTION: ("safe_search_annotation",),
    Feature.IMAGE_PROPERTIES: ("image_properties_annotation", "crop_hints_annotation"),
    Feature.CROP_HINTS: ("crop_hints_annotation",),
    Feature.WEB_DETECTION: ("web_detection",),
    Feature.PRODUCT_SEARCH: ("product_search_results",),
    Feature.OBJECT_LOCALIZATION: ("localized_object_annotations",),
}

# Decoders that may see untrusted bytes: the formats that Vision documents. Pillow would otherwise try a dozen others.
FORMATS: Final = ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "ICO", "TIFF")


class Picture:
    """One image as an annotator sees it: bytes in hand, never a URI to fetch. What is derived from them is computed once.

    ``data`` is empty only when a fixture answers for a URI whose bytes nobody has; ``known`` is False then.
    """

    def __init__(self, data: bytes, uri: str = "") -> None:
        self.data = data
        self.uri = uri  # where it came from; for matching only

    @property
    def known(self) -> bool:
        """Whether there are bytes to look at."""
        return bool(self.data)

    @cached_property
    def sha256(self) -> str:
        """The hex digest of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def header(self) -> PictureHeader:
        """Format and size, read without decoding the pixels; VisionError (Bad image data., or too many pixels) when there is no image."""
        with self._open() as image:
            return PictureHeader(image.format or "", image.width, image.height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; VisionError as ``header``."""
        return self.header.width, self.header.height

    @cached_property
    def thumbnail(self) -> PIL.Image.Image:
        """An RGB copy of at most 256 pixels a side, transparency laid on white; shared by all features, so leave it as it is.

        VisionError (Bad image data.) when the bytes cannot be decoded to the end. CPU work: call it off the event loop.
        """
        from PIL import Image

        with self._open() as image:
            image.draft("RGB", (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            try:
                image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=1.0)
                if image.mode.startswith("I;16"):  # a plain convert() would clip 16 bits to 8
                    return image.point(lambda value: value / 257, "L").convert("RGB")
                if "A" in image.getbands() or "transparency" in image.info:
                    ground = Image.new("RGBA", image.size, "white")
                    ground.alpha_composite(image.convert("RGBA"))
                    return ground.convert("RGB")
                return image.convert("RGB")
            except (OSError, SyntaxError, ValueError) as broken:
                raise bad_image_data() from broken

    def _open(self) -> PIL.Image.Image:
        import warnings

        from PIL import Image

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
                image = Image.open(io.BytesIO(self.data), formats=FORMATS)
        except Image.DecompressionBombError as bomb:
            raise image_too_many_pixels() from bomb
        except (OSError, SyntaxError, ValueError) as broken:
            raise bad_image_data() from broken
        if image.width * image.height > limits.IMAGE_PIXELS_MAX:
            raise image_too_many_pixels()
        return image


THUMBNAIL_SIDE: Final = 256


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the first bytes of an image say: Pillow's format name, width and height in pixels."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server tells its annotators: the seed of invented answers, and where given answers are found."""

    seed: int = 0
    fixtures: tuple[Path, ...] = ()
    shipped_fixtures: bool = True


class Annotator(ABC):
    """Looks at one picture and fills in the features it knows.

    Made once per server with the settings and entered before the first call (``async with``: models load there).
    ``annotate`` may be called many times at once.
    """

    name: ClassVar[str]

    @classmethod
    def create(cls, settings: Settings) -> Self:  # noqa: ARG003 - a default for those that need no settings
        """A new one for this server; override it to read the settings."""
        return cls()

    def knows(self, uri: str) -> bool:  # noqa: ARG002 - a default for those that never do
        """Whether it answers for this URI without seeing the bytes; asked only when there are none."""
        return False

    @abstractmethod
    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether it answers this feature (a Feature.Type number) for this picture; the first in the order that does is asked."""

    @abstractmethod
    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The answer to the features it claimed, each type once.

        VisionError is this image's own error; anything else raised is a bug of the annotator, and INTERNAL for this image.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


def load(names: Sequence[str], settings: Settings) -> list[Annotator]:
    """New annotators by name, in this order, built-in and installed ones alike; LookupError names the known ones when one is unknown."""
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    for name in names:
        if name not in found:
            raise LookupError(f"no annotator is called {name!r}; installed are: {', '.join(sorted(found))}")
    return [found[name].load().create(settings) for name in names]
