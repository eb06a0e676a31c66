"""Picture: every format that the API documents is read, and what is none is refused."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vision_emulator.annotators import Picture
from vision_emulator.contract.errors import Code, VisionError

TOO_LARGE = r"^Image too large\. Please limit to 75 megapixels\.$"
BAD = r"^Bad image data\.$"


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """The image as a file of this format."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def scene() -> Image.Image:
    """A picture of soft colours, 200 by 150."""
    colors = np.random.default_rng(3).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(colors).resize((200, 150), Image.Resampling.BICUBIC)


def mean(image: Image.Image) -> list[float]:
    """The mean of each channel."""
    return [float(value) for value in np.asarray(image.convert("RGB")).mean(axis=(0, 1))]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO", "MPO"])
def test_every_documented_format(form: str) -> None:
    """Size from the header, and a thumbnail of the same colours and proportions in RGB."""
    image = scene()
    options: dict[str, dict[str, Any]] = {"ICO": {"sizes": [(200, 150)]}, "MPO": {"save_all": True, "append_images": [image]}}
    picture = Picture(encoded(image, form, **options.get(form, {})))
    assert (picture.header.format, picture.size) == (form, (200, 150))
    assert (picture.thumbnail.mode, picture.thumbnail.size) == ("RGB", (100, 75) if form in ("JPEG", "MPO") else (128, 96))
    assert mean(picture.thumbnail) == pytest.approx(mean(image), abs=4)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (127, 128), (4000, 3000)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_thumbnails_of_any_size(size: tuple[int, int], form: str) -> None:
    """At most 128 pixels a side, at least one, never larger than the picture."""
    thumbnail = Picture(encoded(Image.new("RGB", size, (10, 200, 30)), form)).thumbnail
    assert all(1 <= small <= min(128, large) for small, large in zip(thumbnail.size, size, strict=True))
    assert mean(thumbnail) == pytest.approx([10, 200, 30], abs=2)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_divided_not_cut(form: str) -> None:
    """A 16-bit grey ramp keeps its mean; a plain conversion would make nearly all of it white."""
    ramp = np.tile(np.linspace(0, 65535, 400).astype(np.uint16), (300, 1))
    assert mean(Picture(encoded(Image.fromarray(ramp), form)).thumbnail) == pytest.approx([127.5] * 3, abs=1)


@pytest.mark.parametrize(
    ("mode", "form", "tolerance"),
    [("CMYK", "JPEG", 3), ("CMYK", "TIFF", 3), ("YCbCr", "JPEG", 3), ("P", "PNG", 15), ("RGBA", "PNG", 1), ("RGBA", "WEBP", 4)],
)
def test_other_modes(mode: str, form: str, tolerance: float) -> None:
    """Pictures that are not RGB have the same colours when they are."""
    image = scene()
    assert mean(Picture(encoded(image.convert(mode), form)).thumbnail) == pytest.approx(mean(image), abs=tolerance)


@pytest.mark.parametrize("mode", ["L", "1"])
@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_grey_and_bitmap(mode: str, form: str) -> None:
    """One channel becomes three equal ones."""
    picture = Picture(encoded(Image.new(mode, (50, 40), 255), form))
    assert picture.thumbnail.getcolors() == [(2000, (255, 255, 255))]


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_transparent_palette_lies_on_white(form: str) -> None:
    """Where a palette's colour is transparent the thumbnail is white, not what the palette hides there."""
    image = Image.new("P", (100, 100), 0)
    image.putpalette([255, 0, 0, 0, 255, 0] + [0] * 762)
    image.paste(1, (0, 0, 50, 100))
    thumbnail = Picture(encoded(image, form, transparency=0)).thumbnail
    assert sorted(thumbnail.getcolors()) == [(5000, (0, 255, 0)), (5000, (255, 255, 255))]


