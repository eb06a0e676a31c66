"""Logos, landmarks and web detection from what the user put there, through Google's own client."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest
from google.cloud import storage, vision
from registered import badge, folder_of, placed, saved, scene, taken_at

from vision_emulator import VisionEmulator


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VisionEmulator]:
    root = tmp_path_factory.mktemp("registered")
    table = "name,latitude,longitude\nEiffel Tower,48.8582,2.2945\n"
    local = {
        "web": True,
        "logos": folder_of(root / "logos", {"K9/1.png": badge()}),
        "landmarks": folder_of(root / "landmarks", {}, landmarks=table),
    }
    with VisionEmulator(bucket=("inputs",), settings={"local": local}) as running:
        yield running


def test_web_detection(client: vision.ImageAnnotatorClient, buckets: storage.Client) -> None:
    """What the official storage client uploaded, without a content type, the official Vision client finds; metadata become labels."""
    blob = buckets.bucket("inputs").blob("IMG_1.jpg")
    blob.metadata = {"label": "Red barn", "mid": "/m/0barn"}
    blob.upload_from_string(saved(scene(1), "JPEG"))
    buckets.bucket("inputs").blob("part.png").upload_from_string(saved(scene(1).crop((100, 60, 500, 400))))
    found = client.web_detection(image=vision.Image(content=saved(scene(1)))).web_detection
    assert [entity.description for entity in found.web_entities] == ["Red barn"]
    assert [entity.entity_id for entity in found.web_entities] == ["/m/0barn"]
    assert [guess.label for guess in found.best_guess_labels] == ["red barn"]
    assert [image.url.rpartition("/")[2] for image in found.partial_matching_images] == ["part.png"]
    (match,) = found.full_matching_images
    with urllib.request.urlopen(match.url) as fetched:  # noqa: S310 - our own server's
        assert fetched.read() == saved(scene(1), "JPEG")


def test_logo_detection(client: vision.ImageAnnotatorClient) -> None:
    """A registered logo is found in a photograph."""
    image = vision.Image(content=saved(placed(scene(4), badge(), (100, 60), 0.8, 15), "JPEG"))
    (logo,) = client.logo_detection(image=image).logo_annotations
    assert (logo.description, len(logo.bounding_poly.vertices)) == ("K9", 4)


def test_landmark_detection(client: vision.ImageAnnotatorClient) -> None:
    """A photograph taken beside a registered landmark is one of it."""
    (landmark,) = client.landmark_detection(image=vision.Image(content=taken_at(48.8590, 2.2930))).landmark_annotations
    assert landmark.description == "Eiffel Tower"
    assert landmark.locations[0].lat_lng.longitude == pytest.approx(2.2945)
