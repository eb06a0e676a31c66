"""The annotator ``http``: posts each picture to a URL of the user's and answers what comes back; for who does not write Python.

What is posted is an AnnotateImageRequest as JSON: the bytes in ``image.content``, where they came from in ``image.source.imageUri``, the
features it is to answer and the image context. What is expected is a 2xx with an AnnotateImageResponse as JSON; fields of its own are left
out. Any other answer is the image's error, in the server's words when they have the form of Google's errors.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar, Final, Self
from urllib.parse import urlsplit

from vision_emulator.annotators import Annotator, Picture, Settings, SettingsError
from vision_emulator.annotators.elsewhere import (
    Http,
    Unreachable,
    at_once_of,
    features_of,
    known_part,
    seconds_of,
    sent,
    shrink,
    text_of,
)
from vision_emulator.contract import codec, errors
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import AnnotateImageRequest, AnnotateImageResponse, Feature, ImageContext

log = logging.getLogger(__name__)

KNOWN: Final = frozenset({"url", "features", "timeout", "headers", "at_once"})


class Posted(Annotator):
    """Answers what the server at ``url`` answers."""

    name: ClassVar[str] = "http"
    settings_known: ClassVar[frozenset[str] | None] = KNOWN

    def __init__(self, settings: Settings) -> None:
        table = settings.table
        self._settings = settings
        self._url = text_of(table, "url")
        if not self._url:
            raise SettingsError("url is missing: say where to post, as in --setting http.url=http://localhost:9000/annotate")
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"url: {self._url!r} is no address; write it as http://HOST:PORT/PATH")
        headers = table.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise SettingsError('headers: a table of texts is needed, as in headers = {Authorization = "Bearer x"}')
        self._features = features_of(table)
        self._turns = asyncio.Semaphore(at_once_of(table))
        self._http = Http(headers, seconds_of(table))

    @classmethod
    def create(cls, settings: Settings) -> Self:
        """One that posts to the URL of its settings."""
        return cls(settings)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.__aexit__(*exc)

    def claims(self, picture: Picture, feature: int) -> bool:
        """Whether it is one of its features and there are bytes to post."""
        return picture.known and feature in self._features

    async def annotate(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        """The server's answer; VisionError when it refuses or cannot be asked, ValueError when it answers something else."""
        async with self._turns:
            image = await sent(picture, self._settings)
            request = AnnotateImageRequest(image={"content": image.data}, features=features, image_context=context)
            if picture.uri:
                request.image.source.image_uri = picture.uri
            try:
                body = await self._http.post(self._url, codec.encode(request))
            except Unreachable as failure:
                log.warning("annotator http: %s", failure)
                raise errors.annotator_unavailable() from failure
        response = self._read(body)
        shrink(response, image.enlarged)
        return response

    def _read(self, body: bytes) -> AnnotateImageResponse:
        try:
            value = known_part(codec.load_json(body), AnnotateImageResponse.DESCRIPTOR)
            return codec.from_json(AnnotateImageResponse, value)
        except VisionError as wrong:
            raise ValueError(f"{self._url} answered no AnnotateImageResponse as JSON: {wrong.message}") from wrong
