"""A folder of rule files, and the annotator over it asked as the core asks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vision_emulator.annotators import Picture
from vision_emulator.annotators.fixtures import Fixtures
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

LABEL, FACE, TEXT, DOCUMENT = (
    Feature.LABEL_DETECTION,
    Feature.FACE_DETECTION,
    Feature.TEXT_DETECTION,
    Feature.DOCUMENT_TEXT_DETECTION,
)


class Folder:
    """A folder of rule files that fills as a test writes them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: Any) -> Path:
        """A file of this name: text as it is, anything else as JSON."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
        return file

    def fixtures(self, *rules: dict[str, Any]) -> Fixtures:
        """The annotator over the folder, with these rules in a file of their own."""
        if rules:
            self.write("rules.json", list(rules))
        return Fixtures([self.path], shipped=False)


def labels(*descriptions: str) -> dict[str, Any]:
    """A response with these labels."""
    return {"labelAnnotations": [{"description": description, "score": 0.5} for description in descriptions]}


def rule(uri: str, response: dict[str, Any]) -> dict[str, Any]:
    """A rule for a uri."""
    return {"match": {"uri": uri}, "response": response}


async def answer(fixtures: Fixtures, picture: Picture, *features: int) -> AnnotateImageResponse:
    """What the annotator says to the features that it claims, as the core would ask it."""
    if (work := fixtures.prepare(picture)) is not None:
        await work
    asked = [Feature(type=feature) for feature in features if fixtures.claims(picture, feature)]
    return await fixtures.annotate(picture, asked, ImageContext())


async def first_label(fixtures: Fixtures, uri: str, data: bytes = b"") -> str:
    """The first label for a picture, or an empty text when there is none."""
    found = (await answer(fixtures, Picture(data, uri), LABEL)).label_annotations
    return found[0].description if found else ""
