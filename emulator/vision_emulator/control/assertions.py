"""What a test says of the calls that its client made: pure functions over journal entries as JSON, on either side of the wire.

An expectation is what is said of a call; what is not said may be anything::

    {"method": "BatchAnnotateImages", "code": "OK", "images": ["gs://pets/*.jpg"], "features": ["LABEL_DETECTION"]}

| Key | A call fits when |
|---|---|
| ``method`` | it is the RPC's name, its full name, or a pattern with ``*`` for either |
| ``transport``, ``project``, ``credentials``, ``operation`` | it is the same; ``*`` stands for any characters |
| ``client`` | it is part of the user agent or of what the client library says of itself |
| ``code`` | it is the code's name or number |
| ``images`` | a number: so many images; a text or a list: each is the uri, a pattern for it, or the sha256 of one of the images |
| ``features`` | a name or a list: each was asked for at some image |
| ``request`` | all of it is found in the request's JSON: objects by their keys, lists element by element, texts may have ``*`` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from vision_emulator.written import suggestion

KEYS: Final = ("method", "transport", "project", "credentials", "operation", "client", "code", "images", "features", "request")
_NEAREST: Final = 3  # calls that a failure explains
_LISTED: Final = 20  # calls that a failure lists
_SHOWN_CHARS: Final = 120  # of a value in a text
CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)  # by number; not contract.errors.Code, so that a client need not load the contract


def assert_called(entries: Iterable[Mapping[str, Any]], method: str = "", *, times: int | None = None, **expected: Any) -> None:
    """Passes when so many of the calls fit (without ``times``: one or more); else AssertionError says what was called instead.

    ``expected`` takes the keys above.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    calls = list(entries)
    wanted = {"method": method, **expected} if method else expected
    _check(wanted)
    fitting = [entry for entry in calls if not differences(entry, wanted)]
    if len(fitting) == times or (times is None and fitting):
        return
    raise AssertionError(explained(calls, wanted, times))


def assert_not_called(entries: Iterable[Mapping[str, Any]], method: str = "", **expected: Any) -> None:
    """Passes when none of the calls fits."""
    __tracebackhide__ = True
    assert_called(entries, method, times=0, **expected)


