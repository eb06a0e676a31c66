"""The journal: one entry a call, however it ended, and never more than it may hold."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from pictures import drawn
from vision_emulator.contract import codec, limits
from vision_emulator.contract.errors import Code, operation_not_found
from vision_emulator.contract.messages import BatchAnnotateImagesResponse, Operation
from vision_emulator.contract.methods import METHODS, Call
from vision_emulator.control.clock import ManualClock
from vision_emulator.control.journal import ANNOTATORS, Entry, Journal, Kept, credentials
from vision_emulator.core.pictures import described
from wire import eventually

GET = METHODS["/google.longrunning.Operations/GetOperation"]


def call() -> Call:
    return Call(GET, GET.request(), {}, "rest")


def test_an_entry_says_who_asked_and_how_it_ended() -> None:
    """Method, transport and time are there at once; the code, the duration and the answer's headers at the end."""
    clock = ManualClock(1000.0)
    journal, one = Journal(clock), call()
    with journal.entry(one) as entry:
        assert list(journal) == [entry]
        assert (entry.number, entry.method, entry.transport, entry.code) == (1, "google.longrunning.Operations.GetOperation", "rest", None)
        one.answer_metadata["x-vision-emulator-annotators"] = "fixtures=1"
        clock.advance(2.5)
    assert entry.code == Code.OK
    assert entry.at == pytest.approx(1000.0, abs=0.001)
    assert entry.seconds == pytest.approx(2.5, abs=0.001)
    assert entry.answered == {"x-vision-emulator-annotators": "fixtures=1"}


def test_a_refusal_is_its_code_and_text() -> None:
    """A VisionError is noted and passed on."""
    journal, refusal = Journal(ManualClock()), operation_not_found("operations/1")
    with pytest.raises(type(refusal)), journal.entry(call()):
        raise refusal
    (entry,) = journal
    assert (entry.code, entry.message) == (Code.NOT_FOUND, refusal.message)


async def test_a_caller_that_vanishes_is_cancelled() -> None:
    """A call whose task is cancelled while it is held is CANCELLED in the journal."""
    journal = Journal(ManualClock())

    async def held() -> None:
        with journal.entry(call()):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(held())
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [entry.code for entry in journal] == [Code.CANCELLED]


def test_the_oldest_are_forgotten() -> None:
    """The journal holds as many as it may, the newest, and goes on counting."""
    journal = Journal(ManualClock(), entries_max=3)
    for _ in range(10):
        with journal.entry(call()):
            assert len(journal) <= 3
    assert [entry.number for entry in journal] == [8, 9, 10]


def test_reset_forgets_and_counts_from_one() -> None:
    """After a reset the journal is as new; a call that was under way then disturbs nobody."""
    journal = Journal(ManualClock())
    with journal.entry(call()):
        journal.reset()
    assert len(journal) == 0
    with journal.entry(call()) as entry:
        assert entry.number == 1


def test_looking_does_not_disturb() -> None:
    """The journal may be read while calls come in."""
    journal = Journal(ManualClock(), entries_max=2)
    for _ in range(2):
        with journal.entry(call()):
            pass
    seen = []
    for entry in journal:
        with journal.entry(call()):
            seen.append(entry.number)
    assert seen == [1, 2]


# ---- what an entry says ----

ANNOTATE = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages"]
ASYNC = METHODS["/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"]
FILES = METHODS["/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateFiles"]


def annotate(*contents: bytes, metadata: dict[str, str] | None = None, **more: Any) -> Call:
    """A call for the labels of these images."""
    request = ANNOTATE.request(requests=[{"image": {"content": content}, "features": [{"type": 4}]} for content in contents])
    return Call(ANNOTATE, request, metadata or {}, "grpc", **more)


def noted(call: Call, journal: Journal | None = None, answer: Any = None) -> Entry:
    """The entry of a call that was answered."""
    journal = Journal(ManualClock(), project="mine", describe=described) if journal is None else journal
    with journal.entry(call) as entry:
        entry.answer = answer
    return entry


