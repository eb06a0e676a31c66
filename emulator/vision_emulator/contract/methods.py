"""The method table: one row per RPC, read from the descriptors, and the one lookup from an HTTP request line to its row.

Nothing is routed by hand: gRPC handlers are found in ``METHODS`` by path, REST requests by ``match`` in a tree built from the
google.api.http templates. The betas offer every method of v1, because the real server does (the published clients are narrower).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from vision_emulator.contract.hurt import Hurt
from vision_emulator.contract.messages import BETAS, POOL, V1, http_rules, message_class, operation_types

LONGRUNNING: Final = "google.longrunning"
PROJECT: Final = "x-goog-user-project"  # metadata: the project that a call is billed to
ROUTING: Final = "x-goog-request-params"  # metadata: the resource that gRPC clients say a call is about: parent=projects/p
_VERSIONS: Final = tuple(package.rpartition(".")[2] for package in (V1, *BETAS))


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST form of a method."""

    verb: str  # "GET", "POST", "PATCH", "DELETE"
    path: str  # a template: "/v1/{parent=projects/*}/images:annotate"
    body: str = ""  # "*": the body is the request; a field's name: the body is that field; "": no body is taken


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One RPC. A beta is v1 under another name, so the core sees v1's classes whatever the caller's package."""

    package: str  # "google.cloud.vision.v1p2beta1", "google.longrunning"
    service: str  # "ImageAnnotator", "ProductSearch", "Operations"
    name: str  # "AsyncBatchAnnotateImages"
    request: type[Any]  # what the core takes: v1's class; gRPC bytes are parsed straight into it
    response: type[Any]  # what the core answers: v1's class
    wire_request: type[Any]  # the class of its own package: JSON is read as this (v1p4beta1 has more fields)
    bindings: tuple[Binding, ...]
    operation_response: str = ""  # full name, in its own package, of what the operation ends with; "" when it answers no operation
    operation_metadata: str = ""
    resource: str = ""  # the field of the request that names a resource, "parent" or "name"; "" when none does

    @property
    def full_name(self) -> str:
        """As journals, errors and fault rules name it: "google.cloud.vision.v1.ImageAnnotator.AsyncBatchAnnotateImages"."""
        return f"{self.package}.{self.service}.{self.name}"

    @property
    def grpc_path(self) -> str:
        """As HTTP/2 names it: "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"."""
        return f"/{self.package}.{self.service}/{self.name}"

    @property
    def version(self) -> str:
        """The version of the API: "v1", "v1p2beta1"; "v1" for operations, which all versions share."""
        return "v1" if self.package == LONGRUNNING else self.package.rpartition(".")[2]


class Match(NamedTuple):
    """What an HTTP request line names."""

    method: Method
    binding: Binding
    variables: dict[str, str]  # from the path, by dotted field: {"product_set.name": "projects/p/locations/l/productSets/s"}


@dataclass(slots=True)
class Call:
    """One RPC in flight, the same whichever surface took it."""

    method: Method
    request: Any  # of method.request
    metadata: Mapping[str, str]  # lower-case keys: HTTP headers or gRPC metadata
    transport: str = "direct"  # or "rest", "grpc"
    deadline_seconds: float | None = None  # what the caller had left when the call arrived
    answer_metadata: dict[str, str] = field(default_factory=dict)  # what the answer's headers or trailers will say
    hurt: Hurt | None = None  # what fault rules do to it
    size: int = 0  # bytes of the request as it came; 0 when nobody counted
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)  # what its inline pictures turned out to be, by their place
    struck: list[str] = field(default_factory=list)  # the faults that struck it
    _whose: str | None = field(default=None, init=False, repr=False)

    @property
    def project(self) -> str:
        """Whose call it is: the project that the caller names, or the one whose resources it is about; "" when neither is said."""
        if self._whose is None:
            self._whose = self.metadata.get(PROJECT) or self._owner()
        return self._whose

    def _owner(self) -> str:
        field_name = self.method.resource
        resource = getattr(self.request, field_name) if field_name else ""
        routing = self.metadata.get(ROUTING, "")
        return _project(resource) or (_project(unquote(routing.partition("=")[2])) if routing else "")


def _project(resource: str) -> str:
    collection, _, rest = resource.partition("/")
    return rest.partition("/")[0] if collection == "projects" else ""


# Where operations are reached over REST, under every version: discovery and the service configuration list these forms for v1, and
# the clients of the betas poll the same ones under their own prefix. (The common operations.proto knows "operations/**" alone.)
_OPERATION_NAMES: Final = ("operations/*", "projects/*/operations/*", "projects/*/locations/*/operations/*", "locations/*/operations/*")
_OPERATIONS_REST: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "ListOperations": tuple(
        ("GET", path, "") for path in ("{name=operations}", "{name=projects/*}/operations", "{name=projects/*/locations/*}/operations")
    ),
    "GetOperation": tuple(("GET", f"{{name={name}}}", "") for name in _OPERATION_NAMES),
    "DeleteOperation": tuple(("DELETE", f"{{name={name}}}", "") for name in _OPERATION_NAMES),
    "CancelOperation": tuple(("POST", f"{{name={name}}}:cancel", "*") for name in _OPERATION_NAMES),
    "WaitOperation": tuple(("POST", f"{{name={name}}}:wait", "*") for name in _OPERATION_NAMES),
}


def _bindings(rpc: Any) -> tuple[Binding, ...]:
    """The REST forms of a method: operations from the table above, all others from their google.api.http option."""
    if rpc.containing_service.file.package == LONGRUNNING:
        forms = _OPERATIONS_REST[rpc.name]
        return tuple(Binding(verb, f"/{version}/{path}", body) for version in _VERSIONS for verb, path, body in forms)
    return tuple(Binding(verb.upper(), getattr(rule, verb), rule.body) for rule in http_rules(rpc) if (verb := rule.WhichOneof("pattern")))


def _methods() -> Iterator[Method]:
    """Every method the emulator knows, in the order of the proto files."""
    services = [f"{package}.{service}" for package in (V1, *BETAS) for service in ("ImageAnnotator", "ProductSearch")]
    for full_name in (*services, f"{LONGRUNNING}.Operations"):
        package, _, service = full_name.rpartition(".")
        for rpc in POOL.FindServiceByName(full_name).methods:
            operation_response, operation_metadata = operation_types(rpc)
            yield Method(
                package=package,
                service=service,
                name=rpc.name,
                request=_v1_class(rpc.input_type, package),
                response=_v1_class(rpc.output_type, package),
                wire_request=message_class(rpc.input_type.full_name),
                bindings=_bindings(rpc),
                operation_response=operation_response,
                operation_metadata=operation_metadata,
                resource=next((field for field in ("parent", "name") if field in rpc.input_type.fields_by_name), ""),
            )


def _v1_class(descriptor: Any, package: str) -> type[Any]:
    """The class of a message, of v1 when it is a beta's."""
    full_name: str = descriptor.full_name
    return message_class(full_name.replace(f"{package}.", f"{V1}.", 1) if package in BETAS else full_name)


