"""Many images, or the pages of files: a bounded number at once, each response in its slot, each output file written when it is full."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
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
from vision_emulator.core.operations import KeptShards, Output, shard_name
from vision_emulator.storage import SCHEME, AccessDenied, Bucket, GcsUri, Storage, StorageError, StorageFull

log = logging.getLogger(__name__)

WINDOW: Final = 16  # images of one batch in flight: enough to hide storage latency, few enough to keep 20 MB images off the heap

Look = Callable[[int, Counter[str]], Awaitable[AnnotateImageResponse]]  # of the image or page at this place, from 0; counts who answered


@dataclass(slots=True)
class Shard:
    """One output file in the making: the responses first..last, 1-based, of the batch."""

    first: int
    responses: list[AnnotateImageResponse | None]
    missing: int = field(init=False)
    answered_by: Counter[str] = field(default_factory=Counter)

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

    @property
    def failed(self) -> int:
        """How many of its responses are errors."""
        return sum(response is not None and response.HasField("error") for response in self.responses)

    def object_name(self, prefix: str) -> str:
        """Where it is written."""
        return shard_name(prefix, self.first, self.last)

    def content(self, head: Message) -> bytes:
        """``head`` with the responses behind what it says, as one line of JSON; a message of them all would be a copy of each."""
        return codec.dump_json({**codec.to_json(head), "responses": [codec.to_json(each) for each in self.responses if each is not None]})


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
        self,
        request: AsyncBatchAnnotateImagesRequest,
        reader: Reader,
        answered_by: Counter[str],
        outputs: list[Output],
        kept: KeptShards | None = None,
    ) -> AsyncBatchAnnotateImagesResponse:
        """Annotates every image and writes every shard, and keeps ``outputs`` up to date; VisionError when the destination cannot be
        written. Shards that are ``kept`` as whole, images and all, are left alone."""
        images = list(request.requests)

        async def look(index: int, answered_by: Counter[str]) -> AnnotateImageResponse:
            response = await self._annotation.annotate(images[index], reader, answered_by, index)
            response.context.uri = validate.image_uri(images[index])
            return response

        head = BatchAnnotateImagesResponse()
        await self._write(request.output_config, len(images), look, head, WINDOW, reader, answered_by, outputs, kept)
        return AsyncBatchAnnotateImagesResponse(output_config=request.output_config)

    async def files(
        self,
        request: AsyncBatchAnnotateFilesRequest,
        reader: Reader,
        answered_by: Counter[str],
        outputs: list[Output],
        kept: KeptShards | None = None,
    ) -> AsyncBatchAnnotateFilesResponse:
        """Annotates every page of every file and writes every shard, one file after the other, since a file may have a gigabyte.

        VisionError when a destination cannot be written, or a file cannot be read or opened; the files before it have their results.
        """
        for element in request.requests:
            await self._file(element, reader, answered_by, outputs, kept)
        done = [AsyncAnnotateFileResponse(output_config=element.output_config) for element in request.requests]
        return AsyncBatchAnnotateFilesResponse(responses=done)

    async def _file(
        self,
        request: AsyncAnnotateFileRequest,
        reader: Reader,
        answered_by: Counter[str],
        outputs: list[Output],
        kept: KeptShards | None,
    ) -> None:
        async with self._files.opened(request.input_config, reader) as document:
            if document.count > limits.PAGES_PER_FILE_MAX:
                raise errors.file_too_many_pages(document.uri, document.count)

            async def look(index: int, answered_by: Counter[str]) -> AnnotateImageResponse:
                return await self._files.page(document, index + 1, request, reader, answered_by, index)

            head = AnnotateFileResponse(input_config=without_content(request.input_config))
            await self._write(request.output_config, document.count, look, head, document.in_flight_max, reader, answered_by, outputs, kept)

    async def _write(
        self,
        output: OutputConfig,
        count: int,
        look: Look,
        head: Message,
        window: int,
        reader: Reader,
        answered_by: Counter[str],
        outputs: list[Output],
        kept: KeptShards | None,
    ) -> None:
        """Looks at all of them and writes the shards that are not there; output_not_writable when the destination cannot be written."""
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
                content = shard.content(head)
                if kept is not None:
                    await kept.begin(progress.uri_of(number), content, shard.failed, shard.answered_by)
                await bucket.write(shard.object_name(where.object), content, self._content_type)
                progress.written[number] = 1
                answered_by.update(shard.answered_by)

            async def counted(index: int, counts: Counter[str]) -> AnnotateImageResponse:
                response = await look(index, counts)
                progress.looked_at += 1
                progress.failed += response.HasField("error")
                return response

            if kept is not None:
                await _recognise(kept, bucket, progress, answered_by)
            await _work(_places(count, size, progress.written), counted, write, min(window, count))
        except StorageFull as failure:
            log.warning("%s cannot be written: %s", destination, failure)
            raise errors.output_storage_full(destination) from failure
        except StorageError as failure:
            log.warning("%s cannot be written: %s", destination, failure)
            raise errors.output_not_writable(destination) from failure


async def _work(places: Iterator[tuple[int, Shard]], look: Look, write: Callable[[Shard], Awaitable[None]], window: int) -> None:
    """Workers take places in order; whoever completes a shard writes it, so what waits in memory is bounded by ``window`` open shards."""

    async def work() -> None:
        for index, shard in places:
            if shard.put(index, await look(index, shard.answered_by)):
                await write(shard)
            await asyncio.sleep(0)  # noqa: TID251 - not time: a turn for the others, even when nothing here ever waits

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(window):
                workers.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None  # the other workers were cancelled because of it


async def _recognise(kept: KeptShards, bucket: Bucket, progress: Output, answered_by: Counter[str]) -> None:
    """Finds the shards that were written before the process was cut off."""
    for number in range(len(progress.written)):
        known = await kept.whole(bucket, progress.uri_of(number))
        if known is not None:
            first, last = progress.range_of(number)
            progress.written[number] = 1
            progress.looked_at += last - first + 1
            progress.failed += known.failed
            answered_by.update(known.answered_by)


def _places(count: int, batch_size: int, written: Sequence[int]) -> Iterator[tuple[int, Shard]]:
    """Each place of the batch whose shard is not yet ``written``, in order, with that shard."""
    for number, shard in enumerate(shards(count, batch_size)):
        if written[number]:
            continue
        for index in range(shard.first - 1, shard.last):
            yield index, shard
