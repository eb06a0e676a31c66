"""Operations and their pace over the control API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vision_emulator.contract import codec
from vision_emulator.control.clock import Clock
from vision_emulator.core.operations import Operations, Pace
from vision_emulator.surfaces.control.route import Asked, Route


class PaceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pace as ``--pace`` takes it."""

    pace: str


class OperationsResource:
    """What runs, and when clients see that it is done."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        return (
            Route("GET", "/v1/operations", "All operations, oldest first, as clients see them now.", self._list),
            Route("POST", "/v1/operations/{id}:complete", "Let clients see the result, whatever the pace.", self._complete),
            Route("POST", "/v1/operations/{id}:cancel", "Stop the work; the operation ends CANCELLED.", self._cancel),
            Route("GET", "/v1/pace", "When clients get to see that an operation is done.", self._pace),
            Route("PUT", "/v1/pace", "Set it, for operations that begin from now on.", self._set_pace, PaceBody),
        )

    async def _list(self, asked: Asked) -> Any:
        del asked
        return {"operations": [codec.to_json(operation) for operation in self._operations.list()]}

    async def _complete(self, asked: Asked) -> Any:
        name = f"operations/{asked.variables['id']}"
        self._operations.reveal(name)
        return self._seen(name)

    async def _cancel(self, asked: Asked) -> Any:
        name = f"operations/{asked.variables['id']}"
        self._operations.cancel(name)
        return self._seen(name)

    def _seen(self, name: str) -> Any:
        return codec.to_json(self._operations.find(name).view(name, self._clock.now()))

    async def _pace(self, asked: Asked) -> Any:
        del asked
        return {"pace": str(self._operations.pace)}

    async def _set_pace(self, asked: Asked) -> Any:
        self._operations.pace = Pace.parse(asked.body.pace)
        return {"pace": str(self._operations.pace)}
