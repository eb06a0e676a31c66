"""What holds for every answer to every image, whoever gave it; the tests of all annotators and of the API call ``check``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vision_emulator.annotators import FIELDS_OF_FEATURE
from vision_emulator.contract.limits import ASPECT_RATIOS_MAX, RESULTS_DEFAULT
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

LANDMARK_ORDER = [*range(1, 29), *range(31, 37)]  # the 34 landmarks of a face; no pupils
SPELLING_OF_BREAK = {0: "", 1: " ", 2: " ", 3: "\n", 5: "\n"}
SLACK = 1e-6  # float32 rounding


def check(response: AnnotateImageResponse, size: tuple[int, int], features: Sequence[Feature], context: ImageContext) -> None:
    """Fails with AssertionError when an answer without ``error`` contradicts itself, its image's size, or what was asked."""
    asked = {feature.type: feature.max_results if feature.max_results > 0 else RESULTS_DEFAULT for feature in features}
    allowed = {field for feature in asked for field in FIELDS_OF_FEATURE[feature]} | {"context"}
    assert {descriptor.name for descriptor, _ in response.ListFields()} <= allowed
    for face in response.face_annotations:
        check_face(face, size)
    for entity in (*response.landmark_annotations, *response.logo_annotations):
        check_entity(entity)
        check_box(entity.bounding_poly, size)
    for entity in response.label_annotations:
        check_entity(entity)
        assert entity.score >= 0.5
        assert 0 <= entity.topicality <= 1
        assert not entity.HasField("bounding_poly")
    for sight in response.landmark_annotations:
        assert [(-90 <= at.lat_lng.latitude <= 90, -180 <= at.lat_lng.longitude <= 180) for at in sight.locations] == [(True, True)]
    for found in response.localized_object_annotations:
        assert found.mid.startswith("/")
        assert found.name
        check_share(found.score)
        check_normalized(found.bounding_poly)
    check_text(response, size, asked, context)
    check_safe_search(response, asked)
    check_colors(response, asked)
    check_crops(response, size, asked, context)
    check_web(response, asked)
    check_products(response, asked)
    check_lists(response, asked)


def check_lists(response: AnnotateImageResponse, asked: dict[int, int]) -> None:
    """Sorted by falling score, each name once where the service says it once, and no longer than asked for."""
    for feature, field, key in (
        (Feature.FACE_DETECTION, response.face_annotations, "detection_confidence"),
        (Feature.LANDMARK_DETECTION, response.landmark_annotations, "score"),
        (Feature.LOGO_DETECTION, response.logo_annotations, "score"),
        (Feature.LABEL_DETECTION, response.label_annotations, "score"),
        (Feature.OBJECT_LOCALIZATION, response.localized_object_annotations, "score"),
        (Feature.WEB_DETECTION, response.web_detection.web_entities, "score"),
        (Feature.PRODUCT_SEARCH, response.product_search_results.results, "score"),
    ):
        assert is_falling(getattr(entry, key) for entry in field)
        assert len(field) <= asked.get(feature, 0)
    descriptions = [label.description for label in response.label_annotations]
    assert len(set(descriptions)) == len(descriptions)


def check_face(face: Any, size: tuple[int, int]) -> None:
    """34 landmarks in order inside the image, skin inside head, angles and confidences in range, every likelihood said."""
    assert contains(check_box(face.bounding_poly, size), check_box(face.fd_bounding_poly, size))
    assert [landmark.type for landmark in face.landmarks] == LANDMARK_ORDER
    for landmark in face.landmarks:
        assert 0 <= landmark.position.x <= size[0] - 1
        assert 0 <= landmark.position.y <= size[1] - 1
    at = {landmark.type: landmark.position for landmark in face.landmarks}
    assert at[1].x <= at[2].x  # LEFT is the viewer's left
    for angle in (face.roll_angle, face.pan_angle, face.tilt_angle):
        assert -180 <= angle <= 180
    check_share(face.detection_confidence)
    check_share(face.landmarking_confidence)
    for moment in ("joy", "sorrow", "anger", "surprise", "under_exposed", "blurred", "headwear"):
        assert 1 <= getattr(face, f"{moment}_likelihood") <= 5


