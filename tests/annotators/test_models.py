"""Models of the user's own: run as their cards say, and refused at the start where a card is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from PIL import Image
from tiny_models import classifier, constant, square_finder

from broken import BAD, ODD
from vision_emulator.annotators import Picture, Settings, SettingsError
from vision_emulator.annotators.local import Local
from vision_emulator.annotators.local.cards import Card
from vision_emulator.annotators.local.cards import labels as labels_of
from vision_emulator.annotators.local.models import ModelFailed, Models, distinct
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext, Likelihood

COLORS = ["red", "green", "blue"]
ALL = 'features = ["LOGO_DETECTION", "LABEL_DETECTION", "OBJECT_LOCALIZATION"]'  # of a detector


def card(folder: Path, text: str, name: str = "card.toml") -> str:
    """A card in a folder, as the setting names it."""
    (folder / name).write_text(text)
    return str(folder / name)


def classification(folder: Path, more: str = "", **given: Any) -> str:
    """A card of a model that tells red, green and blue."""
    classifier(folder / "colors.onnx", **given)
    return card(folder, f'task = "classification"\nmodel = "colors.onnx"\nlabels = {json.dumps(COLORS)}\n{more}')


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def plain(color: Any, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, color)


def loaded(*places: str) -> Models:
    part = Models.create(Settings(table={"models": list(places)}))
    assert part is not None
    return part


def look(part: Models, image: Image.Image, kind: int = Feature.LABEL_DETECTION, most: int = 0) -> AnnotateImageResponse:
    return part.look(Picture(png(image)), [Feature(type=kind, max_results=most)], ImageContext())


def labels(part: Models, image: Image.Image, most: int = 0) -> dict[str, float]:
    """Descriptions and scores in their order."""
    return {entry.description: entry.score for entry in look(part, image, most=most).label_annotations}


# ---- classification ----


def test_a_classifier_names_what_it_sees(tmp_path: Path) -> None:
    """The label of the largest number comes first; a softmax makes the scores; what is below the least score is not said."""
    part = loaded(classification(tmp_path))
    assert labels(part, plain("blue")) == {"blue": pytest.approx(1, abs=1e-3)}
    found = labels(part, plain((255, 225, 0)))
    assert list(found) == ["red", "green"]
    odds = np.exp(10 * (1 - 225 / 255))
    assert found["red"] / found["green"] == pytest.approx(odds, rel=1e-3)


def test_least_scores_and_numbers_of_results(tmp_path: Path) -> None:
    """``score_min`` cuts by score, maxResults by number."""
    part = loaded(classification(tmp_path, "score_min = 0\n"))
    assert list(labels(part, plain((255, 225, 0)))) == ["red", "green", "blue"]
    assert list(labels(part, plain((255, 225, 0)), most=2)) == ["red", "green"]
    assert labels(loaded(classification(tmp_path, "score_min = 1.0\n")), plain("gray")) == {}


@pytest.mark.parametrize(("how", "scores"), [("plain", [1, 0.5, 0]), ("sigmoid", [0.731, 0.622, 0.5])])
def test_other_ways_to_scores(tmp_path: Path, how: str, scores: Sequence[float]) -> None:
    """Numbers that are scores already are taken as they are; a sigmoid scores each label for itself."""
    part = loaded(classification(tmp_path, f'score_min = 0\n[output]\nscores = "{how}"\n', gain=1.0))
    assert list(labels(part, plain((255, 127, 0))).values()) == pytest.approx(scores, abs=2e-3)


@pytest.mark.parametrize(
    ("layout", "kind", "scale"),
    [
        ("NCHW", TensorProto.FLOAT, 1.0),
        ("NHWC", TensorProto.FLOAT, 1.0),
        ("NHWC", TensorProto.UINT8, 1 / 255),
        ("NCHW", TensorProto.FLOAT16, 1.0),
    ],
)
def test_layouts_and_kinds_of_numbers(tmp_path: Path, layout: str, kind: int, scale: float) -> None:
    """Channels first or last, floats of two lengths or bytes: read off the model."""
    part = loaded(classification(tmp_path, layout=layout, kind=kind, gain=10 * scale))
    assert list(labels(part, plain("lime"))) == ["green"]


def test_channels_mean_and_scale(tmp_path: Path) -> None:
    """BGR swaps; mean and std are applied to the scaled pixels, channel by channel."""
    assert list(labels(loaded(classification(tmp_path, '[input]\nchannels = "BGR"\n')), plain("red"))) == ["blue"]
    shifted = "score_min = 0\n[input]\nscale = 1\nmean = [255, 0, 0]\nstd = [1, 255, 51]\n"
    found = labels(loaded(classification(tmp_path, shifted + '[output]\nscores = "plain"\n', gain=0.1)), plain((255, 255, 255)))
    assert found == {"blue": pytest.approx(0.5), "green": pytest.approx(0.1), "red": 0}


def halves() -> Image.Image:
    """Wide: red at both ends, blue in the middle half."""
    image = plain("red", (400, 100))
    image.paste((0, 0, 255), (150, 0, 250, 100))
    return image


@pytest.mark.parametrize(
    ("resize", "red", "blue"), [('"stretch"', 0.75, 0.25), ('"crop"', 0, 1), ('"letterbox"\nfill = 0', 0.1875, 0.0625)]
)
def test_how_a_picture_is_fitted(tmp_path: Path, resize: str, red: float, blue: float) -> None:
    """Stretched, cut to its middle, or laid whole on a ground."""
    more = f'score_min = 0\n[input]\nresize = {resize}\n[output]\nscores = "plain"\n'
    found = labels(loaded(classification(tmp_path, more, gain=1.0, size=(32, 32))), halves())
    assert (found["red"], found["blue"]) == pytest.approx((red, blue), abs=0.03)


def test_a_crop_can_keep_less(tmp_path: Path) -> None:
    """``keep`` is the share of the shorter side that a crop shows."""
    image = plain("red", (100, 100))
    image.paste((0, 0, 255), (20, 20, 80, 80))
    whole, kept = (
        labels(loaded(classification(tmp_path, f'score_min = 0\n[input]\nresize = "crop"\nkeep = {keep}\n', gain=1.0)), image)["blue"]
        for keep in (1.0, 0.5)
    )
    assert kept > whole


def test_labels_and_mids_from_files(tmp_path: Path) -> None:
    """One a line, in the order of the classes."""
    classifier(tmp_path / "colors.onnx")
    (tmp_path / "labels.txt").write_text("rouge\nvert\nbleu\n")
    (tmp_path / "mids.txt").write_text("/m/06fvc\n/m/038hg\n/m/01g5v\n")
    place = card(tmp_path, 'task = "classification"\nmodel = "colors.onnx"\nlabels = "labels.txt"\nmids = "mids.txt"\n')
    (entry,) = look(loaded(place), plain("blue")).label_annotations
    assert (entry.description, entry.mid) == ("bleu", "/m/01g5v")
    assert entry.topicality == 0  # nobody measured it


@pytest.mark.parametrize(
    "metadata",
    [
        {"names": "{0: 'red', 1: 'green', 2: 'blue'}"},
        {"names": '{"2": "blue", "0": "red", "1": "green"}'},
        {"labels": '["red", "green", "blue"]'},
        {"classes": "red, green, blue"},
        {"classes": "red\ngreen\nblue"},
    ],
)
def test_labels_from_the_models_metadata(tmp_path: Path, metadata: dict[str, str]) -> None:
    """Where the card names none, as exporters write them."""
    classifier(tmp_path / "colors.onnx", metadata=metadata)
    part = loaded(card(tmp_path, 'task = "classification"\nmodel = "colors.onnx"\nmids = {green = "/m/038hg"}\n'))
    (entry,) = look(part, plain("lime")).label_annotations
    assert (entry.description, entry.mid) == ("green", "/m/038hg")


def test_labels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Of numbers, not of the texts that keys are in JSON; names that have no numbers are no labels."""
    names = {str(number): f"label {number}" for number in range(12)}
    described = Card("classification", "a.onnx")
    assert labels_of(tmp_path / "card.toml", described, {"names": json.dumps(names)}) == tuple(names.values())
    with pytest.raises(SettingsError, match="labels: there are 0"):
        labels_of(tmp_path / "card.toml", described, {"names": '{"cat": 0}'})


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
def test_odd_pictures_are_fitted(tmp_path: Path, kind: str, resize: str) -> None:
    """Whatever the size and mode, down to one pixel."""
    data, size = ODD[kind]()
    part = loaded(detection(tmp_path, f'score_min = 0\n[input]\nresize = "{resize}"\nkeep = 0.5\n', features=ALL))
    wanted = [Feature(type=number) for number in (Feature.LOGO_DETECTION, Feature.OBJECT_LOCALIZATION)]
    response = part.look(Picture(data), wanted, ImageContext())
    for entry in response.logo_annotations:
        first, _, third, _ = entry.bounding_poly.vertices
        assert 0 <= first.x <= third.x < size[0]
        assert 0 <= first.y <= third.y < size[1]
    for found in response.localized_object_annotations:
        assert all(0 <= corner.x <= 1 and 0 <= corner.y <= 1 for corner in found.bounding_poly.normalized_vertices)


