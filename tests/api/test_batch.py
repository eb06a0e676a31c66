"""AsyncBatchAnnotateImages as a user sees it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from batches import LABELS, SAMPLES, batch, image
from google.cloud import vision
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from transports import Api, Files, Refused

from pictures import drawn
from vision_emulator.app import Emulator
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import (
    POOL,
    AsyncBatchAnnotateImagesResponse,
    BatchAnnotateImagesResponse,
    Feature,
    OperationMetadata,
)
from vision_emulator.core.batch import shards


async def run(api: Api, request: dict[str, Any]) -> Any:
    """Submits a batch and answers the operation as its first poll finds it."""
    created = (await api("AsyncBatchAnnotateImages", request)).message
    return (await api("GetOperation", {"name": created.name})).message


def parsed(text: bytes) -> BatchAnnotateImagesResponse:
    """An output file as a strict consumer reads it: no unknown key passes."""
    vision.BatchAnnotateImagesResponse.from_json(text.decode(), ignore_unknown_fields=False)
    return json_format.Parse(text, BatchAnnotateImagesResponse(), descriptor_pool=POOL)


async def test_a_batch_ends_in_shards_in_request_order(api: Api, files: Files) -> None:
    """Every image has its slot, in request order, in files of batch_size named by plain concatenation."""
    uris = [await files.put(f"gs://inputs/{number}.jpg", drawn(number)) for number in range(5)]
    operation = await run(api, batch([image(uri) for uri in uris]))
    assert operation.done
    assert OperationMetadata.FromString(operation.metadata.value).state == OperationMetadata.DONE
    answer = AsyncBatchAnnotateImagesResponse.FromString(operation.response.value)
    assert answer.output_config.gcs_destination.uri == "gs://results/run/"
    assert await files.names("gs://results/") == [f"run/output-{name}.json" for name in ("1-to-2", "3-to-4", "5-to-5")]
    shown = []
    for name in ("1-to-2", "3-to-4", "5-to-5"):
        shown += parsed(await files.get(f"gs://results/run/output-{name}.json")).responses
    assert [response.context.uri for response in shown] == uris
    assert all(response.label_annotations and not response.HasField("error") for response in shown)


async def test_the_guides_example_is_reproduced(api: Api, files: Files) -> None:
    """The guide page's three images, which nobody uploaded, give its two files."""
    images = [
        image(SAMPLES + "image1.png", LABELS, {"type": Feature.TEXT_DETECTION}),
        image(SAMPLES + "image2.jpg", {"type": Feature.IMAGE_PROPERTIES}),
        image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION}),
    ]
    assert (await run(api, batch(images, "gs://results/offline_batch_output/"))).done
    assert await files.names("gs://results/") == ["offline_batch_output/output-1-to-2.json", "offline_batch_output/output-3-to-3.json"]
    first, second = parsed(await files.get("gs://results/offline_batch_output/output-1-to-2.json")).responses
    (third,) = parsed(await files.get("gs://results/offline_batch_output/output-3-to-3.json")).responses
    assert [(label.description, label.mid) for label in first.label_annotations][:2] == [("Text", "/m/07s6nbt"), ("Logo", "/m/0dwx7")]
    assert first.full_text_annotation.text == first.text_annotations[0].description == "Google\n"
    colour = second.image_properties_annotation.dominant_colors.colors[0]
    assert (colour.color.red, colour.color.green, colour.color.blue) == (229, 230, 238)
    assert second.crop_hints_annotation.crop_hints[0].importance_fraction == 1
    assert [found.name for found in third.localized_object_annotations][:: len(third.localized_object_annotations) - 1] == ["Dog", "Animal"]


