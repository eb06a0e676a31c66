"""What is said of a picture where its bytes would be too much: its digest, size, type, width and height."""

from __future__ import annotations

from typing import Any, Final

from vision_emulator.annotators import PDF_MARK, Picture
from vision_emulator.contract.errors import VisionError

_TYPES: Final = {"ICO": "image/vnd.microsoft.icon", "MPO": "image/jpeg"}  # by Pillow's name, where the type is not made of it


def described(content: bytes) -> dict[str, Any]:
    """sha256 and size; type, width and height (pixels) as well when it is a picture that can be read."""
    picture = Picture(content)
    facts: dict[str, Any] = {"sha256": picture.sha256, "size": len(content)}
    if content.startswith(PDF_MARK):
        return facts | {"type": "application/pdf"}
    try:
        header = picture.header
    except VisionError:
        return facts  # what it is called stays unsaid: no decoder knows it
    kind = _TYPES.get(header.format, f"image/{header.format.lower()}")
    return facts | {"type": kind, "width": header.width, "height": header.height}
