"""Cloud Storage over the embedded buckets: a protocol core without sockets, and its surface on aiohttp."""

from vision_emulator.surfaces.gcs.protocol import StorageProtocol
from vision_emulator.surfaces.gcs.surface import StorageSurface

__all__ = ["StorageProtocol", "StorageSurface"]
