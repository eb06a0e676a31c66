"""``exec`` and ``env``: programs that know nothing of the emulator come here, and nothing stays behind."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from vision_emulator import VisionEmulator, cli, environment
from vision_emulator import config as configuration
from vision_emulator.surfaces.tls import Authority

PROGRAM = Path(sys.executable).with_name("vision-emulator")
UNCHANGED = """
from google.cloud import storage, vision

image = vision.Image(source=vision.ImageSource(image_uri="gs://cloud-samples-data/vision/label/wakeupcat.jpg"))
for client in (vision.ImageAnnotatorClient(), vision.ImageAnnotatorClient(transport="rest")):
    print(client.label_detection(image=image).label_annotations[0].description)
bucket = storage.Client().create_bucket("mine")
bucket.blob("name").upload_from_string("content")
print(bucket.blob("name").download_as_text())
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose caches and temporary files are the test's own."""
    (tmp_path / "tmp").mkdir()
    cleared = {
        name: value for name, value in configuration.environment().items() if not name.startswith(("VISION_EMULATOR", "STORAGE_EMULATOR"))
    }
    return {**cleared, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "tmp")}


def left(home: dict[str, str]) -> list[str]:
    """What lies in the folder for temporary files."""
    return sorted(path.name for path in Path(home["TMPDIR"]).iterdir())


def run(home: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], env=home, capture_output=True, text=True, timeout=60, check=False)


