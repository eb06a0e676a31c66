"""Invented answers: plausible, the same for the same bytes and seed, and of one piece: labels, objects, text and web agree.

A digest of the picture decides on a scene, and the scene on everything else. IMAGE_PROPERTIES and CROP_HINTS are not invented:
they are computed from the pixels. Settings make the answers odder than most pictures are: ``density`` (so many of everything),
``scripts`` (what is written in) and ``rotated`` (the share of pictures whose text lies askew).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from vision_emulator.annotators import Annotator, Picture, Settings, SettingsError, pixels, text, vocabulary
from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.faces import LIKELY, POSSIBLE, UNLIKELY, VERY_UNLIKELY, Face, invent_faces
from vision_emulator.annotators.geometry import Box, Frame, normalized_poly
from vision_emulator.annotators.vocabulary import Landmark, Scene, mid, newer_mid
from vision_emulator.contract import limits
from vision_emulator.contract.messages import AnnotateImageResponse, BoundingPoly, Feature, ImageContext
from vision_emulator.written import suggestion

if TYPE_CHECKING:
    import PIL.Image

ASSUMED_SIZE: Final = (1024, 768)  # of a picture whose bytes nobody has
DETAIL_SIDE_MIN: Final = 64  # pixels; in a narrower picture no faces, text, logos or sights are seen
INDEX_TIME: Final = {"seconds": 1_767_225_600}  # 2026-01-01: when the invented product set was indexed
PRODUCT_SET: Final = re.compile(r"(projects/[^/]+/locations/[^/]+)/productSets/[^/]+")

DENSITY_MAX: Final = 10_000  # of each thing; a picture full of that many faces and words is an answer of some 50 MB
SIGNS_OF_LOGOS_MAX: Final = 2  # that are written out
CELL_ROWS_MAX: Final = 20  # lines of text one under the other, before there are columns
LEAN_MAX: Final = 0.3  # tangent of half the angle of askew text: some 33 degrees

Fields = dict[str, Any]


class Manner(NamedTuple):
    """How much there is to see in pictures, and how they are written."""

    density: int = 0  # at least so many words, labels, objects, faces, logos, web entities; 0: what the scene has
    scripts: tuple[str, ...] = ()  # of vocabulary.SCRIPTS; none: English
    rotated: float = 0.0  # the share of pictures whose text does not stand upright

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the user set; SettingsError."""
        table = settings.table
        density = table.get("density", 0)
        if not isinstance(density, int) or isinstance(density, bool) or not 0 <= density <= DENSITY_MAX:
            raise SettingsError(f"density is {density!r}; use 0 to {DENSITY_MAX}")
        scripts = table.get("scripts", ())
        scripts = (scripts,) if isinstance(scripts, str) else scripts
        if not isinstance(scripts, list | tuple):
            raise SettingsError(f'scripts is {scripts!r}; use a list, as in ["arabic", "cjk"]')
        for script in scripts:
            if script not in vocabulary.SCRIPTS:
                hint = suggestion(str(script), vocabulary.SCRIPTS, f"there are {', '.join(vocabulary.SCRIPTS)}")
                raise SettingsError(f"scripts: {script!r} is none; {hint}")
        rotated = table.get("rotated", 0.0)
        if not isinstance(rotated, int | float) or not 0 <= rotated <= 1:
            raise SettingsError(f"rotated is {rotated!r}; use true, false, or the share of pictures, as 0.5")
        return cls(density, tuple(scripts), float(rotated))


