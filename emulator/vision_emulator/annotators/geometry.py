"""Boxes inside an image, and the polygons the wire has for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple


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


class Frame(NamedTuple):
    """How coordinates in which a layout stands upright lie on the image: where their origin is, and what one step right and one down are.

    So a box of a line that runs upwards becomes a polygon that begins where the line does.
    """

    x: float = 0.0
    y: float = 0.0
    right: tuple[float, float] = (1.0, 0.0)
    down: tuple[float, float] = (0.0, 1.0)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place on the image."""
        return self.x + x * self.right[0] + y * self.down[0], self.y + x * self.right[1] + y * self.down[1]

    def after(self, inner: Frame) -> Frame:
        """The frame of what ``inner`` places in this one."""
        x, y = self.at(inner.x, inner.y)
        right, down = (self.at(*step) for step in (inner.right, inner.down))
        return Frame(x, y, (right[0] - self.x, right[1] - self.y), (down[0] - self.x, down[1] - self.y))

    def corners(self, box: Box) -> tuple[tuple[float, float], ...]:
        """Where the box's corners are on the image, in the box's own order: clockwise from its top left."""
        left, top, right, bottom = box
        return self.at(left, top), self.at(right, top), self.at(right, bottom), self.at(left, bottom)


UPRIGHT: Final = Frame()


def poly_within(size: tuple[int, int], corners: Iterable[tuple[float, float]]) -> dict[str, Any]:
    """A BoundingPoly of these corners in their order, on whole pixels inside an image of this width and height."""
    return {"vertices": [{"x": _clamp(round(x), size[0]), "y": _clamp(round(y), size[1])} for x, y in corners]}


def normalized_poly_within(size: tuple[int, int], corners: Iterable[tuple[float, float]]) -> dict[str, Any]:
    """A BoundingPoly of these corners in their order, in shares of this width and height."""
    width, height = size
    return {"normalized_vertices": [{"x": min(max(x / width, 0.0), 1.0), "y": min(max(y / height, 0.0), 1.0)} for x, y in corners]}


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
