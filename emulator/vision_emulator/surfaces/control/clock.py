"""The emulator's clock over the control API."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vision_emulator.control.clock import Clock, Mode
from vision_emulator.surfaces.control.route import Asked, Refused, Route


class ModeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether time moves by itself."""

    mode: Mode


class StepBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far time is moved on."""

    seconds: float


class Time(msgspec.Struct, frozen=True):
    """What time it is, in seconds since 1970."""

    mode: Mode
    now: float


class ClockResource:
    """What time it is, and how it passes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        return (
            Route("GET", "/v1/clock", "What time it is for the emulator.", self._time, None, Time),
            Route("PUT", "/v1/clock", "Stop time (manual), or let it go on (system) from where it is.", self._switch, ModeBody, Time),
            Route("POST", "/v1/clock:advance", "Move time on, and wake who waits for it.", self._advance, StepBody, Time),
        )

    async def _time(self, asked: Asked) -> Time:
        del asked
        return Time(self._clock.mode, self._clock.now())

    async def _switch(self, asked: Asked) -> Time:
        self._clock.switch(asked.body.mode)
        return await self._time(asked)

    async def _advance(self, asked: Asked) -> Time:
        try:
            self._clock.advance(asked.body.seconds)
        except ValueError as wrong:
            raise Refused(str(wrong)) from wrong
        return await self._time(asked)
