"""Seeded random use of one emulator: batches, polls, waits, cancels, faults and clock jumps, with the invariants checked after each step.

A failure names its seed and step; ``pytest tests/simulation -k seed-5 --simulation-steps 150`` replays it. More of it:
``--simulation-steps 5000 --simulation-seeds 100``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pictures import drawn
from plain import PLAIN
from vision_emulator import app
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import Feature, Operation, OperationMetadata
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, Clock, ManualClock
from vision_emulator.core.operations import Pace
from vision_emulator.storage import StorageUnavailable
from vision_emulator.storage.embedded import BucketInfo, MemoryBucket, MemoryStorage

VISION = "google.cloud.vision.v1.ImageAnnotator"
OPERATIONS = "google.longrunning.Operations"
# Features that are answered without threads: their order of completion is not ours to repeat.
FEATURES = (Feature.LABEL_DETECTION, Feature.SAFE_SEARCH_DETECTION, Feature.FACE_DETECTION, Feature.OBJECT_LOCALIZATION)
PACES = ("auto", "instant", "polls:2", "seconds:30", "manual", "never")
BUCKETS = ("inputs", "results")
PICTURES = [drawn(number, (40, 30)) for number in range(8)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many seeds as the command line asks for."""
    if "seed" in metafunc.fixturenames:
        seeds = range(metafunc.config.getoption("--simulation-seeds"))
        metafunc.parametrize("seed", seeds, ids=[f"seed-{seed}" for seed in seeds])


