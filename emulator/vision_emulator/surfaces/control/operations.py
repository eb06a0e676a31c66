"""Operations, their pace, and how clients polled them, over the control API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from vision_emulator.contract import codec
from vision_emulator.contract.errors import VisionError, by_rule
from vision_emulator.control.clock import Clock
from vision_emulator.control.faults import RuleRefused, code_of
from vision_emulator.core.operations import Operations, Output, Pace, Poll, Record
from vision_emulator.surfaces.control.route import Asked, Refused, Route

PROGRESSES_MAX: Final = 1000  # operations of one answer


class PaceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pace as ``--pace`` takes it."""

    pace: str


class FailureBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operation is to end with; without a message Google's general text for the code."""

    code: str | int = "INTERNAL"
    message: str = ""


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """How one client polled an operation. Times are seconds since 1970 on the emulator's clock, gaps the seconds between them."""

    user_agent: str
    client: str  # what it says of itself in x-goog-api-client
    transport: str
    attempts: int
    times: list[float]
    gaps: list[float]
    kinds: list[str]  # "get" or "wait", for each attempt
    saw_done: bool


class Polls(msgspec.Struct, frozen=True):
    """Everybody who polled an operation, in the order of their first attempts. ``attempts`` counts them all, the newest are listed."""

    name: str
    attempts: int
    clients: list[Client]


class Shard(msgspec.Struct, frozen=True):
    """An output file, and the images or pages it is of, counted from 1."""

    uri: str
    first: int
    last: int
    written: bool


class OutputProgress(msgspec.Struct, frozen=True, rename="camel"):
    """What goes to one destination: how many images or pages, how many of them are looked at and how many failed, and the files."""

    destination: str
    images: int
    looked_at: int
    failed: int
    shards: list[Shard]


class Progress(msgspec.Struct, frozen=True, rename="camel"):
    """How far an operation is. ``state`` is what clients see; ``worked`` says whether the work is over, which its pace may hide."""

    name: str
    method: str
    state: str
    code: str  # that it ends with, "" while the work goes on
    message: str
    worked: bool
    pace: str
    created: float
    updated: float
    attempts: int  # of clients to see the result
    images: int  # or pages, of all destinations begun so far
    looked_at: int
    failed: int
    shards: int
    written: int  # of the shards


class WholeProgress(Progress, frozen=True, rename="camel"):
    """The same with every output file."""

    outputs: list[OutputProgress]


class Progresses(msgspec.Struct, frozen=True):
    """How far the newest operations are, the oldest first; ``total`` is how many there are."""

    operations: list[Progress]
    total: int