METHODS: Final[Mapping[str, Method]] = MappingProxyType({method.grpc_path: method for method in _methods()})
"""All of v1, of the four betas, and google.longrunning.Operations, by gRPC path."""


# ---- from a request line to a method ----


class _Route(NamedTuple):
    """The leaf of the tree: a binding, and which segments of the path are its variable."""

    method: Method
    binding: Binding
    variable: str  # the dotted field; "" when the template has none
    start: int
    stop: int
    custom_verb: str  # ":cancel" right behind the variable; "" when there is none


# A template of this API is literal, or holds one variable that spans whole segments: /v1/{name=projects/*/operations/*}:cancel
TEMPLATE: Final = re.compile(r"(?P<head>[^{}]*)\{(?P<variable>[\w.]+)=(?P<pattern>[^{}]+)\}(?P<custom_verb>[^/{}]*)(?P<tail>[^{}]*)")


def _route(method: Method, binding: Binding) -> tuple[list[str], _Route]:
    """A binding's segments, with "*" for any one and "*:verb" for any one before a custom verb; and its leaf."""
    found = TEMPLATE.fullmatch(binding.path)
    if found is None:
        return binding.path.split("/")[1:], _Route(method, binding, "", 0, 0, "")
    head, variable, pattern, custom_verb, tail = found.groups()
    start = head.count("/") - 1  # the first segment is what follows the leading slash
    stop = start + pattern.count("/") + 1
    return f"{head}{pattern}{custom_verb}{tail}".split("/")[1:], _Route(method, binding, variable, start, stop, custom_verb)


@cache
def _tree() -> dict[str, Any]:
    """All bindings, by verb and then segment by segment; a leaf stands under the key "" (no segment is empty)."""
    tree: dict[str, Any] = {}
    for method in METHODS.values():
        for binding in method.bindings:
            segments, route = _route(method, binding)
            node = tree.setdefault(binding.verb, {})
            for segment in segments:
                node = node.setdefault(segment, {})
            node[""] = route
    return tree


def match(verb: str, raw_path: str) -> Match | None:
    """The method an HTTP request names, or None; raw_path is still percent-encoded and has no query.

    As google.api.http says: "*" is one segment, and %2F stays encoded inside a variable of several segments (all of this API's are).
    No node of the tree has a literal beside a "*", so the walk never turns back; a custom verb wins over a plain "*".
    """
    node = _tree().get(verb)
    first, *segments = _decoded(raw_path).split("/")
    if first:
        return None
    for segment in segments:
        if node is None or not segment:
            return None
        colon = segment.rfind(":")
        node = node.get(segment) or (node.get("*" + segment[colon:]) if colon > 0 else None) or node.get("*")
    if node is None:
        return None
    route: _Route | None = node.get("")
    if route is None:
        return None
    method, binding, variable, start, stop, custom_verb = route
    if not variable:
        return Match(method, binding, {})
    return Match(method, binding, {variable: "/".join(segments[start:stop]).removesuffix(custom_verb)})


def _decoded(raw_path: str) -> str:
    """The path with every escape undone but %2F."""
    path = encodable(raw_path)
    return unquote(path.replace("%2F", "%252F").replace("%2f", "%252f")) if "%" in path else path


def encodable(text: str) -> str:
    """The text as UTF-8 can hold it: bytes that were none, which servers hand on as lone surrogates, become U+FFFD."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
