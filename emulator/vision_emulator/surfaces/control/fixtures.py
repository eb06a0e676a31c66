"""Given answers over the control API: added and taken away while the server runs, read again, and why none fitted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from vision_emulator.annotators.fixtures import FixtureError, Fixtures, UnknownRule, read_rule, where
from vision_emulator.annotators.fixtures.rule import Rule
from vision_emulator.surfaces.control.route import Asked, Refused, Route

BODY_BYTES_MAX: Final = 32 * 1024 * 1024  # several whole pages of recorded text are a few megabytes
RULES_PER_ANSWER: Final = 100  # when nobody says how many
RULES_PER_ANSWER_MAX: Final = 1000
MISSES_PER_ANSWER: Final = 10  # the same for near misses; each is compared with every rule
MISSES_PER_ANSWER_MAX: Final = 100


class RuleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as it stands in a file: ``match``, and either a ``response``, an ``error`` or a ``sequence`` of them."""

    match: dict[str, Any]
    id: str | UnsetType = UNSET
    response: dict[str, Any] | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET
    sequence: list[dict[str, Any]] | UnsetType = UNSET
    times: int | UnsetType = UNSET
    delay: float | str | UnsetType = UNSET
    features: list[str] | UnsetType = UNSET
    source: str | UnsetType = UNSET


class RulesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules to add, in their order."""

    rules: list[RuleBody]


class RuleState(msgspec.Struct, frozen=True):
    """A rule, where it comes from (``file:line``, or its id), and how many pictures it has answered."""

    where: str
    uses: int
    rule: dict[str, Any]
    id: str = ""  # of one that was added at run time


class RuleStates(msgspec.Struct, frozen=True):
    """Rules, best first; ``total`` is how many there are."""

    rules: list[RuleState]
    total: int


class Reloaded(msgspec.Struct, frozen=True):
    """What the files hold now; a broken one keeps its old rules."""

    rules: int
    changed: bool
    broken: list[str]


class NearMisses(msgspec.Struct, frozen=True):
    """The last pictures that no rule answered, the latest first, each with the rules that came closest and what they differ in."""

    misses: list[dict[str, Any]]


class FixturesResource:
    """The rules of the fixtures annotator; None when the server runs without it."""

    def __init__(self, fixtures: Fixtures | None) -> None:
        self._asked_for = fixtures

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        every, one = "/v1/fixtures", "/v1/fixtures/{id}"
        whose = {"project": "only for this project's calls; without it for everybody's"}
        some = {"limit": f"how many at most; {RULES_PER_ANSWER}", "offset": "how many to pass over"}
        missed = {"project": "only pictures of this project's calls", "limit": f"how many at most; {MISSES_PER_ANSWER}"}
        listing = "The rules that hold, best first, and how often each was used."
        return (
            Route("GET", every, listing, self._list, None, RuleStates, whose | some),
            Route(
                "POST",
                every,
                "Adds rules, before those of all files.",
                self._add,
                RulesBody,
                RuleStates,
                whose,
                body_bytes_max=BODY_BYTES_MAX,
            ),
            Route("DELETE", every, "Forgets the rules that were added.", self._clear, query=whose),
            Route("GET", one, "A rule that was added.", self._get, None, RuleState, whose),
            Route(
                "PUT",
                one,
                "Adds or replaces a rule.",
                self._put,
                RuleBody,
                RuleState,
                whose,
                body_bytes_max=BODY_BYTES_MAX,
            ),
            Route("DELETE", one, "Forgets a rule that was added.", self._remove, query=whose),
            Route("POST", "/v1/fixtures:reload", "Reads files that have changed, now.", self._reload, answer=Reloaded),
            Route("GET", "/v1/fixtures:nearMisses", "Pictures that no rule answered, and why.", self._misses, None, NearMisses, missed),
        )

    @property
    def _fixtures(self) -> Fixtures:
        if self._asked_for is None:
            raise Refused("This server runs without given answers; start it with fixtures among --annotators.", 409)
        return self._asked_for

    async def _list(self, asked: Asked) -> Any:
        fixtures = self._fixtures
        limit = _number(asked, "limit", RULES_PER_ANSWER, RULES_PER_ANSWER_MAX)
        offset = _number(asked, "offset", 0, None)
        return await asyncio.to_thread(_piece, fixtures, asked.project, offset, limit)

    async def _add(self, asked: Asked) -> Any:
        rules = await asyncio.to_thread(_read, asked.body.rules)
        self._done(lambda: self._fixtures.add(rules, asked.project))
        return RuleStates(_states(rules), len(rules))

    async def _clear(self, asked: Asked) -> None:
        self._fixtures.clear(asked.project)

    async def _get(self, asked: Asked) -> Any:
        try:
            return _state(self._fixtures.find(asked.variables["id"], asked.project))
        except UnknownRule as unknown:
            raise Refused(f"{unknown}.", 404) from unknown

    async def _put(self, asked: Asked) -> Any:
        entry = _plain(asked.body)
        named = entry.setdefault("id", asked.variables["id"])
        if named != asked.variables["id"]:
            raise Refused(f"The rule says that its id is {named}, the path {asked.variables['id']}.")
        rule = _read_one(entry, "")
        self._done(lambda: self._fixtures.put(rule, asked.project))
        return _state(rule)

    async def _remove(self, asked: Asked) -> None:
        try:
            self._fixtures.remove(asked.variables["id"], asked.project)
        except UnknownRule as unknown:
            raise Refused(f"{unknown}.", 404) from unknown

    async def _reload(self, asked: Asked) -> Any:
        del asked
        reading = await self._fixtures.reload()
        return Reloaded(len(reading.rules), reading.changed, reading.broken)

    async def _misses(self, asked: Asked) -> Any:
        limit = _number(asked, "limit", MISSES_PER_ANSWER, MISSES_PER_ANSWER_MAX)
        return NearMisses(await asyncio.to_thread(self._fixtures.near_misses, limit, asked.project))

    def _done(self, change: Any) -> None:
        try:
            change()
        except FixtureError as wrong:
            raise Refused(f"{wrong}.") from wrong


def _read(bodies: Sequence[RuleBody]) -> list[Rule]:
    return [_read_one(_plain(body), f"rules[{index}]") for index, body in enumerate(bodies)]


def _read_one(entry: dict[str, Any], named: str) -> Rule:
    try:
        return read_rule(entry, named)
    except FixtureError as wrong:
        raise Refused(str(wrong)) from wrong


def _plain(body: RuleBody) -> dict[str, Any]:
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}


def _piece(fixtures: Fixtures, project: str, offset: int, limit: int) -> RuleStates:
    """Some of the rules that hold; with very many of them it takes a while."""
    rules = fixtures.holding(project)
    return RuleStates(_states(rules[offset : offset + limit]), len(rules))


def _states(rules: Iterable[Rule]) -> list[RuleState]:
    return [_state(rule) for rule in rules]


def _state(rule: Rule) -> RuleState:
    return RuleState(where(rule), rule.uses, rule.as_json(), rule.id if rule.file is None else "")


def _number(asked: Asked, name: str, default: int, most: int | None) -> int:
    """A parameter that is a number; Refused when it is none, or too large."""
    text = asked.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9) or (most is not None and int(text) > most):
        raise Refused(f"{name} must be a whole number{'' if most is None else f' of at most {most}'}, not {text[:40]}.")
    return int(text)
