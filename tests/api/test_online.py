"""BatchAnnotateImages as a user sees it: up to 16 images, answered inline, each in its slot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from batches import LABELS, SAMPLES, image
from transports import Api, Files, Refused

from pictures import drawn
from plain import PLAIN
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code
from vision_emulator.contract.messages import Feature

TEXT = {"type": Feature.TEXT_DETECTION}
WRITTEN = drawn(3)  # one in which the synthetic annotator reads something
DOCUMENT = {"type": Feature.DOCUMENT_TEXT_DETECTION}
KNOWN = "http://127.0.0.1:1/known.jpg"  # where nobody listens
RULES = [
    {"match": {"uri": KNOWN}, "response": {"labelAnnotations": [{"mid": "/m/0", "description": "Given", "score": 0.9}]}},
    {
        "match": {"uri": "gs://inputs/twelve.jpg"},
        "response": {"labelAnnotations": [{"description": f"L{n}", "score": 1} for n in range(12)]},
    },
]
NOT_ACCESSIBLE = "The URL does not appear to be accessible by us. Please double check or download the content and pass it in."
UNAVAILABLE = "We can not access the URL currently. Please download the content and pass it in."


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    """One that knows a URL, and may fetch from this machine."""
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    config = Config(port=0, bucket=("inputs", "results"), fixtures=(tmp_path,), allow_url=("http://127.0.0.1:*/*",), settings=PLAIN)
    async with Emulator(config) as running:
        yield running


class Site:
    """A web server on loopback: /NUMBER is a drawn picture once ``barrier`` is passed, anything else has that status."""

    def __init__(self) -> None:
        self.barrier = asyncio.Barrier(1)
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path)
        kind, _, value = request.path[1:].partition("/")
        if kind == "status":
            return web.Response(status=int(value))
        await self.barrier.wait()
        return web.Response(body=drawn(int(value)) if kind == "picture" else b"no picture")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


def inline(data: bytes, *features: dict[str, Any], **context: Any) -> dict[str, Any]:
    return {"image": {"content": data}, "features": list(features or [LABELS]), "image_context": context}


async def annotate(api: Api, *requests: dict[str, Any], **fields: Any) -> list[Any]:
    """The slots of one call."""
    return list((await api("BatchAnnotateImages", {"requests": requests, **fields})).message.responses)


async def refusal(api: Api, *requests: dict[str, Any], **fields: Any) -> str:
    """The text with which a call is refused as a whole."""
    with pytest.raises(Refused) as refused:
        await annotate(api, *requests, **fields)
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert refused.value.details == []
    return refused.value.message


# ---- how many ----


async def test_16_images_pass_and_17_are_refused_whole(api: Api) -> None:
    """The bound from both sides; the slots stand in the order of the requests."""
    alone = [(await annotate(api, inline(drawn(number))))[0] for number in range(16)]
    assert await annotate(api, *(inline(drawn(number)) for number in range(16))) == alone
    assert len({tuple(label.description for label in response.label_annotations) for response in alone}) > 1
    assert await refusal(api, *[inline(drawn())] * 17) == "Too many images per request"


async def test_no_image_is_no_error(api: Api) -> None:
    """An empty call has an empty answer."""
    assert await annotate(api) == []


async def test_the_images_of_a_call_are_read_side_by_side(api: Api, site: Site) -> None:
    """Sixteen images whose server answers only when all have been asked for are answered, in order."""
    site.barrier = asyncio.Barrier(16)
    responses = await annotate(api, *(image(f"{site.url}/picture/{number}") for number in range(16)))
    site.barrier = asyncio.Barrier(1)
    assert responses == [(await annotate(api, inline(drawn(number))))[0] for number in range(16)]


# ---- where from ----


async def test_inline_storage_and_web_are_the_same_picture(api: Api, files: Files, site: Site) -> None:
    """What is answered depends on the bytes, not on the way they came."""
    uri = await files.put("gs://inputs/a.jpg", drawn(3))
    by_gcs = {"image": {"source": {"gcs_image_uri": uri}}, "features": [LABELS]}
    responses = await annotate(api, inline(drawn(3)), image(uri), by_gcs, image(f"{site.url}/picture/3"))
    assert responses[0].label_annotations
    assert responses == [responses[0]] * 4


async def test_precedence(api: Api, files: Files) -> None:
    """Content wins over a source, and image_uri over gcs_image_uri; the loser is not even looked at."""
    uri = await files.put("gs://inputs/a.jpg", drawn(4))
    expected = await annotate(api, inline(drawn(3)), inline(drawn(4)))
    both = {"image": {"content": drawn(3), "source": {"image_uri": "gs://inputs/none.jpg"}}, "features": [LABELS]}
    uris = {"image": {"source": {"image_uri": uri, "gcs_image_uri": "nonsense"}}, "features": [LABELS]}
    assert await annotate(api, both, uris) == expected


async def test_web_images(api: Api, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be had is the slot's error: code 3 when it never will be, 14 when it may; one that is not allowed says in the log how."""
    uris = [f"{site.url}/{path}" for path in ("picture/1", "status/404", "status/503", "text")]
    uris += ["http://example.com/a.jpg", "http://localhost:1/a.jpg", "http://127.0.0.1:1/a.jpg", "ftp://example.com/a.jpg", "a.jpg"]
    responses = await annotate(api, *(image(uri) for uri in uris))
    assert [(response.error.code, response.error.message) for response in responses] == [
        (0, ""),
        (3, NOT_ACCESSIBLE),
        (14, UNAVAILABLE),
        (3, "Bad image data."),
        (3, NOT_ACCESSIBLE),
        (3, NOT_ACCESSIBLE),
        (14, UNAVAILABLE),
        (3, NOT_ACCESSIBLE),
        (3, NOT_ACCESSIBLE),
    ]
    assert [bool(response.label_annotations) for response in responses] == [True] + [False] * 8
    assert "--allow-url 'http://example.com/*'" in caplog.text


