"""Operations: paces, polls, names, cancelling; driven by a manual clock and by work that the test finishes itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import Code, VisionError, output_not_writable
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesResponse, OperationMetadata
from vision_emulator.contract.methods import METHODS
from vision_emulator.control.clock import Chance, ManualClock
from vision_emulator.core.operations import Operations, Pace, Record

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
BETA = METHODS["/google.cloud.vision.v1p4beta1.ImageAnnotator/AsyncBatchAnnotateImages"]


class Work:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def run(self) -> AsyncBatchAnnotateImagesResponse:
        await self.may_end.wait()
        if self.failure:
            raise self.failure
        return AsyncBatchAnnotateImagesResponse(output_config={"batch_size": 7})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def operations(clock: ManualClock) -> AsyncIterator[Operations]:
    async with Operations(clock, Chance(1), Pace("auto"), "p") as running:
        yield running


async def start(operations: Operations, pace: str, work: Work, parent: str = "", method: Any = METHOD) -> Record:
    record = operations.open_record(method, parent, Pace.parse(pace))
    await operations.start(record, work.run())
    return record


async def ended(operations: Operations, pace: str) -> Record:
    work = Work()
    work.may_end.set()
    record = await start(operations, pace, work)
    await record.finished.wait()
    return record


def state(operation: Any) -> Any:
    metadata = OperationMetadata.FromString(operation.metadata.value)
    return metadata.state


async def test_create_answers_the_name_alone(operations: Operations) -> None:
    """The create call answers nothing but a name of 16 hex digits under its parent."""
    record = operations.open_record(METHOD, "projects/x/locations/eu", Pace("auto"))
    work = Work()
    operation = await operations.start(record, work.run())
    assert operation.name == record.name
    assert operation.name.startswith("projects/x/locations/eu/operations/")
    assert len(record.id) == 16
    assert int(record.id, 16) >= 0
    assert not operation.done
    assert not operation.HasField("metadata")


async def test_without_a_parent_the_project_is_the_configured_one(operations: Operations) -> None:
    """A call without a parent gets an operation of the server's own project."""
    assert (await start(operations, "auto", Work())).name.startswith("projects/p/operations/")


async def test_auto_holds_the_poll_until_the_work_is_done(operations: Operations) -> None:
    """Pace auto: the first poll comes back done, without the client asking twice."""
    work = Work()
    record = await start(operations, "auto", work)
    poll = asyncio.get_running_loop().create_task(operations.get(record.name))
    work.may_end.set()
    operation, _ = await poll
    assert operation.done
    assert state(operation) == OperationMetadata.DONE
    assert operation.response.type_url == "type.googleapis.com/google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse"
    assert AsyncBatchAnnotateImagesResponse.FromString(operation.response.value).output_config.batch_size == 7


async def test_a_held_poll_answers_before_its_deadline(operations: Operations) -> None:
    """A poll with no time left is not held: it answers that the operation runs."""
    record = await start(operations, "auto", Work())
    operation, _ = await operations.get(record.name, seconds_left=limits.DEADLINE_SLACK_SECONDS)
    assert not operation.done
    assert state(operation) == OperationMetadata.RUNNING


async def test_instant_answers_done_at_creation(operations: Operations) -> None:
    """Pace instant: the create call itself brings the response."""
    record = operations.open_record(METHOD, "", Pace("instant"))
    work = Work()
    work.may_end.set()
    operation = await operations.start(record, work.run())
    assert operation.done
    assert operation.HasField("response")


@given(st.integers(0, 5))
def test_polls_n_is_done_on_the_poll_after_n(count: int) -> None:
    """Pace polls:N: exactly N polls find it running, every later one finds it done."""

    async def run() -> list[bool]:
        async with Operations(ManualClock(), Chance(1), Pace("auto"), "p") as operations:
            record = await ended(operations, f"polls:{count}")
            return [(await operations.get(record.name))[0].done for _ in range(count + 3)]

    assert asyncio.run(run()) == [False] * count + [True] * 3


async def test_seconds_s_is_done_when_the_clock_says_so(operations: Operations, clock: ManualClock) -> None:
    """Pace seconds:S: finished work stays hidden until S seconds have passed on the emulator's clock."""
    record = await ended(operations, "seconds:30")
    clock.advance(29)
    assert not (await operations.get(record.name))[0].done
    clock.advance(1)
    assert (await operations.get(record.name))[0].done


