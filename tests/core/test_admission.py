"""Who may call and how often: one rule for both transports, in the real service's words."""

from __future__ import annotations

import pytest

from vision_emulator.contract import codec, limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from vision_emulator.core.admission import Admission

ANNOTATOR = "/google.cloud.vision.v1.ImageAnnotator/"
GET_OPERATION = "/google.longrunning.Operations/GetOperation"


def called(rpc: str = f"{ANNOTATOR}BatchAnnotateImages", metadata: dict[str, str] | None = None, **fields: str) -> Call:
    method = METHODS[rpc]
    return Call(method, method.request(**fields), metadata or {})


def refusal(call: Call) -> VisionError:
    with pytest.raises(VisionError) as refused:
        Admission(ManualClock(), "ours", credentials_required=True).admit(call)
    return refused.value


def reason(failure: VisionError) -> str:
    return str(failure.details[0].reason)  # type: ignore[attr-defined]


@pytest.mark.parametrize("metadata", [{}, {"x-goog-api-key": "invalid"}, {"authorization": "Bearer expired"}, {"authorization": "Basic x"}])
def test_everybody_is_let_in_unless_credentials_are_required(metadata: dict[str, str]) -> None:
    """By default no call fails for who its caller is."""
    Admission(ManualClock(), "ours").admit(called(metadata=metadata))


@pytest.mark.parametrize(
    ("rpc", "metadata"),
    [
        (f"{ANNOTATOR}BatchAnnotateImages", {"x-goog-api-key": "AIza"}),
        (f"{ANNOTATOR}BatchAnnotateImages", {"authorization": "Bearer ya29"}),
        (f"{ANNOTATOR}BatchAnnotateImages", {"authorization": "bearer ya29"}),
        (f"{ANNOTATOR}AsyncBatchAnnotateFiles", {"authorization": "Bearer ya29"}),
        (f"{ANNOTATOR}AsyncBatchAnnotateFiles", {"authorization": "Bearer ya29", "x-goog-api-key": "AIza"}),
        (GET_OPERATION, {"x-goog-api-key": "AIza"}),
    ],
)
def test_any_key_or_token_will_do(rpc: str, metadata: dict[str, str]) -> None:
    """What is checked is that a program sends credentials, not whose they are."""
    Admission(ManualClock(), "ours", credentials_required=True).admit(called(rpc, metadata))


def test_without_credentials() -> None:
    """A key is missing where a key would do; a token, with the challenge, where only a token will."""
    assert refusal(called()).message == "The request is missing a valid API key."
    assert refusal(called()).code == Code.PERMISSION_DENIED
    call = called(f"{ANNOTATOR}AsyncBatchAnnotateFiles")
    failure = refusal(call)
    assert (failure.code, reason(failure)) == (Code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert failure.message.startswith("Request is missing required authentication credential. Expected OAuth 2 access token")
    assert call.answer_metadata == {"www-authenticate": 'Bearer realm="https://accounts.google.com/"'}
    info = codec.to_json(failure.status())["details"][0]
    assert info["domain"] == "googleapis.com"
    assert info["metadata"] == {"method": call.method.full_name, "service": "vision.googleapis.com"}


def test_a_key_where_only_a_token_will_do() -> None:
    """files:asyncBatchAnnotate takes no API keys."""
    failure = refusal(called(f"{ANNOTATOR}AsyncBatchAnnotateFiles", {"x-goog-api-key": "AIza"}))
    assert (failure.code, reason(failure)) == (Code.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    assert failure.message.startswith("API keys are not supported by this API.")


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        ("Bearer expired-ya29", "ACCESS_TOKEN_EXPIRED"),
        ("Bearer invalid", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("Bearer", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("Basic dTpw", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
)
def test_tokens_that_are_refused(authorization: str, why: str) -> None:
    """A token that says so is refused as expired or unsupported, and a key beside it does not help."""
    call = called(metadata={"authorization": authorization, "x-goog-api-key": "AIza"})
    failure = refusal(call)
    assert (failure.code, reason(failure)) == (Code.UNAUTHENTICATED, why)
    assert failure.message.startswith("Request had invalid authentication credentials.")
    assert call.answer_metadata["www-authenticate"].endswith('error="invalid_token"')


def test_keys_that_are_refused() -> None:
    """A key that says so is invalid or blocked, in the recorded words and details."""
    failure = refusal(called(metadata={"x-goog-api-key": "invalid-1"}))
    assert (failure.code, failure.message) == (Code.INVALID_ARGUMENT, "API key not valid. Please pass a valid API key.")
    [info, localized] = codec.to_json(failure.status())["details"]
    assert (info["reason"], info["metadata"]) == ("API_KEY_INVALID", {"service": "vision.googleapis.com"})
    assert (localized["locale"], localized["message"]) == ("en-US", failure.message)
    failure = refusal(called(metadata={"x-goog-api-key": "blocked"}))
    assert (failure.code, reason(failure)) == (Code.PERMISSION_DENIED, "API_KEY_SERVICE_BLOCKED")
    method = "google.cloud.vision.v1.ImageAnnotator.BatchAnnotateImages"
    assert failure.message == f"Requests to this API vision.googleapis.com method {method} are blocked."


def test_the_quota_of_a_project_is_full_until_the_next_minute() -> None:
    """Each project has its own count; polls are not counted; a new minute and a reset start anew."""
    clock = ManualClock(start=1_750_000_020.0)  # a whole minute
    admission = Admission(clock, "ours", calls_per_minute=2)
    for _ in range(2):
        admission.admit(called())
        admission.admit(called(parent="projects/theirs/locations/eu"))
        admission.admit(called(metadata={"x-goog-user-project": "third"}, parent="projects/theirs"))
    for consumer, call in {"ours": called(), "theirs": called(parent="projects/theirs")}.items():
        with pytest.raises(VisionError) as refused:
            admission.admit(call)
        assert refused.value.code == Code.RESOURCE_EXHAUSTED
        limit = "quota metric 'Requests' and limit 'Requests per minute' of service 'vision.googleapis.com'"
        assert refused.value.message == f"Quota exceeded for {limit} for consumer 'project_number:{consumer}'."
        [info, help_] = codec.to_json(refused.value.status())["details"]
        assert (info["reason"], info["metadata"]["quota_limit_value"]) == ("RATE_LIMIT_EXCEEDED", "2")
        assert help_["links"][0]["description"] == "Request a higher quota limit."
    admission.admit(called(GET_OPERATION, name="operations/1"))
    clock.advance(59)
    with pytest.raises(VisionError):
        admission.admit(called())
    clock.advance(1)
    for _ in range(2):
        admission.admit(called())
    admission.reset()
    admission.admit(called())


def test_projects_counted_apart_are_bounded() -> None:
    """Callers who make projects up share one count in the end."""
    admission = Admission(ManualClock(), "ours", calls_per_minute=1)
    for number in range(limits.QUOTA_PROJECTS_MAX + 1):
        admission.admit(called(metadata={"x-goog-user-project": f"p{number}"}))
    with pytest.raises(VisionError):
        admission.admit(called(metadata={"x-goog-user-project": "one-more"}))
