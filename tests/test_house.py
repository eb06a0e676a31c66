"""The rules of the house that no other test holds: layers, the public door, one printer, what is imported when, and a fresh contract."""

from __future__ import annotations

import ast
import importlib
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vision_emulator
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.methods import METHODS, Call

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "emulator" / "vision_emulator"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
SECONDS_MAX = 60

# What clients may call and get an answer; every other method of the table answers UNIMPLEMENTED, with a sentence.
ANSWERED = {
    "ImageAnnotator.BatchAnnotateImages",
    "ImageAnnotator.BatchAnnotateFiles",
    "ImageAnnotator.AsyncBatchAnnotateFiles",
    "ImageAnnotator.AsyncBatchAnnotateImages",
    "Operations.ListOperations",
    "Operations.GetOperation",
    "Operations.DeleteOperation",
    "Operations.CancelOperation",
    "Operations.WaitOperation",
}


def test_layers_hold() -> None:
    """A file imports only from a lower layer; import-linter's contracts in pyproject.toml say which that is."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert run.returncode == 0, run.stdout


def test_the_public_door_is_these_names() -> None:
    """What users import is decided, not accidental; each name leads somewhere and nothing else does."""
    names = ["Annotator", "Config", "Control", "ControlError", "RemoteEmulator", "VisionEmulator", "VisionError"]
    assert sorted(vision_emulator.__all__) == names
    for name in vision_emulator.__all__:
        assert getattr(vision_emulator, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Emulator'"):
        _ = vision_emulator.Emulator


def test_the_compiled_contract_is_that_of_the_protos(tmp_path: Path) -> None:
    """Edited .proto text counts only once it is compiled; a stale contract would make every other test lie."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    contract = PACKAGE.relative_to(ROOT) / "contract"
    (tmp_path / contract).mkdir(parents=True)
    compiled, stub = runpy.run_path(str(ROOT / "protos" / "build_hook.py"))["compile_contract"](tmp_path)
    for fresh in (compiled, stub):
        used = ROOT / contract / fresh.name
        assert used.read_bytes() == fresh.read_bytes(), f"{used.name} is not what protos/ say: run `pip install -e .`"


def test_only_the_command_line_prints() -> None:
    """A library that prints disturbs its user's output: everything else logs, or answers."""
    printers = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if any(called(path, "print"))}
    assert printers <= {"cli.py"}


def called(path: Path, name: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node.lineno


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_test_states_the_rule_it_protects(path: Path) -> None:
    """A test without a docstring leaves its reader to guess what broke."""
    tests = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert [test.name for test in tests if not ast.get_docstring(test)] == []
    assert tests, "a test file without tests"


def test_every_method_is_answered_or_says_that_it_is_not(codes_of_methods: list[tuple[str, Code]]) -> None:
    """The ledger of methods: none is forgotten, and none fakes an answer. A new one changes ANSWERED."""
    unimplemented = {name for name, code in codes_of_methods if code == Code.UNIMPLEMENTED}
    assert {name for name, _ in codes_of_methods} - unimplemented == ANSWERED
    assert len(codes_of_methods) == len(METHODS)


@pytest.fixture
async def codes_of_methods() -> list[tuple[str, Code]]:
    """Each method's name and the code that an empty request gets."""
    codes = []
    async with Emulator(Config(port=0)) as emulator:
        for method in METHODS.values():
            try:
                await emulator.vision.call(Call(method, method.request(), {}))
                code = Code.OK
            except VisionError as refusal:
                code = refusal.code
            codes.append((f"{method.service}.{method.name}", code))
    return codes


def test_serving_starts_without_what_it_does_not_need() -> None:
    """Start-up time is measured: image and cloud libraries are imported when they are first used."""
    heavy = ("PIL", "numpy", "gcloud", "yaml", "google.cloud", "google.api_core", "google.auth")
    serve = f"""
import asyncio, sys
from vision_emulator.app import Emulator
from vision_emulator.config import load
import vision_emulator.cli

async def start():
    async with Emulator(load({{"port": "0"}}, {{}}).config):
        print([name for name in {heavy!r} if name in sys.modules])

asyncio.run(start())
"""
    run = subprocess.run([sys.executable, "-c", serve], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    assert run.stdout.strip() == "[]"


def test_a_health_check_imports_neither_server_nor_messages() -> None:
    """Containers ask every few seconds: the check costs no more than the standard library."""
    check = "import sys; from vision_emulator.cli import main; main(['healthcheck', '--port', '1']); print(sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=SECONDS_MAX, check=True)
    imported = ast.literal_eval(run.stdout)
    assert not {"aiohttp", "grpc", "google.protobuf", "asyncio"} & set(imported)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_says_what_it_is(path: Path) -> None:
    """A reader learns from the first line of a file what it is for; and each file can be imported on its own."""
    text = path.read_text()
    assert not text or ast.get_docstring(ast.parse(text))
    name = path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    importlib.import_module(name)
