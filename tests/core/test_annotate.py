"""One image: reading it, who is asked for which feature, merging, cutting, and failures as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pictures import drawn
from vision_emulator.annotators import Annotator, Picture
from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, Feature
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from vision_emulator.core.annotate import ImageAnnotation
from vision_emulator.storage.embedded import MemoryStorage

LABELS, TEXT, DOCUMENT, CROPS, PROPERTIES = (
    Feature.LABEL_DETECTION,
    Feature.TEXT_DETECTION,
    Feature.DOCUMENT_TEXT_DETECTION,
    Feature.CROP_HINTS,
    Feature.IMAGE_PROPERTIES,
)
Answer = Callable[[Sequence[Feature]], dict[str, Any]]

METHOD = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
CALL = Call(METHOD, METHOD.request(), {})


class Fake(Annotator):
    """Claims the features given, and answers what the test says; notes what it was asked."""

    def __init__(self, name: str, features: Sequence[int], answer: dict[str, Any] | Answer, uris: Sequence[str] = ()) -> None:
        self.name = name  # type: ignore[misc]
        self._features, self._answer, self._uris = features, answer, uris
        self.asked: list[tuple[Picture, list[Feature]]] = []

    def knows(self, uri: str) -> bool:
        return uri in self._uris

    def claims(self, picture: Picture, feature: int) -> bool:
        return feature in self._features and (picture.known or picture.uri in self._uris)

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: Any) -> AnnotateImageResponse:
        del context
        self.asked.append((picture, list(features)))
        return AnnotateImageResponse(**(self._answer(features) if callable(self._answer) else self._answer))


class Broken(Fake):
    """Raises what the test says."""

    def __init__(self, failure: Exception) -> None:
        def fail(features: Sequence[Feature]) -> dict[str, Any]:
            del features
            raise failure

        super().__init__("broken", [LABELS], fail)


def described(*descriptions: str) -> list[dict[str, Any]]:
    return [{"description": description} for description in descriptions]


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage(ManualClock(), ["photos"], auto_create=False)


async def ask(
    storage: MemoryStorage, annotators: Sequence[Annotator], image: dict[str, Any], *features: Any, answered_by: Any = None
) -> AnnotateImageResponse:
    """The response for one image; a feature is a number, or a number and a max_results."""
    pairs = [feature if isinstance(feature, tuple) else (feature, 0) for feature in features or (LABELS,)]
    request = AnnotateImageRequest(image=image, features=[{"type": kind, "max_results": most} for kind, most in pairs])
    annotation = ImageAnnotation(storage, annotators)
    return await annotation.annotate(request, annotation.reader(CALL), Counter() if answered_by is None else answered_by)


INLINE = {"content": drawn()}


async def test_the_first_that_claims_a_feature_answers_it(storage: MemoryStorage) -> None:
    """Per feature the first annotator in the order is asked, once for all its features; a later one gets what is left, or nothing."""
    first = Fake("first", [LABELS], {"label_annotations": described("first")})
    second = Fake("second", [LABELS, TEXT], {"text_annotations": described("second")})
    third = Fake("third", [LABELS, TEXT], {})
    answered_by: Counter[str] = Counter()
    response = await ask(storage, [first, second, third], INLINE, LABELS, TEXT, answered_by=answered_by)
    assert [label.description for label in response.label_annotations] == ["first"]
    assert [text.description for text in response.text_annotations] == ["second"]
    assert [[feature.type for feature in features] for _, features in second.asked] == [[TEXT]]
    assert third.asked == []
    assert answered_by == {"first": 1, "second": 1}


async def test_what_nobody_claims_is_empty(storage: MemoryStorage) -> None:
    """A feature without an annotator is an empty answer, not an error; and nothing found is final."""
    assert await ask(storage, [], INLINE) == AnnotateImageResponse()
    nothing = Fake("nothing", [LABELS], {})
    something = Fake("something", [LABELS], {"label_annotations": described("x")})
    assert await ask(storage, [nothing, something], INLINE) == AnnotateImageResponse()


async def test_document_text_takes_precedence(storage: MemoryStorage) -> None:
    """TEXT_DETECTION beside DOCUMENT_TEXT_DETECTION is not asked for (documented), in either order."""
    for features in ((TEXT, DOCUMENT), (DOCUMENT, TEXT)):
        reader = Fake("reader", [TEXT, DOCUMENT], {"text_annotations": described("read")})
        response = await ask(storage, [reader], INLINE, *features)
        assert [feature.type for feature in reader.asked[0][1]] == [DOCUMENT]
        assert len(response.text_annotations) == 1


@pytest.mark.parametrize(
    ("asked", "most"), [([(LABELS, 3), (LABELS, 5)], 5), ([(LABELS, 5), (LABELS, 3)], 5), ([(LABELS, 3), (LABELS, 0)], 10)]
)
async def test_a_feature_asked_twice_is_asked_once(storage: MemoryStorage, asked: list[Any], most: int) -> None:
    """Duplicates are one feature with the larger max_results; none given counts as the default of 10."""
    many = Fake("many", [LABELS], {"label_annotations": described(*map(str, range(30)))})
    response = await ask(storage, [many], INLINE, *asked)
    assert len(many.asked[0][1]) == 1
    assert [label.description for label in response.label_annotations] == [str(number) for number in range(most)]


LISTS = {
    Feature.FACE_DETECTION: lambda count: {"face_annotations": [{"detection_confidence": 0.5}] * count},
    Feature.LANDMARK_DETECTION: lambda count: {"landmark_annotations": described(*"x" * count)},
    Feature.LOGO_DETECTION: lambda count: {"logo_annotations": described(*"x" * count)},
    Feature.LABEL_DETECTION: lambda count: {"label_annotations": described(*"x" * count)},
    Feature.OBJECT_LOCALIZATION: lambda count: {"localized_object_annotations": [{"name": "x"}] * count},
    Feature.WEB_DETECTION: lambda count: {
        "web_detection": {
            "web_entities": described(*"x" * count),
            "full_matching_images": [{"url": "x"}] * count,
            "best_guess_labels": [{"label": "x"}],
        }
    },
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(("most", "expected"), [(2, 2), (0, 10), (-1, 10), (50, 30)])
async def test_lists_are_cut(storage: MemoryStorage, kind: int, most: int, expected: int) -> None:
    """Every list is cut to max_results, 10 when none is given; web detection list by list."""
    response = await ask(storage, [Fake("many", [kind], LISTS[kind](30))], INLINE, (kind, most))
    ((_, value),) = response.ListFields()
    if kind == Feature.WEB_DETECTION:
        assert [len(value.web_entities), len(value.full_matching_images), len(value.best_guess_labels)] == [expected, expected, 1]
    else:
        assert len(value) == expected


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (TEXT, {"text_annotations": described(*"x" * 30)}),
        (DOCUMENT, {"text_annotations": described(*"x" * 30)}),
        (CROPS, {"crop_hints_annotation": {"crop_hints": [{"confidence": 0.5}] * 30}}),
        (PROPERTIES, {"image_properties_annotation": {"dominant_colors": {"colors": [{"score": 0.5}] * 30}}}),
    ],
)
async def test_text_and_crops_are_not_cut(storage: MemoryStorage, kind: int, answer: dict[str, Any]) -> None:
    """max_results does not apply to text and crop hints (documented), nor to colours."""
    response = await ask(storage, [Fake("many", [kind], answer)], INLINE, (kind, 1))
    assert response == AnnotateImageResponse(**answer)


async def test_the_neighbours_list_is_not_cut(storage: MemoryStorage) -> None:
    """Each list is cut to its own feature's max_results."""
    both = Fake("both", [LABELS, Feature.LOGO_DETECTION], {"label_annotations": described(*"abc"), "logo_annotations": described(*"abc")})
    response = await ask(storage, [both], INLINE, (LABELS, 1), (Feature.LOGO_DETECTION, 2))
    assert (len(response.label_annotations), len(response.logo_annotations)) == (1, 2)


