"""The command line as a person or a container meets it: real processes, real signals, exit codes and one-line refusals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vision_emulator import VisionEmulator
from vision_emulator.cli import _reachable, _show_progress, main
from vision_emulator.demo import pictures

SECONDS_MAX = 30


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "VISION_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address; killed when the test did not stop it, or is stuck reading from it."""
    command = [sys.executable, "-m", "vision_emulator", "serve", "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    guard = threading.Timer(SECONDS_MAX, process.kill)
    guard.start()
    try:
        ready = process.stdout.readline()
        assert ready.startswith("Ready on "), process.stderr.read()
        yield process, ready.removeprefix("Ready on ").partition(": ")[0]
    finally:
        guard.cancel()
        process.kill()
        process.communicate(timeout=SECONDS_MAX)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that cannot start says: exit code 2, nothing printed, one line on standard error."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    return printed.err


def call(url: str, body: Any = None, method: str | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, method=method)  # noqa: S310 - the server of the test
    with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_is_ready_when_it_says_so_and_leaves_with_0(number: signal.Signals) -> None:
    """Behind the Ready line every surface answers; SIGTERM and SIGINT end it with exit code 0."""
    with serving("--bucket", "photos") as (process, address):
        assert process.stdout is not None
        assert process.stdout.readline() == f"  export VISION_EMULATOR_HOST={address}\n"
        assert process.stdout.readline() == f"  export STORAGE_EMULATOR_HOST=http://{address}\n"
        assert call(f"http://{address}/_emulator/health") == {"status": "serving"}
        assert call(f"http://{address}/storage/v1/b/photos")["name"] == "photos"
        assert call(f"http://{address}/v1/operations") == {}
        assert main(["healthcheck", "--host", address]) == 0
        process.send_signal(number)
        _, log = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0
        assert log.splitlines()[-1].endswith("stopped")
        assert "Traceback" not in log


def test_sigterm_lets_accepted_work_finish(tmp_path: Path) -> None:
    """A batch that was accepted before SIGTERM is written out before the process ends."""
    tree = tmp_path / "tree"
    (tree / "photos").mkdir(parents=True)
    (tree / "results").mkdir()
    Image.effect_noise((1500, 1500), 90).save(tree / "photos" / "noise.png")
    element = {"image": {"source": {"imageUri": "gs://photos/noise.png"}}, "features": [{"type": "IMAGE_PROPERTIES"}]}
    body = {"requests": [element] * 60, "outputConfig": {"gcsDestination": {"uri": "gs://results/"}, "batchSize": 10}}
    with serving("--buckets", str(tree)) as (process, address):
        call(f"http://{address}/v1/images:asyncBatchAnnotate", body)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS_MAX) == 0
    written = sorted((tree / "results").glob("output-*.json"))
    assert sum(len(json.loads(file.read_text())["responses"]) for file in written) == 60


def test_a_second_signal_does_not_wait() -> None:
    """Someone who presses Ctrl-C twice is not kept waiting for work that cannot finish."""
    with silent_storage() as endpoint, serving("--storage", endpoint, "--drain-seconds", "3600") as (process, address):
        element = {"image": {"source": {"imageUri": "gs://photos/a.png"}}, "features": [{"type": "LABEL_DETECTION"}]}
        output = {"gcsDestination": {"uri": "gs://results/"}}
        call(f"http://{address}/v1/images:asyncBatchAnnotate", {"requests": [element], "outputConfig": output})
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = ""
        while "stopping" not in line:
            line = process.stderr.readline()
            assert line, "ended without saying that it stops"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SECONDS_MAX) == 0


