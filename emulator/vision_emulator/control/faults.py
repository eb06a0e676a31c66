"""Failures on demand: typed rules that say which calls are struck, and by what, one step of a script for each call.

A rule strikes calls of its methods, of its project, over its transport and with its image, in the order in which rules were added; a rule
that is ``selected`` strikes only calls that name it in ``x-vision-emulator-rule``. The first rule that refuses a call ends its way through
the rules; delays add up. What was struck when is kept for the rule's report, so that a test can say that its client met the fault.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import msgspec
from google.protobuf import json_format

from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import HTTP_STATUS, Code, VisionError
from vision_emulator.contract.hurt import Damage, Hurt
from vision_emulator.contract.messages import POOL, Duration, RetryInfo, Status
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import Chance, Clock
from vision_emulator.written import suggestion

RULE: Final = "x-vision-emulator-rule"  # header or metadata key: the rules that a call asks for, by id
INSTRUCTIONS: Final = "x-goog-emulator-instructions"  # Google's: what is to befall this very call
OLD_INSTRUCTIONS: Final = "x-goog-testbench-instructions"  # the same under its former name
RETRY_TEST: Final = "x-retry-test-id"  # Google's: the retry test that a call belongs to

IMAGES: Final = ("BatchAnnotateImages", "AsyncBatchAnnotateImages")
FILES: Final = ("BatchAnnotateFiles", "AsyncBatchAnnotateFiles")
OFFLINE: Final = ("AsyncBatchAnnotateImages", "AsyncBatchAnnotateFiles")
# The most images or pages of one call, hence the largest place that can be meant.
_PLACES: Final = {
    "BatchAnnotateImages": limits.IMAGES_PER_CALL_MAX,
    "AsyncBatchAnnotateImages": limits.IMAGES_PER_BATCH_MAX,
    "BatchAnnotateFiles": limits.PAGES_PER_CALL_MAX,
    "AsyncBatchAnnotateFiles": limits.PAGES_PER_FILE_MAX,
}
# As Google's documentation and its storage testbench name the calls of the JSON API that the built-in Cloud Storage answers.
STORAGE_METHODS: Final = (
    *(f"storage.buckets.{verb}" for verb in ("list", "insert", "get", "patch", "update", "delete")),
    *(f"storage.buckets.{verb}" for verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions", "getStorageLayout")),
    *(f"storage.objects.{verb}" for verb in ("list", "insert", "get", "patch", "update", "delete", "copy", "rewrite", "move", "compose")),
    *(f"storage.{kind}.{verb}" for kind in ("bucket_acl", "default_object_acl", "object_acl") for verb in ("get", "insert", "delete")),
)
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_GLOB: Final = re.compile(r"[*?\[]")


class RuleRefused(ValueError):
    """A rule that can never strike, or means nothing; the text says what would."""


class RuleUnknown(KeyError):
    """No rule of this id."""


# ---- what a rule is made of: its JSON form is the control API's ----


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What a user says in JSON."""


class _Step(_Said, frozen=True, tag_field="fault"):
    """One step of a script."""

    @property
    def name(self) -> str:
        """What the step is called in JSON."""
        return str(self.__struct_config__.tag)


class Pass(_Step, frozen=True, tag="pass"):
    """The call goes by unhurt; it counts as a step."""


class Reject(_Step, frozen=True, tag="reject"):
    """The call is refused before anything is done. ``{method}`` and ``{project}`` in texts stand for the call's own."""

    code: str | int  # "UNAVAILABLE" or 14
    message: str = ""  # unset: Google's general text for the code
    details: tuple[dict[str, Any], ...] = ()  # each with its "@type"
    retry_after_seconds: float | None = None  # as Retry-After, and as RetryInfo in the details
    headers: dict[str, str] = {}  # of the answer; gRPC has them in its trailers
    http_status: int | None = None  # of storage calls, where it is one that no code has
    after_bytes: int = 0  # strikes only a call that brings more bytes than these, and counts no other


class Delay(_Step, frozen=True, tag="delay"):
    """The call is held on the emulator's clock: so many seconds; or anywhere from ``lower`` to ``upper``; or lognormally around
    ``median``, where ``sigma`` is the spread and ``upper`` the most."""

    seconds: float | None = None
    lower: float | None = None
    upper: float | None = None
    median: float | None = None
    sigma: float | None = None

    def draw(self, chance: Chance) -> float:
        """How long this time."""
        if self.median is not None:
            seconds = self.median * math.exp((self.sigma or 0.0) * chance.normal())
            return min(seconds, limits.FAULT_SECONDS_MAX if self.upper is None else self.upper)
        if self.upper is not None:
            lower = self.lower or 0.0
            return lower + (self.upper - lower) * chance.fraction()
        return self.seconds or 0.0


class Drop(_Step, frozen=True, tag="drop"):
    """The connection breaks: before the call is looked at, or in the middle of its answer, when everything is done but half heard.

    Over gRPC the client sees UNAVAILABLE in both cases, as it does when a connection is lost.
    """

    when: Literal["before", "middle"] = "before"
    bytes: int | None = None  # of the answer's body that are sent first; unset: half of them


class Truncate(_Step, frozen=True, tag="truncate"):
    """The answer's body ends after so many bytes, as if it were whole. Over gRPC that is a message which cannot be read."""

    bytes: int = 0


class Corrupt(_Step, frozen=True, tag="corrupt"):
    """One byte of the answer's body is turned over: JSON and gRPC messages cannot be read, a download has another hash."""


class ImageError(_Step, frozen=True, tag="image_error"):
    """The rule's images (all of the call when it names none) get this error in their slot; the call itself succeeds."""

    code: str | int
    message: str = ""


class OperationError(_Step, frozen=True, tag="operation_error"):
    """The operation that the call starts does nothing and ends with this error."""

    code: str | int
    message: str = ""
    details: tuple[dict[str, Any], ...] = ()


class OperationNever(_Step, frozen=True, tag="operation_never"):
    """The operation that the call starts is never seen done, as with pace ``never``."""


class WriteError(_Step, frozen=True, tag="write_error"):
    """The operation's output file of this number, counted from 1 for each file of results in the making, cannot be written."""

    shard: int = 1


Step = Pass | Reject | Delay | Drop | Truncate | Corrupt | ImageError | OperationError | OperationNever | WriteError
_OF_OPERATIONS: Final = (OperationError, OperationNever, WriteError)


class Images(_Said, frozen=True):
    """Which images or pages are meant: those of which everything holds that is said."""

    index: int | tuple[int, ...] | None = None  # the place in the request, or of the page in the answer, counted from 0
    uri: str | None = None  # of the image, or of the file of pages; * and ? stand for any text and any character
    sha256: str | None = None  # of the image's bytes, in hex

    @property
    def places(self) -> tuple[int, ...]:
        """The places that are meant; none for any place."""
        return () if self.index is None else (self.index,) if isinstance(self.index, int) else self.index

    def mean(self, index: int, uri: str) -> bool:
        """Whether an image is meant, as far as can be said without its bytes."""
        return (not self.places or index in self.places) and (self.uri is None or fnmatchcase(uri, self.uri))


class Rule(_Said, frozen=True):
    """Which calls are struck, and by what."""

    script: tuple[Step | tuple[Step, ...], ...] = ()  # one for each call; what stands in a list of its own befalls one call together
    id: str = ""  # chosen by the user, or made
    method: str | tuple[str, ...] = ()  # full names, short ones, or patterns with *; unset: every call of Vision that the script fits
    image: Images | None = None  # only calls with such an image
    selected: bool = False  # only calls that name the rule
    transport: Literal["any", "rest", "grpc"] = "any"
    skip: int = 0  # matching calls that go by first
    times: int | None = 1  # how often the whole script is gone through; null: without end
    probability: float = 1.0  # that a matching call is struck; another one takes no step
    seed: int = 0  # of the probability and of delays
    ttl_seconds: float | None = None  # on the emulator's clock; unset: until it is removed

    def steps(self) -> Iterator[Step]:
        """All steps, flat."""
        for entry in self.script:
            yield from entry if isinstance(entry, tuple) else (entry,)


