"""Lists in pages: what a client may ask for, and the token by which the next page goes on."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from vision_emulator.contract.limits import LIST_PAGE_MAX
from vision_emulator.storage.embedded import Mark, Query
from vision_emulator.storage.globs import Glob, GlobError
from vision_emulator.surfaces.gcs import errors
from vision_emulator.surfaces.gcs.request import Request


def query_of(request: Request) -> Query:
    """The page that a list call asks for."""
    wanted = request.number("maxResults")
    return Query(
        prefix=request.query.get("prefix", ""),
        delimiter=request.query.get("delimiter", ""),
        start=request.query.get("startOffset", ""),
        end=request.query.get("endOffset", ""),
        after=mark_of(request.query.get("pageToken", ""), "pageToken"),
        count=min(wanted or LIST_PAGE_MAX, LIST_PAGE_MAX),
        with_trailing_delimiter=request.flag("includeTrailingDelimiter"),
        glob=_glob(request.query.get("matchGlob", "")),
    )


def _glob(pattern: str) -> Glob | None:
    try:
        return Glob(pattern) if pattern else None
    except GlobError as error:
        raise errors.invalid(f"Invalid value for matchGlob: {pattern[:100]!r}: {error}.") from error


def next_token(mark: Mark | None) -> dict[str, str]:
    """The field that leads to the next page; nothing behind the last one."""
    if mark is None:
        return {}
    text = ("p" if mark.is_prefix else "n") + mark.entry
    return {"nextPageToken": urlsafe_b64encode(text.encode()).decode()}


def mark_of(token: str, name: str) -> Mark | None:
    """Where the page behind a token goes on; 400, with the name of the parameter that it came in, when it is none of ours."""
    if not token:
        return None
    try:
        text = urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError) as error:
        raise errors.invalid_value(name, token) from error
    if text[:1] not in ("p", "n"):
        raise errors.invalid_value(name, token)
    return Mark(text[1:], is_prefix=text[0] == "p")