@contextlib.contextmanager
def silent_storage() -> Iterator[str]:
    """An endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_serve_opens_the_direct_ports_it_names() -> None:
    """--rest-port and --grpc-port are printed as they were picked, and answer."""
    with serving("--rest-port", "0", "--grpc-port", "0") as (process, _):
        assert process.stdout is not None
        grpc_only = process.stdout.readline().removeprefix("  gRPC only: ").strip()
        rest_only = process.stdout.readline().removeprefix("  REST only: ").strip()
        assert call(f"http://{rest_only}/_emulator/health") == {"status": "serving"}
        host, _, port = grpc_only.rpartition(":")
        socket.create_connection((host, int(port)), timeout=SECONDS_MAX).close()


def test_an_exported_address_of_this_server_is_said_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in storage serves although STORAGE_EMULATOR_HOST is exported, and a person can see why."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{port}")
    with serving("--port", str(port), "--bucket", "photos") as (process, address):
        assert call(f"http://{address}/storage/v1/b/photos")["name"] == "photos"
        process.terminate()
        _, log = process.communicate(timeout=SECONDS_MAX)
    assert "is this very server: the built-in storage is used" in log


def test_a_port_in_use_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Starting twice says which port is taken and what to do, with exit code 2 and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(capsys, "serve", "--port", str(taken.getsockname()[1]))
        assert "in use" in said
        assert str(taken.getsockname()[1]) in said
        assert "--port 0" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--fixtures", "nowhere"), "nowhere: no such folder of fixtures"),
        (("--fixtures", "bad.yaml"), "bad.yaml:1: "),
        (("--annotators", "clairvoyant"), "no annotator is called 'clairvoyant'; installed are: fixtures, "),
        (("--bucket", "Not/A/Bucket"), "Invalid bucket name: 'Not/A/Bucket'"),
        (("--buckets", "file"), "file"),
        (("--pace", "soon"), "--pace: 'soon' is no pace"),
    ],
)
def test_what_cannot_start_is_one_clear_line(flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing folder, a broken rule, an unknown name: exit code 2 and one line that names it."""
    Path("bad.yaml").write_text("rules: nothing\n")
    Path("file").write_text("")
    assert said in refused(capsys, "serve", "--port", "0", *flags)


def test_an_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a flag is answered with the flag that was meant."""
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--prot", "1"])
    assert caught.value.code == 2
    assert "unknown argument --prot; did you mean --port?" in capsys.readouterr().err


def test_version_and_help_exit_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says name and version; every command explains itself."""
    for arguments in (["--version"], *([command, "--help"] for command in ("serve", "demo", "annotate", "config", "healthcheck"))):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("vision-emulator 0.")


def test_config_prints_values_with_their_origin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line an option: the value that counts and where it came from."""
    monkeypatch.setenv("VISION_EMULATOR_SEED", "4")
    assert main(["config", "--port", "1"]) == 0
    lines = {line.split("#")[0].strip(): line.rpartition("#")[2].strip() for line in capsys.readouterr().out.splitlines()}
    assert (lines["port = 1"], lines["seed = 4"], lines['pace = "auto"']) == ("--port", "VISION_EMULATOR_SEED", "default")


def test_healthcheck_says_no_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody there, or somebody else: exit code 1 and a line that says which."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def answer() -> None:
            connection, _ = other.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["healthcheck", "--port", str(port)]) == 1
        thread.join()
    assert capsys.readouterr().err == f"vision-emulator: 127.0.0.1:{port} answered with status 404\n"
    assert main(["healthcheck", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port} does not answer" in capsys.readouterr().err


def test_healthcheck_follows_the_variable_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """VISION_EMULATOR_HOST says where the emulator is, to the check as to every client."""
    with VisionEmulator() as emulator:
        monkeypatch.setenv("VISION_EMULATOR_HOST", emulator.address)
        assert main(["healthcheck"]) == 0


def test_annotate_prints_json_for_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Each file has its slot in order, with its path; the asked features and no others are answered."""
    Image.new("RGB", (60, 40), "red").save("red.png")
    assert main(["annotate", "red.png", "red.png", "--feature", "IMAGE_PROPERTIES"]) == 0
    responses = json.loads(capsys.readouterr().out)["responses"]
    assert [response["context"]["uri"] for response in responses] == ["red.png", "red.png"]
    assert responses[0]["imagePropertiesAnnotation"]["dominantColors"]["colors"][0]["color"] == {"red": 255}
    assert "labelAnnotations" not in responses[0]


