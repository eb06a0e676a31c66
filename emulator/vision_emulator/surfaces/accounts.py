"""What clients of Vision and Cloud Storage ask Google's other hosts: for tokens, and whether they run in its cloud.

Nothing here checks anybody: whoever asks for a token gets one that every server of this kind takes. What is not known is answered at
once, because the libraries ask these things in the background and wait for them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from vision_emulator.contract import codec
from vision_emulator.surfaces import http

TOKEN: Final = "ya29.vision-emulator"  # noqa: S105 - begins as real ones do, which some libraries look at, and opens nothing
TOKEN_SECONDS: Final = 3600
_TOKEN_PATHS: Final = ("/token", "/oauth2/v4/token", "/o/oauth2/token", "/v1/token")  # oauth2, www, accounts, sts
_IMPERSONATED: Final = re.compile(r"/v1/projects/[^/]+/serviceAccounts/[^/]+:generateAccessToken")
_SERVICE_ACCOUNTS: Final = re.compile(r"/v1/projects/[^/]+/serviceAccounts/.*")
_METADATA: Final = "/computeMetadata/"
_ACCOUNT: Final = "/computeMetadata/v1/instance/service-accounts/default/"
_BODY_BYTES_MAX: Final = 64 * 1024
_METADATA_HEADERS: Final = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}


class AccountsSurface:
    """Token endpoints, the metadata server, and a refusal for the rest of IAM; ``project`` and ``account`` are who everybody is."""

    def __init__(self, project: str) -> None:
        self._metadata: Final[dict[str, Any]] = {
            "/computeMetadata/v1/project/project-id": project,
            "/computeMetadata/v1/project/numeric-project-id": "0",
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
            _ACCOUNT + "email": account(project),
            _ACCOUNT + "scopes": "https://www.googleapis.com/auth/cloud-platform",
            _ACCOUNT: {"aliases": ["default"], "email": account(project), "scopes": ["https://www.googleapis.com/auth/cloud-platform"]},
            _ACCOUNT + "token": _token(),
        }

    def claims(self, method: str, raw_path: str) -> bool:
        """Whether it is one of these questions; none of their paths is Vision's or Cloud Storage's."""
        path = raw_path.partition("?")[0]
        if method == "POST" and path in _TOKEN_PATHS:
            return True
        return path.startswith(_METADATA) or _SERVICE_ACCOUNTS.fullmatch(path) is not None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one of them."""
        path = request.raw_path.partition("?")[0]
        try:
            await http.read(request, _BODY_BYTES_MAX)  # a signed claim about who asks: nobody looks at it
        except http.BodyTooLarge:
            return _json({"error": "invalid_request", "error_description": "The body is too large."}, 413)
        if path in _TOKEN_PATHS:
            return _json(_token())
        if path.startswith(_METADATA):
            return self._of_metadata(path)
        if _IMPERSONATED.fullmatch(path):
            return _json({"accessToken": TOKEN, "expireTime": "2100-01-01T00:00:00Z"})
        message = "The emulator has no service accounts, and tokens for all of them."
        return _json({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}, 404)

    def _of_metadata(self, path: str) -> web.Response:
        known = self._metadata.get(path) or self._metadata.get(path + "/")
        if known is None:
            return web.Response(status=404, text="Not Found", headers=_METADATA_HEADERS)
        if isinstance(known, dict):
            return _json(known, headers=_METADATA_HEADERS)
        return web.Response(text=known, headers=_METADATA_HEADERS)


def account(project: str) -> str:
    """The e-mail address of the service account that everybody is."""
    return f"vision-emulator@{project}.iam.gserviceaccount.com"


def _token() -> dict[str, Any]:
    return {"access_token": TOKEN, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=codec.dump_json(value), content_type="application/json", charset="UTF-8", headers=headers)
