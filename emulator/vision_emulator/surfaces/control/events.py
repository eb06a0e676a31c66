"""What happens, as it happens: server-sent events of calls and operations, for a page that is looked at and for tests that wait.

| Event | When | Data |
|---|---|---|
| ``started`` | a call has come | the number, at, method, transport and project of its journal entry |
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
from vision_emulator.control.clock import Clock
from vision_emulator.control.journal import Event, Journal
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
                    later = (entry for entry in self._journal if entry.number > int(since) and entry.code is not None)
                    await response.write(await _written([Event("finished", entry) for entry in later], asked.project))
                seen: dict[str, tuple[Any, ...]] = {record.id: _state(record, self._clock.now()) for record in self._operations}
                loop, silence, looked = asyncio.get_running_loop(), 0.0, 0.0
                while not reader.closed and not _gone(asked.request):
                    missed, events = await reader.events(limits.EVENTS_LOOK_SECONDS)
                    told = _event("missed", {"count": missed}) if missed else b""
                    told += await _written(events, asked.project)
                    if loop.time() - looked >= limits.EVENTS_LOOK_SECONDS:
                        looked = loop.time()
                        told += b"".join(_event("operation", operation) for operation in self._moved(seen, asked.project))
                    silence = 0.0 if told else silence + limits.EVENTS_LOOK_SECONDS
                    if silence >= limits.EVENTS_HEARTBEAT_SECONDS:
                        silence, told = 0.0, _HEARTBEAT
                    if told:
                        await response.write(told)  # waits while the reader does not take it; the queue drops what is too old meanwhile
            except ConnectionError:
                pass  # the reader went away, as readers do
        return response

    def _moved(self, seen: dict[str, tuple[Any, ...]], project: str) -> Iterator[Any]:
        """The operations that are not as they were when the reader was told of them."""
        now = self._clock.now()
        states = {record.id: (record, _state(record, now)) for record in self._operations}
        for id_, (record, state) in states.items():
            if seen.get(id_) != state:
                seen[id_] = state
                if not project or f"projects/{project}/" in f"{record.name}/":
                    yield codec.to_json(record.view(record.name, now))
        for id_ in [id_ for id_ in seen if id_ not in states]:
            del seen[id_]


def _state(record: Record, now: float) -> tuple[Any, ...]:
    """What of an operation a reader is told of."""
    looked_at = sum(output.looked_at for output in record.outputs) if record.result is None else 0
    return record.updated, record.visible(now), record.cancelled, looked_at


async def _written(events: Iterable[Event], project: str) -> bytes:
    """The events of a project's calls as the stream has them."""
    parts: list[bytes] = []
    for event in events:
        if project in ("", event.entry.project):
            text = await asyncio.to_thread(event.text) if event.heavy else event.text()
            number = f"id: {event.entry.number}\n" if event.kind == "finished" else ""
            parts.append(f"event: {event.kind}\n{number}data: ".encode() + text + b"\n\n")
    return b"".join(parts)


def _event(kind: str, what: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + codec.dump_json(what) + b"\n\n"


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()
