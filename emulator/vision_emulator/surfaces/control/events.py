"""What happens, as it happens: server-sent events of calls and operations, for a page that is looked at and for tests that wait.

| Event | When | Data |
|---|---|---|
| ``started`` | a call has come | its journal entry, with code null |
| ``finished`` | it is answered | its journal entry |
| ``operation`` | an operation has begun or moved on | the operation, as clients see it now |
| ``missed`` | the reader was too slow | ``{"count": N}``: so many of the above were dropped, the oldest |

The event's id is the number of the call; who comes back with it as Last-Event-ID, or in ``since``, gets the finished calls after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from aiohttp import web

from vision_emulator.contract import codec, limits
from vision_emulator.control import assertions
from vision_emulator.control.clock import Clock
from vision_emulator.control.journal import Entry, Event, Journal
from vision_emulator.core.operations import Operations, Record
from vision_emulator.surfaces.control.route import Asked, Refused, Route

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy in between must not collect what it passes on
_HEARTBEAT: Final = b": nothing happened\n\n"


class EventsResource:
    """A stream of what happens."""

    def __init__(self, journal: Journal, operations: Operations, clock: Clock) -> None:
        self._journal = journal
        self._operations = operations
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        query = {"project": "only its calls and operations", "since": "begin with the finished calls after the one of this number"}
        summary = "Calls and operations as they happen, as server-sent events."
        return (Route("GET", "/v1/events", summary, self._stream, answer=bytes, query=query, media="text/event-stream"),)

    async def _stream(self, asked: Asked) -> web.StreamResponse:
        if self._journal.readers >= limits.EVENTS_READERS_MAX:
            raise Refused(f"{limits.EVENTS_READERS_MAX} readers are listening already; close one of them first.", 503)
        since = asked.query.get("since") or asked.request.headers.get("Last-Event-ID", "")
        if since and not (since.isascii() and since.isdigit() and len(since) < 16):
            raise Refused(f"since={since} is no whole number")
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream; charset=UTF-8"})
        with self._journal.read() as reader:  # before the first answer: what comes next is not missed
            await response.prepare(asked.request)
            if asked.request.method == "HEAD":
                return response
            try:
                await response.write(b": listening\n\n")
                if since:
                    replayed = [Event("finished", entry) for entry in self._journal if entry.number > int(since) and entry.code is not None]
                    await self._write(response, _told(replayed, asked.project))
                seen: dict[str, tuple[Any, ...]] = {record.id: _state(record, self._clock.now()) for record in self._operations}
                silence = 0.0
                while not reader.closed and not _gone(asked.request):
                    missed, events = await reader.events(limits.EVENTS_LOOK_SECONDS)
                    told = [*_missed(missed), *_told(events, asked.project), *self._moved(seen, asked.project)]
                    silence = 0.0 if told else silence + limits.EVENTS_LOOK_SECONDS
                    if silence >= limits.EVENTS_HEARTBEAT_SECONDS:
                        silence = 0.0
                        await response.write(_HEARTBEAT)
                    await self._write(response, told)
            except ConnectionError:
                pass  # the reader went away, as readers do
        return response

    async def _write(self, response: web.StreamResponse, told: Sequence[tuple[str, int, Any]]) -> None:
        """Sends the events; waits while the reader does not take them, and the queue drops what is too old meanwhile."""
        for kind, number, what in told:
            plain = await asyncio.to_thread(what.plain) if isinstance(what, Entry) else what
            data = codec.dump_json(plain)
            head = f"event: {kind}\n" + (f"id: {number}\n" if kind == "finished" else "")
            await response.write(head.encode() + b"data: " + data + b"\n\n")

    def _moved(self, seen: dict[str, tuple[Any, ...]], project: str) -> Iterator[tuple[str, int, Any]]:
        """The operations that are not as they were when the reader was told of them."""
        now = self._clock.now()
        states = {record.id: (record, _state(record, now)) for record in self._operations}
        for id_, (record, state) in states.items():
            if seen.get(id_) != state:
                seen[id_] = state
                if not project or f"projects/{project}/" in f"{record.name}/":
                    yield "operation", 0, codec.to_json(record.view(record.name, now))
        for id_ in [id_ for id_ in seen if id_ not in states]:
            del seen[id_]


def _state(record: Record, now: float) -> tuple[Any, ...]:
    """What of an operation a reader is told of."""
    return record.updated, record.visible(now), record.cancelled


def _told(events: Iterable[Event], project: str) -> list[tuple[str, int, Any]]:
    return [(event.kind, event.entry.number, event.entry) for event in events if assertions.fits(project or "*", event.entry.project)]


def _missed(count: int) -> list[tuple[str, int, Any]]:
    return [("missed", 0, {"count": count})] if count else []


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()
