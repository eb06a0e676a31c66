"""Our discovery document beside the real one: the copy that google-api-python-client carries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from vision_emulator.contract import discovery

ROOT = "http://localhost:8970/"
BUNDLED = ("v1", "v1p1beta1", "v1p2beta1")


def real(version: str) -> dict[str, Any]:
    text = files("googleapiclient.discovery_cache") / "documents" / f"vision.{version}.json"
    document: dict[str, Any] = json.loads(text.read_text())
    return document


def methods(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("methods", {}).values()
    for resource in node.get("resources", {}).values():
        yield from methods(resource)


def of_other_versions(name: str, version: str) -> bool:
    """Schemas of results that only other versions' operations have; no method of this document leads to them.

    The real v1 lists the betas' results, and the betas' documents list v1's and each other's.
    """
    own = f"GoogleCloudVision{version.capitalize()}"
    return name.startswith("GoogleCloudVision") and not (version != "v1" and name.startswith(own))


@pytest.mark.parametrize("version", BUNDLED)
def test_methods_are_the_real_ones(version: str) -> None:
    """Same ids, each with the same verb, paths, parameters and messages; a client built from either makes the same calls."""

    def seen(document: dict[str, Any]) -> dict[str, Any]:
        return {
            method["id"]: {
                **{key: method.get(key) for key in ("httpMethod", "flatPath", "path", "parameterOrder", "request", "response")},
                "scopes": sorted(method["scopes"]),
                "parameters": {
                    name: {key: value for key, value in parameter.items() if key != "description"}
                    for name, parameter in method["parameters"].items()
                },
            }
            for method in methods(document)
        }

    ours, theirs = seen(discovery.document(version, ROOT)), seen(real(version))
    for name in ("vision.operations.cancel", "vision.operations.delete"):
        if name in theirs:  # an operation's name has one segment behind "operations/": other names are refused, here before they are sent
            assert theirs[name]["parameters"]["name"].pop("pattern") == "^operations/.*$"
            assert ours[name]["parameters"]["name"].pop("pattern") == "^operations/[^/]+$"
    assert ours == theirs


@pytest.mark.parametrize("version", BUNDLED)
def test_schemas_are_the_real_ones(version: str) -> None:
    """Same names; same properties of the same types, formats and enum values."""

    told = ("description", "enumDescriptions", "enumDeprecated", "deprecated", "readOnly")  # prose, and what follows from it

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return sorted(value)  # of enum values: the proto's order is not the document's
        return {key: plain(inner) for key, inner in value.items() if key not in told} if isinstance(value, dict) else value

    def properties(document: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {field: plain(value) for field, value in schema["properties"].items()}
            for name, schema in document["schemas"].items()
            if not of_other_versions(name, version)
        }

    ours, theirs = properties(discovery.document(version, ROOT)), properties(real(version))
    if version != "v1":  # the real ones list all versions' results but their own images:asyncBatchAnnotate's
        theirs = {name: schema for name, schema in theirs.items() if name in ours or name.startswith("GoogleCloudVision")}
        del ours[f"GoogleCloudVision{version.capitalize()}AsyncBatchAnnotateImagesResponse"]
    assert ours.keys() == theirs.keys()
    assert {name: schema for name, schema in ours.items() if schema != theirs[name]} == {}


@pytest.mark.parametrize("version", list(discovery.VERSIONS))
def test_every_reference_is_resolved(version: str) -> None:
    """A client that resolves a $ref finds its schema, under its own id."""
    document = discovery.document(version, ROOT)
    text = json.dumps(document)
    referred = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert referred
    assert referred <= document["schemas"].keys()
    assert all(schema["id"] == name for name, schema in document["schemas"].items())


def test_global_parameters_and_addresses() -> None:
    """The parameters of every method are the real ones; addresses are those by which the client came."""
    ours, theirs = discovery.document("v1", ROOT), real("v1")
    assert ours["parameters"].keys() == theirs["parameters"].keys()
    assert ours["rootUrl"] == ours["baseUrl"] == ROOT
    for key in (
        "id",
        "name",
        "canonicalName",
        "version",
        "servicePath",
        "basePath",
        "batchPath",
        "protocol",
        "fullyEncodeReservedExpansion",
    ):
        assert ours[key] == theirs[key]


def test_product_search_is_listed_where_it_was_published() -> None:
    """v1p3beta1 and v1p4beta1 have it; the documents of the two before them do not."""
    counts = {version: len(list(methods(discovery.document(version, ROOT)))) for version in discovery.VERSIONS}
    assert counts == {"v1": 38, "v1p1beta1": 12, "v1p2beta1": 12, "v1p3beta1": 31, "v1p4beta1": 31}


def test_an_unknown_version_has_no_document() -> None:
    """The caller tells its client so."""
    with pytest.raises(KeyError):
        discovery.document("v2", ROOT)