def test_an_unchanged_program(home: dict[str, str]) -> None:
    """Clients built with no options at all, gRPC and REST, and one of Cloud Storage, find what is here."""
    done = run(home, "exec", "--", sys.executable, "-c", UNCHANGED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Cat\nCat\ncontent\n", "")
    assert left(home) == []


def test_options_and_arguments_do_not_mix(home: dict[str, str]) -> None:
    """What stands before -- is ours, what stands behind it the program's, flags and further dashes too."""
    show = "import os, sys; print(sys.argv[1:], os.environ['GOOGLE_CLOUD_PROJECT'])"
    done = run(home, "exec", "--project", "mine", "--", sys.executable, "-c", show, "--project", "theirs", "--", "-x")
    assert done.stdout == "['--project', 'theirs', '--', '-x'] mine\n"


@pytest.mark.parametrize(("ending", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_its_exit_code_is_the_programs(home: dict[str, str], ending: str, code: int) -> None:
    """As a shell gives it; what the emulator was asked is told when the program failed."""
    done = run(home, "exec", "--", "sh", "-c", ending)
    assert done.returncode == code
    assert "was not called" in done.stderr
    assert left(home) == []


def test_a_failed_programs_calls_are_summed_up(home: dict[str, str]) -> None:
    """How often it called what, and what the last refusals said."""
    asks = f"curl --silent --output /dev/null https://vision.googleapis.com/v1/operations/{'0' * 16}"
    does = "curl --silent --output /dev/null https://vision.googleapis.com/v1/images:annotate --data '{}'"
    done = run(home, "exec", "--", "sh", "-c", f"{asks}; {does}; exit 1")
    assert "called 2 times" in done.stderr
    assert "BatchAnnotateImages over rest: OK" in done.stderr
    assert "The last 1 refusals" in done.stderr
    assert "GetOperation over rest: NOT_FOUND" in done.stderr
    assert "Not found: operation" in done.stderr


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_started(home: dict[str, str], program: str, code: int) -> None:
    """One line, and the exit code of a shell."""
    done = run(home, "exec", "--", program)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert program in done.stderr
    assert left(home) == []


def test_an_option_that_is_none(home: dict[str, str]) -> None:
    """The emulator that cannot start says so before the program is."""
    done = run(home, "exec", "--pace", "soon", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert "soon" in done.stderr


# Asks first: who is answered knows that exec's loop goes round, and its sweeper of this program.
ASKS = "curl --silent --noproxy '*' --output /dev/null http://$VISION_EMULATOR_HOST/_emulator/health"
WAITS = f"trap 'exit 9' TERM; {ASKS}; echo $$ $SSL_CERT_FILE; while :; do sleep 0.05; done"


def started(home: dict[str, str]) -> tuple[subprocess.Popen[str], psutil.Process, Path]:
    """exec with a program that waits to be told; the program's process, and the folder of its files."""
    launched = subprocess.Popen([PROGRAM, "exec", "--", "sh", "-c", WAITS], env=home, stdout=subprocess.PIPE, text=True)
    assert launched.stdout is not None
    process_id, certificates = launched.stdout.readline().split()
    return launched, psutil.Process(int(process_id)), Path(certificates).parent


def test_signals_are_the_programs(home: dict[str, str]) -> None:
    """Told to end, exec tells the program and ends as it does."""
    launched, program, folder = started(home)
    with launched:
        launched.send_signal(signal.SIGTERM)
        assert launched.wait(timeout=30) == 9
    assert not program.is_running()
    assert not folder.exists()


def test_killed_it_leaves_nothing_behind(home: dict[str, str]) -> None:
    """Whatever kills exec, its program ends with it, and the folder with the key is removed."""
    launched, program, folder = started(home)
    assert {path.name for path in folder.iterdir()} >= {"account.json", "certificates.pem", "certificates.p12"}
    (sweeper,) = [child for child in psutil.Process(launched.pid).children() if "vision-emulator-sweeper" in child.cmdline()]
    with launched:
        launched.kill()
    gone, alive = psutil.wait_procs([program, sweeper], timeout=30)
    assert (len(gone), alive) == (2, [])
    assert not folder.exists()
    assert left(home) == []


def test_files_are_their_owners_only(home: dict[str, str]) -> None:
    """Key and certificates can be read by the user who runs the program, and by nobody else."""
    done = run(home, "exec", "--", "sh", "-c", "stat -c %a $(dirname $SSL_CERT_FILE) $(dirname $SSL_CERT_FILE)/*")
    assert done.stdout.split() == ["700", *["600"] * 4]


def test_a_companys_no_proxy_keeps_no_program_away(home: dict[str, str]) -> None:
    """Entries that cover Google's hosts would lead past the emulator, to the real service; all others are kept."""
    said = {"NO_PROXY": ".googleapis.com, *, corp.test, storage.googleapis.com:443,.com,10.0.0.0/8,::1", "no_proxy": "corp.test"}
    done = run({**home, **said}, "exec", "--", sys.executable, "-c", UNCHANGED + "import os; print(os.environ['NO_PROXY'])")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "corp.test,10.0.0.0/8,::1,localhost,127.0.0.1"


def test_another_storage(home: dict[str, str]) -> None:
    """With --storage the program's storage client talks to that one, and so does the emulator."""
    program = """
from google.cloud import storage, vision

storage.Client().bucket("photos").blob("cat.png").upload_from_string(b"no picture")
image = vision.Image(source=vision.ImageSource(image_uri="gs://photos/cat.png"))
print(vision.ImageAnnotatorClient().label_detection(image=image).error.message)
"""
    with VisionEmulator(bucket=["photos"]) as other:
        done = run(home, "exec", "--storage", other.url, "--", sys.executable, "-c", program)
        assert (done.returncode, done.stdout) == (0, "Bad image data.\n")
        names = [blob["name"] for blob in requests.get(f"{other.url}/storage/v1/b/photos/o", timeout=30).json()["items"]]
    assert names == ["cat.png"]


def test_other_hosts_are_asked_through_here(home: dict[str, str]) -> None:
    """A host that is not answered here is looked for, not refused: its name is what cannot be found."""
    asks = "curl --silent --show-error https://nothing.invalid/; exit 0"
    done = run(home, "exec", "--", "sh", "-c", asks)
    assert "502" in done.stderr
    refused = run(home, "exec", "--no-proxy-others", "--", "sh", "-c", asks)
    assert "403" in refused.stderr


@pytest.mark.parametrize("shell", ["bash", "dotenv", "github"])
def test_env_for_a_server_that_runs_elsewhere(home: dict[str, str], shell: str) -> None:
    """What is printed sets the variables; the files it names stay, since nobody knows for how long they are needed."""
    printed = run(home, "env", "--port", "1234", "--shell", shell)
    assert printed.returncode == 0
    script = printed.stdout.replace("export ", "") if shell == "bash" else printed.stdout
    lines = dict(line.split("=", 1) for line in script.splitlines())
    plain = {name: value.strip("\"'") for name, value in lines.items()}
    assert plain["VISION_EMULATOR_HOST"] == "127.0.0.1:1234"
    assert plain["https_proxy"] == plain["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:1234"
    assert json.loads(Path(plain["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())["token_uri"] == "http://127.0.0.1:1234/token"
    again = run(home, "env", "--port", "1234", "--shell", shell)
    assert again.stdout == printed.stdout


def test_env_is_read_by_a_shell(home: dict[str, str]) -> None:
    """Values with blanks come through."""
    script = f'eval "$({PROGRAM} env)"; printf %s "$JAVA_TOOL_OPTIONS"'
    said = subprocess.run(["bash", "-c", script], env=home, capture_output=True, text=True, timeout=60, check=True)
    assert "-Dhttps.proxyPort=8970 " in said.stdout


def test_a_folder_with_a_blank(home: dict[str, str], tmp_path: Path) -> None:
    """Java and Node are given paths among other options: they are quoted where they must be, and files for dotenv still can be read."""
    (tmp_path / "my files").mkdir()
    names = "JAVA_TOOL_OPTIONS NODE_OPTIONS"
    done = run({**home, "TMPDIR": str(tmp_path / "my files")}, "exec", "--", "sh", "-c", f"for name in {names}; do printenv $name; done")
    java, node = (shlex.split(line) for line in done.stdout.splitlines())
    assert all(option.startswith("-D") for option in java)
    assert (len(node), node[0]) == (2, "--require")
    assert str(tmp_path / "my files") in node[1]
    printed = run({**home, "XDG_CACHE_HOME": str(tmp_path / "my files")}, "env", "--shell", "dotenv").stdout
    (line,) = (line for line in printed.splitlines() if line.startswith("NODE_OPTIONS="))
    assert shlex.split(shlex.split(line)[0].partition("=")[2])[0] == "--require"


def test_every_shell_is_offered() -> None:
    """The command line knows the shells that there are."""
    assert set(cli.SHELLS) == set(environment.SHELLS)


def test_what_was_said_already_is_kept(tmp_path: Path) -> None:
    """Hosts that are to be reached directly still are, options of Java stay, and certificates trusted before are trusted still."""
    before = Authority(tmp_path / "corporate").certificate_file
    environ = {
        "NO_PROXY": "corp.test, .internal",
        "JAVA_TOOL_OPTIONS": "-Xmx1g",
        "NODE_OPTIONS": "--no-warnings",
        "SSL_CERT_FILE": str(before),
    }
    authority = Authority(tmp_path / "ca")
    files = environment.write_files(tmp_path, authority, "p", "http://127.0.0.1:1/token", environ)
    named = environment.variables("[::1]:8970", "p", files, environ, "http://gcs:4443")
    assert named["NO_PROXY"] == named["no_proxy"] == "corp.test,.internal,localhost,127.0.0.1,::1"
    assert named["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Dhttps.proxyHost=::1 -Dhttps.proxyPort=8970 ")
    assert "-Dhttp.nonProxyHosts=corp.test|*.internal|localhost" in named["JAVA_TOOL_OPTIONS"]
    assert named["NODE_OPTIONS"] == f"--no-warnings --require {files.node}"
    assert named["STORAGE_EMULATOR_HOST"] == "http://gcs:4443"
    trusted = files.certificates.read_bytes()
    assert authority.pem in trusted
    assert before.read_bytes() in trusted
