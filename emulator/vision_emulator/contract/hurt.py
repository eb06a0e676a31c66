"""What befalls a call that a fault rule strikes, beside being held up: said once, and done by whoever has the piece in hand.

The core does what concerns images and operations, the surfaces what concerns the answer on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from vision_emulator.contract.errors import VisionError

# Where the image stands in its request, its URI ("" for inline bytes), and its hash once the bytes are there; the error it gets, or None.
ImageFault = Callable[[int, str, str | None], VisionError | None]
_FLIPPED: Final = 0xFF


class Damage(NamedTuple):
    """What happens to an answer on its way to the client.

    | | over HTTP/1.1 | over gRPC |
    |---|---|---|
    | ``reset`` | the connection is reset before a byte of the answer | UNAVAILABLE instead of an answer |
    | ``drop`` | ``size`` bytes of the announced body (unset: half of it), then the connection is closed | headers, then UNAVAILABLE |
    | ``truncate`` | a well-formed answer whose body ends after ``size`` bytes | a message that ends there and cannot be read |
    | ``corrupt`` | a body with one byte turned over: no JSON any more, or another hash | a message that cannot be read |
    """

    kind: Literal["reset", "drop", "truncate", "corrupt"]
    size: int | None = None

    def body(self, whole: bytes) -> bytes:
        """What of a body is sent, or what it is turned into."""
        if self.kind == "corrupt":
            middle = len(whole) // 2
            return whole[:middle] + bytes([whole[middle] ^ _FLIPPED]) + whole[middle + 1 :] if whole else bytes([_FLIPPED])
        if self.kind in ("drop", "truncate"):
            return whole[: len(whole) // 2 if self.size is None else self.size]
        return b""


@dataclass(slots=True)
class Hurt:
    """Everything that befalls one call."""

    refusal: VisionError | None = None  # the answer instead of the real one
    http_status: int | None = None  # of a refused storage call, where it is one that no code of the API has
    headers: dict[str, str] = field(default_factory=dict)  # of the answer, in lower case
    damage: Damage | None = None
    images: list[ImageFault] = field(default_factory=list)
    operation_error: VisionError | None = None  # what the operation ends with, in place of its work
    operation_never: bool = False  # no poll ever finds it done
    shards_max: int | None = None  # output files that can be written; the next one cannot

    def check_image(self, index: int, uri: str, sha256: str | None = None) -> None:
        """Returns, or raises what is to become of this image."""
        for fault in self.images:
            error = fault(index, uri, sha256)
            if error is not None:
                raise error
