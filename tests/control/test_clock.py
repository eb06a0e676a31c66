"""Clocks and chance."""

from __future__ import annotations

import asyncio

import pytest

from vision_emulator.control.clock import Chance, Clock, ManualClock, SystemClock


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


async def test_a_clock_that_is_stopped_keeps_its_sleepers_asleep() -> None:
    """Stopped, no real time wakes anybody; let go again, time goes on from where it stood, and whose time has come wakes."""
    clock = Clock()
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(0.01))
    await _turns()
    clock.switch("manual")
    stood = clock.now()
    await asyncio.wait((sleeper,), timeout=0.05)
    assert not sleeper.done()
    assert clock.now() - stood < 0.01
    clock.switch("system")
    await sleeper
    assert clock.now() - stood >= 0.0


async def test_a_manual_clock_that_is_let_go_wakes_by_itself() -> None:
    """Who began to sleep while time stood still wakes when it moves by itself."""
    clock = ManualClock()
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(0.01))
    await _turns()
    clock.switch("system")
    await sleeper
    assert 1_750_000_000 < clock.now() < 1_750_000_060


async def test_either_clock_can_be_moved_on() -> None:
    """An hour passes at once on a running clock as on a stopped one, and wakes whom it passes."""
    for clock in (Clock(), ManualClock()):
        before = clock.now()
        sleeper = asyncio.get_running_loop().create_task(clock.sleep(3600))
        await _turns()
        clock.advance(3600)
        await sleeper
        assert 3600 <= clock.now() - before < 3660
        assert clock._sleepers == {}


async def test_a_sleeper_that_gives_up_leaves_nothing() -> None:
    """Its timer and its place are gone with it."""
    clock = Clock()
    sleeper = asyncio.get_running_loop().create_task(clock.sleep(3600))
    await _turns()
    sleeper.cancel()
    await asyncio.wait((sleeper,))
    assert clock._sleepers == {}


def test_time_does_not_go_back() -> None:
    """Not by advance, and not by switching to and fro or resetting."""
    clock = Clock()
    times = [clock.now()]
    clock.advance(60)
    for mode in ("manual", "system", "manual"):
        clock.switch(mode)  # type: ignore[arg-type]
        times.append(clock.now())
    clock.reset()
    assert clock.mode == "system"
    times.append(clock.now())
    assert times == sorted(set(times))
    assert times[1] - times[0] >= 60
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="forwards only"):
            clock.advance(seconds)


def test_fractions_and_normals_repeat_with_their_seed() -> None:
    """Seeded throws repeat; fractions lie in [0, 1), normals around zero."""
    one, other = Chance(5), Chance(5)
    fractions = [one.fraction() for _ in range(2000)]
    assert fractions == [other.fraction() for _ in range(2000)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert 0.45 < sum(fractions) / 2000 < 0.55
    normals = [one.normal() for _ in range(2000)]
    assert -0.1 < sum(normals) / 2000 < 0.1
    assert 0.9 < sum(normal * normal for normal in normals) / 2000 < 1.1
