"""Invented answers: plausible, the same for the same bytes and seed, and of one piece: labels, objects, text and web agree.

A digest of the picture decides on a scene, and the scene on everything else. IMAGE_PROPERTIES and CROP_HINTS are not invented:
they are computed from the pixels.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from vision_emulator.annotators import Annotator, Picture, Settings, pixels, text, vocabulary
from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.faces import LIKELY, POSSIBLE, UNLIKELY, VERY_UNLIKELY, Face, invent_faces
from vision_emulator.annotators.geometry import Box, normalized_poly
from vision_emulator.annotators.vocabulary import Landmark, Scene, mid
from vision_emulator.contract import limits
from vision_emulator.contract.messages import AnnotateImageResponse, BoundingPoly, Feature, ImageContext

if TYPE_CHECKING:
    import PIL.Image

ASSUMED_SIZE: Final = (1024, 768)  # of a picture whose bytes nobody has
DETAIL_SIDE_MIN: Final = 64  # pixels; in a narrower picture no faces, text, logos or sights are seen
INDEX_TIME: Final = {"seconds": 1_767_225_600}  # 2026-01-01: when the invented product set was indexed
PRODUCT_SET: Final = re.compile(r"(projects/[^/]+/locations/[^/]+)/productSets/[^/]+")

Fields = dict[str, Any]


class Synthetic(Annotator):
    """Answers every feature of every picture."""

    name: ClassVar[str] = "synthetic"
    trusted: ClassVar[bool] = True
    timed: ClassVar[bool] = False
    settings_known: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, seed: int = 0, threads: Executor | None = None) -> None:
        """``seed`` picks one of many worlds; pixels are decoded in ``threads``, by default the event loop's own."""
        self._seed = seed
        self._threads = threads

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One for this server's seed."""
        return cls(settings.seed, settings.threads)

    def claims(self, picture: Picture, feature: int) -> bool:  # noqa: ARG002 - whatever they are
        """Always."""
        return True

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The invented answer; VisionError (Bad image data.) for bytes that are no image, whatever was asked."""
        asked = {feature.type for feature in features}
        fields: Fields = {}
        if not asked.isdisjoint({Feature.IMAGE_PROPERTIES, Feature.CROP_HINTS}):
            ratios = list(context.crop_hints_params.aspect_ratios) if Feature.CROP_HINTS in asked else []

            def measure() -> Fields:
                thumbnail = picture.thumbnail if picture.known else imagined(self._dice(picture))
                return pixels.measured(thumbnail, _size(picture), ratios, colors=Feature.IMAGE_PROPERTIES in asked)

            fields |= await asyncio.get_running_loop().run_in_executor(self._threads, measure)
        size = _size(picture)
        if not asked.isdisjoint(INVENTIONS):
            sketch = Sketch(size, self._dice(picture))
            for feature in sorted(features, key=lambda feature: feature.type):  # so that DOCUMENT_TEXT is laid over TEXT
                if feature.type in INVENTIONS:
                    limit = feature.max_results if feature.max_results > 0 else limits.RESULTS_DEFAULT
                    fields |= INVENTIONS[feature.type](sketch, context, limit)
        return AnnotateImageResponse(**fields)

    def _dice(self, picture: Picture) -> Dice:
        """What decides on this picture: the seed, and its bytes or, without them, its address."""
        digest = picture.sha256 if picture.known else hashlib.sha256(picture.uri.encode()).hexdigest()
        return Dice(f"{self._seed}:{digest}")


def _size(picture: Picture) -> tuple[int, int]:
    return picture.size if picture.known else ASSUMED_SIZE


def imagined(dice: Dice) -> PIL.Image.Image:
    """Soft patches of colour, in place of a picture whose bytes nobody has."""
    from PIL import Image

    dice = dice.of("pixels")
    patches = bytes(dice.whole(0, 255) for _ in range(4 * 3 * 3))
    return Image.frombytes("RGB", (4, 3), patches).resize((64, 48), Image.Resampling.BILINEAR)


class Sketch:
    """What there is to see in one picture, before anybody asks; each part is decided once and apart from the others."""

    def __init__(self, size: tuple[int, int], dice: Dice) -> None:
        self.size = size
        self.dice = dice
        self.scene: Scene = dice.of("scene").one(vocabulary.SCENES)
        self.detailed = min(size) >= DETAIL_SIDE_MIN

    @cached_property
    def faces(self) -> list[Face]:
        """None to four, the surest first."""
        dice = self.dice.of("faces")
        if not self.detailed or not self.scene.people or dice.chance(0.2):
            return []
        return invent_faces(dice.whole(1, self.scene.people), self.size, dice)

    @cached_property
    def sight(self) -> Landmark | None:
        """A famous place, if the scene is one."""
        dice = self.dice.of("sight")
        places = [place for place in vocabulary.LANDMARKS if place.scene == self.scene.name]
        return dice.one(places) if places and self.detailed and dice.chance(0.6) else None

    @cached_property
    def logos(self) -> list[str]:
        """None to two brands."""
        dice = self.dice.of("logos")
        if not self.detailed or self.scene.name not in vocabulary.SCENES_WITH_LOGOS or dice.chance(0.4):
            return []
        return dice.some(vocabulary.LOGOS, dice.whole(1, 2))

    @cached_property
    def written(self) -> bool:
        """Whether there is something to read."""
        return self.detailed and (self.scene.document or bool(self.logos) or self.dice.of("written").chance(0.6))

    def text(self, language: str) -> str:
        """What is written, in the vocabulary's notation: "/" ends a line, "//" a paragraph, "///" a block."""
        dice = self.dice.of("text")
        if language == vocabulary.ENGLISH:
            signs = [dice.one(self.scene.texts), *(logo.upper() for logo in self.logos)]
        else:
            signs = dice.some(vocabulary.PHRASES[language], 3)
        return "///".join(signs)

    def box(self, dice: Dice) -> Box:
        """Somewhere inside, a tenth to a half of each side."""
        width, height = self.size
        left, top, right, bottom = share_box(dice, 0.1, 0.5)
        return Box.within(self.size, left * width, top * height, right * width, bottom * height)