def test_pictures_are_told_not_kept() -> None:
    """Bytes are replaced by digest, size, type, width and height, in the request and in the list of images; what is no picture, and a
    document, by what can be said of it.
    """
    picture = drawn(3, (64, 48), "PNG")
    plain = noted(annotate(picture, b"hello", b"%PDF-1.7")).plain()
    facts = {"sha256": hashlib.sha256(picture).hexdigest(), "size": len(picture), "type": "image/png", "width": 64, "height": 48}
    first, second, third = plain["request"]["requests"]
    assert first["image"]["content"] == facts
    assert first["features"] == [{"type": "LABEL_DETECTION"}]
    assert second["image"]["content"] == {"sha256": hashlib.sha256(b"hello").hexdigest(), "size": 5}
    assert third["image"]["content"]["type"] == "application/pdf"
    assert plain["images"][0] == {**facts, "features": ["LABEL_DETECTION"]}
    assert json.loads(json.dumps(plain)) == plain


def test_files_are_told_not_kept() -> None:
    """The same for the bytes of documents."""
    request = FILES.request(
        requests=[{"input_config": {"content": b"%PDF-1.7", "mime_type": "application/pdf"}, "features": [{"type": 11}]}]
    )
    plain = noted(Call(FILES, request, {})).plain()
    config = plain["request"]["requests"][0]["inputConfig"]
    assert (config["content"]["size"], config["mimeType"]) == (8, "application/pdf")
    assert plain["images"][0]["features"] == ["DOCUMENT_TEXT_DETECTION"]


def test_the_rest_of_the_request_stays() -> None:
    """Letting go of bytes loses nothing else: parent, labels, context, source, other images."""
    request = ANNOTATE.request(
        parent="projects/p",
        labels={"team": "a"},
        requests=[
            {
                "image": {"content": b"x" * 50_000, "source": {"image_uri": "gs://b/o"}},
                "image_context": {"language_hints": ["de"]},
                "features": [{"type": 4, "max_results": 3}],
            },
            {"image": {"source": {"image_uri": "gs://b/p"}}},
        ],
    )
    whole = codec.to_json(request)
    plain = noted(Call(ANNOTATE, request, {})).plain()
    assert plain["request"]["requests"][0]["image"].pop("content")["size"] == 50_000
    del whole["requests"][0]["image"]["content"]
    assert plain["request"] == whole
    assert plain["project"] == "p"
    assert request.requests[0].image.content  # the caller's own message is as it was


SECRETS = {
    "authorization": "Bearer ya29.SECRET",
    "x-goog-api-key": "SECRET",
    "cookie": "sid=SECRET",
    "x-goog-iam-authorization-token": "SECRET",
    "referer": "https://example.com/page?key=SECRET&x=1&access_token=SECRET#top",
}


def test_no_secret_is_kept() -> None:
    """Headers that carry credentials are hidden, queries of URLs in the others too; which kind they were is told."""
    call = annotate(metadata={**SECRETS, "x-trace": "a"})
    call.answer_metadata["www-authenticate"] = 'Bearer error="invalid_token"'
    plain = noted(call).plain()
    assert "SECRET" not in json.dumps(plain)
    assert plain["headers"]["authorization"] == "(hidden)"
    assert plain["headers"]["x-trace"] == "a"
    assert plain["headers"]["referer"] == "https://example.com/page?key=(hidden)&x=1&access_token=(hidden)#top"


