"""Landmarks registered by the user are known by position and by sight."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from registered import edges, folder_of, saved, scene, taken_at

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.local import landmarks
from vision_emulator.annotators.local.landmarks import Landmarks, Place, metres
from vision_emulator.contract.messages import EntityAnnotation, Feature, ImageContext

TABLE = """\
name,mid,latitude,longitude,radius
Eiffel Tower,/m/02j81,48.8582,2.2945,300
"Champ de Mars, Paris",,48.8556,2.2986,800
Sydney Opera House,/m/06_nm,-33.8568,151.2153,250
Christ the Redeemer,/m/017w2y,-22.9519,-43.2105,
"""


def part(source: object) -> Landmarks:
    made = Landmarks.create(Settings(table={"landmarks": source}))
    assert made is not None
    return made


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "places.csv"
    file.write_text(TABLE)
    return str(file)


def found(known: Landmarks, data: bytes) -> list[EntityAnnotation]:
    return list(known.look(Picture(data), [Feature(type=Feature.LANDMARK_DETECTION)], ImageContext()).landmark_annotations)


@pytest.mark.parametrize(
    ("at", "name", "mid"),
    [
        ((48.8590, 2.2930), "Eiffel Tower", "/m/02j81"),
        ((-33.8570, 151.2150), "Sydney Opera House", "/m/06_nm"),
        ((-22.9540, -43.2100), "Christ the Redeemer", "/m/017w2y"),
    ],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_where_a_picture_was_taken_says_what_is_near(table: str, at: tuple[float, float], name: str, mid: str, image_format: str) -> None:
    """North or south, east or west, in each format that has EXIF: the nearest first, with its place; the box is the whole picture."""
    first, *_ = found(part(table), taken_at(*at, image_format))
    assert (first.description, first.mid) == (name, mid)
    assert 0.5 < first.score < 1
    (location,) = first.locations
    assert (location.lat_lng.latitude, location.lat_lng.longitude) == pytest.approx(at, abs=0.01)
    assert edges(first.bounding_poly.vertices) == {"left": 0, "top": 0, "right": 319, "bottom": 239}


def test_the_nearer_the_surer(table: str) -> None:
    """At a landmark its score is 1, at the end of its radius a half, beyond there is none; those whose circles overlap are all answered."""
    known = part(table)
    (nearest, other) = found(known, taken_at(48.8582, 2.2945))
    assert (nearest.description, nearest.score) == ("Eiffel Tower", pytest.approx(1, abs=0.01))
    assert other.description == "Champ de Mars, Paris"
    (rim, *_) = sorted(found(known, taken_at(48.8582 + 299 / 111_195, 2.2945)), key=lambda one: one.description != "Eiffel Tower")
    assert rim.score == pytest.approx(0.5, abs=0.02)
    assert [one.description for one in found(known, taken_at(48.8582 + 310 / 111_195, 2.2945))] == ["Champ de Mars, Paris"]
    assert found(known, taken_at(40.6892, -74.0445)) == []


def test_the_distance_along_the_globe() -> None:
    """Distances as a globe has them: a degree of longitude shrinks with the latitude, and the date line is no gap."""
    assert metres(Place(0, 0), Place(0, 1)) == pytest.approx(111_195, rel=0.001)
    assert metres(Place(60, 0), Place(60, 1)) == pytest.approx(55_597, rel=0.001)
    assert metres(Place(0, 179.5), Place(0, -179.5)) == pytest.approx(111_195, rel=0.001)
    assert metres(Place(48.8584, 2.2945), Place(51.5007, -0.1246)) == pytest.approx(340_000, rel=0.01)


def with_position(**tags: Any) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({int(tag.removeprefix("t")): value for tag, value in tags.items()})
    return saved(scene(1, (320, 240)), "JPEG", exif=exif)


def divided_by_zero() -> bytes:
    data = with_position(t1="N", t2=(48.0, 0.0, 0.0), t3="E", t4=(10.0, 0.0, 0.0))
    angle = next(struct.pack(order, 48, 1) for order in ("<2L", ">2L") if struct.pack(order, 48, 1) in data)
    return data.replace(angle, angle.replace(b"\1", b"\0"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(saved(scene(1)), id="no exif"),
        pytest.param(with_position(t1="N"), id="half a position"),
        pytest.param(with_position(t1="N", t2=(200.0, 0.0, 0.0), t3="E", t4=(10.0, 0.0, 0.0)), id="off the globe"),
        pytest.param(divided_by_zero(), id="divided by zero"),
        pytest.param(saved(scene(1), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), id="broken exif"),
    ],
)
def test_without_a_position_there_is_no_landmark(table: str, data: bytes) -> None:
    """No EXIF, or one that names no place, is no error of the picture: nothing is found."""
    assert found(part(table), data) == []


def test_a_registered_image_is_recognized(tmp_path: Path) -> None:
    """A photograph of what an image shows, from nearer and turned a little: it is found, with its row's place and where it is in view."""
    tower = scene(50)
    folder = folder_of(
        tmp_path, {"Tower.jpg": saved(tower, "JPEG"), "Gate/1.png": scene(51)}, landmarks="name,latitude,longitude\nTower,1,2\n"
    )
    known = part(folder)
    ground = Image.new("RGB", (900, 700), (90, 120, 160))
    ground.paste(tower.resize((512, 384)).rotate(4, expand=True), (200, 150))
    (annotation,) = found(known, saved(ground, "JPEG"))
    assert annotation.description == "Tower"
    (location,) = annotation.locations
    assert (location.lat_lng.latitude, location.lat_lng.longitude) == (1, 2)
    assert edges(annotation.bounding_poly.vertices) == pytest.approx({"left": 200, "top": 150, "right": 738, "bottom": 569}, abs=8)
    (annotation,) = found(known, saved(scene(51).crop((100, 80, 560, 420))))
    assert annotation.description == "Gate"
    assert not annotation.locations
    assert found(known, saved(scene(52))) == []


