"""Lives of an emulator on one data directory, each but the last cut off at a random point; a program of its own, for it forks.

``python tests/simulation/crashing.py FOLDER SEED POINTS`` runs as many lives as it takes to die at so many points, and prints how many
points there were and what died there. A point lies before and after every call that changes a file, in the middle of writing one, and
before and after every statement of the database. What clients were told before a life ended is noted past all that, and the next life
is held to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock
from vision_emulator.storage import ObjectMissing, operation_store
from vision_emulator.storage.directory import HIDDEN, DirectoryBucket
from vision_emulator.storage.embedded import Attributes

VISION = "/google.cloud.vision.v1.ImageAnnotator/"
OPERATIONS = "/google.longrunning.Operations/"
FATAL = 137  # the exit code of a life that ends at its point; what a killed process has
PICTURES = 6
STEPS = 7  # of a life
PACES = ("auto", "auto", "polls:1", "polls:3", "seconds:0.01", "never")
NAMES = ("changing", "deep/er/changing", "odd//changing", "dot.")  # of objects that are written again and again
LIVES_MAX = 5  # on one folder


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (number * 40, 90, 200 - number * 30)).save(buffer, "PNG")
    return buffer.getvalue()


class Dice:
    """Numbers that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed)

    def below(self, end: int) -> int:
        return int(self._chance.hex(12), 16) % end

    def pick(self, among: Any) -> Any:
        return among[self.below(len(among))]


class Points:
    """Counts the points of a life, and ends it at one of them."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self._fatal = fatal
        self._lock = threading.Lock()

    def at(self, what: str, before: Callable[[], object] = lambda: None) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._fatal:
                before()
                os.write(1, f"{what}\n".encode())
                os._exit(FATAL)

    def lay(self) -> None:
        """Puts points around everything that changes the disk."""
        points = self
        for name in ("fsync", "replace", "mkdir", "unlink", "rmdir"):
            setattr(os, name, points.around(name, getattr(os, name)))
        write = DirectoryBucket._write_temporary

        def torn(bucket: DirectoryBucket, data: bytes) -> Path:
            points.at("half a file", lambda: (bucket._hidden / f"tmp-{bucket.name}-torn").write_bytes(data[: len(data) // 2]))
            return write(bucket, data)

        DirectoryBucket._write_temporary = torn  # type: ignore[method-assign]

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql.lstrip().startswith(("SELECT", "PRAGMA")):
                    return super().execute(sql, *arguments)
                verb = sql.split(maxsplit=1)[0]
                points.at(f"before {verb}")
                done = super().execute(sql, *arguments)
                points.at(f"after {verb}")
                return done

        connect = sqlite3.connect
        operation_store.sqlite3.connect = lambda *args, **kwargs: connect(*args, **kwargs, factory=Connection)  # type: ignore[attr-defined]

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def pointed(*args: Any, **kwargs: Any) -> Any:
            self.at(f"before {name}")
            done = function(*args, **kwargs)
            self.at(f"after {name}")
            return done

        return pointed


class Notes:
    """What clients asked and were told, over all lives: lines in a file, which no point interrupts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, **what: Any) -> None:
        os.write(self._file, json.dumps(what).encode() + b"\n")

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines()]


