"""What the whole suite has: its options, no time limits on examples, and the line that says how many conformance variants passed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure. Everything else stays as it is set, among it the fixed examples that hypothesis chooses in CI.
settings.register_profile("suite", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", action="store_true", help="tests/docker: build the image and run it (as root; takes minutes)")
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
