"""The contract of every official client: one table of scenarios, what each must print, and how a language's program is run through it.

A language has one program: ``PROGRAM WAY INPUTS SCENARIO…`` runs the scenarios in their order with one client and prints a line of JSON
for each, ``{"scenario": NAME, "result": …}``, to standard output. A way is ``SECURITY-TRANSPORT``:

- ``plain-grpc``, ``plain-rest``: the client is made by the snippet's text, for the address in $VISION_EMULATOR_HOST, without TLS;
- ``tls-grpc``, ``tls-rest``: the client is given that address and anonymous credentials, and nothing else; whom to trust is in the
  environment;
- ``exec-grpc``, ``exec-rest``: the client is built with no options but its transport, as ``vision-emulator exec`` runs it.

Python has further transports. In all ways the language's storage client is built with no options: $STORAGE_EMULATOR_HOST is set. INPUTS is
a folder with ``picture.jpg`` and ``pages.pdf``. An error is a result: ``{"code": C, "message": M}`` where C is the name of the code, its
number or the HTTP status, whichever the client tells (DEADLINE_EXCEEDED for its own timeout), and M the client's own text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from documents import text_pdf
from pictures import drawn
from plain import PLAIN
from vision_emulator import VisionEmulator, environment
from vision_emulator import config as configuration
from vision_emulator.surfaces.tls import Authority

ROOT: Final = Path(__file__).parents[2]
INSTALLED: Final = ROOT / ".clients"  # what other toolchains install for these tests; kept from run to run
EMULATOR: Final = Path(sys.executable).with_name("vision-emulator")
PREPARED: Final = Path(__file__).with_name("prepared.py")
SECONDS_MAX: Final = 240  # for all scenarios; seconds are enough where nothing else runs
SECURITIES: Final = ("plain", "tls", "exec")

LABELS: Final = ["Cat", "Whiskers"]


def _is(expected: Any) -> Callable[[Any], bool]:
    return lambda result: bool(result == expected)


def _fails(codes: Sequence[str | int], *texts: str) -> Callable[[Any], bool]:
    return lambda result: (
        isinstance(result, dict) and result.get("code") in codes and all(text in str(result.get("message")) for text in texts)
    )


class Scenario(NamedTuple):
    """What a program does, and what its result must be."""

    does: str
    expected: Any  # as a reader is told it
    holds: Callable[[Any], bool]


def _exactly(does: str, expected: Any) -> Scenario:
    return Scenario(does, expected, _is(expected))


def _refused(does: str, code: str, number: int, status: int, *texts: str) -> Scenario:
    return Scenario(does, {"code": code, "message": f"… {' … '.join(texts)} …"}, _fails((code, number, status), *texts))


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "label-online": _exactly("LABEL_DETECTION of the bytes of picture.jpg, by the shortest call there is: the descriptions", LABELS),
    "text-online": _exactly("TEXT_DETECTION of gs://inputs/sign.jpg: fullTextAnnotation.text", "Hello\nWorld"),
    "batch-offline": _exactly(
        "uploads picture.jpg with the storage client as gs://inputs/1.jpg … 5.jpg, asks asyncBatchAnnotateImages for LABEL_DETECTION of "
        "them with batch_size 2 and gs://results/batch/, waits for the operation, lists that prefix with the storage client and reads each "
        "file as JSON: names in listing order, all context.uri in order, the first label of each",
        {
            "files": [f"batch/output-{first}-to-{last}.json" for first, last in ((1, 2), (3, 4), (5, 5))],
            "uris": [f"gs://inputs/{number}.jpg" for number in range(1, 6)],
            "labels": ["Cat"] * 5,
        },
    ),
    "pdf-offline": _exactly(
        "uploads pages.pdf as gs://inputs/pages.pdf, asks asyncBatchAnnotateFiles for DOCUMENT_TEXT_DETECTION with batch_size 2 and "
        "gs://results/pdf/, waits, lists and reads: names in listing order, context.pageNumber of each page, the first line of each text",
        {
            "files": ["pdf/output-1-to-2.json", "pdf/output-3-to-3.json"],
            "pages": [1, 2, 3],
            "lines": [f"Page {number} of 3." for number in range(1, 4)],
        },
    ),
    "image-error": Scenario(
        "LABEL_DETECTION of gs://inputs/cat.jpg and gs://inputs/missing.jpg in one call: the first's descriptions, the second's error.code "
        "(5) and error.message",
        {"labels": LABELS, "code": 5, "message": "… gs://inputs/missing.jpg …"},
        lambda result: (
            isinstance(result, dict)
            and (result.get("labels"), result.get("code")) == (LABELS, 5)
            and "gs://inputs/missing.jpg" in str(result.get("message"))
        ),
    ),
    "17-images": _refused(
        "LABEL_DETECTION of gs://inputs/cat.jpg 17 times in one call of images:annotate: the error",
        "INVALID_ARGUMENT",
        3,
        400,
        "Too many images per request",
    ),
    "2001-images": _refused(
        "the same 2001 times in one call of images:asyncBatchAnnotate to gs://results/many/: the error", "INVALID_ARGUMENT", 3, 400, "2000"
    ),
    "not-found-operation": _refused(
        "gets the operation projects/p/operations/0123456789abcdef: the error", "NOT_FOUND", 5, 404, "Not found"
    ),
    "unavailable-twice": _exactly(
        "LABEL_DETECTION of gs://inputs/flaky.jpg, retried after UNAVAILABLE as the client does by itself, or as it is told to where it "
        "does not: the descriptions, of the third attempt",
        LABELS,
    ),
    "deadline": _refused(
        "LABEL_DETECTION of gs://inputs/slow.jpg with a timeout of one second and no retry: the error", "DEADLINE_EXCEEDED", 4, 504
    ),
}


class Client(NamedTuple):
    """What is put through the table: a row of the matrix."""

    language: str
    name: str  # the package, and its version
    transport: str  # grpc, rest, …
    without: Mapping[str, str] = {}  # scenarios that it has no call for, and why


def inputs(folder: Path) -> Path:
    """A folder with the files that programs send."""
    folder.mkdir(exist_ok=True)
    (folder / "picture.jpg").write_bytes(drawn())
    (folder / "pages.pdf").write_bytes(text_pdf())
    return folder


def without_proxies() -> dict[str, str]:
    """The environment of the tests, less what would lead programs elsewhere."""
    led = ("VISION_EMULATOR", "STORAGE_EMULATOR", "GOOGLE_", "CLOUDSDK_")
    return {name: value for name, value in configuration.environment().items() if not name.startswith(led) and "proxy" not in name.lower()}


def environ_for(security: str, address: str, authority: Authority, folder: Path) -> dict[str, str]:
    """The environment of a program that is told the address itself: plain or tls."""
    environ = without_proxies() | {
        "VISION_EMULATOR_HOST": address,
        "STORAGE_EMULATOR_HOST": f"http://{address}",
        "GOOGLE_CLOUD_PROJECT": "vision-emulator",
        "METADATA_SERVER_DETECTION": "none",
        "NO_GCE_CHECK": "true",
    }
    if security == "tls":
        files = environment.write_files(folder, authority, "vision-emulator", f"http://{address}/token", {})
        environ |= environment.trusting(files)
        environ["JAVA_TOOL_OPTIONS"] = " ".join(environment.java_trusting(files))
    return environ


def run(
    command: Sequence[str | Path],
    way: str,
    folder: Path,
    authority: Authority,
    scenarios: Sequence[str] = tuple(SCENARIOS),
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Runs a program through scenarios against an emulator of its own; what it printed for each, and how often ``faults`` struck.

    The program's own output is in the message when it did not come through.
    """
    security = way.partition("-")[0]
    program = [sys.executable, PREPARED, *command, way, inputs(folder), *scenarios]
    with ExitStack() as stack:
        if security == "exec":
            options = ("--certificates", authority.certificate_file.parent, "--bucket", "inputs", "--bucket", "results")
            program = [EMULATOR, "exec", *options, "--", *program]
            said = without_proxies()
        else:
            emulator = VisionEmulator(bucket=["inputs", "results"], certificates=authority.certificate_file.parent, settings=PLAIN)
            address = stack.enter_context(emulator).address.replace("127.0.0.1", "localhost")
            said = environ_for(security, address, authority, folder)
        done = subprocess.run(
            program, env={**said, **(environ or {})}, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
    results: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith('{"scenario"'):
            printed = json.loads(line)
            results[printed["scenario"]] = printed["result"]
    assert results, f"the program printed no results; exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    missing = [name for name in scenarios if name not in results]
    assert not missing, f"no result of {', '.join(missing)}; exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return results


def check(
    client: Client,
    command: Sequence[str | Path],
    security: str,
    folder: Path,
    authority: Authority,
    record_property: Callable[[str, object], None],
    environ: Mapping[str, str] | None = None,
) -> None:
    """Puts a client through the table in one way, and notes for the matrix how it went."""
    asked = [name for name in SCENARIOS if name not in client.without]
    cell = {"language": client.language, "client": client.name, "transport": client.transport, "security": security}
    record_property("matrix", json.dumps(cell | {"asked": len(asked), "passed": 0}))
    results = run(command, f"{security}-{client.transport}", folder, authority, asked, environ)
    wrong = {name: results[name] for name in asked if not SCENARIOS[name].holds(results[name])}
    if "unavailable-twice" in asked:
        assert results["faults"] == {"flaky": 2}, "the client was not refused twice"
    record_property("matrix", json.dumps(cell | {"asked": len(asked), "passed": len(asked) - len(wrong), "without": dict(client.without)}))
    told = "\n".join(f"{name}: {result!r} instead of {SCENARIOS[name].expected!r}" for name, result in wrong.items())
    assert not wrong, told


def not_run(client: Client, security: str, reason: str, record_property: Callable[[str, object], None]) -> None:
    """Notes a way that this client cannot go, and skips."""
    cell = {"language": client.language, "client": client.name, "transport": client.transport, "security": security}
    record_property("matrix", json.dumps(cell | {"not_run": reason}))
    pytest.skip(f"{client.language}, {client.transport}, {security}: {reason}")
