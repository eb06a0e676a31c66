"""What outlives no process of ours: a folder, and a program, both gone when this process is, however it ends.

A small shell process waits for that: it reads until its input is closed, which the kernel does for a process that is killed, too.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

# Reads the program's process id (0: it is over) until this process is gone, then ends what is left. Deaf to signals meant for others.
_SWEEPER: Final = """
trap '' INT HUP TERM QUIT
child=0
while read -r line; do child=$line; done
if [ "$child" != 0 ]; then
  kill "$child" 2>/dev/null
  n=0
  while [ $n -lt 20 ] && kill -0 "$child" 2>/dev/null; do sleep 0.1; n=$((n + 1)); done
  kill -9 "$child" 2>/dev/null
fi
rm -rf -- "$1"
"""


class Swept:
    """A folder that only this user can read, and the process that removes it when this one is gone: ``with Swept() as swept``."""

    def __init__(self) -> None:
        self.folder: Final = Path(tempfile.mkdtemp(prefix="vision-emulator-"))
        self._sweeper = subprocess.Popen(  # noqa: S603 - a script of ours and a folder that was just made
            ["/bin/sh", "-c", _SWEEPER, "vision-emulator-sweeper", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tell(self, process_id: int) -> None:
        """Which program is to end with this process; 0: none."""
        assert self._sweeper.stdin is not None
        self._sweeper.stdin.write(b"%d\n" % process_id)
        self._sweeper.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._sweeper.stdin is not None
        self._sweeper.stdin.close()
        self._sweeper.wait()
