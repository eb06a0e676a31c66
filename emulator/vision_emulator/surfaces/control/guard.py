"""Who may use the control API: the programs of this machine, and whoever has the token; never a page of another site.

A browser lets any page send requests to this machine. They are known by what browsers say of them (Origin, Sec-Fetch-Site), and a page
that has its own name point here, by the name it asks for (Host).
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

from aiohttp import web

from vision_emulator.storage.web import LOCAL_NAME
from vision_emulator.surfaces.control.route import Refused
from vision_emulator.surfaces.http import is_address

TOKEN: Final = "x-vision-emulator-token"  # noqa: S105 - the name of a header
COOKIE: Final = "vision-emulator-token"
QUERY: Final = "token"  # for pages and event streams, which cannot send headers
_SAME_SITE: Final = ("", "same-origin", "none")  # nobody says it; a page of this server; a person typed it


class Guard:
    """Lets a control call pass or refuses it. ``host`` is the address that is listened on."""

    def __init__(self, host: str, token: str | None) -> None:
        self._host = host.lower()
        self._token = (token or "").encode()
        self.closed: Final = not (self._token or is_loopback(host))  # nobody gets in

    def check(self, request: web.BaseRequest, token_in_query: str) -> None:
        """Refused says why the call may not be made and what would let it in."""
        self._check_site(request)
        if self._token:
            self._check_token(request, token_in_query)
        elif self.closed:
            raise Refused(
                f"The emulator listens on {self._host}, where others may reach it, so its control API needs a secret: start it with "
                "--control-token TOKEN (or VISION_EMULATOR_CONTROL_TOKEN=TOKEN) and send the token with each control call.",
                403,
            )
        else:
            self._check_host(request.headers.get("Host", ""))

    def _check_site(self, request: web.BaseRequest) -> None:
        origin = request.headers.get("Origin", "")
        scheme, _, place = origin.lower().partition("://")
        foreign = origin and (scheme not in ("http", "https") or place != request.headers.get("Host", "").lower())
        site = request.headers.get("Sec-Fetch-Site", "").lower()
        if foreign or (site not in _SAME_SITE and not _follows_a_link(request)):
            whose = f"the origin {origin[:200]}" if foreign else "another site"
            raise Refused(f"Control calls from pages of {whose} are refused; a page of the emulator itself may make them.", 403)

    def _check_token(self, request: web.BaseRequest, token_in_query: str) -> None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        shown = (
            bearer.strip() if scheme.lower() == "bearer" else "",
            request.headers.get(TOKEN, ""),
            request.cookies.get(COOKIE, ""),
            token_in_query,
        )
        if not any(hmac.compare_digest(one.encode("utf-8", "surrogateescape"), self._token) for one in shown if one):
            said = "is not the one" if any(shown) else "is missing"
            raise Refused(
                f"The control token {said} that the emulator was started with; send it as `Authorization: Bearer TOKEN` or "
                f"`{TOKEN}: TOKEN`, a browser as ?{QUERY}=TOKEN.",
                401,
            )

    def _check_host(self, asked: str) -> None:
        """A page cannot choose an address or a name of this network, only a public name that its owner points here."""
        host = host_of(asked)
        if host and host != self._host and not LOCAL_NAME.fullmatch(host) and not is_address(host):
            raise Refused(
                f"The name {host[:200]} may be anybody's, so control calls to it are refused: use localhost or the address, "
                "or start the emulator with --control-token.",
                403,
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    return host.lower() == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def host_of(header: str) -> str:
    """The name or address in a Host header, without port and brackets, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _follows_a_link(request: web.BaseRequest) -> bool:
    """Whether a person went to this page from another; unlike a script or a frame, the other page sees nothing of it."""
    return (
        request.method in ("GET", "HEAD")
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )
