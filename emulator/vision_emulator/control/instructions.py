"""Google's own words for failures, as its storage testbench has them, said with our rules: one instruction, and tests made of them.

| Instruction | What it becomes |
|---|---|
| ``return-X`` | a refusal with HTTP status X, or the code nearest to it |
| ``return-X-after-YK`` | the same for a call that brings more than Y KiB |
| ``return-reset-connection`` | the connection breaks before the call is looked at |
| ``return-broken-stream``, ``return-broken-stream-after-YK`` | the connection breaks in the middle of the answer, or after Y KiB of it |
| ``return-broken-stream-final-chunk-after-YB`` | the connection breaks after Y bytes of the answer |
| ``return-corrupted-data`` | one byte of the answer is another |
| ``stall-for-Ts``, ``stall-for-Ts-after-YK`` | the answer comes T seconds later |
| ``stall-always``, ``stall-at-256KiB`` | the answer comes an hour later |

A call is read whole and answered whole here, so that what is to happen after some bytes of it happens before or after all of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vision_emulator.contract import limits
from vision_emulator.control.clock import Chance
from vision_emulator.control.faults import (
    RETRY_TEST,
    Corrupt,
    Delay,
    Drop,
    Faults,
    Reject,
    Rule,
    RuleRefused,
    RuleUnknown,
    Step,
    code_of_http,
    methods_of,
)
from vision_emulator.written import suggestion

_KIB: Final = 1024
_RETURN: Final = re.compile(r"return-(?P<status>\d{3})(?:-after-(?P<kib>\d{1,7})K)?(?:/retry-(?P<retry>\d{1,4}))?")
_BROKEN: Final = re.compile(r"return-broken-stream(?:-after-(?P<kib>\d{1,7})K|-final-chunk-after-(?P<bytes>\d{1,9})B)?")
_STALL: Final = re.compile(r"stall-for-(?P<seconds>\d{1,4})s(?:-after-\d{1,7}K)?")
_RETRIES_STRUCK: Final = 2  # return-X-after-YK/retry-N strikes the first two attempts, as the client counts them
_STALL_SECONDS: Final = limits.FAULT_SECONDS_MAX
_WORDS: Final[Mapping[str, Step]] = {
    "return-reset-connection": Drop("before"),
    "return-corrupted-data": Corrupt(),
    "stall-always": Delay(seconds=_STALL_SECONDS),
    "stall-at-256KiB": Delay(seconds=_STALL_SECONDS),
}
_KNOWN: Final = (*_WORDS, "return-503", "return-503-after-256K", "return-broken-stream", "return-broken-stream-after-256K", "stall-for-10s")
TRANSPORTS: Final = ("HTTP", "GRPC")


def step(text: str, method: str = "") -> Step | None:
    """What an instruction means for a call of this method; None when it is over with, RuleRefused when it means nothing here."""
    if text in _WORDS:
        return _WORDS[text]
    found = _RETURN.fullmatch(text)
    if found:
        status, size = int(found["status"]), int(found["kib"] or 0) * _KIB
        if not 400 <= status <= 599:
            raise RuleRefused(f"{text[:100]!r}: {status} is no failure; use 400 to 599")
        if found["retry"] and int(found["retry"]) > _RETRIES_STRUCK:
            return None
        if size and method == "storage.objects.get":  # what there is much of is the answer
            return Drop("middle", size)
        return Reject(code_of_http(status).name, http_status=status, after_bytes=size)
    found = _BROKEN.fullmatch(text)
    if found:
        most = int(found["kib"]) * _KIB if found["kib"] else int(found["bytes"]) if found["bytes"] else None
        return Drop("middle", most)
    found = _STALL.fullmatch(text)
    if found and int(found["seconds"]) <= limits.FAULT_SECONDS_MAX:
        return Delay(seconds=float(found["seconds"]))
    hint = suggestion(text, _KNOWN, f"known are {', '.join(_KNOWN)}", cutoff=0.4)
    raise RuleRefused(f"{text[:100]!r} is no instruction; {hint}")


@dataclass(slots=True)
class _Test:
    """One retry test: for each method the rule that has its instructions."""

    id: str
    transport: str
    rules: dict[str, tuple[str, Sequence[str]]]  # by method: the rule's id, and the instructions


class RetryTests:
    """Sequences of failures for calls that carry a test's id in ``x-retry-test-id``; each is a rule for each of its methods."""

    def __init__(self, faults: Faults, chance: Chance) -> None:
        self._faults = faults
        self._chance = chance
        self._tests: dict[str, _Test] = {}

    def create(self, instructions: Mapping[str, Sequence[str]], transport: str = "HTTP") -> dict[str, Any]:
        """Makes a test and describes it; RuleRefused when an instruction, a method or the transport means nothing."""
        if transport.upper() not in TRANSPORTS:
            raise RuleRefused(f"transport is {transport[:100]!r}; it must be {' or '.join(TRANSPORTS)}")
        if not any(instructions.values()):
            raise RuleRefused('instructions are empty; the least is {"storage.buckets.list": ["return-503"]}')
        scripts: dict[str, tuple[Step, ...]] = {}
        for method, texts in instructions.items():
            name = min(methods_of(method))
            scripts[method] = tuple(found for found in (step(text, name) for text in texts) if found is not None)
        while len(self._tests) >= limits.RETRY_TESTS_MAX:
            self.delete(next(iter(self._tests)))
        made = _Test(self._chance.hex(32), transport.upper(), {})
        wire = "rest" if made.transport == "HTTP" else "grpc"
        for method, script in scripts.items():
            if script:
                rule = Rule(script, method=method, transport=wire)  # type: ignore[arg-type]
                report = self._faults.add(rule, selectors=((RETRY_TEST, made.id),))
                made.rules[method] = report.id, instructions[method]
        self._tests[made.id] = made
        return self.get(made.id)

    def get(self, test_id: str) -> dict[str, Any]:
        """A test: what is left of its instructions, and whether that is nothing; RuleUnknown."""
        test = self._find(test_id)
        left: dict[str, list[str]] = {}
        for method, (rule_id, texts) in test.rules.items():
            remaining = self._faults.report(rule_id).remaining or 0
            left[method] = list(texts[len(texts) - remaining :])
        return {"id": test.id, "instructions": left, "completed": not any(left.values()), "transport": test.transport}

    def tests(self) -> list[dict[str, Any]]:
        """All tests, the oldest first."""
        return [self.get(test_id) for test_id in list(self._tests) if self._is_whole(test_id)]

    def delete(self, test_id: str) -> None:
        """Takes a test away; RuleUnknown."""
        test = self._find(test_id)
        for rule_id, _ in test.rules.values():
            self._faults.remove(rule_id)
        del self._tests[test.id]

    def _find(self, test_id: str) -> _Test:
        if not self._is_whole(test_id):
            raise RuleUnknown(test_id)
        return self._tests[test_id]

    def _is_whole(self, test_id: str) -> bool:
        """Whether a test and its rules are still there: who resets the rules resets it."""
        test = self._tests.get(test_id)
        if test is None:
            return False
        known = {report.id for report in self._faults.reports()}
        if all(rule_id in known for rule_id, _ in test.rules.values()):
            return True
        del self._tests[test_id]
        return False