class Synthetic(Annotator):
    """Answers every feature of every picture."""

    name: ClassVar[str] = "synthetic"
    trusted: ClassVar[bool] = True
    timed: ClassVar[bool] = False
    settings_known: ClassVar[frozenset[str] | None] = frozenset(Manner._fields)

    def __init__(self, seed: int = 0, threads: Executor | None = None, manner: Manner = Manner()) -> None:  # noqa: B008 - immutable
        """``seed`` picks one of many worlds; pixels are decoded in ``threads``, by default the event loop's own."""
        self._seed = seed
        self._threads = threads
        self._manner = manner

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One for this server's seed and the table of settings; SettingsError."""
        return cls(settings.seed, settings.threads, Manner.of(settings))

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
            sketch = Sketch(size, self._dice(picture), self._manner)

            def invent() -> AnnotateImageResponse:
                found = fields
                for feature in sorted(features, key=lambda feature: feature.type):  # so that DOCUMENT_TEXT is laid over TEXT
                    if feature.type in INVENTIONS:
                        limit = feature.max_results if feature.max_results > 0 else limits.RESULTS_DEFAULT
                        found |= INVENTIONS[feature.type](sketch, context, limit)
                return AnnotateImageResponse(**found)

            if not self._manner.density:
                return invent()
            return await asyncio.get_running_loop().run_in_executor(self._threads, invent)
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

    def __init__(self, size: tuple[int, int], dice: Dice, manner: Manner = Manner()) -> None:  # noqa: B008 - immutable
        self.size = size
        self.dice = dice
        self.manner = manner
        self.scene: Scene = dice.of("scene").one(vocabulary.SCENES)
        self.detailed = min(size) >= DETAIL_SIDE_MIN or manner.density > 0

    @cached_property
    def faces(self) -> list[Face]:
        """None to four, the surest first."""
        dice = self.dice.of("faces")
        if self.manner.density:
            return invent_faces(self.manner.density, self.size, dice)
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
        """None to two brands, or as many as the density asks for."""
        dice = self.dice.of("logos")
        if self.manner.density:
            return [name for name, _ in self.many(vocabulary.LOGOS, dice)]
        if not self.detailed or self.scene.name not in vocabulary.SCENES_WITH_LOGOS or dice.chance(0.4):
            return []
        return dice.some(vocabulary.LOGOS, dice.whole(1, 2))

    @cached_property
    def written(self) -> bool:
        """Whether there is something to read."""
        if self.manner.density or (self.manner.scripts and self.detailed):
            return True
        return self.detailed and (self.scene.document or bool(self.logos) or self.dice.of("written").chance(0.6))

    def signs(self, language: str | None) -> list[tuple[str, str]]:
        """What is written: signs, each with its language, in the vocabulary's notation: "/" ends a line, "//" a paragraph, "///" a block.

        ``language`` is one of the vocabulary's; None leaves it to the settings.
        """
        dice = self.dice.of("text")
        signs: list[tuple[str, str]] = []
        if language is None and self.manner.scripts:
            for script in [*self.manner.scripts, *(dice.one(self.manner.scripts) for _ in range(3 - len(self.manner.scripts)))]:
                code, phrases = dice.one(vocabulary.SCRIPTS[script])
                signs.append((code, dice.one(phrases)))
        elif language in (None, vocabulary.ENGLISH):
            texts = [dice.one(self.scene.texts), *(logo.upper() for logo in self.logos[:SIGNS_OF_LOGOS_MAX])]
            signs = [(vocabulary.ENGLISH, part) for sign in texts for part in sign.split("///")]
        else:
            signs = [(language, phrase) for phrase in dice.some(vocabulary.PHRASES[language], 3)]
        return self._dense(signs, language, dice)

    def _dense(self, signs: list[tuple[str, str]], language: str | None, dice: Dice) -> list[tuple[str, str]]:
        """The signs and as many more as make up the density in words."""
        missing = self.manner.density - sum(len(WORDS.findall(sign)) for _, sign in signs)
        if missing <= 0:
            return signs
        if language is None and self.manner.scripts:
            more = [(code, phrase) for script in self.manner.scripts for code, phrases in vocabulary.SCRIPTS[script] for phrase in phrases]
        elif language in (None, vocabulary.ENGLISH):
            more = [(vocabulary.ENGLISH, sign) for scene in vocabulary.SCENES for sign in scene.texts if "///" not in sign]
        else:
            more = [(language, phrase) for phrase in vocabulary.PHRASES[language]]
        while missing > 0:
            signs.append(dice.one(more))
            missing -= len(WORDS.findall(signs[-1][1]))
        return signs

    def many(self, names: Iterable[str], dice: Dice) -> list[tuple[str, str]]:
        """Names with their ids, as many as the density asks for: these, then all of the scenes, then kinds of all of these."""
        count = self.manner.density
        known = list(dict.fromkeys(names))
        if len(known) < count:
            others = [name for scene in vocabulary.SCENES for name in scene.labels if name not in known]
            known += dice.some(list(dict.fromkeys(others)), count - len(known))
        entries = [(name, mid(name)) for name in known]
        for kind in vocabulary.KINDS:
            if len(entries) >= count:
                break
            entries += [(name, newer_mid(name)) for name in (f"{kind} {word.lower()}" for word in known) if name not in known]
        return entries[:count]

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