class Dice:
    """Numbers that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed)

    def below(self, end: int) -> int:
        """A number from 0 up to but without ``end``."""
        return int(self._chance.hex(12), 16) % end

    def pick(self, among: Sequence[Any]) -> Any:
        """One of them."""
        return among[self.below(len(among))]


class Moody(MemoryStorage):
    """Buckets in memory that take their time, and of which ``results`` refuses the next ``faults`` files."""

    def __init__(self, clock: Clock, dice: Dice) -> None:
        self.dice = dice
        self.faults = 0
        super().__init__(clock, BUCKETS)

    def _make(self, info: BucketInfo) -> MemoryBucket:
        bucket = self._buckets[info.name] = MoodyBucket(self, info)
        return bucket


class MoodyBucket(MemoryBucket):
    def __init__(self, owner: Moody, info: BucketInfo) -> None:
        super().__init__(info, owner.stamp)
        self._owner = owner

    async def read(self, object_name: str, bytes_max: int | None = None) -> bytes:
        await turns(self._owner.dice.below(5))
        return await super().read(object_name, bytes_max)

    async def write(self, object_name: str, data: bytes, content_type: str) -> None:
        await turns(self._owner.dice.below(3))
        if self.name == "results" and self._owner.faults:
            self._owner.faults -= 1
            raise StorageUnavailable("a fault of the simulation")
        await super().write(object_name, data, content_type)


@dataclass
class Started:
    """What the simulation knows of an operation: what was asked, and the end it was last seen with."""

    name: str
    uris: list[str]
    size: int
    prefix: str
    end: bytes = b""
    deleted: bool = False


class Simulation:
    """One run. Every choice comes from the seed; ``transcript`` holds all that was answered."""

    def __init__(self, emulator: Emulator, clock: ManualClock, storage: Moody, seed: int) -> None:
        self.emulator, self.clock, self.storage = emulator, clock, storage
        self.transcript: list[str] = []
        self._dice = Dice(seed)
        self._started: list[Started] = []
        self._waiting: list[asyncio.Task[Any]] = []
        self._calls = 0
        self._count = 0

    def name(self) -> str:
        """The name of an operation, in any of its forms; now and then of none that exists."""
        if not self._started or self._dice.below(12) == 0:
            return str(self._dice.pick(["operations/0123456789abcdef", "jobs/1", "projects/p/operations/fedcba9876543210"]))
        operation_id = self._dice.pick(self._started[-10:]).name.rpartition("/")[2]
        return str(self._dice.pick(["", "projects/any/", "locations/eu/"])) + f"operations/{operation_id}"

    # ---- steps ----

    async def call(self, service: str, method: str, request: dict[str, Any], metadata: dict[str, str] | None = None) -> Any:
        """One call; its answer, or the VisionError it ended with. Nothing else may come out."""
        row = METHODS[f"/{service}/{method}"]
        self._calls += 1
        try:
            answer = await self.emulator.vision.call(Call(row, row.request(**request), metadata or {}))
        except VisionError as failure:
            self.transcript.append(f"{method}: {failure.code.name} {failure.message}")
            return failure
        self.transcript.append(f"{method}: {hashlib.sha256(answer.SerializeToString(deterministic=True)).hexdigest()}")
        return answer

    async def start(self) -> None:
        """A batch, good or bad."""
        self._count += 1
        count, size = self._dice.below(25), self._dice.below(9)
        missing = ["gs://inputs/none", "gs://nowhere/0", "gs://inputs/text"]
        uris = [
            self._dice.pick(missing) if self._dice.below(6) == 0 else f"gs://inputs/{self._dice.below(len(PICTURES))}" for _ in range(count)
        ]
        prefix = f"run/{self._count}/"
        bucket = "nowhere" if self._dice.below(10) == 0 else "results"
        features = [{"type": self._dice.pick(FEATURES), "max_results": self._dice.below(4)} for _ in range(1 + self._dice.below(3))]
        images = [{"image": {"source": {"image_uri": uri}}, "features": features} for uri in uris]
        wrong_size = self._dice.below(15) == 0
        output = {"gcs_destination": {"uri": f"gs://{bucket}/{prefix}"}, "batch_size": 101 if wrong_size else size}
        pace = {"x-vision-emulator-pace": self._dice.pick(PACES)} if self._dice.below(2) else {}
        before = len(list(self.emulator.vision.operations))
        answer = await self.call(VISION, "AsyncBatchAnnotateImages", {"requests": images, "output_config": output}, pace)
        if wrong_size or not count:
            assert isinstance(answer, VisionError)
            assert len(list(self.emulator.vision.operations)) == before
        else:
            self._started.append(Started(answer.name, uris, size or 20, prefix))

    async def annotate(self) -> None:
        """An online call: as many responses as images, in their order."""
        numbers = [self._dice.below(len(PICTURES) + 1) for _ in range(self._dice.below(5))]
        images = [
            {"image": {"source": {"image_uri": f"gs://inputs/{number}"}}, "features": [{"type": Feature.SAFE_SEARCH_DETECTION}]}
            for number in numbers
        ]
        answer = await self.call(VISION, "BatchAnnotateImages", {"requests": images})
        assert [response.HasField("error") for response in answer.responses] == [number == len(PICTURES) for number in numbers]

    async def poll(self) -> None:
        await self.call(OPERATIONS, "GetOperation", {"name": self.name()})

    async def wait_a_moment(self) -> None:
        await self.call(OPERATIONS, "WaitOperation", {"name": self.name(), "timeout": {"nanos": 1}})

    async def wait_in_the_background(self) -> None:
        waiting = self.call(OPERATIONS, "WaitOperation", {"name": self.name()})
        self._waiting.append(asyncio.get_running_loop().create_task(waiting))
        await turns(1)  # it has called now

    async def vanish(self) -> None:
        """A caller that waits goes away."""
        if self._waiting:
            self._dice.pick(self._waiting).cancel()

    async def cancel(self) -> None:
        await self.call(OPERATIONS, "CancelOperation", {"name": self.name()})

    async def delete(self) -> None:
        name = self.name()
        if not isinstance(await self.call(OPERATIONS, "DeleteOperation", {"name": name}), VisionError):
            for started in self._started:
                started.deleted |= started.name.rpartition("/")[2] == name.rpartition("/")[2]

    async def list_them(self) -> None:
        page = {"page_size": self._dice.below(4), "filter": self._dice.pick(["", "done:true", "done:false"])}
        await self.call(OPERATIONS, "ListOperations", {"name": "operations", **page})

    async def reveal(self) -> None:
        known = [started for started in self._started if not started.deleted]
        if known:
            self.emulator.vision.operations.reveal(self._dice.pick(known).name)

    async def set_pace(self) -> None:
        self.emulator.vision.operations.pace = Pace.parse(self._dice.pick(PACES))

    async def jump(self) -> None:
        self.clock.advance(self._dice.pick([0.001, 1, 29, 31, 86_400]))

    async def fault(self) -> None:
        self.storage.faults = self._dice.below(4)

    async def let_run(self) -> None:
        """Some turns for the work that goes on."""
        await turns(self._dice.below(12))

    async def reset(self) -> None:
        """Everything anew, as a test between two tests does."""
        if self._dice.below(8):
            return
        self.emulator.reset()
        self._started.clear()
        self._calls = 0
        self.storage.faults = 0
        await self.check_nothing_is_left()
        await self.fill()

    async def fill(self) -> None:
        """The pictures that batches ask for."""
        bucket = await self.storage.bucket("inputs")
        for number, picture in enumerate(PICTURES):
            await bucket.write(str(number), picture, "image/jpeg")
        await bucket.write("text", b"no picture", "text/plain")

    async def step(self) -> str:
        """One random step; its name."""
        common: list[Callable[[], Any]] = [self.start, self.start, self.poll, self.poll, self.let_run, self.let_run, self.jump]
        rare = [self.annotate, self.wait_a_moment, self.wait_in_the_background, self.vanish, self.cancel, self.delete]
        rarer = [self.list_them, self.reveal, self.set_pace, self.fault, self.reset]
        action = self._dice.pick([*common, *rare, *rarer])
        await action()
        return str(action.__name__)

    # ---- invariants ----

    async def check(self) -> None:
        """What must hold after every step."""
        self.check_journal()
        views = {operation.name: operation for operation in self.emulator.vision.operations.list()}
        for started in self._started:
            operation = views.get(started.name)
            assert (operation is None) == started.deleted
            entries = await self.check_files(started)
            if operation is not None and operation.done:
                self.check_end(started, operation, entries)
            else:
                assert not started.end or started.deleted, "an operation has left its final state"

    def check_journal(self) -> None:
        """One entry a call; only calls that are held have no code yet."""
        entries = list(self.emulator.vision.journal)
        assert len(entries) == self._calls
        assert sum(entry.code is None for entry in entries) == sum(not waiting.done() for waiting in self._waiting)
        assert Code.INTERNAL not in {entry.code for entry in entries}

    async def check_files(self, started: Started) -> int:
        """Every file is whole and stands for its slice of the request; how many responses there are."""
        bucket, found = self.storage.find("results"), 0
        assert bucket is not None
        async for info in bucket.list(started.prefix):
            first, _, last = info.name.removeprefix(f"{started.prefix}output-").removesuffix(".json").partition("-to-")
            uris = started.uris[int(first) - 1 : int(last)]
            assert int(first) % started.size == 1 % started.size
            assert len(uris) == min(started.size, len(started.uris) - int(first) + 1)
            responses = json.loads(await MemoryBucket.read(bucket, info.name))["responses"]
            assert [response["context"]["uri"] for response in responses] == uris
            assert ["error" in response for response in responses] == [not uri[-1].isdigit() or "nowhere" in uri for uri in uris]
            found += len(responses)
        return found

    def check_end(self, started: Started, operation: Operation, entries: int) -> None:
        """Done means: nothing changes any more, and with a response every image has its slot in a file."""
        end = operation.SerializeToString(deterministic=True)
        assert started.end in (b"", end), "an operation has left its final state"
        started.end = end
        state = OperationMetadata.FromString(operation.metadata.value).state
        assert operation.HasField("response") != operation.HasField("error")
        if operation.HasField("response"):
            assert state == OperationMetadata.DONE
            assert entries == len(started.uris)
        else:
            assert (operation.error.code == Code.CANCELLED) == (state == OperationMetadata.CANCELLED)
            assert operation.error.code in (Code.CANCELLED, Code.PERMISSION_DENIED)

    async def check_nothing_is_left(self) -> None:
        """After a reset: no operations, no calls, no objects, no work, nobody who waits."""
        await turns(60)
        for waiting in self._waiting:
            assert waiting.done()
        self._waiting.clear()
        vision = self.emulator.vision
        assert (list(vision.operations), vision.operations.running, len(vision.journal)) == ([], 0, 0)
        for name in self.storage.names():
            assert await objects(self.storage, name) == {}


async def objects(storage: MemoryStorage, name: str) -> dict[str, str]:
    """What a bucket holds, by name."""
    bucket = storage.find(name)
    assert bucket is not None
    return {info.name: hashlib.sha256(await MemoryBucket.read(bucket, info.name)).hexdigest() async for info in bucket.list()}


async def turns(count: int) -> None:
    """Lets the loop go round so many times."""
    for _ in range(count):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await done


async def simulate(monkeypatch: pytest.MonkeyPatch, seed: int, steps: int) -> tuple[list[str], dict[str, str]]:
    """One run from the seed; all that was answered, and all that was written."""
    clock = ManualClock()
    storage = Moody(clock, Dice(seed))
    monkeypatch.setattr(app, "_storage", lambda *_: storage)
    async with Emulator(Config(port=0, bucket=BUCKETS, settings=PLAIN), clock, Chance(seed)) as emulator:
        simulation = Simulation(emulator, clock, storage, seed)
        await simulation.fill()
        for number in range(steps):
            action = "nothing yet"
            try:
                action = await simulation.step()
                await simulation.check()
            except Exception as failure:
                failure.add_note(f"seed {seed}, step {number}, after {action}")
                raise
        written = await objects(storage, "results")
        emulator.reset()
        await simulation.check_nothing_is_left()
    return simulation.transcript, written


async def test_invariants_hold_and_the_same_seed_gives_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, seed: int
) -> None:
    """Whatever is done in whatever order, the invariants hold after every step; and a seed repeats its run to the byte."""
    steps = request.config.getoption("--simulation-steps")
    first = await simulate(monkeypatch, seed, steps)
    second = await simulate(monkeypatch, seed, steps)
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert len(first[0]) > steps // 4
