"""Web detection over the server's own buckets: what is really there, as it is now."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps
from registered import saved, scene

from vision_emulator.annotators import Held, Picture, Settings, SettingsError
from vision_emulator.annotators.local import Local, web
from vision_emulator.annotators.local.web import Web
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import Feature, ImageContext, WebDetection
from vision_emulator.control.clock import ManualClock
from vision_emulator.core.library import StoredPictures
from vision_emulator.storage.directory import DirectoryStorage
from vision_emulator.storage.embedded import Attributes, EmbeddedStorage, MemoryStorage

ASKED = scene(1)
ROOT = "http://localhost:8970"
WEB = [Feature(type=Feature.WEB_DETECTION)]


class Watched(StoredPictures):
    """Counts what is asked of the buckets."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        super().__init__(storage, lambda: ROOT)
        self.listings = 0
        self.reads: list[str] = []
        self.reading = asyncio.Event()

    async def held(self) -> AsyncIterator[Held]:
        self.listings += 1
        async for held in super().held():
            yield held

    async def read(self, uri: str, bytes_max: int) -> bytes | None:
        self.reads.append(uri)
        self.reading.set()
        return await super().read(uri, bytes_max)


class Corner:
    """A storage with a part that looks into it."""

    def __init__(self, storage: EmbeddedStorage) -> None:
        self.storage = storage
        self.library = Watched(storage)
        self.threads = ThreadPoolExecutor(2)
        part = Web.create(Settings(library=self.library, threads=self.threads, table={"web": True}))
        assert part is not None
        self.local = Local([part], self.threads)

    async def put(self, uri: str, data: bytes, content_type: str = "image/png", **metadata: str) -> None:
        bucket, _, name = uri.partition("/")
        await (await self.storage.bucket(bucket)).put(name, data, Attributes(content_type, metadata=metadata))

    async def ask(self, data: bytes, uri: str = "") -> WebDetection:
        answer = await self.local.annotate(Picture(data, uri), WEB, ImageContext())
        assert [field.name for field, _ in answer.ListFields()] in (["web_detection"], [])
        return answer.web_detection


@pytest.fixture
def corner() -> Any:
    made = Corner(MemoryStorage(ManualClock(), ("photos", "other")))
    yield made
    made.threads.shutdown()


def finds(detection: WebDetection) -> dict[str, list[str]]:
    """The URLs of each kind, without the server's."""
    kinds = {
        "full": detection.full_matching_images,
        "partial": detection.partial_matching_images,
        "similar": detection.visually_similar_images,
    }
    return {kind: [image.url.removeprefix(f"{ROOT}/") for image in images] for kind, images in kinds.items() if images}


CASES = [
    pytest.param(saved(ASKED), {"full": ["photos/it"]}, id="the same bytes"),
    pytest.param(saved(ASKED, "BMP"), {"full": ["photos/it"]}, id="lossless"),
    pytest.param(saved(ASKED, "JPEG", quality=20), {"full": ["photos/it"]}, id="compressed"),
    pytest.param(saved(ASKED.resize((320, 240))), {"full": ["photos/it"]}, id="resized"),
    pytest.param(saved(ASKED.resize((1900, 1425)), "WEBP"), {"full": ["photos/it"]}, id="enlarged"),
    pytest.param(saved(ASKED.crop((100, 60, 500, 400))), {"partial": ["photos/it"]}, id="cut out"),
    pytest.param(saved(ASKED.rotate(20, expand=True), "JPEG"), {"partial": ["photos/it"]}, id="turned"),
    pytest.param(saved(ImageOps.expand(ASKED, 250, "white").resize((800, 686))), {"partial": ["photos/it"]}, id="on a larger ground"),
    pytest.param(saved(ImageOps.mirror(ASKED)), {"similar": ["photos/it"]}, id="mirrored"),
    pytest.param(saved(scene(2)), {}, id="another"),
]


@pytest.mark.parametrize(("stored", "expected"), CASES)
@pytest.mark.parametrize("way", ["stored", "asked"])
async def test_what_is_there_is_found(corner: Corner, stored: bytes, expected: dict[str, list[str]], way: str) -> None:
    """Copies are full matches, cuttings and pictures of the picture partial ones, mirror images similar; the same the other way round."""
    original = saved(ASKED)
    if way == "asked":
        stored, original = original, stored
    await corner.put("photos/it", stored)
    await corner.put("photos/unrelated", saved(scene(3)))
    assert finds(await corner.ask(original)) == expected


async def test_other_colours_are_no_copy(corner: Corner) -> None:
    """The same shapes in other colours resemble the picture, though its perceptual hash is the same."""
    await corner.put("photos/grey", saved(ImageOps.grayscale(ASKED)))
    found = finds(await corner.ask(saved(ASKED)))
    assert "full" not in found


async def test_plain_pictures_of_other_colours_are_not_alike(corner: Corner) -> None:
    """Pictures without any shape have one perceptual hash; only those of about one colour are copies."""
    for colour in ("red", "blue"):
        await corner.put(f"photos/{colour}", _plain(colour))
    assert finds(await corner.ask(_plain("red", (90, 20))))["full"] == ["photos/red"]