class OperationsResource:
    """What runs, and when clients see that it is done."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        whose = {"project": "only this project's"}
        newest = {"limit": f"at most so many, the newest; {PROGRESSES_MAX} at most"}
        operation, listed = dict[str, Any], dict[str, list[dict[str, Any]]]
        return (
            Route("GET", "/v1/operations", "All operations, oldest first, as clients see them now.", self._list, None, listed, whose),
            Route("GET", "/v1/operations:progress", "How far each is, with counts.", self._progresses, None, Progresses, whose | newest),
            Route("GET", "/v1/operations/{id}/progress", "How far it is, file by file.", self._progress, answer=WholeProgress),
            Route("GET", "/v1/operations/{id}", "One operation, as clients see it now; no poll.", self._get, answer=operation),
            Route("GET", "/v1/operations/{id}/polls", "How clients polled it: times, gaps, attempts.", self._polls, answer=Polls),
            Route("PUT", "/v1/operations/{id}/pace", "Another pace for this one.", self._set_its_pace, PaceBody, operation),
            Route(
                "POST",
                "/v1/operations/{id}:advance",
                "One step nearer to done: counts as a poll of polls:N; for any other pace clients see the result from now on.",
                self._advance,
                answer=operation,
            ),
            Route(
                "POST", "/v1/operations/{id}:complete", "Let clients see the result, whatever the pace.", self._complete, answer=operation
            ),
            Route(
                "POST", "/v1/operations/{id}:fail", "Stop the work; the operation ends with this error.", self._fail, FailureBody, operation
            ),
            Route("POST", "/v1/operations/{id}:cancel", "Stop the work; the operation ends CANCELLED.", self._cancel, answer=operation),
            Route("GET", "/v1/pace", "When clients get to see that an operation is done.", self._pace, answer=PaceBody, query=whose),
            Route("PUT", "/v1/pace", "Set it, for operations that begin from now on.", self._set_pace, PaceBody, PaceBody, whose),
        )

    async def _list(self, asked: Asked) -> Any:
        scope = f"projects/{asked.project}" if asked.project else ""
        return {"operations": [codec.to_json(operation) for operation in self._operations.list(scope)]}

    async def _get(self, asked: Asked) -> Any:
        return self._seen(_name(asked))

    async def _progresses(self, asked: Asked) -> Any:
        text = asked.query.get("limit", str(PROGRESSES_MAX))
        if not (text.isascii() and text.isdigit() and len(text) < PROGRESSES_MAX) or not 1 <= int(text) <= PROGRESSES_MAX:
            raise Refused(f"limit={text[:40]} is out of range; use 1 to {PROGRESSES_MAX}")
        records = [record for record in self._operations if asked.project in ("", record.project)]
        now = self._clock.now()
        return Progresses([Progress(**_progress(record, now)) for record in records[-int(text) :]], len(records))

    async def _progress(self, asked: Asked) -> Any:
        record = self._operations.find(_name(asked))
        return WholeProgress(**_progress(record, self._clock.now()), outputs=[_output(output) for output in record.outputs])

    async def _complete(self, asked: Asked) -> Any:
        self._operations.reveal(_name(asked))
        return await self._changed(_name(asked))

    async def _advance(self, asked: Asked) -> Any:
        self._operations.advance(_name(asked))
        return await self._changed(_name(asked))

    async def _cancel(self, asked: Asked) -> Any:
        self._operations.cancel(_name(asked))
        return await self._changed(_name(asked))

    async def _fail(self, asked: Asked) -> Any:
        try:
            failure = by_rule(code_of(asked.body.code), asked.body.message)
        except RuleRefused as refused:
            raise Refused(f"code: {refused}") from refused
        if not self._operations.fail(_name(asked), failure):
            raise Refused("The operation is done, and an operation that is done stays as it is.", 409)
        await self._operations.find(_name(asked)).finished.wait()
        return await self._changed(_name(asked))

    async def _polls(self, asked: Asked) -> Polls:
        record = self._operations.find(_name(asked))
        by_client: dict[tuple[str, str, str], list[Poll]] = {}
        for poll in record.looks:
            by_client.setdefault((poll.user_agent, poll.client, poll.transport), []).append(poll)
        return Polls(record.name, record.attempts, [_client(*who, polls) for who, polls in by_client.items()])

    async def _set_its_pace(self, asked: Asked) -> Any:
        self._operations.set_pace(_name(asked), Pace.parse(asked.body.pace))
        return await self._changed(_name(asked))

    async def _changed(self, name: str) -> Any:
        """How an operation is seen now; what was done to it is kept before anybody is told."""
        await self._operations.kept()
        return self._seen(name)

    def _seen(self, name: str) -> Any:
        return codec.to_json(self._operations.find(name).view(name, self._clock.now()))

    async def _pace(self, asked: Asked) -> Any:
        return PaceBody(str(self._operations.pace_of(asked.project)))

    async def _set_pace(self, asked: Asked) -> Any:
        pace = Pace.parse(asked.body.pace)
        if asked.project:
            self._operations.paces[asked.project] = pace
        else:
            self._operations.pace = pace
        return PaceBody(str(pace))


def _progress(record: Record, now: float) -> dict[str, Any]:
    """What Progress says of an operation."""
    result, outputs = record.result, record.outputs
    failure = result if isinstance(result, VisionError) else None
    return {
        "name": record.name,
        "method": record.method.full_name,
        "state": record.state(now),
        "code": failure.code.name if failure else "" if result is None else "OK",
        "message": failure.message if failure else "",
        "worked": result is not None,
        "pace": str(record.pace),
        "created": record.created,
        "updated": record.updated,
        "attempts": record.attempts,
        "images": sum(output.count for output in outputs),
        "looked_at": sum(output.looked_at for output in outputs),
        "failed": sum(output.failed for output in outputs),
        "shards": sum(len(output.written) for output in outputs),
        "written": sum(sum(output.written) for output in outputs),
    }


def _output(output: Output) -> OutputProgress:
    shards = [
        Shard(output.uri_of(number), *output.range_of(number), written=bool(written)) for number, written in enumerate(output.written)
    ]
    return OutputProgress(output.destination, output.count, output.looked_at, output.failed, shards)


def _name(asked: Asked) -> str:
    return f"operations/{asked.variables['id']}"


def _client(user_agent: str, client: str, transport: str, polls: Iterable[Poll]) -> Client:
    polls = list(polls)
    times = [poll.at for poll in polls]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Client(user_agent, client, transport, len(polls), times, gaps, [poll.kind for poll in polls], any(poll.done for poll in polls))
