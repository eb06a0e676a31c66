"""What the annotator ``upstream`` found different, over the control API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from vision_emulator.surfaces.control.route import Asked, Refused, Route

if TYPE_CHECKING:
    from vision_emulator.annotators.upstream import Upstream


class FieldDiffers(msgspec.Struct, frozen=True):
    """One value that is not the same; null where it is not there at all."""

    field: str
    here: Any
    there: Any


class ImageDiffers(msgspec.Struct, frozen=True):
    """One image that the upstream answers otherwise: its uri, or "" for an inline one, and the digest of its bytes."""

    uri: str
    sha256: str
    features: list[str]
    fields: list[FieldDiffers]


class DifferencesReport(msgspec.Struct, frozen=True):
    """How many images were answered differently, alike, or not at all by the upstream, were not asked about since too many waited, or
    are being asked about; and the last ones that differ."""

    different: int
    same: int
    failed: int
    skipped: int
    waiting: int
    differences: list[ImageDiffers]


class UpstreamResource:
    """How the upstream's answers differ from the ones given here; None where no upstream is configured."""

    def __init__(self, upstream: Upstream | None) -> None:
        self._upstream = upstream

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        summary = "How the upstream's answers differ from the ones given here, in its mode diff; oldest first."
        return (Route("GET", "/v1/upstream/differences", summary, self._differences, answer=DifferencesReport),)

    async def _differences(self, asked: Asked) -> Any:
        del asked
        if self._upstream is None:
            raise Refused("No upstream is configured; start with --annotators upstream,… --setting upstream.mode=diff.", 404)
        found = self._upstream.differences
        images = [
            ImageDiffers(image.uri, image.sha256, list(image.features), [FieldDiffers(*each) for each in image.fields])
            for image in found.kept
        ]
        return msgspec.to_builtins(DifferencesReport(found.different, found.same, found.failed, found.skipped, found.waiting, images))
