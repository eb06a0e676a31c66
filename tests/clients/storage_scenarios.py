"""The contract of the storage clients: one table of scenarios, what each must print, and how a language's program is run through it.

A language has one program for it: ``PROGRAM WAY INPUTS SCENARIO…`` runs the scenarios in their order and prints a line of JSON for each,
``{"scenario": NAME, "result": …}``. Its client is built with no options where it reads $STORAGE_EMULATOR_HOST, and is told that address
where it does not; under exec (way ``exec``, else ``plain``) it is built with no options in any case. There are the buckets ``shelf`` and
``other``; INPUTS is a folder with ``small.txt`` and ``large.bin``.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import google_crc32c
from scenarios import EMULATOR, SECONDS_MAX, without_proxies

from plain import PLAIN
from vision_emulator import VisionEmulator
from vision_emulator.surfaces.tls import Authority

SMALL: Final = b"Hello, storage!\n"
LARGE: Final = bytes(number * number % 251 for number in range(256)) * 4096 + b"and seventeen odd"  # chunks of 256 KiB, and a rest


def _crc32c(data: bytes) -> str:
    return b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


# What a program does, and what it must print.
SCENARIOS: Final[Mapping[str, tuple[str, Any]]] = {
    "interrupted": (
        "large.bin as interrupted.bin, resumable in chunks of 256 KiB; one is refused with 503, then an answer breaks off: size, crc32c",
        {"size": len(LARGE), "crc32c": _crc32c(LARGE)},
    ),
    "corrupted": ('downloads interrupted.bin, of which a byte is turned over on the way: "refused", for the hash is another', "refused"),
    "upload": (
        "small.txt in one request, with type text/plain and metadata colour=blue: what a look at it says",
        {
            "size": len(SMALL),
            "contentType": "text/plain",
            "metadata": {"colour": "blue"},
            "crc32c": _crc32c(SMALL),
            "md5": b64encode(hashlib.md5(SMALL, usedforsecurity=False).digest()).decode(),
        },
    ),
    "chunks": (
        "large.bin, resumable in chunks of 256 KiB, and downloads it: the SHA-256 of what came back",
        hashlib.sha256(LARGE).hexdigest(),
    ),
    "wrong-hash": ("small.txt as wrong.txt with the crc32c or md5 of other bytes: the HTTP status", 400),
    "ranges": (
        "bytes 10 to 19 of large.bin, its last 7, and all from 1048576 on, in hex",
        [LARGE[10:20].hex(), LARGE[-7:].hex(), LARGE[2**20 :].hex()],
    ),
    "pages": ("uploads list/0 … list/6, lists them 3 on a page: the names", [f"list/{number}" for number in range(7)]),
    "delimiter": (
        "uploads tree/a.txt, tree/b.jpg, tree/deep/c.txt, tree/deep/er/d.txt; lists prefix tree/ with delimiter /: names and prefixes",
        {"names": ["tree/a.txt", "tree/b.jpg"], "prefixes": ["tree/deep/"]},
    ),
    "glob": ("lists what matches tree/**.txt", ["tree/a.txt", "tree/deep/c.txt", "tree/deep/er/d.txt"]),
    "preconditions": (
        "once.txt if there is none; again: the status; again if it is as known: whether its generation grew; reads the first: the status",
        {"refused": 412, "grew": True, "old": 404},
    ),
    "copy": ("copies small.txt to copy.txt: the copy's content and type", {"content": SMALL.decode(), "contentType": "text/plain"}),
    "rewrite": (
        "copies large.bin into the other bucket: bucket, size and crc32c of the copy",
        {"bucket": "other", "size": len(LARGE), "crc32c": _crc32c(LARGE)},
    ),
    "compose": (
        "composes twice.txt of small.txt and small.txt: whether its content is that, componentCount",
        {"same": True, "components": 2},
    ),
    "patch": (
        "sets type text/x-note and metadata shape=round of copy.txt: type, metadata, metageneration",
        {"contentType": "text/x-note", "metadata": {"colour": "blue", "shape": "round"}, "metageneration": 2},
    ),
    "delete": ("deletes copy.txt, looks at it, deletes it again: the HTTP statuses of these two", [404, 404]),
    "batch": ("deletes list/0 … list/6 in one batch, lists them: the names", []),
}
BY_FAULTS: Final = ("interrupted", "corrupted")  # what must befall a client from the server's side


def inputs(folder: Path) -> Path:
    """A folder with the files that programs send."""
    folder.mkdir(exist_ok=True)
    (folder / "small.txt").write_bytes(SMALL)
    (folder / "large.bin").write_bytes(LARGE)
    return folder


def _strike(emulator: VisionEmulator, asked: Sequence[str]) -> None:
    """A session, a chunk, and then two faults; the first download is damaged."""
    if "interrupted" in asked:
        refuse, lose = {"fault": "reject", "code": "UNAVAILABLE"}, {"fault": "drop", "when": "middle"}
        emulator.faults.add(refuse, lose, id="uploads", method="storage.objects.insert", skip=2)
    if "corrupted" in asked:
        emulator.faults.add({"fault": "corrupt"}, id="downloads", method="storage.objects.get")


def check(
    command: Sequence[str | Path],
    folder: Path,
    without: Mapping[str, str],
    record_property: Callable[[str, object], None],
    row: Mapping[str, str],
    authority: Authority | None = None,
    environ: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Puts a storage client through the table, less the scenarios that it has no call for; unchanged under exec with an authority."""
    asked = [name for name in SCENARIOS if name not in without and not (authority and name in BY_FAULTS)]
    program = [*command, "exec" if authority else "plain", inputs(folder / "inputs"), *asked]
    struck = {}
    with ExitStack() as stack:
        said = without_proxies()
        if authority:
            made = ("--certificates", authority.certificate_file.parent, "--bucket", "shelf", "--bucket", "other")
            program = [EMULATOR, "exec", *made, "--", *program]
        else:
            emulator = stack.enter_context(VisionEmulator(bucket=["shelf", "other"], settings=PLAIN, **options))
            _strike(emulator, asked)
            said |= {"STORAGE_EMULATOR_HOST": emulator.url, "VISION_EMULATOR_HOST": emulator.address, "GOOGLE_CLOUD_PROJECT": "p"}
        done = subprocess.run(
            program, env={**said, **(environ or {})}, cwd=folder, capture_output=True, text=True, timeout=3 * SECONDS_MAX, check=False
        )  # gcloud starts anew for each call
        if not authority:
            struck = {rule["rule"]["id"]: rule["struck"] for rule in emulator.faults.list()}
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    results = {line["scenario"]: line["result"] for line in lines}
    wrong = [
        f"{name}: {results.get(name)!r} instead of {SCENARIOS[name][1]!r}" for name in asked if results.get(name) != SCENARIOS[name][1]
    ]
    way = "exec" if authority else "directory" if options else "memory"
    cell = {**row, "transport": "storage", "security": way}
    record_property("matrix", json.dumps(cell | {"asked": len(asked), "passed": len(asked) - len(wrong), "without": dict(without)}))
    assert not wrong, "\n".join([*wrong, f"exit code {done.returncode}", done.stderr[-4000:]])
    assert "interrupted" not in asked or struck["uploads"] == 2, struck