def differences(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """In what a call is not as expected, one line each; empty when it fits. ValueError for a key that nobody can expect."""
    _check(expected)
    found: list[str] = []
    for key, wanted in expected.items():
        if wanted is not None and wanted != "":
            found += _of(key, wanted, entry)
    return found


def _check(expected: Iterable[str]) -> None:
    for key in expected:
        if key not in KEYS:
            hint = suggestion(key, KEYS, f"known are {', '.join(KEYS)}")
            raise ValueError(f"{key} is nothing to expect of a call; {hint}")


def nearest(entries: Iterable[Mapping[str, Any]], expected: Mapping[str, Any], most: int) -> list[tuple[Mapping[str, Any], list[str]]]:
    """The calls that come closest without fitting, with their differences: those of the same method first, then the fewest, the latest."""
    missed = [(entry, lines) for entry in entries if (lines := differences(entry, expected))]
    missed.sort(key=lambda miss: (any(line.startswith("method:") for line in miss[1]), len(miss[1]), -miss[0]["number"]))
    return missed[:most]


def explained(calls: Sequence[Mapping[str, Any]], expected: Mapping[str, Any], times: int | None) -> str:
    """Why the calls are not what was expected: what fits, what came close and how it differs, and all there was."""
    fitting = [entry for entry in calls if not differences(entry, expected)]
    wanted = ", ".join(f"{key} {_shown(value)}" for key, value in expected.items()) or "any call"
    count = f"{len(fitting) or 'none'} of {len(calls)} call{'s' * (len(calls) != 1)} {'fits' if len(fitting) < 2 else 'fit'}"
    lines = [f"expected {_times(times)}: {wanted}; but {count}"]
    if fitting:
        lines += ["these fit:", *(f"  {line(entry)}" for entry in fitting[:_LISTED])]
    if times is None or len(fitting) < times:
        near = nearest(calls, expected, _NEAREST)
        if near:
            lines.append("these came closest:")
        for entry, missing in near:
            lines += [f"  {line(entry)}", *(f"      {difference}" for difference in missing)]
        others = [entry for entry in calls if entry not in fitting and all(entry is not miss for miss, _ in near)]
        if others:
            lines += ["the others:", *(f"  {line(entry)}" for entry in others[:_LISTED])]
            lines += [f"  and {len(others) - _LISTED} more"] if len(others) > _LISTED else []
    return "\n".join(lines)


def line(entry: Mapping[str, Any]) -> str:
    """A call in one line: "#3 grpc BatchAnnotateImages OK, 2 images (LABEL_DETECTION)"."""
    images: Sequence[Mapping[str, Any]] = entry.get("images") or ()
    features = dict.fromkeys(feature for image in images for feature in image["features"])
    asked = f", {len(images)} image{'s' * (len(images) != 1)} ({', '.join(features) or 'no feature'})" if images else ""
    operation = f", {entry['operation']}" if entry.get("operation") else ""
    said = f": {entry['message']}" if entry.get("message") else ""
    return f"#{entry['number']} {entry['transport']} {_name(entry['method'])} {entry['code'] or 'not yet answered'}{asked}{operation}{said}"


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says, in which ``*`` stands for any characters."""
    return _pattern(pattern).fullmatch(text) is not None if "*" in pattern else pattern == text


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def _name(method: str) -> str:
    return method.rpartition(".")[2]


def _times(count: int | None) -> str:
    return "at least once" if count is None else "never" if count == 0 else "once" if count == 1 else f"{count} times"


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else ", ".join(map(str, value)) if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _of(key: str, wanted: Any, entry: Mapping[str, Any]) -> list[str]:
    match key:
        case "method":
            right = fits(wanted, entry["method"]) or fits(wanted, _name(entry["method"]))
            return [] if right else [_differs(key, wanted, _name(entry["method"]))]
        case "client":
            said = f"{entry['userAgent']} {entry['headers'].get('x-goog-api-client', '')}"
            return [] if wanted.lower() in said.lower() else [_differs(key, wanted, said.strip() or "a client that says nothing of itself")]
        case "code":
            name = CODES[wanted] if isinstance(wanted, int) and 0 <= wanted < len(CODES) else str(wanted)
            return [] if name == entry["code"] else [_differs(key, name, entry["code"] or "none yet")]
        case "images":
            return _of_images(wanted, entry["images"])
        case "features":
            asked = {feature for image in entry["images"] for feature in image["features"]}
            missing = [name for name in _list(wanted) if name not in asked]
            return [f"features: {', '.join(missing)} not among {', '.join(sorted(asked)) or 'none'}"] if missing else []
        case "request":
            return _within(wanted, entry["request"], "request")
    return [] if fits(str(wanted), str(entry[key])) else [_differs(key, wanted, entry[key])]


def _of_images(wanted: Any, images: Sequence[Mapping[str, Any]]) -> list[str]:
    if isinstance(wanted, int):
        return [] if len(images) == wanted else [_differs("images", wanted, len(images))]
    known = [text for image in images for text in (image.get("uri"), image.get("sha256")) if text]
    missing = [text for text in _list(wanted) if not any(fits(text, name) for name in known)]
    return [f"images: {_shown(missing)} not among {_shown(known) or 'none'}"] if missing else []


def _within(wanted: Any, found: Any, place: str) -> list[str]:
    """What of ``wanted`` is not in ``found``."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return [_differs(place, wanted, found)]
        return [
            line
            for key, value in wanted.items()
            for line in (_within(value, found[key], f"{place}.{key}") if key in found else [_missing(place, key, value, found)])
        ]
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list):
            return [_differs(place, wanted, found)]
        if len(wanted) != len(found):
            return [f"{place}: expected {len(wanted)} elements, was {len(found)}"]
        return [line for index, pair in enumerate(zip(wanted, found, strict=True)) for line in _within(*pair, f"{place}[{index}]")]
    if isinstance(wanted, str) and isinstance(found, str):
        return [] if fits(wanted, found) else [_differs(place, wanted, found)]
    return [] if wanted == found else [_differs(place, wanted, found)]


def _missing(place: str, key: str, wanted: Any, found: Mapping[str, Any]) -> str:
    near = get_close_matches(key, found, n=1)
    hint = f" (there is {near[0]})" if near else ""
    return f"{place}.{key}: expected {_shown(wanted)}, was not given{hint}"


def _differs(place: str, wanted: Any, found: Any) -> str:
    return f"{place}: expected {_shown(wanted)}, was {_shown(found)}"


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
