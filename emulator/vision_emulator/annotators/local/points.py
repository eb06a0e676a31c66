"""Distinctive points of pictures, and where one picture is seen inside another: OpenCV's ORB and SIFT, and a homography."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from vision_emulator.annotators import SettingsError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    Floats = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]

Method = Literal["orb", "sift"]  # ORB is ten times as fast and takes 32 bytes a point; SIFT finds what is small or turned in depth
Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]

SIDE_MAX: Final = 1024  # of a picture whose points are looked for; larger ones are shrunk
SHORT_SIDE_MIN: Final = 32  # of a picture, then: what describes a point is that large
SECOND_BEST_MIN: Final = 0.75  # a match must be better than this share of the distance to the second best (Lowe's ratio test)
REPROJECTION_MAX: Final = 4.0  # pixels an inlier may lie off
SIDE_MIN: Final = 12.0  # of a quad that is believed, in pixels of the shrunk scene
STRETCH_MAX: Final = 4.0  # of a believed quad: its proportions against those of the picture that is looked for


class Points(NamedTuple):
    """The distinctive points of one picture; their places are pixels of the picture itself."""

    method: Method
    size: tuple[int, int]
    shrunk: float  # by which the picture was made smaller before
    places: Floats  # N x 2
    descriptors: Bytes  # N x 32 of ORB, N x 128 of SIFT

    @property
    def bytes(self) -> int:
        """What they take in memory."""
        return self.places.nbytes + self.descriptors.nbytes


class Sighting(NamedTuple):
    """One picture seen in another."""

    inliers: int  # points that agree on where
    corners: Corners  # of the picture that was looked for, from its top left clockwise, in pixels of the scene; may lie outside


def is_installed() -> bool:
    """Whether OpenCV is there; if so it is set to one thread, since pictures are what is divided among threads."""
    try:
        import cv2
    except ImportError:
        return False
    cv2.setNumThreads(1)
    return True


def require(wanted_for: str) -> None:
    """Returns when OpenCV is there; SettingsError otherwise."""
    if not is_installed():
        raise SettingsError(f"{wanted_for} needs OpenCV: pip install 'vision-emulator[cv]'")


def points_of(image: PIL.Image.Image, method: Method, points_max: int) -> Points:
    """The strongest points of an RGB image; none of a plain one. CPU work."""
    import cv2
    import numpy as np

    shrunk = max(1.0, max(image.size) / SIDE_MAX)
    grey = np.asarray(grey_of(image, shrunk))
    found: Sequence[cv2.KeyPoint] = ()
    descriptors: npt.NDArray[Any] | None = None
    if min(grey.shape) < SHORT_SIDE_MIN:  # OpenCV fails on some of these
        pass
    elif method == "orb":
        found, descriptors = cv2.ORB.create(nfeatures=points_max, fastThreshold=10).detectAndCompute(grey, None)
    else:
        found, descriptors = cv2.SIFT.create(nfeatures=points_max).detectAndCompute(grey, None)
    places = np.array([point.pt for point in found], np.float32).reshape(-1, 2) * shrunk
    if descriptors is None:  # as OpenCV answers, too, when it finds none
        descriptors = np.zeros((0, 32 if method == "orb" else 128))
    return Points(method, image.size, shrunk, places.astype(np.float32), descriptors.astype(np.uint8))


def grey_of(image: PIL.Image.Image, shrunk: float) -> PIL.Image.Image:
    """The image without colours, so many times smaller."""
    from PIL import Image

    grey = image.convert("L")
    if shrunk <= 1:
        return grey
    return grey.resize(
        (max(1, round(image.width / shrunk)), max(1, round(image.height / shrunk))), Image.Resampling.BILINEAR, reducing_gap=2
    )


def find(wanted: Points, scene: Points, inliers_min: int) -> Sighting | None:
    """Where a picture is seen in a scene, both with points of one method; None when fewer points than that agree. CPU work."""
    import cv2
    import numpy as np

    pairs = matched(wanted, scene)
    if len(pairs) < inliers_min:
        return None
    mine, theirs = wanted.places[pairs[:, 0]], scene.places[pairs[:, 1]]
    homography, agreeing = cv2.findHomography(mine, theirs, cv2.RANSAC, REPROJECTION_MAX * scene.shrunk)
    if homography is None:
        return None
    inliers = len({(float(x), float(y)) for x, y in theirs[agreeing.ravel() == 1]})  # many points on one place agree on nothing
    corners = _corners(homography.astype(np.float64), wanted.size)
    if inliers < inliers_min or corners is None or not _is_believable(corners, wanted.size, SIDE_MIN * scene.shrunk):
        return None
    return Sighting(inliers, corners)


def matched(wanted: Points, scene: Points) -> npt.NDArray[np.intp]:
    """Rows of points that look alike, wanted and scene, N x 2: of each point of the scene the one that is clearly the nearest.

    Asked from the scene's side, so that a picture that is there twice is found.
    """
    import cv2
    import numpy as np

    if len(wanted.places) < 2 or not len(scene.places):
        return np.zeros((0, 2), np.intp)
    if wanted.method == "orb":
        nearest = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(scene.descriptors, wanted.descriptors, k=2)
    else:
        floats = scene.descriptors.astype(np.float32), wanted.descriptors.astype(np.float32)
        nearest = cv2.BFMatcher(cv2.NORM_L2).knnMatch(*floats, k=2)
    return np.array(
        [(best.trainIdx, best.queryIdx) for best, second in nearest if best.distance < SECOND_BEST_MIN * second.distance], np.intp
    ).reshape(-1, 2)


def without(scene: Points, corners: Corners) -> Points:
    """The points of a scene outside a quad."""
    import cv2
    import numpy as np

    quad = np.array(corners, np.float32).reshape(-1, 1, 2)
    outside = np.array([cv2.pointPolygonTest(quad, (float(x), float(y)), measureDist=False) < 0 for x, y in scene.places], bool)
    return scene._replace(places=scene.places[outside], descriptors=scene.descriptors[outside])


def _corners(homography: npt.NDArray[np.float64], size: tuple[int, int]) -> Corners | None:
    """Where the corners of a picture of this size come to lie; None when one does behind the horizon."""
    import numpy as np

    width, height = size
    mapped = homography @ np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)], np.float64).T
    if mapped[2].min() <= 0:
        return None
    first, second, third, fourth = ((float(x), float(y)) for x, y in (mapped[:2] / mapped[2]).T)
    return first, second, third, fourth


def _is_believable(corners: Corners, size: tuple[int, int], side_min: float) -> bool:
    """Whether it is the image of a rectangle: convex, not mirrored, not a splinter, of about its proportions."""
    import math

    sides = [math.dist(corners[at], corners[(at + 1) % 4]) for at in range(4)]
    turns = [
        (corners[(at + 1) % 4][0] - corners[at][0]) * (corners[(at + 2) % 4][1] - corners[(at + 1) % 4][1])
        - (corners[(at + 1) % 4][1] - corners[at][1]) * (corners[(at + 2) % 4][0] - corners[(at + 1) % 4][0])
        for at in range(4)
    ]
    if min(sides) < side_min or min(turns) <= 0:
        return False
    scales = [length / measure for length, measure in zip(sides, (*size, *size), strict=True)]
    return max(scales) <= STRETCH_MAX * min(scales)
