"""The composition root: what is configured is what runs."""

from __future__ import annotations

import threading
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


async def test_async_with_shares_no_loop() -> None:
    """Inside ``async with`` the levers, a blocking client and the asyncio client all work: the server is not in the caller's loop."""
    async with VisionEmulator() as emulator:
        emulator.fixtures.add("gs://a/b.png", {"labelAnnotations": [{"description": "Cat"}]})
        request = {"image": {"source": {"image_uri": "gs://a/b.png"}}, "features": [{"type_": "LABEL_DETECTION"}]}
        client: Any = emulator.async_client()
        for answer in (
            emulator.client().batch_annotate_images(requests=[request]),
            await client.batch_annotate_images(requests=[request]),
        ):
            assert answer.responses[0].label_annotations[0].description == "Cat"
        await client.transport.close()
        emulator.journal.assert_called("BatchAnnotateImages", times=2)
        with pytest.raises(RuntimeError, match="runs already"):
            await emulator.__aenter__()


def test_clients_are_closed_with_their_emulator() -> None:
    """What was asked for is closed at the end, and nothing warns of a connection left open."""
    with VisionEmulator(bucket="photos") as emulator:
        client, rest_client, storage_client = emulator.client(), emulator.rest_client(), emulator.storage_client()
        output = {"gcs_destination": {"uri": "gs://photos/"}}
        request: Any = {"image": {"source": {"image_uri": "gs://photos/a"}}, "features": [{"type_": "LABEL_DETECTION"}]}
        for one in (client, rest_client):
            one.async_batch_annotate_images(requests=[request], output_config=output).result(timeout=10)
        assert [bucket.name for bucket in storage_client.list_buckets()] == ["photos"]
    with pytest.raises(ValueError, match="closed"):
        client.batch_annotate_images(requests=[])


def test_a_start_that_fails_can_be_tried_again() -> None:
    """The error comes out of ``with``, the thread is gone, and the emulator starts when what was in the way is."""
    with VisionEmulator() as first:
        second = VisionEmulator(port=int(first.address.rpartition(":")[2]))
        threads = threading.active_count()
        with pytest.raises(OSError, match="in use"):
            second.__enter__()
        assert threading.active_count() == threads
    with second:
        assert second.health() == {"status": "serving"}


async def test_what_cannot_start_leaves_nothing_open() -> None:
    """A start that fails half-way lets go of what it had opened."""
    async with Emulator(Config(port=0)) as running:
        taken = int(running.address.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with Emulator(Config(port=taken)):
                pass
