"""Long-running operations as a user sees them."""

from __future__ import annotations

import asyncio

import pytest
from batches import SAMPLES, batch, image
from transports import Api, Files, Refused

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import Feature, OperationMetadata

SAMPLE = image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})
PACE = "x-vision-emulator-pace"


@pytest.mark.parametrize("prefix", ["", "projects/any/", "projects/any/locations/eu/", "locations/eu/"])
async def test_the_four_forms_of_a_name(api: Api, prefix: str) -> None:
    """An operation is found under every form of its name that clients use, and answers under that form."""
    created = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]))).message
    name = prefix + "operations/" + created.name.rpartition("/")[2]
    operation = (await api("GetOperation", {"name": name})).message
    assert (operation.name, operation.done) == (name, True)


@pytest.mark.parametrize("pace", ["instant", "polls:2", "seconds:0", "seconds:9", "manual", "never"])
async def test_a_pace_is_asked_for_by_header_or_metadata(api: Api, pace: str) -> None:
    """One call's pace decides when its operation is seen to be done."""
    created = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]), {PACE: pace})).message
    polls = [(await api("GetOperation", {"name": created.name})).message.done for _ in range(3)]
    expected = {"instant": [True] * 3, "polls:2": [False, False, True], "seconds:0": [True] * 3}
    assert created.done == (pace == "instant")
    if pace == "seconds:0":  # not held, so the first poll may come before the work is done
        assert (await api("WaitOperation", {"name": created.name})).message.done
    else:
        assert polls == expected.get(pace, [False] * 3)


async def test_a_wrong_pace_is_refused(api: Api, emulator: Emulator) -> None:
    """A pace that says nothing is refused and starts nothing."""
    with pytest.raises(Refused, match="polls:N") as refused:
        await api("AsyncBatchAnnotateImages", batch([SAMPLE]), {PACE: "soon"})
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert list(emulator.vision.operations) == []


async def test_java_gets_its_answer_at_creation(api: Api) -> None:
    """A client that sleeps up to 20 s before its first poll gets its operation done at once, under pace auto only."""
    java = {"x-goog-api-client": "gl-java/17.0.15 gapic/3.50.0 gax/2.50.0 grpc/1.66.0"}
    assert (await api("AsyncBatchAnnotateImages", batch([SAMPLE]), java)).message.done
    assert not (await api("AsyncBatchAnnotateImages", batch([SAMPLE]), java | {PACE: "never"})).message.done


async def test_cancelling_ends_the_operation_and_leaves_whole_shards(api: Api, files: Files) -> None:
    """A cancelled batch ends CANCELLED with code 1, and every file it wrote is complete."""
    uri = await files.put("gs://inputs/a.jpg", drawn())
    images = [image(uri, {"type": Feature.IMAGE_PROPERTIES})] * 500
    created = (await api("AsyncBatchAnnotateImages", batch(images, batch_size=10))).message
    await api("CancelOperation", {"name": created.name})
    operation = (await api("GetOperation", {"name": created.name})).message
    assert operation.done
    assert operation.error.code == Code.CANCELLED
    assert OperationMetadata.FromString(operation.metadata.value).state == OperationMetadata.CANCELLED
    for name in await files.names("gs://results/"):
        assert (await files.get(f"gs://results/{name}")).endswith(b"]}")


async def test_list_pages_filters_and_delete(api: Api) -> None:
    """The list comes in pages in order of creation, can be filtered by done, and forgets what was deleted."""
    done = [(await api("AsyncBatchAnnotateImages", batch([SAMPLE]), {PACE: "instant"})).message.name for _ in range(3)]
    hidden = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]), {PACE: "never"})).message.name
    first = (await api("ListOperations", {"name": "operations", "page_size": 3})).message
    rest = (await api("ListOperations", {"name": "operations", "page_size": 3, "page_token": first.next_page_token})).message
    assert [operation.name for operation in [*first.operations, *rest.operations]] == [*done, hidden]
    assert not rest.next_page_token
    unfinished = (await api("ListOperations", {"name": "operations", "filter": "done:false"})).message
    assert [operation.name for operation in unfinished.operations] == [hidden]
    await api("DeleteOperation", {"name": done[0]})
    with pytest.raises(Refused, match="Not found") as gone:
        await api("GetOperation", {"name": done[0]})
    assert gone.value.code == Code.NOT_FOUND
    for wrong in ({"page_size": -1}, {"page_token": "x"}, {"filter": "colour=red"}):
        with pytest.raises(Refused) as refused:
            await api("ListOperations", {"name": "operations", **wrong})
        assert refused.value.code == Code.INVALID_ARGUMENT