def _plain(colour: str, size: tuple[int, int] = (64, 64)) -> bytes:
    return saved(Image.new("RGB", size, colour))


async def test_the_best_come_first(corner: Corner) -> None:
    """The very bytes before copies, copies by their distance; each object is in one list only; equals by their names."""
    await corner.put("other/z.png", saved(ASKED))
    await corner.put("other/a.png", saved(ASKED))
    await corner.put("other/0.jpg", saved(ASKED, "JPEG", quality=20))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["other/a.png", "other/z.png", "other/0.jpg"]}


async def test_the_object_asked_about_is_no_find(corner: Corner) -> None:
    """A picture asked about by its gs:// URI is not told that it is there; its copies are listed, and its owner's words count."""
    await corner.put("photos/it.png", saved(ASKED), label="Red barn")
    await corner.put("other/copy.png", saved(ASKED))
    detection = await corner.ask(saved(ASKED), "gs://photos/it.png")
    assert finds(detection) == {"full": ["other/copy.png"]}
    assert [guess.label for guess in detection.best_guess_labels] == ["red barn"]


async def test_buckets_are_seen_as_they_are_now(corner: Corner) -> None:
    """What was added, replaced, removed or described anew since the last call counts at once, and nothing is read twice."""
    await corner.put("photos/one", saved(ASKED))
    await corner.put("photos/two", saved(scene(2)))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/one"]}
    assert sorted(corner.library.reads) == ["gs://photos/one", "gs://photos/two"]
    await corner.put("photos/two", saved(ASKED))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/one", "photos/two"]}
    assert len(corner.library.reads) == 3
    await (await corner.storage.bucket("photos")).delete("one")
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/two"]}
    await (await corner.storage.bucket("photos")).patch("two", lambda said: Attributes(said.content_type, metadata={"label": "Barn"}))
    detection = await corner.ask(saved(ASKED))
    assert [entity.description for entity in detection.web_entities] == ["Barn"]
    assert len(corner.library.reads) == 4


async def test_calls_at_once_share_a_listing(corner: Corner) -> None:
    """Of many calls at the same time the first lists and reads, one more lists for all that came meanwhile."""
    for number in range(6):
        await corner.put(f"photos/{number}", saved(scene(number)))
    answers = await asyncio.gather(*(corner.ask(saved(ASKED)) for _ in range(12)))
    assert [finds(answer) for answer in answers] == [{"full": ["photos/1"]}] * 12
    assert corner.library.listings <= 2
    assert len(corner.library.reads) == 6


async def test_a_call_that_is_given_up_leaves_the_others_alone(corner: Corner) -> None:
    """When the calls that were reading the buckets are cancelled, the next one goes on where they stopped."""
    for number in range(6):
        await corner.put(f"photos/{number}", saved(scene(number)))
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(corner.ask(saved(ASKED))) for _ in range(4)]
        for given_up in asking[:2]:
            corner.library.reading.clear()
            await corner.library.reading.wait()
            given_up.cancel()
    assert [task.cancelled() for task in asking] == [True, True, False, False]
    assert [finds(task.result()) for task in asking[2:]] == [{"full": ["photos/1"]}] * 2


async def test_what_is_no_picture_is_passed_over(corner: Corner) -> None:
    """Whatever an object is called and said to be, its bytes decide; what is no picture is read once, and never an error."""
    await corner.put("photos/results.json", b"{}", "application/json")
    await corner.put("photos/notes", b"hello", "text/plain")
    await corner.put("photos/broken.jpg", b"\xff\xd8nonsense", "image/jpeg")
    await corner.put("photos/cut.png", saved(ASKED)[:3000])
    await corner.put("photos/empty", b"", "application/octet-stream")
    await corner.put("photos/page.pdf", b"%PDF-1.7", "application/octet-stream")
    await corner.put("photos/it", saved(ASKED), "text/plain")
    for _ in range(2):
        assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/it"]}
    assert sorted(uri.rpartition("/")[2] for uri in corner.library.reads) == sorted(
        ("broken.jpg", "cut.png", "empty", "it", "notes", "page.pdf", "results.json")
    )


async def test_tiny_pictures_are_pictures(corner: Corner) -> None:
    """A single pixel and a strip, in a bucket or asked about, are compared as a whole, and harm nobody."""
    await corner.put("photos/dot", _plain("red", (1, 1)))
    await corner.put("photos/strip", _plain("blue", (3000, 2)))
    await corner.put("photos/it", saved(ASKED))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/it"]}
    assert finds(await corner.ask(_plain("red", (1, 1))))["full"] == ["photos/dot"]
    assert finds(await corner.ask(_plain("blue", (5, 900))))["full"] == ["photos/strip"]


async def test_an_object_may_be_too_large(corner: Corner) -> None:
    """What is larger than Vision takes cannot be a match, and is passed over."""
    await corner.put("photos/huge", saved(ASKED) + bytes(20_000_001))
    await corner.put("photos/it", saved(ASKED))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/it"]}


