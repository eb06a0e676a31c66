"""Images of every odd and broken kind through the whole path: annotations or the image's own error, in its own slot, and nothing else."""

from __future__ import annotations

from typing import Any

import invariants
import pytest
from batches import LABELS, image
from PIL import Image
from transports import Api, Files

from broken import BAD, ODD, SIZE, TOO_LARGE, deflated, padded, png, rotated, saved, scene
from documents import text_pdf
from pictures import drawn
from vision_emulator.annotators import FIELDS_OF_FEATURE
from vision_emulator.contract.limits import IMAGE_BYTES_MAX
from vision_emulator.contract.messages import Feature, ImageContext

COLORS = {"type": Feature.IMAGE_PROPERTIES}  # needs every pixel; the others need the header
EVERYTHING = [{"type": number} for number in FIELDS_OF_FEATURE]


def inline(data: bytes, *features: dict[str, Any]) -> dict[str, Any]:
    return {"image": {"content": data}, "features": list(features or [LABELS])}


async def between(api: Api, *requests: dict[str, Any]) -> list[Any]:
    """The answers to these requests, sent between two good images whose answers stay what they are alone."""
    good = inline(drawn(3), LABELS, COLORS)
    first, *responses, last = (await api("BatchAnnotateImages", {"requests": [good, *requests, good]})).message.responses
    (alone,) = (await api("BatchAnnotateImages", {"requests": [good]})).message.responses
    assert first == last == alone
    assert len(responses) == len(requests)
    return responses


def errors(responses: list[Any]) -> set[tuple[int, str]]:
    """The errors of slots that hold nothing else."""
    assert all([field.name for field, _ in response.ListFields()] == ["error"] for response in responses)
    return {(response.error.code, response.error.message) for response in responses}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_images_are_annotated(api: Api, files: Files, kind: str) -> None:
    """A valid image of any kind has an answer to every feature, with boxes inside its stored size, inline and from storage alike."""
    data, size = ODD[kind]()
    uri = await files.put("gs://inputs/odd", data)
    inlined, stored = await between(api, inline(data, *EVERYTHING), image(uri, *EVERYTHING))
    assert inlined == stored
    assert not inlined.HasField("error")
    assert inlined.label_annotations
    assert inlined.image_properties_annotation.dominant_colors.colors
    invariants.check(inlined, size, [Feature(**feature) for feature in EVERYTHING], ImageContext())


@pytest.mark.parametrize("kind", BAD)
async def test_broken_images_are_bad_image_data(api: Api, files: Files, kind: str) -> None:
    """Where pixels are looked at, a broken image is the recorded error; where the header is enough, the error or an answer."""
    data = BAD[kind]()
    uri = await files.put("gs://inputs/broken", data)
    *looked_at, by_header = await between(api, inline(data, COLORS), image(uri, COLORS), inline(data))
    assert errors(looked_at) == {(3, "Bad image data.")}
    assert by_header.label_annotations or errors([by_header]) == {(3, "Bad image data.")}


@pytest.mark.parametrize("kind", TOO_LARGE)
async def test_too_many_pixels_are_refused_by_the_header(api: Api, kind: str) -> None:
    """More than 75 megapixels are the recorded error, whatever follows the header."""
    data = TOO_LARGE[kind]()
    assert errors(await between(api, inline(data), inline(data, COLORS))) == {(3, "Image too large. Please limit to 75 megapixels.")}


async def test_75_megapixels_are_annotated(api: Api) -> None:
    """The largest size passes, by its header and with all its pixels; the bound from the other side is above."""
    header_only = png(75_000_000, 1, deflated(100))
    whole = saved(Image.new("1", (10_000, 7_500)), "PNG")
    by_header, looked_at = await between(api, inline(header_only), inline(whole, COLORS))
    assert by_header.label_annotations
    assert looked_at.image_properties_annotation.dominant_colors.colors[0].pixel_fraction == 1


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # the test's own client says so
@pytest.mark.parametrize("place", ["inline", "stored"])
async def test_20_megabytes_pass_and_one_byte_more_is_refused(api: Api, files: Files, place: str) -> None:
    """The bound of an image's bytes from both sides."""
    requests = []
    for size in (IMAGE_BYTES_MAX, IMAGE_BYTES_MAX + 1):
        data = padded(drawn(1), size)
        requests.append(inline(data) if place == "inline" else image(await files.put(f"gs://inputs/{size}", data)))
    responses = [(await api("BatchAnnotateImages", {"requests": [request]})).message.responses[0] for request in requests]
    assert responses[0].label_annotations
    assert errors(responses[1:]) == {(3, "Image size exceeds the limit: 20000000 bytes.")}


async def test_an_empty_object_is_bad_image_data(api: Api, files: Files) -> None:
    """An object without bytes is an error of its slot, unlike empty content, which fails the call."""
    uri = await files.put("gs://inputs/empty", b"")
    assert errors(await between(api, image(uri), image(uri, COLORS))) == {(3, "Bad image data.")}


async def test_a_pdf_is_no_image(api: Api, files: Files) -> None:
    """A document has an error of its own, of the recorded code, that says where to send it."""
    data = text_pdf()
    uri = await files.put("gs://inputs/a.pdf", data)
    ((code, message),) = errors(await between(api, inline(data), inline(data, COLORS), image(uri)))
    assert code == 13
    assert message.startswith("Internal server error. Error processing features.")
    assert "files:annotate" in message


async def test_exif_does_not_turn_the_image(api: Api) -> None:
    """An image that EXIF says to turn is answered as it is stored, like the same pixels without EXIF."""
    crops = {"type": Feature.CROP_HINTS}
    turned, straight = await between(api, inline(rotated(), crops), inline(saved(scene(), "JPEG"), crops))
    assert turned == straight
    corner = turned.crop_hints_annotation.crop_hints[0].bounding_poly.vertices[2]
    assert (corner.x + 1, corner.y + 1) == SIZE
