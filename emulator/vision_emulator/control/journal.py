"""What was called: one entry per call, bounded in number and in bytes, the oldest forgotten first.

An entry holds on to the messages of its call; JSON is made of them when somebody reads. The bytes of pictures do not stay: when a call
with large ones is over, a thread replaces them by what they are (digest, size, format, width and height), and small ones are replaced
when the entry is read. Credentials are never kept: the journal knows only of which kind they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message

from vision_emulator.contract import codec, limits
from vision_emulator.contract.errors import Code, VisionError
from vision_emulator.contract.messages import Feature
from vision_emulator.contract.methods import Call, Method
from vision_emulator.control import assertions
from vision_emulator.control.clock import Clock

if TYPE_CHECKING:
    from types import TracebackType

ANNOTATORS: Final = "x-vision-emulator-annotators"  # says in answers who annotated: fixtures=2,synthetic=1
HIDDEN: Final = "(hidden)"  # stands for every secret
_CLIENT: Final = "x-goog-api-client"  # gl-python/3.11.2 grpc/1.60.0 gax/2.11.0 gapic/3.7.2
_SECRET_HEADERS: Final = re.compile(r"auth|token|key\b|cookie|secret|password|credential|signature", re.IGNORECASE)
_SECRET_PARAMETERS: Final = re.compile(
    r"(?<=[?&])((?:key|access_token|oauth_token|token|sig|(?:X-Goog-|X-Amz-)?Signature|X-Amz-Security-Token)=)[^&#\s]*", re.IGNORECASE
)  # of URLs, those that sign them among them
_ENTRY_BYTES: Final = 1024  # what an entry takes beside its messages and headers
_IMAGE_ANSWER_BYTES: Final = 2048  # what the answer to one image takes, about, its text not counted
_CHARACTER_BYTES: Final = 70  # what a read character takes in an answer with its symbol, box and confidence; measured

Describe = Callable[[bytes], dict[str, Any]]  # what the journal says of a picture in place of its bytes


def described(content: bytes) -> dict[str, Any]:
    """Digest and size, all that can be said without looking into the picture."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


@dataclass(frozen=True, slots=True)
class Kept:
    """A request as the journal keeps it: the message without its pictures' bytes, and what these were."""

    message: Message
    contents: Mapping[int, dict[str, Any]]  # by the index in ``requests``
    unknown: tuple[str, ...]  # fields that the contract does not know: "requests[0].features[1]: field 99"


@dataclass(slots=True, eq=False)
class Entry:
    """The record of one call. Times are seconds; ``code`` is None while the call is being answered."""

    number: int
    at: float
    rpc: Method
    transport: str
    project: str
    metadata: Mapping[str, str]
    deadline_seconds: float | None
    request: Message | Kept
    size: int  # bytes of the request
    describe: Describe
    seen: Mapping[int, dict[str, Any]]  # what is known of its pictures already, by their place
    struck: Sequence[str]  # the faults that struck it
    code: Code | None = None
    message: str = ""
    seconds: float = 0.0
    answered: dict[str, str] = field(default_factory=dict)  # the answer's own headers, among them who annotated
    answer: Message | None = None  # None: refused, not yet answered, or larger than the journal keeps
    answer_bytes: int = 0  # about; of any answer, kept or not
    weight: int = 0  # bytes it counts for, while the journal has it

    @property
    def method(self) -> str:
        """The full name of the RPC."""
        return self.rpc.full_name

    def is_of(self, method: str) -> bool:
        """Whether it is a call of this RPC, which may be a pattern with asterisks."""
        return assertions.fits(method, self.method) or assertions.fits(method, self.rpc.name)

    def kept(self) -> Kept:
        """The request without its pictures' bytes; they are let go of for good."""
        request = self.request
        if not isinstance(request, Kept):
            request = self.request = _kept(request, self.describe, self.seen)
        return request

    def lightened(self) -> int:
        """How many bytes the request takes without its pictures'."""
        return self.kept().message.ByteSize()

    def plain(self) -> dict[str, Any]:
        """The entry as JSON: its code by name ("OK", "NOT_FOUND", null while it is being answered), request and answer decoded."""
        kept, answer = self.kept(), self.answer
        request = codec.to_json(kept.message)
        _clean_uris(request)
        for index, content in kept.contents.items():
            element = request["requests"][index]
            element.setdefault("image" if self.content_holder == "image" else "inputConfig", {})["content"] = content
        return {
            "number": self.number,
            "at": self.at,
            "method": self.method,
            "transport": self.transport,
            "project": self.project,
            "code": None if self.code is None else self.code.name,
            "message": _cleaned(self.message),
            "seconds": self.seconds,
            "deadline": self.deadline_seconds,
            "userAgent": self.metadata.get("user-agent", ""),
            "client": client(self.metadata),
            "credentials": credentials(self.metadata),
            "headers": {name: shown(name, value) for name, value in self.metadata.items()},
            "request": request,
            "unknownFields": list(kept.unknown),
            "images": _images(request),
            "answer": None if answer is None else codec.to_json(answer),
            "answerBytes": self.answer_bytes,
            "answered": {name: shown(name, value) for name, value in self.answered.items()},
            "annotators": _counts(self.answered.get(ANNOTATORS, "")),
            "operation": self.operation,
            "fault": self.fault,
        }

    @property
    def operation(self) -> str:
        """The name of the operation that the call began or asked about; "" when it did neither."""
        if self.rpc.service == "Operations":
            return str(getattr(self.kept().message, "name", "")) if self.rpc.name != "ListOperations" else ""
        return str(getattr(self.answer, "name", "")) if self.rpc.operation_response else ""

    @property
    def fault(self) -> str:
        """The faults that struck, each once, in their order: "delay, reject"."""
        return ", ".join(dict.fromkeys(self.struck))

    @property
    def all_seen(self) -> bool:
        """Whether what its pictures are is known without looking at them."""
        requests = getattr(self.request, "requests", ())
        return bool(self.seen) and len(self.seen) == len(requests)

    @property
    def client_text(self) -> str:
        """What the caller says of itself: its user agent, and its library in x-goog-api-client."""
        return f"{self.metadata.get('user-agent', '')} {self.metadata.get(_CLIENT, '')}"

    @property
    def content_holder(self) -> str:
        """Which field of an element of its ``requests`` holds the bytes of a picture or file; "" when none does."""
        return _content_holder(self.rpc.request.DESCRIPTOR)


