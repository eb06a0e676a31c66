"""The dashboard at ``/_emulator/``: the files of a page that is a client of the control API, and nothing else.

The files hold no secret, so everybody may have them; what they show comes through the control API, whose guard asks for its token.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

PAGE: Final = "/_emulator/"
FILES: Final = PAGE + "dashboard/"
_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address that is typed may have the token in it
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, but asked about: another version of the emulator may be started on the same address
}


class _File(NamedTuple):
    """A file of the page."""

    content: bytes
    media_type: str
    tag: str  # says whether a browser has this very content


class DashboardSurface:
    """Answers the page and its files, and leads a browser that opens the bare address there."""

    def __init__(self) -> None:
        self._files: dict[str, _File] | None = None

    def claims(self, method: str, raw_path: str, accept: str) -> bool:
        """Whether it is asked for: the page under its names, one of its files, or ``/`` by a browser."""
        path = raw_path.partition("?")[0]
        if path == "/":
            return method in ("GET", "HEAD") and "text/html" in accept
        return path in (PAGE, PAGE[:-1]) or path.startswith(FILES)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answers a file, a redirection to the page, or why not."""
        path, mark, query = request.raw_path.partition("?")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="The dashboard is only read: GET it.\n", headers={"Allow": "GET, HEAD"})
        if path in ("/", PAGE[:-1]):
            return web.Response(status=302, headers={"Location": PAGE + mark + query, "Cache-Control": "no-store", "Vary": "Accept"})
        if self._files is None:
            self._files = await asyncio.to_thread(_read)
        name = "index.html" if path == PAGE else path.removeprefix(FILES)
        file = self._files.get(name)
        if file is None:
            return web.Response(status=404, text=f"The dashboard has no such file; it is at {PAGE}\n")
        headers = {**_HEADERS, "ETag": file.tag}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, content_type=file.media_type, charset="utf-8", headers=headers)


def _read() -> dict[str, _File]:
    """Every file of the page, by name."""
    files = {}
    for path in sorted(_FOLDER.iterdir()):
        media_type = _TYPES.get(path.suffix)
        if media_type is not None:
            content = path.read_bytes()
            files[path.name] = _File(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return files