async def test_an_asked_picture_that_is_none_is_its_own_error(corner: Corner) -> None:
    """Broken bytes are refused as for every feature, whatever lies in the buckets."""
    with pytest.raises(VisionError, match="Bad image data"):
        await corner.ask(b"\xff\xd8nonsense")


async def test_objects_are_bounded(corner: Corner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond so many objects the rest, in the order of names, is not compared, which the log says once."""
    monkeypatch.setattr(web, "OBJECTS_MAX", 2)
    for name in ("a", "b", "c"):
        await corner.put(f"photos/{name}", saved(ASKED))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/a", "photos/b"]}
    assert caplog.text.count("those from gs://photos/c on") == 1


async def test_points_are_bounded(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the points of pictures take all the memory they may, further pictures are compared as a whole only."""
    monkeypatch.setattr(web, "POINTS_BYTES_MAX", 1)
    monkeypatch.setattr(web, "READ_AT_ONCE", 1)
    await corner.put("photos/a", saved(scene(5)))
    await corner.put("photos/b", saved(ASKED))
    assert finds(await corner.ask(saved(ASKED.crop((100, 60, 500, 400))))) == {}
    assert finds(await corner.ask(saved(scene(5).crop((100, 60, 500, 400))))) == {"partial": ["photos/a"]}
    assert finds(await corner.ask(saved(ASKED, "JPEG"))) == {"full": ["photos/b"]}


@pytest.mark.parametrize(
    ("name", "metadata", "label", "entities"),
    [
        ("IMG_0042.jpg", {}, ["img"], []),
        ("2024/red_barn-07.jpeg", {}, ["red barn"], []),
        ("12345.png", {}, [], []),
        ("x.png", {"label": "Red Barn", "mid": "/m/0barn"}, ["red barn"], [("/m/0barn", "Red Barn")]),
        ("x.png", {"description": "A barn at night"}, ["a barn at night"], [("", "A barn at night")]),
        ("红色的谷仓.png", {"label": " "}, ["红色的谷仓"], []),
    ],
)
async def test_labels_are_what_owners_say(
    corner: Corner, name: str, metadata: dict[str, str], label: list[str], entities: list[tuple[str, str]]
) -> None:
    """Entities come from metadata; the best guess from there or, failing that, from the name of the file. Nothing is made up."""
    await corner.put(f"photos/{name}", saved(ASKED), **metadata)
    detection = await corner.ask(saved(ASKED))
    assert [guess.label for guess in detection.best_guess_labels] == label
    assert [(entity.entity_id, entity.description) for entity in detection.web_entities] == entities
    assert not detection.pages_with_matching_images


async def test_similar_pictures_say_nothing_of_this_one(corner: Corner) -> None:
    """What the owner of a look-alike says is no label; an entity that several matches name is answered once, with its best score."""
    await corner.put("photos/mirrored", saved(ImageOps.mirror(ASKED)), label="Mirror")
    await corner.put("photos/part", saved(ASKED.crop((100, 60, 500, 400))), label="Barn")
    await corner.put("photos/whole", saved(ASKED), label="Barn")
    detection = await corner.ask(saved(ASKED))
    assert [(entity.description, entity.score) for entity in detection.web_entities] == [("Barn", 1)]
    assert [guess.label for guess in detection.best_guess_labels] == ["barn"]


async def test_a_folder_of_buckets(tmp_path: Path) -> None:
    """A file dropped into a served folder is found, under a URL that quotes its name; one that is edited is looked at anew."""
    (tmp_path / "photos" / "my pictures").mkdir(parents=True)
    file = tmp_path / "photos" / "my pictures" / "été #1.png"
    file.write_bytes(saved(ASKED))
    corner = Corner(DirectoryStorage(tmp_path, ManualClock()))
    with corner.threads:
        assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/my%20pictures/%C3%A9t%C3%A9%20%231.png"]}
        file.write_bytes(saved(scene(2)))
        assert finds(await corner.ask(saved(ASKED))) == {}


async def test_without_opencv_copies_are_found(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes need nothing but what is always installed; cuttings are not looked for then."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    part = Web.create(Settings(library=corner.library, table={"web": True}))
    assert part is not None
    corner.local = Local([part])
    await corner.put("photos/part", saved(ASKED.crop((100, 60, 500, 400))))
    await corner.put("photos/whole", saved(ASKED, "JPEG"))
    assert finds(await corner.ask(saved(ASKED))) == {"full": ["photos/whole"]}


@pytest.mark.parametrize("table", [{}, {"web": False}])
def test_it_is_off_unless_asked_for(table: dict[str, bool]) -> None:
    """Without the setting web detection is left to the other annotators."""
    assert Web.create(Settings(table=table)) is None


@pytest.mark.parametrize(("value", "words"), [("buckets", "web is true or false, not 'buckets'"), (True, "built-in buckets")])
def test_settings_that_cannot_be(value: object, words: str) -> None:
    """Another value than true or false is refused, and so is looking into buckets that cannot be listed."""
    with pytest.raises(SettingsError, match=words):
        Web.create(Settings(table={"web": value}))
