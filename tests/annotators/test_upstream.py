"""The annotator ``upstream`` with a second emulator as the other Vision: record, replay, spy and diff, over REST and gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from documents import text_pdf
from pictures import drawn
from vision_emulator.annotators import Picture, Settings, SettingsError, load
from vision_emulator.annotators.upstream import Upstream
from vision_emulator.annotators.upstream.differences import found
from vision_emulator.annotators.upstream.recordings import Recordings
from vision_emulator.app import Emulator, core
from vision_emulator.config import Config
from vision_emulator.contract.messages import (
    AnnotateImageResponse,
    BatchAnnotateFilesRequest,
    BatchAnnotateImagesRequest,
    Feature,
    ImageContext,
)
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, SystemClock
from wire import ask, eventually

IMAGES = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
FILES = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateFiles"]
LABELS, LOGOS, TEXT, CROPS, COLOURS = (
    {"type": name} for name in ("LABEL_DETECTION", "LOGO_DETECTION", "TEXT_DETECTION", "CROP_HINTS", "IMAGE_PROPERTIES")
)
KEY = "AIzaSyThisIsNoKey"
SQUARE = {"vertices": [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}, {"x": 1, "y": 9}]}
HINTS = {"cropHints": [{"boundingPoly": SQUARE, "confidence": 0.5}]}
TEXTS = {"textAnnotations": [{"description": "Stop"}], "fullTextAnnotation": {"text": "Stop", "pages": [{"width": 9}]}}
ANSWERS = [
    {
        "match": {"uri": "*"},
        "response": {
            "labelAnnotations": [{"description": name, "score": 0.5} for name in ("Cat", "Pet", "Animal", "Mammal")],
            "logoAnnotations": [{"description": "Acme", "boundingPoly": SQUARE}],
            "imagePropertiesAnnotation": {"dominantColors": {"colors": [{"color": {"red": 7}, "score": 1}]}},
            "cropHintsAnnotation": HINTS,
            **TEXTS,
        },
    }
]


@dataclass
class Other:
    """The other Vision, and how often it was called."""

    emulator: Emulator

    @property
    def endpoints(self) -> Mapping[str, str]:
        return {"http": self.emulator.url, "grpc": f"grpc://{self.emulator.address}"}

    @property
    def calls(self) -> int:
        return sum(1 for entry in self.emulator.vision.journal if entry.method.endswith("BatchAnnotateImages"))


@asynccontextmanager
async def other(tmp_path: Path, rules: Sequence[Any] = ANSWERS, **options: Any) -> AsyncIterator[Other]:
    answers = tmp_path / "answers"
    answers.mkdir(exist_ok=True)
    (answers / "rules.json").write_text(json.dumps(list(rules)))
    async with Emulator(Config(port=0, fixtures=(answers,), seed=7, bucket=("photos",), **options)) as emulator:
        yield Other(emulator)


async def annotated(
    *features: Any, settings: Mapping[str, Any], annotators: str = "upstream", image: Any = None, context: Any = None
) -> AnnotateImageResponse:
    """What one image is answered by a core with these settings of the upstream."""
    [response] = await all_annotated([image or {"content": drawn()}], *features, settings=settings, annotators=annotators, context=context)
    return response


async def all_annotated(images: Sequence[Any], *features: Any, settings: Any, annotators: str = "upstream", context: Any = None) -> Any:
    config = Config(annotators=annotators, settings={"upstream": settings})  # type: ignore[arg-type]
    async with core(config, SystemClock(), Chance()) as (vision, _):
        request = [{"image": image, "features": features or [LABELS], "image_context": context or {}} for image in images]
        answer: Any = await vision.call(Call(IMAGES, BatchAnnotateImagesRequest(requests=request), {}))
        return answer.responses


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_what_was_recorded_is_replayed_when_the_upstream_is_gone(tmp_path: Path, scheme: str) -> None:
    """One recording, made over either transport, answers for good: the same picture sent another way, the features one by one."""
    folder = str(tmp_path / "recordings")
    features = (LABELS, TEXT, LOGOS, COLOURS, CROPS)
    async with other(tmp_path) as there:
        settings = {"mode": "record", "endpoint": there.endpoints[scheme], "folder": folder}
        recorded = await annotated(*features, settings=settings)
        assert there.calls == 1
        assert recorded.label_annotations
        assert recorded.full_text_annotation.text
    replay = {"mode": "replay", "folder": folder}
    assert await annotated(*features, settings=replay) == recorded
    alone = await annotated(LABELS, settings=replay)
    assert alone == AnnotateImageResponse(label_annotations=recorded.label_annotations)


async def test_only_what_is_not_recorded_is_asked_for(tmp_path: Path) -> None:
    """The second time nothing is asked, a new feature alone is; other parameters are another question, those of other features are not."""
    folder = str(tmp_path / "recordings")
    async with other(tmp_path) as there:
        settings = {"mode": "record", "endpoint": there.endpoints["http"], "folder": folder}
        first = await annotated(LABELS, settings=settings)
        assert (await annotated(LABELS, settings=settings), there.calls) == (first, 1)
        await annotated(LABELS, LOGOS, settings=settings)
        assert there.calls == 2
        assert len((await annotated({**LABELS, "max_results": 2}, settings=settings)).label_annotations) == 2
        assert there.calls == 3
        await annotated(LABELS, settings=settings, context={"language_hints": ["de"]})
        assert there.calls == 3
        await annotated(TEXT, settings=settings, context={"language_hints": ["de"]})
        await annotated(TEXT, settings=settings, context={"language_hints": ["en"]})
        await annotated(CROPS, settings=settings, context={"crop_hints_params": {"aspect_ratios": [1]}})
        await annotated(CROPS, settings=settings, context={"crop_hints_params": {"aspect_ratios": [2]}})
        assert there.calls == 7


async def test_replay_is_silent_about_the_rest(tmp_path: Path) -> None:
    """What is not recorded, in this form or at all, is the next annotator's."""
    folder = str(tmp_path / "recordings")
    async with other(tmp_path) as there:
        await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["http"], "folder": folder})
    replay = {"folder": folder}
    assert await annotated({**LABELS, "max_results": 3}, settings=replay) == AnnotateImageResponse()
    assert await annotated(LABELS, settings=replay, image={"content": drawn(2)}) == AnnotateImageResponse()
    both = await annotated(LABELS, COLOURS, settings=replay, annotators="upstream,synthetic,local")
    assert both.label_annotations[0].description == "Cat"
    assert both.HasField("image_properties_annotation")