def test_signatures_of_images_are_secrets() -> None:
    """An image's URL is told without what signs it, and the caller's message stays as it was."""
    url = "https://storage.googleapis.com/b/o.jpg?X-Goog-Date=1&X-Goog-Signature=SECRET&x=2"
    request = ANNOTATE.request(requests=[{"image": {"source": {"image_uri": url}}, "features": [{"type": 4}]}])
    plain = noted(Call(ANNOTATE, request, {})).plain()
    hidden = url.replace("SECRET", "(hidden)")
    assert plain["images"][0]["uri"] == plain["request"]["requests"][0]["image"]["source"]["imageUri"] == hidden
    assert request.requests[0].image.source.image_uri == url


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({}, "none"),
        ({"x-goog-api-key": "k"}, "API key"),
        ({"authorization": "Bearer t"}, "bearer token"),
        ({"authorization": "bearer t", "x-goog-api-key": "k"}, "bearer token"),
        ({"authorization": "Basic dTpw"}, "other"),
    ],
)
def test_kinds_of_credentials(metadata: dict[str, str], kind: str) -> None:
    """None, an API key, a bearer token, or something else."""
    assert credentials(metadata) == kind


def test_the_client_library() -> None:
    """Language, library and versions as Google's libraries say them; null for programs that say nothing."""
    said = {"x-goog-api-client": "gl-python/3.12.1 grpc/1.69.0 gax/2.24.0 gapic/3.9.0 pb/5.29.3", "user-agent": "grpc-python/1.69"}
    plain = noted(annotate(metadata=said, deadline_seconds=2.5)).plain()
    client = plain["client"]
    assert (client["language"], client["languageVersion"], client["library"], client["libraryVersion"]) == (
        "python",
        "3.12.1",
        "gapic",
        "3.9.0",
    )
    assert client["versions"]["gax"] == "2.24.0"
    assert (plain["userAgent"], plain["deadline"]) == ("grpc-python/1.69", 2.5)
    assert noted(annotate()).plain()["client"] is None


def test_unknown_fields_are_named() -> None:
    """What a newer client sends and the contract lacks is listed by place and number, bytes let go or not."""
    element = (
        ANNOTATE.request.FromString(annotate(b"y" * 40_000).request.SerializeToString()).requests[0].SerializeToString() + b"\xa0\x06\x05"
    )
    data = b"\x0a" + _varint(len(element)) + element + b"\x9a\x06\x01x"
    plain = noted(Call(ANNOTATE, ANNOTATE.request.FromString(data), {}, size=len(data))).plain()
    assert plain["unknownFields"] == ["request: field 99", "requests[0]: field 100"]


def _varint(number: int) -> bytes:
    return bytes([number & 127 | 128, *_varint(number >> 7)]) if number > 127 else bytes([number])


def test_operations_are_named() -> None:
    """The call that began an operation and those that asked about it carry its name."""
    name = "projects/p/operations/0123456789abcdef"
    begun = noted(Call(ASYNC, ASYNC.request(), {}), answer=Operation(name=name))
    asked = noted(Call(GET, GET.request(name=name), {}), answer=Operation(name=name))
    assert [entry.plain()["operation"] for entry in (begun, asked, noted(annotate()))] == [name, name, ""]


def test_who_annotated() -> None:
    """The header that says who answered is told as numbers."""
    call = annotate()
    call.answer_metadata[ANNOTATORS] = "fixtures=2,synthetic=1"
    assert noted(call).plain()["annotators"] == {"fixtures": 2, "synthetic": 1}


# ---- bounds ----


def test_bytes_are_bounded() -> None:
    """However large the calls, all entries together take no more than they may; the oldest go."""
    journal = Journal(ManualClock(), bytes_max=100_000)
    for _ in range(50):
        noted(annotate(b"x" * 10_000), journal)
        assert journal.bytes <= 100_000
    numbers = [entry.number for entry in journal]
    assert 5 <= len(numbers) < 12
    assert numbers[-1] == 50
    journal.reset()
    assert journal.bytes == 0


def test_large_pictures_are_let_go_when_the_call_is_over() -> None:
    """Twenty megabytes do not stay until somebody reads, and count for little."""
    journal = Journal(ManualClock())
    entry = noted(annotate(b"x" * 20_000_000), journal)
    assert isinstance(entry.request, Kept)
    assert entry.request.message.ByteSize() < 1000
    assert journal.bytes < 50_000


