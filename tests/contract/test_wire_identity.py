"""What we wrote in protos/ is, on the wire, what Google publishes: compared with the published client and the discovery document.

The client's classes live in protobuf's default pool and ours in a private one, so both are at hand here. The betas are derived
from v1, and wider than the published ones (the server is, says discovery): there, published is a subset of ours.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import googleapiclient
import grpc
import proto
import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from vision_emulator.contract.messages import BETAS, POOL, V1
from vision_emulator.contract.methods import LONGRUNNING, METHODS, Method

PACKAGES = (V1, *BETAS)
DOCUMENTS = {
    package: Path(googleapiclient.__file__).parent / f"discovery_cache/documents/vision.{package.rpartition('.')[2]}.json"
    for package in PACKAGES[:3]  # the client bundles no document of v1p3beta1 and v1p4beta1
}


def module_of(package: str) -> str:
    """google.cloud.vision.v1 -> google.cloud.vision_v1."""
    return package.replace(".vision.", ".vision_")


# ---- messages and enums ----


def with_nested(messages: Any) -> Iterator[Descriptor]:
    """The messages and all inside them, map entries too."""
    for message in messages:
        yield message
        yield from with_nested(message.nested_types)


def facts(files: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the wire knows of the files' messages and enums, by full name: plain values that compare."""
    messages = [message for file in files for message in with_nested(file.message_types_by_name.values())]
    enums = [enum for file in files for enum in file.enum_types_by_name.values()]
    enums += [enum for message in messages for enum in message.enum_types]
    return {message.full_name: message_facts(message) for message in messages}, {enum.full_name: enum_facts(enum) for enum in enums}


def message_facts(message: Descriptor) -> dict[int | str, Any]:
    shape: dict[int | str, Any] = {field.number: field_facts(field) for field in message.fields}
    return shape | {"map_entry": message.GetOptions().map_entry}


def field_facts(field: FieldDescriptor) -> tuple[Any, ...]:
    inner = field.message_type or field.enum_type
    return (
        field.name.removesuffix("_"),  # proto-plus writes type_ for type
        field.json_name,
        field.type,
        field.is_repeated,
        field.is_packed,
        field.has_presence,
        field.containing_oneof and field.containing_oneof.name,
        inner and inner.full_name,
    )


def enum_facts(enum: EnumDescriptor) -> dict[int, str]:
    return {value.number: value.name for value in enum.values}


def published_files(package: str) -> list[Any]:
    types = importlib.import_module(f"{module_of(package)}.types")
    classes = [value for value in vars(types).values() if isinstance(value, type) and issubclass(value, proto.Message)]
    return list({cls.pb().DESCRIPTOR.file.name: cls.pb().DESCRIPTOR.file for cls in classes}.values())


def own_file(package: str) -> Any:
    return POOL.FindMessageTypeByName(f"{package}.Image").file


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_and_enums_are_the_published_ones(package: str) -> None:
    """Each published message and enum is ours: numbers, names, types, labels, packing, presence, oneofs, maps."""
    published, published_enums = facts(published_files(package))
    own, own_enums = facts([own_file(package)])
    assert len(published) >= 40  # the comparison has not silently become one of nothing
    for name, shape in published.items():
        assert shape.items() <= own[name].items(), name
    for name, values in published_enums.items():
        assert values.items() <= own_enums[name].items(), name


def test_v1_has_nothing_that_is_not_published() -> None:
    """In v1 the comparison holds in both directions: we invent nothing."""
    assert facts([own_file(V1)]) == facts(published_files(V1))


# ---- gRPC ----


class Recorder(grpc.Channel):  # type: ignore[misc]
    """A channel that only remembers which RPCs a client's stubs were made for."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Any, Any]] = {}

    def unary_unary(self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any) -> Any:
        self.made[method] = class_name(request_serializer), class_name(response_deserializer)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("Vision has no streaming RPC")

    unary_stream = stream_unary = stream_stream = subscribe = unsubscribe = _refuse

    def close(self) -> None:
        pass


def class_name(bound: Any) -> str:
    """The full name of the message class that a client's (de)serializer is a method of: proto-plus's or protobuf's own."""
    owner = bound.__self__
    return str((owner.pb() if issubclass(owner, proto.Message) else owner).DESCRIPTOR.full_name)


