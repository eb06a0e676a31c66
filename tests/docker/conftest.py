"""The image is built and run only when asked for (``pytest tests/docker --image``, ``make image-test``): it takes minutes and root."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--image"):
        left_out = [item for item in items if item.get_closest_marker("image")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
