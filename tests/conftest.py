"""What the whole suite has: the option that records the conformance baseline, and the line that says how many variants passed."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-baseline", action="store_true", help="tests/conformance: record the answers to all variants anew")
    parser.addoption("--simulation-steps", type=int, default=150, help="tests/simulation: steps of each seeded run")
    parser.addoption("--simulation-seeds", type=int, default=8, help="tests/simulation: how many seeds are run")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Adds up what the conformance tests counted, in this process or in its workers."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    counts = [value for report in reports for name, value in report.user_properties if name == "conformance" and report.when == "call"]
    if counts:
        total, passed = map(sum, zip(*counts, strict=True))
        terminalreporter.write_line(f"conformance: {passed} of {total} variants passed ({100 * passed / total:.2f} %)")
