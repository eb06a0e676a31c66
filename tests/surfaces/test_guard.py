"""Who may use the control API, over a real port: pages of other sites never, other machines only with the token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from vision_emulator.app import Emulator
from vision_emulator.config import Config
from vision_emulator.surfaces.control.guard import host_of, is_loopback
from wire import Reply, ask

TOKEN = "s3cret-TOKEN/+~."


@pytest.fixture
async def locked() -> AsyncIterator[Emulator]:
    """One that was started with a control token."""
    async with Emulator(Config(port=0, control_token=TOKEN)) as running:
        yield running


async def journal(emulator: Emulator, headers: Mapping[str, str] | None = None, query: str = "", verb: str = "GET") -> Reply:
    return await ask(emulator, verb, f"/_emulator/v1/journal{query}", b"", headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},  # another program's page on this machine
        {"Origin": "null"},  # a file, or a sandboxed frame
        {"Origin": "chrome-extension://abc"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "document"},
    ],
)
async def test_pages_of_other_sites_are_refused(emulator: Emulator, headers: dict[str, str]) -> None:
    """Whatever the verb, a page of another origin neither reads nor changes anything, with the content types that need no preflight too."""
    for verb, path in (("GET", "journal"), ("POST", "reset"), ("PUT", "pace"), ("GET", "nothing")):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
            reply = await ask(emulator, verb, f"/_emulator/v1/{path}", b"{}", {"Content-Type": content_type, **headers})
            assert reply.status == 403
            assert "are refused" in reply.error
            assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "http://127.0.0.1:8970", "Host": "127.0.0.1:8970", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://LOCALHOST:8970", "Host": "localhost:8970"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},  # a link that a person followed
    ],
)
async def test_pages_of_the_emulator_are_let_in(emulator: Emulator, headers: dict[str, str]) -> None:
    """Its own pages call it, and a link to it may stand anywhere."""
    assert (await journal(emulator, headers)).status == 200


async def test_a_followed_link_changes_nothing(emulator: Emulator) -> None:
    """A form of another site that navigates is a POST, and refused."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await ask(emulator, "POST", "/_emulator/v1/reset", b"", headers)).status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8970", "127.0.0.1.evil.example", "localhost.evil.example", "8970.example."])
async def test_names_that_anybody_may_own_are_refused(emulator: Emulator, host: str) -> None:
    """A public name may be pointed here by its owner's page: it is not taken for this machine's."""
    reply = await journal(emulator, {"Host": host})
    assert (reply.status, "--control-token" in reply.error) == (403, True)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8970", "localhost.", "127.0.0.1:1", "[::1]:8970", "10.1.2.3", "vision-emulator:8970", "vision.test",
     "host.docker.internal:8970", "a.localhost"],
)  # fmt: skip
async def test_names_of_this_network_are_let_in(emulator: Emulator, host: str) -> None:
    """Addresses and names that no public page can have: this machine's, and those of containers beside it."""
    assert (await journal(emulator, {"Host": host})).status == 200


