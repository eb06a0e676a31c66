"""What people write for this program: names that are nearly right, and files in TOML."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

CUTOFF = 0.6  # difflib's own measure of what is near


def suggestion(word: str, known: Iterable[str], otherwise: str, cutoff: float = CUTOFF) -> str:
    """``did you mean NAME?`` with the nearest of the known names, or else what is to be said when none is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]}?" if near else otherwise


def toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds; ValueError is ``file: what is wrong``."""
    import tomllib  # here: most starts have nothing to read

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise ValueError(f"{path}: {wrong.strerror}") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ValueError(f"{path}: no TOML: {wrong}") from wrong
