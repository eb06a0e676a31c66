"""Language hints: the documented table, by language, whatever follows it."""

from __future__ import annotations

import pytest

from vision_emulator.contract.languages import LANGUAGES, is_hint


@pytest.mark.parametrize(
    "code",
    ["en", "EN", "en-GB", "zh-Hant-HK", "sr-Latn", "ru-PETR1708", "az-Cyrl", "es-419", "en-t-i0-handwrit", "mul-Latn-t-i0-handwrit", ""],
)
def test_documented_forms_are_hints(code: str) -> None:
    """A language of the table with any region, script or extension, in any case; and the empty one, which says nothing."""
    assert is_hint(code)


@pytest.mark.parametrize("code", ["xx", "english", "en_GB", "e", "-en", "eng", " en", "zh Hant"])
def test_others_are_none(code: str) -> None:
    """What is no language of the table is refused, however near."""
    assert not is_hint(code)


def test_the_table_has_all_three_levels() -> None:
    """Supported, experimental and mapped languages alike are hints."""
    assert {"af", "iw", "zh", "yi", "am", "grc", "zu", "ace", "fy", "zap"} <= LANGUAGES
    assert all(code.isascii() and code.islower() and 2 <= len(code) <= 3 for code in LANGUAGES)