def test_a_landmark_is_answered_once(tmp_path: Path) -> None:
    """Seen and stood beside: one answer, the surer of both."""
    known = part(folder_of(tmp_path, {"Tower.png": scene(1, (320, 240))}, landmarks="name,latitude,longitude\nTower,10,20\n"))
    (annotation,) = found(known, taken_at(10, 20))
    assert annotation.score == pytest.approx(1, abs=0.01)


def test_positions_need_no_opencv(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table works without OpenCV; images do not, which is said at start with what to install."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert found(part(table), taken_at(48.8582, 2.2945))
    with pytest.raises(SettingsError, match=r"landmarks by their images needs OpenCV: pip install 'vision-emulator\[cv\]'"):
        part(folder_of(tmp_path / "images", {"Tower.png": scene(1)}))


def test_without_the_setting_there_is_no_such_part() -> None:
    """Nobody registered landmarks, so nothing is claimed."""
    assert Landmarks.create(Settings()) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"places\.csv:1: no column name"),
        ("name,lat,lng\n", r"places\.csv:1: unknown column 'lat'; the columns are name, mid, latitude, longitude, radius"),
        ("name,latitude,longitude\nA,north,2\n", r"places\.csv:2: latitude is a number such as 48\.8582, not 'north'"),
        ("name,latitude,longitude\nA,1,\n", r"places\.csv:2: A needs a latitude and a longitude, or neither"),
        ("name,latitude,longitude\nA,1,2\nB,91,2\n", r"places\.csv:3: 91, 2 is no place"),
        ("name,latitude,longitude\nA,nan,2\n", r"places\.csv:2: nan, 2 is no place"),
        ("name,latitude,longitude,radius\nA,1,2,-5\n", r"places\.csv:2: radius -5 is none"),
        ("name,latitude,longitude,radius\nA,1,2,inf\n", r"places\.csv:2: radius inf is none"),
        ("name,latitude,longitude\nChamp de Mars, Paris,1,2\n", r"places\.csv:2: 4 cells under 3 headings; quote a cell"),
        ("name,mid\nA,/m/1\n", r"places\.csv:2: A has neither a place nor an image"),
        ("name,latitude,longitude\n", "nothing is registered here"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    """Each fault is said at start with file and line."""
    file = tmp_path / "places.csv"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        part(str(file))


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """No such file, a table that is no text, an image that shows nothing: each said with its path."""
    (tmp_path / "binary.csv").write_bytes(b"name\n\xff\xfe\n")
    plain = folder_of(tmp_path / "plain", {"Fog.png": Image.new("RGB", (300, 200), "grey")})
    for source, words in (
        ("nowhere.csv", "nowhere.csv: no such"),
        (str(tmp_path / "binary.csv"), "binary.csv: cannot be read"),
        (plain, "Fog"),
    ):
        with pytest.raises(SettingsError, match=words):
            part(source)


def test_of_a_large_table_only_the_near(tmp_path: Path) -> None:
    """Among thousands of rows the one whose surroundings these are, at the radius that holds where a row names none."""
    rows = "".join(f"Stone {number},{number % 170 - 85}.5,{number % 360 - 180}\n" for number in range(5000))
    file = tmp_path / "stones.csv"
    file.write_text("name,latitude,longitude\n" + rows)
    (annotation,) = found(part(str(file)), taken_at(-84.5, -179))
    assert annotation.description == "Stone 1"
    assert landmarks.RADIUS_DEFAULT == 500