@pytest.mark.parametrize("kind", BAD)
def test_a_broken_picture_is_its_own_error(tmp_path: Path, kind: str) -> None:
    """Bytes that are no picture are refused as the service refuses them."""
    part = loaded(classification(tmp_path))
    with pytest.raises(VisionError):
        part.look(Picture(BAD[kind]()), [Feature(type=Feature.LABEL_DETECTION)], ImageContext())


# ---- detection ----


def detection(folder: Path, more: str = "", form: str = "yolov8", features: str = "") -> str:
    square_finder(folder / "squares.onnx", form)
    text = f'task = "detection"\nmodel = "squares.onnx"\nlabels = ["Red", "Blue"]\nmids = {{Red = "/m/06fvc"}}\n{features}\n{more}'
    return card(folder, f'{text}\n[output]\nform = "{form}"\n')


def squares() -> Image.Image:
    """640 x 640: a red square and a blue one, each of 160 pixels."""
    image = plain("black", (640, 640))
    image.paste((255, 0, 0), (160, 0, 320, 160))
    image.paste((0, 0, 230), (480, 320, 640, 480))
    return image


def places(response: AnnotateImageResponse) -> dict[str, list[float]]:
    """Left, top, right and bottom of each object."""
    found = {}
    for entry in response.localized_object_annotations:
        first, _, third, _ = entry.bounding_poly.normalized_vertices
        found[entry.name] = [first.x, first.y, third.x, third.y]
    return found