async def test_nothing_found_is_an_answer(tmp_path: Path) -> None:
    """An empty answer is recorded and replayed as such; nobody invents what the upstream did not see."""
    folder = str(tmp_path / "recordings")
    async with other(tmp_path, [{"match": {"uri": "*"}, "response": {"labelAnnotations": []}}]) as there:
        await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["http"], "folder": folder})
    assert await annotated(LABELS, settings={"folder": folder}, annotators="upstream,synthetic") == AnnotateImageResponse()


@pytest.mark.parametrize(("code", "kept"), [("INVALID_ARGUMENT", True), ("NOT_FOUND", True), ("UNAVAILABLE", False), ("INTERNAL", False)])
async def test_an_images_own_error_is_recorded_and_a_passing_one_is_not(tmp_path: Path, code: str, kept: bool) -> None:
    """A broken image is broken for ever; an upstream that was overloaded once is asked again."""
    folder = tmp_path / "recordings"
    async with other(tmp_path, [{"match": {"uri": "*"}, "error": {"code": code, "message": "No."}}]) as there:
        response = await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["grpc"], "folder": str(folder)})
    assert response.error.message == "No."
    assert bool(list(folder.rglob("*.json"))) == kept
    if kept:
        assert await annotated(LABELS, settings={"folder": str(folder)}) == response


async def test_spy_keeps_nothing(tmp_path: Path) -> None:
    """Every question goes to the upstream, and no file is written."""
    folder = tmp_path / "recordings"
    async with other(tmp_path) as there:
        settings = {"mode": "spy", "endpoint": there.endpoints["grpc"], "folder": str(folder)}
        assert await annotated(LABELS, settings=settings) == await annotated(LABELS, settings=settings)
        assert there.calls == 2
    assert not folder.exists()