@dataclass(slots=True, eq=False)
class Event:
    """Something that happened to a call: "started" or "finished". One for all readers, so that its JSON is made once."""

    kind: str
    entry: Entry
    _text: bytes | None = None

    @property
    def heavy(self) -> bool:
        """Whether its JSON takes so long to make that it is a thread's work."""
        return self.kind == "finished" and self.entry.size + self.entry.answer_bytes > limits.EVENTS_INLINE_BYTES_MAX

    def text(self) -> bytes:
        """The entry as JSON; of a call that has only started what is known at once, without the request."""
        if self._text is None:
            entry = self.entry
            known = ("number", "at", "method", "transport", "project")
            plain = entry.plain() if self.kind == "finished" else {name: getattr(entry, name) for name in known}
            self._text = codec.dump_json(plain)
        return self._text


class Reader:
    """Somebody who is told of calls as they happen; who reads too slowly misses the oldest, and learns how many.

    The first event is told at once; those that follow it closely are told together, since waking a reader costs more than a call does.
    """

    def __init__(self, events_max: int) -> None:
        self._events: deque[Event] = deque(maxlen=events_max)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._awaited = False  # the wake is on its way
        self._woken = -math.inf  # when it last was, by the loop's time
        self.missed = 0  # since it was last asked
        self.closed = False

    def put(self, event: Event) -> None:
        """Tells of an event; never waits."""
        if len(self._events) == self._events.maxlen:
            self.missed += 1
        self._events.append(event)
        if not self._awaited:
            self._awaited = True
            self._loop.call_at(self._woken + limits.EVENTS_GATHERED_SECONDS, self._wake.set)

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._wake.set()

    async def events(self, seconds: float) -> tuple[int, list[Event]]:
        """How many were missed, and the events since; waits at most so long for the first."""
        if not self.closed:
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return 0, []
        self._wake.clear()
        self._awaited = False
        self._woken = self._loop.time()
        missed, self.missed = self.missed, 0
        events = list(self._events)
        self._events.clear()
        return missed, events


