"""Clocks and chance."""

from __future__ import annotations

import asyncio

from vision_emulator.control.clock import Chance, ManualClock, SystemClock


def test_time_never_stands_still_nor_goes_back() -> None:
    """Two questions never get the same time, on either clock."""
    for clock in (SystemClock(), ManualClock()):
        times = [clock.now() for _ in range(1000)]
        assert times == sorted(set(times))


async def test_advancing_wakes_the_sleepers_it_passes_in_order() -> None:
    """A manual clock wakes who is due, earliest first, and nobody else."""
    clock, woken = ManualClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        for seconds in (3.0, 1.0, 2.0):
            tasks.create_task(sleeper(seconds))
        loop.call_soon(clock.advance, 2.5)
        await _turns()
        assert woken == [1.0, 2.0]
        clock.advance(1)
    assert woken == [1.0, 2.0, 3.0]


async def _turns() -> None:
    """Lets everything that can run now run."""
    for _ in range(5):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await done


def test_seeded_ids_repeat_and_others_do_not() -> None:
    """One seed, one series of ids; without a seed they differ from run to run."""
    assert [Chance(5).hex(16)] == [Chance(5).hex(16)]
    assert Chance(5).hex(16) != Chance(6).hex(16)
    assert Chance().hex(16) != Chance().hex(16)
    assert len(Chance().hex(15)) == 15
