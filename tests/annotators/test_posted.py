"""The annotator ``http``: what it posts, what it makes of each kind of answer, and what it says of settings it cannot use."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from documents import text_pdf
from pictures import drawn
from vision_emulator.annotators import Settings, SettingsError, load
from vision_emulator.app import core
from vision_emulator.config import Config
from vision_emulator.contract.messages import (
    AnnotateImageResponse,
    BatchAnnotateFilesRequest,
    BatchAnnotateImagesRequest,
)
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
IMAGES = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
FILES = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateFiles"]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A small server of the user's, and its URL."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/annotate"
    finally:
        await runner.cleanup()


async def annotated(url: str, *features: dict[str, Any], images: int = 1, context: Any = None, **settings: Any) -> Any:
    """The responses of a core whose only annotator posts to ``url``."""
    config = Config(annotators=("http",), settings={"http": {"url": url, **settings}})
    async with core(config, SystemClock(), Chance()) as (vision, _):
        element = {"image": {"content": drawn()}, "features": features or [{"type": "LABEL_DETECTION"}], "image_context": context or {}}
        return (await vision.call(Call(IMAGES, BatchAnnotateImagesRequest(requests=[element] * images), {}))).responses


def answering(status: int, body: Any) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())

    return handler


async def test_a_picture_is_posted_as_the_api_writes_a_request() -> None:
    """The server sees an AnnotateImageRequest as JSON with the image's bytes and the headers of the settings; its answer is the image's."""
    seen: list[tuple[Any, Any]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.headers, json.loads(await request.read())))
        return web.json_response({"labelAnnotations": [{"description": "Cat", "score": 0.5}], "vendorField": 1})

    async with serving(handler) as url:
        [response] = await annotated(
            url,
            {"type": "LABEL_DETECTION", "max_results": 3},
            context={"language_hints": ["de"]},
            headers={"Authorization": "Bearer abc"},
        )
    assert response == AnnotateImageResponse(label_annotations=[{"description": "Cat", "score": 0.5}])
    [(headers, body)] = seen
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer abc", "application/json")
    assert b64decode(body.pop("image")["content"]) == drawn()
    assert body == {"features": [{"type": "LABEL_DETECTION", "maxResults": 3}], "imageContext": {"languageHints": ["de"]}}


async def test_only_its_features_are_posted() -> None:
    """With ``features`` the rest goes to whoever is asked next, and nothing at all is posted for it."""
    async with serving(answering(200, {"labelAnnotations": [{"description": "x"}]})) as url:
        [response] = await annotated(url, {"type": "LABEL_DETECTION"}, {"type": "LOGO_DETECTION"}, features="LABEL_DETECTION")
        assert response == AnnotateImageResponse(label_annotations=[{"description": "x"}])
        [response] = await annotated(url + "/never", {"type": "LOGO_DETECTION"}, features=["LABEL_DETECTION"])
        assert response == AnnotateImageResponse()


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (200, b"no json", 13, "Internal server error. Error processing features."),
        (200, [1], 13, "Internal server error. Error processing features."),
        (200, {"labelAnnotations": 7}, 13, "Internal server error. Error processing features."),
        (200, {"error": {"code": 3, "message": "Too dark."}}, 3, "Too dark."),
        (400, {"error": {"code": 400, "message": "No cat.", "status": "INVALID_ARGUMENT"}}, 3, "No cat."),
        (404, b"nothing here", 5, "The server that was asked answered with status 404."),
        (429, {"error": "slow down"}, 8, "The server that was asked answered with status 429."),
        (302, b"", 13, "The server that was asked answered with status 302."),
        (500, {"error": {"message": "x" * 400}}, 13, "x" * 300),
        (418, b"tea", 13, "The server that was asked answered with status 418."),
    ],
)
async def test_any_other_answer_is_the_images_error(status: int, body: Any, code: int, message: str) -> None:
    """A refusal in the server's words where it has any; what is no answer is a bug of that server, told in the log."""
    async with serving(answering(status, body)) as url:
        [response] = await annotated(url)
    assert (response.error.code, response.error.message) == (code, message)


