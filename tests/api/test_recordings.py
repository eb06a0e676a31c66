"""What a user records once with Google's own client stays: over the other transport, in another kind of call, without the upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport as Transport

from pictures import drawn
from vision_emulator import VisionEmulator

Type = vision.Feature.Type
FEATURES = [{"type_": Type.LABEL_DETECTION}, {"type_": Type.LOGO_DETECTION}, {"type_": Type.CROP_HINTS}]
RULE = {
    "match": {"uri": "*"},
    "response": {
        "labelAnnotations": [{"description": "Cat", "score": 0.98}, {"description": "Pet", "score": 0.5}],
        "logoAnnotations": [],
        "cropHintsAnnotation": {"cropHints": [{"confidence": 0.5, "importanceFraction": 1}]},
    },
}


@contextmanager
def over_grpc(emulator: VisionEmulator) -> Iterator[vision.ImageAnnotatorClient]:
    with grpc.insecure_channel(emulator.address) as channel:
        yield vision.ImageAnnotatorClient(transport=Transport(channel=channel))


def over_rest(emulator: VisionEmulator) -> vision.ImageAnnotatorClient:
    options = {"api_endpoint": emulator.url}
    return vision.ImageAnnotatorClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)  # type: ignore[arg-type]


@contextmanager
def real_one(tmp_path: Path) -> Iterator[VisionEmulator]:
    """A second emulator, in the place of the real service."""
    (tmp_path / "rules.json").write_text(json.dumps([RULE]))
    with VisionEmulator(fixtures=[tmp_path / "rules.json"], annotators=["fixtures"]) as emulator:
        yield emulator


def upstream(**settings: Any) -> VisionEmulator:
    return VisionEmulator(annotators=["upstream"], settings={"upstream": settings})


def test_recorded_over_grpc_replayed_over_rest(tmp_path: Path) -> None:
    """The client's answer is the same, digit by digit, though the upstream is gone and the call comes over the other transport."""
    folder = str(tmp_path / "recordings")
    request = {"image": {"content": drawn()}, "features": FEATURES}
    with (
        real_one(tmp_path) as real,
        upstream(mode="record", endpoint=f"grpc://{real.address}", folder=folder) as emulator,
        over_grpc(emulator) as client,
    ):
        recorded = client.annotate_image(request)
    with upstream(folder=folder) as emulator:
        replayed = over_rest(emulator).annotate_image(request)
    assert replayed == recorded
    assert [label.description for label in replayed.label_annotations] == ["Cat", "Pet"]
    assert replayed.crop_hints_annotation.crop_hints[0].importance_fraction == 1


def test_recorded_online_replayed_in_an_offline_batch(tmp_path: Path) -> None:
    """A recording knows the picture, not the call: sent inline when it was recorded, read from a bucket by a batch when it is replayed."""
    folder = str(tmp_path / "recordings")
    with real_one(tmp_path) as real, upstream(mode="record", endpoint=real.url, folder=folder) as emulator:
        over_rest(emulator).annotate_image({"image": {"content": drawn()}, "features": FEATURES})
    tree = tmp_path / "tree"
    for bucket in ("photos", "results"):
        (tree / bucket).mkdir(parents=True)
    (tree / "photos" / "cat.png").write_bytes(drawn())
    player = VisionEmulator(annotators=["upstream"], settings={"upstream": {"folder": folder}}, buckets=tree)
    with player as emulator, over_grpc(emulator) as client:
        images = [{"image": {"source": {"image_uri": "gs://photos/cat.png"}}, "features": FEATURES}]
        output = {"gcs_destination": {"uri": "gs://results/"}}
        client.async_batch_annotate_images(requests=images, output_config=output).result(timeout=30)
    [response] = json.loads((tree / "results" / "output-1-to-1.json").read_text())["responses"]
    assert [label["description"] for label in response["labelAnnotations"]] == ["Cat", "Pet"]
    assert "error" not in response
