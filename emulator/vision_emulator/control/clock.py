"""Time, ids and chance as arguments: the only place that asks the machine for them."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import secrets
import time
from typing import Final, Protocol


class Clock(Protocol):
    """What the emulator knows of time."""

    def now(self) -> float:
        """Seconds since 1970, never twice the same and never backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits on this clock."""
        ...


class SystemClock:
    """The machine's own time, made strictly monotonic at microsecond steps."""

    STEP: Final = 1e-6

    def __init__(self) -> None:
        self._last = 0.0

    def now(self) -> float:
        """Seconds since 1970, never twice the same and never backwards."""
        self._last = max(time.time(), self._last + self.STEP)  # noqa: TID251 - time's one home
        return self._last

    async def sleep(self, seconds: float) -> None:
        """Waits for so many seconds of real time."""
        await asyncio.sleep(seconds)  # noqa: TID251 - time's one home


class ManualClock:
    """Time that moves only when told to: ``advance`` wakes the sleepers it passes, in order."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        """The time it was last set to, plus a microsecond for every question asked since."""
        self._now += SystemClock.STEP
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Waits until ``advance`` has moved time so far; returns at once for zero or less."""
        if seconds <= 0:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, waiter))
        await waiter

    def advance(self, seconds: float) -> None:
        """Moves time on and wakes every sleeper whose time has come."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)


class Chance:
    """Ids and seeded digests. With a seed every id of a run repeats; without one they are unpredictable."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._count = 0

    def hex(self, digits: int) -> str:
        """A fresh id of so many lower-case hex digits."""
        if self._seed is None:
            return secrets.token_hex((digits + 1) // 2)[:digits]
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}".encode()).hexdigest()[:digits]
