"""Requests to the operations: every form of name, of operations in every state; lists and waits at their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from message_variants import INTS, MessageVariant
from shapes import said

STAGED: Final = ("done", "failed", "cancelled", "running")  # the operations there are; a name says {done} for the id of that one
_FORMS: Final = ("", "projects/p/", "projects/p/locations/us/", "locations/us/", "projects/other/")
_NAMES: Final = (
    *(f"{form}operations/{{{state}}}" for state in STAGED for form in _FORMS),
    "", "operations", "operations/", "operations/0", "operations/0000000000000000", "projects/p/operations/0", "projects/p/operations",
    "operations/a/b", "/operations/1", "operations/1/", "operation/1", "projects//operations/1", "projects/p/locations/us/operations/1",
    "locations/us/operations/1", "projects/p/locations//operations/1", "operations/ü", "operations/a b", "operations/*", "operations/%2F",
    "operations/" + "x" * 1000, "x", "/", " ", "operations/1:cancel", "operations/1?x", "operations/1#x", "Operations/1",
    "OPERATIONS/{done}", "operations/{done} ", "operations/x{done}",
)  # fmt: skip
_LISTED: Final = (
    "", "operations", "projects/p", "projects/p/locations/us", "projects/other", "projects", "nothing", "projects/p/operations",
    "locations/us",
)  # fmt: skip
_FILTERS: Final = (
    "", "done:true", "done:false", "done=true", "DONE:TRUE", " done : true ", "done", "done:", "done:maybe", "done:true AND done:false",
    "name:x", "☃", "x" * 5000,
)  # fmt: skip


def operation_variants(rpc: str) -> Iterator[MessageVariant]:
    """All variants of a method of google.longrunning.Operations."""
    if rpc == "ListOperations":
        yield from _lists()
        return
    for name in _NAMES:
        if rpc != "WaitOperation" or "{running}" not in name:
            yield MessageVariant(f"name={said(name)}", {"name": name})
    if rpc == "WaitOperation":
        for state in STAGED:
            for seconds, nanos in ((0, 0), (0, 1), (0, -1), (-1, 0), (-(10**12), 0)):
                fields = {"name": f"operations/{{{state}}}", "timeout": {"seconds": seconds, "nanos": nanos}}
                yield MessageVariant(f"{state}, timeout={seconds}s {nanos}ns", fields)
        for seconds in (1, 3600, 315576000000, 10**12, 2**63 - 1, -(2**63)):
            yield MessageVariant(f"done, timeout={seconds}s", {"name": "operations/{done}", "timeout": {"seconds": seconds}})


def _lists() -> Iterator[MessageVariant]:
    base = {"name": "operations"}
    for name in _LISTED:
        yield MessageVariant(f"name={said(name)}", {"name": name})
    for text in _FILTERS:
        for size in (0, 1):
            yield MessageVariant(f"filter={said(text)} page_size={size}", {**base, "filter": text, "page_size": size})
    for size in INTS:
        for token in ("", "1", "2"):
            yield MessageVariant(f"page_size={size} page_token={said(token)}", {**base, "page_size": size, "page_token": token})
    for token in ("0", "3", "4", "5", "999", "-1", "x", "1.0", " 1", "٣", "9" * 9, "9" * 10, "1" * 5000, "é"):
        yield MessageVariant(f"page_token={said(token)}", {**base, "page_token": token})
    for partial in (False, True):
        yield MessageVariant(f"return_partial_success={partial}", {**base, "return_partial_success": partial})