def services(package: str) -> list[str]:
    return ["ImageAnnotator", "ProductSearch"] if package not in BETAS[:2] else ["ImageAnnotator"]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def transports(package: str, service: str, kind: str) -> Any:
    return importlib.import_module(f"{module_of(package)}.services.{snake(service)}.transports.{kind}")


def wire_type(method: Method, which: str) -> str:
    """The full name of a method's request or response, in its own package."""
    rpc = POOL.FindServiceByName(f"{method.package}.{method.service}").methods_by_name[method.name]
    return str(getattr(rpc, which).full_name)


@pytest.mark.parametrize("package", PACKAGES)
def test_grpc_paths_and_types_are_the_published_ones(package: str) -> None:
    """Every RPC that a published gRPC client calls is in the table, with its request and response; in v1 no other is."""
    made: dict[str, tuple[Any, Any]] = {}
    for service in services(package):
        recorder = Recorder()
        transport = getattr(transports(package, service, "grpc"), f"{service}GrpcTransport")(channel=recorder)
        transport._logged_channel = recorder  # it had wrapped its channel in an interceptor, and made its stubs through that
        transport._stubs.clear()
        for method in POOL.FindServiceByName(f"{package}.{service}").methods:
            getattr(transport, snake(method.name), None)
        made |= recorder.made
    own = {
        path: (wire_type(method, "input_type"), wire_type(method, "output_type"))
        for path, method in METHODS.items()
        if method.package == package
    }
    assert made
    assert made.items() <= own.items()
    assert package != V1 or made == own


@pytest.mark.parametrize("service", ["ImageAnnotator", "ProductSearch"])
def test_operation_types_are_the_published_ones(service: str) -> None:
    """What an operation's response and metadata hold is what the published client unpacks them as."""
    module = importlib.import_module(f"google.cloud.vision_v1.services.{snake(service)}.client")
    source = Path(str(module.__file__)).read_text()
    wanted = {
        snake(method.name): tuple(name.rpartition(".")[2] for name in (method.operation_response, method.operation_metadata))
        for method in METHODS.values()
        if method.package == V1 and method.service == service and method.operation_response
    }
    found = {}
    for body in re.split(r"\n    def ", source):
        types = re.search(r"operation\.from_gapic\(\s*\w+,\s*[\w.]+,\s*[\w.]+\.(\w+),\s*metadata_type=[\w.]+\.(\w+),", body)
        if types:
            found[body.partition("(")[0]] = types.groups()
    assert found
    assert wanted == found


# ---- REST ----


