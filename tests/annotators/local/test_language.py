"""The language of a text is what its letters or the hints say, and nothing where neither does."""

from __future__ import annotations

import pytest

from pages_of_text import GERMAN, PARAGRAPHS
from vision_emulator.annotators.geometry import Box
from vision_emulator.annotators.local.language import PACKS, Languages, pack
from vision_emulator.annotators.text import Paragraph, Symbol
from vision_emulator.contract.languages import is_hint


def paragraph(written: str) -> Paragraph:
    return [[[Symbol(letter, Box(0, 0, 1, 1), 1.0) for letter in word] for word in written.split()]]


ENGLISH, DEUTSCH, SHORT = paragraph(PARAGRAPHS[0]), paragraph(GERMAN[0]), paragraph("EXIT 4")


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ("en", "eng"),
        ("de-AT", "deu"),
        ("iw", "heb"),
        ("he", "heb"),
        ("zh", "chi_sim"),
        ("zh-TW", "chi_tra"),
        ("zh-Hant-HK", "chi_tra"),
        ("sr-Latn", "srp_latn"),
        ("haw", ""),
        ("und", ""),
    ],
)
def test_a_hint_names_a_pack(hint: str, name: str) -> None:
    """Codes of the web become names of tesseract's packs; what it has none for becomes nothing."""
    assert pack(hint) == name


def test_packs_are_of_documented_languages() -> None:
    """A row for a code that no request may carry would be dead."""
    assert [code for code in PACKS if not is_hint(code)] == []


def test_each_paragraph_has_its_own_language() -> None:
    """A short one has that of the page."""
    of = Languages().of([ENGLISH, ENGLISH, DEUTSCH, SHORT], [])
    assert [of(item).code for item in (ENGLISH, DEUTSCH, SHORT)] == ["en", "de", "en"]
    assert all(0 < of(item).confidence <= 1 for item in (ENGLISH, DEUTSCH, SHORT))


def test_a_single_hint_is_the_answer() -> None:
    """As the caller says; of several hints the one that fits; other languages do not come in."""
    assert Languages().of([ENGLISH], ["fr"])(ENGLISH) == ("fr", 1.0, True)
    assert Languages().of([ENGLISH, DEUTSCH], ["fr", "de"])(DEUTSCH).code == "de"
    assert Languages().of([ENGLISH, DEUTSCH], ["fr", "de"])(ENGLISH).code in ("fr", "de")
    assert Languages().of([SHORT], ["fr", "de"])(SHORT).code == "fr"


def test_too_few_letters_say_nothing() -> None:
    """Statistics would call EXIT Latin."""
    assert Languages().of([SHORT], [])(SHORT) == ("und", 0.0, True)


def test_words_of_some_languages_are_written_together() -> None:
    """And Hebrew has the code that real answers have for it."""
    assert not Languages().of([SHORT], ["ja"])(SHORT).spaced
    assert Languages().of([SHORT], ["he"])(SHORT).code == "iw"
    hebrew = paragraph("בראשית ברא אלהים את השמים ואת הארץ והארץ היתה תהו ובהו")
    assert Languages().of([hebrew], [])(hebrew).code == "iw"
