"""The image, really built and run: with buildah as root, on a base that debootstrap makes under the name of the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.cloud import vision
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport

from vision_emulator import config as configuration

ROOT = Path(__file__).parents[2]
BASE = "debian:trixie-slim"
MEGABYTE = 1_000_000
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
IN_THE_CONTAINER = "/run/host-certificates.crt"

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]


class Buildah:
    """A store of images and containers in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = ["buildah", "--storage-driver", "vfs", "--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self.command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def described(self, image: str) -> dict[str, Any]:
        """What an image says of itself."""
        described: dict[str, Any] = json.loads(self.run("inspect", "--type", "image", image))
        return described

    def size(self, image: str) -> int:
        """Bytes of an image's layers."""
        return sum(layer["size"] for layer in json.loads(self.described(image)["Manifest"])["layers"])


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    """With the base image in it; what this machine trusts is mounted into builds, so that they work behind a company's proxy."""
    folder = tmp_path_factory.mktemp("buildah")
    made = Buildah(folder)
    (folder / "pip.conf").write_text(f"[global]\ncert = {IN_THE_CONTAINER}\n")
    suite = BASE.removeprefix("debian:").removesuffix("-slim")
    done = subprocess.run(["debootstrap", "--variant=minbase", suite, folder / "base"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    for waste in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        subprocess.run(["rm", "-rf", folder / "base" / waste], check=True)
    container = made.run("from", "scratch")
    made.run("add", "--quiet", container, str(folder / "base"), "/")
    made.run("commit", "--quiet", container, f"localhost/{BASE}")
    return made


def built(buildah: Buildah, name: str, *options: str) -> str:
    """Builds the Dockerfile; the image's name."""
    mounts = [f"{CERTIFICATES}:{IN_THE_CONTAINER}:ro", f"{buildah.folder / 'pip.conf'}:/etc/pip.conf:ro"]
    volumes = [part for mount in mounts for part in ("--volume", mount)]
    ignored = ["--ignorefile", "docker/Dockerfile.dockerignore"]
    base = ["--pull-never", "--build-arg", f"BASE=localhost/{BASE}", "--format", "docker"]
    buildah.run("bud", "--isolation", "chroot", *base, *volumes, *ignored, *options, "--file", "docker/Dockerfile", "--tag", name, ".")
    return f"localhost/{name}"


@pytest.fixture(scope="session")
def image(buildah: Buildah) -> str:
    return built(buildah, "vision-emulator")


class Running:
    """A container with the emulator in it."""

    def __init__(self, buildah: Buildah, image: str, *arguments: str) -> None:
        self._buildah = buildah
        self.container = buildah.run("from", image)
        entry = ["run", "--isolation", "chroot", self.container, "vision-emulator", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen([*buildah.command, *entry], stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.port = self.ready.split(": ")[0].rpartition(":")[2]

    def run(self, *command: str) -> str:
        return self._buildah.run("run", "--isolation", "chroot", self.container, *command)

    def emulator(self) -> psutil.Process:
        """The emulator's own process, as the host sees it."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if "serve" in child.cmdline() and "python" in child.cmdline()[0]:
                return child
        raise AssertionError("no emulator runs in the container")


@pytest.fixture
def running(buildah: Buildah, image: str) -> Iterator[Running]:
    started = Running(buildah, image)
    yield started
    started.emulator().send_signal(signal.SIGTERM)
    with started.process:
        assert started.process.wait(timeout=30) == 0


def label(port: str) -> str:
    """What an official client is told of a sample image."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = vision.ImageAnnotatorClient(transport=ImageAnnotatorGrpcTransport(channel=channel))
        image = vision.Image(source=vision.ImageSource(image_uri="gs://cloud-samples-data/vision/label/wakeupcat.jpg"))
        return str(client.label_detection(image=image, timeout=20).label_annotations[0].description)


def test_an_official_client_talks_to_the_container(running: Running) -> None:
    """It is ready when it says so, answers, is healthy by its own command, and is nobody's process in particular."""
    assert running.ready.startswith("Ready on 0.0.0.0:")
    assert label(running.port) == "Cat"
    assert running.run("vision-emulator", "healthcheck", "--port", running.port) == ""
    assert set(running.emulator().uids()) == {65532}


def test_the_image_says_how_it_is_run(buildah: Buildah, image: str) -> None:
    """User, port, entry point and health check are in its description; it is not larger than it need be."""
    described = buildah.described(image)["Docker"]["config"]
    assert (described["User"], list(described["ExposedPorts"])) == ("65532:65532", ["8970/tcp"])
    assert (described["Entrypoint"], described["Cmd"]) == (["vision-emulator"], ["serve"])
    assert described["Healthcheck"]["Test"] == ["CMD", "vision-emulator", "healthcheck"]
    base, whole = buildah.size(f"localhost/{BASE}"), buildah.size(image)
    print(f"\nimage: {(whole - base) / MEGABYTE:.0f} MB over a base of {base / MEGABYTE:.0f} MB")
    assert whole - base < 300 * MEGABYTE


def test_the_image_that_reads(buildah: Buildah) -> None:
    """The target ocr has tesseract and its data: text in pixels is read in the container."""
    reading = built(buildah, "vision-emulator-ocr", "--target", "ocr")
    draw = (
        "from PIL import Image, ImageDraw, ImageFont; picture = Image.new('RGB', (900, 200), 'white');"
        " ImageDraw.Draw(picture).text((40, 50), 'Departures', 'black', ImageFont.load_default(90)); picture.save('/tmp/sign.png')"
    )
    container = buildah.run("from", reading)
    inside = ["run", "--isolation", "chroot", container]
    buildah.run(*inside, "/opt/vision-emulator/bin/python", "-c", draw)
    assert '"Departures' in buildah.run(*inside, "vision-emulator", "annotate", "/tmp/sign.png", "--feature", "DOCUMENT_TEXT_DETECTION")
    more = buildah.size(reading) - buildah.size(f"localhost/{BASE}")
    print(f"\nimage with OCR: {more / MEGABYTE:.0f} MB over its base")


def test_the_example_of_compose_passes(buildah: Buildah, image: str) -> None:
    """The test that compose runs in a container of its own passes against the image."""
    started = Running(buildah, image, "--auto-create-buckets")
    environ = {
        **configuration.environment(),
        "VISION_EMULATOR_HOST": f"127.0.0.1:{started.port}",
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{started.port}",
        "GOOGLE_CLOUD_PROJECT": "test",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", "docker/example", "-c", os.devnull, "docker/example"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    started.emulator().terminate()
    with started.process:
        started.process.wait(timeout=30)
    assert done.returncode == 0, done.stdout[-3000:]
