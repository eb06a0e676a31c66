"""Pictures that tests draw, for every layer."""

from __future__ import annotations

import io

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
