"""The pytest plugin as its users have it: whole test runs in processes of their own, with every warning an error."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from vision_emulator import VisionEmulator

pytest_plugins = ["pytester"]

SECONDS_MAX = 120
INI = """
[pytest]
filterwarnings = error
asyncio_default_fixture_loop_scope = function
vision_emulator_options =
    bucket = photos,results
    auto-create-buckets = true
"""
ASK = """
from google.cloud import vision

IMAGE = vision.Image(source=vision.ImageSource(image_uri="gs://cloud-samples-data/vision/label/wakeupcat.jpg"))
LABELS = vision.Feature(type_=vision.Feature.Type.LABEL_DETECTION)
REQUEST = vision.AnnotateImageRequest(image=IMAGE, features=[LABELS])
"""
EVERY_CLIENT = (
    ASK
    + """
import pytest


def test_grpc_rest_and_storage(vision_emulator, vision_client, vision_rest_client, storage_client):
    for client in (vision_client, vision_rest_client):
        assert client.batch_annotate_images(requests=[REQUEST]).responses[0].label_annotations[0].description == "Cat"
    vision_emulator.journal.assert_called("BatchAnnotateImages", times=2)
    storage_client.bucket("photos").blob("a").upload_from_string(b"1")
    assert vision_emulator.buckets.read("gs://photos/a") == b"1"


@pytest.mark.asyncio
async def test_asyncio(vision_emulator, vision_async_client):
    answer = await vision_async_client.batch_annotate_images(requests=[REQUEST])
    assert answer.responses[0].label_annotations[0].description == "Cat"
    vision_emulator.journal.assert_called("BatchAnnotateImages", times=1, transport="grpc")


def test_after_them(vision_emulator):
    assert vision_emulator.journal.entries() == []
    assert vision_emulator.buckets.objects("gs://photos") == []
"""
)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a pytest.ini, as a user has it."""
    pytester.makefile(".ini", pytest=INI)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*arguments, timeout=SECONDS_MAX)


def test_it_is_inert_until_used(project: pytest.Pytester) -> None:
    """Whoever has the package installed and does not use it pays for no import of it, nor of anything behind it."""
    project.makepyfile("""
        import sys

        def test_what_is_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("vision_emulator")
            loaded = {name for name in sys.modules if name.startswith("vision_emulator")}
            assert loaded == {"vision_emulator", "vision_emulator.pytest_plugin"}
            assert not {"grpc", "aiohttp", "msgspec", "google.protobuf", "google.cloud.vision", "http.client"} & sys.modules.keys()
    """)
    run(project, "-p", "no:hypothesispytest", "-p", "no:xdist").assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["thread", "process"])
def test_every_client_works_and_every_test_begins_anew(project: pytest.Pytester, where: str) -> None:
    """The ready clients, both kinds of server; nothing of one test is left in the next, and nothing warns at the end."""
    project.makepyfile(EVERY_CLIENT)
    result = run(project, f"--vision-emulator={where}", "-p", "no:randomly")
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("order", [("google.cloud.vision", "vision_emulator.app"), ("vision_emulator.app", "google.cloud.vision")])
def test_it_lives_beside_the_official_messages(project: pytest.Pytester, order: tuple[str, str]) -> None:
    """The emulator and google-cloud-vision share a process, whichever is imported first."""
    project.makeconftest("".join(f"import {name}\n" for name in order))
    project.makepyfile(EVERY_CLIENT)
    run(project).assert_outcomes(passed=3)


@pytest.mark.parametrize("asyncio_too", [True, False], ids=["beside pytest-asyncio", "alone"])
def test_anyio(project: pytest.Pytester, asyncio_too: bool) -> None:
    """The asyncio client is for whoever runs asynchronous tests: anyio as well, whether pytest-asyncio is there or not."""
    project.makepyfile(
        ASK
        + """
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_it(vision_emulator, vision_async_client):
    answer = await vision_async_client.batch_annotate_images(requests=[REQUEST])
    assert answer.responses[0].label_annotations[0].description == "Cat"
    vision_emulator.journal.assert_called("BatchAnnotateImages", times=1, transport="grpc")
"""
    )
    if not asyncio_too:
        project.makefile(".ini", pytest="[pytest]\nfilterwarnings = error\n")
    run(project, *([] if asyncio_too else ["-p", "no:asyncio"])).assert_outcomes(passed=1)