@pytest.mark.parametrize("form", ["yolov8", "yolov5"])
def test_a_detector_finds_what_is_where(tmp_path: Path, form: str) -> None:
    """Boxes in shares of the picture, the surest first, with mids where there are some."""
    response = look(loaded(detection(tmp_path, form=form)), squares(), Feature.OBJECT_LOCALIZATION)
    assert places(response) == {"Red": pytest.approx([0.25, 0, 0.5, 0.25]), "Blue": pytest.approx([0.75, 0.5, 1, 0.75])}
    red, blue = response.localized_object_annotations
    assert (red.mid, blue.mid) == ("/m/06fvc", "")
    certain = 0.9 if form == "yolov5" else 1.0  # the older form has a score of its own for each box
    assert (red.score, blue.score) == pytest.approx((certain, certain * 230 / 255), abs=0.03)


@pytest.mark.parametrize(("size", "corner"), [((1280, 640), (640, 320)), ((640, 1280), (0, 640))])
def test_boxes_come_back_through_a_letterbox(tmp_path: Path, size: tuple[int, int], corner: tuple[int, int]) -> None:
    """Whatever the picture's proportions, a box lies on its thing and not on the bars."""
    image = plain("black", size)
    image.paste((255, 0, 0), (corner[0], corner[1], corner[0] + 320, corner[1] + 320))
    part = loaded(detection(tmp_path, '[input]\nresize = "letterbox"\n'))
    response = look(part, image, Feature.OBJECT_LOCALIZATION)
    for entry in response.localized_object_annotations:
        first, _, third, _ = entry.bounding_poly.normalized_vertices
        assert corner[0] / size[0] - 1e-6 <= first.x < third.x <= (corner[0] + 320) / size[0] + 1e-6
        assert corner[1] / size[1] - 1e-6 <= first.y < third.y <= (corner[1] + 320) / size[1] + 1e-6
    assert response.localized_object_annotations


