"""The demonstration: twelve drawn pictures become one offline batch, through Google's official client, on an emulator started for it.

Needs google-cloud-vision (the extra ``demo``); everything else is what any program would do against the real service.
"""

from __future__ import annotations

import io
import json
import math
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import grpc
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from vision_emulator.app import VisionEmulator

SIZE: Final = (640, 480)
PHOTOS: Final = "photos"
RESULTS: Final = "results"
FEATURES: Final = (vision.Feature.Type.LABEL_DETECTION, vision.Feature.Type.IMAGE_PROPERTIES)
BATCH_SIZE: Final = 2
PATIENCE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
ITEMS_SHOWN: Final = 2

Say = Callable[[str], object]
ShowProgress = Callable[[int, int], object]


def run(folder: Path, say: Say, show_progress: ShowProgress) -> None:
    """The whole tour, told through ``say``; the images and result files stay in ``folder`` as photos/ and results/."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{RESULTS}/output-*-to-*.json"):
        stale.unlink()
    answers = folder / ANSWERS_FILE
    answers.write_text(ANSWERS)
    with VisionEmulator(buckets=folder, bucket=(PHOTOS, RESULTS), fixtures=(answers,)) as emulator:
        say(f"1. An emulator is running on {emulator.address}; its buckets are the folders in {folder}/.\n")
        uris = [upload(emulator.url, name, picture) for name, picture in pictures()]
        say(f"2. Uploaded {len(uris)} pictures to Cloud Storage (the built-in one), as gs://{PHOTOS}/….\n")

        say("3. Submitting one offline batch with Google's client: LABEL_DETECTION and IMAGE_PROPERTIES for each.")
        started = time.perf_counter()
        channel = grpc.insecure_channel(emulator.address)
        client = vision.ImageAnnotatorClient(transport=ImageAnnotatorGrpcTransport(channel=channel))
        operation = submit(client, uris)
        say(f"   Operation: {operation.operation.name}")
        watch(emulator.url, operation, len(uris), show_progress)
        seconds = time.perf_counter() - started
        channel.close()

        written = objects(emulator.url, RESULTS)
        say(f"\n4. Done in {seconds:.2f} s. Written (in Cloud Storage's own order, which is not numeric):")
        for item in written:
            say(f"   gs://{RESULTS}/{item['name']}  {int(item['size']):,} bytes")
        first = json.loads(download(emulator.url, RESULTS, str(written[0]["name"])))["responses"][0]
        say(f"\n5. The first response in {written[0]['name']}, lists cut to {ITEMS_SHOWN}:")
        say(json.dumps(shortened(first), indent=2, ensure_ascii=False))
    say(NEXT.format(folder=folder, answers=answers))


ANSWERS_FILE: Final = "answers.yaml"  # beside the buckets' folders
ANSWERS: Final = f"""\
rules:
- match: {{uri: "gs://{PHOTOS}/01-sunset.jpg"}}
  response:
    labelAnnotations:
    - {{description: Sky, score: 0.97, topicality: 0.97}}
    - {{description: Sunset, score: 0.94, topicality: 0.94}}
    - {{description: Horizon, score: 0.88, topicality: 0.88}}
"""

NEXT: Final = """
These labels are what {answers} says about this picture; the labels of the others are invented,
always the same ones for the same picture. Colours and crops are computed from the pixels.

How to go on:
  vision-emulator serve --auto-create-buckets

  import grpc
  from google.cloud import vision
  from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
  client = vision.ImageAnnotatorClient(transport=ImageAnnotatorGrpcTransport(channel=grpc.insecure_channel("localhost:8970")))

The pictures and results of this run are in {folder}/."""


# ---- a client's steps ----


def upload(url: str, name: str, content: bytes) -> str:
    """Puts one object into the photos bucket over the JSON API; answers its gs:// URI."""
    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    fetch(urllib.request.Request(f"{url}/upload/storage/v1/b/{PHOTOS}/o?{query}", data=content, method="POST"))  # noqa: S310 - our own server
    return f"gs://{PHOTOS}/{name}"


