"""The journal: one entry a call, however it ended, and never more than it may hold."""

from __future__ import annotations

import asyncio

import pytest

from vision_emulator.contract.errors import Code, operation_not_found
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from vision_emulator.control.journal import Journal

GET = METHODS["/google.longrunning.Operations/GetOperation"]


def call() -> Call:
    return Call(GET, GET.request(), {}, "rest")


def test_an_entry_says_who_asked_and_how_it_ended() -> None:
    """Method, transport and time are there at once; the code, the duration and the answer's headers at the end."""
    clock = ManualClock(1000.0)
    journal, one = Journal(clock), call()
    with journal.entry(one) as entry:
        assert list(journal) == [entry]
        assert (entry.number, entry.method, entry.transport, entry.code) == (1, "google.longrunning.Operations.GetOperation", "rest", None)
        one.answer_metadata["x-vision-emulator-annotators"] = "fixtures=1"
        clock.advance(2.5)
    assert entry.code == Code.OK
    assert entry.at == pytest.approx(1000.0, abs=0.001)
    assert entry.seconds == pytest.approx(2.5, abs=0.001)
    assert entry.answered == {"x-vision-emulator-annotators": "fixtures=1"}


def test_a_refusal_is_its_code_and_text() -> None:
    """A VisionError is noted and passed on."""
    journal, refusal = Journal(ManualClock()), operation_not_found("operations/1")
    with pytest.raises(type(refusal)), journal.entry(call()):
        raise refusal
    (entry,) = journal
    assert (entry.code, entry.message) == (Code.NOT_FOUND, refusal.message)


async def test_a_caller_that_vanishes_is_cancelled() -> None:
    """A call whose task is cancelled while it is held is CANCELLED in the journal."""
    journal = Journal(ManualClock())

    async def held() -> None:
        with journal.entry(call()):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(held())
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [entry.code for entry in journal] == [Code.CANCELLED]


def test_the_oldest_are_forgotten() -> None:
    """The journal holds as many as it may, the newest, and goes on counting."""
    journal = Journal(ManualClock(), entries_max=3)
    for _ in range(10):
        with journal.entry(call()):
            assert len(journal) <= 3
    assert [entry.number for entry in journal] == [8, 9, 10]


def test_reset_forgets_and_counts_from_one() -> None:
    """After a reset the journal is as new; a call that was under way then disturbs nobody."""
    journal = Journal(ManualClock())
    with journal.entry(call()):
        journal.reset()
    assert len(journal) == 0
    with journal.entry(call()) as entry:
        assert entry.number == 1


def test_looking_does_not_disturb() -> None:
    """The journal may be read while calls come in."""
    journal = Journal(ManualClock(), entries_max=2)
    for _ in range(2):
        with journal.entry(call()):
            pass
    seen = []
    for entry in journal:
        with journal.entry(call()):
            seen.append(entry.number)
    assert seen == [1, 2]