class Journal:
    """Every call that reached the API, newest last. ``project`` is whose calls they are when the caller does not say."""

    def __init__(
        self,
        clock: Clock,
        entries_max: int = limits.JOURNAL_ENTRIES_MAX,
        *,
        project: str = "",
        describe: Describe = described,
        bytes_max: int = limits.JOURNAL_BYTES_MAX,
    ) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._project = project
        self._describe = describe
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._count = 0
        self._readers: set[Reader] = set()

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What all entries that are over take, about."""
        return self._bytes

    @property
    def readers(self) -> int:
        """How many are being told of calls."""
        return len(self._readers)

    def find(self, number: int) -> Entry | None:
        """The entry of this number, when the journal still has it."""
        return next((entry for entry in self._entries if entry.number == number), None)

    def reset(self, project: str = "") -> None:
        """Forgets every entry and counts from one again; of one project: its entries alone, and the count goes on."""
        left = [entry for entry in self._entries if project and entry.project != project]
        for entry in self._entries:
            if not project or entry.project == project:
                entry.weight = -1
        self._entries = deque(left)
        self._bytes = sum(entry.weight for entry in left)
        if not project:
            self._count = 0

    def entry(self, call: Call) -> AbstractContextManager[Entry]:
        """Notes a call and, when the block is left, how it ended."""
        return _Noted(self, call)

    @contextmanager
    def read(self, events_max: int | None = None) -> Iterator[Reader]:
        """Somebody who is told of every call from now on, as long as the block lasts."""
        reader = Reader(limits.EVENTS_QUEUED_MAX if events_max is None else events_max)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """Tells all readers that nothing more will come."""
        for reader in self._readers:
            reader.close()

    def open(self, call: Call) -> Entry:
        """Notes that a call has begun."""
        self._count += 1
        entry = Entry(
            self._count,
            self._clock.now(),
            call.method,
            call.transport,
            call.project or self._project,
            call.metadata,
            call.deadline_seconds,
            call.request,
            call.size or call.request.ByteSize(),
            self._describe,
            call.seen,
            call.struck,
        )
        self._entries.append(entry)
        while len(self._entries) > self._entries_max:
            self._forget_oldest()
        self._tell("started", entry)
        return entry

    def finish(self, entry: Entry, call: Call) -> None:
        """Notes that it is over."""
        entry.seconds = self._clock.now() - entry.at
        entry.answered = call.answer_metadata
        if entry.answer is not None:
            entry.answer_bytes = _answer_bytes(call.method, entry.answer)
            if entry.answer_bytes > limits.JOURNAL_ANSWER_BYTES_MAX:
                entry.answer = None
        self._tell("finished", entry)
        if entry.weight >= 0:  # it was not forgotten meanwhile
            self._weigh(entry)

    def _tell(self, kind: str, entry: Entry) -> None:
        if self._readers:
            event = Event(kind, entry)
            for reader in self._readers:
                reader.put(event)

    def _weigh(self, entry: Entry) -> None:
        """Counts what the entry takes, lets go of large pictures, and of the oldest entries when all take too much."""
        headers = sum(map(len, entry.metadata.values()))
        entry.weight = _ENTRY_BYTES + headers + (entry.answer_bytes if entry.answer is not None else 0)
        self._bytes += entry.weight
        if entry.size > limits.JOURNAL_CONTENT_BYTES_MAX and entry.content_holder:
            self._let_go(entry)
        else:
            self._add(entry, entry.size)

    def _let_go(self, entry: Entry) -> None:
        """Replaces the bytes of pictures; in a thread where they are yet to be looked at, since the digest of 20 MB takes 15 ms."""
        try:
            loop = None if entry.all_seen else asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            self._add(entry, entry.lightened())
        else:
            done = loop.run_in_executor(None, entry.lightened)
            done.add_done_callback(lambda done: self._add(entry, done.result()))

    def _add(self, entry: Entry, request_bytes: int) -> None:
        """Counts the request, once it is as light as it gets."""
        if entry.weight >= 0:  # it was not forgotten meanwhile
            entry.weight += request_bytes
            self._bytes += request_bytes
        while self._bytes > self._bytes_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._entries.popleft()
        self._bytes -= max(oldest.weight, 0)
        oldest.weight = -1


class _Noted:
    """The block in which a call is answered. No generator, which costs a poll a tenth of its time."""

    __slots__ = ("_call", "_entry", "_journal")

    def __init__(self, journal: Journal, call: Call) -> None:
        self._journal = journal
        self._call = call

    def __enter__(self) -> Entry:
        self._entry = self._journal.open(self._call)
        return self._entry

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, _: TracebackType | None) -> None:
        entry = self._entry
        if failure is None:
            entry.code = Code.OK
        elif isinstance(failure, VisionError):
            entry.code, entry.message = failure.code, failure.message
        else:
            entry.code = Code.CANCELLED
        self._journal.finish(entry, self._call)


# ---- what callers say of themselves ----


def client(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """The client library and the versions of all it is made of, as Google's libraries say it in x-goog-api-client; None for others."""
    versions = dict(part.partition("/")[::2] for part in metadata.get(_CLIENT, "").split())
    if not versions:
        return None
    language = next((name for name in versions if name.startswith("gl-")), "")
    library = next((name for name in ("gccl", "gapic") if name in versions), "")
    return {
        "language": language.removeprefix("gl-"),
        "languageVersion": versions.get(language, ""),
        "library": library,
        "libraryVersion": versions.get(library, ""),
        "versions": versions,
    }


def credentials(metadata: Mapping[str, str]) -> str:
    """Of which kind the credentials were: "bearer token", "API key", "other" or "none"."""
    scheme = metadata.get("authorization", "").partition(" ")[0].lower()
    if scheme:
        return "bearer token" if scheme == "bearer" else "other"
    return "API key" if metadata.get("x-goog-api-key") else "none"