WORDS: Final = re.compile(r"[^\s/|]+")  # of the vocabulary's notation


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
        for logo, score in zip(sketch.logos[:limit], scores, strict=False)
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
    named = [(name, mid(name)) for name in dict.fromkeys(names)]
    if sketch.manner.density > len(named):
        named = sketch.many(names, sketch.dice.of("many labels"))
    entries: list[Fields] = []
    scores = dice.falling(len(named), dice.between(0.93, 0.995), 0.5)
    for (name, name_mid), score in zip(named[:limit], scores, strict=False):
        entry = {"mid": name_mid, "description": name, "score": score}
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
    hints = (known_language(hint) for hint in context.language_hints)
    asked = next((hint for hint in hints if hint), None)
    signs = sketch.signs(asked)
    dice = sketch.dice.of(f"page {signs[0][0] if asked or not sketch.manner.scripts else 'of scripts'}")
    sure = dice.between(0.8, 1)
    languages = {code: text.Language(code, sure, spaced=code not in vocabulary.UNSPACED) for code, _ in signs}
    language_of: dict[int, text.Language] = {}  # by the paragraph's identity: they all live until the answer is made
    regions = []
    for cell, frame, group in _cells(sketch, signs, dice):
        blocks = [_words(sign, languages[code]) for code, sign in group]
        leftward = {number for number, (code, _) in enumerate(group) if code in vocabulary.LEFTWARD}
        for (code, _), block in zip(group, text.typeset(blocks, cell, dice, leftward), strict=True):
            language_of |= {id(paragraph): languages[code] for paragraph in block}
            regions.append(text.Region(block, frame) if frame is not None else text.Region(block))
    return text.annotation(regions, sketch.size, lambda paragraph: language_of[id(paragraph)], confidences=confidences)


def known_language(hint: str) -> str | None:
    """The language of the vocabulary that a hint means, a region or a script aside."""
    code = hint.partition("-")[0].lower()
    code = vocabulary.OTHER_CODES.get(code, code)
    return code if code == vocabulary.ENGLISH or code in vocabulary.PHRASES else None


def _words(sign: str, language: text.Language) -> list[list[list[str]]]:
    """The paragraphs of lines of words of a sign."""
    separator = None if language.spaced else "|"
    return [[line.split(separator) for line in paragraph.split("/")] for paragraph in sign.split("//")]


