"""Invented faces: where the heads are, and the 34 landmarks that follow from a template, a roll and a pan."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from vision_emulator.annotators.dice import Dice
from vision_emulator.annotators.geometry import Box

ROW_MAX: Final = 8  # faces beside each other
DEGREES: Final = 57.29577951308232  # per radian
VERY_UNLIKELY, UNLIKELY, POSSIBLE, LIKELY, VERY_LIKELY = 1, 2, 3, 4, 5  # Likelihood

# FaceAnnotation.Landmark.Type and where it is on a frontal face: x and y in shares of the skin's box, z in shares of its width
# (towards the viewer is negative). In the order of real answers. LEFT is the viewer's left.
TEMPLATE: Final = (
    (1, 0.31, 0.36, 0.0),  # eyes
    (2, 0.69, 0.36, 0.0),
    (3, 0.19, 0.27, 0.05),  # ends of the eyebrows
    (4, 0.42, 0.26, -0.05),
    (5, 0.58, 0.26, -0.05),
    (6, 0.81, 0.27, 0.05),
    (7, 0.50, 0.36, -0.07),  # between the eyes
    (8, 0.50, 0.56, -0.20),  # tip of the nose
    (9, 0.50, 0.69, -0.10),  # lips and mouth
    (10, 0.50, 0.80, -0.07),
    (11, 0.36, 0.74, -0.01),
    (12, 0.64, 0.74, -0.01),
    (13, 0.50, 0.74, -0.06),
    (14, 0.59, 0.60, -0.03),  # bottom of the nose
    (15, 0.41, 0.60, -0.03),
    (16, 0.50, 0.62, -0.08),
    (17, 0.31, 0.335, -0.02),  # rims of the eyes
    (18, 0.385, 0.365, -0.01),
    (19, 0.31, 0.39, -0.01),
    (20, 0.235, 0.365, 0.04),
    (21, 0.69, 0.335, -0.02),
    (22, 0.765, 0.365, 0.04),
    (23, 0.69, 0.39, -0.01),
    (24, 0.615, 0.365, -0.01),
    (25, 0.30, 0.23, -0.03),  # middles of the eyebrows
    (26, 0.70, 0.23, -0.03),
    (27, 0.04, 0.50, 0.40),  # ears
    (28, 0.96, 0.50, 0.40),
    (31, 0.50, 0.26, -0.08),  # forehead; 29 and 30, the pupils, are never answered
    (32, 0.50, 0.97, -0.02),  # chin
    (33, 0.12, 0.77, 0.30),
    (34, 0.88, 0.77, 0.30),
    (35, 0.24, 0.62, 0.05),  # cheeks
    (36, 0.76, 0.62, 0.05),
)


class Face(NamedTuple):
    """One face: the whole head, the skin inside it, and how sure that is."""

    head: Box
    skin: Box
    confidence: float
    dice: Dice

    def annotation(self) -> dict[str, Any]:
        """The FaceAnnotation."""
        dice = self.dice.of("face")
        roll, pan, tilt = dice.between(-0.1, 0.1), dice.between(-0.45, 0.45), dice.between(-0.2, 0.2)  # roll: tangent of half the angle
        return {
            "bounding_poly": self.head.poly(),
            "fd_bounding_poly": self.skin.poly(),
            "landmarks": self._landmarks(roll, pan),
            "roll_angle": 2 * _degrees(roll),
            "pan_angle": _degrees(pan),
            "tilt_angle": _degrees(tilt),
            "detection_confidence": self.confidence,
            "landmarking_confidence": dice.between(0.3, 0.9),
            "joy_likelihood": dice.one((VERY_LIKELY, VERY_LIKELY, LIKELY, VERY_UNLIKELY, VERY_UNLIKELY)),
            "sorrow_likelihood": _rarely(dice, UNLIKELY),
            "anger_likelihood": _rarely(dice, UNLIKELY),
            "surprise_likelihood": _rarely(dice, POSSIBLE),
            "under_exposed_likelihood": _rarely(dice, LIKELY),
            "blurred_likelihood": _rarely(dice, UNLIKELY),
            "headwear_likelihood": _rarely(dice, VERY_LIKELY),
        }

    def _landmarks(self, roll: float, pan: float) -> list[dict[str, Any]]:
        """The template turned by roll and pan and laid on the skin; nothing leaves the head."""
        cosine, sine = (1 - roll * roll) / (1 + roll * roll), 2 * roll / (1 + roll * roll)
        width, height = self.skin.width, self.skin.height
        centre_x, centre_y = self.skin.left + width / 2, self.skin.top + height / 2
        landmarks = []
        for kind, x, y, z in TEMPLATE:
            across, down = (x - 0.5 - z * pan) * width, (y - 0.5) * height
            position = {
                "x": min(max(centre_x + across * cosine - down * sine, self.head.left), self.head.right),
                "y": min(max(centre_y + across * sine + down * cosine, self.head.top), self.head.bottom),
                "z": z * width,
            }
            landmarks.append({"type": kind, "position": position})
        return landmarks


def invent_faces(count: int, size: tuple[int, int], dice: Dice) -> list[Face]:
    """So many faces, the surest first, each in its own part of the picture: a few in a row, a crowd in rows."""
    width, height = size
    confidences = dice.falling(count, 0.98, 0.4)
    places = dice.some(range(count), count)
    columns = count if width >= height else 1
    if count > ROW_MAX:
        columns = min(count, max(1, math.isqrt(count * width * 5 // (height * 4))))  # a head is a quarter higher than wide
    rows = -(-count // columns)
    room = (width / columns, height / rows)
    faces = []
    for place, confidence in zip(places, confidences, strict=True):
        own = dice.of(str(place))
        corner = (place % columns * room[0], place // columns * room[1])
        side = own.between(0.4, 0.75) * min(room[0], room[1] / 1.25)
        left = corner[0] + own.unit() * (room[0] - side)
        top = corner[1] + own.unit() * (room[1] - 1.25 * side)
        head = Box.within(size, left, top, left + side, top + 1.25 * side)
        skin = Box.within(size, left + 0.12 * side, top + 0.25 * side, left + 0.88 * side, top + 1.15 * side)
        faces.append(Face(head, skin, confidence, own))
    return faces


def _degrees(tangent: float) -> float:
    """The angle of a tangent well below one. A series, because mathematical libraries differ in the last bit of atan()."""
    square = tangent * tangent
    return tangent * (1 - square * (1 / 3 - square * (1 / 5 - square * (1 / 7 - square / 9)))) * DEGREES


def _rarely(dice: Dice, likelihood: int) -> int:
    return likelihood if dice.chance(0.1) else VERY_UNLIKELY