async def test_a_url_that_a_fixture_names_is_not_fetched(api: Api) -> None:
    """The given answer stands for a URL behind which nothing is."""
    (response,) = await annotate(api, image(KNOWN))
    assert [label.description for label in response.label_annotations] == ["Given"]


async def test_what_is_wrong_with_one_image_stays_in_its_slot(api: Api, files: Files) -> None:
    """Errors per image come with an answered call, in slots that hold nothing else."""
    good = await files.put("gs://inputs/good.jpg", drawn())
    gcs = {"image": {"source": {"gcs_image_uri": "https://example.com/a.jpg"}}, "features": [LABELS]}
    requests = [image(good), image("gs://inputs/none.jpg"), image("gs://nowhere/a.jpg"), gcs, inline(b"no picture"), image(good)]
    responses = await annotate(api, *requests)
    assert [(response.error.code, response.error.message) for response in responses] == [
        (0, ""),
        (5, "Error opening file: gs://inputs/none.jpg."),
        (7, "Error opening file: gs://nowhere/a.jpg."),
        (3, "Invalid GCS path specified: https://example.com/a.jpg"),
        (3, "Bad image data."),
        (0, ""),
    ]
    assert [response.HasField("error") for response in responses] == [False, True, True, True, True, False]
    assert all([field.name for field, _ in response.ListFields()] == ["error"] for response in responses[1:5])
    assert responses[0] == responses[5]


# ---- what is refused as a whole ----

