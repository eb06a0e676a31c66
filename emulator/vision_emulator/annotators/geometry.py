"""Boxes inside an image, and the polygons the wire has for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Box(NamedTuple):
    """An upright box of whole pixels; right and bottom are the last ones inside, as in real answers."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def within(cls, size: tuple[int, int], left: float, top: float, right: float, bottom: float) -> Box:
        """The box of these edges, given in pixels, cut to an image of this width and height; at least one pixel."""
        x, y = _clamp(int(left), size[0]), _clamp(int(top), size[1])
        return cls(x, y, max(x, _clamp(int(right), size[0])), max(y, _clamp(int(bottom), size[1])))

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box that holds them all; there must be one."""
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return cls(min(lefts), min(tops), max(rights), max(bottoms))

    @property
    def width(self) -> int:
        """In pixels, one or more."""
        return self.right - self.left + 1

    @property
    def height(self) -> int:
        """In pixels, one or more."""
        return self.bottom - self.top + 1

    def poly(self) -> dict[str, Any]:
        """A BoundingPoly in pixels: four vertices, clockwise from the top left."""
        left, top, right, bottom = self
        return {"vertices": [{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}, {"x": left, "y": bottom}]}


def normalized_poly(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    """A BoundingPoly in shares of width and height: four vertices, clockwise from the top left."""
    return {
        "normalized_vertices": [
            {"x": left, "y": top},
            {"x": right, "y": top},
            {"x": right, "y": bottom},
            {"x": left, "y": bottom},
        ]
    }


def _clamp(value: int, length: int) -> int:
    return min(max(value, 0), length - 1)