def check_entity(entity: Any) -> None:
    """A mid, a description, a score in (0, 1]."""
    assert entity.mid.startswith(("/m/", "/g/", "/t/"))
    assert entity.description
    assert not entity.locale
    check_share(entity.score)


def check_text(response: AnnotateImageResponse, size: tuple[int, int], asked: dict[int, int], context: ImageContext) -> None:
    """Both forms of the text are the same text, its boxes nest inside the image, and confidences are there exactly when due."""
    full, entries = response.full_text_annotation, response.text_annotations
    assert bool(entries) == response.HasField("full_text_annotation")
    if not entries:
        return
    spelled: list[str] = []
    words: list[tuple[str, Any]] = []
    confidences: list[float] = []
    for page in full.pages:
        assert (page.width, page.height) == size
        confidences.append(page.confidence)
        for block in page.blocks:
            assert block.block_type
            outer = check_box(block.bounding_box, size)
            confidences.append(block.confidence)
            for paragraph in block.paragraphs:
                middle = check_box(paragraph.bounding_box, size)
                assert contains(outer, middle)
                confidences.append(paragraph.confidence)
                for word in paragraph.words:
                    inner = check_box(word.bounding_box, size)
                    assert contains(middle, inner)
                    confidences.append(word.confidence)
                    words.append(("".join(symbol.text for symbol in word.symbols), word.bounding_box))
                    for symbol in word.symbols:
                        assert contains(inner, check_box(symbol.bounding_box, size))
                        confidences.append(symbol.confidence)
                        spelled += (symbol.text, SPELLING_OF_BREAK[symbol.property.detected_break.type])
    assert full.text == "".join(spelled)
    assert entries[0].description == full.text
    assert entries[0].locale
    assert [(entry.description, entry.bounding_poly) for entry in entries[1:]] == words
    assert not any(entry.locale or entry.mid or entry.score for entry in entries[1:])
    whole = check_box(entries[0].bounding_poly, size)
    assert all(contains(whole, check_box(entry.bounding_poly, size)) for entry in entries[1:])
    if Feature.DOCUMENT_TEXT_DETECTION in asked or context.text_detection_params.enable_text_detection_confidence_score:
        assert all(0 < confidence <= 1 for confidence in confidences)
    else:
        assert not any(confidences)


def check_safe_search(response: AnnotateImageResponse, asked: dict[int, int]) -> None:
    """All five are said."""
    assert response.HasField("safe_search_annotation") == (Feature.SAFE_SEARCH_DETECTION in asked)
    if response.HasField("safe_search_annotation"):
        for kind in ("adult", "spoof", "medical", "violence", "racy"):
            assert 1 <= getattr(response.safe_search_annotation, kind) <= 5


def check_colors(response: AnnotateImageResponse, asked: dict[int, int]) -> None:
    """One to ten colours by falling score; scores and shares of the picture add up to no more than one."""
    assert response.HasField("image_properties_annotation") == (Feature.IMAGE_PROPERTIES in asked)
    if not response.HasField("image_properties_annotation"):
        return
    colors = response.image_properties_annotation.dominant_colors.colors
    assert 1 <= len(colors) <= 10
    assert is_falling(color.score for color in colors)
    assert sum(color.score for color in colors) <= 1 + 1e-5
    assert sum(color.pixel_fraction for color in colors) <= 1 + 1e-5
    for entry in colors:
        check_share(entry.score)
        check_share(entry.pixel_fraction)
        assert not entry.color.HasField("alpha")
        for channel in (entry.color.red, entry.color.green, entry.color.blue):
            assert 0 <= channel <= 255
            assert channel == int(channel)


