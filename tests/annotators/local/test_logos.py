"""Logos registered by the user are found where they are, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from registered import CORNERS, badge, edges, flag, folder_of, lettering, placed, saved, scene

from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.local import register
from vision_emulator.annotators.local.logos import Logos
from vision_emulator.contract.messages import EntityAnnotation, Feature, ImageContext

LOGOS = {"K9.png": badge(), "Flag.png": flag(), "Zephyr & Co.png": lettering("Zephyr&Co")}


def part(folder: str) -> Logos:
    made = Logos.create(Settings(table={"logos": folder}))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def logos(tmp_path_factory: pytest.TempPathFactory) -> Logos:
    return part(folder_of(tmp_path_factory.mktemp("registered") / "logos", LOGOS, logos="name,mid\nK9,/m/0k9\n"))


def found(logos: Logos, image: Image.Image, **options: Any) -> list[EntityAnnotation]:
    data = saved(image, "JPEG", quality=85, **options)
    return list(logos.look(Picture(data), [Feature(type=Feature.LOGO_DETECTION)], ImageContext()).logo_annotations)


@pytest.mark.parametrize(
    ("name", "at", "scale", "angle"),
    [
        ("K9", (100, 60), 1.0, 0),
        ("K9", (300, 200), 0.4, 0),
        ("K9", (150, 30), 0.8, 25),
        ("K9", (20, 20), 1.2, 180),
        ("Zephyr & Co", (100, 200), 0.9, 0),
        ("Zephyr & Co", (60, 20), 0.7, -40),
        ("Zephyr & Co", (300, 300), 0.5, 90),
        ("Flag", (200, 100), 1.0, 0),
        ("Flag", (400, 250), 0.5, 0),
    ],
)
def test_a_logo_is_found(logos: Logos, name: str, at: tuple[int, int], scale: float, angle: float) -> None:
    """On a busy ground, small, turned or flat: it alone is answered, its polygon around it to a few pixels."""
    logo = LOGOS[f"{name}.png"]
    blank = Image.new("RGBA", (640, 480))
    across = placed(blank, logo, at, scale, angle).getbbox()
    assert across is not None
    (annotation,) = found(logos, placed(scene(4), logo, at, scale, angle))
    assert annotation.description == name
    assert annotation.mid == ("/m/0k9" if name == "K9" else "")
    assert 0.5 <= annotation.score < 1
    tolerance = 12 if name == "Flag" else 6
    assert edges(annotation.bounding_poly.vertices) == pytest.approx(dict(zip(CORNERS, across, strict=True)), abs=tolerance)


@pytest.mark.parametrize("logo", [badge(), flag()], ids=["detailed", "flat"])
def test_a_large_photograph(tmp_path: Path, logo: Image.Image) -> None:
    """Photographs are looked at in a smaller size, and places are answered in their own."""
    (annotation,) = found(part(folder_of(tmp_path, {"It.png": logo})), placed(scene(4, (2400, 1800)), logo, (1000, 600), 3))
    expected = dict(zip(CORNERS, (1000, 600, 1000 + 3 * logo.width, 600 + 3 * logo.height), strict=True))
    assert edges(annotation.bounding_poly.vertices) == pytest.approx(expected, abs=40)


def test_a_polygon_begins_at_the_logos_own_corner(logos: Logos) -> None:
    """The first vertex is the logo's top left, wherever that is turned to, and the others follow clockwise as it is read."""
    (annotation,) = found(logos, placed(scene(4), badge(), (100, 100), angle=180))
    first, second, third, _ = annotation.bounding_poly.vertices
    assert (first.x, first.y) == pytest.approx((356, 356), abs=6)
    assert (second.x, second.y) == pytest.approx((100, 356), abs=6)
    assert (third.x, third.y) == pytest.approx((100, 100), abs=6)


def test_every_logo_that_is_there(logos: Logos) -> None:
    """Different logos, and one logo twice, are answered each with its place, the surest first."""
    image = placed(placed(placed(scene(5), badge(), (10, 10), 0.8), badge(), (330, 20), 0.9, 30), lettering("Zephyr&Co"), (100, 330), 0.9)
    annotations = found(logos, image)
    assert sorted(annotation.description for annotation in annotations) == ["K9", "K9", "Zephyr & Co"]
    assert [one.score for one in annotations] == sorted((one.score for one in annotations), reverse=True)
    lefts = [edges(one.bounding_poly.vertices)["left"] for one in annotations if one.description == "K9"]
    assert max(lefts) - min(lefts) > 250


def test_a_logo_cut_off_by_the_edge(logos: Logos) -> None:
    """What is seen of it is enough, and its polygon stays inside the picture."""
    (annotation,) = found(logos, placed(scene(6), badge(), (-80, 300)))
    assert annotation.description == "K9"
    for vertex in annotation.bounding_poly.vertices:
        assert 0 <= vertex.x < 640
        assert 0 <= vertex.y < 480


@pytest.mark.parametrize("number", range(20, 32))
def test_where_no_logo_is_none_is_found(logos: Logos, number: int) -> None:
    """Busy pictures without a registered logo: nothing, not even something uncertain."""
    assert found(logos, scene(number)) == []


