"""Patterns of object names: what they match, and that none of them takes long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.storage.embedded import Query, select
from vision_emulator.storage.globs import ALTERNATIVES_MAX, PATTERN_CHARS_MAX, Glob, GlobError


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("a.txt", ["a.txt"], ["b.txt", "a.txt2", "a"]),
        ("*.txt", ["a.txt", ".txt"], ["a/b.txt", "a.txt.jpg"]),
        ("**.txt", ["a.txt", "a/b.txt", "/.txt"], ["a.jpg"]),
        ("a/**/b", ["a/x/b", "a/x/y/b", "a//b"], ["a/b", "ab"]),
        ("a/*/b", ["a/x/b", "a//b"], ["a/x/y/b", "a/b"]),
        ("a?c", ["abc", "aäc"], ["ac", "a/c", "abbc"]),
        ("[a-c]1", ["a1", "c1"], ["d1", "1"]),
        ("[!a-c]1", ["d1"], ["a1", "/1"]),
        ("[]x]", ["]", "x"], ["[", ""]),
        ("{cat,dog}.{jpg,png}", ["cat.jpg", "dog.png"], ["cow.jpg", "cat.gif"]),
        ("{a,b{1,2}}c", ["ac", "b1c", "b2c"], ["bc", "b1", "c"]),
        ("a{,b}c", ["ac", "abc"], ["abbc"]),
        (r"a\*b", ["a*b"], ["axb", r"a\*b"]),
        (r"a\{b,c}", ["a{b,c}"], ["ab"]),
        ("[{]a,b}", ["{a,b}"], ["a", "b"]),
        ("a-b", ["a-b"], []),
    ],
)
def test_what_a_pattern_matches(pattern: str, fitting: list[str], others: list[str]) -> None:
    """Stars stop at slashes and double stars do not; classes, braces and backslashes mean what they mean elsewhere."""
    glob = Glob(pattern)
    assert [name for name in [*fitting, *others] if glob.matches(name)] == fitting


@pytest.mark.parametrize("pattern", ["a[b", "a{b", "{a,{b}", "{a,b}" * 8, "x" * (PATTERN_CHARS_MAX + 1), "[!]"])
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    """What is not closed, and what stands for too much."""
    with pytest.raises(GlobError):
        Glob(pattern)


def test_many_stars_take_no_longer_than_few() -> None:
    """The steps of a match are bounded by pattern times name; one that tried every way would not come back."""
    assert not Glob("**a" * 300).matches("a" * 299 + "b")
    assert Glob("*a" * 300).matches("a" * 300)
    assert ALTERNATIVES_MAX >= 2


@given(st.lists(st.text("ab/", min_size=1, max_size=5), unique=True, max_size=20), st.text("ab/*?", max_size=5), st.sampled_from(["", "/"]))
def test_pages_hold_what_matches(names: list[str], pattern: str, delimiter: str) -> None:
    """In pages of one, a listing has the very names and groups that match, whatever the pattern begins with."""
    glob = Glob(pattern)
    entries: list[str] = []
    query = Query(delimiter=delimiter, glob=glob, count=1)
    while True:
        page = select(sorted(names), query)
        entries += [*page.names, *page.prefixes]
        if page.next is None:
            break
        query = Query(delimiter=delimiter, glob=glob, count=1, after=page.next)
    cut = [name.partition("/")[0] + "/" if delimiter and "/" in name else name for name in sorted(names)]
    assert entries == [entry for entry in dict.fromkeys(cut) if glob.matches(entry)]
