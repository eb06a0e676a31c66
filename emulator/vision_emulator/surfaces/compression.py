"""Gzip, both ways and bounded: a little of it can unpack to much. No sockets."""

from __future__ import annotations

import gzip
import zlib


class ContentTooLarge(Exception):
    """The stream unpacks to more than its reader takes."""


def compressed(content: bytes) -> bytes:
    """The content as a gzip stream, packed quickly rather than well: it goes no farther than the next process."""
    return gzip.compress(content, compresslevel=1, mtime=0)


def decompressed(stream: bytes, bytes_max: int) -> bytes:
    """The content of a gzip stream; zlib.error when it is none or ends in the middle, ContentTooLarge beyond ``bytes_max``."""
    worker = zlib.decompressobj(wbits=31)
    content = worker.decompress(stream, bytes_max + 1)
    if len(content) > bytes_max:
        raise ContentTooLarge
    if not worker.eof:
        raise zlib.error("the stream ends in the middle")
    return content