async def test_a_uri_that_only_the_upstream_can_read(tmp_path: Path) -> None:
    """An image that nobody here has is asked for by its URI, and its recording answers to that URI."""
    folder = str(tmp_path / "recordings")
    image = {"source": {"image_uri": "gs://photos/cat.png"}}
    async with other(tmp_path) as there:
        await (await there.emulator.storage.bucket("photos")).write("cat.png", drawn(), "image/png")
        recorded = await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["http"], "folder": folder}, image=image)
    assert recorded.label_annotations
    assert await annotated(LABELS, settings={"folder": folder}, image=image) == recorded
    missing = await annotated(LABELS, settings={"folder": folder}, image={"source": {"image_uri": "gs://photos/dog.png"}})
    assert missing.error.code == 7  # no such bucket here


async def test_recordings_are_fixture_files(tmp_path: Path) -> None:
    """A folder of recordings works as a folder of given answers, for those who want to edit them."""
    folder = tmp_path / "recordings"
    async with other(tmp_path) as there:
        recorded = await annotated(LABELS, TEXT, settings={"mode": "record", "endpoint": there.endpoints["http"], "folder": str(folder)})
    async with core(Config(annotators=("fixtures",), fixtures=(folder,)), SystemClock(), Chance()) as (vision, _):
        request = BatchAnnotateImagesRequest(requests=[{"image": {"content": drawn()}, "features": [LABELS, TEXT]}])
        answer: Any = await vision.call(Call(IMAGES, request, {}))
    assert answer.responses[0] == recorded


async def test_pages_are_recorded_as_the_pictures_they_are(tmp_path: Path) -> None:
    """A page of a PDF is sent as a picture, and its boxes come back where they belong on the page."""
    folder = str(tmp_path / "recordings")
    document = {"input_config": {"content": text_pdf(1), "mime_type": "application/pdf"}, "features": [TEXT, LOGOS]}
    call = Call(FILES, BatchAnnotateFilesRequest(requests=[document]), {})
    answers: list[Any] = []
    async with other(tmp_path) as there:
        for settings in ({"mode": "record", "endpoint": there.endpoints["grpc"], "folder": folder}, {"folder": folder}):
            config = Config(annotators="upstream", settings={"upstream": settings})  # type: ignore[arg-type]
            async with core(config, SystemClock(), Chance()) as (vision, _):
                answers.append(await vision.call(call))
        assert there.calls == 1
    assert answers[0] == answers[1]
    corners = answers[0].responses[0].responses[0].logo_annotations[0].bounding_poly.normalized_vertices
    assert len(corners) == 4
    assert all(0 <= corner.x < 0.05 and 0 <= corner.y < 0.05 for corner in corners)  # nine pixels of a page drawn large


async def test_two_who_ask_the_same_at_once_ask_once(tmp_path: Path) -> None:
    """A batch with one picture many times costs one question, and writes one file."""
    folder = tmp_path / "recordings"
    async with other(tmp_path) as there:
        settings = {"mode": "record", "endpoint": there.endpoints["http"], "folder": str(folder)}
        responses = await all_annotated([{"content": drawn()}] * 12, LABELS, settings=settings)
        assert there.calls == 1
    assert len({response.SerializeToString(deterministic=True) for response in responses}) == 1
    assert [path.name for path in folder.rglob("*.*")] == ["LABEL_DETECTION.json"]


async def test_many_write_one_recording_and_readers_see_it_whole(tmp_path: Path) -> None:
    """Recorders that share a folder, in one process or several, never leave or show half a file."""
    picture, feature, context = Picture(drawn()), Feature(type=Feature.LABEL_DETECTION), ImageContext()
    answers = [AnnotateImageResponse(label_annotations=[{"description": name * 2000}] * 200) for name in "ab"]
    recordings = [Recordings(tmp_path, None) for _ in answers]
    for recorder, answer in zip(recordings, answers, strict=True):
        await recorder.write(picture, [feature], context, answer, "http://a")

    async def write(recorder: Recordings, answer: AnnotateImageResponse) -> None:
        for _ in range(20):
            await recorder.write(picture, [feature], context, answer, "http://a")

    async with asyncio.TaskGroup() as tasks:
        writers = [tasks.create_task(write(*each)) for each in zip(recordings, answers, strict=True)]
        while not all(writer.done() for writer in writers):
            assert await recordings[0].read(picture, [feature], context) in answers
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["LABEL_DETECTION.json"]


