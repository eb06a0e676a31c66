"""An emulator that is killed, at any point: what it had accepted is finished by the next one, and what it had finished stays as it is.

More of it: ``pytest tests/simulation/test_crashes.py --crash-points 5000 --crash-seed 7``. A failure names the seed of its scenario;
``python tests/simulation/crashing.py FOLDER SEED 1`` begins with that one.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vision_emulator.control.clock import Chance

PARTS = 4  # that run side by side where there are cores
SEEDS_PER_PART = 100_000
SECONDS_PER_POINT = 2  # on a busy machine
SECONDS_MAX = 60
KILLS = 5
WAITED = 40  # milliseconds that a server has at most before it is killed
MEMORY = Path("/dev/shm")  # a disk that is never waited for: it forgets as little as another when a process ends
CRASHING = Path(__file__).with_name("crashing.py")


@pytest.mark.timeout(0)  # the program has its own, which grows with the points asked for
@pytest.mark.parametrize("part", range(PARTS))
def test_a_life_that_is_cut_off_at_any_point_is_gone_on_with(part: int, request: pytest.FixtureRequest) -> None:
    """Whichever change to the disk is the last one: what clients were told holds afterwards, no object is torn, accepted work is
    finished, and no shard that was finished is written again; its bytes would be others, since every life has another seed."""
    wanted = -(-request.config.getoption("--crash-points") // PARTS)
    seed = request.config.getoption("--crash-seed") + part * SEEDS_PER_PART
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        command = [sys.executable, str(CRASHING), folder, str(seed), str(wanted)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX + wanted * SECONDS_PER_POINT, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["points"] == wanted


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on the folder, and its URL; killed without warning at the end."""
    flags = ("--port", "0", "--data-dir", str(folder), "--bucket", "results", "--pace", "polls:0")
    command = [sys.executable, "-m", "vision_emulator", "serve", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("Ready on "), process.communicate()[1]
        yield process, "http://" + ready.removeprefix("Ready on ").partition(": ")[0]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=SECONDS_MAX) as answer:  # noqa: S310 - the server's own
        return json.load(answer)


def finished(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Every output file that is to be seen, with the inode that says whether it was written again."""
    return {path: (path.stat().st_ino, path.read_bytes()) for path in (folder / "buckets" / "results").rglob("*.json")}


def test_a_server_killed_while_it_works_is_gone_on_with(tmp_path: Path) -> None:
    """SIGKILL at random moments of a batch: every operation that was acknowledged ends with all its files, each written once."""
    chance, folder, names = Chance(5), tmp_path / "data", []
    seen: dict[Path, tuple[int, bytes]] = {}
    sample = "gs://cloud-samples-data/vision/label/wakeupcat.jpg"
    image = {"image": {"source": {"imageUri": sample}}, "features": [{"type": "LABEL_DETECTION"}, {"type": "FACE_DETECTION"}]}
    for number in range(KILLS):
        with serving(folder) as (process, url):
            output = {"gcsDestination": {"uri": f"gs://results/{number}/"}, "batchSize": 3}
            names.append(call(f"{url}/v1/images:asyncBatchAnnotate", {"requests": [image] * 300, "outputConfig": output})["name"])
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.fraction() * WAITED / 1000)
            process.send_signal(signal.SIGKILL)
            process.wait()
        now = finished(folder)
        assert {path: now[path] for path in seen} == seen
        seen = now
    with serving(folder) as (_, url):
        for name in names:
            assert "response" in call(f"{url}/v1/{name}"), name
    now = finished(folder)
    assert {path: now[path] for path in seen} == seen
    assert len(now) == KILLS * 100
    assert all(len(json.loads(content)["responses"]) == 3 for _, content in now.values())
