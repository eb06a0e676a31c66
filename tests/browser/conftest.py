"""One browser for all of these tests, and for each an emulator and a page that shows its dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import chromium
import pytest

from pictures import drawn
from plain import PLAIN
from vision_emulator import VisionEmulator


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Chromium]:
    """Chromium, started once."""
    with chromium.running() as running:
        yield running


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[VisionEmulator]:
    """On a free port, with two buckets and answers that are given or invented."""
    with VisionEmulator(bucket=("photos", "results"), certificates=tmp_path / "ca", settings=PLAIN) as running:
        yield running


@pytest.fixture
def dashboard(browser: chromium.Chromium, emulator: VisionEmulator) -> chromium.Opened:
    """Opens the dashboard at a panel; when it is left, the page must have had no fault and asked nobody but the emulator."""

    @asynccontextmanager
    async def opened(panel: str = "", **window: object) -> AsyncIterator[chromium.Page]:
        async with browser.page(f"{emulator.url}/_emulator/#/{panel}", **window) as page:  # type: ignore[arg-type]
            await page.shows("Live", "#link")
            yield page
            assert page.complaints == []
            assert [url for url in page.asked if not url.startswith(emulator.url + "/")] == []

    return opened


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture as a file."""
    path = tmp_path / "garden.png"
    path.write_bytes(drawn(5, (320, 240), "PNG"))
    return path
