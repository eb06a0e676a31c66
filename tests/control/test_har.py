"""The journal as an HTTP archive: what the format asks for is there, and a gRPC call reads as the REST call that says the same."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from vision_emulator.contract import errors
from vision_emulator.contract.messages import BatchAnnotateImagesResponse, ListOperationsResponse, Operation
from vision_emulator.contract.methods import METHODS, Call, match
from vision_emulator.control import har
from vision_emulator.control.clock import ManualClock
from vision_emulator.control.journal import Journal

URL = "http://localhost:8970"
NAME = "projects/p/locations/eu/operations/0123456789abcdef"
CALLS: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "annotate": (
        "google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages",
        {"requests": [{"image": {"content": b"abc"}, "features": [{"type": 4}]}]},
        BatchAnnotateImagesResponse(responses=[{"label_annotations": [{"description": "Cat"}]}]),
        "POST /v1/images:annotate",
    ),
    "beta": (
        "google.cloud.vision.v1p4beta1.ImageAnnotator/BatchAnnotateImages",
        {},
        BatchAnnotateImagesResponse(),
        "POST /v1p4beta1/images:annotate",
    ),
    "get": ("google.longrunning.Operations/GetOperation", {"name": NAME}, Operation(name=NAME), f"GET /v1/{NAME}"),
    "short": ("google.longrunning.Operations/GetOperation", {"name": "operations/1"}, Operation(), "GET /v1/operations/1"),
    "cancel": ("google.longrunning.Operations/CancelOperation", {"name": NAME}, Operation(), f"POST /v1/{NAME}:cancel"),
    "nameless": ("google.longrunning.Operations/GetOperation", {"name": "operations/1/2"}, Operation(), ""),
    "list": (
        "google.longrunning.Operations/ListOperations",
        {"name": "projects/p", "page_size": 3, "filter": "done:true"},
        ListOperationsResponse(),
        "GET /v1/projects/p/operations?filter=done%3Atrue&pageSize=3",
    ),
}


def archive(*names: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """The archive of these calls, each answered."""
    journal = Journal(ManualClock(1_750_000_000.25))
    for name in names:
        path, fields, answer, _ = CALLS[name]
        method = METHODS[f"/{path}"]
        with journal.entry(Call(method, method.request(**fields), headers or {}, "grpc")) as entry:
            entry.answer = answer
    return har.archive(journal, URL)


def test_a_name_that_no_path_takes() -> None:
    """A gRPC call may say what REST cannot: it stands under its own path."""
    (entry,) = archive("nameless")["log"]["entries"]
    assert entry["request"]["url"] == f"{URL}/google.longrunning.Operations/GetOperation"
    assert json.loads(entry["request"]["postData"]["text"]) == {"name": "operations/1/2"}


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call[3]])
def test_the_request_line(name: str) -> None:
    """Verb, path and query are those of the method's REST form, and lead back to the method."""
    (entry,) = archive(name)["log"]["entries"]
    verb, _, target = CALLS[name][3].partition(" ")
    assert (entry["request"]["method"], entry["request"]["url"]) == (verb, URL + target)
    found = match(verb, target.partition("?")[0])
    assert found is not None
    assert found.method.grpc_path.endswith(CALLS[name][0])
    assert ("postData" in entry["request"]) == (verb == "POST")


def test_everything_that_the_format_asks_for() -> None:
    """HAR 1.2: the keys that every archive, entry, request and response must have, with their types."""
    log = archive(*CALLS)["log"]
    assert (log["version"], log["creator"]["name"]) == ("1.2", "vision-emulator")
    assert log["creator"]["version"]
    assert len(log["entries"]) == len(CALLS)
    for entry in log["entries"]:
        assert datetime.fromisoformat(entry["startedDateTime"]).utcoffset() is not None
        assert entry["time"] == sum(entry["timings"][part] for part in ("send", "wait", "receive")) >= 0
        assert entry["cache"] == {}
        for part, keys in (
            ("request", {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}),
            (
                "response",
                {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize"},
            ),
        ):
            assert keys <= entry[part].keys()
            assert all(isinstance(pair["name"], str) and isinstance(pair["value"], str) for pair in entry[part]["headers"])
        content = entry["response"]["content"]
        assert content["size"] == len(content["text"].encode())


def test_bodies() -> None:
    """Request and answer as JSON, pictures as what the journal says of them, secrets hidden."""
    (entry,) = archive("annotate", headers={"authorization": "Bearer SECRET", "x-goog-api-client": "gl-go/1.2"})["log"]["entries"]
    assert json.loads(entry["request"]["postData"]["text"])["requests"][0]["image"]["content"]["size"] == 3
    assert json.loads(entry["response"]["content"]["text"]) == {"responses": [{"labelAnnotations": [{"description": "Cat"}]}]}
    assert {"name": "x-goog-api-client", "value": "gl-go/1.2"} in entry["request"]["headers"]
    assert "SECRET" not in json.dumps(entry)


def test_refusals_and_calls_under_way() -> None:
    """A refusal has its HTTP status and the API's error object; a call that is not yet answered is left out."""
    journal = Journal(ManualClock())
    method = METHODS["/google.longrunning.Operations/GetOperation"]
    with pytest.raises(errors.VisionError), journal.entry(Call(method, method.request(name="operations/1"), {})):
        raise errors.operation_not_found("operations/1")
    with journal.entry(Call(method, method.request(), {})):
        (entry,) = har.archive(journal, URL)["log"]["entries"]
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (404, "Not Found")
    error = json.loads(entry["response"]["content"]["text"])["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
