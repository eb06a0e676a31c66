"""What local computes from pixels, as Google's own client sees it; and that nobody pays for what is not asked for."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import vision
from official import over_grpc, over_rest
from PIL import Image
from tiny_models import classifier, square_finder

from pictures import portrait
from vision_emulator import VisionEmulator

Type = vision.Feature.Type
CLIENTS = pytest.mark.parametrize("over", [over_grpc, over_rest], ids=["grpc", "rest"])


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def scene() -> Image.Image:
    """A face at the left, a blue square at the right, on grey."""
    image = Image.new("RGB", (960, 480), (110, 110, 110))
    image.paste(portrait(360), (0, 60))
    image.paste((0, 0, 255), (720, 240, 960, 480))
    return image


def ask(client: vision.ImageAnnotatorClient, *kinds: int, ratios: tuple[float, ...] = ()) -> Any:
    request = {
        "image": {"content": jpeg(scene())},
        "features": [{"type_": kind} for kind in kinds],
        "image_context": {"crop_hints_params": {"aspect_ratios": ratios}},
    }
    (response,) = client.batch_annotate_images(requests=[request]).responses
    assert not response.error.message
    return response


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VisionEmulator]:
    """An emulator that invents nothing and has two models of the user's."""
    folder: Path = tmp_path_factory.mktemp("models")
    classifier(folder / "colors.onnx", (32, 32), gain=30.0)
    square_finder(folder / "squares.onnx")
    (folder / "labels.toml").write_text('task = "classification"\nmodel = "colors.onnx"\nlabels = ["Warm", "Fresh", "Cold"]\n')
    (folder / "objects.toml").write_text(
        'task = "detection"\nmodel = "squares.onnx"\nlabels = ["Tomato", "Plum"]\nmids = {Plum = "/m/0dj9p"}\nscore_min = 0.9\n'
    )
    with VisionEmulator(annotators=["local"], settings={"local": {"models": [str(folder)]}}) as running:
        yield running


@CLIENTS
def test_a_face_and_what_is_around_it(equipped: VisionEmulator, over: Any) -> None:
    """Face, colours and a crop that keeps the face come from the pixels, and say so."""
    with over(equipped) as client:
        response = ask(client, Type.FACE_DETECTION, Type.IMAGE_PROPERTIES, Type.CROP_HINTS, ratios=(1.0,))
    (face,) = response.face_annotations
    left, right = face.fd_bounding_poly.vertices[0].x, face.fd_bounding_poly.vertices[2].x
    assert 40 < left < 100
    assert 260 < right < 330
    assert abs(face.roll_angle) < 3
    assert face.joy_likelihood == vision.Likelihood.UNKNOWN
    (crop,) = response.crop_hints_annotation.crop_hints
    assert (crop.bounding_poly.vertices[0].x <= left, right <= crop.bounding_poly.vertices[2].x) == (True, True)
    blue = [entry for entry in response.image_properties_annotation.dominant_colors.colors if entry.color.blue > 240]
    assert blue[0].pixel_fraction == pytest.approx(0.125, abs=0.02)


@CLIENTS
def test_models_of_the_user(equipped: VisionEmulator, over: Any) -> None:
    """A folder of cards is all it takes: labels and objects are what the models say, safe search stays unsaid."""
    with over(equipped) as client:
        response = ask(client, Type.LABEL_DETECTION, Type.OBJECT_LOCALIZATION, Type.SAFE_SEARCH_DETECTION)
    assert response.label_annotations[0].description == "Cold"
    (plum,) = {entry.name: entry for entry in response.localized_object_annotations}.values()
    assert (plum.name, plum.mid) == ("Plum", "/m/0dj9p")
    assert plum.bounding_poly.normalized_vertices[0].x >= 0.75 - 1e-6
    assert not response.safe_search_annotation.adult


PLAIN_CALL = """
import json, sys, urllib.request
from vision_emulator import VisionEmulator
from pictures import drawn
import base64
features = [{"type": kind} for kind in ("LABEL_DETECTION", "IMAGE_PROPERTIES", "SAFE_SEARCH_DETECTION", "OBJECT_LOCALIZATION")]
body = {"requests": [{"image": {"content": base64.b64encode(drawn()).decode()}, "features": features}]}
with VisionEmulator() as emulator:
    request = urllib.request.Request(f"{emulator.url}/v1/images:annotate", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        who = answer.headers["x-vision-emulator-annotators"]
        assert json.load(answer)["responses"][0]["imagePropertiesAnnotation"]
print(who, *(name for name in ("cv2", "onnxruntime", "onnx", "tesserocr", "rapidocr", "py3langid") if name in sys.modules))
"""


def test_nobody_pays_for_what_is_not_asked_for() -> None:
    """With every extra installed, a start and a call for colours and invented answers import none of the large libraries."""
    tests = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", PLAIN_CALL], cwd=tests, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["local=1,synthetic=3"]
