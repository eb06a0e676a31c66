"""The control API described for programs: an OpenAPI 3.1 document, written from the routes alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.inspect import StructType
from msgspec.inspect import type_info as inspect_type

from vision_emulator.surfaces.control.route import Route, variables_in

ROOT: Final = "/_emulator"
VERSION: Final = "3.1.0"
_REFERENCE: Final = "#/components/schemas/{name}"
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What was wrong, and what would be right."}},
}
_NOTHING: Final = {"type": "object", "maxProperties": 0}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "x-vision-emulator-token"},
    "query": {"type": "apiKey", "in": "query", "name": "token"},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole description; schemas of bodies and answers are those that the server reads and writes by."""
    kinds = {kind for route in routes for kind in (route.body, route.answer) if kind not in (None, bytes)}
    ordered = sorted(kinds, key=repr)
    described, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    schemas = dict(zip(ordered, described, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(ROOT + route.path, {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Control API of the Vision emulator",
            "version": "v1",
            "description": "For tests and for people; no part of Vision. Times are seconds.",
        },
        "security": [{}, *({name: []} for name in _SECURITY)],  # {}: without --control-token none is needed
        "paths": paths,
        "components": {"schemas": {**components, "Error": _ERROR}, "securitySchemes": _SECURITY},
    }


def _operation(route: Route, schemas: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "tags": [route.path.removeprefix("/v1").split("/")[1].partition(":")[0] or "dashboard"],
        "summary": route.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in variables_in(route.path)),
            *({"name": name, "in": "query", "description": does, "schema": {"type": "string"}} for name, does in route.query.items()),
        ],
        "responses": {
            "200": {"description": route.summary, "content": _content(route.answer, route.media, schemas)},
            "default": {
                "description": "The call was refused.",
                "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Error")}}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": _needs_saying(route.body), "content": _content(route.body, "application/json", schemas)}
    if not route.guarded:
        operation["security"] = []
    return operation


def _content(kind: Any, media: str, schemas: dict[Any, Any]) -> dict[str, Any]:
    if media != "application/json":
        return {media: {"schema": {"type": "string"}}}
    if kind is bytes:
        return {"application/octet-stream": {}}
    return {media: {"schema": _NOTHING if kind is None else schemas[kind]}}


def _needs_saying(body: Any) -> bool:
    """Whether leaving the body out, which is the same as ``{}``, would be refused."""
    described = inspect_type(body)
    return not isinstance(described, StructType) or any(field.required for field in described.fields)


def _operation_id(route: Route) -> str:
    """The call as one word: ``post_operations_id_complete``."""
    return "_".join([route.verb.lower(), *re.findall(r"\w+", route.path.removeprefix("/v1"))])
