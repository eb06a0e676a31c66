"""Pictures that tests draw, for every layer."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw


def drawn(number: int = 0, size: tuple[int, int] = (160, 120), image_format: str = "JPEG") -> bytes:
    """A small real picture, another for each number."""
    ground = (number * 53 % 256, number * 97 % 256, number * 151 % 256)
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for step in range(4):
        left, top = (number * 31 + step * 37) % size[0], (number * 17 + step * 29) % size[1]
        pen.ellipse((left, top, left + size[0] // 4, top + size[1] // 4), fill=tuple(255 - part for part in ground))
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()


def portrait(side: int = 240, turned: float = 0, light: float = 1, noise: float = 0) -> Image.Image:
    """A drawn head with shaded eyes, brows, nose and mouth, so many degrees turned clockwise: OpenCV's cascades take it for a face.

    Its eyes lie at 0.385 and 0.615 of the width and at 0.485 of the height.
    """
    down, across = np.mgrid[0:side, 0:side] / side - 0.5

    def disc(x: float, y: float, width: float, height: float) -> Any:
        return 1 / (1 + np.exp(30 * (np.hypot((across - x) / width, (down - y) / height) - 1)))

    def shade(x: float, y: float, width: float, height: float, value: float) -> Any:
        return value * np.exp(-(((across - x) / width) ** 2) - ((down - y) / height) ** 2)

    skin = 200 + shade(0, -0.1, 0.15, 0.08, 15) + shade(0, 0.05, 0.02, 0.1, 20)
    for eye in (-0.115, 0.115):
        skin += shade(eye, -0.02, 0.085, 0.045, -55) + shade(eye, -0.085, 0.08, 0.018, -70) + shade(eye, -0.015, 0.035, 0.018, -120)
    skin += shade(0, 0.13, 0.06, 0.018, -35) + shade(0, 0.215, 0.09, 0.025, -60)
    hair, face = disc(0, -0.05, 0.34, 0.42), disc(0, 0.05, 0.27, 0.36)
    grey = (110 * (1 - hair) + 50 * hair) * (1 - face) + skin * face
    head = Image.fromarray((grey * light).clip(0, 255).astype(np.uint8)).rotate(
        -turned, Image.Resampling.BILINEAR, fillcolor=int(110 * light)
    )
    grain = np.random.default_rng(0).normal(0, noise or 1e-9, (side, side))
    return Image.fromarray((np.asarray(head) + grain).clip(0, 255).astype(np.uint8)).convert("RGB")
