"""Two projects on one server: what one does, sets and resets is nothing to the other, over every transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from batches import batch, image
from transports import Api, Refused

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract import limits
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from wire import ask

QUOTA = 4
REQUEST: Mapping[str, Any] = {"requests": [{"image": {"content": drawn(3)}, "features": [{"type": "LABEL_DETECTION"}]}]}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(Config(port=0, bucket=("inputs", "results"), quota=QUOTA)) as running:
        yield running


class Project:
    """One test worker: its calls name its project, its control calls are about it alone."""

    def __init__(self, name: str, api: Api, emulator: Emulator) -> None:
        self.name, self._api, self._emulator = name, api, emulator

    async def __call__(self, rpc: str, request: Mapping[str, Any]) -> Any:
        return (await self._api(rpc, request, {"x-goog-user-project": self.name})).message

    async def control(self, verb: str, path: str, body: Any = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        reply = await ask(self._emulator, verb, f"/_emulator/v1/{path}?project={self.name}", content)
        assert reply.status == 200, reply.body
        return reply.json

    async def state(self) -> dict[str, Any]:
        """Everything that is its own."""
        return {
            "journal": [entry["number"] for entry in (await self.control("GET", "journal"))["entries"]],
            "operations": len((await self.control("GET", "operations"))["operations"]),
            "pace": (await self.control("GET", "pace"))["pace"],
            "faults": len((await self.control("GET", "faults"))["faults"]),
            "usage": (await self.control("GET", "usage"))["units"],
        }


@pytest.fixture
def projects(api: Api, emulator: Emulator) -> tuple[Project, Project]:
    return Project("one", api, emulator), Project("two", api, emulator)


async def work(project: Project, pace: str) -> None:
    """A call, an operation, a pace and a rule."""
    await project("BatchAnnotateImages", REQUEST)
    await project.control("PUT", "pace", {"pace": pace})
    await project("AsyncBatchAnnotateImages", batch([image("gs://inputs/none.jpg")], f"gs://results/{project.name}/"))
    await project.control("POST", "faults", {"method": "BatchAnnotateFiles", "script": [{"fault": "reject", "code": "UNAVAILABLE"}]})


async def test_a_reset_of_one_leaves_the_other(projects: tuple[Project, Project], emulator: Emulator) -> None:
    """Journal, operations, pace, rules, units and quota of one are as at the start; the other's are as they were."""
    one, two = projects
    await work(one, "manual")
    await work(two, "never")
    assert await one.state() == {"journal": [1, 2], "operations": 1, "pace": "manual", "faults": 1, "usage": 1}
    kept = await two.state()
    assert kept == {"journal": [3, 4], "operations": 1, "pace": "never", "faults": 1, "usage": 1}
    await one.control("POST", "reset")
    assert await one.state() == {"journal": [], "operations": 0, "pace": "auto", "faults": 0, "usage": 0}
    assert await two.state() == kept
    assert [info.name async for info in (await emulator.storage.bucket("results")).list()] != []
    emulator.reset()
    for project in projects:
        assert await project.state() == {"journal": [], "operations": 0, "pace": "auto", "faults": 0, "usage": 0}


async def test_rules_strike_their_own_project(projects: tuple[Project, Project]) -> None:
    """A rule of one refuses its calls, and lets the other's pass untouched."""
    one, two = projects
    await one.control(
        "POST", "faults", {"method": "BatchAnnotateImages", "script": [{"fault": "reject", "code": "UNAVAILABLE"}], "times": 2}
    )
    for _ in range(2):
        await two("BatchAnnotateImages", REQUEST)
        with pytest.raises(Refused):
            await one("BatchAnnotateImages", REQUEST)
    await one("BatchAnnotateImages", REQUEST)
    assert [entry["fault"] for entry in (await one.control("GET", "journal"))["entries"]] == ["reject", "reject", ""]
    assert [entry["fault"] for entry in (await two.control("GET", "journal"))["entries"]] == ["", ""]


async def test_quotas_are_their_own(projects: tuple[Project, Project]) -> None:
    """One project's calls take nothing of the other's quota, and a reset gives back its own."""
    one, two = projects
    for _ in range(QUOTA):
        await one("BatchAnnotateImages", REQUEST)
    with pytest.raises(Refused, match="Quota exceeded"):
        await one("BatchAnnotateImages", REQUEST)
    await two.control("POST", "reset")
    with pytest.raises(Refused, match="Quota exceeded"):
        await one("BatchAnnotateImages", REQUEST)
    await two("BatchAnnotateImages", REQUEST)
    await one.control("POST", "reset")
    await one("BatchAnnotateImages", REQUEST)


@pytest.mark.parametrize(
    ("metadata", "parent", "project"),
    [
        ({}, "", "vision-emulator"),
        ({"x-goog-user-project": "billed"}, "projects/p", "billed"),
        ({}, "projects/p/locations/eu", "p"),
        ({"x-goog-request-params": "parent=projects%2Frouted"}, "", "routed"),
        ({"x-goog-request-params": "parent="}, "", "vision-emulator"),
    ],
)
async def test_whose_call_it_is(api: Api, emulator: Emulator, metadata: dict[str, str], parent: str, project: str) -> None:
    """The project that is billed, else the one whose resource it is, else the one that routing names, else the configured one."""
    await api("BatchAnnotateImages", {**REQUEST, "parent": parent}, metadata)
    (entry,) = emulator.vision.journal
    assert entry.project == project
    assert emulator.vision.usage.bill(emulator.vision.usage.month, project)["units"] == 1


async def test_a_poll_is_its_operations_projects(api: Api, emulator: Emulator) -> None:
    """Who polls by the short name and names no project asks about the project whose operation it is."""
    request = batch([image("gs://inputs/none.jpg")]) | {"parent": "projects/p/locations/eu"}
    name = (await api("AsyncBatchAnnotateImages", request)).message.name
    await api("GetOperation", {"name": f"operations/{name.rpartition('/')[2]}"})
    with pytest.raises(Refused):
        await api("GetOperation", {"name": "operations/0000000000000000"})
    assert [entry.project for entry in emulator.vision.journal] == ["p", "p", "vision-emulator"]


async def test_the_real_quota() -> None:
    """With ``quota=1800``, the documented number, the 1801st call of a minute fails as the real one does, and the next minute is new."""
    clock = ManualClock(1_750_000_020.0)
    method = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
    async with Emulator(Config(port=0, quota=limits.CALLS_PER_MINUTE), clock) as emulator:
        for _ in range(1800):
            await emulator.vision.call(Call(method, method.request(), {}))
        reply = await ask(emulator, "POST", "/v1/images:annotate", b"{}")
        assert (reply.status, reply.error["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert reply.error["details"][0]["metadata"]["quota_limit_value"] == "1800"
        clock.advance(60)
        assert (await ask(emulator, "POST", "/v1/images:annotate", b"{}")).status == 200