async def test_output_files_are_one_line_in_field_order(api: Api, files: Files, emulator: Emulator) -> None:
    """Output is compact JSON without a final newline, keys in field-number order, zeros left out, application/octet-stream."""
    uri = await files.put("gs://inputs/a.jpg", drawn())
    features = [{"type": number} for number in (Feature.OBJECT_LOCALIZATION, Feature.CROP_HINTS, Feature.LABEL_DETECTION)]
    await run(api, batch([image(uri, *features)], "gs://results/x"))
    text = await files.get("gs://results/xoutput-1-to-1.json")
    assert b"\n" not in text
    assert b": " not in text.replace(b'": ', b"")
    (response,) = json.loads(text)["responses"]
    by_number = [
        field.json_name for field in sorted(BatchAnnotateImagesResponse().responses.add().DESCRIPTOR.fields, key=lambda f: f.number)
    ]
    assert list(response) == [name for name in by_number if name in response]
    assert list(response).index("context") < list(response).index("localizedObjectAnnotations")
    assert {} in [vertex for hint in response["cropHintsAnnotation"]["cropHints"] for vertex in hint["boundingPoly"]["vertices"]]
    record = await emulator.storage.find("results").get("xoutput-1-to-1.json")  # type: ignore[attr-defined]
    assert record.attributes.content_type == "application/octet-stream"


async def test_what_is_wrong_with_one_image_stays_in_its_slot(api: Api, files: Files) -> None:
    """Missing objects and buckets, undecodable and oversized images are errors of their slots, with context; the others are answered."""
    good = await files.put("gs://inputs/good.jpg", drawn())
    text = await files.put("gs://inputs/notes.txt", b"no picture")
    empty = await files.put("gs://inputs/empty.jpg", b"")
    large = await files.put("gs://inputs/large.jpg", drawn() + bytes(20_000_000))
    uris = [good, "gs://inputs/none.jpg", "gs://nowhere/a.jpg", text, empty, large, good]
    operation = await run(api, batch([image(uri) for uri in uris], batch_size=100))
    assert not operation.HasField("error")
    responses = parsed(await files.get("gs://results/run/output-1-to-7.json")).responses
    assert [response.context.uri for response in responses] == uris
    assert [(response.error.code, response.error.message) for response in responses] == [
        (0, ""),
        (5, "Error opening file: gs://inputs/none.jpg."),
        (7, "Error opening file: gs://nowhere/a.jpg."),
        (3, "Bad image data."),
        (3, "Bad image data."),
        (3, "Image size exceeds the limit: 20000000 bytes."),
        (0, ""),
    ]
    assert [bool(response.label_annotations) for response in responses] == [True, False, False, False, False, False, True]
    assert b'"error":{}' not in await files.get("gs://results/run/output-1-to-7.json")


async def test_2000_images_pass_and_2001_are_refused_whole(api: Api, files: Files, emulator: Emulator) -> None:
    """The bound from both sides; the refused batch makes no operation and writes nothing."""
    sample = image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateImages", batch([sample] * 2001))
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert "2000" in refused.value.message
    assert list(emulator.vision.operations) == []
    assert await files.names("gs://results/") == []
    assert (await run(api, batch([sample] * 2000, batch_size=100))).done
    assert len(await files.names("gs://results/")) == 20


