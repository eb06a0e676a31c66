"""``prepared.py PROGRAM ARGUMENT…``: gives the emulator at $VISION_EMULATOR_HOST what the scenarios need, runs the program, and says
how often each fault struck; its exit code is the program's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from vision_emulator.client import Control

CAT = {"labelAnnotations": [{"description": "Cat", "score": 0.98}, {"description": "Whiskers", "score": 0.9}]}
SIGN = {"textAnnotations": [{"description": "Hello\nWorld"}], "fullTextAnnotation": {"text": "Hello\nWorld"}}
SLOW_SECONDS = 60


def prepare(control: Control, picture: bytes) -> None:
    """Rules and faults."""
    control.fixtures.add({"sha256": hashlib.sha256(picture).hexdigest()}, CAT)
    for name in ("cat", "flaky", "slow"):
        control.fixtures.add(f"gs://inputs/{name}.jpg", CAT)
    control.fixtures.add("gs://inputs/sign.jpg", SIGN)
    control.faults.add({"fault": "reject", "code": "UNAVAILABLE"}, id="flaky", times=2, image={"uri": "gs://inputs/flaky.jpg"})
    control.faults.add({"fault": "delay", "seconds": SLOW_SECONDS}, id="slow", times=None, image={"uri": "gs://inputs/slow.jpg"})


def main(command: list[str]) -> int:
    control = Control(os.environ["VISION_EMULATOR_HOST"])  # noqa: TID251 - a program of its own
    (picture,) = (Path(argument, "picture.jpg") for argument in command if Path(argument, "picture.jpg").is_file())
    prepare(control, picture.read_bytes())
    code = subprocess.run(command, check=False).returncode
    struck = {"flaky": control.faults.report("flaky")["struck"]}
    print(json.dumps({"scenario": "faults", "result": struck}), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
