"""Annotators that other people write: whatever they do wrong is the error of the image they did it to."""

from __future__ import annotations

import asyncio
import math
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
from wire import eventually

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
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer  # type: ignore[no-any-return]


async def annotated(*annotators: Annotator, most: int = 0, seconds: float = 60) -> tuple[AnnotateImageResponse, Counter[str]]:
    """The answer to labels and safe search of a picture, and who gave it."""
    annotation = ImageAnnotation(MemoryStorage(SystemClock()), annotators, timeout_seconds=seconds)
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


async def test_a_plug_in_that_leaves_does_not_take_the_server_along(caplog: pytest.LogCaptureFixture) -> None:
    """sys.exit() in a plug-in, or in a library of its, is the image's error; asyncio would end the server with it."""
    response, _ = await annotated(PlugIn(answer=SystemExit(3)), Synthetic())
    assert response.error.code == 13
    assert "it called sys.exit(3)" in caplog.text


async def test_an_annotate_without_async_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """The commonest slip of who writes a first plug-in: the log says how to put it right."""

    class Plain(PlugIn):
        def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> Any:
            del picture, features, context
            return LABELS

    response, _ = await annotated(Plain(), Synthetic())
    assert response.error.code == 13
    assert "its annotate is no coroutine: write it as async def annotate" in caplog.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"label_annotations": [{"score": 0.5}, {"score": math.nan}]}, "it answered nan in label_annotations[1].score"),
        ({"label_annotations": [{"topicality": -math.inf}]}, "it answered -inf in label_annotations[0].topicality"),
        ({"error": {"code": 99, "message": "x"}}, "it answered an error with the code 99; codes are 1 to 16"),
        ({"error": {"message": "x"}}, "it answered an error with the code 0; codes are 1 to 16"),
    ],
)
async def test_what_no_client_can_use_is_the_images_error(answer: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers that are none, and codes that are none, reach no client; the log says where they stood."""
    response, _ = await annotated(PlugIn(answer=AnnotateImageResponse(**answer)))
    assert (response.error.code, len(response.label_annotations)) == (13, 0)
    assert said in caplog.text


async def test_an_error_that_a_plug_in_answers_is_the_images() -> None:
    """A plug-in may say an image's error as the API does, in the response, as well as raise it."""
    answer = AnnotateImageResponse(error={"code": 3, "message": "Too dark."}, label_annotations=[{"description": "x"}])
    response, _ = await annotated(PlugIn(answer=answer), Synthetic())
    assert response == AnnotateImageResponse(error={"code": 3, "message": "Too dark."})
    response, _ = await annotated(PlugIn(answer=AnnotateImageResponse(error={}, label_annotations=[{"description": "x"}])))
    assert response == AnnotateImageResponse(label_annotations=[{"description": "x"}])


async def test_fields_of_other_features_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody asked a plug-in for is not answered, and said in the log once, however many images there are."""
    answer = AnnotateImageResponse(label_annotations=[{"description": "x"}], logo_annotations=[{"description": "y"}], context={"uri": "z"})
    annotation = ImageAnnotation(MemoryStorage(SystemClock()), [PlugIn(answer=answer)])
    request = AnnotateImageRequest(image={"content": drawn()}, features=[{"type": Feature.LABEL_DETECTION}])
    for _ in range(3):
        response = await annotation.annotate(request, annotation.reader(CALL), Counter())
        assert response == AnnotateImageResponse(label_annotations=[{"description": "x"}])
    said = "annotator plug-in also answered logo_annotations, which it was not asked for: dropped"
    assert caplog.text.count(said) == 1
    assert len(answer.logo_annotations) == 1


async def test_boxes_end_at_the_pictures_edge(caplog: pytest.LogCaptureFixture) -> None:
    """Corners outside the picture are moved to its edge; those inside stay where they are."""
    width, height = Picture(drawn()).size
    corners = [{"x": -5, "y": 1}, {"x": width + 7, "y": 1}, {"x": 2, "y": height + 1}]
    normalized = [{"x": -0.5, "y": 0.25}, {"x": 1.5, "y": 1}]
    answer = {"label_annotations": [{"bounding_poly": {"vertices": corners, "normalized_vertices": normalized}}]}
    response, _ = await annotated(PlugIn(answer=AnnotateImageResponse(**answer)))
    box = response.label_annotations[0].bounding_poly
    assert [(corner.x, corner.y) for corner in box.vertices] == [(0, 1), (width, 1), (2, height)]
    assert [(corner.x, corner.y) for corner in box.normalized_vertices] == [(0, 0.25), (1, 1)]
    assert "annotator plug-in drew boxes that reach beyond the picture: cut off at its edges" in caplog.text


class Hanging(PlugIn):
    """Does not answer; ``stubborn`` does not even stop when it is told to, until ``release`` is set."""

    def __init__(self, stubborn: bool) -> None:
        super().__init__()
        self._stubborn = stubborn
        self.release = asyncio.Event()
        self.ended = 0

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        del picture, features, context
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            if not self._stubborn:
                raise
            await self.release.wait()
        finally:
            self.ended += 1
        return LABELS


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_plug_in_that_hangs_is_given_up(stubborn: bool, caplog: pytest.LogCaptureFixture) -> None:
    """After --annotate-timeout the image has its error, whether or not the plug-in heeds being told to stop."""
    hanging = Hanging(stubborn)
    response, _ = await annotated(hanging, seconds=0.01)
    assert (response.error.code, response.error.message) == (4, "Deadline exceeded. Error processing features.")
    assert "annotator plug-in did not answer an inline image in 0.01 s" in caplog.text
    hanging.release.set()
    await eventually(lambda: hanging.ended == 1)


async def test_a_call_that_is_given_up_stops_the_plug_in() -> None:
    """A client that hangs up leaves no annotator at work behind."""
    hanging = Hanging(stubborn=False)
    call = asyncio.get_running_loop().create_task(annotated(hanging))
    done, _ = await asyncio.wait((call,), timeout=0.01)
    assert not done
    call.cancel()
    await eventually(lambda: hanging.ended == 1)


async def test_one_plug_ins_error_is_no_other_images() -> None:
    """Whatever goes wrong with one image of a call, the others are answered: also where only a URI is asked about."""

    class Moody(PlugIn):
        def knows(self, uri: str) -> bool:
            if "bad" in uri:
                raise RuntimeError("knows")
            return True

    annotation = ImageAnnotation(MemoryStorage(SystemClock()), [Moody()])
    requests = [
        AnnotateImageRequest(image={"source": {"image_uri": f"gs://photos/{name}"}}, features=[{"type": Feature.LABEL_DETECTION}])
        for name in ("good", "bad", "good")
    ]
    reader = annotation.reader(CALL)
    codes = [(await annotation.annotate(request, reader, Counter())).error.code for request in requests]
    assert codes == [0, 13, 0]


async def test_a_plug_ins_answer_is_cut_and_stays_its_own() -> None:
    """Lists are cut for the caller, the message the plug-in gave is left alone."""
    response, answered_by = await annotated(PlugIn(), Synthetic(), most=3)
    assert len(response.label_annotations) == 3
    assert response.HasField("safe_search_annotation")
    assert answered_by == {"plug-in": 1, "synthetic": 1}
    assert len(LABELS.label_annotations) == 20
