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
LEVELS: Final = 8  # steps of each channel in the first sorting of colours
BINS_MAX: Final = 32  # of that sorting that are looked at
APART_MIN: Final = 24  # bins whose means differ by less in every channel are one colour
COLORS_MAX: Final = 10  # colours answered; recorded
CONFIDENCE_MAX: Final = 0.79999995  # of a crop hint; recorded
CENTRE_BIAS: Final = 0.2  # how much less the rim counts than the centre when a crop is placed
OPPONENTS: Final = ((1.0, 1.0, 1.0), (1.5, -1.5, 0.0), (0.75, 0.75, -1.5))  # lightness, red - green, yellow - blue; of (red, green, blue)
CONTRAST_MIN: Final = 0.5  # furthest distance from the mean, of 765; below it there is only rounding
BLUR: Final = (1, 6, 15, 20, 15, 6, 1)  # binomial


def measured(
    thumbnail: PIL.Image.Image, size: tuple[int, int], ratios: Sequence[float], heads: Sequence[Box] = (), *, colors: bool
) -> dict[str, Any]:
    """The fields of an AnnotateImageResponse that pixels answer: crop hints, and dominant colours where wanted. CPU work.

    ``heads``, in pixels of the thumbnail, are what crops are drawn to.
    """
    small = square(thumbnail)
    seen = attention(small)
    fields = {"crop_hints_annotation": crop_hints(drawn_to(heads, seen, thumbnail.size), size, ratios)}
    if colors:
        fields["image_properties_annotation"] = dominant_colors(small, seen)
    return fields


def square(thumbnail: PIL.Image.Image) -> npt.NDArray[np.uint8]:
    """The RGB thumbnail as SIDE x SIDE x 3, whatever its proportions."""
    import numpy as np
    from PIL import Image

    return np.asarray(thumbnail.resize((SIDE, SIDE), Image.Resampling.BOX))


def attention(pixels: npt.NDArray[np.uint8]) -> Attention:
    """How much each place stands out, SIDE x SIDE, from 1 to 256: how far its colour, a little blurred, is from the picture's mean.

    The distance is in lightness and two opponent colours ("frequency-tuned" saliency, at a quarter of the time of a spectral residual).
    Whole numbers, so that sums of them do not depend on their order. A picture of one colour is 256 everywhere.
    """
    import numpy as np

    planes = (np.array(OPPONENTS, np.float32) @ pixels.reshape(-1, 3).T.astype(np.float32)).reshape(3, SIDE, SIDE)
    away = low_pass() @ planes @ low_pass().T - planes.mean(axis=(1, 2), keepdims=True)
    seen = np.sqrt(np.einsum("pij,pij->ij", away, away))
    furthest = seen.max()
    if furthest < CONTRAST_MIN:
        return np.full((SIDE, SIDE), 256)
    levels: Attention = 1 + np.rint(seen * (255 / furthest)).astype(np.int64)
    return levels


def drawn_to(heads: Sequence[Box], seen: Attention, size: tuple[int, int]) -> Attention:
    """The same amount of attention, half of it on these boxes of a picture of this size: who looks at people looks at their faces."""
    import numpy as np

    if not heads:
        return seen
    faces = np.zeros_like(seen)
    for head in heads:
        left, right = (edge * SIDE // size[0] for edge in (head.left, head.right))
        top, bottom = (edge * SIDE // size[1] for edge in (head.top, head.bottom))
        faces[top : bottom + 1, left : right + 1] = 1
    halved = (seen + 1) // 2
    drawn: Attention = halved + faces * (halved.sum() // faces.sum())
    return drawn


@cache
def low_pass() -> npt.NDArray[np.float32]:
    """The matrix that blurs a column of SIDE values; the ends repeat themselves."""
    import numpy as np

    matrix = np.zeros((SIDE, SIDE), np.float32)
    rows = np.arange(SIDE)
    for offset, weight in enumerate(BLUR, -(len(BLUR) // 2)):
        np.add.at(matrix, (rows, np.clip(rows + offset, 0, SIDE - 1)), weight / sum(BLUR))
    return matrix


def dominant_colors(pixels: npt.NDArray[np.uint8], seen: Attention) -> dict[str, Any]:
    """An ImageProperties: up to ten colours by falling score, which is the share of all attention that falls on the colour's pixels.

    Pixels are sorted into a coarse grid of colours; its bins join, the most attended first, where their mean colours are close.
    Not Pillow's octree: it takes longer, and holds the interpreter lock, so that threads wait for each other.
    """
    import numpy as np

    bins = ((pixels // (256 // LEVELS)) @ np.array((LEVELS * LEVELS, LEVELS, 1), np.uint16)).ravel()
    planes = (seen, np.ones_like(seen), pixels[..., 0], pixels[..., 1], pixels[..., 2])
    sums = np.stack([np.bincount(bins, plane.ravel(), LEVELS**3) for plane in planes], axis=1)
    order = np.argsort(-sums[:, 0], kind="stable")[:BINS_MAX]
    clusters = _joined([row for row in sums[order].tolist() if row[0]])
    total = float(seen.sum())
    colors = [
        {
            "color": {"red": round(red / count), "green": round(green / count), "blue": round(blue / count)},
            "score": attended / total,
            "pixel_fraction": count / seen.size,
        }
        for attended, count, red, green, blue in clusters[:COLORS_MAX]
    ]
    return {"dominant_colors": {"colors": colors}}


def _joined(rows: list[list[float]]) -> list[list[float]]:
    """Sums of (attention, pixels, red, green, blue), each joined to the first whose mean colour is close; by falling attention."""
    clusters: list[tuple[float, float, float, list[float]]] = []
    for row in rows:
        _, count, *sums = row
        red, green, blue = (channel / count for channel in sums)
        for r, g, b, cluster in clusters:
            if abs(r - red) < APART_MIN and abs(g - green) < APART_MIN and abs(b - blue) < APART_MIN:
                cluster[:] = [one + other for one, other in zip(cluster, row, strict=True)]
                break
        else:
            clusters.append((red, green, blue, row))
    return sorted((cluster for *_, cluster in clusters), key=lambda cluster: -cluster[0])


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