def published_bindings(package: str, service: str) -> dict[str, list[tuple[str, str, str]]]:
    """(verb, path, body) of each method of the published REST client; operations under "GetOperation"."""
    base = getattr(transports(package, service, "rest_base"), f"_Base{service}RestTransport")
    return {
        name.removeprefix("_Base"): [(rule["method"].upper(), rule["uri"], rule.get("body", "")) for rule in rpc._get_http_options()]
        for name, rpc in vars(base).items()
        if name.startswith("_Base")
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_http_bindings_are_the_published_ones(package: str) -> None:
    """Every URL of a published REST client is bound to its method; in v1 the lists are equal, in the same order."""
    for service in services(package):
        published = published_bindings(package, service)
        operation_forms = published.pop("GetOperation", [])
        assert published
        for name, rules in published.items():
            own = [(b.verb, b.path, b.body) for b in METHODS[f"/{package}.{service}/{name}"].bindings]
            assert set(rules) <= set(own), name
            assert package != V1 or rules == own, name
        get_operation = METHODS[f"/{LONGRUNNING}.Operations/GetOperation"]
        assert set(operation_forms) <= {(b.verb, b.path, b.body) for b in get_operation.bindings}
        assert package != V1 or len(operation_forms) == 4


def discovered_methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from discovered_methods(inner)


@pytest.mark.parametrize("package", DOCUMENTS)
def test_urls_are_those_of_discovery(package: str) -> None:
    """Verb and path of every method that discovery lists are bound here; what v1 binds, discovery lists."""
    document = json.loads(DOCUMENTS[package].read_text())
    discovered = {(method["httpMethod"], "/" + re.sub(r"\{[^}]+\}", "*", method["flatPath"])) for method in discovered_methods(document)}
    assert len(discovered) >= 12
    version = package.rpartition(".")[2]
    bound = {
        owner: {
            (binding.verb, re.sub(r"\{[^=]+=([^}]+)\}", r"\1", binding.path))
            for method in METHODS.values()
            if method.package == owner
            for binding in method.bindings
            if binding.path.startswith(f"/{version}/")
        }
        for owner in (package, LONGRUNNING)
    }
    assert discovered <= bound[package] | bound[LONGRUNNING]
    assert package != V1 or bound[package] <= discovered


# ---- JSON ----

SCALARS = {
    FieldDescriptor.TYPE_STRING: ("string", None),
    FieldDescriptor.TYPE_BYTES: ("string", "byte"),
    FieldDescriptor.TYPE_BOOL: ("boolean", None),
    FieldDescriptor.TYPE_INT32: ("integer", "int32"),
    FieldDescriptor.TYPE_UINT64: ("string", "uint64"),
    FieldDescriptor.TYPE_FLOAT: ("number", "float"),
    FieldDescriptor.TYPE_DOUBLE: ("number", "double"),
}
IN_THE_PATH = {  # the field of a custom verb's request that discovery takes out of its body
    "AddProductToProductSetRequest": "name",
    "RemoveProductFromProductSetRequest": "name",
    "ImportProductSetsRequest": "parent",
    "PurgeProductsRequest": "parent",
    "CancelOperationRequest": "name",
}
WELL_KNOWN = {
    "google.protobuf.Timestamp": ("string", "google-datetime"),
    "google.protobuf.FieldMask": ("string", "google-fieldmask"),
    "google.protobuf.FloatValue": ("number", "float"),
    "google.protobuf.Any": ("object", None),
}


def schema_names() -> dict[str, Descriptor]:
    """Our messages by the names that discovery has for them: v1's by their last part, or all by a prefix that tells the version."""
    named: dict[str, Descriptor] = {}
    for package in PACKAGES:
        version = package.rpartition(".")[2]
        for message in with_nested(own_file(package).message_types_by_name.values()):
            inner = message.full_name.removeprefix(f"{package}.")
            named[f"GoogleCloudVision{version.capitalize()}{inner.replace('.', '')}"] = message
            if package == V1:
                named[inner.rpartition(".")[2]] = message
    for full_name in ("google.rpc.Status", "google.type.LatLng", "google.type.Color", "google.protobuf.Empty"):
        named[full_name.rpartition(".")[2]] = POOL.FindMessageTypeByName(full_name)
    return named | dict(POOL.FindFileByName("google/longrunning/operations.proto").message_types_by_name.items())


def said_by_discovery(schema: dict[str, Any], named: dict[str, Descriptor]) -> tuple[Any, ...]:
    """(shape, type, format or message or enum names) of one property."""
    if schema.get("type") == "array":
        return ("array", *said_by_discovery(schema["items"], named)[1:])
    if schema.get("type") == "object" and schema["additionalProperties"].get("type") == "string":
        return ("map", "string", None)
    if "$ref" in schema:
        return ("one", "message", named[schema["$ref"]].full_name)
    return ("one", schema["type"], frozenset(schema["enum"]) if "enum" in schema else schema.get("format"))


def said_by_us(field: FieldDescriptor) -> tuple[Any, ...]:
    """The same from a field of ours."""
    inner = field.message_type
    shape = "array" if field.is_repeated else "one"
    if inner and inner.GetOptions().map_entry:
        return ("map", *SCALARS[inner.fields_by_name["value"].type])
    if inner:
        return (shape, *WELL_KNOWN.get(inner.full_name, ("message", inner.full_name)))
    if field.enum_type:
        return (shape, "string", frozenset(field.enum_type.values_by_name))
    return (shape, *SCALARS[field.type])


@pytest.mark.parametrize("package", DOCUMENTS)
def test_json_is_that_of_discovery(package: str) -> None:
    """JSON names, types, formats and enum names of every schema in discovery are those of our descriptors, field for field."""
    named = schema_names()
    schemas = json.loads(DOCUMENTS[package].read_text())["schemas"]
    compared = 0
    for name, schema in schemas.items():
        message = named[name]
        discovered = {key: said_by_discovery(value, named) for key, value in schema.get("properties", {}).items()}
        own = {field.json_name: said_by_us(field) for field in message.fields}
        own.pop(IN_THE_PATH.get(name, ""), None)
        assert discovered == own, name
        compared += len(discovered)
    assert compared >= 250