def test_a_reader_that_has_seen_enough_ends_the_command_without_a_word() -> None:
    """As in ``annotate … | head -1``: no traceback, and the exit code says that not all was written."""
    Image.new("RGB", (60, 40), "red").save("red.png")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        command = [sys.executable, "-m", "vision_emulator", "annotate", "red.png"]
        run = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=SECONDS_MAX, check=False)
    assert (run.returncode, run.stderr) == (1, "")


def test_annotate_keeps_going_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file and one that is no image fail alone; the exit code says that something did."""
    Image.new("RGB", (60, 40), "red").save("red.png")
    Path("broken.png").write_text("no image")
    assert main(["annotate", "missing.png", "broken.png", "red.png"]) == 1
    responses = json.loads(capsys.readouterr().out)["responses"]
    assert responses[0]["error"] == {"code": 5, "message": "missing.png: No such file or directory"}
    assert responses[1]["error"] == {"code": 3, "message": "Bad image data."}
    assert responses[2]["labelAnnotations"]


def test_annotate_refuses_an_unknown_feature(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a feature's name is answered with the one that was meant."""
    for slip in ("LABELS_DETECTION", "label_detection"):
        said = refused(capsys, "annotate", "a.png", "--feature", slip)
        assert said == f"vision-emulator: {slip} is no feature; did you mean LABEL_DETECTION?\n"


def test_the_demo_annotates_twelve_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """One command shows the whole job: pictures drawn, uploaded, submitted as one batch, read back as six files."""
    assert main(["demo", "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert "12/12 images" in printed
    listed = [line.split()[0] for line in printed.splitlines() if line.startswith("   gs://results/output-")]
    assert listed == [f"gs://results/output-{part}.json" for part in ("1-to-2", "11-to-12", "3-to-4", "5-to-6", "7-to-8", "9-to-10")]
    assert '"uri": "gs://photos/01-sunset.jpg"' in printed
    assert "The pictures and results of this run are in out/." in printed
    assert len(list(Path("out/photos").glob("*.jpg"))) == len(list(Path("out/photos").glob("*.png"))) == 6
    assert main(["demo", "--output", "out"]) == 0, "a second run replaces the results of the first"


def test_the_pictures_of_the_demo_are_always_the_same() -> None:
    """Drawn, not random: two runs annotate the same bytes."""
    assert dict(pictures()) == dict(pictures())


def test_the_demo_without_the_official_client_says_what_to_install() -> None:
    """The extra is named when google-cloud-vision is missing."""
    blocked = "import sys; sys.modules['google.cloud'] = None; from vision_emulator.cli import main; sys.exit(main(['demo']))"
    run = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert run.returncode == 2
    assert run.stderr == (
        "vision-emulator: the demo uses Google's official client, which is not installed: pip install 'vision-emulator[demo]'\n"
    )


def test_progress_is_a_bar_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal sees one growing line, a log file plain lines."""
    _show_progress(6, 12)
    assert capsys.readouterr().out == "  6/12 images\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _show_progress(6, 12)
    _show_progress(12, 12)
    assert capsys.readouterr().out == f"\r  {'█' * 12}{'·' * 12} 6/12 images\r  {'█' * 24} 12/12 images\n"


def test_hints_name_an_address_that_can_be_dialled() -> None:
    """A server on every interface is exported as localhost; 0.0.0.0 is no address to connect to."""
    assert [_reachable(address) for address in ("0.0.0.0:1", "[::]:2", "127.0.0.1:3")] == ["localhost:1", "localhost:2", "127.0.0.1:3"]


def test_the_process_leaves_no_children_or_sockets_behind(tmp_path: Path) -> None:
    """Nothing of the server's, such as its private gRPC socket, is left in the folder of temporary files when it has ended."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # noqa: TID251 - handed on to the process, not read
    command = [sys.executable, "-m", "vision_emulator", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Ready")
        process.terminate()
        assert process.wait(timeout=SECONDS_MAX) == 0
    assert not list(tmp_path.iterdir())
