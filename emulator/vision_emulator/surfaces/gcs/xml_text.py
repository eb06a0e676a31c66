"""Answers of the XML API: elements, documents, replies."""

from __future__ import annotations

import html
import re
from typing import Final

from vision_emulator.surfaces.gcs.errors import XML_TYPE
from vision_emulator.surfaces.gcs.request import Reply

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"  # the Python client looks for nothing else
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # characters that XML 1.0 has no way to write
_INSTEAD: Final = "\ufffd"


def element(name: str, text: str) -> str:
    """One element with text in it."""
    return f"<{name}>{html.escape(_UNWRITABLE.sub(_INSTEAD, text), quote=False)}</{name}>"


def document(name: str, content: str) -> str:
    """A whole document around elements."""
    return f"<?xml version='1.0' encoding='UTF-8'?><{name} xmlns='{NAMESPACE}'>{content}</{name}>"


def xml_reply(text: str) -> Reply:
    """A document as an answer."""
    return Reply(200, {"content-type": XML_TYPE}, text.encode())
