"""The ledger of cost: what is a unit, what is free, and what the rest amounts to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vision_emulator.contract import limits
from vision_emulator.contract.messages import Feature
from vision_emulator.control.clock import ManualClock
from vision_emulator.core.usage import Ledger, Prices

JUNE = 1_750_000_000.0  # 2025-06-15


def ledger(prices: Prices | None = None) -> Ledger:
    return Ledger(ManualClock(JUNE), "mine", prices)


def rows(counted: Ledger, project: str = "") -> dict[str, dict[str, Any]]:
    """The features of the only project."""
    (row,) = counted.bill(counted.month, project)["projects"]
    return {feature.pop("feature"): feature for feature in row["features"]}


def test_the_documented_example() -> None:
    """700 labels and 5300 landmarks of a month: the labels are free, 4300 landmarks are billed at 1.50 dollars a thousand."""
    counted = ledger()
    for _ in range(700):
        counted.count("", [Feature.LABEL_DETECTION])
    for _ in range(5300):
        counted.count("", [Feature.LANDMARK_DETECTION])
    assert rows(counted) == {
        "LANDMARK_DETECTION": {"units": 5300, "included": 0, "free": 1000, "billed": 4300, "amount": 6.45},
        "LABEL_DETECTION": {"units": 700, "included": 0, "free": 700, "billed": 0, "amount": 0.0},
    }
    bill = counted.bill("2025-06")
    assert (bill["currency"], bill["units"], bill["amount"], bill["projects"][0]["project"]) == ("USD", 6000, 6.45, "mine")


def test_features_that_come_free_with_others() -> None:
    """Safe search beside labels, crop hints beside properties: units, but not billed and not taken from the free ones."""
    counted = ledger(Prices(free_units=1))
    for _ in range(3):
        counted.count("", [Feature.LABEL_DETECTION, Feature.SAFE_SEARCH_DETECTION])
        counted.count("", [Feature.CROP_HINTS, Feature.IMAGE_PROPERTIES])
    for _ in range(2):
        counted.count("", [Feature.SAFE_SEARCH_DETECTION])
    found = rows(counted)
    assert found["SAFE_SEARCH_DETECTION"] == {"units": 5, "included": 3, "free": 1, "billed": 1, "amount": 0.0015}
    assert (found["CROP_HINTS"]["billed"], found["IMAGE_PROPERTIES"]["billed"]) == (0, 2)


@pytest.mark.parametrize(
    ("feature", "units", "amount"),
    [
        ("LABEL_DETECTION", 1000, 0),
        ("LABEL_DETECTION", 1001, 0.0015),
        ("LABEL_DETECTION", 5_000_000, 7498.5),
        ("LABEL_DETECTION", 6_000_000, 8498.5),
        ("TEXT_DETECTION", 6_000_000, 8098.5),
        ("OBJECT_LOCALIZATION", 2000, 2.25),
        ("WEB_DETECTION", 2000, 3.5),
        ("PRODUCT_SEARCH", 2000, 4.5),
    ],
)
def test_tiers(feature: str, units: int, amount: float) -> None:
    """The first thousand is free, and beyond five million a unit costs less."""
    assert Prices().amount(feature, units) == pytest.approx(amount)


def test_every_feature_has_a_price() -> None:
    """No unit is counted that nobody could bill."""
    assert set(Prices().tiers) == {name for name, number in Feature.Type.items() if number}


def test_months_and_projects() -> None:
    """A new month begins with its own free units; projects are counted apart, and reset apart."""
    clock = ManualClock(JUNE)
    counted = Ledger(clock, "mine")
    counted.count("a", [Feature.LABEL_DETECTION])
    counted.count("b", [Feature.LABEL_DETECTION])
    clock.advance(31 * 24 * 3600)
    counted.count("a", [Feature.LABEL_DETECTION])
    assert counted.bill("2025-06")["units"] == 2
    assert counted.bill("2025-06", "a")["units"] == 1
    assert counted.month == "2025-07"
    counted.reset("a")
    assert (counted.bill("2025-06")["units"], counted.bill("2025-07")["units"]) == (1, 0)
    counted.reset()
    assert counted.bill("2025-06") == {"month": "2025-06", "currency": "USD", "units": 0, "amount": 0, "projects": []}


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of project names takes bounded room; no unit is lost."""
    monkeypatch.setattr(limits, "USAGE_ROWS_MAX", 10)
    counted = ledger()
    for number in range(50):
        counted.count(f"p{number}", [Feature.LABEL_DETECTION])
    bill = counted.bill("2025-06")
    assert bill["units"] == 50
    assert len(bill["projects"]) == 11
    counted.count("p0", [Feature.LABEL_DETECTION])
    assert counted.bill("2025-06", "p0")["units"] == 2  # who has a row keeps it


def test_prices_from_a_file(tmp_path: Path) -> None:
    """What the file says holds; what it does not say is as documented."""
    file = tmp_path / "prices.toml"
    file.write_text(
        'currency = "EUR"\nfree_units = 10\n[prices]\nLABEL_DETECTION = 2\nWEB_DETECTION = [{up_to = 110, price = 10}, {price = 1.0}]\n'
    )
    prices = Prices.read(file)
    assert (prices.currency, prices.amount("LABEL_DETECTION", 510)) == ("EUR", 1)
    assert prices.amount("WEB_DETECTION", 1110) == pytest.approx(1 + 1)
    assert prices.amount("OBJECT_LOCALIZATION", 1010) == pytest.approx(2.25)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[price]", "price is no known key; did you mean prices?"),
        ("[prices]\nLABELS_DETECTION = 1", "did you mean LABEL_DETECTION?"),
        ("[prices]\nLABEL_DETECTION = -1", "-1 is no price"),
        ("[prices]\nLABEL_DETECTION = nan", "nan is no price"),
        ("[prices]\nLABEL_DETECTION = true", "True is no price"),
        ("[prices]\nLABEL_DETECTION = []", "there is no tier"),
        ("[prices]\nLABEL_DETECTION = [{price = 1}, {price = 2}]", "each tier but the last has an up_to"),
        ("[prices]\nLABEL_DETECTION = [{up_to = 5, price = 1}]", "each tier but the last has an up_to"),
        ("[prices]\nLABEL_DETECTION = [{until = 5, price = 1}]", "is no tier"),
        ("prices = 3", "prices is no table"),
        ("free_units = -1", "free_units: -1 is no number of units"),
        ("currency = 3", "currency: 3 is no text"),
        ("x", "no TOML"),
    ],
)
def test_wrong_files(text: str, complaint: str, tmp_path: Path) -> None:
    """A file that cannot be used is refused with its name, the key and what would do."""
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"prices\.toml") as refused:
        Prices.read(file)
    assert complaint in str(refused.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """So is a file that is not there."""
    with pytest.raises(ValueError, match="No such file"):
        Prices.read(tmp_path / "none.toml")
