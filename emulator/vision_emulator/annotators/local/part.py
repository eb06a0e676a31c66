"""One thing that can be computed from pixels: the seam between ``Local``, which works off the event loop and remembers, and its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from vision_emulator.annotators import Picture, Settings
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext


class Part(ABC):
    """Computes the answer to some features. Made once per server; ``look`` runs in several threads at once."""

    name: ClassVar[str]
    features: frozenset[int]  # what it answers, as numbers of Feature.Type
    note: ClassVar[str] = ""  # how it answers them, for the ledger: the end of a sentence
    partial: ClassVar[bool] = False  # whether there are pictures that it leaves to who comes after it
    needs: ClassVar[str] = ""  # what is missing where ``create`` makes none, in words
    settings_known: ClassVar[frozenset[str]] = frozenset()  # the keys of [settings.local] that it reads
    remembered: bool = True  # whether the same picture and request get the same answer again

    @classmethod
    @abstractmethod
    def create(cls, settings: Settings) -> Self | None:
        """One for this server, ready to work; None where a library or a setting that it needs is missing.

        SettingsError when what the user asked for cannot be had: a model that does not load, a language that is not installed.
        """

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether it answers this feature for this picture; asked on the event loop, so it must not decode."""
        return feature in self.features and picture.known

    async def prepare(self) -> None:
        """Awaited before ``look``: for what must be fetched first. VisionError is the picture's error."""
        return

    @abstractmethod
    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The answer to the features it claimed; VisionError is the picture's error. CPU work, in a thread."""

    async def close(self) -> None:
        """Lets go of what it holds; nothing is looked at any more."""
        return
