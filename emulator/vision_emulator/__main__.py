"""``python -m vision_emulator``: the command line."""

from __future__ import annotations

import sys

from vision_emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