class Life:
    """One run of the emulator on the folder."""

    def __init__(self, vision: Any, storage: Any, notes: Notes, seed: int) -> None:
        self.vision, self.storage, self.notes = vision, storage, notes
        self.dice = Dice(seed)
        self.seed = seed
        self.names = [note["name"] for note in notes.read() if note["kind"] == "started"]

    async def call(self, path: str, request: dict[str, Any], **metadata: str) -> Any:
        method = METHODS[path]
        return await self.vision.call(Call(method, method.request(**request), metadata))

    async def run(self) -> None:
        """Random calls; then all that was accepted is finished."""
        actions = [self.start, self.start, self.start, self.put, self.put, self.remove, self.poll, self.poll, self.cancel, self.delete]
        for _ in range(STEPS):
            await self.dice.pick(actions)()
        await self.vision.operations.drain()

    async def start(self) -> None:
        count, size = 1 + self.dice.below(12), 1 + self.dice.below(4)
        uris = [f"gs://inputs/{self.dice.below(PICTURES + 1)}" for _ in range(count)]  # the last is nowhere
        prefix = f"run-{self.seed}-{self.dice.below(1 << 40)}/"
        images = [{"image": {"source": {"image_uri": uri}}, "features": [{"type": "LABEL_DETECTION"}]} for uri in uris]
        output = {"gcs_destination": {"uri": f"gs://results/{prefix}"}, "batch_size": size}
        asked = {"requests": images, "output_config": output}
        pace = self.dice.pick(PACES)
        operation = await self.call(
            VISION + "AsyncBatchAnnotateImages", asked, **{"x-vision-emulator-pace": pace, "x-goog-api-key": "secret"}
        )
        self.names.append(operation.name)
        self.notes.add(kind="started", name=operation.name, uris=uris, size=size, prefix=prefix, pace=pace)

    async def put(self) -> None:
        """Writes an object whose content and metadata both say which version it is."""
        name, version = self.dice.pick(NAMES), f"{self.seed}-{self.dice.below(1 << 40)}"
        self.notes.add(kind="writing", object=name, version=version)
        bucket = self.storage.find("inputs")
        record = await bucket.put(name, version.encode() * 50, Attributes(f"text/{version}", metadata={"version": version}))
        self.notes.add(kind="written", object=name, version=version, generation=record.generation)

    async def remove(self) -> None:
        name = self.dice.pick(NAMES)
        self.notes.add(kind="writing", object=name, version=None)
        with contextlib.suppress(ObjectMissing):
            await self.storage.find("inputs").delete(name)
        self.notes.add(kind="written", object=name, version=None, generation=0)

    async def poll(self) -> None:
        if self.names:
            name = self.dice.pick(self.names)
            operation = await self.found(OPERATIONS + "GetOperation", name)
            if operation is not None and operation.done:
                self.notes.add(kind="done", name=name, operation=operation.SerializeToString(deterministic=True).hex())

    async def cancel(self) -> None:
        await self.end("CancelOperation", "cancelled")

    async def delete(self) -> None:
        await self.end("DeleteOperation", "deleted")

    async def end(self, rpc: str, kind: str) -> None:
        if self.names:
            name = self.dice.pick(self.names)
            self.notes.add(kind=f"to be {kind}", name=name)
            if await self.found(OPERATIONS + rpc, name) is not None:
                self.notes.add(kind=kind, name=name)

    async def found(self, path: str, name: str) -> Any:
        """What a call about an operation answers; None when that was deleted."""
        try:
            return await self.call(path, {"name": name})
        except VisionError as failure:
            if failure.code != Code.NOT_FOUND:
                raise
            return None

    # ---- what must hold ----

    async def check_start(self) -> None:
        """What clients were told before holds from the first moment on."""
        notes = self.notes.read()
        deleted = {note["name"] for note in notes if note["kind"] in ("deleted", "to be deleted")}
        known = {record.name: record for record in self.vision.operations}
        for note in notes:
            if note["kind"] == "deleted":
                assert note["name"] not in known, "a deleted operation is back"
            elif note["kind"] == "started" and note["name"] not in deleted:
                assert note["name"] in known, "an operation that was acknowledged is gone"
                assert str(known[note["name"]].pace) == note["pace"]
            elif note["kind"] == "done" and note["name"] not in deleted:
                view = known[note["name"]].view(note["name"], self.vision.operations._clock.now())
                assert view.SerializeToString(deterministic=True).hex() == note["operation"], "an operation has left its final state"
        await self.check_objects(notes)

    async def check_objects(self, notes: list[dict[str, Any]]) -> None:
        """Every object is what was written last, or what was being written when the life ended, with the metadata that belong to it."""
        bucket = self.storage.find("inputs")
        for name in NAMES:
            told = [note for note in notes if note.get("object") == name]
            acknowledged = max((at for at, note in enumerate(told) if note["kind"] == "written"), default=-1)
            allowed = [note["version"] for note in told[max(acknowledged, 0) :]] if told else [None]
            if acknowledged < 0:
                allowed.append(None)
            try:
                record, content = await bucket.content(name)
            except ObjectMissing:
                assert None in allowed, f"{name} is gone"
                continue
            version = record.attributes.metadata.get("version")
            assert version in allowed, f"{name} is {version}, not {allowed}"
            assert content == version.encode() * 50, f"{name} has another version's content"
            assert record.attributes.content_type == f"text/{version}"
            if acknowledged >= 0 and version == told[acknowledged]["version"]:
                assert record.generation == told[acknowledged]["generation"]

    async def check_end(self) -> None:
        """All that was accepted is done: every shard is there, whole, and in the order of its request."""
        notes = self.notes.read()
        gone = {note["name"] for note in notes if note["kind"] in ("deleted", "to be deleted")}
        stopped = {note["name"] for note in notes if note["kind"] in ("cancelled", "to be cancelled")}
        cancelled = {note["name"] for note in notes if note["kind"] == "cancelled"}
        done = {note["name"] for note in notes if note["kind"] == "done"}
        bucket = self.storage.find("results")
        for note in notes:
            if note["kind"] != "started":
                continue
            name = note["name"]
            if name not in gone:
                record = self.vision.operations.find(name)
                assert record.result is not None
                if name in cancelled and name not in done and note["pace"] == "never":
                    assert record.state(0) == "CANCELLED"
                if not isinstance(record.result, VisionError):
                    answered = sum(not uri.endswith(str(PICTURES)) for uri in note["uris"])
                    assert sum(record.answered_by.values()) == answered, f"{name}: {record.answered_by} is not {answered}; {note}, {record}"
                elif name not in stopped:
                    raise AssertionError(f"{name} ended with {record.result}")
                else:
                    assert record.result.code == Code.CANCELLED
                    continue
            elif name in stopped:
                continue
            for first in range(1, len(note["uris"]) + 1, note["size"]):
                uris = note["uris"][first - 1 : first - 1 + note["size"]]
                shard = await bucket.read(f"{note['prefix']}output-{first}-to-{first + len(uris) - 1}.json")
                responses = json.loads(shard)["responses"]
                assert [response["context"]["uri"] for response in responses] == uris
                assert ["error" in response for response in responses] == [uri.endswith(str(PICTURES)) for uri in uris]


