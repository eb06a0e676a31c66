"""An emulator whose answers do not depend on what is installed beside it, for tests of everything but local's own parts."""

from __future__ import annotations

from typing import Any, Final

PLAIN: Final[dict[str, Any]] = {"local": {"parts": ["embedded", "properties"]}}  # settings: the parts that need no extra
