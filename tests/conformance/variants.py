"""Variants of every annotation method and of the operations: made from the descriptors and the limits, each with a stable name.

A variant is a small valid request with one thing (or two) done to it. A message variant can be said over every transport; a JSON variant
is about the text itself and can be sent over REST alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from json_variants import JsonVariant, json_variants
from message_variants import MessageVariant, message_variants
from operation_variants import operation_variants
from shapes import OPERATIONS

Variant = MessageVariant | JsonVariant


def variants(rpc: str) -> list[Variant]:
    """All variants of a method; no two have one name."""
    made: Iterable[Variant] = operation_variants(rpc) if rpc in OPERATIONS else (*message_variants(rpc), *json_variants(rpc))
    by_name: dict[str, Variant] = {}
    for variant in made:
        known = by_name.setdefault(variant.name, variant)
        assert repr(known) == repr(variant), f"{rpc}: two variants are called {variant.name}"
    return list(by_name.values())