def test_boxes_come_back_through_a_crop(tmp_path: Path) -> None:
    """What a crop shows is found at its place in the whole picture."""
    image = plain("black", (1280, 640))
    image.paste((255, 0, 0), (480, 0, 640, 160))
    part = loaded(detection(tmp_path, '[input]\nresize = "crop"\n'))
    assert places(look(part, image, Feature.OBJECT_LOCALIZATION)) == {"Red": pytest.approx([480 / 1280, 0, 0.5, 0.25])}


def test_a_detector_can_answer_labels_and_logos(tmp_path: Path) -> None:
    """The same run answers each feature of the card in its own shape; a label is said once."""
    part = loaded(detection(tmp_path, features=ALL))
    image = squares()
    image.paste((200, 0, 0), (0, 480, 160, 640))
    wanted = [Feature(type=kind) for kind in (Feature.LOGO_DETECTION, Feature.LABEL_DETECTION, Feature.OBJECT_LOCALIZATION)]
    response = part.look(Picture(png(image)), wanted, ImageContext())
    assert [label.description for label in response.label_annotations] == ["Red", "Blue"]
    assert [logo.description for logo in response.logo_annotations] == ["Red", "Blue", "Red"]
    first, _, third, _ = response.logo_annotations[0].bounding_poly.vertices
    assert (first.x, first.y, third.x, third.y) == (160, 0, 320, 160)
    assert len(response.localized_object_annotations) == 3


BOXES = {  # two of one thing, one that is nowhere, one of another class over the first, one without a size
    "boxes": [[[0.1, 0.2, 0.5, 0.6], [0.12, 0.2, 0.5, 0.6], [2, 2, 3, 3], [0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.3, 0.3]]],
    "scores": [[0.9, 0.8, 0.95, 0.7, 0.99]],
    "classes": [[1, 1, 1, 2, 1]],
}


@pytest.mark.parametrize(
    ("order", "place"), [("xyxy", [0.1, 0.2, 0.5, 0.6]), ("yxyx", [0.2, 0.1, 0.6, 0.5]), ("cxcywh", [0, 0, 0.35, 0.5])]
)
def test_boxes_scores_and_classes(tmp_path: Path, order: str, place: Sequence[float]) -> None:
    """Three outputs, told by their names; overlapping boxes of one class are one, those of two classes are two."""
    constant(tmp_path / "boxes.onnx", BOXES)
    output = f'[output]\nform = "boxes"\norder = "{order}"\nfirst_label = 1\n'
    part = loaded(card(tmp_path, f'task = "detection"\nmodel = "boxes.onnx"\nlabels = ["one", "two"]\noverlap_max = 0.3\n{output}'))
    response = look(part, plain("gray"), Feature.OBJECT_LOCALIZATION)
    found = {entry.name: entry.score for entry in response.localized_object_annotations if entry.score not in (0.95, 0.99)}
    assert found["two"] == pytest.approx(0.7)
    assert places(response)["two"] == pytest.approx(place)
    if order == "xyxy":
        assert [entry.score for entry in response.localized_object_annotations] == pytest.approx([0.9, 0.7])


def test_boxes_in_pixels_of_the_input(tmp_path: Path) -> None:
    """The unit of a box's numbers is the card's to say; outputs can be named where their names say nothing."""
    constant(tmp_path / "boxes.onnx", {"a": [0.9], "b": [[16, 32, 32, 64]], "c": [0]})
    output = '[output]\nform = "boxes"\nunit = "pixel"\nnames = ["b", "a", "c"]\n'
    part = loaded(card(tmp_path, f'task = "detection"\nmodel = "boxes.onnx"\nlabels = ["one"]\n{output}'))
    assert places(look(part, plain("gray"), Feature.OBJECT_LOCALIZATION)) == {"one": pytest.approx([0.25, 0.5, 0.5, 1])}


def test_distinct_boxes() -> None:
    """Of boxes of one class that overlap by more than the bound the surest remains; a chain is not followed."""
    boxes = np.array([[0, 0, 4, 4], [1, 0, 5, 4], [2, 0, 6, 4], [0, 0, 4, 4]], np.float32)
    assert distinct(boxes, np.array([0, 0, 0, 1]), 0.5) == [0, 2, 3]
    assert distinct(boxes, np.array([0, 0, 0, 0]), 1.0) == [0, 1, 2, 3]
    assert distinct(boxes[:0], np.array([], np.int64), 0.5) == []


