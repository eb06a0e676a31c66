"""What was called: one entry per call, bounded, the oldest forgotten first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vision_emulator.contract import limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.methods import Call
from vision_emulator.control.clock import Clock


@dataclass(slots=True, eq=False)
class Entry:
    """The record of one call. Times are seconds; ``code`` is None while the call is being answered."""

    number: int
    at: float
    method: str
    transport: str
    code: Code | None = None
    message: str = ""
    seconds: float = 0.0
    answered: dict[str, str] = field(default_factory=dict)  # the answer's own headers, among them who annotated


class Journal:
    """Every call that reached the API, newest last."""

    def __init__(self, clock: Clock, entries_max: int = limits.JOURNAL_ENTRIES_MAX) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self._count = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def reset(self) -> None:
        """Forgets every entry and counts from one again."""
        self._entries.clear()
        self._count = 0

    @contextmanager
    def entry(self, call: Call) -> Iterator[Entry]:
        """Notes a call and, when the block is left, how it ended."""
        self._count += 1
        entry = Entry(self._count, self._clock.now(), call.method.full_name, call.transport)
        self._entries.append(entry)
        try:
            yield entry
            entry.code = Code.OK
        except VisionError as failure:
            entry.code, entry.message = failure.code, failure.message
            raise
        except BaseException:
            entry.code = Code.CANCELLED
            raise
        finally:
            entry.seconds = self._clock.now() - entry.at
            entry.answered = call.answer_metadata
