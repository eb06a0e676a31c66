"""The files of the dashboard over the wire: where they are, what they are, and what a browser may do with them. tests/browser uses them."""

from __future__ import annotations

import re

import pytest

from plain import PLAIN
from vision_emulator.app import Emulator
from vision_emulator.config import Config
from wire import ask

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_bare_address_leads_a_browser_to_the_page(emulator: Emulator) -> None:
    """Who asks for HTML is redirected, with the query, which may hold the token; everybody else gets the API's own page as before."""
    for path, place in (("/", "/_emulator/"), ("/?token=a", "/_emulator/?token=a"), ("/_emulator", "/_emulator/")):
        reply = await ask(emulator, "GET", path, headers=HTML)
        assert (reply.status, reply.headers["location"]) == (302, place)
    assert (await ask(emulator, "GET", "/")).status == 404
    assert (await ask(emulator, "POST", "/", headers=HTML)).status == 404


async def test_the_page_and_all_it_names_are_served(emulator: Emulator) -> None:
    """Page, style, scripts and what these import: each with its type, none from anywhere else."""
    page = await ask(emulator, "GET", "/_emulator/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    names = set(re.findall(r'(?:src|href)="dashboard/([^"]+)"', page.body.decode()))
    assert {"main.js", "style.css", "icon.svg"} <= names
    looked_at: set[str] = set()
    while names - looked_at:
        name = (names - looked_at).pop()
        looked_at.add(name)
        reply = await ask(emulator, "GET", f"/_emulator/dashboard/{name}")
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}[name.rpartition(".")[2]]
        assert (reply.status, reply.headers["content-type"]) == (200, f"{kind}; charset=utf-8"), name
        names |= set(re.findall(r'from "\./([^"]+)"', reply.body.decode()))
    assert {"api.js", "dom.js", "workbench.js"} <= looked_at


@pytest.mark.parametrize("path", ["", "dashboard/main.js"])
async def test_what_a_browser_may_do_with_them(emulator: Emulator, path: str) -> None:
    """Scripts and requests only of this server, no frame around it, no guessing of types, no address told to others."""
    headers = (await ask(emulator, "GET", f"/_emulator/{path}")).headers
    policy = headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'self'"
    assert "frame-ancestors 'none'" in policy
    assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in policy)
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


async def test_a_browser_keeps_the_files_as_long_as_they_are_the_same(emulator: Emulator) -> None:
    """It asks each time and is told that nothing changed, without the content."""
    first = await ask(emulator, "GET", "/_emulator/dashboard/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await ask(emulator, "GET", "/_emulator/dashboard/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    other = await ask(emulator, "GET", "/_emulator/dashboard/main.js", headers={"If-None-Match": '"other"'})
    assert (other.status, other.body) == (200, first.body)


async def test_nothing_else_can_be_had(emulator: Emulator) -> None:
    """Names that are no file of the page are not looked up anywhere; the files are only read."""
    for name in ("none.js", "__init__.py", "../__init__.py", "%2e%2e/rest.py", "..%2frest.py", "index.html/", ""):
        assert (await ask(emulator, "GET", f"/_emulator/dashboard/{name}")).status == 404, name
    reply = await ask(emulator, "POST", "/_emulator/", b"{}")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


async def test_the_page_needs_no_token() -> None:
    """It holds no secret and asks for the token itself; what it shows is refused without."""
    async with Emulator(Config(port=0, control_token="sesame", settings=PLAIN)) as emulator:
        assert (await ask(emulator, "GET", "/_emulator/")).status == 200
        assert (await ask(emulator, "GET", "/_emulator/v1/journal")).status == 401