def shown(name: str, value: str) -> str:
    """A header's value as it may be shown: secrets are hidden, and so are those in the queries of URLs."""
    return HIDDEN if _SECRET_HEADERS.search(name) else _cleaned(value)


def _cleaned(text: str) -> str:
    """A text with the secrets hidden that stand in the queries of URLs."""
    return _SECRET_PARAMETERS.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def _clean_uris(request: Mapping[str, Any]) -> None:
    """Hides the signatures of the images' URLs."""
    for element in request.get("requests", ()):
        source = element.get("image", {}).get("source", {}) if isinstance(element, dict) else {}
        for name, uri in source.items():
            source[name] = _cleaned(uri)


def _counts(text: str) -> dict[str, int]:
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name: int(count) for name, _, count in pairs if count.isdigit()}


# ---- what was asked ----


def _content_holder(descriptor: Any) -> str:
    requests = descriptor.fields_by_name.get("requests")
    fields = () if requests is None else requests.message_type.fields_by_name
    return next((name for name in ("image", "input_config") if name in fields), "")


def _kept(request: Any, describe: Describe, seen: Mapping[int, dict[str, Any]]) -> Kept:
    """The request without the bytes of its pictures, which are not even read where they were seen before."""
    unknown = tuple(_unknown(request, ""))
    holder = _content_holder(request.DESCRIPTOR)
    contents: dict[int, dict[str, Any]] = {}
    if not holder:
        return Kept(request, contents, unknown)
    elements = list(request.requests)
    for index, element in enumerate(elements):
        known = seen.get(index)
        content = b"" if known else getattr(element, holder).content
        if known or content:
            contents[index] = known or describe(content)
            held = getattr(element, holder)
            others = {field.name: value for field, value in element.ListFields() if field.name != holder}
            elements[index] = type(element)(**others, **{holder: _without_content(held)})
    if not contents:
        return Kept(request, contents, unknown)
    others = {field.name: value for field, value in request.ListFields() if field.name != "requests"}
    return Kept(type(request)(requests=elements, **others), contents, unknown)


def _without_content(held: Any) -> Message:
    """A picture's or file's message with all but its bytes; ListFields would copy them."""
    kept: Message = type(held)()
    for part in held.DESCRIPTOR.fields:
        if part.message_type is not None and held.HasField(part.name):
            getattr(kept, part.name).CopyFrom(getattr(held, part.name))
        elif part.message_type is None and part.name != "content":
            setattr(kept, part.name, getattr(held, part.name))
    return kept


def _unknown(message: Any, place: str) -> Iterator[str]:
    """Each field of the message and of those in it that its type does not have, by place and number."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    fields: Any = UnknownFieldSet(message)
    for unknown in fields:
        yield f"{place or 'request'}: field {unknown.field_number}"
    for part in message.DESCRIPTOR.fields:
        if part.message_type is None or part.message_type.GetOptions().map_entry:
            continue
        path = f"{place}.{part.name}" if place else part.name
        value = getattr(message, part.name)
        if not isinstance(value, Message):
            for index, element in enumerate(value):
                yield from _unknown(element, f"{path}[{index}]")
        elif message.HasField(part.name):
            yield from _unknown(value, path)


def _images(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each image or file of the request was, and what was asked of it."""
    found = []
    for element in request.get("requests", ()):
        if not isinstance(element, dict):
            continue
        holder = element.get("image") or element.get("inputConfig") or {}
        source = holder.get("source") or holder.get("gcsSource") or {}
        image: dict[str, Any] = dict(holder.get("content") or {})
        uri = source.get("imageUri") or source.get("gcsImageUri") or source.get("uri")
        if uri:
            image["uri"] = uri
        features = (feature.get("type", "TYPE_UNSPECIFIED") for feature in element.get("features", ()))
        image["features"] = [feature if isinstance(feature, str) else str(feature) for feature in features]
        found.append(image)
    return found


FEATURES: Final = tuple(name for name, number in Feature.Type.items() if number)  # the names that ``images`` may have


def _answer_bytes(method: Method, answer: Any) -> int:
    """What the answer takes, about: measuring it costs as much as writing it."""
    if method.service != "ImageAnnotator" or method.operation_response:
        size: int = answer.ByteSize()
        return size
    pages = answer.responses
    if method.name == "BatchAnnotateFiles":
        pages = [page for file in pages for page in file.responses]
    characters = sum([len(page.full_text_annotation.text) for page in pages if page.HasField("full_text_annotation")])
    return _IMAGE_ANSWER_BYTES * len(pages) + _CHARACTER_BYTES * characters
