"""Hashes of pixels and of looks, and the gallery that ranks pictures by them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image, ImageOps
from registered import saved, scene

from vision_emulator.annotators import Picture
from vision_emulator.annotators.likeness import (
    PATCHES,
    ROWS_AT_FIRST,
    Gallery,
    Look,
    distance,
    look_of,
    perceptual_hash,
    pixel_hash,
)
from vision_emulator.contract.errors import VisionError

COLOURS = bytes(3 * PATCHES * PATCHES)


def hash_of(image: Image.Image, image_format: str = "PNG", **options: object) -> int:
    return perceptual_hash(Picture(saved(image, image_format, **options)))


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "WEBP", "GIF"])
def test_pixels_hash_the_same_in_every_lossless_file(image_format: str) -> None:
    """A copy written losslessly in another format has the same pixel hash."""
    image = scene(1, (90, 70)).quantize(64).convert("RGB")  # so that a GIF holds all its colours
    options = {"lossless": True} if image_format == "WEBP" else {}
    assert pixel_hash(Picture(saved(image))) == pixel_hash(Picture(saved(image, image_format, **options)))


def test_what_is_seen_is_hashed() -> None:
    """Transparency is laid on white, as every annotator sees it; an opaque copy of that has the same hash."""
    clear = Image.new("RGBA", (8, 6), (10, 200, 30, 0))
    assert pixel_hash(Picture(saved(clear))) == pixel_hash(Picture(saved(Image.new("RGB", (8, 6), "white"))))


def test_one_pixel_makes_another_hash() -> None:
    """The smallest change of a pixel is another picture, and so are the same pixels in rows of another length."""
    image = scene(2, (80, 60))
    changed = image.copy()
    changed.putpixel((79, 59), tuple(part ^ 1 for part in image.getpixel((79, 59))))
    reshaped = Image.frombytes("RGB", (60, 80), image.tobytes())
    assert len({pixel_hash(Picture(saved(one))) for one in (image, changed, reshaped)}) == 3


@pytest.mark.parametrize(
    ("change", "bits_max"),
    [
        pytest.param(lambda image: saved(image, "JPEG", quality=20), 6, id="jpeg at quality 20"),
        pytest.param(lambda image: saved(image, "WEBP", quality=30), 6, id="webp at quality 30"),
        pytest.param(lambda image: saved(image.resize((320, 240))), 4, id="half the size"),
        pytest.param(lambda image: saved(image.resize((211, 160)), "JPEG", quality=70), 8, id="a third of the size, as jpeg"),
        pytest.param(lambda image: saved(ImageOps.grayscale(image)), 4, id="without colours"),
        pytest.param(lambda image: saved(image.point(lambda value: min(255, int(value * 1.2)))), 10, id="brighter"),
    ],
)
def test_copies_have_near_perceptual_hashes(change: object, bits_max: int) -> None:
    """What the eye takes for the same picture differs in few of 64 bits, each bound measured over twelve pictures."""
    apart = [distance(hash_of(image), perceptual_hash(Picture(change(image)))) for image in map(scene, range(12))]  # type: ignore[operator]
    assert max(apart) <= bits_max


def test_unrelated_pictures_have_far_perceptual_hashes() -> None:
    """No two of twenty pictures come within the distance of look-alikes."""
    hashes = [hash_of(scene(number)) for number in range(20)]
    assert min(distance(one, other) for at, one in enumerate(hashes) for other in hashes[:at]) > 18


def test_plain_pictures_have_one_hash() -> None:
    """Rounding does not decide about bits: a picture without any shape has the same hash in every colour and size."""
    plain = {hash_of(Image.new("RGB", size, colour)) for size, colour in (((1, 1), "red"), ((50, 40), "blue"), ((333, 77), (9, 77, 201)))}
    assert plain == {1 << 63}


def test_the_hash_of_the_mirror_image_is_known() -> None:
    """A look holds what the mirrored picture hashes to, without looking at that."""
    for number in range(6):
        image = scene(number)
        mirrored = look_of(Picture(saved(ImageOps.mirror(image))))
        assert distance(look_of(Picture(saved(image))).mirrored, mirrored.bits) <= 2


def test_no_picture_has_no_hash() -> None:
    """Bytes that are no picture are the picture's error, for either hash."""
    for hashed in (pixel_hash, perceptual_hash):
        with pytest.raises(VisionError, match="Bad image data"):
            hashed(Picture(b"\xff\xd8nonsense"))


def test_the_gallery_answers_as_asking_each_would() -> None:
    """After puts, replacements and removals in any order the nearest are those that a plain loop over all finds, ranked alike."""
    chance = np.random.default_rng(7)
    gallery, plain = Gallery(), dict[str, int]()
    near = [int(chance.integers(0, 2**63)) for _ in range(4)]
    for _ in range(5 * ROWS_AT_FIRST):
        key = f"k{chance.integers(0, 2 * ROWS_AT_FIRST)}"
        if chance.random() < 0.3:
            gallery.remove(key)
            plain.pop(key, None)
        else:
            plain[key] = near[chance.integers(0, 4)] ^ sum(1 << int(bit) for bit in set(chance.integers(0, 64, chance.integers(0, 24))))
            gallery.put(key, Look(plain[key], 0, COLOURS))
    assert len(gallery) == len(plain) > ROWS_AT_FIRST
    for bits in near:
        for count in (1, 5, 10_000):
            ranked = sorted((distance(bits, other), key) for key, other in plain.items() if distance(bits, other) <= 18)[:count]
            found = gallery.nearest(Look(bits, ~bits & (2**64 - 1), COLOURS), 18, count)
            assert [(match.distance, match.key) for match in found] == ranked
            assert not any(match.is_mirrored for match in found)


def test_the_gallery_tells_mirror_images_and_colours() -> None:
    """A mirror image is found as such, with its colours compared side by side as in the mirror; another colouring is far in colour."""
    image = scene(3)
    gallery = Gallery()
    gallery.put("mirrored", look_of(Picture(saved(ImageOps.mirror(image)))))
    gallery.put("negative colours", look_of(Picture(saved(Image.merge("RGB", image.split()[::-1])))))
    asked = look_of(Picture(saved(image)))
    found = {match.key: match for match in gallery.nearest(asked, 18, 10)}
    assert found["mirrored"].is_mirrored
    assert found["mirrored"].colours_apart < 3
    assert not found["negative colours"].is_mirrored
    assert found["negative colours"].colours_apart > 12


def test_the_gallery_may_be_asked_while_it_changes() -> None:
    """Pictures come and go while other threads ask; a picture that stays is found every time."""
    gallery = Gallery()
    gallery.put("stays", Look(1, 2, COLOURS))
    missed: list[int] = []

    def ask() -> None:
        missed.extend(turn for turn in range(300) if [match.key for match in gallery.nearest(Look(1, 2, COLOURS), 0, 3)] != ["stays"])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        gallery.put(f"k{number}", Look(2**40 - 1 - number, 2**50, COLOURS))
        gallery.remove(f"k{number - 5}")
    for thread in threads:
        thread.join()
    assert not missed
