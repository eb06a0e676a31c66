"""Annotators that other people write: whatever they do wrong is the error of the image they did it to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from pictures import drawn
from vision_emulator.annotators import Annotator, Picture
from vision_emulator.annotators.synthetic import Synthetic
from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, Feature, ImageContext
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import SystemClock
from vision_emulator.core.annotate import ImageAnnotation
from vision_emulator.storage.embedded import MemoryStorage

LABELS = AnnotateImageResponse(label_annotations=[{"description": f"L{number}"} for number in range(20)])

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
CALL = Call(METHOD, METHOD.request(), {})


class PlugIn(Annotator):
    """Claims LABEL_DETECTION, and does as ``claim`` and ``answer`` say."""

    name: ClassVar[str] = "plug-in"

    def __init__(self, claim: Any = True, answer: Any = LABELS) -> None:
        self._claim, self._answer = claim, answer

    def claims(self, picture: Picture, feature: int) -> bool:
        del picture
        if isinstance(self._claim, Exception):
            raise self._claim
        return feature == Feature.LABEL_DETECTION

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        del picture, features, context
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[no-any-return]


async def annotated(*annotators: Annotator, most: int = 0) -> tuple[AnnotateImageResponse, Counter[str]]:
    """The answer to labels and safe search of a picture, and who gave it."""
    annotation = ImageAnnotation(MemoryStorage(SystemClock()), annotators)
    features = [{"type": Feature.LABEL_DETECTION, "max_results": most}, {"type": Feature.SAFE_SEARCH_DETECTION}]
    request = AnnotateImageRequest(image={"content": drawn()}, features=features)
    answered_by: Counter[str] = Counter()
    return await annotation.annotate(request, annotation.reader(CALL), answered_by), answered_by


@pytest.mark.parametrize(
    "broken", [PlugIn(claim=RuntimeError("claims")), PlugIn(answer=RuntimeError("annotate")), PlugIn(answer=None), PlugIn(answer="text")]
)
async def test_a_plug_ins_bug_is_the_images_error(broken: PlugIn, caplog: pytest.LogCaptureFixture) -> None:
    """An exception, wherever it comes from, or an answer that is none: the recorded error of code 13, and a traceback in the log."""
    response, _ = await annotated(broken, Synthetic())
    assert (response.error.code, response.error.message) == (13, "Internal server error. Error processing features.")
    assert "annotator plug-in failed on an inline image" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_plug_ins_answer_is_cut_and_stays_its_own() -> None:
    """Lists are cut for the caller, the message the plug-in gave is left alone."""
    response, answered_by = await annotated(PlugIn(), Synthetic(), most=3)
    assert len(response.label_annotations) == 3
    assert response.HasField("safe_search_annotation")
    assert answered_by == {"plug-in": 1, "synthetic": 1}
    assert len(LABELS.label_annotations) == 20
