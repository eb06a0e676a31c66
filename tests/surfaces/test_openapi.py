"""The OpenAPI document: valid, complete, and true of what the control API answers."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from vision_emulator.app import Emulator
from vision_emulator.surfaces.control import ROOT
from vision_emulator.surfaces.control.openapi import document
from vision_emulator.surfaces.control.route import Route
from wire import ask

NOT_WITHOUT = ("/_emulator/v1/upstream/differences",)  # refused where nothing is configured to be compared
LABELS = b'{"requests": [{"image": {"source": {"imageUri": "gs://inputs/none.jpg"}}, "features": [{"type": "LABEL_DETECTION"}]}]}'
BATCH = LABELS[:-1] + b', "outputConfig": {"gcsDestination": {"uri": "gs://results/run/"}}}'


async def described(emulator: Emulator) -> Any:
    """The document as it is served."""
    return (await ask(emulator, "GET", "/_emulator/v1/openapi.json")).json


async def test_the_document_is_valid(emulator: Emulator) -> None:
    """Generators and browsers of APIs take it: it is OpenAPI 3.1 by a validator that is not ours."""
    OpenAPIV31SpecValidator(await described(emulator)).validate()


async def test_every_route_is_described(emulator: Emulator) -> None:
    """What can be called stands in the document, each call under an id of its own and with a sentence."""
    paths = (await described(emulator))["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert {"/_emulator/health", "/_emulator/v1/journal", "/_emulator/v1/pace", "/_emulator/v1/openapi.json"} <= paths.keys()
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith(".") for operation in operations)
    pace = paths["/_emulator/v1/pace"]["put"]
    assert pace["requestBody"]["required"]


async def test_every_get_is_answered_as_described(emulator: Emulator) -> None:
    """A call of each GET, after there is something to tell, fits the schema of its answer; so the document does not lie."""
    await ask(emulator, "POST", "/v1/images:annotate", LABELS)
    operation = (await ask(emulator, "POST", "/v1/images:asyncBatchAnnotate", BATCH, {"x-vision-emulator-pace": "instant"})).json
    await ask(emulator, "PUT", "/_emulator/v1/buckets/inputs/objects/a", b"1")
    await ask(emulator, "PUT", "/_emulator/v1/fixtures/some", b'{"match": {"uri": "gs://none/none"}, "error": {"code": 5}}')
    fault = (await ask(emulator, "POST", "/_emulator/v1/faults", b'{"preset": "quota-exceeded", "selected": true}')).json
    test = (await ask(emulator, "POST", "/retry_test", b'{"instructions": {"storage.buckets.list": ["return-503"]}}')).json
    ids = {"operations": operation["name"].rpartition("/")[2], "fixtures": "some", "faults": fault["id"], "retry_test": test["id"]}
    values = {"bucket": "inputs", "object": "a", "number": "1"}
    whole = await described(emulator)
    asked = []
    for path, verbs in whole["paths"].items():
        if "get" not in verbs:
            continue
        content = verbs["get"]["responses"]["200"]["content"]
        if "text/event-stream" in content or path in NOT_WITHOUT:
            continue
        values["id"] = next((id_ for name, id_ in ids.items() if f"/{name}/" in path), "")
        reply = await ask(emulator, "GET", re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path))
        assert reply.status == 200, f"{path}: {reply.body!r}"
        assert reply.headers["content-type"].partition(";")[0] in content, path
        for schema in (media["schema"] for media in content.values() if "schema" in media):
            jsonschema.Draft202012Validator({**schema, "components": whole["components"]}).validate(reply.json)
        asked.append(path)
    assert len(asked) >= 8


async def test_refusals_are_described(emulator: Emulator) -> None:
    """Every refusal is one object with the key ``error``, as the document says for each call."""
    whole = await described(emulator)
    for reply in (
        await ask(emulator, "GET", "/_emulator/v1/nothing"),
        await ask(emulator, "PATCH", "/_emulator/v1/pace"),
        await ask(emulator, "PUT", "/_emulator/v1/pace", b"{"),
    ):
        jsonschema.validate(reply.json, whole["components"]["schemas"]["Error"])


def test_what_a_route_does_not_say_is_nothing() -> None:
    """A route without parameters, body or answer is described with none."""

    async def nothing(_: Any) -> None: ...

    whole = document([Route("POST", "/v1/things/{id}:act", "Acts.", nothing)])
    operation = whole["paths"][f"{ROOT}/v1/things/{{id}}:act"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["id"]
    assert "requestBody" not in operation
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate({}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": 1}, schema)