def test_what_only_resembles_a_logo_is_none(logos: Logos) -> None:
    """Another word in the same frame and type, a shape of the flag without the other, a page of text, plain pictures: nothing."""
    page = Image.new("RGB", (640, 480), "white")
    for line in range(11):
        ImageDraw.Draw(page).text((20, 10 + line * 42), "Zap Kay Nine 99 and Co", "black", ImageFont.load_default(30))
    triangle = Image.new("RGB", (600, 600), "white")
    ImageDraw.Draw(triangle).polygon([(300, 50), (550, 550), (50, 550)], fill="green")
    plain = [Image.new("RGB", size, "white") for size in ((1, 1), (640, 480), (2000, 2), (2, 700))]
    for image in (placed(scene(7), lettering("Nova Ltd"), (50, 50)), page, triangle, *plain):
        assert found(logos, image) == []


def test_a_mirrored_logo_is_no_logo(logos: Logos) -> None:
    """A logo read from behind is not it."""
    backwards = LOGOS["Zephyr & Co.png"].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert found(logos, placed(scene(8), backwards, (100, 100))) == []


def test_several_images_of_one_logo(tmp_path: Path) -> None:
    """Images in a folder of the logo's name all show it; a place is answered once, by whichever image fits."""
    logos = part(folder_of(tmp_path, {"K9/1.png": badge(), "K9/large.jpg": saved(badge().resize((400, 400)), "JPEG"), "K9/2.png": flag()}))
    (annotation,) = found(logos, placed(scene(4), badge(), (100, 60)))
    assert annotation.description == "K9"
    (annotation,) = found(logos, placed(scene(4), flag(), (100, 60)))
    assert annotation.description == "K9"


def test_without_the_setting_there_is_no_such_part() -> None:
    """Nobody asked for logos, so nothing is imported and nothing claimed."""
    assert Logos.create(Settings()) is None


def test_opencv_is_named_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logos were asked for and cannot be found without OpenCV: that is said at start, with what to install."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SettingsError, match=r"logos needs OpenCV: pip install 'vision-emulator\[cv\]'"):
        Logos.create(Settings(table={"logos": folder_of(tmp_path, LOGOS)}))


FILES: dict[str, Image.Image | bytes] = {"K9.png": badge()}


@pytest.mark.parametrize(
    ("files", "table", "words"),
    [
        pytest.param({}, None, "nothing is registered here; put in images, as Name.png", id="empty folder"),
        pytest.param({"notes.txt": b"hello"}, None, "nothing is registered here", id="no images"),
        pytest.param({"K9.png": b"\x89PNG nonsense"}, None, r"K9\.png: Bad image data", id="no image"),
        pytest.param({"K9.jpg": saved(badge(), "JPEG")[:2000]}, None, r"K9\.jpg: Bad image data", id="cut off"),
        pytest.param({"K9.png": Image.new("RGB", (90, 60), "red")}, None, "nothing is to be seen on this image", id="plain"),
        pytest.param({"K9.png": Image.new("1", (9000, 9000))}, None, r"K9\.png: .*pixels", id="too many pixels"),
        pytest.param({"K9.png": b"\x89PNG" + bytes(20_000_001)}, None, r"K9\.png: more than 20000000 bytes", id="too many bytes"),
        pytest.param(FILES, "", r"logos\.csv:1: no column name; the columns are name, mid", id="empty table"),
        pytest.param(FILES, "name,colour\nK9,red\n", r"logos\.csv:1: unknown column 'colour'", id="unknown column"),
        pytest.param(FILES, "name,name\nK9,K9\n", r"logos\.csv:1: two columns 'name'", id="column twice"),
        pytest.param(FILES, "name,mid\nK9\n", r"logos\.csv:2: 1 cells under 2 headings", id="too few cells"),
        pytest.param(FILES, "name,mid\n\nK9,/m/1\nK9,/m/2\n", r"logos\.csv:4: K9 has a row already", id="name twice"),
        pytest.param(FILES, "name,mid\n,/m/1\n", r"logos\.csv:2: the row has no name", id="no name"),
        pytest.param(FILES, "name,mid\nK8,/m/1\n", r"logos\.csv:2: there is no image of K8; put in K8\.png", id="row without image"),
        pytest.param(FILES, 'name,mid\n"K9,/m/1\n', r"logos\.csv:\d: no CSV: ", id="quote left open"),
    ],
)
def test_what_cannot_be_registered_is_said(tmp_path: Path, files: dict[str, Any], table: str | None, words: str) -> None:
    """Every fault is found at start, and its text names the file, in a table the line, and the reason."""
    folder = folder_of(tmp_path / "logos", files, **({} if table is None else {"logos": table}))
    with pytest.raises(SettingsError, match=words):
        part(folder)


@pytest.mark.parametrize("value", [7, "", True, "no-such-folder", ["a", "b"]])
def test_a_folder_must_be_named(value: object) -> None:
    """What names no folder is refused, with the setting's name and the value."""
    with pytest.raises(SettingsError, match="logos"):
        Logos.create(Settings(table={"logos": value}))


def test_a_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More images than can be looked for in reasonable time are refused."""
    monkeypatch.setattr(register, "IMAGES_MAX", 2)
    with pytest.raises(SettingsError, match="more than 2 images"):
        part(folder_of(tmp_path, LOGOS))