def test_markers(project: pytest.Pytester) -> None:
    """A marker gives the answer, another the failure; the function's comes before the class's, and neither outlives its test."""
    project.makepyfile(
        ASK
        + """
import pytest
from google.api_core.exceptions import ResourceExhausted

CAT = "gs://cloud-samples-data/vision/label/wakeupcat.jpg"


def described(client):
    return client.batch_annotate_images(requests=[REQUEST]).responses[0].label_annotations[0].description


@pytest.mark.vision_fixture(CAT, {"labelAnnotations": [{"description": "class"}]})
class TestMarkers:
    def test_of_the_class(self, vision_client):
        assert described(vision_client) == "class"

    @pytest.mark.vision_fixture(CAT, {"labelAnnotations": [{"description": "function"}]})
    def test_of_the_function(self, vision_client):
        assert described(vision_client) == "function"


@pytest.mark.vision_fault("quota-exceeded", skip=1)
def test_a_fault(vision_emulator, vision_client):
    assert described(vision_client) == "Cat"
    with pytest.raises(ResourceExhausted):
        described(vision_client)


def test_none(vision_client):
    assert described(vision_client) == "Cat"
    assert described(vision_client) == "Cat"
"""
    )
    run(project, "--strict-markers").assert_outcomes(passed=4)


def test_what_a_step_of_a_fault_may_be(project: pytest.Pytester) -> None:
    """A marker takes steps of a script as well as a preset's name; one that the emulator refuses fails its test with the sentence alone."""
    project.makepyfile(
        ASK
        + """
import pytest
from google.api_core.exceptions import Aborted


@pytest.mark.vision_fault({"fault": "reject", "code": "ABORTED"}, times=1)
def test_a_step(vision_client):
    with pytest.raises(Aborted):
        vision_client.batch_annotate_images(requests=[REQUEST])


@pytest.mark.vision_fault("quota-exceded")
def test_no_preset(vision_client): ...
"""
    )
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    said = "@pytest.mark.vision_fault: 'quota-exceded' is no preset; did you mean quota-exceeded?"
    result.stdout.fnmatch_lines([said])
    result.stdout.no_fnmatch_line("*client.py*")


def test_a_failure_shows_the_calls(project: pytest.Pytester) -> None:
    """What reached the emulator stands below a failure, and below nothing else."""
    project.makepyfile(
        ASK
        + """
def test_well(vision_client):
    vision_client.batch_annotate_images(requests=[REQUEST])


def test_badly(vision_client):
    vision_client.batch_annotate_images(requests=[REQUEST, REQUEST])
    assert 0


def test_silently(vision_emulator):
    assert 0


def test_without():
    assert 0
"""
    )
    result = run(project)
    result.assert_outcomes(passed=1, failed=3)
    text = result.stdout.str()
    assert text.count("Calls that reached the Vision emulator") == 2
    result.stdout.fnmatch_lines(
        ["*test_badly*", "*Calls that reached*", "#1 grpc BatchAnnotateImages OK, 2 images (LABEL_DETECTION)", "*test_silently*", "none"]
    )


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
def test_parallel_workers(project: pytest.Pytester, shared: bool) -> None:
    """Workers have servers of their own, or share one and see nothing of each other."""
    project.makepyfile(
        ASK
        + """
import pytest


@pytest.mark.parametrize("number", range(12))
def test_alone(vision_emulator, vision_client, vision_rest_client, number):
    vision_emulator.fixtures.add(IMAGE.source.image_uri, {"labelAnnotations": [{"description": str(number)}]})
    for client in (vision_client, vision_rest_client):
        for _ in range(3):
            answer = client.batch_annotate_images(requests=[REQUEST])
            assert answer.responses[0].label_annotations[0].description == str(number)
    vision_emulator.journal.assert_called(times=6)
"""
    )
    with VisionEmulator() as emulator:
        run(project, "-n", "2", *([f"--vision-emulator={emulator.address}"] if shared else [])).assert_outcomes(passed=12)
        assert emulator.journal.entries() == []  # each worker leaves the place as it found it


