"""What really happens with Vision, by name: each preset is a rule whose texts are the catalogue's, to be had in one word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from vision_emulator.contract import codec, errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.messages import QuotaFailure
from vision_emulator.control.faults import (
    ImageError,
    Images,
    OperationError,
    OperationNever,
    Reject,
    Rule,
    RuleRefused,
    WriteError,
)
from vision_emulator.written import suggestion

_ANNOTATING: Final = ("ImageAnnotator.*", "ProductSearch.*")  # calls that cost quota and need the API enabled; polls do not


class Preset(NamedTuple):
    """A named rule and the parameters it takes."""

    summary: str
    parameters: type[msgspec.Struct]
    rule: Callable[[Any], Rule]


class _Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Parameters of a preset."""


class NoParameters(_Parameters, frozen=True):
    """A preset without any."""


class Quota(_Parameters, frozen=True):
    """How many calls a minute the quota lets through, and when the next attempt may be worth it."""

    calls_per_minute: int = 1800
    retry_after_seconds: float = 1.0


class Broken(_Parameters, frozen=True):
    """Which images of the batch, counted from 0, get which error."""

    images: tuple[int, ...] = (1,)
    code: str = "INTERNAL"
    message: str = errors.features_failed().message


class Failure(_Parameters, frozen=True):
    """What the operation ends with."""

    code: str = "INTERNAL"
    message: str = errors.internal().message


class Shard(_Parameters, frozen=True):
    """The output file, counted from 1, that cannot be written any more."""

    shard: int = 2


def _rejected(failure: VisionError, method: str | tuple[str, ...], retry_after_seconds: float | None = None, **headers: str) -> Rule:
    details = tuple({"@type": detail["@type"], **detail} for detail in codec.to_json(failure.status()).get("details", ()))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Rule((Reject(failure.code.name, failure.message, details, retry_after_seconds, named),), method=method)


def _in_slot(failure: VisionError, image: Images | None) -> Rule:
    return Rule((ImageError(failure.code.name, failure.message),), image=image)


def _quota_exceeded(said: Quota) -> Rule:
    failure = errors.quota_exceeded("{project}", said.calls_per_minute)
    violation: Any = QuotaFailure.Violation(subject="project:{project}", description=failure.message)
    whole = VisionError(failure.code, failure.message, QuotaFailure(violations=[violation]), *failure.details)
    return _rejected(whole, _ANNOTATING, said.retry_after_seconds)


def _expired_token(_: NoParameters) -> Rule:
    failure = errors.credentials_invalid("{method}", "ACCESS_TOKEN_EXPIRED")
    challenge = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return _rejected(failure, (*_ANNOTATING, "Operations.*"), www_authenticate=challenge)


def _partial_batch(said: Broken) -> Rule:
    return Rule((ImageError(said.code, said.message),), image=Images(index=said.images))


PRESETS: Final[dict[str, Preset]] = {
    "url-unreachable": Preset(
        "images behind http(s) URLs get the error of a server that cannot be reached; the call succeeds",
        NoParameters,
        lambda _: _in_slot(errors.url_unavailable(), Images(uri="http*")),
    ),
    "bad-image-data": Preset(
        "every image of the call gets the error of bytes that are no image; the call succeeds",
        NoParameters,
        lambda _: _in_slot(errors.bad_image_data(), None),
    ),
    "partial-batch": Preset("some images of a batch fail, the others succeed", Broken, _partial_batch),
    "quota-exceeded": Preset("the calls of a minute are used up", Quota, _quota_exceeded),
    "service-disabled": Preset(
        "the project has not enabled the API", NoParameters, lambda _: _rejected(errors.service_disabled("{project}"), _ANNOTATING)
    ),
    "expired-token": Preset("the access token has expired", NoParameters, _expired_token),
    "permission-denied-output": Preset(
        "the operation may not write to its destination, and writes nothing", NoParameters, lambda _: Rule((WriteError(1),))
    ),
    "storage-write-fails": Preset(
        "the operation writes some of its files, and then fails", Shard, lambda said: Rule((WriteError(said.shard),))
    ),
    "operation-fails": Preset("the operation ends with an error", Failure, lambda said: Rule((OperationError(said.code, said.message),))),
    "operation-never-finishes": Preset("no poll ever finds the operation done", NoParameters, lambda _: Rule((OperationNever(),))),
}


def expanded(name: str, parameters: dict[str, Any], given: Rule, names: set[str]) -> Rule:
    """The preset's rule, with what was ``given`` beside it (the fields in ``names``) in place of its own; RuleRefused for no preset."""
    preset = PRESETS.get(name)
    if preset is None:
        hint = suggestion(name, PRESETS, f"known are {', '.join(PRESETS)}", cutoff=0.4)
        raise RuleRefused(f"{name[:100]!r} is no preset; {hint}")
    if given.script:
        raise RuleRefused(f"preset {name} brings its own script; leave script out, or write a rule without a preset")
    known = [field.encode_name for field in msgspec.structs.fields(preset.parameters)]
    for unknown in parameters.keys() - known:
        hint = suggestion(unknown, known, f"it takes {', '.join(known) or 'none'}")
        raise RuleRefused(f"{unknown[:100]!r} is no parameter of {name}; {hint}")
    try:
        said = msgspec.convert(parameters, preset.parameters)
    except msgspec.ValidationError as wrong:
        raise RuleRefused(f"parameters of {name}: {wrong}") from wrong
    _check(said)
    return msgspec.structs.replace(preset.rule(said), **{field: getattr(given, field) for field in names})


def _check(said: Any) -> None:
    if isinstance(said, Quota) and not 1 <= said.calls_per_minute <= limits.FAULT_CALLS_MAX:
        raise RuleRefused(f"callsPerMinute is {said.calls_per_minute}; it must be 1 or more")