def check_crops(response: AnnotateImageResponse, size: tuple[int, int], asked: dict[int, int], context: ImageContext) -> None:
    """A hint for each ratio in its order, the largest box of that ratio to the pixel; one without ratios."""
    assert response.HasField("crop_hints_annotation") == bool({Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS} & set(asked))
    if not response.HasField("crop_hints_annotation"):
        return
    hints = response.crop_hints_annotation.crop_hints
    ratios = list(context.crop_hints_params.aspect_ratios)[:ASPECT_RATIOS_MAX] if Feature.CROP_HINTS in asked else []
    assert len(hints) == max(1, len(ratios))
    for hint in hints:
        left, top, right, bottom = check_box(hint.bounding_poly, size)
        assert right - left == size[0] - 1 or bottom - top == size[1] - 1
        assert 0 < hint.confidence <= 0.8
        assert 0 < hint.importance_fraction <= 1
    for hint, ratio in zip(hints, ratios, strict=False):
        left, top, right, bottom = check_box(hint.bounding_poly, size)
        if ratio > 0:
            wished = (min(size[0], size[1] * ratio), min(size[1], size[0] / ratio))
            assert abs(right - left + 1 - wished[0]) <= 1
            assert abs(bottom - top + 1 - wished[1]) <= 1


def check_web(response: AnnotateImageResponse, asked: dict[int, int]) -> None:
    """There whenever asked for; every address is one, every entity has an id."""
    assert response.HasField("web_detection") == (Feature.WEB_DETECTION in asked)
    web = response.web_detection
    images = (web.full_matching_images, web.partial_matching_images, web.visually_similar_images, web.pages_with_matching_images)
    for found in images:
        assert len(found) <= asked.get(Feature.WEB_DETECTION, 0)
        assert all(image.url.startswith(("https://", "http://")) for image in found)
    assert all(entity.entity_id.startswith("/") and entity.score > 0 for entity in web.web_entities)
    assert all(page.page_title for page in web.pages_with_matching_images)
    assert all(guess.label for guess in web.best_guess_labels)


def check_products(response: AnnotateImageResponse, asked: dict[int, int]) -> None:
    """Results name a product and one of its reference images; every group has a region."""
    assert response.HasField("product_search_results") == (Feature.PRODUCT_SEARCH in asked)
    answer = response.product_search_results
    if Feature.PRODUCT_SEARCH in asked:
        assert answer.index_time.seconds > 0
    for group in answer.product_grouped_results:
        check_normalized(group.bounding_poly)
        assert is_falling(result.score for result in group.results)
        assert all(seen.mid and seen.name and 0 < seen.score <= 1 for seen in group.object_annotations)
    for result in answer.results:
        check_share(result.score)
        assert result.image.startswith(f"{result.product.name}/referenceImages/")
        assert result.product.display_name


def check_box(poly: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Four corners inside the image; left, top, right and bottom of them."""
    assert len(poly.vertices) == 4
    assert not poly.normalized_vertices
    xs, ys = [vertex.x for vertex in poly.vertices], [vertex.y for vertex in poly.vertices]
    assert 0 <= min(xs) <= max(xs) <= size[0] - 1
    assert 0 <= min(ys) <= max(ys) <= size[1] - 1
    return min(xs), min(ys), max(xs), max(ys)


def check_normalized(poly: Any) -> None:
    """Four corners in [0, 1], clockwise from the top left."""
    assert not poly.vertices
    corners = [(vertex.x, vertex.y) for vertex in poly.normalized_vertices]
    assert len(corners) == 4
    (left, top), (right, _), (_, bottom), _ = corners
    assert corners == [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert 0 <= left <= right <= 1
    assert 0 <= top <= bottom <= 1


def check_share(value: float) -> None:
    """A number in (0, 1]."""
    assert 0 < value <= 1 + SLACK


def contains(outer: tuple[int, int, int, int], inner: tuple[int, int, int, int]) -> bool:
    """Whether one box lies inside the other."""
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def is_falling(values: Iterable[float]) -> bool:
    """Whether no value is larger than the one before it."""
    row = list(values)
    return row == sorted(row, reverse=True)
