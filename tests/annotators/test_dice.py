"""Dice: numbers that only their name decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.annotators.dice import Dice


def test_the_numbers_are_the_same_everywhere() -> None:
    """The first numbers of a name are pinned: a change would change every answer of every seed."""
    dice = Dice("pinned")
    assert [dice.unit() for _ in range(3)] == [0.9714369177818298, 0.35629743337631226, 0.8574352860450745]
    assert [dice.whole(1, 6) for _ in range(20)] == [1, 2, 1, 5, 2, 4, 5, 1, 6, 5, 6, 6, 6, 2, 6, 3, 2, 6, 4, 1]
    assert dice.hex(8) == "6b609518"


def test_parts_are_independent() -> None:
    """Drawing from one part changes nothing for another, nor for the whole."""
    drawn, fresh = Dice("a"), Dice("a")
    drawn.of("x").unit()
    drawn.of("y").unit()
    assert drawn.unit() == fresh.unit()
    assert drawn.of("x").unit() == fresh.of("x").unit()
    assert drawn.of("x").unit() != drawn.of("y").unit()


@given(name=st.text(max_size=5), low=st.integers(-50, 50), span=st.integers(0, 50), count=st.integers(0, 30))
def test_bounds_are_kept(name: str, low: int, span: int, count: int) -> None:
    """Each number lies within its bounds; picks are different members of the row; falling numbers fall."""
    dice = Dice(name)
    assert low <= dice.whole(low, low + span) <= low + span
    assert low <= dice.between(low, low + span) <= low + span
    things = list(range(20))
    some = dice.some(things, count)
    assert len(some) == len(set(some)) == min(count, 20)
    assert dice.one(things) in things
    falling = dice.falling(count, 0.9, 0.5)
    assert len(set(falling)) == count
    assert falling == sorted(falling, reverse=True)
    assert all(0.5 <= number <= 0.9 for number in falling)


def test_every_member_is_drawn() -> None:
    """No side of the die is left out, and none is much favoured."""
    dice = Dice("fair")
    rolls = [dice.whole(1, 6) for _ in range(6000)]
    assert all(900 < rolls.count(side) < 1100 for side in range(1, 7))