async def test_no_redirect_is_followed() -> None:
    """The headers of the settings are meant for the URL of the settings, and for no other that a server names."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        if request.path == "/annotate":
            return web.Response(status=307, headers={"Location": "/other"})
        return web.json_response({"labelAnnotations": [{"description": "x"}]})

    async with serving(handler) as url:
        [response] = await annotated(url)
    assert response.error.message == "The server that was asked answered with status 307."


async def test_a_server_that_is_gone_or_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody there, or no answer in time: UNAVAILABLE for the image, and the log says which."""
    async with serving(answering(200, {})) as url:
        pass
    [response] = await annotated(url)
    assert response.error.code == 14
    assert f"annotator http: {url} could not be asked: " in caplog.text

    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        del request
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(silent) as url:
        [response] = await annotated(url, timeout=0.05)
    assert response.error.code == 14
    assert f"annotator http: {url} did not answer in 0.05 s" in caplog.text


async def test_as_many_at_once_as_the_settings_say() -> None:
    """A user's server is asked ``at_once`` pictures at a time, however many a batch has."""
    now = most = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal now, most
        await request.read()
        now += 1
        most = max(most, now)
        for _ in range(20):
            await asyncio.get_running_loop().run_in_executor(None, int)
        now -= 1
        return web.json_response({})

    async with serving(handler) as url:
        await annotated(url, images=12, at_once=2)
    assert most == 2


async def test_a_page_is_posted_as_a_picture() -> None:
    """Any server can read what is sent of a PDF, and the boxes it answers lie where they belong on the page."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        import io

        from PIL import Image

        content = b64decode(json.loads(await request.read())["image"]["content"])
        with Image.open(io.BytesIO(content)) as image:
            corners = [{"x": 0, "y": 0}, {"x": image.width // 2, "y": image.height // 4}]
        return web.json_response({"logoAnnotations": [{"description": "x", "boundingPoly": {"vertices": corners}}]})

    async with serving(handler) as url:
        config = Config(annotators=("http",), settings={"http": {"url": url}})
        async with core(config, SystemClock(), Chance()) as (vision, _):
            document = {"content": text_pdf(), "mime_type": "application/pdf"}
            request = BatchAnnotateFilesRequest(requests=[{"input_config": document, "features": [{"type": "LOGO_DETECTION"}]}])
            answer: Any = await vision.call(Call(FILES, request, {}))
    corners = answer.responses[0].responses[0].logo_annotations[0].bounding_poly.normalized_vertices
    assert [(corner.x, corner.y) for corner in corners] == [(0, 0), (pytest.approx(0.5, abs=0.01), pytest.approx(0.25, abs=0.01))]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "settings.http: url is missing: say where to post, as in --setting http.url=http://localhost:9000/annotate"),
        ({"url": "localhost:9000"}, "settings.http: url: 'localhost:9000' is no address; write it as http://HOST:PORT/PATH"),
        ({"url": 7}, "settings.http: url: 7 is no text; put it in quotes"),
        ({"url": "http://a", "features": "LABELS"}, "settings.http: features: LABELS is no feature; use FACE_DETECTION, "),
        ({"url": "http://a", "features": "LABEL"}, "settings.http: features: LABEL is no feature; "),
        ({"url": "http://a", "features": 1}, "settings.http: features: 1 is no list of features; use for example LABEL_DETECTION,"),
        ({"url": "http://a", "timeout": 0}, "settings.http: timeout: 0 is no number of seconds; use more than 0, up to 3600"),
        ({"url": "http://a", "at_once": "x"}, "settings.http: at_once: 'x' is no number of questions; use 1 to 256"),
        (
            {"url": "http://a", "headers": {"A": 1}},
            'settings.http: headers: a table of texts is needed, as in headers = {Authorization = "',
        ),
        ({"uri": "http://a"}, "settings.http.uri is no setting; did you mean url?"),
    ],
)
def test_settings_that_cannot_be_used(table: Any, said: str) -> None:
    """What is wrong with a setting is said at the start, with what would do."""
    with pytest.raises(SettingsError) as caught:
        load(["http"], Settings(), {"http": table})
    assert str(caught.value).startswith(said)
