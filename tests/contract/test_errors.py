"""The catalogue of failures: what a refusal may say."""

from __future__ import annotations

import inspect
from urllib.parse import quote

import pytest

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import ECHO_BYTES_MAX, VisionError

HEADER_BYTES_MAX = 8192  # gRPC clients report a refusal with more as RESOURCE_EXHAUSTED


REQUEST_VALUES = {"uri", "parent", "model", "mime_type", "name", "text", "token"}  # parameters that hold a value of a gRPC request


def echoing() -> list[str]:
    """The constructors that take one value of a request."""
    return [
        name
        for name, make in inspect.getmembers(errors, inspect.isfunction)
        if make.__module__ == errors.__name__ and not name.startswith("_") and set(inspect.signature(make).parameters) < REQUEST_VALUES
        if len(inspect.signature(make).parameters) == 1
    ]


@pytest.mark.parametrize("name", echoing())
@pytest.mark.parametrize("letter", ["x", "é", "𝄞", "\n", "\0", "'"])
def test_a_refusal_fits_a_grpc_header(name: str, letter: str) -> None:
    """However long a value of the request is, the refusal that shows it reaches a gRPC client as it is."""
    assert len(echoing()) > 10
    failure: VisionError = getattr(errors, name)(letter * 100_000)
    assert len(quote(failure.message)) < HEADER_BYTES_MAX


def test_a_uri_is_shown_whole() -> None:
    """A refusal never cuts a URI that Cloud Storage could know."""
    uri = "gs://" + "b" * 63 + "/" + "é" * (limits.OBJECT_NAME_BYTES_MAX // 2)
    assert uri in errors.object_missing(uri).message
    assert errors.object_missing("x" * (ECHO_BYTES_MAX + 1)).message == f"Error opening file: {'x' * ECHO_BYTES_MAX}...."
