"""The discovery document of each version, made from the descriptors and the method table.

Clients that are built from it (google-api-python-client, gapi and the like) find here the methods and messages that the real document
has. Left out is what no client needs: prose, icons, and the schemas of other versions' operation results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from vision_emulator.contract.json_reader import ANY, FIELD_MASK, WRAPPERS, Descriptor, Field, is_map, repeated_fields
from vision_emulator.contract.messages import BETAS, POOL, V1
from vision_emulator.contract.methods import LONGRUNNING, METHODS, TEMPLATE, Binding, Method

VERSIONS: Final = {package.rpartition(".")[2]: package for package in (V1, *BETAS)}

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloud-vision")
_WITHOUT_PRODUCT_SEARCH: Final = ("v1p1beta1", "v1p2beta1")
_VERBS: Final = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}  # methods that are named after their HTTP verb
_TEXT: Final = {"location": "query", "type": "string"}
_PARAMETERS: Final[dict[str, Any]] = {
    "$.xgafv": _TEXT | {"enum": ["1", "2"], "enumDescriptions": ["v1 error format", "v2 error format"]},
    "access_token": _TEXT,
    "alt": _TEXT | {"default": "json", "enum": ["json", "media", "proto"], "enumDescriptions": ["", "", ""]},
    "callback": _TEXT,
    "fields": _TEXT,
    "key": _TEXT,
    "oauth_token": _TEXT,
    "prettyPrint": {"location": "query", "type": "boolean", "default": "true"},
    "quotaUser": _TEXT,
    "uploadType": _TEXT,
    "upload_protocol": _TEXT,
}  # of every method
_SCALARS: Final = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
}  # the types of this contract's fields; another one in the proto is a KeyError here
_WELL_KNOWN: Final[dict[str, dict[str, Any]]] = {
    ANY: {"type": "object", "additionalProperties": {"type": "any"}},
    FIELD_MASK: {"type": "string", "format": "google-fieldmask"},
    "google.protobuf.Duration": {"type": "string", "format": "google-duration"},
    "google.protobuf.Timestamp": {"type": "string", "format": "google-datetime"},
}


def document(version: str, root_url: str) -> dict[str, Any]:
    """The document of "v1", "v1p1beta1" …, for clients that reach the API at root_url, which ends with a slash; KeyError for others."""
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"vision:{version}",
        "name": "vision",
        "canonicalName": "Vision",
        "version": version,
        "version_module": True,
        "title": "Cloud Vision API",
        "documentationLink": "https://cloud.google.com/vision/",
        "ownerDomain": "google.com",
        "ownerName": "Google",
        "protocol": "rest",
        "rootUrl": root_url,
        "baseUrl": root_url,
        "basePath": "",
        "servicePath": "",
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": {scope: {"description": "Everything: the emulator knows no scopes."} for scope in _SCOPES}}},
        "parameters": _PARAMETERS,
        **_described(VERSIONS[version]),
    }


@cache
def _described(package: str) -> dict[str, Any]:
    """The resources and schemas of one version."""
    version = package.rpartition(".")[2]
    resources: dict[str, Any] = {}
    roots: list[Descriptor] = []
    bound_everywhere: dict[str, set[str]] = {}  # by request: fields that every path of the method holds, so no body does
    for method, bindings in _published(version):
        for binding in bindings:
            *chain, name = resource_names(binding)
            node = resources
            for resource in chain[:-1]:
                node = node.setdefault(resource, {}).setdefault("resources", {})
            node.setdefault(chain[-1], {}).setdefault("methods", {})[name] = _method(method, binding, ".".join(chain), name, package)
        request = _request_body(method, bindings[0])
        if request is not None:
            roots.append(request)
            bound_everywhere[request.full_name] = set.intersection(*(_variables(binding) for binding in bindings))
        roots.append(_response(method, package))
        roots += [POOL.FindMessageTypeByName(name) for name in (method.operation_response, method.operation_metadata) if name]
    schemas = {
        _schema_name(descriptor, package): _schema(descriptor, package, bound_everywhere.get(descriptor.full_name, set()))
        for descriptor in _reached(roots)
    }
    return {"resources": resources, "schemas": dict(sorted(schemas.items()))}


def _published(version: str) -> Iterator[tuple[Method, list[Binding]]]:
    """The methods a version's document lists, each with the REST forms it lists; the emulator answers more."""
    for method in METHODS.values():
        if method.package != LONGRUNNING:
            if method.version == version and not (method.service == "ProductSearch" and version in _WITHOUT_PRODUCT_SEARCH):
                yield method, list(method.bindings)
        elif version == "v1" and method.name != "WaitOperation":
            every_form = method.name == "GetOperation"
            yield method, [form for form in method.bindings if form.path.startswith("/v1/" if every_form else "/v1/{name=operations")]


def resource_names(binding: Binding) -> list[str]:
    """The resources down to the method, and the method: projects, locations, images, annotate."""
    segments = _expanded(binding).split("/")[2:]
    last, _, custom = segments[-1].partition(":")
    names = [segment for segment in (*segments[:-1], last) if segment != "*"]
    named_one = last == "*"
    return [*names, custom or _VERBS.get(binding.verb) or ("get" if named_one else "list")]