GOOD = inline(drawn())
INCOMPLETE = "Request must specify image and features."
LABEL = "Keys and values have at most 63 characters: lowercase letters, digits, underscores and dashes; keys start with a letter."
MODELS = "Supported are builtin/stable, builtin/latest, builtin/weekly, builtin/rc and builtin/legacy."
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an empty element": ({"requests": [GOOD, {}]}, INCOMPLETE),
    "no image": ({"requests": [{"features": [LABELS]}]}, INCOMPLETE),
    "an image of nothing": ({"requests": [{"image": {}, "features": [LABELS]}]}, INCOMPLETE),
    "empty content": ({"requests": [inline(b"")]}, INCOMPLETE),
    "an empty source": ({"requests": [{"image": {"source": {}}, "features": [LABELS]}]}, INCOMPLETE),
    "empty URIs": ({"requests": [{"image": {"source": {"image_uri": "", "gcs_image_uri": ""}}, "features": [LABELS]}]}, INCOMPLETE),
    "no features": ({"requests": [{"image": {"content": b"x"}}]}, INCOMPLETE),
    "a feature without type": ({"requests": [inline(b"x", {})]}, "Unsupported feature type: 0."),
    "an unknown feature": ({"requests": [inline(b"x", {"type": 13})]}, "Unsupported feature type: 13."),
    "an unknown model": (
        {"requests": [inline(b"x", {"type": 4, "model": "builtin/best"})]},
        f"Unsupported model: 'builtin/best'. {MODELS}",
    ),
    "a model in other case": (
        {"requests": [inline(b"x", {"type": 4, "model": "Builtin/stable"})]},
        f"Unsupported model: 'Builtin/stable'. {MODELS}",
    ),
    "an upper-case label": ({"labels": {"Team": "a"}}, f"Invalid label 'Team': 'a'. {LABEL}"),
    "an upper-case label value": ({"labels": {"team": "A"}}, f"Invalid label 'team': 'A'. {LABEL}"),
    "a label without key": ({"labels": {"": "a"}}, f"Invalid label '': 'a'. {LABEL}"),
    "a label that starts with a digit": ({"labels": {"1a": ""}}, f"Invalid label '1a': ''. {LABEL}"),
    "a label with a dot": ({"labels": {"a.b": ""}}, f"Invalid label 'a.b': ''. {LABEL}"),
    "a label of 64 characters": ({"labels": {"a" * 64: ""}}, f"Invalid label '{'a' * 64}': ''. {LABEL}"),
    "a label value of 64 characters": ({"labels": {"a": "b" * 64}}, f"Invalid label 'a': '{'b' * 64}'. {LABEL}"),
    "a parent of another kind": (
        {"parent": "folders/1"},
        "Invalid parent: folders/1. Expected projects/PROJECT or projects/PROJECT/locations/LOCATION.",
    ),
    "a location that annotates nothing": (
        {"parent": "projects/p/locations/us-east1"},
        "Invalid parent: projects/p/locations/us-east1. Supported locations are us, eu and asia.",
    ),
    "a location in other case": (
        {"parent": "projects/p/locations/EU"},
        "Invalid parent: projects/p/locations/EU. Supported locations are us, eu and asia.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_as_a_whole(api: Api, case: str) -> None:
    """A call that cannot be right is INVALID_ARGUMENT with the catalogue's text, the same on every transport."""
    fields, message = REFUSED[case]
    assert (
        await refusal(api, *fields.get("requests", [GOOD]), **{name: value for name, value in fields.items() if name != "requests"})
        == message
    )


@pytest.mark.parametrize("parent", ["", "projects/p", "projects/p/locations/us", "projects/p/locations/eu", "projects/p/locations/asia"])
async def test_parents(api: Api, files: Files, parent: str) -> None:
    """Every documented parent is taken, online and offline; an operation is named after it."""
    assert (await annotate(api, GOOD, parent=parent))[0].label_annotations
    uri = await files.put("gs://inputs/a.jpg", drawn())
    request = {"parent": parent, "requests": [image(uri)], "output_config": {"gcs_destination": {"uri": "gs://results/"}}}
    name = (await api("AsyncBatchAnnotateImages", request)).message.name
    assert name.rpartition("/operations/")[0] == (parent or "projects/vision-emulator")


async def test_labels_of_a_request(api: Api) -> None:
    """Labels within the documented rules are taken and change nothing."""
    labels = {"a" * 63: "b" * 63, "team": "", "größe": "1_ü-x"}
    assert await annotate(api, GOOD, labels=labels) == await annotate(api, GOOD)


@pytest.mark.parametrize(
    "model", ["", "builtin/stable", "builtin/latest", "builtin/weekly", "builtin/rc", "builtin/legacy", "builtin/legacy_20190601"]
)
async def test_models(api: Api, model: str) -> None:
    """Every model that was ever documented is taken."""
    assert await annotate(api, inline(drawn(), LABELS | {"model": model})) == await annotate(api, GOOD)


# ---- features and their number of results ----


@pytest.mark.parametrize(
    ("asked", "answered"), [([{}], 10), ([{"max_results": 0}], 10), ([{"max_results": -1}], 10), ([{"max_results": -(2**31)}], 10)]
)
async def test_no_number_of_results_is_ten(api: Api, asked: list[dict[str, int]], answered: int) -> None:
    """Unset, zero and negative mean the default."""
    (response,) = await annotate(api, image("gs://inputs/twelve.jpg", *(LABELS | each for each in asked)))
    assert len(response.label_annotations) == answered


@pytest.mark.parametrize(
    ("asked", "answered"),
    [([1], 1), ([12], 12), ([50], 12), ([2**31 - 1], 12), ([2, 3], 3), ([3, 2], 3), ([3, 0], 10), ([0, 11], 11), ([5, 5, 5], 5)],
)
async def test_numbers_of_results(api: Api, asked: list[int], answered: int) -> None:
    """A list is cut to max_results; of a feature asked for twice the larger number counts."""
    (response,) = await annotate(api, image("gs://inputs/twelve.jpg", *(LABELS | {"max_results": most} for most in asked)))
    assert [label.description for label in response.label_annotations] == [f"L{n}" for n in range(answered)]


async def test_document_text_wins_over_text(api: Api) -> None:
    """Both readings of one image are one, with confidences, in whichever order they are asked for."""
    expected = await annotate(api, inline(WRITTEN, DOCUMENT))
    for features in ((TEXT, DOCUMENT), (DOCUMENT, TEXT), (DOCUMENT, TEXT, DOCUMENT)):
        assert await annotate(api, inline(WRITTEN, *features)) == expected


async def test_text_is_not_cut(api: Api) -> None:
    """max_results does not apply to text, crop hints, colours and safe search (documented)."""
    features = [TEXT, {"type": Feature.CROP_HINTS}, {"type": Feature.IMAGE_PROPERTIES}, {"type": Feature.SAFE_SEARCH_DETECTION}]
    ratios = {"crop_hints_params": {"aspect_ratios": [1, 2, 3]}}
    (whole,) = await annotate(api, inline(WRITTEN, *features, **ratios))
    (cut,) = await annotate(api, inline(WRITTEN, *(feature | {"max_results": 1} for feature in features), **ratios))
    assert cut == whole
    assert len(whole.text_annotations) > 2


# ---- image context ----


async def test_language_hints(api: Api) -> None:
    """A documented hint is followed; an unknown one is the image's error where text is read, and nobody's business elsewhere."""
    requests = [
        inline(WRITTEN, TEXT, language_hints=["ja"]),
        inline(WRITTEN, TEXT, language_hints=["en-GB", "xx"]),
        inline(WRITTEN, DOCUMENT, LABELS, language_hints=["english"]),
        inline(WRITTEN, language_hints=["xx"]),
        inline(WRITTEN, TEXT, language_hints=["", "en-t-i0-handwrit"]),
    ]
    responses = await annotate(api, *requests)
    assert [response.error.message for response in responses] == [
        "",
        "Unsupported language hint: 'xx'.",
        "Unsupported language hint: 'english'.",
        "",
        "",
    ]
    assert [response.error.code for response in responses] == [0, 3, 3, 0, 0]
    assert responses[0].text_annotations[0].locale == "ja"
    assert not responses[2].label_annotations
    assert responses[3].label_annotations


async def test_crop_ratios(api: Api) -> None:
    """One hint per ratio in order, the seventeenth ignored; without any, one of the whole image, as for a ratio of zero or less."""
    crops = {"type": Feature.CROP_HINTS}

    async def corners(*ratios: float) -> list[tuple[int, int]]:
        (response,) = await annotate(api, inline(drawn(), crops, crop_hints_params={"aspect_ratios": ratios}))
        polys = [hint.bounding_poly.vertices for hint in response.crop_hints_annotation.crop_hints]
        return [(poly[2].x - poly[0].x + 1, poly[2].y - poly[0].y + 1) for poly in polys]

    assert await corners() == await corners(0) == await corners(-2.5) == [(160, 120)]
    assert await corners(1, 2, 0.5) == [(120, 120), (160, 80), (60, 120)]
    assert await corners(*[1] * 16, 2) == [(120, 120)] * 16
    assert await corners(1e-38, 3e38) == [(1, 120), (160, 1)]


async def test_the_confidence_switch(api: Api) -> None:
    """TEXT_DETECTION has confidences only when asked for, DOCUMENT_TEXT_DETECTION always."""
    switch = {"text_detection_params": {"enable_text_detection_confidence_score": True, "advanced_ocr_options": ["legacy_layout"]}}
    requests = [inline(WRITTEN, TEXT), inline(WRITTEN, TEXT, **switch), inline(WRITTEN, DOCUMENT)]
    pages = [response.full_text_annotation.pages[0] for response in await annotate(api, *requests)]
    assert [page.confidence > 0 for page in pages] == [False, True, True]
    assert [page.blocks[0].paragraphs[0].words[0].symbols[0].confidence > 0 for page in pages] == [False, True, True]


async def test_what_is_taken_and_ignored(api: Api) -> None:
    """Fields without effect by their documentation have none."""
    features = [LABELS, {"type": Feature.WEB_DETECTION}, {"type": Feature.LANDMARK_DETECTION}]
    place = {"lat_long_rect": {"min_lat_lng": {"latitude": -999}, "max_lat_lng": {"longitude": 999}}}
    web_params = {"web_detection_params": {"include_geo_results": True}}
    responses = await annotate(api, inline(drawn(), *features), inline(drawn(), *features, **place, **web_params))
    assert responses[0] == responses[1]


async def test_product_search_takes_its_parameters(api: Api) -> None:
    """Without parameters the feature does not fail the image, since clients ask for all features at once; with them they are followed."""
    products = {"type": Feature.PRODUCT_SEARCH}
    params = {
        "product_set": "projects/p/locations/us-west1/productSets/s",
        "product_categories": ["toys-v2", "apparel-v2"],
        "filter": "color=red",
    }
    plain, with_params = await annotate(api, inline(drawn(), products), inline(drawn(), products, product_search_params=params))
    assert not plain.HasField("error")
    results = with_params.product_search_results.results
    assert results
    assert {result.product.product_category for result in results} == {"toys-v2"}
    assert all(result.product.name.startswith("projects/p/locations/us-west1/products/") for result in results)


async def test_who_answered_is_disclosed(api: Api) -> None:
    """The answer says which annotator answered how many features."""
    requests = [image(KNOWN), inline(drawn(), LABELS, TEXT), image(SAMPLES + "image3.jpg", {"type": Feature.OBJECT_LOCALIZATION})]
    answer = await api("BatchAnnotateImages", {"requests": requests})
    assert answer.metadata["x-vision-emulator-annotators"] == "fixtures=2,synthetic=2"