async def test_large_pictures_are_let_go_beside_the_loop() -> None:
    """In a running server that is a thread's work; who reads meanwhile gets the same."""
    journal = Journal(ManualClock())
    entry = noted(annotate(b"x" * 5_000_000), journal)
    assert entry.plain()["images"][0]["size"] == 5_000_000
    await eventually(lambda: isinstance(entry.request, Kept))


def test_large_answers_are_not_kept() -> None:
    """An answer beyond the bound is told by its size alone."""
    answer = BatchAnnotateImagesResponse(responses=[{"full_text_annotation": {"text": "a" * 100_000}}])
    plain = noted(annotate(), answer=answer).plain()
    assert plain["answer"] is None
    assert plain["answerBytes"] > limits.JOURNAL_ANSWER_BYTES_MAX


def test_a_journal_of_nothing() -> None:
    """With no entries to keep, calls are answered all the same."""
    journal = Journal(ManualClock(), entries_max=0)
    assert noted(annotate(), journal).code == Code.OK
    assert (len(journal), journal.bytes) == (0, 0)


def test_one_projects_entries_are_forgotten() -> None:
    """A reset of one leaves the others and goes on counting; who names no project has the journal's own."""
    journal = Journal(ManualClock(), project="mine")
    for project in ("a", "b", "", "a"):
        noted(annotate(metadata={"x-goog-user-project": project} if project else {}), journal)
    journal.reset("a")
    assert [(entry.number, entry.project) for entry in journal] == [(2, "b"), (3, "mine")]
    assert noted(annotate(), journal).number == 5
    assert journal.bytes == sum(entry.weight for entry in journal)


def test_a_forgotten_entry_weighs_nothing() -> None:
    """A call that is answered after its entry was forgotten does not count."""
    journal = Journal(ManualClock(), entries_max=1)
    with journal.entry(annotate(b"x" * 9000)):
        noted(annotate(b"y"), journal)
    (entry,) = journal
    assert journal.bytes == entry.weight < 2000


# ---- readers ----


async def test_readers_are_told() -> None:
    """Each call's beginning and end, in order; nothing after the reader has left."""
    journal = Journal(ManualClock())
    with journal.read() as reader:
        noted(annotate(), journal)
        missed, events = await reader.events(1)
    assert (missed, [(event.kind, event.entry.number) for event in events]) == (0, [("started", 1), ("finished", 1)])
    noted(annotate(), journal)
    assert journal.readers == 0
    assert await reader.events(0) == (0, [])


async def test_a_slow_reader_misses_the_oldest() -> None:
    """It never holds up a call, takes bounded room, and learns how many it missed, once."""
    journal = Journal(ManualClock())
    with journal.read(events_max=3) as reader:
        for _ in range(5):
            noted(annotate(), journal)
        missed, events = await reader.events(1)
        assert (missed, [event.entry.number for event in events]) == (7, [4, 5, 5])
        noted(annotate(), journal)
        missed, events = await reader.events(1)
        assert (missed, [event.entry.number for event in events]) == (0, [6, 6])


async def test_closing_wakes_readers() -> None:
    """Who waits for events of a journal that closes waits no longer."""
    journal = Journal(ManualClock())
    with journal.read() as reader:
        asyncio.get_running_loop().call_soon(journal.close)
        assert await reader.events(60) == (0, [])
        assert reader.closed


def test_what_stays_of_a_large_request_counts() -> None:
    """A request that is large beside its pictures counts for what is left of it."""
    journal = Journal(ManualClock())
    request = ANNOTATE.request(requests=[{"image": {"content": b"x" * 9_000}, "image_context": {"language_hints": ["y" * 90_000]}}])
    noted(Call(ANNOTATE, request, {}), journal)
    assert 90_000 < journal.bytes < 95_000
