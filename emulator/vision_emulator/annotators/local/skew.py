"""How the lines of a page lie: by how many degrees they lean, and whether they run up or down the page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from vision_emulator.annotators.geometry import Frame

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import PIL.Image

SIDE: Final = 700  # pixels, about, of the longer side of what is looked at: lines of a page are still apart
DEGREES_MAX: Final = 8.0  # that a scanner or a hand leaves a page askew
STEPS: Final = (1.0, 0.25, 0.0625)  # degrees: a coarse search, and finer ones around what it found
SIDEWAYS_MIN: Final = 1.5  # how much more distinct columns must be than rows before lines are taken to run along them
CONTRAST_MIN: Final = 16.0  # levels of grey from the ground that are ink
INK_MIN: Final = 50  # pixels of it that say anything
NEGLIGIBLE: Final = 0.2  # degrees; turning a page costs more sharpness than so little skew


class Turn:
    """A grey picture turned so that its lines run from left to right, and the frame that leads back to the picture as it was."""

    def __init__(self, grey: PIL.Image.Image, frame: Frame) -> None:
        self.grey = grey
        self.frame = frame

    def by_quarters(self, quarters: int) -> Turn:
        """Turned counter-clockwise by so many right angles."""
        from PIL import Image

        width, height = self.grey.size
        match quarters % 4:
            case 1:
                return Turn(self.grey.transpose(Image.Transpose.ROTATE_90), self.frame.after(Frame(width - 1, 0, (0.0, 1.0), (-1.0, 0.0))))
            case 2:
                frame = Frame(width - 1, height - 1, (-1.0, 0.0), (0.0, -1.0))
                return Turn(self.grey.transpose(Image.Transpose.ROTATE_180), self.frame.after(frame))
            case 3:
                return Turn(
                    self.grey.transpose(Image.Transpose.ROTATE_270), self.frame.after(Frame(0, height - 1, (0.0, -1.0), (1.0, 0.0)))
                )
            case _:
                return self

    def by_degrees(self, degrees: float) -> Turn:
        """Turned counter-clockwise by a few degrees, the corners that come in filled with the picture's ground."""
        from PIL import Image

        width, height = self.grey.size
        turned = self.grey.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=ground(self.grey))
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        right, down = (cosine, sine), (-sine, cosine)
        x, y = (turned.width - 1) / 2, (turned.height - 1) / 2
        origin = ((width - 1) / 2 - x * right[0] - y * down[0], (height - 1) / 2 - x * right[1] - y * down[1])
        return Turn(turned, self.frame.after(Frame(*origin, right, down)))


def straightened(turn: Turn) -> Turn:
    """The picture with its lines level, be they a few degrees askew or up and down the page; which way up is not known then."""
    ink = _ink(turn.grey)
    if ink is None:
        return turn
    level, sideways = _best(ink), _best(ink.turned())
    if sideways.distinct > SIDEWAYS_MIN * level.distinct:
        turn, level = turn.by_quarters(1), sideways
    return turn.by_degrees(level.degrees) if abs(level.degrees) >= NEGLIGIBLE else turn


def ground(grey: PIL.Image.Image) -> int:
    """The commonest level of grey."""
    histogram = grey.histogram()
    return histogram.index(max(histogram))


class _Ink(NamedTuple):
    """What stands out from the ground: places, and how much it does there."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]

    def turned(self) -> _Ink:
        """The same after a quarter turn counter-clockwise."""
        return _Ink(self.y, -self.x, self.weight)


class _Angle(NamedTuple):
    degrees: float  # by which to turn counter-clockwise so that rows are most distinct
    distinct: float  # how distinct they are then


def _ink(grey: PIL.Image.Image) -> _Ink | None:
    """The ink of a small copy; None when there is too little to see."""
    import numpy as np

    small = grey.reduce(max(1, round(max(grey.size) / SIDE)))
    away = np.abs(np.asarray(small, np.float32) - ground(small))
    y, x = np.nonzero(away > max(CONTRAST_MIN, float(away.max()) / 3))
    if len(x) < INK_MIN:
        return None
    return _Ink(x.astype(np.float32), y.astype(np.float32), away[y, x])


def _best(ink: _Ink) -> _Angle:
    found: dict[float, float] = {}
    centre, reach = 0.0, DEGREES_MAX
    for step in STEPS:
        count = round(reach / step)
        for place in range(-count, count + 1):
            degrees = centre + step * place
            if degrees not in found:
                found[degrees] = _distinct(ink, degrees)
        centre = max(found, key=lambda degrees: (found[degrees], -abs(degrees)))
        reach = step
    return _Angle(centre, found[centre])


def _distinct(ink: _Ink, degrees: float) -> float:
    """How much neighbouring rows differ after a turn: most where lines of text stand apart from what is between them."""
    import numpy as np

    rows = ink.y * np.float32(math.cos(math.radians(degrees))) - ink.x * np.float32(math.sin(math.radians(degrees)))
    profile = np.bincount((rows - rows.min() + 0.5).astype(np.int32), ink.weight)
    steps = np.diff(profile)
    return float(np.dot(steps, steps))
