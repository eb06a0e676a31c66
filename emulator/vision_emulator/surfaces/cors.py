"""Calls from web pages of other origins: allowed from everywhere, as the real service allows them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

# What a page's script may read of an answer; browsers hide all other headers from it.
EXPOSED: Final = "Content-Encoding, Date, Server, Vary, WWW-Authenticate, X-Vision-Emulator-Annotators"
_METHODS: Final = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT"
_PREFLIGHT_SECONDS: Final = "3600"  # for so long a browser need not ask again


def is_preflight(request: web.BaseRequest) -> bool:
    """Whether a browser asks what a page may do, before it does it."""
    return request.method == "OPTIONS" and "Origin" in request.headers and "Access-Control-Request-Method" in request.headers


def preflight(request: web.BaseRequest) -> web.Response:
    """Yes to whatever the browser asks."""
    allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _PREFLIGHT_SECONDS}
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked:
        allowed["Access-Control-Allow-Headers"] = asked
    return web.Response(headers={"Vary": "Origin, X-Origin, Referer", **headers(request), **allowed})


def headers(request: web.BaseRequest, exposed: str = EXPOSED) -> dict[str, str]:
    """What an answer says to the browser of a page, among it the headers that its script may read; nothing when no page asks."""
    origin = request.headers.get("Origin")
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed} if origin else {}
