"""The synthetic annotator: plausible, deterministic, of one piece, for any picture and any question."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check
from PIL import Image

from vision_emulator.annotators import Picture, vocabulary
from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.synthetic import ASSUMED_SIZE, Sketch, Synthetic
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

ALL_TYPES = [kind for kind in Feature.Type.values() if kind]


def painted(width: int = 320, height: int = 240, color: tuple[int, int, int] = (200, 30, 40), form: str = "PNG") -> bytes:
    """An image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, form)
    return file.getvalue()


def ask(
    picture: Picture, kinds: Sequence[int] = ALL_TYPES, *, seed: int = 0, max_results: int = 0, context: ImageContext | None = None
) -> AnnotateImageResponse:
    """The answer of a fresh annotator."""
    features = [Feature(type=kind, max_results=max_results) for kind in kinds]
    return asyncio.run(Synthetic(seed).annotate(picture, features, context or ImageContext()))


contexts = st.builds(
    lambda hints, ratios, sure, product_set, categories: ImageContext(
        language_hints=hints,
        crop_hints_params={"aspect_ratios": ratios},
        text_detection_params={"enable_text_detection_confidence_score": sure},
        product_search_params={"product_set": product_set, "product_categories": categories},
    ),
    st.lists(st.sampled_from(["en", "fr", "ja", "th-TH", "ru", "xx", "", "de-t-i0-handwrit"]), max_size=2),
    st.lists(st.one_of(st.floats(2**-7, 128, width=32), st.sampled_from([0.0, -1.0, float("inf"), float("nan")])), max_size=18),
    st.booleans(),
    st.sampled_from(["", "projects/p/locations/l/productSets/s", "nonsense"]),
    st.lists(st.sampled_from(["apparel-v2", "toys", "unheard-of"]), max_size=2),
)
sides = st.one_of(st.integers(1, 80), st.integers(81, 3000))


@settings(max_examples=150, deadline=None)
@given(
    width=sides,
    height=sides,
    color=st.tuples(*[st.integers(0, 255)] * 3),
    kinds=st.lists(st.sampled_from(ALL_TYPES), unique=True),
    max_results=st.integers(-1, 40),
    seed=st.integers(0, 1000),
    context=contexts,
)
def test_every_answer_is_sound(
    width: int, height: int, color: tuple[int, int, int], kinds: list[int], max_results: int, seed: int, context: ImageContext
) -> None:
    """Whatever the size, the features, the limits and the context: every invariant of an answer holds."""
    response = ask(Picture(painted(width, height, color)), kinds, seed=seed, max_results=max_results, context=context)
    check(response, (width, height), [Feature(type=kind, max_results=max_results) for kind in kinds], context)


@pytest.mark.parametrize("scene", vocabulary.SCENES, ids=lambda scene: scene.name)
def test_every_scene_answers(scene: vocabulary.Scene) -> None:
    """No scene of the vocabulary breaks an invariant or lacks what its kind of picture shows."""
    response = ask(Picture(painted()), seed=seed_of(scene.name))
    check(response, (320, 240), [Feature(type=kind) for kind in ALL_TYPES], ImageContext())
    assert {label.description for label in response.label_annotations} & set(scene.labels)
    assert {found.name for found in response.localized_object_annotations} & {*scene.objects, "Person"}
    assert response.web_detection.best_guess_labels[0].label
    if scene.document:
        assert len(response.text_annotations) > 3


def seed_of(scene: str) -> int:
    """A seed in which the painted picture shows this scene."""
    digest = Picture(painted()).sha256
    return next(seed for seed in range(10_000) if Sketch((320, 240), Dice(f"{seed}:{digest}")).scene.name == scene)


def test_parts_agree() -> None:
    """Faces are Persons, logos are written, and a sight is what the web guesses."""
    seen = set()
    for seed in range(300):
        response = ask(Picture(painted()), seed=seed)
        names = [found.name for found in response.localized_object_annotations]
        if response.face_annotations:
            seen.add("face")
            assert names.count("Person") == len(response.face_annotations)
            assert "Person" in {label.description for label in response.label_annotations}
        for logo in response.logo_annotations:
            seen.add("logo")
            assert logo.description.upper() in response.full_text_annotation.text
            assert logo.description in {entity.description for entity in response.web_detection.web_entities}
        if response.landmark_annotations:
            seen.add("sight")
            assert response.web_detection.best_guess_labels[0].label == response.landmark_annotations[0].description.lower()
        mids = {entry.description: entry.mid for entry in response.label_annotations}
        mids_of_objects = {entry.name: entry.mid for entry in response.localized_object_annotations}
        assert all(mids[name] == mids_of_objects[name] for name in mids.keys() & mids_of_objects.keys())
    assert seen == {"face", "logo", "sight"}


def test_same_input_same_bytes() -> None:
    """Same bytes and seed give the same answer, in one process or another; the address does not matter when there are bytes."""
    program = (
        "import sys; from test_synthetic import *; sys.stdout.buffer.write(ask(Picture(painted())).SerializeToString(deterministic=True))"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=__file__.rpartition("/")[0]).stdout
    assert there == ask(Picture(painted(), "gs://b/other.jpg")).SerializeToString(deterministic=True)