def test_a_fixture_that_outlives_a_test(project: pytest.Pytester) -> None:
    """Wider fixtures build on the session's server."""
    project.makepyfile("""
        import pytest

        @pytest.fixture(scope="module")
        def address(vision_emulator_server):
            return vision_emulator_server.address

        def test_it(address, vision_emulator):
            assert vision_emulator.address == address
    """)
    run(project).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("line", "said"),
    [("pase = never", "did you mean pace?"), ("pace", "is no option of the emulator with its value"), ("port = many", "'many' is no")],
)
def test_options_that_are_none(pytester: pytest.Pytester, line: str, said: str) -> None:
    """A slip in the ini file is told with the nearest name."""
    pytester.makefile(".ini", pytest=f"[pytest]\nvision_emulator_options =\n    {line}\n")
    pytester.makepyfile("def test_it(vision_emulator): ...")
    result = pytester.runpytest_subprocess(timeout=SECONDS_MAX)
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()


@pytest.mark.parametrize(
    ("where", "options", "said"),
    [("127.0.0.1:1", "", "The emulator at 127.0.0.1:1 does not answer"), ("process", "fixtures = nowhere", "nowhere")],
)
def test_a_server_that_cannot_be_had(pytester: pytest.Pytester, where: str, options: str, said: str) -> None:
    """The error says what is wrong, in the words of the server."""
    pytester.makefile(".ini", pytest=f"[pytest]\nvision_emulator_options =\n    {options}\n")
    pytester.makepyfile("def test_it(vision_emulator): ...")
    result = pytester.runpytest_subprocess(f"--vision-emulator={where}", timeout=SECONDS_MAX)
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()


def test_options_reach_a_process(pytester: pytest.Pytester) -> None:
    """What the ini file says holds in a process as in a thread, paths start at the ini file, and the environment adds nothing."""
    pytester.makefile(".ini", pytest="[pytest]\nvision_emulator_options =\n    pace = never\n    buckets = tree\n    control-token = abc\n")
    pytester.mkdir("tree").joinpath("photos").mkdir()
    pytester.makepyfile("""
        from vision_emulator import Control, ControlError
        import pytest

        def test_it(vision_emulator):
            assert vision_emulator.pace == "never"
            assert vision_emulator.buckets.list() == ["photos"]
            with pytest.raises(ControlError, match="token"):
                Control(vision_emulator.address).reset()
    """)
    for where in ("thread", "process"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VISION_EMULATOR_HOST", "localhost:1")
            patch.setenv("VISION_EMULATOR_PACE", "instant")
            result = pytester.runpytest_subprocess(f"--vision-emulator={where}", timeout=SECONDS_MAX)
        result.assert_outcomes(passed=1)


def test_the_process_ends_with_the_session(project: pytest.Pytester) -> None:
    """No server is left behind, also when the tests fail."""
    project.makepyfile("""
        def test_it(vision_emulator):
            print("address", vision_emulator.address)
            assert 0
    """)
    result = run(project, "--vision-emulator=process")
    address = next(line.split()[1] for line in result.stdout.lines if line.startswith("address "))
    check = [sys.executable, "-m", "vision_emulator", "healthcheck", "--host", address]
    assert project.run(*check, timeout=SECONDS_MAX).ret == 1


def test_the_process_ends_with_a_session_that_is_killed(project: pytest.Pytester) -> None:
    """No server and no file is left behind when nothing could be cleared up."""
    project.makepyfile("""
        import os
        import pathlib
        import signal

        import psutil

        def test_it(vision_emulator):
            beside = psutil.Process().children()
            (folder,) = {pathlib.Path(word).parent for one in beside for word in one.cmdline() if word.endswith(".toml")}
            pathlib.Path("beside").write_text(" ".join([str(folder), *(str(one.pid) for one in beside)]))
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    run(project, "--vision-emulator=process", "-p", "no:xdist")
    folder, *beside = (project.path / "beside").read_text().split()
    assert len(beside) == 2  # the server, and who waits for the end
    for process in map(int, beside):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process).wait(timeout=30)
    assert not Path(folder).exists()