class Strike(_Said, frozen=True):
    """One call that was struck."""

    at: float  # seconds since 1970
    fault: str
    method: str
    transport: str
    call: int | None = None  # the number of its journal entry; a storage call has none
    index: int | None = None  # of the image


class Report(_Said, frozen=True, omit_defaults=False):
    """A rule and what has become of it."""

    id: str
    project: str  # "" for all
    rule: Rule
    struck: int  # all, of which ``strikes`` are the newest
    remaining: int | None  # calls that it can still strike; null: any number
    exhausted: bool
    expired: bool
    strikes: tuple[Strike, ...] = ()


# ---- the names of methods ----


@cache
def _names() -> Mapping[str, tuple[str, ...]]:
    """By full name, all that a method goes by: BatchAnnotateImages, ImageAnnotator.BatchAnnotateImages, vision.images.annotate."""
    from vision_emulator.contract import discovery  # only who has rules needs it

    names: dict[str, tuple[str, ...]] = {name: (name,) for name in STORAGE_METHODS}
    for method in METHODS.values():
        ids = dict.fromkeys("vision." + ".".join(discovery.resource_names(binding)) for binding in method.bindings)
        names[method.full_name] = (method.full_name, f"{method.service}.{method.name}", method.name, *ids)
    return names


def methods_of(patterns: str | Iterable[str]) -> frozenset[str]:
    """The full names that names and patterns stand for; RuleRefused for one that stands for none."""
    found: set[str] = set()
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        fitting = [name for name, known in _names().items() if any(fnmatchcase(one, pattern) for one in known)]
        if not fitting:
            every = [one for known in _names().values() for one in known]
            near = get_close_matches(pattern, every, n=1, cutoff=0.4)
            what = "fits no method" if _GLOB.search(pattern) else "is no method"
            raise RuleRefused(f"{pattern[:100]!r} {what}" + (f"; did you mean {near[0]}?" if near else ""))
        found.update(fitting)
    return frozenset(found)


def _fitting(rule: Rule) -> frozenset[str]:
    """The methods of a rule that names none: those that its script and its image can befall."""
    if any(isinstance(step, _OF_OPERATIONS) for step in rule.steps()):
        return _called(OFFLINE)
    if rule.image is not None or any(isinstance(step, ImageError) for step in rule.steps()):
        return _called(IMAGES if _by_bytes_or_place(rule) else (*IMAGES, *FILES))
    return frozenset(method.full_name for method in METHODS.values())


def _by_bytes_or_place(rule: Rule) -> bool:
    """Whether a rule can mean images alone: hashes are of images, and at which place a page will be is not known beforehand."""
    image = rule.image
    pages_too = all(isinstance(step, ImageError | Pass) for step in rule.steps())
    return image is not None and (image.sha256 is not None or (bool(image.places) and not pages_too))


@cache
def _called(names: Iterable[str]) -> frozenset[str]:
    return frozenset(method.full_name for method in METHODS.values() if method.name in names)


# ---- what a rule may say ----


def _check(rule: Rule, methods: frozenset[str]) -> None:
    """Returns, or says why the rule can never strike."""
    if not rule.script:
        raise RuleRefused("script is empty, so the rule can never strike; the least is [{'fault': 'reject', 'code': 'UNAVAILABLE'}]")
    if len(list(rule.steps())) > limits.FAULT_STEPS_MAX:
        raise RuleRefused(f"script has more than {limits.FAULT_STEPS_MAX} steps")
    if rule.id and (not _ID.fullmatch(rule.id) or rule.id == "presets"):
        raise RuleRefused(f"{rule.id[:100]!r} is no id: use 1 to 64 letters, digits, '_', '.' and '-'")
    _within("skip", rule.skip, 0, limits.FAULT_CALLS_MAX)
    _within("times", 1 if rule.times is None else rule.times, 1, limits.FAULT_CALLS_MAX)
    if not 0 < rule.probability <= 1:
        raise RuleRefused(f"probability is {rule.probability:g}; it must be more than 0, else the rule can never strike, and at most 1")
    if rule.ttl_seconds is not None and not 0 < rule.ttl_seconds < math.inf:
        raise RuleRefused(f"ttlSeconds is {rule.ttl_seconds:g}; it must be more than 0, else the rule can never strike")
    if all(isinstance(step, Pass) for step in rule.steps()):
        raise RuleRefused("script does nothing but pass, so the rule can never strike")
    if rule.transport == "grpc" and methods.issubset(STORAGE_METHODS):
        raise RuleRefused("transport is grpc, which no call of Cloud Storage takes here, so the rule can never strike; use rest")
    for step in rule.steps():
        _check_step(step, methods)
    if rule.image is not None:
        _check_image(rule, rule.image, methods)


