"""Time, ids and chance as arguments: the only place that asks the machine for them."""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Mode = Literal["system", "manual"]
MODES: Final[tuple[str, ...]] = get_args(Mode)


@dataclass(slots=True, eq=False)
class _Sleeper:
    """Somebody who waits until it is ``due``; the timer rings while time moves by itself."""

    due: float
    waiter: asyncio.Future[None]
    timer: asyncio.TimerHandle | None = None

    def still(self) -> None:
        """Stops the timer; the sleeper sleeps on."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Clock:
    """What the emulator knows of time: the machine's own, or a time that moves only when told to.

    One can be made the other while sleepers wait, and either can be moved on. Time never goes back nor is it ever twice the same.
    """

    STEP: Final = 1e-6  # seconds between two answers when nothing else lies between them

    def __init__(self, mode: Mode = "system", start: float | None = None) -> None:
        self._mode: Mode = mode
        self._mode_at_first: Mode = mode
        self._now = time.time() if start is None else start  # noqa: TID251 - time's one home
        self._ahead = 0.0 if start is None else start - time.time()  # noqa: TID251 - of the machine's time, while it is followed
        self._sleepers: dict[int, _Sleeper] = {}
        self._count = 0
        self.moved: Callable[[], None] | None = None  # told when time was moved on or goes another way from now on

    @property
    def ahead(self) -> float:
        """How far it is ahead of the machine's time, in seconds, when time moves by itself."""
        return self._ahead

    def go_on(self, now: float, ahead: float) -> None:
        """Follows a clock that stopped at ``now`` when its process ended: time that moves by itself went on meanwhile, other time stood."""
        self._now, self._ahead = now, ahead

    @property
    def mode(self) -> Mode:
        """``system``: time moves by itself; ``manual``: only by ``advance``."""
        return self._mode

    def now(self) -> float:
        """Seconds since 1970, never twice the same and never backwards."""
        now = self._now + self.STEP
        if self._mode != "manual":
            machine = time.time() + self._ahead  # noqa: TID251 - time's one home
            now = max(machine, now)
        self._now = now
        return now

    async def sleep(self, seconds: float) -> None:
        """Waits until so much time has passed on this clock; returns at once for zero or less."""
        if seconds <= 0:
            return
        self._count += 1
        number = self._count
        sleeper = self._sleepers[number] = _Sleeper(self.now() + seconds, asyncio.get_running_loop().create_future())
        self._set_timer(sleeper)
        try:
            await sleeper.waiter
        finally:
            sleeper.still()
            del self._sleepers[number]

    def advance(self, seconds: float) -> None:
        """Moves time on and wakes every sleeper whose time has come, the earliest first; ValueError for going back."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"time moves forwards only, by a number of seconds from 0; not by {seconds!r}")
        self._now = self.now() + seconds
        self._ahead += seconds
        for sleeper in sorted(self._sleepers.values(), key=lambda one: one.due):  # sorted keeps the order of those due together
            sleeper.still()
            if sleeper.due <= self._now:
                _wake(sleeper)
            else:
                self._set_timer(sleeper)
        self._tell()

    def switch(self, mode: Mode) -> None:
        """Lets time move by itself from where it is, or stops it there; who sleeps sleeps on, by the other rule."""
        now = self.now()
        self._mode = mode
        if mode == "system":
            self._ahead = now - time.time()  # noqa: TID251 - time's one home
        for sleeper in self._sleepers.values():
            sleeper.still()
            self._set_timer(sleeper)
        self._tell()

    def reset(self) -> None:
        """Back to the mode it was made with; what time it is stays, since objects and ids of before may still be about."""
        self.switch(self._mode_at_first)

    def _tell(self) -> None:
        if self.moved is not None:
            self.moved()

    def _set_timer(self, sleeper: _Sleeper) -> None:
        if self._mode == "system":
            loop = sleeper.waiter.get_loop()
            sleeper.timer = loop.call_later(max(0.0, sleeper.due - self.now()), self._ring, sleeper)

    def _ring(self, sleeper: _Sleeper) -> None:
        """The timer's time is over, so it is that late: timers and the time of day need not agree to the millisecond."""
        self._now = max(self._now, sleeper.due)
        _wake(sleeper)


def _wake(sleeper: _Sleeper) -> None:
    if not sleeper.waiter.done():
        sleeper.waiter.set_result(None)


class SystemClock(Clock):
    """A clock that follows the machine's time."""

    def __init__(self) -> None:
        super().__init__("system")


class ManualClock(Clock):
    """A clock that stands still until it is moved on."""

    def __init__(self, start: float = 1_750_000_000.0) -> None:
        super().__init__("manual", start)


class Chance:
    """Ids, seeded digests and throws of the dice. With a seed a run repeats; without one it is unpredictable."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._count = 0

    def hex(self, digits: int) -> str:
        """A fresh id of so many lower-case hex digits."""
        if self._seed is None:
            return secrets.token_hex((digits + 1) // 2)[:digits]
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}".encode()).hexdigest()[:digits]

    def fraction(self) -> float:
        """A number from 0 to below 1, each as likely as any other."""
        return int(self.hex(13), 16) / 16**13

    def normal(self) -> float:
        """A number of the standard normal distribution."""
        return math.sqrt(-2 * math.log(1 - self.fraction())) * math.cos(2 * math.pi * self.fraction())