# ---- CLIP and safe search ----


def clip(folder: Path, texts: Any, more: str = "") -> str:
    classifier(folder / "image.onnx", gain=1.0)
    np.save(folder / "texts.npy", np.asarray(texts))
    text = 'task = "clip"\nmodel = "image.onnx"\nembeddings = "texts.npy"\nlabels = ["warm", "cold"]\n'
    return card(folder, text + more)


def test_clip_compares_with_texts(tmp_path: Path) -> None:
    """The label whose text lies nearest comes first, by a softmax over scaled likeness; lengths do not matter."""
    part = loaded(clip(tmp_path, [[3.0, 1.0, 0.0], [0.0, 0.0, 0.1]], "score_min = 0\nlogit_scale = 10\n"))
    assert list(labels(part, plain("red"))) == ["warm", "cold"]
    found = labels(part, plain((0, 0, 60)))
    assert list(found) == ["cold", "warm"]
    assert found["cold"] == pytest.approx(1 / (1 + np.exp(-10)), abs=1e-4)


def test_clip_with_a_sigmoid(tmp_path: Path) -> None:
    """Models that were trained so score each text for itself."""
    part = loaded(clip(tmp_path, np.eye(3)[:2], 'score_min = 0\nlogit_scale = 2\nlogit_bias = -1\n[output]\nscores = "sigmoid"\n'))
    assert labels(part, plain("red")) == {"warm": pytest.approx(0.731, abs=1e-3), "cold": pytest.approx(0.269, abs=1e-3)}


@pytest.mark.parametrize(("color", "adult"), [("red", Likelihood.VERY_LIKELY), ("lime", Likelihood.VERY_UNLIKELY)])
def test_safe_search_says_what_the_card_maps(tmp_path: Path, color: str, adult: int) -> None:
    """Scores of labels add up to a field's likelihood; fields that no label makes up are UNKNOWN, never guessed."""
    classifier(tmp_path / "colors.onnx")
    text = f'task = "safe_search"\nmodel = "colors.onnx"\nlabels = {json.dumps(COLORS)}\n[safe_search]\nadult = ["red", "blue"]\n'
    part = loaded(card(tmp_path, text))
    answer = look(part, plain(color), Feature.SAFE_SEARCH_DETECTION).safe_search_annotation
    assert answer.adult == adult
    assert (answer.spoof, answer.medical, answer.violence, answer.racy) == (Likelihood.UNKNOWN,) * 4


@pytest.mark.parametrize(("red", "said"), [(0, 1), (30, 2), (80, 3), (160, 4), (220, 5)])
def test_bounds_of_likelihoods(tmp_path: Path, red: int, said: int) -> None:
    """Four bounds make five likelihoods."""
    classifier(tmp_path / "colors.onnx", gain=1.0)
    text = 'task = "safe_search"\nmodel = "colors.onnx"\nlabels = ["red", "green", "blue"]\nlikelihoods = [0.1, 0.3, 0.6, 0.8]\n'
    part = loaded(card(tmp_path, f'{text}[safe_search]\nracy = ["red"]\n[output]\nscores = "plain"\n'))
    assert look(part, plain((red, 0, 0)), Feature.SAFE_SEARCH_DETECTION).safe_search_annotation.racy == said


# ---- several, none, and many at once ----


def test_a_folder_of_cards(tmp_path: Path) -> None:
    """All its cards are loaded; each answers its feature, and other features are nobody's."""
    classification(tmp_path)
    square_finder(tmp_path / "squares.onnx")
    card(tmp_path, 'task = "detection"\nmodel = "squares.onnx"\nlabels = ["Red", "Blue"]\n', "objects.toml")
    part = loaded(str(tmp_path))
    claimed = {kind for kind in Feature.Type.values() if part.claims(Picture(png(plain("red"))), kind)}
    assert claimed == {Feature.LABEL_DETECTION, Feature.OBJECT_LOCALIZATION}
    wanted = [Feature(type=kind) for kind in sorted(claimed)]
    answer = part.look(Picture(png(squares())), wanted, ImageContext())
    assert answer.label_annotations
    assert answer.localized_object_annotations


