"""Patterns of object names, as a listing's matchGlob takes them; matched in time that grows with the name, whatever the pattern.

``*`` is any text without a slash, ``**`` any text, ``?`` one character but a slash, ``[abc]``, ``[a-z]`` and ``[!abc]`` one of a class,
``{one,two}`` one of several patterns, and a backslash takes the next character for itself. Documented with the API's objects.list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

PATTERN_CHARS_MAX: Final = 1024  # ours: an object's name is no longer
ALTERNATIVES_MAX: Final = 100  # ours: patterns that the braces of one stand for

_Step = Callable[[str], bool] | str  # what one character must be; "*" or "**" for any number of them


class GlobError(Exception):
    """A pattern that cannot be read; the text says why."""


class Glob:
    """One pattern; ``prefix`` is what all names that match begin with."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > PATTERN_CHARS_MAX:
            raise GlobError(f"it is longer than {PATTERN_CHARS_MAX} characters")
        self.prefix: Final = _literal(pattern)
        self._alternatives: Final = [_steps(alternative) for alternative in _expanded(pattern)]

    def matches(self, name: str) -> bool:
        """Whether the whole name fits."""
        return name.startswith(self.prefix) and any(_fits(steps, name) for steps in self._alternatives)


def _literal(pattern: str) -> str:
    for at, character in enumerate(pattern):
        if character in "*?[{\\":
            return pattern[:at]
    return pattern


def _expanded(pattern: str) -> list[str]:
    """The patterns without braces that this one stands for."""
    found: list[str] = []
    waiting = [pattern]
    while waiting:
        taken = waiting.pop()
        group = _group(taken)
        if group is None:
            found.append(taken)
        else:
            start, end, choices = group
            waiting += [taken[:start] + choice + taken[end:] for choice in choices]
        if len(found) + len(waiting) > ALTERNATIVES_MAX:
            raise GlobError(f"its braces stand for more than {ALTERNATIVES_MAX} patterns")
    return found


def _group(pattern: str) -> tuple[int, int, list[str]] | None:
    """The first group in braces: where it starts, where it ends, and its choices, which may hold groups in their turn."""
    depth, start, cuts = 0, -1, list[int]()
    for at, character in _unquoted(pattern):
        if character == "{":
            depth += 1
            if depth == 1:
                start, cuts = at, [at]
        elif character == "," and depth == 1:
            cuts.append(at)
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                cuts.append(at)
                return start, at + 1, [pattern[left + 1 : right] for left, right in pairwise(cuts)]
    if depth:
        raise GlobError("a brace is not closed")
    return None


def _unquoted(pattern: str) -> Iterator[tuple[int, str]]:
    """The characters that a backslash does not quote and no class holds."""
    at = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
        elif pattern[at] == "[":
            at = _class_end(pattern, at)
        else:
            yield at, pattern[at]
            at += 1


def _class_end(pattern: str, start: int) -> int:
    """The index behind the bracket that closes a class; the first character of a class may be one itself."""
    first = start + 2 if pattern[start + 1 : start + 2] in ("!", "^") else start + 1
    end = pattern.find("]", first + 1)
    if end < 0:
        raise GlobError("a bracket is not closed")
    return end + 1


def _steps(pattern: str) -> list[_Step]:
    steps: list[_Step] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            end = at + len(pattern[at:]) - len(pattern[at:].lstrip("*"))
            steps.append("*" if end - at == 1 else "**")
            at = end
            continue
        if character == "[":
            end = _class_end(pattern, at)
            steps.append(_one_of(pattern[at + 1 : end - 1]))
            at = end
            continue
        if character == "\\" and at + 1 < len(pattern):
            at += 1
            character = pattern[at]
            steps.append(character.__eq__)
        else:
            steps.append("/".__ne__ if character == "?" else character.__eq__)
        at += 1
    return steps


def _one_of(members: str) -> Callable[[str], bool]:
    wanted = members[:1] not in ("!", "^")
    members = members if wanted else members[1:]
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(members):
        is_range = members[at + 1 : at + 2] == "-" and at + 2 < len(members)
        ranges.append((members[at], members[at + 2] if is_range else members[at]))
        at += 3 if is_range else 1
    return lambda character: character != "/" and any(low <= character <= high for low, high in ranges) == wanted


def _fits(steps: list[_Step], name: str) -> bool:
    """All the places of the pattern where one may be after each character: nothing is ever tried twice."""
    places = _with_skips(steps, {0})
    for character in name:
        following: set[int] = set()
        for place in places:
            step = steps[place] if place < len(steps) else None
            if step is None:
                continue
            if isinstance(step, str):
                if step == "**" or character != "/":
                    following.add(place)
            elif step(character):
                following.add(place + 1)
        if not following:
            return False
        places = _with_skips(steps, following)
    return len(steps) in places


def _with_skips(steps: list[_Step], places: set[int]) -> set[int]:
    """The places, and those behind stars, which may stand for nothing."""
    reached = set(places)
    for place in places:
        at = place
        while at < len(steps) and isinstance(steps[at], str):
            at += 1
            reached.add(at)
    return reached