GOOD = image("gs://inputs/a.jpg")
REFUSED = {
    "no image at all": (batch([]), "Request must contain at least one image."),
    "an element without image": (batch([GOOD, {"features": [LABELS]}]), "Request must specify image and features."),
    "an image without source": (batch([{"image": {}, "features": [LABELS]}]), "Request must specify image and features."),
    "no features": (batch([{"image": {"source": {"image_uri": "gs://a/b"}}}]), "Request must specify image and features."),
    "a feature without type": (batch([image("gs://a/b", {"max_results": 3})]), "Unsupported feature type: 0."),
    "an unknown feature": (batch([image("gs://a/b", {"type": 99})]), "Unsupported feature type: 99."),
    "inline content": (
        batch([{"image": {"content": b"x"}, "features": [LABELS]}]),
        "Only images in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests.",
    ),
    "a web image": (
        batch([image("https://example.com/a.jpg")]),
        "Only images in Google Cloud Storage (gs:// URIs) are supported in asynchronous batch requests.",
    ),
    "no output": ({"requests": [GOOD]}, "Request must specify output_config.gcs_destination.uri."),
    "output elsewhere": (batch([GOOD], "s3://results/x"), "Invalid GCS path specified: s3://results/x"),
    "output without bucket": (batch([GOOD], "gs:///x"), "Invalid GCS path specified: gs:///x"),
    "batch_size too large": (batch([GOOD], batch_size=101), "Invalid batch_size: 101. It must be between 1 and 100."),
    "batch_size negative": (batch([GOOD], batch_size=-1), "Invalid batch_size: -1. It must be between 1 and 100."),
    "a parent of another kind": (
        batch([GOOD]) | {"parent": "folders/1"},
        "Invalid parent: folders/1. Expected projects/PROJECT or projects/PROJECT/locations/LOCATION.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_as_a_whole(api: Api, emulator: Emulator, case: str) -> None:
    """A request that cannot be right is INVALID_ARGUMENT with the catalogue's text, the same on every transport, and starts nothing."""
    request, message = REFUSED[case]
    with pytest.raises(Refused) as refused:
        await api("AsyncBatchAnnotateImages", request)
    assert (refused.value.code, refused.value.message) == (Code.INVALID_ARGUMENT, message)
    assert list(emulator.vision.operations) == []


async def test_batch_size_unset_is_20(api: Api, files: Files) -> None:
    """Without batch_size a file holds 20 responses."""
    sample = image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})
    await run(api, batch([sample] * 21, batch_size=0))
    assert await files.names("gs://results/") == ["run/output-1-to-20.json", "run/output-21-to-21.json"]


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        ("gs://results/", "output-1-to-1.json"),
        ("gs://results", "output-1-to-1.json"),
        ("gs://results/dir/", "dir/output-1-to-1.json"),
        ("gs://results/x.pdf.json", "x.pdf.jsonoutput-1-to-1.json"),
        ("gs://results/ünï/", "ünï/output-1-to-1.json"),
    ],
)
async def test_names_are_plain_concatenation(api: Api, files: Files, destination: str, name: str) -> None:
    """The file's name is the destination and the file name, nothing put between (recorded)."""
    await run(api, batch([image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})], destination))
    assert await files.names("gs://results/") == [name]


async def test_an_unwritable_destination_is_the_operations_error(api: Api) -> None:
    """A missing output bucket fails the operation, not the create call: code 7 and the recorded text."""
    operation = await run(api, batch([image("gs://inputs/a.jpg")], "gs://nowhere/x"))
    assert operation.done
    assert (operation.error.code, operation.error.message) == (7, "Error writing final output to: gs://nowhere/x")


async def test_who_answered_is_disclosed(api: Api, files: Files) -> None:
    """The poll that brings the result says which annotator answered how many features."""
    uri = await files.put("gs://inputs/a.jpg", drawn())
    request = batch([image(uri), image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})])
    created = (await api("AsyncBatchAnnotateImages", request)).message
    answer = await api("GetOperation", {"name": created.name})
    assert answer.metadata["x-vision-emulator-annotators"] == "fixtures=1,synthetic=1"


async def test_same_pictures_same_bytes(api: Api, files: Files) -> None:
    """Running a batch again writes the same bytes: invented answers depend on pictures and seed alone."""
    uris = [await files.put(f"gs://inputs/{number}.jpg", drawn(number)) for number in range(3)]
    features = [{"type": number} for number in range(1, 13) if number != 8]
    written = []
    for destination in ("gs://results/a/", "gs://results/b/"):
        await run(api, batch([image(uri, *features) for uri in uris], destination, batch_size=3))
        written.append(await files.get(destination + "output-1-to-3.json"))
    assert written[0] == written[1]


@given(st.integers(1, 2000), st.integers(1, 100))
def test_shards_cover_the_batch_without_gap_or_overlap(count: int, size: int) -> None:
    """Shard ranges touch, start at 1, end at the number of images, and hold at most batch_size."""
    made = list(shards(count, size))
    assert [made[0].first, made[-1].last] == [1, count]
    assert all(shard.last + 1 == following.first for shard, following in pairwise(made))
    assert all(1 <= shard.last - shard.first + 1 <= size for shard in made)
    assert sum(len(shard.responses) for shard in made) == count
