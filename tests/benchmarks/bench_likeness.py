"""Which of 100,000 pictures look most like one: the gallery against a plain loop over the same hashes, in turns in one run."""

from __future__ import annotations

import statistics
import time

import numpy as np

from vision_emulator.annotators.likeness import PATCHES, Gallery, Look

PICTURES = 100_000
BITS_MAX = 18  # as web detection asks
ROUNDS = 7
COLOURS = bytes(3 * PATCHES * PATCHES)


def rows() -> list[tuple[str, str, float, str]]:
    """What was measured: its name, its yardstick, the figure, and the aim."""
    chance = np.random.default_rng(0)
    hashes = [int(bits) for bits in chance.integers(0, 2**63, PICTURES)]
    gallery = Gallery()
    for number, bits in enumerate(hashes):
        gallery.put(f"gs://photos/{number}.jpg", Look(bits, 0, COLOURS))
    asked = [Look(hashes[at] ^ 0b1011, hashes[-at] >> 1, COLOURS) for at in chance.integers(0, PICTURES, 20)]
    times = [(by_loop(hashes, asked[:1]), by_gallery(gallery, asked)) for _ in range(ROUNDS + 1)][1:]
    faster = statistics.median(loop / ours for loop, ours in times)
    return [
        ("look-alikes among 100,000 pictures, milliseconds", "the aim", 1000 * statistics.median(ours for _, ours in times), "≤ 5"),
        ("look-alikes among 100,000 pictures, times as fast", "a loop with int.bit_count", faster, "≥ 10"),
    ]


def by_gallery(gallery: Gallery, asked: list[Look]) -> float:
    """Seconds an answer."""
    start = time.perf_counter()
    for look in asked:
        assert gallery.nearest(look, BITS_MAX, 100)[0].distance == 3
    return (time.perf_counter() - start) / len(asked)


def by_loop(hashes: list[int], asked: list[Look]) -> float:
    """Seconds an answer, which is the same: the nearest in the picture's own hash or in that of its mirror image."""
    start = time.perf_counter()
    for look in asked:
        distances = (min((bits ^ look.bits).bit_count(), (bits ^ look.mirrored).bit_count()) for bits in hashes)
        assert min(distance for distance in distances if distance <= BITS_MAX) == 3
    return (time.perf_counter() - start) / len(asked)


if __name__ == "__main__":
    for what, yardstick, figure, aim in rows():
        print(f"{what:55} {yardstick:30} {figure:8.2f}   aim {aim}")
