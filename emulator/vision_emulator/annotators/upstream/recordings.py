"""What an upstream answered, in files: one for each picture, feature and set of parameters, in the form of given answers.

Its path is the key, so nothing is indexed, many may write at once, and what a file holds can be read, edited and kept with the tests. A
picture is known by the digest of its bytes, or by its URI where nobody had the bytes; the bytes themselves are not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

from vision_emulator.annotators import FIELDS_OF_FEATURE, Picture
from vision_emulator.contract import codec, errors
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

NAME_DIGITS: Final = 32  # of a digest in the name of a folder
PARAMETER_DIGITS: Final = 8  # of a digest in the name of a file

_READING: Final = ("language_hints", "text_detection_params")
# Which parts of the image context can change a feature's answer.
CONTEXT_OF_FEATURE: Final[dict[int, tuple[str, ...]]] = {
    Feature.TEXT_DETECTION: _READING,
    Feature.DOCUMENT_TEXT_DETECTION: _READING,
    Feature.CROP_HINTS: ("crop_hints_params",),
    Feature.WEB_DETECTION: ("web_detection_params",),
    Feature.PRODUCT_SEARCH: ("product_search_params",),
}
ERROR_CODES: Final = {code.name: code for code in Code if code} | {code.value: code for code in Code if code}


class Recordings:
    """The files of one folder; read and written in ``threads``."""

    def __init__(self, folder: Path, threads: Executor | None) -> None:
        self._folder = folder
        self._threads = threads

    def name(self, picture: Picture) -> str:
        """The folder of a picture's recordings."""
        return f"sha256-{picture.sha256[:NAME_DIGITS]}" if picture.known else _name_of_uri(picture.uri)

    def knows(self, uri: str) -> bool:
        """Whether something is recorded under this URI."""
        return (self._folder / _name_of_uri(uri)).is_dir()

    def has(self, picture: Picture, feature: Feature, context: ImageContext | None) -> bool:
        """Whether there is a recording of this very question."""
        return self._path(picture, feature, context).is_file()

    def _path(self, picture: Picture, feature: Feature, context: ImageContext | None) -> Path:
        asked = parameters(feature, context)
        digest = hashlib.sha256(codec.dump_json(asked)).hexdigest()[:PARAMETER_DIGITS] if asked else ""
        kind = Feature.Type.Name(feature.type)
        return self._folder / self.name(picture) / (f"{kind}-{digest}.json" if digest else f"{kind}.json")

    async def read(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The recorded answers to these questions, as one; VisionError when one of them is an error, ValueError when a file is broken."""
        paths = [self._path(picture, feature, context) for feature in sorted(features, key=_crop_hints_last)]
        return await asyncio.get_running_loop().run_in_executor(self._threads, _read_all, paths)

    async def write(
        self, picture: Picture, features: Sequence[Feature], context: ImageContext, response: AnnotateImageResponse, endpoint: str
    ) -> None:
        """Keeps what ``endpoint`` answered, each feature for itself; whoever reads meanwhile sees a whole file or none."""
        files = []
        for feature in features:
            asked = parameters(feature, context)
            kind = Feature.Type.Name(feature.type)
            said = f"asked for {kind}" + (f" with {codec.dump_json(asked).decode()}" if asked else "")
            document = {
                "source": f"{endpoint}, {said}, of {picture.uri or 'an inline image'}",
                "rules": [{"match": _match(picture, feature, context), "features": [kind], **_answer(feature, features, response)}],
            }
            files.append((self._path(picture, feature, context), codec.dump_json(document, pretty=True)))
        await asyncio.get_running_loop().run_in_executor(self._threads, _write_all, files)


def parameters(feature: Feature, context: ImageContext | None) -> dict[str, Any]:
    """What was asked beside the feature's name, as JSON: what may change the answer and nothing else."""
    asked: dict[str, Any] = codec.to_json(feature)
    asked.pop("type", None)
    if feature.max_results < 0:
        asked.pop("maxResults")
    if context is not None:
        part = ImageContext()
        for name in CONTEXT_OF_FEATURE.get(feature.type, ()):
            field = ImageContext.DESCRIPTOR.fields_by_name[name]
            if name == "language_hints":
                part.language_hints.extend(context.language_hints)
            elif context.HasField(field.name):
                getattr(part, name).CopyFrom(getattr(context, name))
        asked |= codec.to_json(part)
    return asked


def _name_of_uri(uri: str) -> str:
    return f"uri-{hashlib.sha256(uri.encode()).hexdigest()[:NAME_DIGITS]}"


def _crop_hints_last(feature: Feature) -> bool:
    return feature.type == Feature.CROP_HINTS  # its own answer replaces the one that came along with image properties


def _match(picture: Picture, feature: Feature, context: ImageContext) -> dict[str, str]:
    match = {"sha256": picture.sha256} if picture.known else {"uri": picture.uri}
    if context.language_hints and "language_hints" in CONTEXT_OF_FEATURE.get(feature.type, ()):
        match["languageHint"] = context.language_hints[0]
    return match


def _answer(feature: Feature, features: Sequence[Feature], response: AnnotateImageResponse) -> dict[str, Any]:
    """The feature's fields, none when nothing was found; or the image's error."""
    if response.HasField("error"):
        return {"error": {"code": response.error.code, "message": response.error.message}}
    along = feature.type == Feature.IMAGE_PROPERTIES and any(other.type == Feature.CROP_HINTS for other in features)
    written: dict[str, Any] = {}
    whole = codec.to_json(response)
    for name in FIELDS_OF_FEATURE[feature.type]:
        if along and name == "crop_hints_annotation":
            continue  # these are the ones of the other question
        json_name = AnnotateImageResponse.DESCRIPTOR.fields_by_name[name].json_name
        if json_name in whole:
            written[json_name] = whole[json_name]
    return {"response": written}


def _read_all(paths: Sequence[Path]) -> AnnotateImageResponse:
    response = AnnotateImageResponse()
    for path in paths:
        answer = _read(path)
        for field, _ in answer.ListFields():
            response.ClearField(field.name)
        response.MergeFrom(answer)
    return response


def _read(path: Path) -> AnnotateImageResponse:
    try:
        rule = codec.load_json(path.read_bytes())["rules"][0]
        refused = (ERROR_CODES[rule["error"]["code"]], str(rule["error"].get("message", ""))) if "error" in rule else None
        answer = AnnotateImageResponse() if refused else codec.from_json(AnnotateImageResponse, rule["response"])
    except VisionError as wrong:
        raise ValueError(f"{path} is no recording: {wrong.message}") from wrong
    except (LookupError, TypeError, AttributeError) as broken:
        raise ValueError(f"{path} is no recording: it needs rules with one rule that has a response or an error") from broken
    if refused:
        raise errors.given(*refused)
    return answer


def _write_all(files: Sequence[tuple[Path, bytes]]) -> None:
    for path, data in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".new", delete=False) as written:
            try:
                written.write(data)
                written.flush()
                os.fsync(written.fileno())
                Path(written.name).chmod(0o644)  # as any file that is to be shared
                Path(written.name).replace(path)
            except BaseException:
                Path(written.name).unlink(missing_ok=True)
                raise
