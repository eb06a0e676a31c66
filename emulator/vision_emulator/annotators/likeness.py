"""When two pictures are alike: hashes of pixels that do not care how the file was written, and which of many pictures look most like one.

All of it works on what every annotator sees: RGB, the first frame, transparency on white.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from vision_emulator.annotators import Picture

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Waves = npt.NDArray[np.float64]

SIDE: Final = 32  # of the grey square whose waves are looked at
WAVES: Final = 8  # the lowest of them in either direction: 8 x 8 make the 64 bits
HASH_BITS: Final = WAVES * WAVES
PATCHES: Final = 4  # of mean colour in either direction
ROWS_AT_FIRST: Final = 256  # of a gallery; it doubles
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


class Look(NamedTuple):
    """How a picture looks, in 64 bytes: its perceptual hash, that of its mirror image, and the mean colours of its patches."""

    bits: int
    mirrored: int
    colours: bytes  # PATCHES x PATCHES, red, green and blue of each


class Match(NamedTuple):
    """A picture that looks like another."""

    key: str
    distance: int  # bits of the perceptual hash
    is_mirrored: bool  # it looks like the other's mirror image
    colours_apart: float  # mean difference of the patches, of 255


def look_of(picture: Picture) -> Look:
    """How a picture looks. VisionError as ``Picture.thumbnail``; CPU work."""
    import numpy as np
    from PIL import Image

    waves = _waves(picture)
    mirrored = waves * (1 - 2 * (np.arange(WAVES) % 2))  # in a mirror every other wave across runs the other way
    patches = picture.thumbnail.resize((PATCHES, PATCHES), Image.Resampling.BOX)
    return Look(_bits(waves), _bits(mirrored), patches.tobytes())


class Gallery:
    """Pictures under keys, asked which of them look like another one; 100,000 are asked in milliseconds. For several threads."""

    def __init__(self) -> None:
        import numpy as np

        self._lock = threading.Lock()
        self._keys: list[str] = []  # by row
        self._rows: dict[str, int] = {}
        self._bits = np.zeros(ROWS_AT_FIRST, np.uint64)
        self._colours = np.zeros((ROWS_AT_FIRST, 3 * PATCHES * PATCHES), np.uint8)

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, key: str, look: Look) -> None:
        """Hangs up a picture, in the place of the one that had this key."""
        import numpy as np

        with self._lock:
            row = self._rows.setdefault(key, len(self._keys))
            if row == len(self._keys):
                self._keys.append(key)
                if row == len(self._bits):
                    self._bits = np.concatenate((self._bits, np.zeros_like(self._bits)))
                    self._colours = np.concatenate((self._colours, np.zeros_like(self._colours)))
            self._bits[row] = look.bits
            self._colours[row] = np.frombuffer(look.colours, np.uint8)

    def remove(self, key: str) -> None:
        """Takes a picture down, if there is one of this key."""
        with self._lock:
            row = self._rows.pop(key, None)
            if row is None:
                return
            last = self._keys.pop()
            if last != key:  # the last one moves into the gap
                self._keys[row], self._rows[last] = last, row
                self._bits[row], self._colours[row] = self._bits[len(self._keys)], self._colours[len(self._keys)]

    def nearest(self, look: Look, distance_max: int, count_max: int) -> list[Match]:
        """The pictures at most so many bits away, or their mirror images, the nearest first; of equally near ones by key."""
        import numpy as np

        with self._lock:
            rows = len(self._keys)
            upright = np.bitwise_count(self._bits[:rows] ^ np.uint64(look.bits))
            mirrored = np.bitwise_count(self._bits[:rows] ^ np.uint64(look.mirrored))
            distances = np.minimum(upright, mirrored)
            within = np.flatnonzero(distances <= distance_max)
            if len(within) > count_max:  # all of the last one's rank stay for now, since the key decides among them
                furthest = np.partition(distances[within], count_max - 1)[count_max - 1]
                within = within[distances[within] <= furthest]
            ranked = sorted((int(distances[row]), self._keys[row], int(row)) for row in within)[:count_max]
            return [
                Match(key, apart, bool(mirrored[row] < upright[row]), self._apart(row, look, bool(mirrored[row] < upright[row])))
                for apart, key, row in ranked
            ]

    def _apart(self, row: int, look: Look, is_mirrored: bool) -> float:
        import numpy as np

        mine = self._colours[row].reshape(PATCHES, PATCHES, 3).astype(np.int16)
        theirs = np.frombuffer(look.colours, np.uint8).reshape(PATCHES, PATCHES, 3)
        return float(np.abs(mine - (theirs[:, ::-1] if is_mirrored else theirs)).mean())


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