def _check_step(step: Step, methods: frozenset[str]) -> None:
    if isinstance(step, Reject | ImageError | OperationError):
        code_of(step.code)
    if isinstance(step, Reject | OperationError):
        _details(step.details)
    if isinstance(step, Reject):
        _within("retryAfterSeconds", step.retry_after_seconds or 0, 0, limits.FAULT_SECONDS_MAX)
        _within("afterBytes", step.after_bytes, 0, limits.OBJECT_BYTES_MAX)
        _within("httpStatus", step.http_status or 400, 400, 599)
        for name, value in step.headers.items():
            if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
                raise RuleRefused(f"{name[:100]!r}: {value[:100]!r} is no header; names are lower case, values printable ASCII")
    if isinstance(step, Delay):
        _check_delay(step)
    if isinstance(step, Drop | Truncate):
        _within("bytes", step.bytes or 0, 0, limits.OBJECT_BYTES_MAX)
    if isinstance(step, WriteError):
        _within("shard", step.shard, 1, limits.PAGES_PER_FILE_MAX)
    if isinstance(step, _OF_OPERATIONS) and not methods & _called(OFFLINE):
        raise RuleRefused(f"{step.name} befalls operations, which none of these methods starts: use {' or '.join(OFFLINE)}")
    if isinstance(step, ImageError) and not methods & _called((*IMAGES, *FILES)):
        raise RuleRefused(f"image_error befalls images, which none of these methods has: use {', '.join((*IMAGES, *FILES))}")


def _check_delay(step: Delay) -> None:
    ways = [step.seconds is not None, step.median is not None, step.upper is not None and step.median is None]
    if sum(ways) != 1 or (step.lower is not None and not ways[2]) or (step.sigma is not None and not ways[1]):
        raise RuleRefused("a delay says either seconds, or lower and upper, or median and sigma (and upper, as the most)")
    for name in ("seconds", "lower", "upper", "median"):
        _within(name, getattr(step, name) or 0.0, 0, limits.FAULT_SECONDS_MAX)
    _within("sigma", step.sigma or 0.0, 0, 10)
    if step.upper is not None and (step.lower or 0.0) > step.upper:
        raise RuleRefused(f"lower is {step.lower:g} and upper {step.upper:g}: the wrong way round")


def _check_image(rule: Rule, image: Images, methods: frozenset[str]) -> None:
    if image == Images():
        raise RuleRefused("image says nothing; use index, uri or sha256, or leave it out for every image")
    if not methods & _called((*IMAGES, *FILES)):
        raise RuleRefused(f"image is of calls that annotate, and none of these methods does: use {', '.join((*IMAGES, *FILES))}")
    if _by_bytes_or_place(rule) and not methods & _called(IMAGES):
        raise RuleRefused(f"sha256 and index are of images, which these methods do not have: use {' or '.join(IMAGES)}, or uri")
    if image.sha256 is not None:
        if not _SHA256.fullmatch(image.sha256):
            raise RuleRefused(f"sha256 is {image.sha256[:100]!r}; it must be 64 lower-case hex digits")
        if not all(isinstance(step, ImageError | Pass) for step in rule.steps()):
            raise RuleRefused("sha256 is known once an image has been read, so that only image_error can still befall it")
    places = max(count for name, count in _PLACES.items() if methods & _called((name,)))
    for index in image.places:
        if not 0 <= index < places:
            raise RuleRefused(f"index is {index}, and none of these methods has more than {places} images: use 0 to {places - 1}")


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise RuleRefused(f"{name} is {value:g}; it must be from {least:g} to {most:g}")


