"""Calls into the core without a transport."""

from __future__ import annotations

import pytest

from plain import PLAIN
from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import AsyncBatchAnnotateImagesRequest, Duration, Feature, WaitOperationRequest
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, ManualClock
from vision_emulator.core.service import PACE

BATCH = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
WAIT = METHODS["/google.longrunning.Operations/WaitOperation"]


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 0, -1])
async def test_a_wait_takes_any_timeout_a_message_can_hold(seconds: int) -> None:
    """A timeout of more seconds than Python's own times can count is a long one, and one below zero is none."""
    request = AsyncBatchAnnotateImagesRequest(
        requests=[{"image": {"source": {"image_uri": "gs://inputs/a.jpg"}}, "features": [{"type": Feature.LABEL_DETECTION}]}],
        output_config={"gcs_destination": {"uri": "gs://results/"}},
    )
    async with core(Config(port=0, bucket=("inputs", "results"), settings=PLAIN), ManualClock(), Chance(0)) as running:
        created = await running.vision.call(Call(BATCH, request, {PACE: "instant"}))
        waited = await running.vision.call(Call(WAIT, WaitOperationRequest(name=created.name, timeout=Duration(seconds=seconds)), {}))
    assert waited.done
