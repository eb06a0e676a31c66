"""Multipart bodies: an upload's metadata and content (multipart/related), a batch's calls (multipart/mixed).

A delimiter counts only as a whole line, since the same characters may stand in an image. The line ends are those of the first line, CR LF
or LF alone (gcloud), and the boundary may stand in double or single quotes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^\s;"']+))""", re.IGNORECASE)
_LINE_PADDING_MAX: Final = 64  # blanks that may stand behind a delimiter
_HEADER_BYTES_MAX: Final = 64 * 1024
PARTS_MAX: Final = 1000


class MultipartError(Exception):
    """The body is not the multipart message it says it is; the text says where."""


class Part(NamedTuple):
    """One part: headers with lower-case names, and content."""

    headers: dict[str, str]
    content: bytes


def parse(content_type: str, body: bytes) -> list[Part]:
    """The parts of a multipart body; MultipartError when it breaks off or was not multipart at all."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or not found:
        raise MultipartError(f"Content-Type must be multipart with a boundary, not {content_type[:100]!r}.")
    boundary = next(group for group in found.groups() if group)
    return _split(body, b"--" + boundary.encode("utf-8", "surrogateescape"))


def _split(body: bytes, mark: bytes) -> list[Part]:
    begin = 0 if body.startswith(mark) else body.find(b"\n" + mark) + 1
    first_line_end = body.find(b"\n", begin, begin + len(mark) + _LINE_PADDING_MAX)
    if not body.startswith(mark, begin) or first_line_end < 0:
        raise MultipartError("The body holds no line with the boundary.")
    eol = b"\r\n" if body[first_line_end - 1 : first_line_end] == b"\r" else b"\n"
    parts: list[Part] = []
    at = first_line_end + 1
    while len(parts) < PARTS_MAX:
        end, following, last = _next_delimiter(body, eol, mark, at)
        parts.append(_part(body, eol, at, end))
        if last:
            return parts
        at = following
    raise MultipartError(f"The body has more than {PARTS_MAX} parts.")


def _next_delimiter(body: bytes, eol: bytes, mark: bytes, at: int) -> tuple[int, int, bool]:
    """Where the content before the next delimiter line ends, where the line behind it begins, and whether it is the closing one."""
    search = at - len(eol)  # an empty part: its delimiter follows at once
    while (end := body.find(eol + mark, search)) >= 0:
        behind = end + len(eol) + len(mark)
        line_end = body.find(eol, behind, behind + _LINE_PADDING_MAX)
        tail = body[behind : line_end if line_end >= 0 else behind + _LINE_PADDING_MAX].strip(b" \t\r\n")
        if tail == b"--":
            return max(end, at), len(body), True
        if tail == b"" and line_end >= 0:
            return max(end, at), line_end + len(eol), False
        search = end + 1
    raise MultipartError("The body breaks off before the closing boundary.")


def _part(body: bytes, eol: bytes, at: int, end: int) -> Part:
    if body.startswith(eol, at):
        return Part({}, body[at + len(eol) : end])
    head_end = body.find(eol + eol, at, min(end + len(eol), at + _HEADER_BYTES_MAX))  # without content the two ends are one
    if head_end < 0:
        raise MultipartError("A part has no blank line between its headers and its content.")
    return Part(header_lines(body[at:head_end]), body[head_end + 2 * len(eol) : end])


def header_lines(block: bytes) -> dict[str, str]:
    """The headers of a block of lines, names in lower case; lines without a colon are passed over."""
    pairs = (line.partition(":") for line in block.decode("utf-8", "replace").splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
