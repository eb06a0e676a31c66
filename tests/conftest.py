"""What the whole suite has: its options, no time limits on examples, and the line that says how many conformance variants passed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

MATRIX: Final = Path(__file__).with_name("clients") / "matrix.json"

# A busy machine is no failure. Everything else stays as it is set, among it the fixed examples that hypothesis chooses in CI.
settings.register_profile("suite", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", action="store_true", help="tests/docker: build the image and run it (as root; takes minutes)")
    parser.addoption("--record-baseline", action="store_true", help="tests/conformance: record the answers to all variants anew")
    parser.addoption("--record-matrix", action="store_true", help="tests/clients: record what passed of the languages that were run")
    parser.addoption("--simulation-steps", type=int, default=150, help="tests/simulation: steps of each seeded run")
    parser.addoption("--crash-points", type=int, default=200, help="tests/simulation: at how many points a life is cut off")
    parser.addoption("--crash-seed", type=int, default=0, help="tests/simulation: where the lives that are cut off begin")
    parser.addoption("--simulation-seeds", type=int, default=8, help="tests/simulation: how many seeds are run")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Adds up what the conformance tests counted, in this process or in its workers, and records the matrix of clients."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    if config.getoption("--record-matrix"):
        _record_matrix([*reports, *terminalreporter.getreports("skipped")])
    skipped = Counter(str(report.longrepr[2]) for report in terminalreporter.getreports("skipped") if isinstance(report.longrepr, tuple))
    for reason, count in skipped.items():
        if reason.endswith("is not installed"):  # a language's toolchain
            terminalreporter.write_line(f"{count} tests of clients were not run: {reason.removeprefix('Skipped: ')}")
    counts = [value for report in reports for name, value in report.user_properties if name == "conformance" and report.when == "call"]
    if counts:
        total, passed = map(sum, zip(*counts, strict=True))
        terminalreporter.write_line(f"conformance: {passed} of {total} variants passed ({100 * passed / total:.2f} %)")


def _record_matrix(reports: list[pytest.TestReport]) -> None:
    """Puts what was run in the place of all that was known of its languages."""
    cells: dict[str, dict[str, object]] = {}
    for value in (value for report in reports for name, value in report.user_properties if name == "matrix"):
        cell = json.loads(str(value))
        cells["/".join(cell[key] for key in ("language", "client", "transport", "security"))] = cell
    run = {_of_whom(cell) for cell in cells.values()}
    kept = [cell for cell in json.loads(MATRIX.read_text()) if _of_whom(cell) not in run] if MATRIX.exists() else []
    lines = sorted(json.dumps(cell, ensure_ascii=False) for cell in [*kept, *cells.values()])
    MATRIX.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def _of_whom(cell: dict[str, object]) -> tuple[object, bool]:
    """Whose client a cell is about: of which language, and whether of Cloud Storage."""
    return cell["language"], cell["transport"] == "storage"
