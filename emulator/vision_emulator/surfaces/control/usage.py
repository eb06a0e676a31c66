"""The ledger of cost over the control API."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from vision_emulator.core.usage import Ledger
from vision_emulator.surfaces.control.route import Asked, Refused, Route

_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class FeatureUsage(msgspec.Struct, frozen=True):
    """Units of a feature: all, those that came free with another feature, those of the free tier, those billed, and what they cost."""

    feature: str
    units: int
    included: int
    free: int
    billed: int
    amount: float


class ProjectUsage(msgspec.Struct, frozen=True):
    """What one project used."""

    project: str
    units: int
    amount: float
    features: list[FeatureUsage]


class Usage(msgspec.Struct, frozen=True):
    """A month's units and what they would have cost."""

    month: str
    currency: str
    units: int
    amount: float
    projects: list[ProjectUsage]


class UsageResource:
    """What the calls would have cost."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def routes(self) -> Sequence[Route]:
        """The calls of this resource."""
        query = {"project": "only its units", "month": "as 2026-11; without it the month it is by the emulator's clock"}
        summary = "Units of each feature as Vision bills them, and what they would have cost."
        return (Route("GET", "/v1/usage", summary, self._usage, answer=Usage, query=query),)

    async def _usage(self, asked: Asked) -> Any:
        month = asked.query.get("month") or self._ledger.month
        if not _MONTH.fullmatch(month):
            raise Refused(f"month={month} is no month; write it as 2026-11")
        return self._ledger.bill(month, asked.project)
