"""What language a text is in: the model's pack for a hint, and a hint's language for a text that was read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

from vision_emulator.annotators.text import UNDETERMINED, Language, Paragraph

LETTERS_MIN: Final = 20  # in a text; on fewer, statistics of letters say Latin to "EXIT"

# Tesseract names its packs after ISO 639-2/T, and Chinese, Serbian and a few more after their script.
_PACKS: Final = """
    af:afr am:amh ar:ara as:asm az:aze be:bel bn:ben bo:bod bs:bos bg:bul br:bre ca:cat ceb:ceb chr:chr cs:ces cy:cym da:dan
    de:deu dv:div dz:dzo el:ell en:eng enm:enm eo:epo es:spa et:est eu:eus fa:fas fi:fin fil:fil fo:fao fr:fra fy:fry ga:gle
    gd:gla gl:glg grc:grc gu:guj he:heb iw:heb hi:hin hr:hrv ht:hat hu:hun hy:hye id:ind is:isl it:ita ja:jpn jv:jav ka:kat
    kk:kaz km:khm kn:kan ko:kor ky:kir la:lat lo:lao lt:lit lv:lav mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt
    my:mya ne:nep nl:nld no:nor nb:nor oc:oci or:ori pa:pan pl:pol ps:pus pt:por qu:que ro:ron ru:rus sa:san si:sin sk:slk
    sl:slv sq:sqi sr:srp su:sun sv:swe sw:swa syr:syr ta:tam te:tel tg:tgk th:tha ti:tir tl:tgl to:ton tr:tur tt:tat uk:ukr
    ur:urd uz:uzb vi:vie yi:yid yo:yor zh:chi_sim
"""
PACKS: Final[dict[str, str]] = dict(entry.split(":") for entry in _PACKS.split())
TRADITIONAL: Final = ("hant", "tw", "hk", "mo")  # subtags that mean Chinese in traditional characters
UNSPACED: Final = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo", "dz"})  # languages that write words together
AS_VISION_SAYS: Final = {"he": "iw", "nb": "no"}  # codes that real answers have for what others write otherwise


def pack(code: str) -> str:
    """The name of tesseract's pack for a BCP-47 code; "" when it has none."""
    language, *subtags = code.lower().replace("_", "-").split("-")
    if language == "zh" and any(tag in TRADITIONAL for tag in subtags):
        return "chi_tra"
    if language == "sr" and "latn" in subtags:
        return "srp_latn"
    return PACKS.get(language, "")


class Languages:
    """Tells the languages of texts; without the library that can, only what hints say. For several threads."""

    def __init__(self) -> None:
        self._installed = find_spec("py3langid") is not None

    def of(self, paragraphs: Sequence[Paragraph], hints: Sequence[str]) -> Callable[[Paragraph], Language]:
        """What says the language of each of a page's paragraphs: the only hint; else what its own letters look like or, where they are too
        few, the whole page's; else the first hint; else undetermined."""
        codes = list(dict.fromkeys(AS_VISION_SAYS.get(hint, hint) for hint in (hint.partition("-")[0].lower() for hint in hints) if hint))
        whole = self._identified(" ".join(map(_plain, paragraphs)), codes) or _said(codes[0] if codes else UNDETERMINED, float(bool(codes)))
        if len(codes) == 1:
            only = _said(codes[0], 1.0)
            return lambda _: only
        return lambda paragraph: self._identified(_plain(paragraph), codes) or whole

    def _identified(self, text: str, codes: Sequence[str]) -> Language | None:
        """The likeliest language, among the given ones when there are any; None for too short a text."""
        if not self._installed or sum(map(str.isalpha, text)) < LETTERS_MIN:
            return None
        with _ONE_AT_A_TIME:  # the library does not say that threads may share one
            ranked = [(AS_VISION_SAYS.get(code, code), float(share)) for code, share in _identifier().rank(text)]
        likely = [entry for entry in ranked if entry[0] in codes] or ranked
        code, share = likely[0]
        return _said(code, max(share, 0.01))  # nothing that was identified is impossible


_ONE_AT_A_TIME: Final = threading.Lock()


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _said(code: str, confidence: float) -> Language:
    return Language(code, min(confidence, 1.0), spaced=code not in UNSPACED)


def _plain(paragraph: Paragraph) -> str:
    return " ".join("".join(symbol.text for symbol in word) for line in paragraph for word in line)