async def live(folder: Path, seed: int, points: Points) -> None:
    """One life. Each is of another seed, so that a shard written twice would be another."""
    config = Config(data_dir=folder / "data", bucket=("inputs", "results"), annotators=("synthetic",), shipped_fixtures=False, seed=seed)
    notes = Notes(folder / "notes")
    async with core(config, SystemClock(), Chance()) as (vision, storage):
        life = Life(vision, storage, notes, seed)
        bucket = storage.find("inputs")
        for number in range(PICTURES):
            await bucket.write(str(number), picture(number), "image/png")
        await life.check_start()
        await life.run()
        await life.check_end()
    assert points.count, "nothing was written"


def shards(folder: Path) -> dict[str, str]:
    """Every output file that is to be seen, all of which must be whole, by its hash."""
    found = {}
    for path in (folder / "data" / "buckets" / "results").rglob("*.json"):
        content = path.read_bytes()
        json.loads(content)
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def forked(folder: Path, seed: int, fatal: int) -> tuple[bool, str]:
    """A life in a process of its own: whether it came to its end, and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 1)
        code = 0
        try:
            points = Points(fatal)
            points.lay()
            asyncio.run(live(folder, seed, points))
            os.write(1, str(points.count).encode())
        except BaseException:  # noqa: BLE001 - handed to the parent
            os.write(1, traceback.format_exc().encode())
            code = 1
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode().strip()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, FATAL):
        raise AssertionError(said or f"a life ended with {code}")
    return code == 0, said


def scenario(folder: Path, seed: int, wanted: int, died: Counter[str]) -> None:
    """Lives on one folder: some that die, and one that comes to its end."""
    dice, seen = Dice(seed), {}
    ends = [1 + dice.below(400) for _ in range(min(wanted, 1 + dice.below(LIVES_MAX)))]
    try:
        for number, fatal in enumerate([*ends, 0]):
            ended, said = forked(folder, seed * 1000 + number, fatal)
            if not ended:
                died[said] += 1
            now = shards(folder)
            for name, hashed in seen.items():
                assert now.get(name) == hashed, f"{name} was written, and is another now"
            seen = now
        left = list((folder / "data" / "buckets" / HIDDEN).glob("tmp-*"))
        assert not left, f"half files are left: {left}"
    except AssertionError as failure:
        failure.add_note(f"seed {seed}, lives that end at the points {ends}")
        raise


def main(folder: Path, seed: int, wanted: int) -> None:
    """Scenarios until so many lives were cut off."""
    died: Counter[str] = Counter()
    while died.total() < wanted:
        place = folder / str(seed)
        place.mkdir(parents=True)
        scenario(place, seed, wanted - died.total(), died)
        shutil.rmtree(place)
        seed += 1
    print(json.dumps({"points": died.total(), "kinds": died}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