def code_of(given: str | int) -> Code:
    """A code by name or number; RuleRefused names the nearest one. OK is no failure."""
    known = {code.name: code for code in Code if code is not Code.OK}
    code = known.get(given) if isinstance(given, str) else next((code for code in known.values() if code == given), None)
    if code is None:
        hint = suggestion(str(given).upper(), known, ", ".join(known), cutoff=0.5)
        raise RuleRefused(f"{str(given)[:100]!r} is no code of a failure; {hint}")
    return code


def _details(given: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Details as messages of our pool; RuleRefused for what is none."""
    status = Status()
    try:
        json_format.ParseDict({"details": list(given)}, status, descriptor_pool=POOL)
    except (json_format.ParseError, TypeError) as wrong:
        raise RuleRefused(f"details cannot be read: {str(wrong)[:300]}") from wrong
    found = []
    for packed in status.details:
        kind = POOL.FindMessageTypeByName(packed.TypeName())
        found.append(_unpacked(packed, kind))
    return tuple(found)


def _unpacked(packed: Any, kind: Any) -> Any:
    from google.protobuf import message_factory

    message = message_factory.GetMessageClass(kind)()
    packed.Unpack(message)
    return message


# ---- the rules at work ----


class Target(NamedTuple):
    """One call as rules see it."""

    method: str  # the full name: "google.cloud.vision.v1.ImageAnnotator.BatchAnnotateImages", "storage.objects.get"
    headers: Mapping[str, str]  # names in lower case
    transport: str
    project: str
    size: int  # bytes that the call brings
    number: int | None = None  # of its journal entry
    request: Any = None  # a Vision call's message
    struck: list[str] | None = None  # where the names of the faults are noted that strike it; None: nowhere


@dataclass(slots=True, eq=False)
class _State:
    """A rule and how far it is."""

    id: str
    project: str
    rule: Rule
    methods: frozenset[str]
    selectors: tuple[tuple[str, str], ...]  # header and value; any of them, or none is needed
    chance: Chance
    expires: float
    skipped: int = 0
    taken: int = 0  # entries of the script
    struck: int = 0
    strikes: deque[Strike] = field(default_factory=lambda: deque(maxlen=limits.FAULT_STRIKES_MAX))

    @property
    def remaining(self) -> int | None:
        """Entries that are left; None: any number."""
        return None if self.rule.times is None else self.rule.times * len(self.rule.script) - self.taken

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.remaining == 0

    @property
    def entry(self) -> tuple[Step, ...]:
        """What befalls the next call."""
        entry = self.rule.script[self.taken % len(self.rule.script)]
        return entry if isinstance(entry, tuple) else (entry,)

    def concerns(self, target: Target) -> bool:
        """Whether a call of one of its methods is the rule's, as far as its image's bytes are not asked for."""
        rule = self.rule
        if rule.transport not in ("any", target.transport) or (self.project and self.project != target.project):
            return False
        if self.selectors and not any(name in target.headers and value in _listed(target.headers[name]) for name, value in self.selectors):
            return False
        return rule.image is None or _has(rule.image, target.request)

    def take(self) -> tuple[Step, ...]:
        """The next entry of the script, used up; nothing when this call is let by."""
        if self.exhausted:
            return ()
        if self.skipped < self.rule.skip:
            self.skipped += 1
            return ()
        if self.rule.probability < 1 and self.chance.fraction() >= self.rule.probability:
            return ()
        entry = self.entry
        self.taken += 1
        return entry

    def report(self, now: float, *, whole: bool) -> Report:
        """What has become of it."""
        strikes = tuple(self.strikes) if whole else ()
        return Report(self.id, self.project, self.rule, self.struck, self.remaining, self.exhausted, now >= self.expires, strikes)


class Faults:
    """All rules of one server. While there is none, a call costs a look at its headers."""

    def __init__(self, clock: Clock, chance: Chance, project: str = "vision-emulator") -> None:
        self._clock = clock
        self._chance = chance
        self._project = project  # whose calls they are when the caller does not say
        self._states: dict[str, _State] = {}
        self._live: dict[str, list[_State]] = {}  # by method, those that can still strike
        self._next_expiry = math.inf
        self._held: dict[asyncio.Task[None], str] = {}  # calls that are being delayed, with their projects

    def concern(self, headers: Mapping[str, str]) -> bool:
        """Whether rules have anything to do with a call: there are some, or it asks for some."""
        return bool(self._live) or _asks(headers)

    # ---- the user's side ----

    def add(self, rule: Rule, project: str = "", selectors: Sequence[tuple[str, str]] = ()) -> Report:
        """Takes a rule for the calls of a project ("" for all); RuleRefused when it can never strike.

        ``selectors`` are headers of which a call must have one, beside the one that a ``selected`` rule asks for.
        """
        if rule.image is not None and isinstance(rule.image.index, tuple) and not rule.image.index:
            raise RuleRefused("index is an empty list, so the rule can never strike")
        methods = methods_of(rule.method) if rule.method else _fitting(rule)
        _check(rule, methods)
        if _by_bytes_or_place(rule):
            methods -= _called(FILES)
        if rule.id in self._states:
            raise RuleRefused(f"there is a rule {rule.id!r} already; DELETE it first, or choose another id")
        self._forget_oldest()
        rule_id = rule.id or self._chance.hex(16)
        needed = (*selectors, (RULE, rule_id)) if rule.selected else tuple(selectors)
        expires = math.inf if rule.ttl_seconds is None else self._clock.now() + rule.ttl_seconds
        state = _State(rule_id, project, rule, methods, needed, Chance(rule.seed), expires)
        self._states[rule_id] = state
        for name in methods:
            self._live.setdefault(name, []).append(state)
        self._next_expiry = min(self._next_expiry, expires)
        return state.report(self._clock.now(), whole=True)

    def reports(self, project: str | None = None) -> list[Report]:
        """All rules, or those of a project, the oldest first, without their strikes."""
        now = self._clock.now()
        return [state.report(now, whole=False) for state in self._states.values() if project is None or state.project == project]

    def report(self, rule_id: str) -> Report:
        """A rule and whom it struck; RuleUnknown."""
        return self._find(rule_id).report(self._clock.now(), whole=True)

    def remove(self, rule_id: str) -> None:
        """Takes a rule away; RuleUnknown."""
        state = self._find(rule_id)
        del self._states[state.id]
        self._let_go(state)

    def reset(self, project: str = "") -> None:
        """Takes away all rules, or those of a project, and refuses the calls that they are holding: their test is over."""
        for sleep, whose in list(self._held.items()):
            if project in ("", whose):
                del self._held[sleep]
                sleep.cancel()
        for state in list(self._states.values()):
            if project in ("", state.project):
                self.remove(state.id)

    def _find(self, rule_id: str) -> _State:
        if rule_id not in self._states:
            raise RuleUnknown(rule_id)
        return self._states[rule_id]

    def _let_go(self, state: _State) -> None:
        """Calls do not meet a rule any more that can strike none."""
        for method in state.methods:
            states = self._live.get(method, [])
            if state in states:
                states.remove(state)
            if not states:
                self._live.pop(method, None)

    def _expire(self) -> None:
        now = self._clock.now()
        living = {id(state): state for states in self._live.values() for state in states}.values()
        for state in living:
            if now >= state.expires:
                self._let_go(state)
        self._next_expiry = min((state.expires for state in living if now < state.expires), default=math.inf)

    def _forget_oldest(self) -> None:
        if len(self._states) >= limits.FAULT_RULES_MAX:
            now = self._clock.now()
            over = next((state for state in self._states.values() if state.exhausted or now >= state.expires), None)
            if over is None:
                raise RuleRefused(f"there are {limits.FAULT_RULES_MAX} rules already that can still strike; remove some")
            self.remove(over.id)

    # ---- the calls' side ----

    async def strike_call(self, call: Call, number: int) -> Hurt | None:
        """What befalls a Vision call, after it was held up; None: nothing. VisionError when it asks for a rule that is none."""
        if call.method.full_name not in self._live and not _asks(call.metadata):
            return None
        project = call.project or self._project
        target = Target(call.method.full_name, call.metadata, call.transport, project, call.size, number, call.request, call.struck)
        return await self.strike(target)

    async def strike(self, target: Target) -> Hurt | None:
        """The same for any call."""
        struck = [*self._from_rules(target), *self._from_headers(target)]
        if not struck:
            return None
        hurt = Hurt()
        for state, step in struck:
            if state is not None and isinstance(step, ImageError | Pass):
                hurt.images.append(_ImageFault(self, state, target, step))
            elif isinstance(step, Delay):
                await self._hold(step.draw(state.chance if state else self._chance), target.project)
            else:
                _befall(hurt, step, target)
        return hurt

    async def _hold(self, seconds: float, project: str) -> None:
        """Waits on the emulator's clock; VisionError when the rules are reset meanwhile."""
        sleep = asyncio.get_running_loop().create_task(self._clock.sleep(seconds))
        self._held[sleep] = project
        try:
            await asyncio.wait((sleep,))
        finally:
            sleep.cancel()
            let_go = self._held.pop(sleep, None) is None
        if let_go:
            raise errors.held_too_long()

    def _from_rules(self, target: Target) -> list[tuple[_State | None, Step]]:
        """The steps that the rules have for a call, used up before anybody waits, so that calls in parallel share none."""
        self._check_selected(target.headers)
        if self._next_expiry < math.inf and self._clock.now() >= self._next_expiry:
            self._expire()
        found: list[tuple[_State | None, Step]] = []
        for state in tuple(self._live.get(target.method, ())):  # one that is used up leaves the list
            if not state.concerns(target):
                continue
            if state.rule.image is not None and _is_later(state.rule.image, target):
                found.append((state, state.entry[0]))  # taken when the image is met
                continue
            if any(isinstance(step, Reject) and step.after_bytes and target.size <= step.after_bytes for step in state.entry):
                continue
            steps = self.take(state)
            for step in steps:
                if not isinstance(step, Pass):
                    self.note(state, step, target)
                    found.append((state, step))
            if any(isinstance(step, Reject) or (isinstance(step, Drop) and step.when == "before") for step in steps):
                break
        return found

    def _from_headers(self, target: Target) -> list[tuple[_State | None, Step]]:
        text = target.headers.get(INSTRUCTIONS) or target.headers.get(OLD_INSTRUCTIONS)
        if not text:
            return []
        from vision_emulator.control import instructions

        try:
            step = instructions.step(text, target.method)
        except RuleRefused as refused:
            raise errors.instructions_unknown(str(refused)) from refused
        late = isinstance(step, Reject) and step.after_bytes and target.size <= step.after_bytes
        if step is None or late:
            return []
        if target.struck is not None:
            target.struck.append(step.name)
        return [(None, step)]

    def _check_selected(self, headers: Mapping[str, str]) -> None:
        """Refuses calls that ask for a rule which is none: their test would pass without the fault it is about."""
        for rule_id in _listed(headers.get(RULE, "")):
            if rule_id not in self._states:
                near = get_close_matches(rule_id, self._states, n=1)
                raise errors.rule_unknown(rule_id, near[0] if near else "")
        test = headers.get(RETRY_TEST, "")
        if test and not any((RETRY_TEST, test) in state.selectors for state in self._states.values()):
            raise errors.retry_test_unknown(test)

    def take(self, state: _State) -> tuple[Step, ...]:
        """The rule's next entry, used up."""
        steps = state.take()
        if state.exhausted:
            self._let_go(state)
        return steps

    def note(self, state: _State, step: Step, target: Target, index: int | None = None) -> None:
        """Puts a strike into the rule's report."""
        state.struck += 1
        if target.struck is not None:
            target.struck.append(step.name)
        state.strikes.append(Strike(self._clock.now(), step.name, target.method, target.transport, target.number, index))


class _ImageFault:
    """A rule and one call's images. ``step`` is None while it is not known whether the call has the rule's image: it is taken then."""

    def __init__(self, faults: Faults, state: _State, target: Target, step: Step) -> None:
        self._faults = faults
        self._state = state
        self._target = target
        self._images = state.rule.image
        self._later = self._images is not None and _is_later(self._images, target)
        self._step = step if isinstance(step, ImageError) and not self._later else None

    def __call__(self, index: int, uri: str, sha256: str | None) -> VisionError | None:
        """The image's error, or None."""
        wanted = self._images
        if wanted is not None and not wanted.mean(index, uri):
            return None
        if wanted is not None and wanted.sha256 != sha256:
            return None
        if self._later and self._step is None:
            self._step = self._taken(index)
        if self._step is None:
            return None
        return errors.by_rule(code_of(self._step.code), _filled(self._step.message, self._target))

    def _taken(self, index: int) -> ImageError | None:
        for step in self._faults.take(self._state):
            if isinstance(step, ImageError):
                self._faults.note(self._state, step, self._target, index)
                return step
        return None


def _asks(headers: Mapping[str, str]) -> bool:
    """Whether a call asks for a fault."""
    return RULE in headers or RETRY_TEST in headers or INSTRUCTIONS in headers or OLD_INSTRUCTIONS in headers


def _is_later(image: Images, target: Target) -> bool:
    """Whether only the image itself can say that it is meant: by its bytes, or by the place of its page."""
    pages = target.method.rpartition(".")[2] in FILES
    return image.sha256 is not None or (pages and bool(image.places))


def _has(image: Images, request: Any) -> bool:
    """Whether a request may have such an image."""
    for index, element in enumerate(getattr(request, "requests", ())):
        if hasattr(element, "image"):
            source = element.image.source
            uri = "" if element.image.content else source.image_uri or source.gcs_image_uri
            if image.mean(index, uri):
                return True
        elif hasattr(element, "input_config"):
            uri = element.input_config.gcs_source.uri
            if image.uri is None or fnmatchcase(uri, image.uri):
                return True
    return False


def _befall(hurt: Hurt, step: Step, target: Target) -> None:
    """Puts one step into what befalls the call."""
    match step:
        case Reject():
            hurt.refusal, hurt.http_status = _failure(step, target), step.http_status
            hurt.headers |= {name: _filled(value, target) for name, value in step.headers.items()}
            if step.retry_after_seconds is not None:
                hurt.headers["retry-after"] = str(math.ceil(step.retry_after_seconds))
        case Drop(when="before"):
            hurt.damage, hurt.refusal = Damage("reset"), errors.connection_broken()
        case Drop():
            hurt.damage = Damage("drop", step.bytes)
        case Truncate():
            hurt.damage = Damage("truncate", step.bytes)
        case Corrupt():
            hurt.damage = Damage("corrupt")
        case OperationError():
            hurt.operation_error = _failure(step, target)
        case OperationNever():
            hurt.operation_never = True
        case WriteError():
            hurt.shards_max = step.shard - 1


def _failure(step: Reject | OperationError, target: Target) -> VisionError:
    filled = [_filled_in(detail, target) for detail in step.details]
    details = _details(filled)
    if isinstance(step, Reject) and step.retry_after_seconds is not None:
        seconds, fraction = divmod(step.retry_after_seconds, 1)
        details = (*details, RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=round(fraction * 1e9))))
    return errors.by_rule(code_of(step.code), _filled(step.message, target), *details)


def _filled(text: str, target: Target) -> str:
    return text.replace("{method}", target.method).replace("{project}", target.project)


def _filled_in(value: Any, target: Target) -> Any:
    """The same for every text inside a value."""
    if isinstance(value, str):
        return _filled(value, target)
    if isinstance(value, Mapping):
        return {key: _filled_in(inner, target) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled_in(inner, target) for inner in value]
    return value


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def code_of_http(status: int) -> Code:
    """The code nearest to an HTTP status: the API's own where it has one."""
    special = {400: Code.INVALID_ARGUMENT, 408: Code.DEADLINE_EXCEEDED, 409: Code.ABORTED, 412: Code.FAILED_PRECONDITION}
    found = special.get(status) or next((code for code, known in HTTP_STATUS.items() if known == status and code is not Code.UNKNOWN), None)
    if status == 500:
        return Code.INTERNAL
    return found or (Code.UNAVAILABLE if status >= 500 else Code.FAILED_PRECONDITION)