def test_a_feature_does_not_depend_on_the_others() -> None:
    """Each feature answers alone what it answers among all."""
    whole = ask(Picture(painted()))
    alone = AnnotateImageResponse()
    for kind in ALL_TYPES:
        if kind not in (Feature.TEXT_DETECTION, Feature.CROP_HINTS):  # these come with DOCUMENT_TEXT and IMAGE_PROPERTIES
            alone.MergeFrom(ask(Picture(painted()), [kind]))
    assert alone == whole


def test_a_shorter_list_is_the_start_of_the_longer() -> None:
    """max_results cuts; it does not invent anew."""
    long, short = (ask(Picture(painted()), [Feature.LABEL_DETECTION], max_results=limit) for limit in (20, 3))
    assert list(short.label_annotations) == list(long.label_annotations)[:3]


def test_two_pictures_differ() -> None:
    """A hundred pictures give a hundred different answers, over most of the vocabulary's scenes."""
    answers = [ask(Picture(painted(color=(number, 0, 0)))) for number in range(100)]
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 100
    assert len({answer.web_detection.best_guess_labels[0].label for answer in answers}) > 30


def test_the_seed_picks_the_world() -> None:
    """Another seed, another answer to the same picture."""
    kinds = [Feature.LABEL_DETECTION]
    assert ask(Picture(painted()), kinds, seed=1) != ask(Picture(painted()), kinds, seed=2)


def test_without_bytes_the_uri_decides() -> None:
    """A picture nobody has is answered from its address, as if it were 1024 by 768; colours and crops included."""
    here, there = (ask(Picture(b"", uri)) for uri in ("gs://b/a.jpg", "gs://b/b.jpg"))
    check(here, ASSUMED_SIZE, [Feature(type=kind) for kind in ALL_TYPES], ImageContext())
    assert here != there
    assert here == ask(Picture(b"", "gs://b/a.jpg"))


@pytest.mark.parametrize("data", [b"hello, I am a text file\n", painted(form="JPEG")[:-40], painted()[:200]], ids=["text", "jpeg", "png"])
@pytest.mark.parametrize("kind", ALL_TYPES)
def test_what_is_no_image_is_an_error(data: bytes, kind: int) -> None:
    """Bytes that are no image, or half of one, are this image's error for every feature, also for those that need no pixels."""
    with pytest.raises(VisionError, match=r"^Bad image data\.$") as caught:
        ask(Picture(data), [kind])
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("language", [*vocabulary.PHRASES, "en"])
def test_text_is_in_the_hinted_language(language: str) -> None:
    """A known language hint decides what the text is written in, with or without a region; Chinese, Japanese and Thai have no spaces."""
    context = ImageContext(language_hints=["xx", f"{language}-ZZ"])
    response = ask(Picture(painted()), [Feature.DOCUMENT_TEXT_DETECTION], seed=seed_of("letter"), context=context)
    check(response, (320, 240), [Feature(type=Feature.DOCUMENT_TEXT_DETECTION)], context)
    assert response.text_annotations[0].locale == language
    page = response.full_text_annotation.pages[0]
    assert page.property.detected_languages[0].language_code == language
    assert language not in vocabulary.UNSPACED or " " not in response.full_text_annotation.text


def test_products_belong_to_the_asked_project() -> None:
    """Product names lie under the product set's project and location, and have the asked category."""
    params = {"product_set": "projects/shop/locations/europe-west1/productSets/s", "product_categories": ["toys-v2"]}
    response = ask(Picture(painted()), [Feature.PRODUCT_SEARCH], context=ImageContext(product_search_params=params))
    results = response.product_search_results.results
    assert results
    assert all(result.product.name.startswith("projects/shop/locations/europe-west1/products/") for result in results)
    assert {result.product.product_category for result in results} == {"toys-v2"}


def test_products_are_sought_in_the_asked_region() -> None:
    """A bounding_poly of the request, in pixels or shares, is the one group's region."""
    corners = [{"x": 32, "y": 24}, {"x": 160, "y": 24}, {"x": 160, "y": 120}, {"x": 32, "y": 120}]
    context = ImageContext(product_search_params={"bounding_poly": {"vertices": corners}})
    (group,) = ask(Picture(painted()), [Feature.PRODUCT_SEARCH], context=context).product_search_results.product_grouped_results
    assert [(round(vertex.x, 6), round(vertex.y, 6)) for vertex in group.bounding_poly.normalized_vertices] == [
        (0.1, 0.1),
        (0.5, 0.1),
        (0.5, 0.5),
        (0.1, 0.5),
    ]


def test_the_vocabulary_is_rich_and_unambiguous() -> None:
    """Several hundred labels, no two things with one mid, and every list refers to scenes that exist."""
    scenes = {scene.name for scene in vocabulary.SCENES}
    names = {name for scene in vocabulary.SCENES for name in (*scene.labels, *scene.objects, *scene.entities)}
    names |= {*vocabulary.LOGOS, *vocabulary.GENERIC_LABELS, *(sight.name for sight in vocabulary.LANDMARKS), "Person", "Font"}
    names |= {ware for shelf in vocabulary.PRODUCT_KINDS.values() for ware, _ in shelf}
    assert len({label for scene in vocabulary.SCENES for label in scene.labels}) > 500
    assert len({vocabulary.mid(name) for name in names | vocabulary.KNOWN_MIDS.keys()}) == len(names | vocabulary.KNOWN_MIDS.keys())
    assert len(scenes) == len(vocabulary.SCENES)
    assert {sight.scene for sight in vocabulary.LANDMARKS} | vocabulary.SCENES_WITH_LOGOS <= scenes
    assert all(scene.texts for scene in vocabulary.SCENES)
