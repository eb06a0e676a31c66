"""Numbers that look drawn by chance and are read off a digest: the same name gives the same numbers on every machine.

Only integer arithmetic and the four basic float operations are used, whose results IEEE 754 fixes to the last bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_STEPS: Final = 1 << 24  # as many as a float32 can tell apart in [0.5, 1)


class Dice:
    """An endless row of numbers that its name alone decides; ``of`` gives an independent row for a part of the whole."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._block = 0
        self._left: list[int] = []

    def of(self, part: str) -> Dice:
        """The dice of one part. What is drawn from it changes nothing for the others."""
        return Dice(f"{self._name}/{part}")

    def unit(self) -> float:
        """A number in [0, 1), a multiple of 2**-24."""
        if not self._left:
            digest = hashlib.sha256(f"{self._name}#{self._block}".encode()).digest()
            self._left = [int.from_bytes(digest[at : at + 3], "big") for at in range(0, 30, 3)]
            self._block += 1
        return self._left.pop() / _STEPS

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.unit() < share

    def one(self, things: Sequence[T]) -> T:
        """One of the things; the row must not be empty."""
        return things[self.whole(0, len(things) - 1)]

    def some(self, things: Sequence[T], count: int) -> list[T]:
        """Up to ``count`` different ones of the things, in drawn order."""
        rest = list(things)
        return [rest.pop(self.whole(0, len(rest) - 1)) for _ in range(min(count, len(rest)))]

    def falling(self, count: int, high: float, low: float) -> list[float]:
        """So many numbers from high down to low, in falling order, no two the same."""
        return sorted((low + (high - low) * (at + self.unit()) / count for at in range(count)), reverse=True)

    def hex(self, digits: int) -> str:
        """So many lower-case hex digits."""
        return "".join("0123456789abcdef"[self.whole(0, 15)] for _ in range(digits))
