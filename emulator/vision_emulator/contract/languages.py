"""The languages that text detection takes as hints, as the documentation lists them: supported, experimental, and mapped to others."""

from __future__ import annotations

from typing import Final

_SUPPORTED: Final = """
    af sq ar hy be bn bg ca zh hr cs da nl en et fil fi fr de el gu iw hi hu is id it ja kn km ko lo lv lt mk ms ml mr ne no fa pl pt pa
    ro ru sr sk sl es sv tl ta te th tr uk vi yi
"""
_EXPERIMENTAL: Final = """
    am grc as az eu bs my ceb chr dv dz eo gl ka ht ga jv kk ky la mt mn or ps sa si sw syr bo ti ur uz cy zu
"""
_MAPPED: Final = """
    ace ach ada ak alg arn ast ath ay ban bm bnt ba btk bem bik bi br ce cho cv cr mus crh dak dua efi ee fo fj fon ff gaa lg gay gil got
    gn ha haw hz hil iba ig ilo kab kac kl kam kr kaa kha ki rw kv kg kos kj ln nds loz lu luo mad mg man gv mi mh men enm gmh min moh lol
    nah nv ng niu nd nso ny nyn tog nzi oc oj ang fro goh non pro os pam pag pap qu rm rom rn sah sm sg sco gd sn son st su ss ty tg tt tem
    to ts tn tk udm ve vot fy wo xh yo zap
"""
# Not in the tables: the newer codes of iw and no, and what handwriting hints start with that name a script alone (mul-Latn-t-i0-handwrit).
_ALSO: Final = "he nb mul und"

LANGUAGES: Final = frozenset(f"{_SUPPORTED}{_EXPERIMENTAL}{_MAPPED}{_ALSO}".split())


def is_hint(code: str) -> bool:
    """Whether a BCP-47 code is taken as a hint: by its language, whatever region, script or extension follows; "" says nothing."""
    return not code or code.partition("-")[0].lower() in LANGUAGES
