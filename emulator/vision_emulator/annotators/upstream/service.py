"""Another Vision, asked over REST or gRPC as its address says, with the credentials it wants."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from vision_emulator.annotators import SettingsError
from vision_emulator.annotators.elsewhere import ANSWER_BYTES_MAX, Http, Unreachable, known_part, text_of
from vision_emulator.contract import codec, errors
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import (
    AnnotateImageRequest,
    AnnotateImageResponse,
    BatchAnnotateImagesRequest,
    BatchAnnotateImagesResponse,
)
from vision_emulator.contract.methods import METHODS

if TYPE_CHECKING:
    import grpc.aio

METHOD: Final = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
PATH: Final = "/v1/images:annotate"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-vision"
CREDENTIALS_SECONDS_MAX: Final = 15.0  # to get the first token; ours
SCHEMES: Final = ("https", "http", "grpcs", "grpc")


class Service:
    """A Vision at ``endpoint``; enter it before use. Secrets go out in headers and come back in no text."""

    def __init__(self, endpoint: str, table: Mapping[str, Any], seconds: float, at_once: int) -> None:
        self._scheme, self._host = _parsed(endpoint)
        self.endpoint: Final = f"{self._scheme}://{self._host}"
        self._seconds = seconds
        self._turns = asyncio.Semaphore(at_once)
        self._key, self._given_token = text_of(table, "key"), text_of(table, "token")
        self._file, self._project = text_of(table, "credentials"), text_of(table, "project")
        if sum(map(bool, (self._key, self._given_token, self._file))) > 1:
            raise SettingsError("key, token and credentials exclude each other: keep one of them")
        self._http = Http({}, seconds)
        self._tokens: Any = None  # of gcloud-aio-auth, when there is neither key nor token
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        try:
            is_google = self._host.partition(":")[0].endswith(".googleapis.com")
            if self._file or (is_google and not self._key and not self._given_token):
                await self._open_tokens()
            if self._scheme.startswith("grpc"):
                self._channel = self._opened_channel()
        except BaseException:
            await self._http.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._channel is not None:
            await self._channel.close()
        await self._http.__aexit__(*exc)

    async def annotate(self, request: AnnotateImageRequest) -> AnnotateImageResponse:
        """The response for one image, its own error in it; VisionError when the call is refused, Unreachable when nobody answers."""
        async with self._turns:
            try:
                headers = await self._headers()
                call = BatchAnnotateImagesRequest(requests=[request])
                answer = await (self._over_grpc(call, headers) if self._channel is not None else self._over_rest(call, headers))
            except Unreachable as failure:
                raise Unreachable(self._hushed(str(failure))) from None
            except VisionError as refusal:
                raise errors.elsewhere(refusal.code, self._hushed(refusal.message)) from None
        if len(answer.responses) != 1:
            raise Unreachable(f"{self.endpoint} answered {len(answer.responses)} responses to one image")
        return answer.responses[0]

    async def _over_rest(self, call: BatchAnnotateImagesRequest, headers: Mapping[str, str]) -> BatchAnnotateImagesResponse:
        body = await self._http.post(self.endpoint + PATH, codec.encode(call), headers)
        try:
            value = known_part(codec.load_json(body), BatchAnnotateImagesResponse.DESCRIPTOR)
            return codec.from_json(BatchAnnotateImagesResponse, value)
        except VisionError as wrong:
            raise Unreachable(f"{self.endpoint} answered no BatchAnnotateImagesResponse: {wrong.message}") from wrong

    async def _over_grpc(self, call: BatchAnnotateImagesRequest, headers: Mapping[str, str]) -> BatchAnnotateImagesResponse:
        import grpc.aio

        assert self._channel is not None
        stub = self._channel.unary_unary(
            METHOD.grpc_path, BatchAnnotateImagesRequest.SerializeToString, BatchAnnotateImagesResponse.FromString
        )
        try:
            answer: BatchAnnotateImagesResponse = await stub(call, timeout=self._seconds, metadata=tuple(headers.items()))
        except grpc.aio.AioRpcError as failure:
            code, text = Code(failure.code().value[0]), failure.details() or ""
            if code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
                raise Unreachable(f"{self.endpoint} could not be asked: {code.name}: {text}") from None
            raise errors.elsewhere(code, text) from None
        return answer

    def _opened_channel(self) -> grpc.aio.Channel:
        import grpc.aio

        options = (("grpc.max_receive_message_length", ANSWER_BYTES_MAX), ("grpc.max_send_message_length", -1))
        if self._scheme == "grpcs":
            return grpc.aio.secure_channel(self._host, grpc.ssl_channel_credentials(), options)
        return grpc.aio.insecure_channel(self._host, options)

    # ---- credentials ----

    async def _open_tokens(self) -> None:
        """Gets a first token, so that missing credentials are said at the start and not by every image."""
        from gcloud.aio.auth import Token

        if self._file:
            _check_account(self._file)
        try:
            async with asyncio.timeout(CREDENTIALS_SECONDS_MAX):
                session: Any = self._http.session  # the library names another type where it can use either
                self._tokens = Token(service_file=self._file or None, session=session, scopes=[SCOPE])
                await self._tokens.get()
        except Exception as failure:  # the library raises whatever it stumbles over
            reason = "nobody gave a token in time" if isinstance(failure, TimeoutError) else str(failure) or type(failure).__name__
            raise SettingsError(
                f"there are no credentials for {self.endpoint}: {reason}; give a key or token (VISION_EMULATOR_SETTING='upstream.key=…'), "
                "or the path of a service account's file as credentials or in GOOGLE_APPLICATION_CREDENTIALS"
            ) from failure

    async def _headers(self) -> dict[str, str]:
        headers = {"x-goog-user-project": self._project} if self._project else {}
        if self._key:
            return headers | {"x-goog-api-key": self._key}
        if self._given_token:
            return headers | {"authorization": f"Bearer {self._given_token}"}
        if self._tokens is not None:
            try:
                return headers | {"authorization": f"Bearer {await self._tokens.get()}"}
            except Exception as failure:  # as above
                raise Unreachable(f"{self.endpoint}: no token to be had: {failure}") from failure
        return headers

    def _hushed(self, text: str) -> str:
        """The text without our secrets: services quote keys in their refusals."""
        for secret in (self._key, self._given_token):
            text = text.replace(secret, "…") if secret else text
        return text


def _check_account(file: str) -> None:
    """Returns when the file says what kind of credentials it holds; the library takes any other for the absence of credentials."""
    try:
        kind = codec.load_json(Path(file).read_bytes())["type"]
    except OSError as wrong:
        raise SettingsError(f"credentials: {file}: {wrong.strerror}") from wrong
    except (VisionError, LookupError, TypeError):
        kind = None
    if not isinstance(kind, str):
        raise SettingsError(f"credentials: {file} is no file of credentials; a service account's is JSON with a type and a private_key")


def _parsed(endpoint: str) -> tuple[str, str]:
    """Scheme and host:port; an address without a scheme is gRPC, with TLS where the port is the one of https."""
    if re.fullmatch(r"[\w.-]+:\d+", endpoint):
        endpoint = f"{'grpcs' if endpoint.endswith(':443') else 'grpc'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
        raise SettingsError(f"endpoint: {endpoint!r} is no address; write it as https://HOST (REST) or grpcs://HOST (gRPC), or http, grpc")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is None and parts.scheme.startswith("grpc"):
        port = 443 if parts.scheme == "grpcs" else 80
    return parts.scheme, host if port is None else f"{host}:{port}"
