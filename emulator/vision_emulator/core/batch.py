"""Many images: a bounded number at once, each response in its slot, each output file written as soon as it is full."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from vision_emulator.contract import codec, errors
from vision_emulator.contract.messages import (
    AnnotateImageRequest,
    AnnotateImageResponse,
    AsyncBatchAnnotateImagesRequest,
    AsyncBatchAnnotateImagesResponse,
    BatchAnnotateImagesResponse,
)
from vision_emulator.core import validate
from vision_emulator.core.annotate import ImageAnnotation, Reader
from vision_emulator.storage import Bucket, GcsUri, Storage, StorageError

log = logging.getLogger(__name__)

WINDOW: Final = 16  # images of one batch in flight: enough to hide storage latency, few enough to keep 20 MB images off the heap
BREATH: Final = 8  # images after which other calls get a turn, for work that never waits


@dataclass(slots=True)
class Shard:
    """One output file in the making: the responses first..last, 1-based, of the batch."""

    first: int
    responses: list[AnnotateImageResponse | None]
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.responses)

    @property
    def last(self) -> int:
        """The 1-based index of the last response."""
        return self.first + len(self.responses) - 1

    def put(self, index: int, response: AnnotateImageResponse) -> bool:
        """Takes the response of the 0-based image ``index``; answers whether the shard is full now."""
        self.responses[index - self.first + 1] = response
        self.missing -= 1
        return self.missing == 0

    def object_name(self, prefix: str) -> str:
        """Where it is written: plain concatenation, no slash put in, no zeros (recorded)."""
        return f"{prefix}output-{self.first}-to-{self.last}.json"

    def content(self) -> bytes:
        """BatchAnnotateImagesResponse as one line of JSON."""
        return codec.encode(BatchAnnotateImagesResponse(responses=[response for response in self.responses if response is not None]))


def shards(count: int, batch_size: int) -> Iterator[Shard]:
    """The output files of a batch of ``count`` images, in order: ranges that touch, cover 1..count and overlap nowhere."""
    for first in range(1, count + 1, batch_size):
        yield Shard(first, [None] * min(batch_size, count - first + 1))


class ImageBatch:
    """Runs offline batches of images."""

    def __init__(self, annotation: ImageAnnotation, storage: Storage, content_type: str) -> None:
        self._annotation = annotation
        self._storage = storage
        self._content_type = content_type

    async def run(self, request: AsyncBatchAnnotateImagesRequest, answered_by: Counter[str]) -> AsyncBatchAnnotateImagesResponse:
        """Annotates every image and writes every shard; VisionError when the destination cannot be written."""
        destination = request.output_config.gcs_destination.uri
        where = GcsUri.parse(destination)
        try:
            bucket = await self._storage.bucket(where.bucket)
            await self._annotate(request, bucket, where.object, answered_by)
        except StorageError as failure:
            log.warning("%s cannot be written: %s", destination, failure)
            raise errors.output_not_writable(destination) from failure
        return AsyncBatchAnnotateImagesResponse(output_config=request.output_config)

    async def _annotate(self, request: AsyncBatchAnnotateImagesRequest, bucket: Bucket, prefix: str, answered_by: Counter[str]) -> None:
        """Workers take images in order; whoever completes a shard writes it, so what waits in memory is bounded by WINDOW open shards."""
        size = validate.batch_size(request.output_config)
        images = self._images(list(request.requests), size)
        reader = self._annotation.reader()

        async def work() -> None:
            for index, image, shard in images:
                if shard.put(index, await self._one(image, reader, answered_by)):
                    await bucket.write(shard.object_name(prefix), shard.content(), self._content_type)
                if index % BREATH == 0:
                    await asyncio.sleep(0)  # noqa: TID251 - not time: a turn for the other tasks

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(WINDOW, len(request.requests))):
                    workers.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the other workers were cancelled because of it

    @staticmethod
    def _images(requests: list[AnnotateImageRequest], batch_size: int) -> Iterator[tuple[int, AnnotateImageRequest, Shard]]:
        for shard in shards(len(requests), batch_size):
            for index in range(shard.first - 1, shard.last):
                yield index, requests[index], shard

    async def _one(self, image: AnnotateImageRequest, reader: Reader, answered_by: Counter[str]) -> AnnotateImageResponse:
        response = await self._annotation.annotate(image, reader, answered_by)
        response.context.uri = validate.image_uri(image)
        return response