async def test_a_large_picture_is_hashed_off_the_loop(tmp_path: Path) -> None:
    """Others are answered while twenty megabytes are hashed; the recording is found all the same."""
    folder = str(tmp_path / "recordings")
    large = {"content": drawn() + bytes(4_000_000)}
    async with other(tmp_path) as there:
        recorded = await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["grpc"], "folder": folder}, image=large)
    assert await annotated(LABELS, settings={"folder": folder}, image=large) == recorded
    upstream = Upstream(Settings(table={"folder": folder}))
    picture = Picture(large["content"])
    work = upstream.prepare(picture)
    assert work is not None
    assert "sha256" not in vars(picture)
    await work
    assert "sha256" in vars(picture)
    assert upstream.prepare(Picture(drawn())) is None


# ---- the upstream and its credentials ----


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_secrets_go_out_in_headers_and_nowhere_else(tmp_path: Path, scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """The upstream lets the key in; no recording, no log line and no refusal has it."""
    caplog.set_level("DEBUG")
    folder = tmp_path / "recordings"
    async with other(tmp_path, auth="required") as there:
        settings = {"mode": "record", "endpoint": there.endpoints[scheme], "folder": str(folder), "key": KEY}
        assert (await annotated(LABELS, settings=settings)).label_annotations
        token = {**settings, "token": "ya29.secret"}
        del token["key"]
        assert (await annotated(LOGOS, settings=token)).logo_annotations
        refused = await annotated(TEXT, settings={**settings, "key": "invalid" + KEY})
        assert refused.error.code == 3
        assert "invalid" + KEY not in refused.error.message
        without = {name: value for name, value in settings.items() if name != "key"}
        assert (await annotated(TEXT, settings=without)).error.code in (7, 16)
    files = list(folder.rglob("*.json"))
    assert len(files) == 2
    assert not any(secret in path.read_text() for path in files for secret in (KEY, "ya29.secret"))
    assert KEY not in caplog.text
    assert "ya29.secret" not in caplog.text


async def test_a_refusal_that_quotes_the_key_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    """Google names the key of a caller that it refuses; clients and logs of the emulator do not get to see it."""
    from aiohttp import web

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        message = f"Consumer 'api_key:{request.headers['x-goog-api-key']}' has been suspended."
        return web.json_response({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}, status=403)

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        response = await annotated(LABELS, settings={"mode": "spy", "endpoint": endpoint, "key": KEY})
    finally:
        await runner.cleanup()
    assert (response.error.code, response.error.message) == (7, "Consumer 'api_key:…' has been suspended.")
    assert KEY not in caplog.text


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_an_upstream_that_is_gone_is_each_images_error(tmp_path: Path, scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """UNAVAILABLE for the image, nothing recorded, and a log line that says who did not answer."""
    folder = tmp_path / "recordings"
    async with other(tmp_path) as there:
        settings = {"mode": "record", "endpoint": there.endpoints[scheme], "folder": str(folder), "timeout": 5}
    response = await annotated(LABELS, settings=settings)
    assert response.error.code == 14
    assert f"upstream {settings['endpoint']}" in caplog.text
    assert not folder.exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"mode": "play"}, "settings.upstream: mode: 'play' is none; use one of replay, record, spy, diff"),
        (
            {"folder": "/nowhere/at/all"},
            "settings.upstream: folder: there are no recordings in /nowhere/at/all; make some with mode = record",
        ),
        (
            {"mode": "spy", "endpoint": "ftp://a"},
            "settings.upstream: endpoint: 'ftp://a' is no address; write it as https://HOST (REST) or",
        ),
        ({"mode": "spy", "endpoint": "https://a/v1"}, "settings.upstream: endpoint: 'https://a/v1' is no address"),
        ({"mode": "spy", "key": "a", "token": "b"}, "settings.upstream: key, token and credentials exclude each other: keep one of them"),
        ({"mode": "diff", "tolerance": -1}, "settings.upstream: tolerance: -1 is no number; use 0 or more"),
        ({"mod": "spy"}, "settings.upstream.mod is no setting; did you mean mode?"),
    ],
)
def test_settings_that_cannot_be_used(table: Any, said: str) -> None:
    """What is wrong is said at the start."""
    with pytest.raises(SettingsError) as caught:
        load(["upstream"], Settings(), {"upstream": table})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("endpoint", "understood"),
    [
        ("https://vision.googleapis.com", "https://vision.googleapis.com"),
        ("https://vision.googleapis.com/", "https://vision.googleapis.com"),
        ("vision.googleapis.com:443", "grpcs://vision.googleapis.com:443"),
        ("localhost:8970", "grpc://localhost:8970"),
        ("grpcs://vision.googleapis.com", "grpcs://vision.googleapis.com:443"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_endpoints(endpoint: str, understood: str) -> None:
    """An address says the transport; without a scheme it is gRPC, with TLS on the port of https."""
    from vision_emulator.annotators.upstream.service import Service

    assert Service(endpoint, {}, 1, 1).endpoint == understood


async def test_credentials_that_cannot_be_had_are_said_at_the_start(tmp_path: Path) -> None:
    """A file of credentials that is none, or that gets no token, stops the server from starting, in one line that names what would do."""
    account = tmp_path / "account.json"
    settings = {"mode": "spy", "endpoint": "http://127.0.0.1:1", "credentials": str(account)}
    with pytest.raises(SettingsError, match=r"settings.upstream: credentials: .*account.json: No such file or directory"):
        await annotated(LABELS, settings=settings)
    for text in ("{}", "[]", "no json"):
        account.write_text(text)
        with pytest.raises(SettingsError, match=r"credentials: .*account.json is no file of credentials; a service account's is JSON"):
            await annotated(LABELS, settings=settings)
    account.write_text('{"type": "unheard-of"}')
    with pytest.raises(SettingsError, match=r"there are no credentials for http://127.0.0.1:1: .*; give a key or token"):
        await annotated(LABELS, settings=settings)


async def test_a_service_account_gets_its_token(tmp_path: Path) -> None:
    """The file of a service account is exchanged for a token at the address that it names, and the upstream lets that in."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    async with other(tmp_path, auth="required") as there:
        account = {
            "type": "service_account",
            "client_email": "tests@example.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "private_key_id": "1",
            "token_uri": there.emulator.url + "/token",
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        settings = {"mode": "spy", "endpoint": there.endpoints["grpc"], "credentials": str(tmp_path / "account.json")}
        assert (await annotated(LABELS, settings=settings)).label_annotations


async def test_a_broken_recording_is_that_images_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that somebody edited wrongly is named in the log, and the image it answers has an error."""
    folder = tmp_path / "recordings"
    async with other(tmp_path) as there:
        await annotated(LABELS, settings={"mode": "record", "endpoint": there.endpoints["http"], "folder": str(folder)})
    [path] = folder.rglob("*.json")
    for text in ("{", "[]", '{"rules": []}', '{"rules": [{"response": {"labelAnnotation": []}}]}', '{"rules": [{"error": {"code": "X"}}]}'):
        path.write_text(text)
        response = await annotated(LABELS, settings={"folder": str(folder)})
        assert response.error.code == 13
        assert f"{path} is no recording" in caplog.text
        caplog.clear()


# ---- diff ----


async def test_diff_answers_from_here_and_tells_what_the_upstream_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client has the answer of the other annotators; the report has each field that the upstream answers otherwise."""
    caplog.set_level("INFO")
    there_says = [{"match": {"uri": "*"}, "response": {"labelAnnotations": [{"description": "Cat", "score": 0.9}, {"description": "Pet"}]}}]
    here_says = [{"match": {"uri": "*"}, "response": {"labelAnnotations": [{"description": "Cat", "score": 0.5}, {"description": "Dog"}]}}]
    answers = tmp_path / "here"
    answers.mkdir()
    (answers / "rules.json").write_text(json.dumps(here_says))
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(other(tmp_path, there_says))
        settings = {"mode": "diff", "endpoint": there.endpoints["grpc"]}
        config = Config(port=0, annotators="upstream,fixtures", fixtures=(answers,), settings={"upstream": settings})  # type: ignore[arg-type]
        here = await stack.enter_async_context(Emulator(config))
        request = BatchAnnotateImagesRequest(requests=[{"image": {"content": drawn()}, "features": [LABELS]}])
        call = Call(IMAGES, request, {})
        answer: Any = await here.vision.call(call)
        assert [label.description for label in answer.responses[0].label_annotations] == ["Cat", "Dog"]
        assert call.answer_metadata["x-vision-emulator-annotators"] == "fixtures=1"
        [upstream] = [each for each in here.vision.annotators if isinstance(each, Upstream)]
        await eventually(lambda: upstream.differences.different == 1)
        report = (await ask(here, "GET", "/_emulator/v1/upstream/differences")).json
        counts = [report.pop(name) for name in ("different", "same", "failed", "skipped", "waiting")]
        assert counts == [1, 0, 0, 0, 0]
        [image] = report["differences"]
        assert (image["uri"], len(image["sha256"]), image["features"]) == ("", 64, ["LABEL_DETECTION"])
        assert [(field["field"], field["here"], field["there"]) for field in image["fields"]] == [
            ("labelAnnotations[Cat].score", 0.5, pytest.approx(0.9)),
            ("labelAnnotations[Dog]", '{"description":"Dog"}', None),
            ("labelAnnotations[Pet]", None, '{"description":"Pet"}'),
        ]
        assert "upstream differs on an inline image: labelAnnotations[Cat].score is 0.5, there 0.9" in caplog.text
        await ask(here, "POST", "/_emulator/v1/reset")
        assert (await ask(here, "GET", "/_emulator/v1/upstream/differences")).json["differences"] == []


async def test_diff_leaves_the_clients_answer_alone(tmp_path: Path) -> None:
    """What is compared is a copy: a batch goes on writing into its responses, and they keep what is no part of the comparison."""
    async with other(tmp_path) as there, AsyncExitStack() as stack:
        table = {"mode": "diff", "endpoint": there.endpoints["http"]}
        upstream = await stack.enter_async_context(Upstream(Settings(table=table)))
        response = AnnotateImageResponse(label_annotations=[{"description": "Dog"}], context={"uri": "gs://photos/dog.png"})
        upstream.witness(Picture(drawn()), [Feature(type=Feature.LABEL_DETECTION)], ImageContext(), response)
        response.label_annotations[0].description = "Cow"
        await eventually(lambda: upstream.differences.different == 1)
    assert response.context.uri == "gs://photos/dog.png"
    assert upstream.differences.kept[0].fields[-1].field == "labelAnnotations[Mammal]"
    assert upstream.differences.kept[0].fields[0].here == '{"description":"Dog"}'


async def test_diff_bounds_what_it_asks() -> None:
    """With an upstream that does not answer, so many questions wait and no more; the clients do not notice, nor does the end."""
    accepted = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = Config(annotators="upstream,synthetic", settings={"upstream": {"mode": "diff", "endpoint": endpoint}})  # type: ignore[arg-type]
        async with core(config, SystemClock(), Chance()) as (vision, _):
            request = BatchAnnotateImagesRequest(requests=[{"image": {"content": drawn(n)}, "features": [LABELS]} for n in range(16)])
            for _ in range(5):
                answer: Any = await vision.call(Call(IMAGES, request, {}))
                assert all(response.label_annotations for response in answer.responses)
            [upstream] = [each for each in vision.annotators if isinstance(each, Upstream)]
            assert (upstream.differences.waiting, upstream.differences.skipped) == (64, 16)
            await accepted.wait()
        assert upstream.differences.waiting == 0


@pytest.mark.parametrize(
    ("here", "there", "fields"),
    [
        ({"a": 1.0}, {"a": 1.005}, []),
        ({"a": 1.0}, {"a": 1.02}, ["a"]),
        ({"a": "x"}, {}, ["a"]),
        ({"a": {"b": ["x", "y"]}}, {"a": {"b": ["x", "z", "y"]}}, ["a.b[1]", "a.b[2]"]),
        ({"a": [{"mid": "1", "x": 1}, {"mid": "2"}]}, {"a": [{"mid": "2"}, {"mid": "1", "x": 2}]}, ["a[1].x"]),
        ({"a": [{"x": 1}]}, {"a": []}, ["a[0]"]),
        ({"a": []}, {"a": [{"mid": "1"}]}, ["a[1]"]),
        ({"a": True}, {"a": False}, ["a"]),
    ],
)
def test_differences_are_told_by_field(here: Any, there: Any, fields: list[str]) -> None:
    """Numbers may differ a little; entries of a list are matched by what they are called, whatever their order."""
    assert [difference.field for difference in found(here, there, 0.01)] == fields
