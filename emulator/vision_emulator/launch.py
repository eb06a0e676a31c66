"""``exec``: a program run with an emulator beside it, which is gone when the program is; nothing of either is left behind.

Signals are the program's: it is told what this process is told, and its exit code is ours.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from vision_emulator import environment
from vision_emulator.app import Emulator
from vision_emulator.contract.errors import Code
from vision_emulator.control.journal import Journal
from vision_emulator.swept import Swept

FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)  # which tells the program as well: they are not told twice
NOT_FOUND: Final = 127  # exit codes of shells
NOT_EXECUTABLE: Final = 126
KILLED: Final = 128
FAILURES_SHOWN: Final = 5


class CannotRun(Exception):
    """The program cannot be started; the text says why, ``code`` is what a shell would exit with."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


async def run(emulator: Emulator, command: Sequence[str], environ: Mapping[str, str], swept: Swept) -> int:
    """Runs a command against a running emulator; its exit code, as a shell gives it. CannotRun when there is no such program."""
    project, storage = emulator.config.project, emulator.config.storage
    authority = await asyncio.to_thread(emulator.tls.authority)
    files = await asyncio.to_thread(environment.write_files, swept.folder, authority, project, f"{emulator.url}/token", environ)
    variables = environment.variables(emulator.address, project, files, environ, storage)
    loop = asyncio.get_running_loop()
    for number in FROM_THE_TERMINAL:
        loop.add_signal_handler(number, lambda: None)
    try:
        process = await asyncio.create_subprocess_exec(*command, env={**environ, **variables})
    except FileNotFoundError as missing:
        raise CannotRun(f"{command[0]}: no such program", NOT_FOUND) from missing
    except OSError as failure:
        raise CannotRun(f"{command[0]}: {failure.strerror}", NOT_EXECUTABLE) from failure
    swept.tell(process.pid)
    for number in FORWARDED:
        loop.add_signal_handler(number, _forward, process, number)
    code = await process.wait()
    swept.tell(0)
    return KILLED - code if code < 0 else code


def _forward(process: asyncio.subprocess.Process, number: int) -> None:
    if process.returncode is None:
        process.send_signal(number)


def summary(journal: Journal) -> str:
    """What was called and what was answered, in a few lines: the first thing to know when a program failed."""
    entries = list(journal)
    if not entries:
        return (
            "The emulator was not called. Does the program build its client for another address, or bypass its proxy, as Python's "
            "httplib2 does without PySocks?"
        )
    counted = Counter(
        (entry.method.rpartition(".")[2], entry.transport, "unanswered" if entry.code is None else entry.code.name) for entry in entries
    )
    lines = [f"The emulator was called {len(entries)} times:"]
    lines += [f"  {count:>5} × {method} over {transport}: {code}" for (method, transport, code), count in counted.most_common()]
    failed = [entry for entry in entries if entry.code is not None and entry.code != Code.OK]
    if failed:
        lines.append(f"The last {min(len(failed), FAILURES_SHOWN)} refusals:")
        lines += [f"  {entry.method.rpartition('.')[2]}: {entry.message}" for entry in failed[-FAILURES_SHOWN:]]
    return "\n".join(lines)
