"""Many images, or the pages of files: a bounded number at once, each response in its slot, each output file written when it is full."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import Message

from vision_emulator.contract import codec, errors, limits
from vision_emulator.contract.messages import (
    AnnotateFileResponse,
    AnnotateImageResponse,
    AsyncAnnotateFileRequest,
    AsyncAnnotateFileResponse,
    AsyncBatchAnnotateFilesRequest,
    AsyncBatchAnnotateFilesResponse,
    AsyncBatchAnnotateImagesRequest,
    AsyncBatchAnnotateImagesResponse,
    BatchAnnotateImagesResponse,
    OutputConfig,
)
from vision_emulator.core import validate
from vision_emulator.core.annotate import ImageAnnotation, Reader
from vision_emulator.core.files import FileAnnotation, without_content
from vision_emulator.core.operations import Output, shard_name
from vision_emulator.storage import SCHEME, AccessDenied, GcsUri, Storage, StorageError

log = logging.getLogger(__name__)

WINDOW: Final = 16  # images of one batch in flight: enough to hide storage latency, few enough to keep 20 MB images off the heap

Look = Callable[[int], Awaitable[AnnotateImageResponse]]  # the response of the image or page at this place, counted from 0
Form = Callable[[list[AnnotateImageResponse]], Message]  # what an output file of these responses holds


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
        """Where it is written."""
        return shard_name(prefix, self.first, self.last)

    def content(self, form: Form) -> bytes:
        """The responses in this form, as one line of JSON."""
        return codec.encode(form([response for response in self.responses if response is not None]))


def shards(count: int, batch_size: int) -> Iterator[Shard]:
    """The output files of a batch of ``count`` images, in order: ranges that touch, cover 1..count and overlap nowhere."""
    for first in range(1, count + 1, batch_size):
        yield Shard(first, [None] * min(batch_size, count - first + 1))


class Batches:
    """Runs offline batches."""

    def __init__(self, annotation: ImageAnnotation, storage: Storage, content_type: str) -> None:
        self._annotation = annotation
        self._files = FileAnnotation(annotation)
        self._storage = storage
        self._content_type = content_type

    async def images(
        self, request: AsyncBatchAnnotateImagesRequest, reader: Reader, answered_by: Counter[str], outputs: list[Output]
    ) -> AsyncBatchAnnotateImagesResponse:
        """Annotates every image and writes every shard, and keeps ``outputs`` up to date; VisionError when the destination cannot be
        written."""
        images = list(request.requests)

        async def look(index: int) -> AnnotateImageResponse:
            response = await self._annotation.annotate(images[index], reader, answered_by, index)
            response.context.uri = validate.image_uri(images[index])
            return response

        def form(responses: list[AnnotateImageResponse]) -> BatchAnnotateImagesResponse:
            return BatchAnnotateImagesResponse(responses=responses)

        await self._write(request.output_config, len(images), look, form, WINDOW, reader, outputs)
        return AsyncBatchAnnotateImagesResponse(output_config=request.output_config)

    async def files(
        self, request: AsyncBatchAnnotateFilesRequest, reader: Reader, answered_by: Counter[str], outputs: list[Output]
    ) -> AsyncBatchAnnotateFilesResponse:
        """Annotates every page of every file and writes every shard, one file after the other, since a file may have a gigabyte.

        VisionError when a destination cannot be written, or a file cannot be read or opened; the files before it have their results.
        """
        for element in request.requests:
            await self._file(element, reader, answered_by, outputs)
        done = [AsyncAnnotateFileResponse(output_config=element.output_config) for element in request.requests]
        return AsyncBatchAnnotateFilesResponse(responses=done)

    async def _file(self, request: AsyncAnnotateFileRequest, reader: Reader, answered_by: Counter[str], outputs: list[Output]) -> None:
        async with self._files.opened(request.input_config, reader) as document:
            if document.count > limits.PAGES_PER_FILE_MAX:
                raise errors.file_too_many_pages(document.uri, document.count)

            async def look(index: int) -> AnnotateImageResponse:
                return await self._files.page(document, index + 1, request, reader, answered_by, index)

            def form(responses: list[AnnotateImageResponse]) -> AnnotateFileResponse:
                return AnnotateFileResponse(input_config=without_content(request.input_config), responses=responses)

            await self._write(request.output_config, document.count, look, form, document.in_flight_max, reader, outputs)

    async def _write(
        self, output: OutputConfig, count: int, look: Look, form: Form, window: int, reader: Reader, outputs: list[Output]
    ) -> None:
        """Looks at all of them and writes the shards; output_not_writable when the destination cannot be written."""
        destination = output.gcs_destination.uri
        where = GcsUri.parse(destination)
        size = validate.batch_size(output)
        progress = Output(f"{SCHEME}{where.bucket}/{where.object}", count, size)
        outputs.append(progress)
        refused = None  # the shard that a fault rule does not let be written: the one it names, or the last one
        if reader.hurt is not None and reader.hurt.shards_max is not None:
            refused = min(reader.hurt.shards_max, (count - 1) // size)
        try:
            bucket = await self._storage.bucket(where.bucket)

            async def write(shard: Shard) -> None:
                number = (shard.first - 1) // size
                if refused is not None and number >= refused:
                    raise AccessDenied(f"a fault rule lets {refused} files be written")
                await bucket.write(shard.object_name(where.object), shard.content(form), self._content_type)
                progress.written[number] = 1

            async def counted(index: int) -> AnnotateImageResponse:
                response = await look(index)
                progress.looked_at += 1
                progress.failed += response.HasField("error")
                return response

            await _work(_places(count, size), counted, write, min(window, count))
        except StorageError as failure:
            log.warning("%s cannot be written: %s", destination, failure)
            raise errors.output_not_writable(destination) from failure


async def _work(places: Iterator[tuple[int, Shard]], look: Look, write: Callable[[Shard], Awaitable[None]], window: int) -> None:
    """Workers take places in order; whoever completes a shard writes it, so what waits in memory is bounded by ``window`` open shards."""

    async def work() -> None:
        for index, shard in places:
            if shard.put(index, await look(index)):
                await write(shard)
            await asyncio.sleep(0)  # noqa: TID251 - not time: a turn for the others, even when nothing here ever waits

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(window):
                workers.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the other workers were cancelled because of it


def _places(count: int, batch_size: int) -> Iterator[tuple[int, Shard]]:
    """Each place of the batch, in order, with the shard that it belongs to."""
    for shard in shards(count, batch_size):
        for index in range(shard.first - 1, shard.last):
            yield index, shard
