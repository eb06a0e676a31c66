"""The server itself: whether it is ready, what it can do, and back to how it was at the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vision_emulator.core.capabilities import LEVELS, ledger
from vision_emulator.core.service import Vision
from vision_emulator.surfaces.control.route import Asked, Route


class Health(msgspec.Struct, frozen=True):
    """The answer of a server that is ready; one that is not does not answer."""

    status: str


class Capability(msgspec.Struct, frozen=True):
    """A method, a feature or a part of the front end, and how truly it is emulated."""

    kind: str
    name: str
    level: str
    note: str


class Capabilities(msgspec.Struct, frozen=True):
    """The ledger; ``levels`` says what each level means."""

    levels: dict[str, str]
    capabilities: list[Capability]


class ServerResource:
    """Health, capabilities and reset. ``reset`` is what the composition root does for it."""

    def __init__(self, vision: Vision, reset: Callable[[str], None]) -> None:
        self._vision = vision
        self._reset = reset

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        whose = {"project": "only what belongs to this project; all others, and the buckets, stay as they are"}
        return (
            Route(
                "GET", "/health", "Whether the emulator is ready; it answers from when it is.", self._health, answer=Health, guarded=False
            ),
            Route("GET", "/v1/capabilities", "What is emulated, and how truly.", self._capabilities, answer=Capabilities),
            Route("POST", "/v1/reset", "Back to how it was at the start.", self._back, query=whose),
        )

    async def _health(self, asked: Asked) -> Any:
        del asked
        return {"status": "serving"}

    async def _capabilities(self, asked: Asked) -> Any:
        del asked
        return {"levels": LEVELS, "capabilities": [line._asdict() for line in ledger(self._vision)]}

    async def _back(self, asked: Asked) -> None:
        self._reset(asked.project)