async def test_crop_hints_from_two_are_not_doubled(storage: MemoryStorage) -> None:
    """IMAGE_PROPERTIES brings crop hints along; when another annotator answers CROP_HINTS, one set of them is kept."""
    hints = {"crop_hints": [{"confidence": 0.5}]}
    colours = Fake("colours", [PROPERTIES], {"image_properties_annotation": {"dominant_colors": {}}, "crop_hints_annotation": hints})
    crops = Fake("crops", [CROPS], {"crop_hints_annotation": {"crop_hints": [{"confidence": 0.9}]}})
    for order in ([colours, crops], [crops, colours]):
        response = await ask(storage, order, INLINE, PROPERTIES, CROPS)
        assert response.HasField("image_properties_annotation")
        assert len(response.crop_hints_annotation.crop_hints) == 1


# ---- reading ----


async def test_inline_bytes_win_over_a_source(storage: MemoryStorage) -> None:
    """With both given the bytes in the request are looked at, and the source is not read."""
    seen = Fake("seen", [LABELS], {"label_annotations": described("x")})
    response = await ask(storage, [seen], {"content": drawn(1), "source": {"image_uri": "gs://nowhere/x"}})
    assert not response.HasField("error")
    assert (seen.asked[0][0].data, seen.asked[0][0].uri) == (drawn(1), "")