def share_box(dice: Dice, least: float, most: float) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a box, all in [0, 1]; its sides within the two bounds."""
    across, down = dice.between(least, most), dice.between(least, most)
    left, top = dice.unit() * (1 - across), dice.unit() * (1 - down)
    return left, top, left + across, top + down


# ---- the features, in the order of Feature.Type ----


def faces(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    return {"face_annotations": [face.annotation() for face in sketch.faces[:limit]]}


def landmarks(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    sight, dice = sketch.sight, sketch.dice.of("landmarks")
    if not sight:
        return {}
    entries = [
        {
            "mid": mid(sight.name),
            "description": sight.name,
            "score": score,
            "bounding_poly": sketch.box(dice).poly(),
            "locations": [{"lat_lng": {"latitude": sight.latitude, "longitude": sight.longitude}}],
        }
        for score in dice.falling(dice.whole(1, 2), 0.95, 0.4)  # the real service, too, may see one sight twice
    ]
    return {"landmark_annotations": entries[:limit]}


def logos(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    dice = sketch.dice.of("logo boxes")
    scores = dice.falling(len(sketch.logos), 0.97, 0.2)
    entries = [
        {"mid": mid(logo), "description": logo, "score": score, "bounding_poly": sketch.box(dice).poly()}
        for logo, score in zip(sketch.logos, scores, strict=True)
    ]
    return {"logo_annotations": entries[:limit]}


def labels(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    dice = sketch.dice.of("labels")
    typical, incidental = sketch.scene.labels[:4], sketch.scene.labels[4:]
    names = [*dice.some(typical, 4), *dice.some(incidental, dice.whole(5, 9)), *dice.some(vocabulary.GENERIC_LABELS, 2)]
    if sketch.faces:
        names.insert(2, "Person")
    if sketch.written:
        names.append("Font")
    names = list(dict.fromkeys(names))
    entries: list[Fields] = []
    for name, score in zip(names, dice.falling(len(names), dice.between(0.93, 0.995), 0.5), strict=True):
        entry = {"mid": mid(name), "description": name, "score": score}
        share = 0.8 / (1 + len(entries) ** 3) * dice.between(0.5, 1)
        if share > 0.001 or dice.chance(0.5):  # some labels have no topicality in real answers
            entry["topicality"] = score * share
        entries.append(entry)
    return {"label_annotations": entries[:limit]}


def plain_text(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    return _text(sketch, context, confidences=context.text_detection_params.enable_text_detection_confidence_score)


def document_text(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    return _text(sketch, context, confidences=True)


def _text(sketch: Sketch, context: ImageContext, *, confidences: bool) -> Fields:
    if not sketch.written:
        return {}
    hints = (hint.partition("-")[0].lower() for hint in context.language_hints)
    code = next((hint for hint in hints if hint == vocabulary.ENGLISH or hint in vocabulary.PHRASES), vocabulary.ENGLISH)
    dice = sketch.dice.of(f"page {code}")
    language = text.Language(code, dice.between(0.8, 1), spaced=code not in vocabulary.UNSPACED)
    separator = None if language.spaced else "|"
    strings = [
        [[line.split(separator) for line in paragraph.split("/")] for paragraph in block.split("//")]
        for block in sketch.text(code).split("///")
    ]
    return text.annotation(text.typeset(strings, sketch.size, dice), sketch.size, language, confidences=confidences)


def safe_search(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    dice = sketch.dice.of("safe search")
    seldom = (VERY_UNLIKELY, VERY_UNLIKELY, VERY_UNLIKELY, UNLIKELY)
    answer = {name: dice.one(seldom) for name in ("adult", "medical", "violence")}
    answer["spoof"] = dice.one((*seldom, POSSIBLE, LIKELY) if sketch.written else seldom)
    answer["racy"] = dice.one((*seldom, POSSIBLE) if sketch.scene.people else seldom)
    return {"safe_search_annotation": answer}


def web(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    dice = sketch.dice.of("web")
    named = [*([sketch.sight.name] if sketch.sight else []), *sketch.logos]
    entities = list(dict.fromkeys([*named, *dice.some(sketch.scene.entities, dice.whole(4, 8))]))
    scores = dice.falling(len(entities), dice.between(0.8, 1.6), 0.2)
    guess = sketch.sight.name.lower() if sketch.sight else sketch.scene.guess
    slug = guess.replace(" ", "-").replace("'", "")

    def images(most: int) -> list[Fields]:
        hosts = ("www.example.com", "img.example.org", "cdn.example.net")
        return [{"url": f"https://{dice.one(hosts)}/{slug}/{dice.hex(8)}.jpg"} for _ in range(dice.whole(0, most))]

    full, partial = images(3), images(4)
    pages = []
    for matching, field in ((full, "full_matching_images"), (partial, "partial_matching_images")):
        for image in matching:
            title = f"{guess.capitalize()} - <b>{dice.one(entities)}</b>"
            pages.append({"url": f"https://www.example.com/articles/{slug}-{dice.hex(4)}", "page_title": title, field: [image]})
    return {
        "web_detection": {
            "web_entities": [
                {"entity_id": mid(name), "score": round(score, 4), "description": name}
                for name, score in zip(entities[:limit], scores, strict=False)
            ],
            "full_matching_images": full[:limit],
            "partial_matching_images": partial[:limit],
            "pages_with_matching_images": pages[:limit],
            "visually_similar_images": images(10)[:limit],
            "best_guess_labels": [{"label": guess, "language_code": "en"}],
        }
    }


def products(sketch: Sketch, context: ImageContext, limit: int) -> Fields:
    dice = sketch.dice.of("products")
    params = context.product_search_params
    known_set = PRODUCT_SET.fullmatch(params.product_set)
    parent = known_set[1] if known_set else "projects/emulator/locations/us-east1"
    category = params.product_categories[0] if params.product_categories else "general-v1"
    kind = category.partition("-")[0]
    shelf = vocabulary.PRODUCT_KINDS.get(kind, vocabulary.PRODUCT_KINDS["general"])
    regions = [_normalized(params.bounding_poly, sketch.size)] if params.HasField("bounding_poly") else []
    regions = regions or [normalized_poly(*share_box(dice, 0.2, 0.7)) for _ in range(dice.whole(1, 2))]
    groups: list[Fields] = []
    for region in regions:
        wares = dice.some(shelf, dice.whole(2, len(shelf)))
        scores = dice.falling(len(wares), 0.95, 0.1)
        results = [_product(parent, category, title, score, dice) for (_, title), score in zip(wares, scores, strict=True)]
        seen = {"mid": mid(wares[0][0]), "name": wares[0][0], "score": dice.between(0.6, 0.99)}
        groups.append({"bounding_poly": region, "results": results[:limit], "object_annotations": [seen]})
    best = sorted((result for group in groups for result in group["results"]), key=lambda result: -result["score"])
    return {"product_search_results": {"index_time": INDEX_TIME, "results": best[:limit], "product_grouped_results": groups}}


def _product(parent: str, category: str, title: str, score: float, dice: Dice) -> Fields:
    name = f"{parent}/products/product_{dice.hex(6)}"
    product = {
        "name": name,
        "display_name": title,
        "product_category": category,
        "product_labels": [{"key": key, "value": dice.one(values)} for key, values in vocabulary.PRODUCT_LABELS.items()],
    }
    return {"product": product, "score": score, "image": f"{name}/referenceImages/image_{dice.hex(6)}"}


def _normalized(poly: BoundingPoly, size: tuple[int, int]) -> Fields:
    """The upright box around a polygon of a request, in shares, cut to the image; the whole image for one without vertices."""
    corners = [(vertex.x, vertex.y) for vertex in poly.normalized_vertices]
    corners += [(vertex.x / size[0], vertex.y / size[1]) for vertex in poly.vertices]
    if not corners:
        return normalized_poly(0, 0, 1, 1)
    across, down = ([max(0.0, min(1.0, value)) for value in axis] for axis in zip(*corners, strict=True))  # in this order NaN is 1
    return normalized_poly(min(across), min(down), max(across), max(down))


def objects(sketch: Sketch, context: ImageContext, limit: int) -> Fields:  # noqa: ARG001
    dice = sketch.dice.of("objects")
    found = [("Person", _person(face, sketch.size)) for face in sketch.faces]
    others = [name for name in sketch.scene.objects if name != "Person" or not sketch.faces]
    found += [(name, share_box(dice, 0.15, 0.6)) for name in dice.some(others, dice.whole(1, 4))]
    scores = dice.falling(len(found), 0.97, 0.5)
    entries = [
        {"mid": mid(name), "name": name, "score": score, "bounding_poly": normalized_poly(*box)}
        for (name, box), score in zip(found, scores, strict=True)
    ]
    return {"localized_object_annotations": entries[:limit]}


def _person(face: Face, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box of the person who belongs to a face."""
    width, height = size
    head = face.head
    return (
        max(0.0, (head.left - 0.6 * head.width) / width),
        max(0.0, (head.top - 0.1 * head.height) / height),
        min(1.0, (head.right + 0.6 * head.width) / width),
        min(1.0, (head.bottom + 5 * head.height) / height),
    )


INVENTIONS: Final[dict[int, Callable[[Sketch, ImageContext, int], Fields]]] = {
    Feature.FACE_DETECTION: faces,
    Feature.LANDMARK_DETECTION: landmarks,
    Feature.LOGO_DETECTION: logos,
    Feature.LABEL_DETECTION: labels,
    Feature.TEXT_DETECTION: plain_text,
    Feature.SAFE_SEARCH_DETECTION: safe_search,
    Feature.WEB_DETECTION: web,
    Feature.DOCUMENT_TEXT_DETECTION: document_text,
    Feature.PRODUCT_SEARCH: products,
    Feature.OBJECT_LOCALIZATION: objects,
}