def test_without_models_nothing_is_claimed() -> None:
    """Labels, objects and safe search are not local's unless somebody supplies a model."""
    assert Models.create(Settings()) is None
    local = Local.create(Settings())
    picture = Picture(png(plain("red")))
    for kind in (Feature.LABEL_DETECTION, Feature.OBJECT_LOCALIZATION, Feature.SAFE_SEARCH_DETECTION):
        assert not local.claims(picture, kind)


async def test_models_come_before_everything_else(tmp_path: Path) -> None:
    """Through local, with the setting as it is written in TOML."""
    local = Local.create(Settings(table={"models": classification(tmp_path), "parts": ["models"]}))
    async with local:
        answer = await local.annotate(Picture(png(plain("lime"))), [Feature(type=Feature.LABEL_DETECTION)], ImageContext())
    assert [entry.description for entry in answer.label_annotations] == ["green"]


def test_threads_share_a_model(tmp_path: Path) -> None:
    """Many pictures at once get each its own answer."""
    part = loaded(classification(tmp_path))
    colors = ["red", "lime", "blue"] * 20
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda color: next(iter(labels(part, plain(color)))), colors))
    assert found == ["red", "green", "blue"] * 20


def test_numbers_that_are_none_are_the_pictures_error(tmp_path: Path) -> None:
    """A model that overflows on one picture fails on that picture alone."""
    part = loaded(classification(tmp_path, "[input]\nscale = 1e30\nmean = 128e30\n", gain=3e38))
    with pytest.raises(ModelFailed, match=r"colors\.onnx answers with what are no finite numbers"):
        look(part, plain("red"))
    assert look(part, plain((128, 128, 128))).label_annotations


# ---- what is refused at the start ----

