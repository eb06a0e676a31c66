"""JSON in and out against protobuf's json_format, side by side in one run.

Each pair is run in turns, and the ratio of the medians is what counts: noise of the machine meets both. The page's float32 values are
all different; `first sight` is the same page with the cache of their decimals emptied before each turn.
"""

from __future__ import annotations

import base64
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from vision_emulator.contract import codec
from vision_emulator.contract.messages import (
    POOL,
    AnnotateImageResponse,
    BatchAnnotateImagesRequest,
    BatchAnnotateImagesResponse,
)
from vision_emulator.control.clock import Chance

YARDSTICK = "protobuf's json_format"

WORDS = 600
IMAGE_BYTES = 5_000_000


def rows() -> list[tuple[str, float, float]]:
    """What was measured: its name, how many times as fast as json_format, and the aim."""
    page = BatchAnnotateImagesResponse(responses=[text_response(WORDS)])
    text = codec.encode(page)
    return [
        ("JSON out, 600-word text", ratio(lambda: codec.encode(page), lambda: _oracle_out(page)), 2.5),
        ("JSON out, 600-word text, floats at first sight", ratio(lambda: _first_sight(page), lambda: _oracle_out(page)), 2.5),
        ("JSON in, 5 MB image", _ratio_in(BatchAnnotateImagesRequest, one_image(IMAGE_BYTES)), 1.3),
        ("JSON in, 16 items", _ratio_in(BatchAnnotateImagesRequest, sixteen_items(), repeat=50), 1.3),
        ("JSON in, 600-word response", _ratio_in(BatchAnnotateImagesResponse, text), 2.6),
    ]


def ratio(ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = 15, repeat: int = 1) -> float:
    """How many times as fast ours is: the medians of interleaved rounds, after one round to warm up."""
    times: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for _ in range(rounds + 1):
        for run, taken in times.items():
            start = time.perf_counter()
            for _ in range(repeat):
                run()
            taken.append(time.perf_counter() - start)
    return statistics.median(times[theirs][1:]) / statistics.median(times[ours][1:])


def _ratio_in(cls: type[Message], body: bytes, *, repeat: int = 1) -> float:
    return ratio(lambda: codec.decode(cls, body), lambda: json_format.Parse(body, cls(), descriptor_pool=POOL), repeat=repeat)


def _oracle_out(message: Message) -> bytes:
    return json.dumps(json_format.MessageToDict(message, descriptor_pool=POOL)).encode()


def _first_sight(message: Message) -> bytes:
    codec._float32.cache_clear()
    return codec.encode(message)


def text_response(words: int) -> AnnotateImageResponse:
    """A page of text as DOCUMENT_TEXT_DETECTION answers it: a box, a confidence and a break for everything."""
    chance = Chance(words)
    spelled = [chance.hex(2 + index % 7) for index in range(words)]
    found, annotations = [], [{"locale": "en", "description": " ".join(spelled), "bounding_poly": _box(100, 100, 1400, 1000)}]
    for index, word in enumerate(spelled):
        x, y = 100 + index % 12 * 110, 100 + index // 12 * 20
        box = _box(x, y, 12 * len(word), 18)
        symbols: list[dict[str, Any]] = [
            {"text": letter, "confidence": _confidence(chance), "bounding_box": _box(x + 12 * place, y, 12, 18)}
            for place, letter in enumerate(word)
        ]
        symbols[-1]["property"] = {"detected_break": {"type": "SPACE"}}
        languages = {"detected_languages": [{"language_code": "en", "confidence": _confidence(chance)}]}
        found.append({"symbols": symbols, "confidence": _confidence(chance), "bounding_box": box, "property": languages})
        annotations.append({"description": word, "bounding_poly": box})
    paragraphs = [{"words": found[start : start + 20], "confidence": _confidence(chance)} for start in range(0, words, 20)]
    blocks = [{"paragraphs": [paragraph], "block_type": "TEXT", "confidence": _confidence(chance)} for paragraph in paragraphs]
    page = {"width": 1600, "height": 1200, "blocks": blocks}
    return AnnotateImageResponse(text_annotations=annotations, full_text_annotation={"pages": [page], "text": " ".join(spelled)})


def _confidence(chance: Chance) -> float:
    """A number between 0 and 1 with all the digits a float32 has."""
    return int(chance.hex(8), 16) / 16**8


def _box(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    corners = (x, y), (x + width, y), (x + width, y + height), (x, y + height)
    return {"vertices": [{"x": left, "y": top} for left, top in corners]}


def one_image(size: int) -> bytes:
    """A request with one inline image."""
    content = base64.b64encode(bytes.fromhex(Chance(size).hex(64)) * (size // 32)).decode()
    return json.dumps({"requests": [{"image": {"content": content}, "features": [{"type": "LABEL_DETECTION"}]}]}).encode()


def sixteen_items() -> bytes:
    """A full online request of images in storage."""
    item = {
        "image": {"source": {"imageUri": "gs://bucket/folder/picture.jpg"}},
        "features": [{"type": "LABEL_DETECTION", "maxResults": 5}, {"type": "DOCUMENT_TEXT_DETECTION"}],
        "imageContext": {"languageHints": ["en"]},
    }
    return json.dumps({"requests": [item] * 16}).encode()


if __name__ == "__main__":
    print(f"{'against json_format':48} {'times as fast':>13} {'aim':>5}")
    for name, times_as_fast, aim in rows():
        print(f"{name:48} {times_as_fast:13.2f} {aim:5.1f}")
