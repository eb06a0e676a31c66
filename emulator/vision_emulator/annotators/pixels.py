"""What can honestly be computed from a picture's pixels: where the eye goes, its dominant colours, and where to crop it.

All of it works on a thumbnail shrunk to a square of 64 by 64; there the map of attention and the colours lie pixel on pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from vision_emulator.annotators.geometry import Box
from vision_emulator.contract import limits

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    Attention = npt.NDArray[np.int64]

SIDE: Final = 64  # of the square everything is computed on
CLUSTERS: Final = 16  # colours told apart
COLORS_MAX: Final = 10  # colours answered; recorded
CONFIDENCE_MAX: Final = 0.79999995  # of a crop hint; recorded
CENTRE_BIAS: Final = 0.2  # how much less the rim counts than the centre when a crop is placed
BOX3: Final = (1, 1, 1)
BLUR: Final = (1, 6, 15, 20, 15, 6, 1)  # binomial


def square(thumbnail: PIL.Image.Image) -> npt.NDArray[np.uint8]:
    """The RGB thumbnail as SIDE x SIDE x 3, whatever its proportions."""
    import numpy as np
    from PIL import Image

    return np.asarray(thumbnail.resize((SIDE, SIDE), Image.Resampling.BOX))


def attention(pixels: npt.NDArray[np.uint8]) -> Attention:
    """How much each place stands out, SIDE x SIDE, from 1 to 256: the spectral residual of lightness and two opponent colours.

    Whole numbers, so that what is summed from them does not depend on the order of summing. A picture of one colour is 256 everywhere.
    """
    import numpy as np

    red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
    planes = np.stack((red + green + blue, 1.5 * (red - green), 0.75 * (red + green) - 1.5 * blue))
    if np.ptp(planes, axis=(1, 2)).max() < 1:
        return np.full((SIDE, SIDE), 256)
    spectrum = np.fft.rfft2(planes)
    height = np.log(np.abs(spectrum) + 1)
    expected = low_pass(SIDE, BOX3) @ height @ low_pass(SIDE // 2 + 1, BOX3).T
    surprise = np.square(np.fft.irfft2(spectrum * np.exp(-expected))).T @ planes.std(axis=(1, 2))
    seen = np.sqrt(low_pass(SIDE, BLUR) @ surprise.T @ low_pass(SIDE, BLUR).T)
    levels: Attention = 1 + np.rint(seen * (255 / seen.max())).astype(np.int64)
    return levels


@cache
def low_pass(length: int, weights: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The matrix that gives each of ``length`` values the weighted mean of its neighbourhood; the ends repeat themselves."""
    import numpy as np

    matrix = np.zeros((length, length), np.float32)
    rows = np.arange(length)
    for offset, weight in enumerate(weights, -(len(weights) // 2)):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, length - 1)), weight / sum(weights))
    return matrix


def dominant_colors(pixels: npt.NDArray[np.uint8], seen: Attention) -> dict[str, Any]:
    """An ImageProperties: up to ten colours by falling score, the share of attention that falls on the colour's pixels.

    Clusters from Pillow's octree, which needs no chance; each colour is the rounded mean of its pixels.
    """
    import numpy as np
    from PIL import Image

    octree = Image.fromarray(pixels).quantize(CLUSTERS, method=Image.Quantize.FASTOCTREE)
    cluster = np.asarray(octree).ravel()
    weights = (seen, pixels[..., 0], pixels[..., 1], pixels[..., 2])
    count = np.bincount(cluster)
    attended, *sums = (np.bincount(cluster, weight.ravel()) for weight in weights)
    found = np.flatnonzero(count)
    found = found[np.argsort(-attended[found], kind="stable")][:COLORS_MAX]
    means = np.rint(np.stack(sums, axis=1)[found] / count[found, None]).tolist()
    scores = (attended[found] / attended.sum()).tolist()
    shares = (count[found] / cluster.size).tolist()
    colors = [
        {"color": {"red": red, "green": green, "blue": blue}, "score": score, "pixel_fraction": share}
        for (red, green, blue), score, share in zip(means, scores, shares, strict=True)
    ]
    return {"dominant_colors": {"colors": colors}}


def crop_hints(seen: Attention, size: tuple[int, int], ratios: Sequence[float]) -> dict[str, Any]:
    """A CropHintsAnnotation: one hint per ratio (width by height) in their order, at most 16; one of the whole image without any.

    Each is the largest box of its ratio, laid where it holds most attention. ``importance_fraction`` is the share of attention inside;
    ``confidence`` the mean inside, as the recorded answers have it. A ratio that is not positive means the image's own.
    """
    wished = list(ratios)[: limits.ASPECT_RATIOS_MAX] or [0.0]
    return {"crop_hints": [_crop_hint(seen, size, ratio) for ratio in wished]}


def _crop_hint(seen: Attention, size: tuple[int, int], ratio: float) -> dict[str, Any]:
    width, height = size
    if not ratio > 0:
        box, share = Box(0, 0, width - 1, height - 1), 1.0
    elif ratio * height >= width:
        length = min(height, max(1, round(width / ratio)))
        top, share = _best_place(seen.sum(axis=1), height, length)
        box = Box(0, top, width - 1, top + length - 1)
    else:
        length = min(width, max(1, round(height * ratio)))
        left, share = _best_place(seen.sum(axis=0), width, length)
        box = Box(left, 0, left + length - 1, height - 1)
    area = box.width * box.height / (width * height)
    confidence = float(seen.mean()) / 256 * share / area
    return {"bounding_poly": box.poly(), "confidence": min(CONFIDENCE_MAX, confidence), "importance_fraction": share}


def _best_place(profile: npt.NDArray[np.int64], total: int, length: int) -> tuple[int, float]:
    """Where a window of ``length`` of ``total`` pixels holds most, a little drawn to the centre; and its share of the whole."""
    import numpy as np

    starts = np.unique(np.linspace(0, total - length, 2 * SIDE + 1).astype(np.int64))
    centre = 1 - CENTRE_BIAS * np.abs((np.arange(SIDE) + 0.5) * 2 / SIDE - 1)
    start = int(starts[np.argmax(_inside(profile * centre, starts, total, length))])
    share = _inside(profile, np.array([start]), total, length)[0] / profile.sum()
    return start, min(1.0, float(share))


def _inside(profile: npt.NDArray[Any], starts: npt.NDArray[np.int64], total: int, length: int) -> npt.NDArray[Any]:
    """The sum of the profile inside a window at each start; bins that are cut count in part."""
    import numpy as np

    edges = np.linspace(0, total, SIDE + 1)
    below = np.concatenate(([0], np.cumsum(profile)))
    inside: npt.NDArray[Any] = np.interp(starts + length, edges, below) - np.interp(starts, edges, below)
    return inside
