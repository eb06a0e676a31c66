"""The annotator ``upstream``: answers that another Vision gave, the real one as a rule, recorded once and replayed for ever.

Its mode says what it does: ``replay`` answers what is recorded and asks nobody; ``record`` asks for what is not recorded yet, and keeps it;
``spy`` asks and keeps nothing; ``diff`` leaves the answer to the annotators behind it, asks all the same when the client has its answer,
and reports where the two differ. It is asked over REST or gRPC, as its endpoint says; a recording knows nothing of either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self
from weakref import WeakValueDictionary

from vision_emulator.annotators import FIELDS_OF_FEATURE, Annotator, Picture, Settings, SettingsError
from vision_emulator.annotators.elsewhere import Sent, Unreachable, at_once_of, features_of, seconds_of, sent, shrink, text_of
from vision_emulator.annotators.upstream.differences import Differences
from vision_emulator.annotators.upstream.recordings import Recordings
from vision_emulator.annotators.upstream.service import Service
from vision_emulator.contract import errors
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, Feature, ImageContext

log = logging.getLogger(__name__)

MODES: Final = ("replay", "record", "spy", "diff")
ENDPOINT: Final = "https://vision.googleapis.com"
FOLDER: Final = "recordings"
HASHED_ON_THE_LOOP_BYTES_MAX: Final = 256 * 1024  # this many bytes take a tenth of a millisecond
CODES: Final = frozenset(code.value for code in Code if code)
# An image's own errors, which it will have again; all others may pass.
RECORDED_ERRORS: Final = frozenset({Code.INVALID_ARGUMENT, Code.NOT_FOUND})


class Upstream(Annotator):
    """Answers what another Vision answers or has answered."""

    name: ClassVar[str] = "upstream"
    trusted: ClassVar[bool] = True  # what the real service answers is right, however odd it looks
    settings_known: ClassVar[frozenset[str] | None] = frozenset(
        {"mode", "endpoint", "folder", "features", "timeout", "at_once", "key", "token", "credentials", "project", "tolerance"}
    )

    def __init__(self, settings: Settings) -> None:
        table = settings.table
        self._settings = settings
        self.mode: Final = text_of(table, "mode", "replay")
        if self.mode not in MODES:
            raise SettingsError(f"mode: {self.mode!r} is none; use one of {', '.join(MODES)}")
        self._features = features_of(table)
        folder = Path(text_of(table, "folder", FOLDER)).expanduser()
        if self.mode == "replay" and not folder.is_dir():
            raise SettingsError(f"folder: there are no recordings in {folder}; make some with mode = record")
        self._recordings = Recordings(folder, settings.threads)
        self._service = Service(text_of(table, "endpoint", ENDPOINT), table, seconds_of(table), at_once_of(table))
        self.differences = Differences(table.get("tolerance"))
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by picture: what two ask for is asked once
        self._comparing: set[asyncio.Task[None]] = set()

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One in the mode of its settings."""
        return cls(settings)

    async def __aenter__(self) -> Self:
        if self.mode != "replay":
            await self._service.__aenter__()
            log.info("upstream %s: mode %s", self._service.endpoint, self.mode)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._comparing:
            task.cancel()
        if self._comparing:
            await asyncio.wait(self._comparing)
        if self.mode != "replay":
            await self._service.__aexit__(*exc)

    def knows(self, uri: str) -> bool:
        """Whether it can answer without bytes: what is recorded under this URI, or anything when the upstream may be asked."""
        if self.mode == "replay":
            return self._recordings.knows(uri)
        return self.mode != "diff"

    def prepare(self, picture: Picture) -> Awaitable[None] | None:
        """Hashes a large picture in a thread; a small one needs none."""
        if self.mode in ("spy", "diff") or len(picture.data) <= HASHED_ON_THE_LOOP_BYTES_MAX or picture.number:
            return None
        return self._hash(picture)

    async def _hash(self, picture: Picture) -> None:
        await asyncio.get_running_loop().run_in_executor(self._settings.threads, lambda: picture.sha256)

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether it is one of its features, and the answer is recorded or may be asked for."""
        if feature not in self._features or self.mode == "diff":
            return False
        if self.mode == "replay":
            asked = next((asked for asked in picture.asked if asked.type == feature), Feature(type=feature))  # type: ignore[arg-type]
            return self._recordings.has(picture, asked, picture.context)
        return picture.known or bool(picture.uri)

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The recorded or the upstream's answer; VisionError when it refuses this image or cannot be asked."""
        if self.mode == "replay":
            return await self._recordings.read(picture, features, context)
        if self.mode == "spy":
            return _sound(await self._ask(picture, features, context))
        turn = self._turns.setdefault(self._recordings.name(picture), asyncio.Lock())
        async with turn:
            missing = [feature for feature in features if not self._recordings.has(picture, feature, context)]
            if missing:
                response = await self._ask(picture, missing, context)
                if not response.HasField("error") or response.error.code in RECORDED_ERRORS:
                    await self._recordings.write(picture, missing, context, response, self._service.endpoint)
                _sound(response)
        return await self._recordings.read(picture, features, context)

    async def _ask(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The upstream's response to one call for all the features, an image's error in it."""
        image = await sent(picture, self._settings) if picture.known else Sent(b"")
        request = AnnotateImageRequest(features=features, image_context=context)
        if image.data:
            request.image.content = image.data
        else:
            request.image.source.image_uri = picture.uri
        try:
            response = await self._service.annotate(request)
        except Unreachable as failure:
            log.warning("upstream %s", failure)
            raise errors.annotator_unavailable() from failure
        except VisionError as refusal:
            log.warning("upstream %s refused the call: %s: %s", self._service.endpoint, refusal.code.name, refusal.message)
            raise
        shrink(response, image.enlarged)
        return response

    # ---- diff ----

    def witness(self, picture: Picture, features: Sequence[Feature], context: ImageContext, response: AnnotateImageResponse) -> None:
        """In mode ``diff`` asks the upstream the same, behind the client's back, unless too many such questions wait."""
        wanted = [feature for feature in features if feature.type in self._features]
        if self.mode != "diff" or not wanted or not (picture.known or picture.uri):
            return
        if picture.number or not self.differences.begin():  # a page is gone with its document
            self.differences.skipped += bool(picture.number)
            return
        here = AnnotateImageResponse()
        here.CopyFrom(response)  # who asked may change theirs
        asked = ImageContext()
        asked.CopyFrom(context)
        task = asyncio.get_running_loop().create_task(self._compare(picture, wanted, asked, here))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    async def _compare(self, picture: Picture, features: Sequence[Feature], context: ImageContext, here: AnnotateImageResponse) -> None:
        try:
            there = await self._ask(picture, features, context)
        except VisionError as failure:
            self.differences.failed += 1
            log.debug("upstream could not be compared with: %s", failure.message)
        else:
            names = {name for feature in features for name in FIELDS_OF_FEATURE[feature.type]} | {"error"}
            self.differences.compare(picture, features, _only(here, names), _only(there, names))
        finally:
            self.differences.waiting -= 1

    def reset(self) -> None:
        """Forgets the differences found so far."""
        self.differences.reset()


def _sound(response: AnnotateImageResponse) -> AnnotateImageResponse:
    """The response without an error; the error, when there is one, as VisionError."""
    if response.HasField("error") and (response.error.code or response.error.message):
        code = response.error.code
        raise errors.elsewhere(Code(code) if code in CODES else Code.UNKNOWN, response.error.message)
    return response


def _only(response: AnnotateImageResponse, names: set[str]) -> AnnotateImageResponse:
    for field, _ in response.ListFields():
        if field.name not in names:
            response.ClearField(field.name)
    return response
