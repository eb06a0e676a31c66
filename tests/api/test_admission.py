"""Credentials and quota over every transport: gRPC's metadata and REST's headers and query are one thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from transports import Api, Refused

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from wire import ask

SAMPLE = "gs://cloud-samples-data/vision/document_understanding/image1.png"
REQUEST: Mapping[str, Any] = {"requests": [{"image": {"source": {"image_uri": SAMPLE}}, "features": [{"type": "LABEL_DETECTION"}]}]}
QUOTA = 3


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(Config(port=0, auth="required", quota=QUOTA)) as running:
        yield running


async def refused(api: Api, rpc: str = "BatchAnnotateImages", **metadata: str) -> tuple[int, str, str]:
    """Code, message and reason of the refusal."""
    with pytest.raises(Refused) as caught:
        await api(rpc, REQUEST if "Images" in rpc else {}, {name.replace("_", "-"): value for name, value in metadata.items()})
    failure = caught.value
    reasons = [detail for detail in failure.details if detail.type_url.endswith("ErrorInfo")]
    return (
        failure.code,
        failure.message.partition(".")[0],
        "".join(part for part in REASONS if reasons and part.encode() in reasons[0].value),
    )


REASONS = ("CREDENTIALS_MISSING", "ACCESS_TOKEN_EXPIRED", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "RATE_LIMIT_EXCEEDED")


async def test_credentials(api: Api) -> None:
    """The same refusals with the same details, whatever carried the call; with a key or a token it is answered."""
    assert await refused(api) == (7, "The request is missing a valid API key", "")
    assert await refused(api, authorization="Bearer expired") == (
        16,
        "Request had invalid authentication credentials",
        "ACCESS_TOKEN_EXPIRED",
    )
    assert await refused(api, x_goog_api_key="invalid") == (3, "API key not valid", "API_KEY_INVALID")
    assert (await refused(api, x_goog_api_key="blocked"))[::2] == (7, "API_KEY_SERVICE_BLOCKED")
    missing = "Request is missing required authentication credential"
    assert await refused(api, "AsyncBatchAnnotateFiles") == (16, missing, "CREDENTIALS_MISSING")
    for metadata in ({"x-goog-api-key": "AIza"}, {"authorization": "Bearer ya29"}):
        assert (await api("BatchAnnotateImages", REQUEST, metadata)).message.responses[0].label_annotations


async def test_quota(api: Api, emulator: Emulator) -> None:
    """So many calls a minute, then RESOURCE_EXHAUSTED with its reason; a reset gives them back."""
    key = {"x-goog-api-key": "AIza"}
    for _ in range(QUOTA):
        await api("BatchAnnotateImages", REQUEST, key)
    limit = "quota metric 'Requests' and limit 'Requests per minute' of service 'vision"
    assert await refused(api, x_goog_api_key="AIza") == (8, f"Quota exceeded for {limit}", "RATE_LIMIT_EXCEEDED")
    assert (await api("ListOperations", {"name": "operations"}, key)).message.operations == []
    emulator.reset()
    await api("BatchAnnotateImages", REQUEST, key)


async def test_what_only_http_has(emulator: Emulator) -> None:
    """Credentials in the query, the status of each refusal, and the challenge of a 401."""
    body = b'{"requests": []}'
    for query, status in {"": 403, "?key=AIza": 200, "?key=invalid": 400, "?access_token=ya29": 200, "?oauth_token=expired": 401}.items():
        reply = await ask(emulator, "POST", f"/v1/images:annotate{query}", body)
        assert (query, reply.status) == (query, status)
        challenge = 'Bearer realm="https://accounts.google.com/", error="invalid_token"' if status == 401 else None
        assert reply.headers.get("www-authenticate") == challenge