def test_transparent_pixels_lie_on_white() -> None:
    """The colour under full transparency is not seen."""
    assert mean(Picture(encoded(Image.new("RGBA", (300, 300), (0, 0, 0, 0)), "PNG")).thumbnail) == [255, 255, 255]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_is_the_picture(form: str) -> None:
    """Of an animation or a file of several pages the first is seen."""
    first, second = Image.new("RGB", (60, 60), (255, 0, 0)), Image.new("RGB", (60, 60), (0, 0, 255))
    red, _, blue = mean(Picture(encoded(first, form, save_all=True, append_images=[second])).thumbnail)
    assert red > 240
    assert blue < 15


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.97])
def test_cut_off_files_show_in_the_header(form: str, kept: float) -> None:
    """A JPEG, PNG or WEBP that ends early is refused before a pixel is decoded."""
    data = encoded(scene(), form)
    with pytest.raises(VisionError, match=BAD):
        _ = Picture(data[: int(kept * len(data))]).header


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO"])
@pytest.mark.parametrize("kept", [0.0005, 0.01, 0.5, 0.95])
def test_cut_off_files_have_no_thumbnail(form: str, kept: float) -> None:
    """A file of any format that ends early is refused when its pixels are asked for."""
    data = encoded(scene(), form)
    with pytest.raises(VisionError, match=BAD) as caught:
        _ = Picture(data[: 1 + int(kept * len(data))]).thumbnail
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_embedded_preview_is_no_end() -> None:
    """The end marker of a preview inside the header does not make a cut-off JPEG whole."""
    preview = encoded(scene().resize((40, 30)), "JPEG")
    data = encoded(scene(), "JPEG", exif=b"Exif\x00\x00" + preview)
    assert Picture(data).size == (200, 150)
    with pytest.raises(VisionError, match=BAD):
        _ = Picture(data[:-500]).header


def test_what_follows_a_picture_is_not_looked_at() -> None:
    """Phones append films to their JPEGs; the picture is still one."""
    data = encoded(scene(), "JPEG") + b"\xff\xda\x00ftypmp42" * 1000
    assert mean(Picture(data).thumbnail) == pytest.approx(mean(scene()), abs=4)


@pytest.mark.parametrize("data", [b"", b"\x00", b"plain text\n", b"%!PS", b"<svg/>", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image(data: bytes) -> None:
    """Bytes of another kind are refused, empty ones too."""
    with pytest.raises(VisionError, match=BAD):
        _ = Picture(data).header
    with pytest.raises(VisionError, match=BAD):
        _ = Picture(data).thumbnail


def test_a_document_is_no_image() -> None:
    """A PDF has an error of its own, as the real service has it."""
    with pytest.raises(VisionError, match=r"A PDF is no image") as caught:
        _ = Picture(b"%PDF-1.7\n").size
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize("form", ["EPS", "PPM", "PCX"])
def test_formats_that_the_api_does_not_document(form: str) -> None:
    """What Pillow could read beyond the documented formats is refused: fewer decoders see untrusted bytes."""
    with pytest.raises(VisionError, match=BAD):
        _ = Picture(encoded(scene(), form)).header


@pytest.mark.parametrize("side", [8661, 9500, 14_000, 60_000])
@pytest.mark.parametrize("noisy", [True, False])
def test_bombs_are_refused_by_their_header(side: int, noisy: bool) -> None:
    """More than 75 megapixels are refused unseen, whether warnings are errors in this process or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error" if noisy else "ignore")
        with pytest.raises(VisionError, match=TOO_LARGE):
            _ = Picture(huge_png(side)).header


def huge_png(side: int) -> bytes:
    """A PNG of a hundred bytes that claims to be this large."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


FILES = [encoded(scene(), form) for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO")]
FILES += [encoded(scene(), "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate")]


@settings(max_examples=300, deadline=None)
@given(file=st.sampled_from(FILES), at=st.floats(0, 1), cut=st.integers(0, 20), noise=st.binary(max_size=20))
def test_broken_bytes_end_in_an_answer_or_an_error(file: bytes, at: float, cut: int, noise: bytes) -> None:
    """Whatever is wrong with a file: it is seen, or refused as the API refuses it; no decoder's own exception comes through."""
    place = int(at * at * at * len(file))  # mostly near the start, where it hurts
    data = file[:place] + noise + file[place + cut :]
    with contextlib.suppress(VisionError):
        assert Picture(data).thumbnail.mode == "RGB"


def test_the_digest_is_of_the_bytes() -> None:
    """sha256 is what sha256sum prints."""
    assert Picture(b"abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
