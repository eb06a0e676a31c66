"""The API: every call of either transport comes through ``Vision.call``; below it one method per RPC, in the proto's order."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from vision_emulator.annotators import Annotator
from vision_emulator.contract import errors, limits
from vision_emulator.contract.errors import VisionError
from vision_emulator.contract.field_mask import FieldMask
from vision_emulator.contract.messages import (
    AsyncBatchAnnotateFilesRequest,
    AsyncBatchAnnotateImagesRequest,
    BatchAnnotateFilesRequest,
    BatchAnnotateFilesResponse,
    BatchAnnotateImagesRequest,
    BatchAnnotateImagesResponse,
    CancelOperationRequest,
    DeleteOperationRequest,
    Empty,
    GetOperationRequest,
    ListOperationsRequest,
    ListOperationsResponse,
    Operation,
    WaitOperationRequest,
)
from vision_emulator.contract.methods import PROJECT, Call, Method
from vision_emulator.control.faults import Faults
from vision_emulator.control.journal import ANNOTATORS, Journal
from vision_emulator.core import validate
from vision_emulator.core.admission import Admission
from vision_emulator.core.annotate import ImageAnnotation
from vision_emulator.core.batch import Batches
from vision_emulator.core.files import FileAnnotation
from vision_emulator.core.operations import Operations, Pace, Record
from vision_emulator.core.usage import Ledger

log = logging.getLogger(__name__)

PACE: Final = "x-vision-emulator-pace"  # asks a pace for this call's operation
FIELDS: Final = "x-goog-fieldmask"  # the part of the answer that is wanted; REST's query says it with fields=
_SLEEPS_BEFORE_ITS_FIRST_POLL: Final = "gl-java/"  # up to 20 s, so pace auto gives it its answer at once


class Vision:
    """The Vision API over one storage, one set of annotators and one set of operations."""

    def __init__(
        self,
        annotation: ImageAnnotation,
        batches: Batches,
        operations: Operations,
        journal: Journal,
        admission: Admission,
        faults: Faults,
    ) -> None:
        self.operations = operations
        self.journal = journal
        self.admission = admission
        self.faults = faults
        self._annotation = annotation
        self._files = FileAnnotation(annotation)
        self._batches = batches
        self._methods: Mapping[tuple[str, str], Callable[[Call, Any], Awaitable[Message]]] = {
            ("ImageAnnotator", "BatchAnnotateImages"): self.batch_annotate_images,
            ("ImageAnnotator", "BatchAnnotateFiles"): self.batch_annotate_files,
            ("ImageAnnotator", "AsyncBatchAnnotateImages"): self.async_batch_annotate_images,
            ("ImageAnnotator", "AsyncBatchAnnotateFiles"): self.async_batch_annotate_files,
            ("Operations", "ListOperations"): self.list_operations,
            ("Operations", "GetOperation"): self.get_operation,
            ("Operations", "DeleteOperation"): self.delete_operation,
            ("Operations", "CancelOperation"): self.cancel_operation,
            ("Operations", "WaitOperation"): self.wait_operation,
        }

    def emulates(self, method: Method) -> bool:
        """Whether a method is answered; the others are refused with UNIMPLEMENTED."""
        return (method.service, method.name) in self._methods

    @property
    def annotators(self) -> Sequence[Annotator]:
        """Who looks at pictures, in the order in which they are asked."""
        return self._annotation.annotators

    @property
    def usage(self) -> Ledger:
        """What was looked at, as it would be billed."""
        return self._annotation.usage

    async def call(self, call: Call) -> Message:
        """The life of a request: noted, perhaps hurt, let in, checked, answered, cut to what was asked for; nothing but VisionError comes
        out of it.
        """
        with self.journal.entry(call) as entry:
            if call.method.service == "Operations" and not call.project:
                entry.project = self.operations.owner(call.request.name) or entry.project
            try:
                if self.faults.concern(call.metadata):
                    await self._strike(call, entry.number)
                self.admission.admit(call)
                answer = self._methods.get((call.method.service, call.method.name))
                if answer is None:
                    raise errors.unimplemented(call.method.full_name)
                selector = call.metadata.get(FIELDS)
                mask = FieldMask(selector, call.method.response) if selector else None  # read before anything is begun
                message = await answer(call, call.request)
                entry.answer = mask.masked(message) if mask else message
                return entry.answer
            except VisionError:
                raise
            except Exception:
                log.exception("%s failed", call.method.full_name)
                raise errors.internal() from None

    async def _strike(self, call: Call, number: int) -> None:
        """Lets fault rules have the call; VisionError when they refuse it."""
        call.hurt = await self.faults.strike_call(call, number)
        if call.hurt is not None:
            call.answer_metadata.update(call.hurt.headers)
            if call.hurt.refusal is not None:
                raise call.hurt.refusal

    # ---- google.cloud.vision.v1.ImageAnnotator ----

    async def batch_annotate_images(self, call: Call, request: BatchAnnotateImagesRequest) -> BatchAnnotateImagesResponse:
        """Up to 16 images, answered inline and in order."""
        validate.batch_annotate_images(request)
        answered_by: Counter[str] = Counter()
        reader = self._annotation.reader(call)
        annotated = [self._annotation.annotate(element, reader, answered_by, index) for index, element in enumerate(request.requests)]
        responses = [await annotated[0]] if len(annotated) == 1 else await asyncio.gather(*annotated)  # a task costs as much as an image
        _disclose(call, answered_by)
        return BatchAnnotateImagesResponse(responses=responses)

    async def batch_annotate_files(self, call: Call, request: BatchAnnotateFilesRequest) -> BatchAnnotateFilesResponse:
        """One file, up to five of its pages answered inline."""
        validate.batch_annotate_files(request)
        answered_by: Counter[str] = Counter()
        reader = self._annotation.reader(call)
        responses = [await self._files.annotate(element, reader, answered_by) for element in request.requests]
        _disclose(call, answered_by)
        return BatchAnnotateFilesResponse(responses=responses)

    async def async_batch_annotate_images(self, call: Call, request: AsyncBatchAnnotateImagesRequest) -> Operation:
        """Up to 2000 images, answered as files in Cloud Storage by an operation."""
        validate.async_batch_annotate_images(request)
        return await self._start(call, request.parent)

    async def async_batch_annotate_files(self, call: Call, request: AsyncBatchAnnotateFilesRequest) -> Operation:
        """Files of up to 2000 pages, answered as files in Cloud Storage by an operation; a file that cannot be read is refused here."""
        validate.async_batch_annotate_files(request)
        reader = self._annotation.reader(call)
        for element in request.requests:
            await reader.check_file(element.input_config.gcs_source.uri)
        return await self._start(call, request.parent)

    # ---- google.longrunning.Operations ----

    async def list_operations(self, call: Call, request: ListOperationsRequest) -> ListOperationsResponse:
        """The operations under ``name`` (``operations`` for all, or a parent), oldest first; ``filter``: ``done:true``, ``done:false``."""
        del call
        await self.operations.kept()
        scope = request.name.removesuffix("operations").strip("/")
        return _page(self.operations.list(scope, _done_filter(request.filter)), request)

    async def get_operation(self, call: Call, request: GetOperationRequest) -> Operation:
        """One poll."""
        operation, record = await self.operations.get(request.name, call.deadline_seconds, call)
        _disclose_result(call, operation, record)
        return operation

    async def delete_operation(self, call: Call, request: DeleteOperationRequest) -> Empty:
        """Forgets an operation without stopping it."""
        del call
        self.operations.delete(request.name)
        await self.operations.kept()
        return Empty()

    async def cancel_operation(self, call: Call, request: CancelOperationRequest) -> Empty:
        """Stops an operation."""
        del call
        self.operations.cancel(request.name)
        await self.operations.kept()
        return Empty()

    async def wait_operation(self, call: Call, request: WaitOperationRequest) -> Operation:
        """Holds until the operation is done or the timeout is over."""
        seconds = request.timeout.seconds + request.timeout.nanos / 1e9 if request.HasField("timeout") else None
        operation, record = await self.operations.wait(request.name, seconds, call.deadline_seconds, call)
        _disclose_result(call, operation, record)
        return operation

    async def _start(self, call: Call, parent: str) -> Operation:
        """The operation of a batch."""
        record = self._open_record(call, parent)
        return await self.operations.start(record, self._work(call, record), call)

    async def _work(self, call: Call, record: Record) -> Message:
        """The work of a batch, whose record learns how far it is and who answered."""
        answered_by: Counter[str] = Counter()
        if call.hurt is not None and call.hurt.operation_error is not None:
            raise call.hurt.operation_error
        run: Callable[..., Awaitable[Message]] = self._batches.files if call.method.name.endswith("Files") else self._batches.images
        try:
            return await run(call.request, self._annotation.reader(call), answered_by, record.outputs, record.shards)
        finally:
            record.answered_by = answered_by

    def resume(self) -> None:
        """Goes on with the work that was accepted by a process before this one; rules that would have hurt it are no more."""
        for record, call in self.operations.unfinished():
            log.info("%s was cut off, and goes on", record.name)
            self.operations.resume(record, self._work(call, record))

    def _open_record(self, call: Call, parent: str) -> Record:
        asked = call.metadata.get(PACE)
        pace = Pace.parse(asked) if asked else self.operations.pace_of(call.project)
        if pace.kind == "auto" and _SLEEPS_BEFORE_ITS_FIRST_POLL in call.metadata.get("x-goog-api-client", ""):
            pace = Pace("instant")
        if call.hurt is not None and call.hurt.operation_never:
            pace = Pace("never")
        project = call.metadata.get(PROJECT, "")
        if not parent and project and "/" not in project:
            parent = f"projects/{project}"
        return self.operations.open_record(call.method, parent, pace)


def _disclose(call: Call, answered_by: Mapping[str, int]) -> None:
    if answered_by:
        call.answer_metadata[ANNOTATORS] = ",".join(f"{name}={count}" for name, count in sorted(answered_by.items()))


def _disclose_result(call: Call, operation: Operation, record: Record) -> None:
    if operation.done:
        _disclose(call, record.answered_by)


def _done_filter(text: str) -> bool | None:
    match text.replace(" ", "").replace("=", ":").lower():
        case "":
            return None
        case "done:true":
            return True
        case "done:false":
            return False
        case _:
            raise errors.operations_filter_malformed(text)


def _page(operations: list[Operation], request: ListOperationsRequest) -> ListOperationsResponse:
    """One page of a list; the token is the position of the next page."""
    if request.page_size < 0:
        raise errors.page_size_negative(request.page_size)
    token = request.page_token
    if token and not (token.isascii() and token.isdigit() and len(token) < 10):
        raise errors.page_token_malformed(token)
    start = int(token or 0)
    end = start + min(request.page_size or limits.OPERATIONS_PAGE_MAX, limits.OPERATIONS_PAGE_MAX)
    return ListOperationsResponse(operations=operations[start:end], next_page_token=str(end) if end < len(operations) else "")
