"""Boxes stay inside their image."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vision_emulator.annotators.geometry import Box, Frame, normalized_poly, normalized_poly_within, poly_within

sides = st.integers(1, 5000)
edges = st.floats(-1e6, 1e6)


@given(size=st.tuples(sides, sides), left=edges, top=edges, right=edges, bottom=edges)
def test_a_box_is_cut_to_its_image(size: tuple[int, int], left: float, top: float, right: float, bottom: float) -> None:
    """Whatever the edges: at least one pixel, all of it inside."""
    box = Box.within(size, left, top, right, bottom)
    assert 0 <= box.left <= box.right <= size[0] - 1
    assert 0 <= box.top <= box.bottom <= size[1] - 1
    assert box.width >= 1
    assert box.height >= 1


def test_a_box_inside_keeps_its_edges() -> None:
    """Edges inside the image lose only their fraction."""
    assert Box.within((100, 50), 3.9, 4.0, 60.2, 49.0) == Box(3, 4, 60, 49)


def test_around_holds_them_all() -> None:
    """The smallest box around some."""
    assert Box.around([Box(5, 6, 7, 8), Box(1, 7, 2, 20)]) == Box(1, 6, 7, 20)


def test_corners_run_clockwise_from_the_top_left() -> None:
    """In pixels and in shares alike."""
    assert [tuple(corner.values()) for corner in Box(1, 2, 3, 4).poly()["vertices"]] == [(1, 2), (3, 2), (3, 4), (1, 4)]
    corners = normalized_poly(0.1, 0.2, 0.3, 0.4)["normalized_vertices"]
    assert [tuple(corner.values()) for corner in corners] == [(0.1, 0.2), (0.3, 0.2), (0.3, 0.4), (0.1, 0.4)]


def test_a_frame_places_what_is_placed_in_it() -> None:
    """A quarter turn of a shifted frame: a box begins where its own top left corner lies."""
    shifted, turned = Frame(10, 20), Frame(99, 0, (0, 1), (-1, 0))
    assert turned.after(shifted).at(1, 2) == turned.at(*shifted.at(1, 2)) == (77, 11)
    assert turned.corners(Box(0, 0, 3, 1)) == ((99, 0), (99, 3), (98, 3), (98, 0))
    assert poly_within((99, 3), turned.corners(Box(0, 0, 3, 1)))["vertices"][:2] == [{"x": 98, "y": 0}, {"x": 98, "y": 2}]
    assert normalized_poly_within((100, 4), [(-5, 2), (50, 9)])["normalized_vertices"] == [{"x": 0.0, "y": 0.5}, {"x": 0.5, "y": 1.0}]