def _expanded(binding: Binding) -> str:
    """The path with its variable's pattern in place of the variable: /v1/projects/*/images:annotate."""
    found = TEMPLATE.fullmatch(binding.path)
    return f"{found['head']}{found['pattern']}{found['custom_verb']}{found['tail']}" if found else binding.path


def _method(method: Method, binding: Binding, resource: str, name: str, package: str) -> dict[str, Any]:
    found = TEMPLATE.fullmatch(binding.path)
    described: dict[str, Any] = {
        "id": f"vision.{resource}.{name}",
        "httpMethod": binding.verb,
        "flatPath": _flat_path(binding),
        "path": binding.path[1:],
        "parameterOrder": [],
        "parameters": {},
        "response": {"$ref": _schema_name(_response(method, package), package)},
        "scopes": list(_SCOPES),
    }
    body = _request_body(method, binding)
    if body is not None:
        described["request"] = {"$ref": _schema_name(body, package)}
    if binding.body != "*":
        described["parameters"] = {
            field.json_name: _property(field, package, set()) | {"location": "query"}
            for field in method.wire_request.DESCRIPTOR.fields
            if field.name not in {binding.body, *_variables(binding)}
        }
    if found:
        variable = found["variable"].rpartition(".")[2]
        pattern = "^" + found["pattern"].replace("*", "[^/]+") + "$"
        described["path"] = f"{found['head'][1:]}{{+{variable}}}{found['custom_verb']}{found['tail']}"
        described["parameterOrder"] = [variable]
        described["parameters"][variable] = {"location": "path", "pattern": pattern, "required": True, "type": "string"}
    return described


def _flat_path(binding: Binding) -> str:
    """The path with one variable a segment: v1/projects/{projectsId}/images:annotate."""
    flat: list[str] = []
    for segment in _expanded(binding).split("/")[1:]:
        flat.append(segment.replace("*", f"{{{flat[-1]}Id}}") if flat else segment)
    return "/".join(flat)


def _variables(binding: Binding) -> set[str]:
    """The field of the request that the path holds, if any; only its first name."""
    found = TEMPLATE.fullmatch(binding.path)
    return {found["variable"].partition(".")[0]} if found else set()


def _request_body(method: Method, binding: Binding) -> Descriptor | None:
    """The message that the body of a call is."""
    request = method.wire_request.DESCRIPTOR
    if binding.body == "*":
        return request
    return request.fields_by_name[binding.body].message_type if binding.body else None


def _response(method: Method, package: str) -> Descriptor:
    """The message of the answer, of the version's own package."""
    full_name = method.response.DESCRIPTOR.full_name
    return POOL.FindMessageTypeByName(full_name.replace(f"{V1}.", f"{package}.", 1) if full_name.startswith(f"{V1}.") else full_name)


def _reached(roots: Iterable[Descriptor]) -> list[Descriptor]:
    """All messages that have a schema, from those of requests and answers down."""
    found: dict[str, Descriptor] = {}
    waiting = list(roots)
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in found or descriptor.full_name in _WELL_KNOWN or descriptor.full_name in WRAPPERS:
            continue
        found[descriptor.full_name] = descriptor
        waiting += [field.message_type for field in descriptor.fields if field.message_type is not None and not is_map(field)]
    return list(found.values())


def _schema_name(descriptor: Descriptor, package: str) -> str:
    """As the real documents name it: in v1 by the last name alone, in a beta by all with the version; what is shared by the last."""
    full_name: str = descriptor.full_name
    if package == V1 or not full_name.startswith(f"{package}."):
        return full_name.rpartition(".")[2]
    version = package.rpartition(".")[2]
    return f"GoogleCloudVision{version.capitalize()}{full_name.removeprefix(f'{package}.').replace('.', '')}"


def _schema(descriptor: Descriptor, package: str, left_out: set[str]) -> dict[str, Any]:
    repeated = repeated_fields(descriptor)
    properties = {field.json_name: _property(field, package, repeated) for field in descriptor.fields if field.name not in left_out}
    return {"id": _schema_name(descriptor, package), "type": "object", "properties": properties}


def _property(field: Field, package: str, repeated: set[str]) -> dict[str, Any]:
    """What one field may hold; ``repeated`` are the names of the repeated fields around it."""
    if is_map(field):
        return {"type": "object", "additionalProperties": _value(field.message_type.fields_by_name["value"], package)}
    value = _value(field, package)
    return {"type": "array", "items": value} if field.name in repeated else value


def _value(field: Field, package: str) -> dict[str, Any]:
    """What one value of a field is."""
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    if field.message_type is None:
        return dict(_SCALARS[field.type])
    full_name: str = field.message_type.full_name
    if full_name in WRAPPERS:
        return _value(field.message_type.fields_by_name["value"], package)
    return dict(_WELL_KNOWN.get(full_name) or {"$ref": _schema_name(field.message_type, package)})
