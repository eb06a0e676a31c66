"""Annotators that other people wrote: asked for so long and no longer, their answers looked over before a client sees them.

What they do wrong stays with the one image they did it to. What a client can live with is put right and logged once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from vision_emulator.annotators import FIELDS_OF_FEATURE, Annotator, Picture
from vision_emulator.contract import errors
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, BoundingPoly, Feature, ImageContext

log = logging.getLogger(__name__)

CODES: Final = frozenset(code.value for code in Code if code)
REMARKS_MAX: Final = 1000  # kinds of faults that are remembered as logged; ours


class Unsound(ValueError):
    """An answer that no client could use; the text says what is wrong with it."""


class Strangers:
    """Asks one annotator about one image: ``seconds`` at most (0: for ever), and hands on only what is sound."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._abandoned: set[asyncio.Task[Any]] = set()  # held, so that they end on their own
        self._said: set[str] = set()

    async def ask(
        self, annotator: Annotator, picture: Picture, features: Sequence[Feature], context: ImageContext
    ) -> AnnotateImageResponse:
        """A message of its own, fit for a client; VisionError is the image's error, anything else raised a bug of the annotator."""
        answer = await self.in_time(annotator, picture, features, context)
        if not isinstance(answer, AnnotateImageResponse):
            kind = type(answer)
            raise Unsound(f"it answered {kind.__module__}.{kind.__qualname__}, not vision_emulator.contract.messages.AnnotateImageResponse")
        return self._looked_over(answer, annotator, picture, features)

    async def in_time(self, annotator: Annotator, picture: Picture, features: Sequence[Feature], context: ImageContext) -> Any:
        """What the annotator answers within its time, as it is; one that takes longer is told to stop and not waited for."""
        work = asyncio.get_running_loop().create_task(_answer(annotator, picture, features, context))
        try:
            await asyncio.wait((work,), timeout=self._seconds or None)
        except asyncio.CancelledError:
            self._abandon(work)
            raise
        if not work.done():
            self._abandon(work)
            log.error("annotator %s did not answer %s in %g s", annotator.name, picture.uri or "an inline image", self._seconds)
            raise errors.features_late()
        return work.result()

    def _abandon(self, work: asyncio.Task[Any]) -> None:
        self._abandoned.add(work)
        work.add_done_callback(self._abandoned.discard)
        work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # seen: nobody waits for it any more
        work.cancel()

    def _looked_over(
        self, answer: AnnotateImageResponse, annotator: Annotator, picture: Picture, features: Sequence[Feature]
    ) -> AnnotateImageResponse:
        if answer.HasField("error") and (answer.error.code or answer.error.message):
            if answer.error.code not in CODES:
                raise Unsound(f"it answered an error with the code {answer.error.code}; codes are 1 to 16")
            raise errors.given(Code(answer.error.code), answer.error.message)
        sound = AnnotateImageResponse()
        sound.CopyFrom(answer)  # what it gave may be its own for good
        asked = {name for feature in features for name in FIELDS_OF_FEATURE.get(feature.type, ())}
        for field, _ in answer.ListFields():
            if field.name not in asked:
                sound.ClearField(field.name)
                if field.name != "error":
                    self._say_once(f"annotator {annotator.name} also answered {field.name}, which it was not asked for: dropped")
        outside = False
        for place, value in _values(sound, ""):
            if isinstance(value, float):
                if not math.isfinite(value):
                    raise Unsound(f"it answered {value} in {place}")
            elif isinstance(value, BoundingPoly):
                outside |= _clip(value, picture)
        if outside:
            self._say_once(f"annotator {annotator.name} drew boxes that reach beyond the picture: cut off at its edges")
        return sound

    def _say_once(self, remark: str) -> None:
        if remark not in self._said and len(self._said) < REMARKS_MAX:
            self._said.add(remark)
            log.warning("%s (said once)", remark)


async def _answer(annotator: Annotator, picture: Picture, features: Sequence[Feature], context: ImageContext) -> Any:
    try:
        coming: Any = annotator.annotate(picture, features, context)
        if not inspect.isawaitable(coming):
            raise Unsound("its annotate is no coroutine: write it as async def annotate")
        return await coming
    except SystemExit as leaving:  # asyncio would end the server with it
        raise Unsound(f"it called sys.exit({leaving.code!r})") from leaving


def _values(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every number and message in a message, with the dotted path that leads to it."""
    if isinstance(value, Message):
        yield place, value
        for field, inner in value.ListFields():
            yield from _values(inner, f"{place}.{field.name}" if place else field.name)
    elif isinstance(value, float):
        yield place, value
    elif not isinstance(value, str | bytes | int):
        for index, inner in enumerate(value):
            yield from _values(inner, f"{place}[{index}]")


def _clip(box: Any, picture: Picture) -> bool:
    """Moves corners outside the picture to its edge; answers whether there were any."""
    outside = False
    for corner in box.normalized_vertices:
        for axis in ("x", "y"):
            outside |= _bound(corner, axis, 1)
    width, height = _size(picture)
    for corner in box.vertices:
        for axis, most in (("x", width), ("y", height)):
            outside |= _bound(corner, axis, most)
    return outside


def _bound(corner: Any, axis: str, most: float) -> bool:
    value = getattr(corner, axis)
    if not 0 <= value <= most:
        if math.isfinite(value):  # what is not is found by itself
            setattr(corner, axis, min(max(value, 0), most))
        return True
    return False


def _size(picture: Picture) -> tuple[float, float]:
    """Width and height, endless where nobody knows them."""
    if picture.known:
        try:
            return picture.size
        except VisionError:
            pass
    return math.inf, math.inf
