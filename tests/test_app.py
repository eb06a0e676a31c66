"""The composition root: what is configured is what runs."""

from __future__ import annotations

from typing import Any

import pytest

from pictures import drawn
from vision_emulator import Config, ControlError, VisionEmulator
from vision_emulator.app import Emulator, core
from vision_emulator.contract.messages import BatchAnnotateImagesRequest, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, ManualClock

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]


async def labels(config: Config) -> Any:
    """What a server of this configuration says of one picture."""
    element = {"image": {"content": drawn()}, "features": [{"type": Feature.LABEL_DETECTION}, {"type": Feature.IMAGE_PROPERTIES}]}
    async with core(config, ManualClock(), Chance(1)) as (vision, _):
        answer: Any = await vision.call(Call(METHOD, BatchAnnotateImagesRequest(requests=[element]), {}))
    return answer.responses[0]


async def test_the_seed_decides_what_is_invented() -> None:
    """One seed, one answer; another seed, another; what is computed from pixels does not depend on it."""
    first, again, other = [await labels(Config(seed=seed)) for seed in (1, 1, 2)]
    assert first == again
    assert first.label_annotations != other.label_annotations
    assert first.image_properties_annotation == other.image_properties_annotation


async def test_the_order_of_annotators_is_theirs() -> None:
    """What no configured annotator claims stays empty: without synthetic nothing is invented."""
    assert not (await labels(Config(annotators=("fixtures",)))).ListFields()


def test_a_library_takes_a_config_or_options() -> None:
    """Options are a Config's fields, port 0 unless said otherwise; both at once is a mistake."""
    with pytest.raises(TypeError, match="not both"):
        VisionEmulator(Config(), port=1)
    with VisionEmulator(project="mine") as emulator:
        assert emulator.address.rpartition(":")[2] not in ("0", "8970")
        assert emulator.emulator.config.project == "mine"


async def test_an_emulator_that_was_left_can_be_entered_again() -> None:
    """One object, two runs, the second as empty as the first."""
    emulator = VisionEmulator(bucket=("photos",))
    for _ in range(2):
        async with emulator:
            assert emulator.buckets.objects("gs://photos") == []
            emulator.buckets.write("gs://photos/a", b"1")
    with emulator:
        emulator.reset()
    with pytest.raises(ControlError, match="does not answer"):
        emulator.reset()


async def test_what_cannot_start_leaves_nothing_open() -> None:
    """A start that fails half-way lets go of what it had opened."""
    async with Emulator(Config(port=0)) as running:
        taken = int(running.address.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with Emulator(Config(port=taken)):
                pass