async def test_a_picture_from_storage(storage: MemoryStorage) -> None:
    """An annotator sees the object's bytes and its URI; image_uri wins over gcs_image_uri (documented)."""
    await (await storage.bucket("photos")).write("a.jpg", drawn(2), "image/jpeg")
    seen = Fake("seen", [LABELS], {})
    for source in ({"gcs_image_uri": "gs://photos/a.jpg"}, {"image_uri": "gs://photos/a.jpg", "gcs_image_uri": "gs://photos/none"}):
        await ask(storage, [seen], {"source": source})
    assert [(picture.data, picture.uri) for picture, _ in seen.asked] == [(drawn(2), "gs://photos/a.jpg")] * 2


async def test_an_answer_for_a_uri_needs_no_bytes(storage: MemoryStorage) -> None:
    """Who knows a URI answers though nobody has its bytes; features that need bytes stay empty, and unknown URIs stay errors."""
    known = Fake("known", [LABELS], {"label_annotations": described("given")}, uris=["gs://photos/none.jpg", "gs://nowhere/a.jpg"])
    pixels = Fake("pixels", [LABELS, PROPERTIES], {})
    for uri in ("gs://photos/none.jpg", "gs://nowhere/a.jpg"):
        response = await ask(storage, [known, pixels], {"source": {"image_uri": uri}}, LABELS, PROPERTIES)
        assert response == AnnotateImageResponse(label_annotations=described("given"))
    assert pixels.asked == []
    response = await ask(storage, [known], {"source": {"image_uri": "gs://photos/other.jpg"}})
    assert response.error.code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("image", "code", "message"),
    [
        ({"source": {"image_uri": "gs://photos/none.jpg"}}, 5, "Error opening file: gs://photos/none.jpg."),
        ({"source": {"image_uri": "gs://nowhere/a.jpg"}}, 7, "Error opening file: gs://nowhere/a.jpg."),
        ({"source": {"gcs_image_uri": "https://example.com/a.jpg"}}, 3, "Invalid GCS path specified: https://example.com/a.jpg"),
        ({"source": {"gcs_image_uri": "photos/a.jpg"}}, 3, "Invalid GCS path specified: photos/a.jpg"),
        (
            {"source": {"image_uri": "https://example.com/a.jpg"}},
            3,
            "The URL does not appear to be accessible by us. Please double check or download the content and pass it in.",
        ),
        ({"content": bytes(limits.IMAGE_BYTES_MAX + 1)}, 3, "Image size exceeds the limit: 20000000 bytes."),
        ({"source": {"image_uri": "gs://photos/empty"}}, 3, "Bad image data."),
        ({"source": {"image_uri": "gs://photos/large"}}, 3, "Image size exceeds the limit: 20000000 bytes."),
    ],
)
async def test_what_cannot_be_read_is_the_images_error(storage: MemoryStorage, image: dict[str, Any], code: int, message: str) -> None:
    """An image that cannot be had is an error in the recorded words, and nobody is asked about it."""
    bucket = await storage.bucket("photos")
    await bucket.write("empty", b"", "image/jpeg")
    await bucket.write("large", bytes(limits.IMAGE_BYTES_MAX + 1), "image/jpeg")
    seen = Fake("seen", [LABELS], {})
    response = await ask(storage, [seen], image)
    assert (response.error.code, response.error.message) == (code, message)
    assert seen.asked == []


async def test_20_million_bytes_are_allowed(storage: MemoryStorage) -> None:
    """The limit itself passes, inline and from storage."""
    largest = drawn() + bytes(limits.IMAGE_BYTES_MAX - len(drawn()))
    await (await storage.bucket("photos")).write("largest", largest, "image/jpeg")
    for image in ({"content": largest}, {"source": {"image_uri": "gs://photos/largest"}}):
        assert not (await ask(storage, [Fake("seen", [LABELS], {})], image)).HasField("error")


# ---- failures ----


async def test_an_annotators_bug_is_the_images_error(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    """Anything but VisionError is INTERNAL in the recorded words for this image; the traceback and the annotator's name are in the log."""
    response = await ask(storage, [Broken(ZeroDivisionError("a bug"))], INLINE)
    assert (response.error.code, response.error.message) == (13, "Internal server error. Error processing features.")
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "annotator broken" in record.getMessage()
    assert "ZeroDivisionError: a bug" in caplog.text


async def test_an_annotators_own_error_is_kept(storage: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    """A VisionError is the image's error as it is, without details and without noise in the log."""
    failure = errors.VisionError(Code.UNAVAILABLE, "later", errors.bad_request([]).details[0])
    response = await ask(storage, [Broken(failure)], INLINE)
    assert (response.error.code, response.error.message, len(response.error.details)) == (14, "later", 0)
    assert caplog.records == []


async def test_what_was_found_before_a_failure_is_kept(storage: MemoryStorage) -> None:
    """Annotations that are filled in are correct even beside an error (documented)."""
    texts = Fake("texts", [TEXT], {"text_annotations": described("read")})
    response = await ask(storage, [texts, Broken(ZeroDivisionError())], INLINE, TEXT, LABELS)
    assert response.error.code == Code.INTERNAL
    assert len(response.text_annotations) == 1
