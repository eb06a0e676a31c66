"""What is computed is computed once, in a thread, by the first part that claims it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar, Self

import pytest

from pictures import drawn
from vision_emulator.annotators import Picture, Settings
from vision_emulator.annotators.local import Answers, Local
from vision_emulator.annotators.local.part import Part
from vision_emulator.contract.messages import AnnotateImageResponse, Feature, ImageContext

LABELS = Feature(type=Feature.LABEL_DETECTION)
LOGOS = Feature(type=Feature.LOGO_DETECTION)


class Counting(Part):
    """Answers labels with how often it looked."""

    name: ClassVar[str] = "counting"
    features = frozenset({Feature.LABEL_DETECTION})

    def __init__(self, remembered: bool = True) -> None:
        self.remembered = remembered
        self.looks = 0
        self.threads: set[str] = set()

    @classmethod
    def create(cls, settings: Settings) -> Self:
        del settings
        return cls()

    def look(self, picture: Picture, features: Sequence[Feature], context: ImageContext) -> AnnotateImageResponse:
        del features, context
        self.looks += 1
        self.threads.add(threading.current_thread().name)
        picture.pixels.getpixel((0, 0))
        return AnnotateImageResponse(label_annotations=[{"description": str(self.looks)}])


@pytest.mark.parametrize(("remembered", "looks"), [(True, 3), (False, 4)])
async def test_the_same_picture_and_request_are_computed_once(remembered: bool, looks: int) -> None:
    """Same bytes and parameters: the answer is remembered. Another picture or other parameters: it is computed."""
    part = Counting(remembered)
    local = Local([part])
    one, other = drawn(size=(20, 10)), drawn(size=(10, 20))
    more = Feature(type=Feature.LABEL_DETECTION, max_results=3)
    for data, feature in ((one, LABELS), (one, LABELS), (other, LABELS), (one, more)):
        await local.annotate(Picture(data), [feature], ImageContext())
    assert part.looks == looks
    assert threading.current_thread().name not in part.threads


async def test_the_first_part_that_claims_a_feature_answers_it() -> None:
    """A second part for the same feature is not asked, and what nobody claims is nobody's."""
    first, second = Counting(), Counting()
    local = Local([first, second])
    await local.annotate(Picture(drawn()), [LABELS], ImageContext())
    assert (first.looks, second.looks) == (1, 0)
    assert not local.claims(Picture(drawn()), LOGOS.type)


async def test_pixels_are_let_go() -> None:
    """When a picture was looked at, its decoded pixels do not stay in memory."""
    picture = Picture(drawn())
    await Local([Counting()]).annotate(picture, [LABELS], ImageContext())
    assert picture._pixels is None


def test_answers_are_bounded() -> None:
    """The least recently used is forgotten when there is more than fits; an answer that never fits is not kept."""
    answers = Answers(10)
    answers.put("a", b"12345")
    answers.put("b", b"12345")
    assert answers.get("a") == b"12345"
    answers.put("c", b"12345")
    assert [answers.get(key) for key in "abc"] == [b"12345", None, b"12345"]
    answers.put("a", b"x" * 11)
    assert [answers.get(key) for key in "abc"] == [None, None, None]