async def test_manual_and_never_wait_for_a_word(operations: Operations) -> None:
    """Paces manual and never: no poll finds it done until somebody reveals it."""
    for pace in ("manual", "never"):
        record = await ended(operations, pace)
        assert not (await operations.get(record.name))[0].done
        operations.reveal(record.name)
        assert (await operations.get(record.name))[0].done


@pytest.mark.parametrize(
    "text", ["", "fast", "polls", "polls:-1", "polls:x", "polls:²", "seconds:", "seconds:nan", "seconds:inf", "seconds:-1", "auto:1"]
)
def test_a_malformed_pace_is_refused(text: str) -> None:
    """A pace that says nothing is INVALID_ARGUMENT and names the paces there are."""
    with pytest.raises(VisionError, match=r"polls:N, seconds:S") as refused:
        Pace.parse(text)
    assert refused.value.code == Code.INVALID_ARGUMENT


async def test_every_form_of_the_name_finds_the_operation(operations: Operations) -> None:
    """One id, four forms of the name; the answer echoes the one asked for."""
    record = await ended(operations, "auto")
    for prefix in ("", "projects/other/", "projects/x/locations/eu/", "locations/eu/"):
        name = f"{prefix}operations/{record.id}"
        assert (await operations.get(name))[0].name == name


async def test_unknown_and_malformed_names(operations: Operations) -> None:
    """An unknown operation is NOT_FOUND and says "Not found"; a name of no known form is INVALID_ARGUMENT."""
    with pytest.raises(VisionError, match="Not found") as unknown:
        await operations.get("operations/0123456789abcdef")
    assert unknown.value.code == Code.NOT_FOUND
    for name in ("", "operations/", "jobs/1", "projects/p/operations/a/b"):
        with pytest.raises(VisionError) as malformed:
            operations.find(name)
        assert malformed.value.code == Code.INVALID_ARGUMENT


async def test_a_failure_is_the_operations_error(operations: Operations) -> None:
    """Work that fails ends done with the error's code and text, and without a response."""
    work = Work()
    work.failure = output_not_writable("gs://out/x")
    work.may_end.set()
    record = await start(operations, "auto", work)
    operation, _ = await operations.get(record.name)
    assert operation.done
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://out/x")
    assert not operation.HasField("response")


