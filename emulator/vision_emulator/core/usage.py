"""What the calls would have cost: units of each feature, as Vision bills them, and what they amount to.

A feature applied to one image is a unit; a page of a file is an image (documented). Three things are not counted as one might think:
DOCUMENT_TEXT_DETECTION asked for together with TEXT_DETECTION is one unit of the former, SAFE_SEARCH_DETECTION is free beside
LABEL_DETECTION, and CROP_HINTS beside IMAGE_PROPERTIES (all documented). An image that ends in an error is not counted; whether the real
service bills it is not known.

The prices below are those of Google's page as of 2026-05, in US dollars for 1000 units. Each feature has its first 1000 units of a month
free. The page gives WEB_DETECTION no price beyond five million, and PRODUCT_SEARCH one of its own; both stay flat here. The free units
belong to a billing account; here each project counts as one of its own. ``--prices FILE`` changes any of it::

    currency = "EUR"
    free_units = 1000

    [prices]
    LABEL_DETECTION = 1.4
    WEB_DETECTION = [{up_to = 5_000_000, price = 3.3}, {price = 3.0}]
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from vision_emulator.contract import limits
from vision_emulator.contract.messages import Feature
from vision_emulator.control.clock import Clock
from vision_emulator.written import suggestion, toml

FREE_UNITS: Final = 1000  # of each feature in a month; doc
_PER: Final = 1000  # units that a price is for; doc
_FIRST_TIER: Final = 5_000_000  # units of a month; doc
_DIGITS: Final = 6  # of an amount of money
_DAY_SECONDS: Final = 86_400.0
# Free beside another feature on the same image; doc.
_ACCOMPANYING: Final[Mapping[int, int]] = {
    Feature.SAFE_SEARCH_DETECTION: Feature.LABEL_DETECTION,
    Feature.CROP_HINTS: Feature.IMAGE_PROPERTIES,
}


class Tier(NamedTuple):
    """A price that holds for the units of a month up to a number; ``up_to`` None: for all further ones."""

    up_to: int | None
    price: float


Tiers = tuple[Tier, ...]


def _tiers(first: float, further: float) -> Tiers:
    return Tier(_FIRST_TIER, first), Tier(None, further)


_DOCUMENTED: Final[Mapping[str, Tiers]] = MappingProxyType(
    {
        "LABEL_DETECTION": _tiers(1.50, 1.00),
        "TEXT_DETECTION": _tiers(1.50, 0.60),
        "DOCUMENT_TEXT_DETECTION": _tiers(1.50, 0.60),
        "SAFE_SEARCH_DETECTION": _tiers(1.50, 0.60),
        "FACE_DETECTION": _tiers(1.50, 0.60),
        "LANDMARK_DETECTION": _tiers(1.50, 0.60),
        "LOGO_DETECTION": _tiers(1.50, 0.60),
        "IMAGE_PROPERTIES": _tiers(1.50, 0.60),
        "CROP_HINTS": _tiers(1.50, 0.60),
        "WEB_DETECTION": (Tier(None, 3.50),),
        "OBJECT_LOCALIZATION": _tiers(2.25, 1.50),
        "PRODUCT_SEARCH": (Tier(None, 4.50),),
    }
)


@dataclass(frozen=True, slots=True)
class Prices:
    """What units cost; the documented prices unless told otherwise."""

    currency: str = "USD"
    free_units: int = FREE_UNITS
    tiers: Mapping[str, Tiers] = field(default_factory=lambda: _DOCUMENTED)

    @classmethod
    def read(cls, path: Path) -> Prices:
        """The prices of a TOML file, the documented ones where it says nothing; ValueError says what is wrong with it."""
        table = toml(path)
        _only(table, ("currency", "free_units", "prices"), path)
        currency, free_units, prices = table.get("currency", "USD"), table.get("free_units", FREE_UNITS), table.get("prices", {})
        if not isinstance(currency, str) or not currency:
            raise ValueError(f"{path}: currency: {currency!r} is no text; write for example USD")
        if not isinstance(free_units, int) or isinstance(free_units, bool) or free_units < 0:
            raise ValueError(f"{path}: free_units: {free_units!r} is no number of units; use 0 or more")
        if not isinstance(prices, dict):
            raise ValueError(f"{path}: prices is no table; write [prices] and the features below")
        _only(prices, tuple(_DOCUMENTED), path)
        return cls(currency, free_units, {**_DOCUMENTED, **{name: _read(value, f"{path}: {name}") for name, value in prices.items()}})

    def amount(self, feature: str, units: int) -> float:
        """What so many units of a month cost, those beyond the free ones."""
        total, counted = 0.0, min(self.free_units, units)
        for tier in self.tiers[feature]:
            end = units if tier.up_to is None else min(units, tier.up_to)
            if end > counted:
                total += (end - counted) * tier.price / _PER
                counted = end
        return round(total, _DIGITS)


def _only(table: Mapping[str, Any], known: tuple[str, ...], path: Path) -> None:
    for name in table:
        if name not in known:
            hint = suggestion(name, known, f"known are {', '.join(known)}")
            raise ValueError(f"{path}: {name} is no known key; {hint}")


def _read(value: Any, place: str) -> Tiers:
    """A number, or a list of tables with ``up_to`` and ``price``, the last without ``up_to``."""
    rows = value if isinstance(value, list) else [{"price": value}]
    tiers: list[Tier] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not row.keys() <= {"up_to", "price"}:
            raise ValueError(f"{place}: {row!r} is no tier; write {{up_to = 5000000, price = 1.5}}")
        price, up_to = row.get("price"), row.get("up_to")
        if not isinstance(price, int | float) or isinstance(price, bool) or not 0 <= price < float("inf"):
            raise ValueError(f"{place}: {price!r} is no price")
        last = index == len(rows) - 1
        above = tiers[-1].up_to or 0 if tiers else 0
        if (up_to is None) != last or (up_to is not None and (not isinstance(up_to, int) or isinstance(up_to, bool) or up_to <= above)):
            raise ValueError(f"{place}: each tier but the last has an up_to larger than the one before it, the last has none")
        tiers.append(Tier(up_to, float(price)))
    if not tiers:
        raise ValueError(f"{place}: there is no tier; write a price for 1000 units")
    return tuple(tiers)


class Ledger:
    """Units by month, project and feature. ``project`` is whose they are when the caller does not say."""

    def __init__(self, clock: Clock, project: str, prices: Prices | None = None) -> None:
        self.prices: Final = prices or Prices()
        self._clock = clock
        self._project = project
        self._units: Counter[tuple[str, str, int]] = Counter()  # month, project, feature
        self._included: Counter[tuple[str, str, int]] = Counter()  # those of them that came free with another feature
        self._month = ""
        self._tomorrow = -math.inf  # until when that is the month: a date is not written anew for every image

    @property
    def month(self) -> str:
        """The month that is being counted, in UTC: 2026-11."""
        now = self._clock.now()
        if now >= self._tomorrow:  # seldom: this is asked for every image
            self._month = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
            self._tomorrow = (now // _DAY_SECONDS + 1) * _DAY_SECONDS
        return self._month

    def count(self, project: str, features: Collection[int]) -> None:
        """One image was looked at for these features, each once."""
        month, whose = self.month, project or self._project
        units = self._units
        for feature in features:
            key = (month, whose, feature)
            if key not in units and len(units) >= limits.USAGE_ROWS_MAX:
                key = (month, "", feature)
            units[key] += 1
            if len(features) > 1 and _ACCOMPANYING.get(feature) in features:
                self._included[key] += 1

    def reset(self, project: str = "") -> None:
        """Forgets all units, or those of one project."""
        for counts in (self._units, self._included):
            for key in [key for key in counts if project in ("", key[1])]:
                del counts[key]

    def bill(self, month: str, project: str = "") -> dict[str, Any]:
        """A month's units and their cost by project and feature, as JSON; of all projects or of one."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for key in sorted(key for key in self._units if key[0] == month and project in ("", key[1])):
            rows.setdefault(key[1], []).append(self._row(key))
        projects = [{"project": name, **_sum(features), "features": features} for name, features in rows.items()]
        return {"month": month, "currency": self.prices.currency, **_sum(projects), "projects": projects}

    def _row(self, key: tuple[str, str, int]) -> dict[str, Any]:
        units, included = self._units[key], self._included[key]
        name = Feature.Type.Name(key[2])
        free = min(units - included, self.prices.free_units)
        return {
            "feature": name,
            "units": units,
            "included": included,
            "free": free,
            "billed": units - included - free,
            "amount": self.prices.amount(name, units - included),
        }


def _sum(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    rows = list(rows)
    return {"units": sum(row["units"] for row in rows), "amount": round(sum(row["amount"] for row in rows), _DIGITS)}
