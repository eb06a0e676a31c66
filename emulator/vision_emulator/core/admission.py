"""Who may call and how often, asked of every call before it is answered, whichever transport brought it.

Nobody's identity is checked, only whether a program sends credentials and survives their refusal: any key and any token will do but
those that begin with a word that says how they are to fail.

| Credential | begins with | refused as |
|---|---|---|
| API key | ``invalid`` | 400, the key is not valid |
| API key | ``blocked`` | 403, the key may not call this API |
| bearer token | ``expired`` | 401, the token has expired |
| bearer token | ``invalid`` | 401, the token is of no supported type |
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from vision_emulator.contract import errors, limits
from vision_emulator.contract.methods import Call
from vision_emulator.control.clock import Clock

KEY: Final = "x-goog-api-key"  # metadata of gRPC, header of REST; REST's query says it with key=
TOKEN: Final = "authorization"  # noqa: S105 - a header's name; REST's query says it with access_token=
CHALLENGE: Final = "www-authenticate"
_REALM: Final = 'Bearer realm="https://accounts.google.com/"'
_ONLY_FOR_PRINCIPALS: Final = ("AsyncBatchAnnotateFiles",)  # doc: API keys are not supported, though they are to poll the operation
_TOKENS_REFUSED: Final = {"expired": "ACCESS_TOKEN_EXPIRED", "invalid": "ACCESS_TOKEN_TYPE_UNSUPPORTED"}
_SECONDS_PER_MINUTE: Final = 60


class Admission:
    """Lets calls in: all of them, or those with credentials; any number, or so many a minute for each project."""

    def __init__(self, clock: Clock, project: str, *, credentials_required: bool = False, calls_per_minute: int | None = None) -> None:
        self._clock = clock
        self._project = project  # whose calls they are when the caller does not say
        self._credentials_required = credentials_required
        self._calls_per_minute = calls_per_minute
        self._minute = 0
        self._calls: Counter[str] = Counter()  # by project, in that minute

    def admit(self, call: Call) -> None:
        """Returns, or raises what the real service answers; what a 401 says about credentials is put into the answer's metadata."""
        if self._credentials_required:
            _check_credentials(call)
        if self._calls_per_minute is not None and call.method.service != "Operations":
            self._count(call.project or self._project, self._calls_per_minute)

    def reset(self, project: str = "") -> None:
        """Forgets all calls, or those of one project."""
        if project:
            self._calls.pop(project, None)
        else:
            self._calls.clear()

    def _count(self, project: str, calls_max: int) -> None:
        minute = int(self._clock.now() // _SECONDS_PER_MINUTE)
        if minute != self._minute:
            self._minute = minute
            self._calls.clear()
        if project not in self._calls and len(self._calls) >= limits.QUOTA_PROJECTS_MAX:
            project = ""
        if self._calls[project] >= calls_max:
            raise errors.quota_exceeded(project, calls_max)
        self._calls[project] += 1


def _check_credentials(call: Call) -> None:
    name = call.method.full_name
    scheme, _, token = call.metadata.get(TOKEN, "").partition(" ")
    key = call.metadata.get(KEY, "")
    if scheme:
        refused = "invalid" if scheme.lower() != "bearer" or not token else token[: len("invalid")]
        reason = _TOKENS_REFUSED.get(refused)
        if reason:
            call.answer_metadata[CHALLENGE] = f'{_REALM}, error="invalid_token"'
            raise errors.credentials_invalid(name, reason)
        return
    if key.startswith("invalid"):
        raise errors.api_key_invalid()
    if key.startswith("blocked"):
        raise errors.api_key_blocked(name)
    if call.method.name in _ONLY_FOR_PRINCIPALS:
        call.answer_metadata[CHALLENGE] = _REALM
        raise errors.api_keys_unsupported(name) if key else errors.credentials_missing(name)
    if not key:
        raise errors.api_key_missing()