def submit(client: vision.ImageAnnotatorClient, uris: list[str]) -> Any:
    """Starts the batch; answers google.api_core's future of the operation."""
    requests = [
        vision.AnnotateImageRequest(
            image=vision.Image(source=vision.ImageSource(image_uri=uri)), features=[vision.Feature(type_=feature) for feature in FEATURES]
        )
        for uri in uris
    ]
    output = vision.OutputConfig(gcs_destination=vision.GcsDestination(uri=f"gs://{RESULTS}/"), batch_size=BATCH_SIZE)
    return client.async_batch_annotate_images(requests=requests, output_config=output, timeout=PATIENCE_SECONDS)


def watch(url: str, operation: Any, total: int, show_progress: ShowProgress) -> None:
    """Shows how many images are written, as the result files appear, until the operation is done; its failure is raised."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(operation.result, timeout=PATIENCE_SECONDS)
        shown = 0
        show_progress(shown, total)
        while shown < total:
            finished = wait((result,), POLL_SECONDS).done
            done = total if finished else sum(images_in(item["name"]) for item in objects(url, RESULTS))
            if done > shown:
                show_progress(done, total)
                shown = done
        result.result()


def images_in(name: str) -> int:
    """How many images a result file holds, by its name: 2 for output-3-to-4.json."""
    first, last = name.removeprefix("output-").removesuffix(".json").split("-to-")
    return int(last) - int(first) + 1


def objects(url: str, bucket: str) -> list[dict[str, str]]:
    """The result files that a bucket lists."""
    listing = fetch(urllib.request.Request(f"{url}/storage/v1/b/{bucket}/o?prefix=output-"))  # noqa: S310
    items: list[dict[str, str]] = json.loads(listing).get("items", [])
    return items


def download(url: str, bucket: str, name: str) -> bytes:
    """An object's content."""
    return fetch(urllib.request.Request(f"{url}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"))  # noqa: S310


def fetch(request: urllib.request.Request) -> bytes:
    """The body of the answer; OSError when the server refuses."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is not for this machine
    with direct.open(request, timeout=PATIENCE_SECONDS) as answer:
        content: bytes = answer.read()
    return content


def shortened(value: Any) -> Any:
    """JSON with its lists cut, so that it fits a screen."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - ITEMS_SHOWN} more"] if len(value) > ITEMS_SHOWN else []
        return [shortened(item) for item in value[:ITEMS_SHOWN]] + more
    return value


# ---- the pictures ----


def pictures() -> Iterator[tuple[str, bytes]]:
    """Twelve drawn pictures, by file name: JPEG where they look like photos, PNG where they do not."""
    for number, (name, paint) in enumerate(PAINTERS.items(), 1):
        buffer = io.BytesIO()
        paint().save(buffer, "JPEG" if name.endswith("jpg") else "PNG", quality=88)
        yield f"{number:02}-{name}", buffer.getvalue()


def _sky(top: str, bottom: str) -> Image.Image:
    """A smooth vertical gradient."""
    mask = Image.linear_gradient("L").resize(SIZE)
    return Image.composite(Image.new("RGB", SIZE, bottom), Image.new("RGB", SIZE, top), mask)


def _ridge(image: Image.Image, height: int, roughness: int, colour: str) -> None:
    """Hills across the picture, everything below filled."""
    width, bottom = SIZE
    line = [(x, height + roughness * (math.sin(x / 61) + math.sin(x / 23 + height) / 3)) for x in range(0, width + 8, 8)]
    ImageDraw.Draw(image).polygon([(0, bottom), *line, (width, bottom)], fill=colour)


def _sunset() -> Image.Image:
    image = _sky("#20336b", "#ff8a3c")
    ImageDraw.Draw(image).ellipse((250, 250, 390, 390), fill="#ffe08a")
    image = image.filter(ImageFilter.GaussianBlur(3))
    _ridge(image, 360, 14, "#1d1626")
    return image


def _mountains() -> Image.Image:
    image = _sky("#6ba4e0", "#e8f1f8")
    for height, colour in ((210, "#8fa3b8"), (280, "#5d7488"), (360, "#2f4a3f")):
        _ridge(image, height, 60, colour)
    return image


def _sea() -> Image.Image:
    image = _sky("#bfe3f7", "#0b4f7a")
    draw = ImageDraw.Draw(image)
    for y in range(200, 480, 14):
        draw.line([(x, y + 4 * math.sin(x / 17 + y)) for x in range(0, 641, 8)], fill="#d6f0fa" if y % 28 else "#2f86b5", width=2)
    return image


