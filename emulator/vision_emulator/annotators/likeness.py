"""When two pictures are the same: hashes of pixels that do not care how the file was written, and of what the eye sees.

Both work on what every annotator sees: RGB, the first frame, transparency on white.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Final

from vision_emulator.annotators import Picture

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Waves = npt.NDArray[np.float64]

SIDE: Final = 32  # of the grey square whose waves are looked at
WAVES: Final = 8  # the lowest of them in either direction: 8 x 8 make the 64 bits
LEAST: Final = 1e-6  # of a wave; less is rounding, and would make bits of a plain picture a matter of luck


def pixel_hash(picture: Picture) -> str:
    """The hex SHA-256 of width, height and RGB pixels: the same for every lossless copy, whatever its format.

    VisionError as ``Picture.pixels``; CPU work.
    """
    pixels = picture.pixels
    digest = hashlib.sha256(f"{pixels.width}x{pixels.height} RGB\n".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def perceptual_hash(picture: Picture) -> int:
    """64 bits of how the picture looks, colours aside: copies that were resized or compressed differ in few of them, others in 20 or more.

    The first is the highest; as 16 hex digits it reads as other tools write their "pHash". VisionError as ``Picture.thumbnail``; CPU work.
    """
    return _bits(_waves(picture))


def distance(one: int, other: int) -> int:
    """In how many bits two hashes differ."""
    return (one ^ other).bit_count()


def _waves(picture: Picture) -> Waves:
    """The lowest cosine waves of the picture's lightness, WAVES x WAVES, the slowest first."""
    import numpy as np
    from PIL import Image

    square = picture.thumbnail.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    cosines = _cosines()
    waves: Waves = cosines @ np.asarray(square, np.float64) @ cosines.T
    return np.where(np.abs(waves) < LEAST, 0.0, waves)


def _bits(waves: Waves) -> int:
    """A bit for each wave that is stronger than half of them."""
    import numpy as np

    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), "big")


@cache
def _cosines() -> Waves:
    """The first rows of a discrete cosine transform of SIDE samples."""
    import numpy as np

    rows: Waves = np.cos(np.outer(np.arange(WAVES), 2 * np.arange(SIDE) + 1) * (np.pi / (2 * SIDE)))
    return rows
