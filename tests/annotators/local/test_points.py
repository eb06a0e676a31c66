"""Where one picture is seen inside another: what is believed and what is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from registered import scene

from vision_emulator.annotators.local.points import Points, find, points_of, without

Places = npt.NDArray[np.float64]
CHANCE = np.random.default_rng(5)
MINE = CHANCE.uniform(0, 100, (40, 2))
DESCRIPTORS = CHANCE.integers(0, 256, (40, 32), np.uint8)


def points(places: Places, shrunk: float = 1.0) -> Points:
    """Points whose descriptors are the same, one by one: nothing but their places decides."""
    return Points("orb", (100, 100), shrunk, places.astype(np.float32), DESCRIPTORS[: len(places)])


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(lambda at: at, id="in place"),
        pytest.param(lambda at: at * 0.2 + (300, 40), id="small"),
        pytest.param(lambda at: at[:, ::-1] * (-1, 1) + (200, 0), id="turned by a quarter"),
        pytest.param(lambda at: at @ np.array([[1, 0.3], [-0.2, 0.8]]), id="slanting"),
        pytest.param(lambda at: at / (1 + at[:, :1] / 250), id="in perspective"),
    ],
)
def test_what_a_flat_thing_can_look_like_is_believed(move: Callable[[Places], Places]) -> None:
    """Moved, turned, tilted: all points agree, and the corners lie where the corners went."""
    sighting = find(points(MINE), points(move(MINE)), 15)
    assert sighting is not None
    assert sighting.inliers == 40
    corners = move(np.array([(0, 0), (100, 0), (100, 100), (0, 100)], float))
    assert np.array(sighting.corners) == pytest.approx(corners, abs=1.5)


@pytest.mark.parametrize(
    "move",
    [
        pytest.param(lambda at: at * (-1, 1) + (200, 0), id="mirrored"),
        pytest.param(lambda at: at * (1, 0.15), id="flattened"),
        pytest.param(lambda at: at * 0.05, id="a splinter"),
        pytest.param(lambda at: at * 0, id="all on one place"),
        pytest.param(lambda at: np.random.default_rng(6).permutation(at), id="in disorder"),
        pytest.param(lambda at: at / (1 - at[:, :1] / 80 + 1e-9), id="behind the horizon"),
    ],
)
def test_what_no_flat_thing_looks_like_is_not(move: Callable[[Places], Places]) -> None:
    """However many points agree, a shape that no picture of the thing could have is nothing."""
    assert find(points(MINE), points(move(MINE)), 15) is None


def test_fewer_points_than_asked_for_are_none() -> None:
    """So many agree, and one more is asked for: nothing; of none and of one point as well."""
    assert find(points(MINE), points(MINE[:20]), 20) is not None
    assert find(points(MINE), points(MINE[:20]), 21) is None
    for few in (0, 1):
        assert find(points(MINE), points(MINE[:few]), 15) is None
        assert find(points(MINE[:few]), points(MINE), 15) is None


def test_how_far_off_a_point_may_lie_grows_with_the_shrinking() -> None:
    """Places of a shrunk scene are known less exactly, and that much more is forgiven."""
    off = MINE * 10 + np.random.default_rng(7).normal(0, 7, MINE.shape)
    exact, shrunk = find(points(MINE), points(off), 30), find(points(MINE), points(off, shrunk=8), 30)
    assert exact is None
    assert shrunk is not None


def test_points_outside_a_quad_stay() -> None:
    """What was found is taken out of the scene, with its edge, and nothing else."""
    left = without(points(np.array([(5.0, 5.0), (10.0, 10.0), (15.0, 5.0), (50.0, 5.0)])), ((0, 0), (10, 0), (10, 10), (0, 10)))
    assert left.places.tolist() == [[15, 5], [50, 5]]
    assert len(left.descriptors) == 2


@pytest.mark.parametrize("method", ["orb", "sift"])
def test_points_lie_in_the_picture(method: str) -> None:
    """In the picture's own pixels, however large it is and however much it was shrunk; a plain one and a tiny one have none."""
    for size in ((640, 480), (3000, 2000)):
        found = points_of(scene(1, size), method, 200)  # type: ignore[arg-type]
        assert 100 < len(found.places) == len(found.descriptors) <= 201
        assert (found.places >= 0).all()
        assert (found.places < size).all()
        assert found.places.max() > 0.7 * max(size)
    for size in ((1, 1), (300, 1), (640, 480)):
        empty = points_of(Image.new("RGB", size, "red"), method, 200)  # type: ignore[arg-type]
        assert (len(empty.places), empty.descriptors.shape[1]) == (0, 32 if method == "orb" else 128)
