"""Downloads: whole, by range, and gzip content for clients that do or do not take it."""

from __future__ import annotations

import asyncio
import re
import zlib
from typing import Final

from vision_emulator.storage.embedded import HASHED_INLINE_BYTES_MAX, Record
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.request import Reply, Request, decompressed
from vision_emulator.surfaces.gcs.resources import media_headers

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")


async def media_reply(request: Request, record: Record, data: bytes) -> Reply:
    """The content as this client takes it: 200, 206 for a range, 416 for one behind the end."""
    headers = media_headers(record)
    if record.attributes.content_encoding.lower() == "gzip":
        if "gzip" in request.headers.get("accept-encoding", "").lower():
            headers["content-encoding"] = "gzip"
        else:
            return await _transcoded(headers, data)
    elif record.attributes.content_encoding:
        headers["content-encoding"] = headers["x-goog-stored-content-encoding"]
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if not found:  # absent, or of a form that RFC 9110 lets a server pass over
        return Reply(200, headers, data)
    start, end = _bounds(found, len(data))
    if start >= end:
        raise errors.range_not_satisfiable()
    return Reply(206, headers | {"content-range": f"bytes {start}-{end - 1}/{len(data)}"}, data[start:end])


def _bounds(found: re.Match[str], size: int) -> tuple[int, int]:
    """First byte of a range, and the one behind its last."""
    first, last, suffix = found.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size
    return int(first), size if last is None else min(int(last) + 1, size)


async def _transcoded(headers: dict[str, str], data: bytes) -> Reply:
    """Gzip content for a client that does not take it; a range is passed over. What only claims to be gzip is sent as it is."""
    try:
        if len(data) <= HASHED_INLINE_BYTES_MAX:
            content = decompressed(data)
        else:
            content = await asyncio.to_thread(decompressed, data)
    except zlib.error:
        return Reply(200, headers, data)
    return Reply(200, headers | {"warning": "214 UploadServer gunzipped"}, content)
