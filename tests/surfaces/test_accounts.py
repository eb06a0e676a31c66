"""What the libraries ask Google's other hosts: answered at once, with a token for everybody."""

from __future__ import annotations

import pytest

from vision_emulator.app import Emulator
from wire import ask


@pytest.mark.parametrize("path", ["/token", "/oauth2/v4/token", "/o/oauth2/token", "/v1/token", "/token?alt=json"])
async def test_token_endpoints(emulator: Emulator, path: str) -> None:
    """Whatever is claimed there, a bearer token comes back, as JSON that every library reads."""
    reply = await ask(emulator, "POST", path, b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x.y.z")
    assert reply.status == 200
    assert reply.json == {"access_token": reply.json["access_token"], "expires_in": 3600, "token_type": "Bearer"}
    assert reply.json["access_token"].startswith("ya29.")


async def test_a_token_of_the_emulator_opens_the_emulator(emulator: Emulator) -> None:
    """What is handed out is taken where credentials are required, and is none of the words that are refused."""
    token = (await ask(emulator, "POST", "/token")).json["access_token"]
    assert not token.startswith(("expired", "invalid"))


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("project/project-id", "vision-emulator"),
        ("universe/universe-domain", "googleapis.com"),
        ("instance/service-accounts/default/email", "vision-emulator@vision-emulator.iam.gserviceaccount.com"),
    ],
)
async def test_the_metadata_server(emulator: Emulator, path: str, answer: str) -> None:
    """It answers as one, with the header by which libraries know it."""
    reply = await ask(emulator, "GET", f"/computeMetadata/v1/{path}", headers={"Metadata-Flavor": "Google"})
    assert (reply.status, reply.body.decode(), reply.headers["metadata-flavor"]) == (200, answer, "Google")


async def test_the_metadata_server_has_an_account_and_a_token(emulator: Emulator) -> None:
    """The default account's description, with and without the query that asks for all of it, and its token."""
    for path in ("", "?recursive=true"):
        reply = await ask(emulator, "GET", f"/computeMetadata/v1/instance/service-accounts/default/{path}")
        assert reply.json["email"].endswith("gserviceaccount.com")
    token = await ask(emulator, "GET", "/computeMetadata/v1/instance/service-accounts/default/token?scopes=x")
    assert token.json["token_type"] == "Bearer"
    missing = await ask(emulator, "GET", "/computeMetadata/v1/instance/zone")
    assert (missing.status, missing.headers["metadata-flavor"]) == (404, "Google")


async def test_service_accounts(emulator: Emulator) -> None:
    """The question that google-auth asks in the background gets its 404 as JSON; impersonation gets a token."""
    name = "/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com"
    reply = await ask(emulator, "GET", f"{name}/allowedLocations")
    assert (reply.status, reply.error["status"]) == (404, "NOT_FOUND")
    token = await ask(emulator, "POST", f"{name}:generateAccessToken", b"{}")
    assert token.json["accessToken"].startswith("ya29.")
    assert len(emulator.vision.journal) == 0


async def test_a_body_that_is_too_large(emulator: Emulator) -> None:
    """Nobody's claim is that long."""
    assert (await ask(emulator, "POST", "/token", b"x" * 100_000)).status == 413
