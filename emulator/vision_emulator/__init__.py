"""Google Cloud Vision on your own machine.

with VisionEmulator(bucket=["photos"]) as emulator:
    ...  # point any client at emulator.address
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vision_emulator.annotators import Annotator
    from vision_emulator.app import VisionEmulator
    from vision_emulator.client import Control, ControlError
    from vision_emulator.config import Config
    from vision_emulator.contract.errors import VisionError
    from vision_emulator.remote import RemoteEmulator

__all__ = ["Annotator", "Config", "Control", "ControlError", "RemoteEmulator", "VisionEmulator", "VisionError"]

_HOMES = {
    "Annotator": "annotators",
    "Config": "config",
    "Control": "client",
    "ControlError": "client",
    "RemoteEmulator": "remote",
    "VisionEmulator": "app",
    "VisionError": "contract.errors",
}


def __getattr__(name: str) -> Any:  # the door costs nothing until a name is used: the command line starts through it
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