async def test_a_bug_is_internal_and_harms_nobody_else(operations: Operations, caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen exception ends that one operation with INTERNAL and a traceback in the log."""
    broken, fine = Work(), Work()
    broken.failure = ZeroDivisionError("a bug")
    first, second = await start(operations, "auto", broken), await start(operations, "auto", fine)
    broken.may_end.set()
    assert (await operations.get(first.name))[0].error.code == Code.INTERNAL
    assert "ZeroDivisionError" in caplog.text
    fine.may_end.set()
    assert (await operations.get(second.name))[0].HasField("response")


@pytest.mark.parametrize("pace", ["auto", "polls:3", "seconds:9", "manual", "never"])
async def test_cancelling_stops_the_work_and_ends_cancelled(operations: Operations, pace: str) -> None:
    """A cancelled operation is done at the next poll: state CANCELLED, error code 1, whatever its pace."""
    record = await start(operations, pace, Work())
    operations.cancel(record.name)
    await record.finished.wait()
    operation, _ = await operations.get(record.name)
    assert operation.done
    assert operation.error.code == Code.CANCELLED
    assert state(operation) == OperationMetadata.CANCELLED


@pytest.mark.parametrize("failure", [None, output_not_writable("gs://out/x")])
async def test_cancelled_is_cancelled_however_the_work_ends(operations: Operations, failure: VisionError | None) -> None:
    """Work that fails, or succeeds, while it is being stopped does not make a cancelled operation look otherwise."""

    async def stubborn() -> AsyncBatchAnnotateImagesResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if failure:
                raise failure from None
        return AsyncBatchAnnotateImagesResponse()

    record = operations.open_record(METHOD, "", Pace("auto"))
    await operations.start(record, stubborn())
    asyncio.get_running_loop().call_soon(operations.cancel, record.name)
    operation, _ = await operations.get(record.name)
    assert (operation.error.code, state(operation)) == (Code.CANCELLED, OperationMetadata.CANCELLED)


async def test_a_final_state_is_never_left(operations: Operations) -> None:
    """Cancelling what a client could see done changes nothing; cancelling a hidden result ends it for good."""
    done = await ended(operations, "auto")
    before = (await operations.get(done.name))[0]
    operations.cancel(done.name)
    assert (await operations.get(done.name))[0] == before
    hidden = await ended(operations, "never")
    operations.cancel(hidden.name)
    cancelled = (await operations.get(hidden.name))[0]
    assert cancelled.error.code == Code.CANCELLED
    operations.reveal(hidden.name)
    operations.cancel(hidden.name)
    assert (await operations.get(hidden.name))[0] == cancelled


async def test_waiting(operations: Operations, clock: ManualClock) -> None:
    """WaitOperation returns when the operation is to be seen done, or when its time is over with the state so far."""
    slow = await start(operations, "never", Work())
    assert not (await operations.wait(slow.name, 0.0))[0].done
    counted = await ended(operations, "polls:5")
    assert (await operations.wait(counted.name, None))[0].done
    timed = await ended(operations, "seconds:60")
    waiting = asyncio.get_running_loop().create_task(operations.wait(timed.name, None))
    asyncio.get_running_loop().call_soon(clock.advance, 61)
    assert (await waiting)[0].done


@pytest.mark.parametrize("pace", ["manual", "never", "seconds:60"])
@pytest.mark.parametrize("how", ["reveal", "cancel", "delete", "reset"])
async def test_a_wait_ends_when_the_curtain_is_lifted(operations: Operations, pace: str, how: str) -> None:
    """Who waits for a finished operation that its pace still hides is answered as soon as it is revealed, cancelled, deleted or reset."""
    record = await ended(operations, pace)
    waiting = asyncio.get_running_loop().create_task(operations.wait(record.name, None))
    act, name = getattr(operations, how), () if how == "reset" else (record.name,)
    asyncio.get_running_loop().call_soon(act, *name)
    operation, _ = await waiting
    assert operation.done
    assert operation.HasField("error") == (how == "cancel")


async def test_deleting_forgets_but_does_not_stop(operations: Operations) -> None:
    """A deleted operation is not found any more, and its work goes on to its end."""
    work = Work()
    record = await start(operations, "auto", work)
    operations.delete(record.name)
    with pytest.raises(VisionError, match="Not found"):
        operations.find(record.name)
    work.may_end.set()
    await record.finished.wait()
    assert isinstance(record.result, AsyncBatchAnnotateImagesResponse)


async def test_a_deleted_operation_is_still_waited_for_and_stopped(operations: Operations, clock: ManualClock) -> None:
    """Work that goes on behind a deleted operation counts as running, ends with a reset and with the server; its waiters are answered."""
    deleted = await start(operations, "never", Work())
    waiting = asyncio.get_running_loop().create_task(operations.wait(deleted.name, None))
    asyncio.get_running_loop().call_soon(operations.delete, deleted.name)
    asyncio.get_running_loop().call_soon(operations.reset)
    assert (await waiting)[0].error.code == Code.CANCELLED
    assert operations.running == 0
    async with Operations(clock, Chance(1), Pace("auto"), "p") as others:
        record = await start(others, "auto", Work())
        others.delete(record.name)
        assert others.running == 1
    assert record.cancelled


async def test_listing_shows_all_and_counts_no_poll(operations: Operations) -> None:
    """The list holds every operation, oldest first, filtered by done; looking at it is no poll."""
    first, second = await ended(operations, "polls:1"), await ended(operations, "auto")
    assert [operation.name for operation in operations.list()] == [first.name, second.name]
    assert [operation.name for operation in operations.list(done=True)] == [second.name]
    assert first.polls == 0


async def test_betas_have_their_own_type_urls(operations: Operations) -> None:
    """An operation of a beta is typed with that beta's package."""
    work = Work()
    work.may_end.set()
    record = await start(operations, "auto", work, method=BETA)
    operation, _ = await operations.get(record.name)
    assert operation.response.type_url.endswith("google.cloud.vision.v1p4beta1.AsyncBatchAnnotateImagesResponse")
    assert operation.metadata.type_url.endswith("google.cloud.vision.v1p4beta1.OperationMetadata")


async def test_kept_operations_are_bounded(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest finished one is forgotten; when all are unfinished, RESOURCE_EXHAUSTED."""
    monkeypatch.setattr(limits, "OPERATIONS_KEPT_MAX", 2)
    oldest, running, newest = (
        await ended(operations, "auto"),
        await start(operations, "auto", Work()),
        await start(operations, "auto", Work()),
    )
    assert [record.id for record in operations] == [running.id, newest.id]
    with pytest.raises(VisionError, match="Not found"):
        operations.find(oldest.name)
    with pytest.raises(VisionError) as full:
        operations.open_record(METHOD, "", Pace("auto"))
    assert full.value.code == Code.RESOURCE_EXHAUSTED


async def test_leaving_stops_what_runs(clock: ManualClock) -> None:
    """Leaving the operations cancels unfinished work and returns."""
    async with Operations(clock, Chance(1), Pace("auto"), "p") as operations:
        record = await start(operations, "auto", Work())
    assert isinstance(record.result, VisionError)
    assert record.cancelled


async def test_one_seed_repeats_the_names() -> None:
    """The same seed gives the same operation names in the same order."""

    async def names() -> list[str]:
        async with Operations(ManualClock(), Chance(7), Pace("auto"), "p") as operations:
            return [operations.open_record(METHOD, "", Pace("auto")).name for _ in range(3)]

    assert await names() == await names()
    assert len(set(await names())) == 3


async def test_failing_stops_the_work(operations: Operations) -> None:
    """An operation that is made to fail ends with that error, whatever its work would have ended with; a final state stays."""
    record = await start(operations, "never", Work())
    failure = errors.by_rule(Code.ABORTED, "no luck")
    assert operations.fail(record.name, failure)
    await record.finished.wait()
    operation, _ = await operations.get(record.name)
    assert (operation.done, operation.error.code, operation.error.message) == (True, Code.ABORTED, "no luck")
    assert state(operation) == OperationMetadata.DONE
    assert not operations.fail(record.name, errors.internal())
    operations.cancel(record.name)
    assert (await operations.get(record.name))[0] == operation


async def test_what_is_finished_behind_the_curtain_can_still_fail(operations: Operations) -> None:
    """Nobody has seen the result, so it may become another one."""
    record = await ended(operations, "manual")
    assert operations.fail(record.name, errors.by_rule(Code.ABORTED, ""))
    assert (await operations.get(record.name))[0].error.code == Code.ABORTED


async def test_a_pace_that_changes_wakes_who_waits(operations: Operations, clock: ManualClock) -> None:
    """A wait is over when the new pace says so; another pace that hides the result goes on hiding it."""
    record = await ended(operations, "never")
    waiting = asyncio.get_running_loop().create_task(operations.wait(record.name, None))
    for pace in ("manual", "seconds:10"):
        operations.set_pace(record.name, Pace.parse(pace))
        for _ in range(5):
            await asyncio.wait((waiting,), timeout=0)
        assert not waiting.done()
    clock.advance(10)
    operation, _ = await waiting
    assert operation.done


async def test_operations_are_kept_for_their_time(clock: ManualClock) -> None:
    """So long after the end, whoever looked in between; work that goes on is kept for as long as it takes."""
    async with Operations(clock, Chance(1), Pace("auto"), "p", kept_seconds=60) as operations:
        unfinished = await start(operations, "auto", Work())
        finished = await ended(operations, "auto")
        clock.advance(59)
        assert operations.find(finished.name) is finished
        clock.advance(1)
        with pytest.raises(VisionError, match="Not found"):
            operations.find(finished.name)
        assert [record.id for record in operations] == [unfinished.id]
        assert [operation.name for operation in operations.list()] == [unfinished.name]


async def test_the_looks_that_are_kept_are_bounded(operations: Operations) -> None:
    """A client that polls for ever is counted, and its newest polls are kept."""
    record = await ended(operations, "never")
    for _ in range(limits.POLLS_KEPT_MAX + 3):
        await operations.get(record.name)
    assert (record.attempts, len(record.looks)) == (limits.POLLS_KEPT_MAX + 3, limits.POLLS_KEPT_MAX)
