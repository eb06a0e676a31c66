"""Fault rules over the control API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from vision_emulator.control.faults import Faults, Report, Rule, RuleRefused, RuleUnknown
from vision_emulator.control.presets import PRESETS, expanded
from vision_emulator.surfaces.control.route import Asked, Refused, Route


class RuleBody(Rule, frozen=True):
    """A rule, or a preset by name with what is to be different in it."""

    preset: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)  # of the preset


class Rules(msgspec.Struct, frozen=True):
    """All rules, the oldest first."""

    faults: list[Report]


class PresetParameter(msgspec.Struct, frozen=True):
    """A parameter and what it is when it is not given."""

    name: str
    default: Any


class PresetDescription(msgspec.Struct, frozen=True):
    """What a preset does, what it takes, and the rule that it is."""

    name: str
    summary: str
    parameters: list[PresetParameter]
    rule: Rule


class Presets(msgspec.Struct, frozen=True):
    """All presets."""

    presets: list[PresetDescription]


class FaultsResource:
    """Failures on demand, and whom they struck."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        whose = {"project": "only calls of this project"}
        of_whom = {"project": "only rules of this project"}
        return (
            Route("POST", "/v1/faults", "Add a rule, or a preset by name.", self._add, RuleBody, Report, whose),
            Route("GET", "/v1/faults", "All rules, and how far they are.", self._list, None, Rules, of_whom),
            Route("DELETE", "/v1/faults", "Remove all rules, or those of a project.", self._clear, query=of_whom),
            Route("GET", "/v1/faults/presets", "What really happens with Vision, by name.", self._presets, None, Presets),
            Route("GET", "/v1/faults/{id}", "One rule, and which calls it struck when.", self._report, None, Report),
            Route("GET", "/v1/faults/{id}/report", "The same.", self._report, None, Report),
            Route("DELETE", "/v1/faults/{id}", "Remove one rule.", self._remove),
        )

    async def _add(self, asked: Asked) -> Report:
        said: RuleBody = asked.body
        rule = Rule(**{name: getattr(said, name) for name in Rule.__struct_fields__})
        try:
            if said.preset:
                given = {name for name, default in _defaults().items() if getattr(rule, name) != default}
                rule = expanded(said.preset, said.parameters, rule, given)
            elif said.parameters:
                raise RuleRefused("parameters are of a preset, and none is named")
            return self._faults.add(rule, asked.project)
        except RuleRefused as refused:
            raise Refused(str(refused)) from refused

    async def _list(self, asked: Asked) -> Rules:
        return Rules(self._faults.reports(asked.project or None))

    async def _clear(self, asked: Asked) -> None:
        self._faults.reset(asked.project)

    async def _presets(self, asked: Asked) -> Presets:
        del asked
        return Presets([_described(name) for name in PRESETS])

    async def _report(self, asked: Asked) -> Report:
        try:
            return self._faults.report(asked.variables["id"])
        except RuleUnknown as unknown:
            raise self._missing(asked) from unknown

    async def _remove(self, asked: Asked) -> None:
        try:
            self._faults.remove(asked.variables["id"])
        except RuleUnknown as unknown:
            raise self._missing(asked) from unknown

    def _missing(self, asked: Asked) -> Refused:
        known = ", ".join(report.id for report in self._faults.reports()[-5:])
        return Refused(
            f"There is no rule {asked.variables['id'][:100]!r}" + (f"; the newest are {known}" if known else "; there is none"), 404
        )


def _defaults() -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(Rule)}


def _described(name: str) -> PresetDescription:
    preset = PRESETS[name]
    said = preset.parameters()
    parameters = [PresetParameter(field.encode_name, getattr(said, field.name)) for field in msgspec.structs.fields(said)]
    return PresetDescription(name, preset.summary, parameters, preset.rule(said))