async def test_a_list_has_a_scope(api: Api) -> None:
    """A list named after a parent holds that parent's operations alone; "operations" holds all."""
    names = {}
    for parent in ("projects/a", "projects/ab", "projects/a/locations/eu"):
        request = batch([SAMPLE]) | {"parent": parent}
        names[parent] = (await api("AsyncBatchAnnotateImages", request)).message.name

    async def listed(scope: str) -> list[str]:
        return [operation.name for operation in (await api("ListOperations", {"name": scope})).message.operations]

    assert await listed("operations") == list(names.values())
    assert await listed("projects/a") == [names["projects/a"], names["projects/a/locations/eu"]]
    assert await listed("projects/a/locations/eu") == [names["projects/a/locations/eu"]]
    assert await listed("projects/none") == []


async def test_waiting_returns_at_the_end_or_at_the_timeout(api: Api) -> None:
    """WaitOperation brings the finished operation, or the unfinished one when its timeout is over."""
    done = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]))).message.name
    assert (await api("WaitOperation", {"name": done})).message.done
    never = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]), {PACE: "never"})).message.name
    assert not (await api("WaitOperation", {"name": never, "timeout": {"nanos": 1_000_000}})).message.done


async def test_every_call_is_one_journal_entry(api: Api, emulator: Emulator) -> None:
    """The journal has one entry a call, answered or refused, and a reset leaves nothing behind."""
    created = (await api("AsyncBatchAnnotateImages", batch([SAMPLE]))).message
    await api("GetOperation", {"name": created.name})
    with pytest.raises(Refused):
        await api("GetOperation", {"name": "operations/0000000000000000"})
    assert [(entry.method.rpartition(".")[2], entry.code) for entry in emulator.vision.journal] == [
        ("AsyncBatchAnnotateImages", Code.OK),
        ("GetOperation", Code.OK),
        ("GetOperation", Code.NOT_FOUND),
    ]
    emulator.reset()
    assert (len(emulator.vision.journal), list(emulator.vision.operations)) == (0, [])
    assert [info async for info in (await emulator.storage.bucket("results")).list()] == []


async def test_what_is_not_emulated_says_so(api: Api) -> None:
    """A method of the API that is not emulated answers UNIMPLEMENTED with a sentence, never an invented result."""
    with pytest.raises(Refused, match="is not emulated") as refused:
        await api("GetProductSet", {"name": "projects/p/locations/l/productSets/s"})
    assert refused.value.code == Code.UNIMPLEMENTED


async def test_many_batches_at_once(api: Api, files: Files) -> None:
    """Batches that run side by side do not mix their slots or files."""
    uris = [await files.put(f"gs://inputs/{number}.jpg", drawn(number)) for number in range(4)]
    requests = [batch([image(uri) for uri in uris[turn:] + uris[:turn]], f"gs://results/{turn}/", 4) for turn in range(4)]
    created = await asyncio.gather(*(api("AsyncBatchAnnotateImages", request) for request in requests))
    polled = await asyncio.gather(*(api("GetOperation", {"name": answer.message.name}) for answer in created))
    assert all(answer.message.done for answer in polled)
    for turn in range(4):
        text = (await files.get(f"gs://results/{turn}/output-1-to-4.json")).decode()
        assert [text.index(uri) for uri in uris[turn:] + uris[:turn]] == sorted(text.index(uri) for uri in uris)
