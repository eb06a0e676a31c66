"""Answers that are computed, not invented. Each thing that can be computed is a part in a file of its own."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ClassVar, Final, Self

from vision_emulator.annotators import Account, Annotator, Picture, Settings, SettingsError
from vision_emulator.annotators.local.embedded import EmbeddedText
from vision_emulator.annotators.local.faces import Faces
from vision_emulator.annotators.local.landmarks import Landmarks
from vision_emulator.annotators.local.logos import Logos
from vision_emulator.annotators.local.models import Models
from vision_emulator.annotators.local.ocr import Ocr
from vision_emulator.annotators.local.part import Part
from vision_emulator.annotators.local.properties import Properties
from vision_emulator.annotators.local.scene import Scene, SceneDocuments
from vision_emulator.annotators.local.web import Web
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

# Per feature the first that claims it answers.
PARTS: Final[tuple[type[Part], ...]] = (Models, EmbeddedText, Scene, Ocr, SceneDocuments, Properties, Faces, Landmarks, Logos, Web)
REMEMBERED_BYTES_MAX: Final = 64 * 1024 * 1024  # of answers; a dense page of text has half a megabyte
Turn = tuple[Part, list[Feature]]  # a part, and what it is to answer


class Local(Annotator):
    """Answers what its parts can really compute of a picture; silent about everything else."""

    name: ClassVar[str] = "local"
    trusted: ClassVar[bool] = True
    settings_known: ClassVar[frozenset[str] | None] = frozenset({"parts"}).union(*(kind.settings_known for kind in PARTS))

    def __init__(self, parts: Sequence[Part], threads: Executor | None = None) -> None:
        """``parts`` look in ``threads``, by default the event loop's own."""
        self._parts = parts
        self._threads = threads
        self._answers = Answers(REMEMBERED_BYTES_MAX)

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One with every part that this machine and these settings allow, or with those that the setting ``parts`` names."""
        asked = _asked(settings.table)
        made = {kind.name: kind.create(settings) for kind in PARTS if asked is None or kind.name in asked}
        for kind in PARTS:
            if kind.name in made and asked is not None and made[kind.name] is None:
                raise SettingsError(f"parts: {kind.name} cannot work here without {kind.needs}")
        return cls([part for part in made.values() if part is not None], settings.threads)

    async def __aexit__(self, *exc: object) -> None:
        for part in self._parts:
            await part.close()

    def ledger(self) -> dict[int, Account]:
        """What its parts say of themselves; of several that share a feature each its own sentence."""
        told: dict[int, Account] = {}
        for part in self._parts:
            for feature in part.features if part.note else ():
                before = told.get(feature, Account("", whole=False))
                if not before.whole:
                    told[feature] = Account("; ".join(filter(None, (before.note, part.note))), whole=not part.partial)
        return told

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether one of the parts does."""
        return any(part.claims(picture, feature) for part in self._parts)

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """What the parts computed, each asked once for all its features, one after the other in one thread."""
        turns = list(self._turns(picture, features))
        for part, _ in turns:
            await part.prepare()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, picture, turns, context)

    def _look(self, picture: Picture, turns: Sequence[Turn], context: ImageContext) -> AnnotateImageResponse:
        response = AnnotateImageResponse()
        try:
            for part, wanted in turns:
                key = _key(part, picture, wanted, context) if part.remembered else ""
                known = self._answers.get(key) if key else None
                if known is None:
                    known = part.look(picture, wanted, context).SerializeToString()
                    if key:
                        self._answers.put(key, known)
                response.MergeFromString(known)
        finally:
            picture.let_go()
        return response

    def _turns(self, picture: Picture, features: Sequence[Feature]) -> Iterator[Turn]:
        left = list(features)
        for part in self._parts:
            wanted = [feature for feature in left if part.claims(picture, feature.type)]
            if wanted:
                left = [feature for feature in left if feature not in wanted]
                yield part, wanted


def _asked(table: Mapping[str, Any]) -> Sequence[str] | None:
    """The names of parts that the settings want, or None for all."""
    if "parts" not in table:
        return None
    wished = table["parts"]
    names = [name.strip() for name in wished.split(",")] if isinstance(wished, str) else wished
    known = [kind.name for kind in PARTS]
    for name in names if isinstance(names, list | tuple) else [wished]:
        if name not in known:
            raise SettingsError(f"parts: {name!r} is no part; there are {', '.join(known)}")
    return list(names)


class Answers:
    """Serialized answers by key, the least recently used forgotten first; for several threads."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The answer kept under this key, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, key: str, answer: bytes) -> None:
        """Keeps an answer."""
        with self._lock:
            self._bytes += len(answer) - len(self._kept.pop(key, b""))
            self._kept[key] = answer
            while self._bytes > self._bytes_max:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest)


def _key(part: Part, picture: Picture, features: Sequence[Feature], context: ImageContext) -> str:
    asked = b"".join(feature.SerializeToString() for feature in features) + context.SerializeToString()
    return f"{part.name}:{picture.sha256}:{hashlib.sha256(asked).hexdigest()}"