START = 'task = "classification"\nmodel = "colors.onnx"\nlabels = ["red", "green", "blue"]\n'
SQUARES = 'task = "detection"\nmodel = "squares.onnx"\nlabels = ["Red", "Blue"]\n'
WRONG = {
    "no TOML": ("task = ", r"card\.toml: no TOML"),
    "unknown key": (START + "score_mim = 1\n", r"card\.toml: score_mim: no such key; did you mean score_min\?"),
    "unknown key of a table": (START + "[input]\nsizes = [1, 1]\n", r"card\.toml: input\.sizes: no such key; did you mean size\?"),
    "no task": ('model = "colors.onnx"\n', r"card\.toml: .*`task`"),
    "unknown task": (START.replace("classification", "magic"), r"card\.toml: task: .*'magic'; it is classification or detection or "),
    "unknown word of a table": (START + '[input]\nlayout = "CHW"\n', r"card\.toml: input\.layout: .*'CHW'; it is NCHW or NHWC"),
    "no number": (START + 'score_min = "high"\n', r"card\.toml: score_min: Expected `float`"),
    "out of range": (START + "score_min = 2\n", r"card\.toml: score_min: .*<= 1"),
    "wrong in a list": (START + "[input]\nsize = [0, 8]\n", r"card\.toml: input\.size: .*>= 1"),
    "feature of another task": (START + 'features = ["FACE_DETECTION"]\n', r"features: classification cannot answer FACE_DETECTION"),
    "no such model": (START.replace("colors", "none"), r"card\.toml: model: there is no file .*none\.onnx"),
    "no such labels": ('task = "classification"\nmodel = "colors.onnx"\nlabels = "l.txt"\n', r"labels: there is no file .*l\.txt"),
    "no labels": ('task = "classification"\nmodel = "colors.onnx"\n', r"labels: neither the card nor the model's metadata"),
    "no model": (START.replace("colors.onnx", "text.onnx"), r"card\.toml: model: .*text\.onnx does not load"),
    "too few labels": (START.replace('"red", ', ""), r"card\.toml: labels: there are 2, and logits has the shape \(1, 3\)"),
    "unknown label of a mid": (START + 'mids = {greem = "/m/1"}\n', r"mids\.greem: no label is called so; did you mean green\?"),
    "another size": (START + "[input]\nsize = [9, 8]\n", r"input\.size: 9 x 8 is said, and the model takes 8 x 8"),
    "other channels": (START + '[input]\nchannels = "GREY"\n', r"input\.channels: GREY are 1, and the model takes 3"),
    "five means": (START + "[input]\nmean = [1, 2, 3, 4, 5]\n", r"input\.mean: give one number, or one for each"),
    "no spread": (START + "[input]\nstd = 0\n", r"input\.std: .*cannot be 0"),
    "zero spread": (START + "[input]\nstd = [1, 0, 1]\n", r"input\.std: .*cannot be 0"),
    "unknown output": (START + '[output]\nnames = ["x"]\n', r"output\.names: the model has no output x; it has logits"),
    "two outputs": (START + '[output]\nnames = ["x", "y"]\n', r"output\.names: 2 are named, and the card is for one output"),
    "labels of a detector": (
        SQUARES.replace('"Red", ', ""),
        r"labels: yolov8 gives 4 \+ 1 labels = 5 numbers a box, and found .*\(1, 6, 16\)",
    ),
    "no boxes": (SQUARES + '[output]\nform = "boxes"\n', r"output\.names: which of found are boxes, scores and classes cannot be told"),
    "clip without texts": (START.replace("classification", "clip"), r"embeddings: a clip model needs"),
    "safe search of nothing": (START.replace("classification", "safe_search"), r"safe_search: say which labels make up"),
    "safe search of no field": (
        START.replace("classification", "safe_search") + '[safe_search]\nadlt = ["red"]\n',
        r"safe_search\.adlt: no such field; did you mean adult\?",
    ),
    "safe search of no label": (
        START.replace("classification", "safe_search") + '[safe_search]\nadult = ["rd"]\n',
        r"safe_search\.adult: 'rd' is none of the labels",
    ),
    "falling likelihoods": (START + "likelihoods = [0.5, 0.2, 0.6, 0.7]\n", r"likelihoods: each must be at least the one before"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_card_is_refused_at_the_start(tmp_path: Path, kind: str) -> None:
    """By the file, the key, and what would do."""
    text, said = WRONG[kind]
    classifier(tmp_path / "colors.onnx")
    square_finder(tmp_path / "squares.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(SettingsError, match=said):
        loaded(card(tmp_path, text))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (np.eye(3), r"has the shape \(3, 3\), and there are 2 labels"),
        (np.ones((2, 5)), r"they are 5 long, and logits has the shape \(1, 3\)"),
        (np.zeros((2, 3)), r"embeddings without a direction"),
        (np.full((2, 3), np.nan), r"embeddings without a direction"),
    ],
)
def test_wrong_embeddings(tmp_path: Path, texts: Any, said: str) -> None:
    """Texts must be as many as labels and as long as what the model gives."""
    with pytest.raises(SettingsError, match=rf"embeddings: .*{said}"):
        loaded(clip(tmp_path, texts))


def test_embeddings_that_are_none(tmp_path: Path) -> None:
    """A file that is no array is refused; one of pickled objects is never opened."""
    place = clip(tmp_path, np.eye(3)[:2])
    (tmp_path / "texts.npy").write_bytes(b"text")
    with pytest.raises(SettingsError, match=r"embeddings: .*texts\.npy is no \.npy file"):
        loaded(place)
    np.save(tmp_path / "texts.npy", np.array([{}, {}], object), allow_pickle=True)
    with pytest.raises(SettingsError, match=r"embeddings: .*texts\.npy is no \.npy file"):
        loaded(place)


@pytest.mark.parametrize("value", [7, "", [""], [7], {"card": "x"}])
def test_a_setting_that_is_no_list_of_cards(value: Any) -> None:
    """It is refused by its name."""
    with pytest.raises(SettingsError, match=r"models: .* is no list of model cards"):
        Models.create(Settings(table={"models": value}))


def test_places_without_cards(tmp_path: Path) -> None:
    """A file that is missing and an empty folder are named."""
    with pytest.raises(SettingsError, match=r"models: .*none\.toml: No such file"):
        loaded(str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match=r"models: the folder .* holds no model card"):
        loaded(str(tmp_path))


def test_two_cards_for_one_feature(tmp_path: Path) -> None:
    """Only one could answer, so both are named."""
    first = classification(tmp_path)
    card(tmp_path, START, "second.toml")
    with pytest.raises(SettingsError, match=r"second\.toml: features: LABEL_DETECTION is already answered by .*card\.toml"):
        loaded(first, str(tmp_path / "second.toml"))
