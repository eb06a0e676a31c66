"""The README tells the truth: its blocks run against a real emulator, its tables are the ones the program gives.

Blocks run in their order, in one folder, with ``localhost:8970`` replaced by the emulator's address. A ``text`` block behind a
block is its exact output; a comment ``<!-- file: NAME -->`` makes the next block that file; ``<!-- not run: REASON -->`` leaves one out.
``python tests/test_readme.py`` writes the tables anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from plain import PLAIN
from vision_emulator import VisionEmulator
from vision_emulator.app import core
from vision_emulator.config import Config, add_flags, as_markdown, load
from vision_emulator.control.clock import Chance, ManualClock
from vision_emulator.control.presets import PRESETS
from vision_emulator.core import capabilities

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?:<!-- (?P<mark>file|not run): (?P<note>.+?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)
STORAGE_WAYS = ("memory", "directory", "exec")
MATRIX = README.parent / "tests" / "clients" / "matrix.json"
LANGUAGES = ("Python", "Node", "Go", "Java", "gcloud", "curl")
SECURITIES = ("plain", "tls", "exec")
SECONDS_MAX = 120


class Block(NamedTuple):
    """A fenced block: where it starts, what language, its text, and the comment in front of it."""

    line: int
    language: str
    text: str
    mark: str
    note: str


def blocks() -> list[Block]:
    text = README.read_text()
    return [
        Block(text.count("\n", 0, found.start("text")), found["language"], found["text"], found["mark"] or "", found["note"] or "")
        for found in BLOCK.finditer(text)
    ]


def ledger() -> str:
    async def written() -> str:
        async with core(Config(settings=PLAIN), ManualClock(), Chance(0)) as (vision, _):
            return capabilities.as_markdown(capabilities.ledger(vision))

    return asyncio.run(written())


def presets() -> str:
    lines = ["| Preset | What happens | Parameters |", "|---|---|---|"]
    for name, preset in PRESETS.items():
        said = preset.parameters()
        parameters = [f"`{field.encode_name}` ({shown(getattr(said, field.name))})" for field in msgspec.structs.fields(said)]
        lines.append(f"| `{name}` | {preset.summary} | {', '.join(parameters)} |")
    return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def cells(*, storage: bool = False) -> list[dict[str, Any]]:
    """What was recorded of the clients of Vision, or of Cloud Storage."""
    return [cell for cell in json.loads(MATRIX.read_text()) if (cell["transport"] == "storage") == storage]


def storage_matrix() -> str:
    """The same of the storage clients."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells(storage=True):
        told = f"{'✓' if cell['passed'] == cell['asked'] else '✗'} {cell['passed']} of {cell['asked']}"
        rows.setdefault((cell["language"], cell["client"]), {})[cell["security"]] = told
    order = sorted(rows, key=lambda row: (LANGUAGES.index(row[0]), row[1]))
    lines = [f"| {' | '.join(row)} | {' | '.join(rows[row].get(way, 'not run') for way in STORAGE_WAYS)} |" for row in order]
    return "\n".join(["| Language | Client | in memory | in a directory | unchanged, under exec |", "|---|---|---|---|---|", *lines, ""])


def matrix() -> str:
    """What passed of the scenarios, client by client; how many where a client has no call for all of them."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for cell in cells():
        told = cell.get("not_run") or f"{'✓' if cell['passed'] == cell['asked'] else '✗'} {cell['passed']} of {cell['asked']}"
        rows.setdefault((cell["language"], cell["client"], cell["transport"]), {})[cell["security"]] = told
    order = sorted(rows, key=lambda row: (LANGUAGES.index(row[0]), *row[1:]))
    lines = [f"| {' | '.join(row)} | {' | '.join(rows[row].get(way, 'not run') for way in SECURITIES)} |" for row in order]
    return "\n".join(["| Language | Client | Transport | plain | TLS | unchanged, under exec |", "|---|---|---|---|---|---|", *lines, ""])


TABLES = {"options": as_markdown, "capabilities": ledger, "presets": presets, "clients": matrix, "storage-clients": storage_matrix}


def with_tables(text: str) -> str:
    for name, table in TABLES.items():
        marks = rf"(<!-- {name}: [^\n]* -->\n).*(<!-- end of {name} -->)"
        text, count = re.subn(marks, lambda found, table=table: f"{found[1]}{table()}{found[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
        assert count == 1, f"README.md has no place for the table of {name}"
    return text


def serve_lines() -> list[str]:
    return re.findall(r"vision-emulator serve((?: --[\w-]+(?: [^\s`|-][^\s`|]*)?)*)", README.read_text())


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # of the certificate authority
    with VisionEmulator(bucket=["results"]) as emulator:
        yield emulator.address


def command(block: Block, address: str) -> list[str]:
    text = block.text.replace("localhost:8970", address)
    return [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euo", "pipefail", "-c", text]


@pytest.mark.timeout(5 * SECONDS_MAX)  # a book of programs, on a machine that may be busy
def test_every_block_runs_as_written(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader copies works: every block exits with 0, and prints what the block behind it shows."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    for name in ("STORAGE_EMULATOR_HOST", "VISION_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    printed = ""
    for block in blocks():
        if block.mark == "file":
            (tmp_path / block.note).parent.mkdir(exist_ok=True)
            (tmp_path / block.note).write_text(block.text)
        elif block.language == "text":
            assert printed == block.text, f"README.md:{block.line}: shows another output than the block before it prints"
        elif block.language in ("python", "sh") and not block.mark and "make " not in block.text:
            run = subprocess.run(command(block, address), cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
            assert run.returncode == 0, f"README.md:{block.line}: exit code {run.returncode}\n{run.stdout}\n{run.stderr}"
            assert run.stdout, f"README.md:{block.line}: prints nothing"
            printed = run.stdout


def test_every_serve_line_is_accepted(tmp_path: Path) -> None:
    """The flags of each ``vision-emulator serve`` in the text exist and take such values."""
    lines = serve_lines()
    assert len(lines) >= 4
    for line in lines:
        parser = ArgumentParser()
        add_flags(parser)
        assert load(vars(parser.parse_args(shlex.split(line))), {}, tmp_path).config


def test_the_make_commands_exist() -> None:
    """A make target that the README names is one of the Makefile's."""
    makefile = (README.parent / "Makefile").read_text()
    named = set(re.findall(r"\bmake (demo|test|serve|check|bench|clean|\w+(?=`))", README.read_text()))
    assert {"demo", "test", "bench"} <= named
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_the_tables_are_current() -> None:
    """The tables are those that the program gives; ``python tests/test_readme.py`` writes them anew."""
    text = README.read_text()
    assert with_tables(text) == text, "a table is stale: run python tests/test_readme.py"


def test_the_matrix_is_full() -> None:
    """Each client passes what it was asked in all three ways, or it is told why it cannot be asked."""
    assert {cell["language"] for cell in cells(storage=True)} >= {"Python", "Node", "Go", "Java"}
    assert all(cell["passed"] == cell["asked"] > 0 for cell in cells(storage=True))
    ways: dict[tuple[str, str, str], set[str]] = {}
    for cell in cells():
        assert "not_run" in cell or cell["passed"] == cell["asked"] > 0, cell
        ways.setdefault((cell["language"], cell["client"], cell["transport"]), set()).add(cell["security"])
    assert all(gone == set(SECURITIES) for gone in ways.values()), ways
    assert {language for language, _, _ in ways} == set(LANGUAGES)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
