"""Web detection over the server's own buckets, registered logos and landmarks, as a user sees them on every transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from registered import badge, edges, folder_of, placed, saved, scene, taken_at
from transports import Api, Files

from vision_emulator.annotators import SettingsError
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.messages import Feature

WEB, LOGOS, LANDMARKS = Feature.WEB_DETECTION, Feature.LOGO_DETECTION, Feature.LANDMARK_DETECTION
TABLE = "name,mid,latitude,longitude\nEiffel Tower,/m/02j81,48.8582,2.2945\n"


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    local = {
        "web": True,
        "logos": folder_of(tmp_path / "logos", {"K9.png": badge()}, logos="name,mid\nK9,/m/0k9\n"),
        "landmarks": folder_of(tmp_path / "landmarks", {}, landmarks=TABLE),
    }
    async with Emulator(Config(port=0, bucket=("inputs", "results"), settings={"local": local})) as running:
        yield running


def asking(image: dict[str, Any], *kinds: int, most: int = 0) -> dict[str, Any]:
    return {"requests": [{"image": image, "features": [{"type": kind, "max_results": most} for kind in kinds]}]}


async def test_a_copy_in_a_bucket_is_found_and_can_be_fetched(api: Api, files: Files, emulator: Emulator) -> None:
    """The URL of a match is one that a client can fetch, and behind it are the very bytes; nothing is invented beside it."""
    await files.put("gs://inputs/barns/red barn.jpg", saved(scene(1), "JPEG"))
    answer = await api("BatchAnnotateImages", asking({"content": saved(scene(1))}, WEB))
    assert answer.metadata["x-vision-emulator-annotators"] == "local=1"
    (response,) = answer.message.responses
    (match,) = response.web_detection.full_matching_images
    assert match.url == f"{emulator.url}/inputs/barns/red%20barn.jpg"
    assert [guess.label for guess in response.web_detection.best_guess_labels] == ["red barn"]
    assert {field.name for field, _ in response.web_detection.ListFields()} == {"full_matching_images", "best_guess_labels"}
    async with aiohttp.ClientSession() as session, session.get(match.url) as fetched:
        assert await fetched.read() == saved(scene(1), "JPEG")


async def test_each_list_is_cut_to_max_results(api: Api, files: Files) -> None:
    """max_results holds for each kind of match, the best ones first."""
    for name in ("c", "a", "b"):
        await files.put(f"gs://inputs/{name}", saved(scene(1)))
    answer = await api("BatchAnnotateImages", asking({"content": saved(scene(1))}, WEB, most=2))
    urls = [image.url for image in answer.message.responses[0].web_detection.full_matching_images]
    assert [url.rpartition("/")[2] for url in urls] == ["a", "b"]


async def test_a_broken_object_is_nobodys_error(api: Api, files: Files) -> None:
    """What lies broken in a bucket harms no picture that is asked about; a broken picture asked about harms none beside it."""
    await files.put("gs://inputs/broken.jpg", b"\xff\xd8nonsense")
    await files.put("gs://inputs/good.png", saved(scene(1)))
    sent = asking({"content": saved(scene(1))}, WEB)["requests"] + asking({"content": b"\xff\xd8nonsense"}, WEB)["requests"]
    good, broken = (await api("BatchAnnotateImages", {"requests": sent})).message.responses
    assert len(good.web_detection.full_matching_images) == 1
    assert not good.HasField("error")
    assert broken.error.message == "Bad image data."


async def test_an_offline_batch_finds_its_own_duplicates(api: Api, files: Files) -> None:
    """Pictures of a batch find their copies in the buckets, and not themselves."""
    await files.put("gs://inputs/one.png", saved(scene(1)))
    await files.put("gs://inputs/two.jpg", saved(scene(1), "JPEG"))
    await files.put("gs://inputs/three.png", saved(scene(2)))
    sent = [asking({"source": {"image_uri": f"gs://inputs/{name}"}}, WEB)["requests"][0] for name in ("one.png", "two.jpg", "three.png")]
    output = {"gcs_destination": {"uri": "gs://results/web/"}}
    created = await api("AsyncBatchAnnotateImages", {"requests": sent, "output_config": output})
    assert (await api("GetOperation", {"name": created.message.name})).message.done
    written = json.loads(await files.get("gs://results/web/output-1-to-3.json"))
    urls = [
        [image["url"].rpartition("/")[2] for image in one["webDetection"].get("fullMatchingImages", ())] for one in written["responses"][:2]
    ]
    assert urls == [["two.jpg"], ["one.png"]]
    assert "fullMatchingImages" not in written["responses"][2].get("webDetection", {})


async def test_a_registered_logo_and_landmark_are_found(api: Api) -> None:
    """Both in one call, with mid, place and polygon; a picture of neither is answered empty and not with inventions."""
    logo = saved(placed(scene(4), badge(), (100, 60)), "JPEG")
    sent = (
        asking({"content": logo}, LOGOS, LANDMARKS)["requests"]
        + asking({"content": taken_at(48.8590, 2.2930)}, LOGOS, LANDMARKS)["requests"]
    )
    answer = await api("BatchAnnotateImages", {"requests": sent})
    assert answer.metadata["x-vision-emulator-annotators"] == "local=4"
    first, second = answer.message.responses
    (found,) = first.logo_annotations
    assert (found.mid, found.description) == ("/m/0k9", "K9")
    assert edges(found.bounding_poly.vertices) == pytest.approx({"left": 100, "top": 60, "right": 356, "bottom": 316}, abs=6)
    assert not first.landmark_annotations
    (near,) = second.landmark_annotations
    assert (near.mid, near.description, len(near.bounding_poly.vertices)) == ("/m/02j81", "Eiffel Tower", 4)
    assert near.locations[0].lat_lng.latitude == pytest.approx(48.8582)
    assert not second.logo_annotations


async def test_a_logo_on_a_page_lies_inside_the_page(api: Api) -> None:
    """A page of a PDF is looked at as it is drawn, and the polygon is given in shares of the page, as all polygons on pages are."""
    page = saved(placed(scene(4, (600, 800)), badge(), (100, 60)), "PDF", resolution=72.0)
    sent = {"requests": [{"input_config": {"content": page, "mime_type": "application/pdf"}, "features": [{"type": LOGOS}]}]}
    (response,) = (await api("BatchAnnotateFiles", sent)).message.responses
    (found,) = response.responses[0].logo_annotations
    corners = [(vertex.x * 600, vertex.y * 800) for vertex in found.bounding_poly.normalized_vertices]
    for corner, expected in zip(corners, [(100, 60), (356, 60), (356, 316), (100, 316)], strict=True):
        assert corner == pytest.approx(expected, abs=8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"settings": {"local": {"web": True}}, "storage": "http://localhost:4443"},
            "settings.local: web looks for pictures in the built-in",
        ),
        ({"settings": {"local": {"web": "yes"}}}, "settings.local: web is true or false, not 'yes'"),
        ({"settings": {"local": {"logos": "/nowhere"}}}, "settings.local: logos: /nowhere: no such folder"),
        ({"settings": {"local": {"logo": "logos"}}}, "did you mean logos"),
    ],
)
async def test_settings_that_cannot_be_used_end_the_start(options: dict[str, Any], words: str) -> None:
    """What can be known at start is said at start, with the name of the setting."""
    with pytest.raises(SettingsError) as refused:
        async with Emulator(Config(port=0, **options)):
            pass
    assert words in str(refused.value)
