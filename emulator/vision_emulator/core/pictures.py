"""What is said of a picture where its bytes would be too much: its digest, size, type, width and height."""

from __future__ import annotations

from typing import Any, Final

from vision_emulator.annotators import PDF_MARK, Picture
from vision_emulator.contract.errors import VisionError

_TYPES: Final = {"ICO": "image/vnd.microsoft.icon", "MPO": "image/jpeg"}  # by Pillow's name, where the type is not made of it


def described(content: bytes) -> dict[str, Any]:
    """sha256 and size; type, width and height (pixels) as well when it is a picture that can be read."""
    return facts(Picture(content))


def seen(picture: Picture) -> dict[str, Any] | None:
    """The same of a picture that was looked at; None when its digest is not known yet, since making it takes as long as anything here."""
    return facts(picture) if "sha256" in vars(picture) else None


def facts(picture: Picture) -> dict[str, Any]:
    """The same of any picture."""
    found: dict[str, Any] = {"sha256": picture.sha256, "size": len(picture.data)}
    if picture.data.startswith(PDF_MARK):
        return found | {"type": "application/pdf"}
    try:
        header = picture.header
    except VisionError:
        return found  # what it is called stays unsaid: no decoder knows it
    kind = _TYPES.get(header.format, f"image/{header.format.lower()}")
    return found | {"type": kind, "width": header.width, "height": header.height}