def _cells(
    sketch: Sketch, signs: list[tuple[str, str]], dice: Dice
) -> Iterable[tuple[tuple[int, int], Frame | None, list[tuple[str, str]]]]:
    """The parts of the picture that signs are set in, in reading order: a part's size, how it lies, and the signs in it.

    One that holds everything, or columns of a manageable length, or in a picture with rotated text one for each sign.
    """
    manner, (width, height) = sketch.manner, sketch.size
    turned = manner.rotated > 0 and sketch.dice.of("rotated").chance(manner.rotated)
    if turned:
        groups = [[sign] for sign in signs]
    else:
        groups = [[]]
        rows = 0
        for sign in signs:
            more = sign[1].replace("//", "/").count("/") + 2
            if rows + more > CELL_ROWS_MAX and groups[-1]:
                groups.append([])
                rows = 0
            groups[-1].append(sign)
            rows += more
    if len(groups) == 1 and not turned:
        yield sketch.size, None, groups[0]
        return
    columns = math.isqrt(len(groups)) if turned else math.isqrt(max(1, 2 * len(groups) - 1))
    lines = -(-len(groups) // columns)
    cell = (max(1, width // columns), max(1, height // lines))
    turns = dice.of("turns")
    for number, group in enumerate(groups):
        row, column = divmod(number, columns)
        size, frame = _turn(cell, turns) if turned else (cell, Frame())
        yield size, Frame(column * width / columns, row * height / lines).after(frame), group


def _turn(cell: tuple[int, int], dice: Dice) -> tuple[tuple[int, int], Frame]:
    """A page inside a part of the picture: its size, and its frame: turned by 90, 180 or 270 degrees, or by an odd angle and as small
    as that needs."""
    width, height = cell
    kind = dice.whole(0, 4)
    if kind == 0:
        return (height, width), Frame(width - 1, 0, (0.0, 1.0), (-1.0, 0.0))
    if kind == 1:
        return cell, Frame(width - 1, height - 1, (-1.0, 0.0), (0.0, -1.0))
    if kind == 2:
        return (height, width), Frame(0, height - 1, (0.0, -1.0), (1.0, 0.0))
    tangent = dice.between(0.03, LEAN_MAX) * (1 if dice.chance(0.5) else -1)  # of half the angle, so that no library's sine is needed
    cosine, sine = (1 - tangent * tangent) / (1 + tangent * tangent), 2 * tangent / (1 + tangent * tangent)
    scale = min(width / (width * cosine + height * abs(sine)), height / (width * abs(sine) + height * cosine))
    right, down = (scale * cosine, scale * sine), (-scale * sine, scale * cosine)
    x = width / 2 - width / 2 * right[0] - height / 2 * down[0]
    y = height / 2 - width / 2 * right[1] - height / 2 * down[1]
    return cell, Frame(x, y, right, down)


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
    names = list(dict.fromkeys([*named, *dice.some(sketch.scene.entities, dice.whole(4, 8))]))
    entities = [(name, mid(name)) for name in names]
    if sketch.manner.density > len(entities):
        entities = sketch.many(names, sketch.dice.of("many entities"))
    scores = dice.falling(len(entities), dice.between(0.8, 1.6), 0.2)
    guess = sketch.sight.name.lower() if sketch.sight else sketch.scene.guess
    slug = guess.replace(" ", "-").replace("'", "")

    def images(most: int) -> list[Fields]:
        hosts = ("www.example.com", "img.example.org", "cdn.example.net")
        count = max(dice.whole(0, most), sketch.manner.density)
        return [{"url": f"https://{dice.one(hosts)}/{slug}/{dice.hex(8)}.jpg"} for _ in range(min(count, max(most, limit)))]

    full, partial = images(3), images(4)
    pages = []
    for matching, field in ((full, "full_matching_images"), (partial, "partial_matching_images")):
        for image in matching:
            title = f"{guess.capitalize()} - <b>{dice.one(names)}</b>"
            pages.append({"url": f"https://www.example.com/articles/{slug}-{dice.hex(4)}", "page_title": title, field: [image]})
    return {
        "web_detection": {
            "web_entities": [
                {"entity_id": entity_id, "score": round(score, 4), "description": name}
                for (name, entity_id), score in zip(entities[:limit], scores, strict=False)
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
    things = dice.some(others, dice.whole(1, 4))
    things += [dice.one(others or sketch.scene.objects) for _ in range(sketch.manner.density - len(found) - len(things))]
    found += [(name, share_box(dice, 0.15, 0.6)) for name in things]
    scores = dice.falling(len(found), 0.97, 0.5)
    entries = [
        {"mid": mid(name), "name": name, "score": score, "bounding_poly": normalized_poly(*box)}
        for (name, box), score in zip(found[:limit], scores, strict=False)
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