async def test_without_the_token_nothing_but_health(locked: Emulator) -> None:
    """401 with how to send it, for known calls and unknown ones; health stays open for whoever starts containers."""
    for path in ("v1/journal", "v1/reset", "v1/openapi.json", "nothing"):
        reply = await ask(locked, "GET", f"/_emulator/{path}")
        assert reply.status == 401
        assert "is missing" in reply.error
        assert "Authorization: Bearer TOKEN" in reply.error
        assert reply.headers["www-authenticate"] == "Bearer"
    for headers in ({}, {"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert (await ask(locked, "GET", "/_emulator/health", b"", headers)).json == {"status": "serving"}


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, ""),
        ({"Authorization": f"bearer  {TOKEN}"}, ""),
        ({"X-Vision-Emulator-Token": TOKEN}, ""),
        ({"Cookie": f"other=1; vision-emulator-token={TOKEN}"}, ""),
        ({}, "?token=s3cret-TOKEN%2F%2B~."),
        ({"Authorization": "Bearer of-something-else", "x-vision-emulator-token": TOKEN}, ""),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "emulator.example"}, ""),  # a proxy's name
    ],
)
async def test_the_token_in_each_of_its_places(locked: Emulator, headers: dict[str, str], query: str) -> None:
    """Header, cookie or query; with the right one the server's name does not matter."""
    assert (await journal(locked, headers, query)).status == 200


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "x", TOKEN.lower(), "é", "\udcff", " "])
async def test_a_wrong_token(locked: Emulator, token: str) -> None:
    """Neither a part of it nor more than it opens anything, and no answer repeats it."""
    for headers in ({"x-vision-emulator-token": token}, {"Authorization": f"Bearer {token}"}):
        sent = {name: value.encode("utf-8", "surrogateescape").decode("latin-1") for name, value in headers.items()}
        reply = await journal(locked, sent)
        assert reply.status == 401
        assert TOKEN not in reply.body.decode()


async def test_the_token_does_not_excuse_other_sites(locked: Emulator) -> None:
    """A browser that has the cookie is still not moved by another site's page."""
    headers = {"Cookie": f"vision-emulator-token={TOKEN}", "Origin": "https://evil.example"}
    assert (await journal(locked, headers)).status == 403


async def test_the_query_becomes_a_cookie(locked: Emulator) -> None:
    """A page opened with ?token= keeps it in a cookie that scripts cannot read; a wrong one is not kept."""
    cookie = (await journal(locked, {}, "?token=s3cret-TOKEN%2F%2B~.")).headers["set-cookie"]
    assert {"HttpOnly", "Path=/_emulator", "SameSite=Lax"} <= set(cookie.split("; "))
    assert (await journal(locked, {"Cookie": cookie.partition(";")[0]})).status == 200
    assert "set-cookie" not in (await journal(locked, {}, "?token=wrong")).headers


async def test_on_every_interface_a_token_is_needed(caplog: pytest.LogCaptureFixture) -> None:
    """Where others may reach it, nothing but health is answered without a token, and both answer and log name the flag."""
    async with Emulator(Config(host="0.0.0.0", port=0)) as running:
        reply = await journal(running)
        assert (reply.status, "--control-token" in reply.error) == (403, True)
        assert (await ask(running, "GET", "/_emulator/health")).status == 200
    assert "--control-token" in caplog.text
    caplog.clear()
    async with Emulator(Config(host="0.0.0.0", port=0, control_token=TOKEN)) as running:
        assert (await journal(running)).status == 401
        assert (await journal(running, {"x-vision-emulator-token": TOKEN})).status == 200
    assert "control" not in caplog.text
    assert TOKEN not in caplog.text


async def test_the_api_itself_needs_no_token(locked: Emulator) -> None:
    """The token is for the levers; Vision and Cloud Storage are what they were, from any page and under any name."""
    headers = {"Host": "emulator.example", "Origin": "https://app.example"}
    assert (await ask(locked, "GET", "/v1/operations", b"", headers)).status == 200
    assert (await ask(locked, "GET", "/storage/v1/b?project=p", b"", headers)).status == 200


@pytest.mark.parametrize(
    ("host", "alone"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
     ("example.com", False)],
)  # fmt: skip
def test_which_addresses_are_this_machines_alone(host: str, alone: bool) -> None:
    """Only loopback is; a name that is not known to be is not."""
    assert is_loopback(host) == alone


@pytest.mark.parametrize(
    ("header", "host"),
    [("", ""), ("a:1", "a"), ("A.b.", "a.b"), ("[::1]:2", "::1"), ("[::1]", "::1"), ("1.2.3.4:5", "1.2.3.4"), ("a.:1", "a")],
)
def test_the_host_in_its_header(header: str, host: str) -> None:
    """With and without a port, brackets, a final dot."""
    assert host_of(header) == host
