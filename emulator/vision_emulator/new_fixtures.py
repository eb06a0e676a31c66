"""Rules for given images, with the answers that the configured annotators have for them now: a start for who wants to edit them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from vision_emulator.annotators import Picture, likeness
from vision_emulator.annotators.fixtures.files import DISTANCE_DEFAULT
from vision_emulator.contract import codec
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageRequest, BatchAnnotateImagesRequest, Feature, Image
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.core.service import Vision

WAYS: Final = ("sha256", "pixels", "looksLike", "uri")  # to match an image
_LINE_CHARS: Final = 140
_METHOD: Final = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]


class Unreadable(Exception):
    """An image of which no rule can be written; the text says which and why."""


async def new_rules(vision: Vision, images: Sequence[Path], features: Sequence[str], way: str, folder: str) -> list[dict[str, Any]]:
    """A rule for each image file, in the form of a rule file; Unreadable.

    ``features`` are names; what was asked for and not found is in the rule, too. ``folder`` goes before the file's name in a uri.
    """
    rules = []
    for path in images:
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as failure:
            raise Unreadable(f"{path}: {failure.strerror}") from failure
        element = AnnotateImageRequest(image=Image(content=data), features=[Feature(type=name) for name in features])
        answer: Any = await vision.call(Call(_METHOD, BatchAnnotateImagesRequest(requests=[element]), {}))
        plain = codec.to_json(answer.responses[0])
        rule: dict[str, Any] = {"source": f"Written for {path.name}.", "match": await asyncio.to_thread(_match, path, data, way, folder)}
        rule |= {"error": plain["error"]} if "error" in plain else {"features": list(features), "response": plain}
        rules.append(rule)
    return rules


def as_text(rules: Sequence[dict[str, Any]], *, is_json: bool) -> str:
    """The rules as a file."""
    if is_json:
        return json.dumps({"rules": rules}, indent=1, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump({"rules": rules}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=_LINE_CHARS)


def _match(path: Path, data: bytes, way: str, folder: str) -> dict[str, Any]:
    """What matches the image; the pixels have to be decoded for some ways."""
    picture = Picture(data)
    if way == "uri":
        return {"uri": folder + path.name}
    if way == "sha256":
        return {"sha256": picture.sha256}
    try:
        if way == "pixels":
            return {"pixels": likeness.pixel_hash(picture)}
        return {"looksLike": {"hash": f"{likeness.perceptual_hash(picture):016x}", "distance": DISTANCE_DEFAULT}}
    except VisionError as undecodable:
        raise Unreadable(f"{path}: {undecodable.message}") from undecodable