def _forest() -> Image.Image:
    image = _sky("#cfe8c9", "#3c6b35")
    draw = ImageDraw.Draw(image)
    for index in range(26):
        x, y, height = index * 97 % 640, 300 + index * 7, 120 + index * 53 % 90
        draw.polygon([(x - height // 3, y), (x, y - height), (x + height // 3, y)], fill=(20 + index * 2, 70 + index * 3, 40))
    return image


def _night_city() -> Image.Image:
    image = _sky("#05060f", "#2a2250")
    draw = ImageDraw.Draw(image)
    for block in range(9):
        left, top = block * 72, 140 + block * 131 % 180
        draw.rectangle((left, top, left + 64, 480), fill="#12141f")
        for window in range(40):
            if (window * 7 + block) % 3:
                x, y = left + 8 + window % 4 * 14, top + 10 + window // 4 * 24
                draw.rectangle((x, y, x + 8, y + 12), fill="#ffd76a")
    return image


def _field() -> Image.Image:
    image = _sky("#87c5f0", "#f4e7a1")
    _ridge(image, 300, 10, "#c9a227")
    draw = ImageDraw.Draw(image)
    for x in range(-200, 840, 40):
        draw.line((320 + (x - 320) // 6, 300, x, 480), fill="#8a6d12", width=3)
    return image


def _text(lines: str, size: int, ink: str, paper: str) -> Image.Image:
    image = Image.new("RGB", SIZE, paper)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).multiline_text((320, 240), lines, fill=ink, font=font, anchor="mm", align="center", spacing=size // 2)
    return image


def _chart() -> Image.Image:
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    for index, height in enumerate((120, 200, 170, 290, 340, 260)):
        draw.rectangle((60 + index * 92, 420 - height, 120 + index * 92, 420), fill=("#3366cc", "#dc3912")[index % 2])
    draw.line((40, 40, 40, 420, 620, 420), fill="black", width=3)
    return image


def _balloons() -> Image.Image:
    image = Image.new("RGB", SIZE, "#eaf6ff")
    draw = ImageDraw.Draw(image)
    for index, colour in enumerate(("#e53935", "#fdd835", "#43a047", "#1e88e5", "#8e24aa")):
        x, y = 60 + index * 115, 90 + index * 67 % 110
        draw.line((x + 45, y + 110, 320, 470), fill="#666666", width=2)
        draw.ellipse((x, y, x + 90, y + 115), fill=colour)
    return image


def _checkerboard() -> Image.Image:
    image = Image.new("RGB", SIZE, "#f0d9b5")
    draw = ImageDraw.Draw(image)
    for square in range(48):
        x, y = square % 8 * 80, square // 8 * 80
        if (square + square // 8) % 2:
            draw.rectangle((x, y, x + 79, y + 79), fill="#b58863")
    return image


def _face() -> Image.Image:
    image = Image.new("RGB", SIZE, "#7fb7be")
    draw = ImageDraw.Draw(image)
    draw.ellipse((190, 90, 450, 410), fill="#f2c7a5")
    for x in (255, 355):
        draw.ellipse((x, 200, x + 34, 226), fill="white")
        draw.ellipse((x + 10, 204, x + 26, 222), fill="#33261d")
    draw.arc((265, 270, 375, 350), 20, 160, fill="#a3423c", width=8)
    return image


PAINTERS: Final[dict[str, Callable[[], Image.Image]]] = {
    "sunset.jpg": _sunset,
    "mountains.jpg": _mountains,
    "sea.jpg": _sea,
    "forest.jpg": _forest,
    "night-city.jpg": _night_city,
    "field.jpg": _field,
    "shop-sign.png": lambda: _text("OPEN\n24 HOURS", 96, "#ffffff", "#b71c1c"),
    "receipt.png": lambda: _text("COFFEE      2.80\nBAGEL       3.40\nTOTAL       6.20\nTHANK YOU", 36, "#222222", "#fbfaf3"),
    "chart.png": _chart,
    "balloons.png": _balloons,
    "checkerboard.png": _checkerboard,
    "face.png": _face,
}
