"""Lists in pages: what a client may ask for, and the token by which the next page goes on."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from vision_emulator.contract.limits import LIST_PAGE_MAX
from vision_emulator.storage.embedded import Mark, Query
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.request import Request


def query_of(request: Request) -> Query:
    """The page that a list call asks for."""
    if request.query.get("matchGlob"):
        raise errors.not_implemented("matchGlob is")
    wanted = request.number("maxResults")
    return Query(
        prefix=request.query.get("prefix", ""),
        delimiter=request.query.get("delimiter", ""),
        start=request.query.get("startOffset", ""),
        end=request.query.get("endOffset", ""),
        after=_mark(request.query.get("pageToken", "")),
        count=min(wanted or LIST_PAGE_MAX, LIST_PAGE_MAX),
        with_trailing_delimiter=request.flag("includeTrailingDelimiter"),
    )


def next_token(mark: Mark | None) -> dict[str, str]:
    """The field that leads to the next page; nothing behind the last one."""
    if mark is None:
        return {}
    text = ("p" if mark.is_prefix else "n") + mark.entry
    return {"nextPageToken": urlsafe_b64encode(text.encode()).decode()}


def _mark(token: str) -> Mark | None:
    if not token:
        return None
    try:
        text = urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise errors.invalid_value("pageToken", token) from error
    if text[:1] not in ("p", "n"):
        raise errors.invalid_value("pageToken", token)
    return Mark(text[1:], is_prefix=text[0] == "p")
