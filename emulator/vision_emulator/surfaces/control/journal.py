"""The journal over the control API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vision_emulator.control.journal import Entry, Journal
from vision_emulator.surfaces.control.route import Asked, Route


class JournalResource:
    """What was called."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        return (Route("GET", "/v1/journal", "The calls that reached the API, oldest first.", self._entries),)

    async def _entries(self, asked: Asked) -> Any:
        del asked
        return {"entries": [_plain(entry) for entry in self._journal]}


def _plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, its code by name: "OK", "NOT_FOUND", null while the call is being answered."""
    return asdict(entry) | {"code": None if entry.code is None else entry.code.name}
