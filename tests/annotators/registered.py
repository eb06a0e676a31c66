"""Scenes, logos and positions that tests draw, to be found again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CORNERS = ("left", "top", "right", "bottom")


def scene(number: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A picture full of shapes, another for each number."""
    chance = np.random.default_rng(number)
    image = Image.fromarray(chance.integers(60, 200, (4, 5, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = int(chance.integers(0, size[0])), int(chance.integers(0, size[1]))
        width, height = (int(side) for side in chance.integers(8, size[1] // 5, 2))
        colour = tuple(int(part) for part in chance.integers(0, 256, 3))
        if chance.random() < 0.5:
            pen.ellipse((x, y, x + width, y + height), fill=colour)
        else:
            pen.polygon([(x, y), (x + width, y + height // 3), (x + width // 2, y + height)], fill=colour)
    return image


def badge() -> Image.Image:
    """A logo rich in detail."""
    image = Image.new("RGB", (256, 256), "navy")
    pen = ImageDraw.Draw(image)
    for start in range(0, 360, 30):
        pen.pieslice((20, 20, 236, 236), start, start + 15, fill="gold")
    pen.ellipse((70, 70, 186, 186), fill="white")
    pen.text((128, 128), "K9", fill="darkred", font=ImageFont.load_default(72), anchor="mm")
    return image


def flag() -> Image.Image:
    """A flat logo: two shapes, hardly a distinctive point."""
    image = Image.new("RGB", (200, 200), "white")
    pen = ImageDraw.Draw(image)
    pen.polygon([(100, 20), (180, 160), (20, 160)], fill="red")
    pen.ellipse((75, 90, 125, 140), fill="blue")
    return image


def lettering(word: str) -> Image.Image:
    """A logo that is a word in a frame."""
    image = Image.new("RGB", (420, 140), "darkgreen")
    pen = ImageDraw.Draw(image)
    pen.text((210, 70), word, "white", ImageFont.load_default(70), anchor="mm")
    pen.rounded_rectangle((6, 6, 413, 133), 20, outline="white", width=6)
    return image


def placed(ground: Image.Image, logo: Image.Image, at: tuple[int, int], scale: float = 1.0, angle: float = 0.0) -> Image.Image:
    """A copy of the ground with the logo on it, turned by degrees counter-clockwise; ``at`` is the top left of what it then takes."""
    size = (round(logo.width * scale), round(logo.height * scale))
    turned = logo.convert("RGBA").resize(size, Image.Resampling.LANCZOS).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    image = ground.copy()
    image.paste(turned, at, turned)
    return image


def saved(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def taken_at(latitude: float, longitude: float, image_format: str = "JPEG") -> bytes:
    """A picture whose EXIF says where it was taken."""
    exif = Image.Exif()
    position = {1: "N" if latitude >= 0 else "S", 2: _angle(latitude), 3: "E" if longitude >= 0 else "W", 4: _angle(longitude)}
    exif.get_ifd(0x8825).update(position)  # Pillow takes it from here for a TIFF
    exif[0x8825] = position  # and from here for a PNG
    return saved(scene(1, (320, 240)), image_format, exif=exif)


def _angle(degrees: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(round(abs(degrees) * 3600, 3), 60)
    return (minutes // 60, minutes % 60, seconds)


def folder_of(root: Path, images: dict[str, Image.Image | bytes], **tables: str) -> str:
    """A folder of files by name, tables by the name without .csv; its path."""
    root.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(image if isinstance(image, bytes) else saved(image))
    for name, text in tables.items():
        (root / f"{name}.csv").write_text(text)
    return str(root)


def edges(vertices: Sequence[object]) -> dict[str, int]:
    """The outermost pixels of a polygon."""
    across, down = [vertex.x for vertex in vertices], [vertex.y for vertex in vertices]  # type: ignore[attr-defined]
    return dict(zip(CORNERS, (min(across), min(down), max(across), max(down)), strict=True))
