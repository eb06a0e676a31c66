"""The message classes of the wire contract, in a descriptor pool of their own.

google-cloud-vision registers the same names in protobuf's default pool, and two files with one name cannot share a pool;
in a private one the emulator and the official client live in one process, in either import order. What follows from it:
never mix in classes of the default pool (google.rpc.status_pb2, google.longrunning.*), and always hand ``POOL`` to
json_format. The betas are v1 under another package name: the published ones are strict subsets of it.
"""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.internal import enum_type_wrapper
from google.protobuf.message import Message

V1: Final = "google.cloud.vision.v1"
BETAS: Final = tuple(f"google.cloud.vision.v1p{n}beta1" for n in (1, 2, 3, 4))
TYPE_URL: Final = "type.googleapis.com/"

POOL: Final = descriptor_pool.DescriptorPool()


def _load() -> None:
    """Fills the pool from the compiled contract; RuntimeError when the package was never built."""
    compiled = importlib.resources.files(__package__) / "contract.fds"
    if not compiled.is_file():
        raise RuntimeError(
            f"{compiled} is missing: the contract is compiled when the package is built; run `pip install -e .` in the project"
        )
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file:  # dependencies come first
        POOL.AddSerializedFile(file.SerializeToString())
        if file.package == V1:
            for beta in BETAS:
                derived = _renamed(file, V1, beta)
                if beta.endswith("v1p4beta1"):
                    _add_celebrities(derived)
                POOL.AddSerializedFile(derived.SerializeToString())
        elif file.package == "grpc.reflection.v1":
            POOL.AddSerializedFile(_renamed(file, "grpc.reflection.v1", "grpc.reflection.v1alpha").SerializeToString())


def _renamed(file: descriptor_pb2.FileDescriptorProto, package: str, other: str) -> descriptor_pb2.FileDescriptorProto:
    """A copy of the file under another package: its full type names, and the version at the start of each HTTP path.

    Type names in operation_info stay as they are: protos/vision.proto writes them relative to the package.
    """
    twin = descriptor_pb2.FileDescriptorProto()
    twin.CopyFrom(file)
    twin.name = other.replace(".", "/") + "/" + file.name
    twin.package = other

    def moved(type_name: str) -> str:
        return f".{other}." + type_name.removeprefix(f".{package}.") if type_name.startswith(f".{package}.") else type_name

    def rename(message: descriptor_pb2.DescriptorProto) -> None:
        for field in message.field:
            if field.type_name:  # a scalar has none, and must not get an empty one
                field.type_name = moved(field.type_name)
        for nested in message.nested_type:
            rename(nested)

    for message in twin.message_type:
        rename(message)
    version, other_version = (f"/{name.rpartition('.')[2]}/" for name in (package, other))
    for service in twin.service:
        for method in service.method:
            method.input_type, method.output_type = moved(method.input_type), moved(method.output_type)
            options = _method_options(method.options)
            for rule in _http_rules(options):
                verb = rule.WhichOneof("pattern")
                setattr(rule, verb, getattr(rule, verb).replace(version, other_version, 1))
            method.options.ParseFromString(options.SerializeToString())
    return twin


def _add_celebrities(file: descriptor_pb2.FileDescriptorProto) -> None:
    """What v1p4beta1 has beyond v1: three messages and two fields about recognising famous faces."""
    fields = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *members: tuple[str, int, bool, int, str]) -> None:
        added = file.message_type.add(name=name)
        for field_name, number, repeated, kind, type_name in members:
            _add_field(added, field_name, number, repeated, kind, type_name)

    package = f".{file.package}."
    message("FaceRecognitionParams", ("celebrity_set", 1, True, fields.TYPE_STRING, ""))
    message(
        "Celebrity",
        ("name", 1, False, fields.TYPE_STRING, ""),
        ("display_name", 2, False, fields.TYPE_STRING, ""),
        ("description", 3, False, fields.TYPE_STRING, ""),
    )
    message(
        "FaceRecognitionResult",
        ("celebrity", 1, False, fields.TYPE_MESSAGE, package + "Celebrity"),
        ("confidence", 2, False, fields.TYPE_FLOAT, ""),
    )
    by_name = {message.name: message for message in file.message_type}
    _add_field(by_name["FaceAnnotation"], "recognition_result", 16, True, fields.TYPE_MESSAGE, package + "FaceRecognitionResult")
    _add_field(by_name["ImageContext"], "face_recognition_params", 10, False, fields.TYPE_MESSAGE, package + "FaceRecognitionParams")


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, repeated: bool, kind: int, type_name: str) -> None:
    """Appends one field, with the JSON name protoc would have given it."""
    head, *rest = name.split("_")
    message.field.add(
        name=name,
        number=number,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED if repeated else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        type=kind,
        type_name=type_name or None,
        json_name=head + "".join(part.capitalize() for part in rest),
    )


def message_class(full_name: str) -> type[Any]:
    """The class of a message by its full name, from the private pool; KeyError when the contract has no such message."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))


def _method_options(options: Message) -> Any:
    """A method's options as google.protobuf.MethodOptions of our own pool, so that extensions of our own pool can be read from them.

    Descriptors answer the default pool's class, in which google.api.http is unknown or foreign.
    """
    return message_class("google.protobuf.MethodOptions").FromString(options.SerializeToString())


def _http_rules(options: Any) -> list[Any]:
    """The rules in options of our own pool, the main one first."""
    extension = POOL.FindExtensionByName("google.api.http")
    if not options.HasExtension(extension):
        return []
    rule = options.Extensions[extension]
    return [rule, *rule.additional_bindings]


def http_rules(method: MethodDescriptor) -> list[Any]:
    """The google.api.HttpRule messages of a method, the main one first; empty when it has none."""
    return _http_rules(_method_options(method.GetOptions()))


def operation_types(method: MethodDescriptor) -> tuple[str, str]:
    """Full names of what a method's operation ends with and of its metadata; two empty strings when it answers no operation."""
    info = _method_options(method.GetOptions()).Extensions[POOL.FindExtensionByName("google.longrunning.operation_info")]
    package = method.containing_service.file.package

    def full(name: str) -> str:
        return name if "." in name or not name else f"{package}.{name}"

    return full(info.response_type), full(info.metadata_type)


def pack(message: Message) -> Any:
    """google.protobuf.Any around a message of our pool, typed with its full name."""
    wrapped = AnyMessage()
    wrapped.Pack(message)
    return wrapped


_load()

if TYPE_CHECKING:
    from google.longrunning.operations_pb2 import (
        CancelOperationRequest,
        DeleteOperationRequest,
        GetOperationRequest,
        ListOperationsRequest,
        ListOperationsResponse,
        Operation,
        WaitOperationRequest,
    )
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.timestamp_pb2 import Timestamp
    from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, LocalizedMessage, QuotaFailure, ResourceInfo, RetryInfo
    from google.rpc.status_pb2 import Status

    from vision_emulator.contract.vision_pb2 import *
else:
    for _name, _full in {
        "AnyMessage": "google.protobuf.Any",
        "Duration": "google.protobuf.Duration",
        "Empty": "google.protobuf.Empty",
        "Timestamp": "google.protobuf.Timestamp",
    }.items():
        globals()[_name] = message_class(_full)
    for _file in ("google/rpc/error_details.proto", "google/rpc/status.proto", "google/longrunning/operations.proto", "vision.proto"):
        for _name, _descriptor in POOL.FindFileByName(_file).message_types_by_name.items():
            globals()[_name] = message_factory.GetMessageClass(_descriptor)
    Likelihood = enum_type_wrapper.EnumTypeWrapper(POOL.FindEnumTypeByName(f"{V1}.Likelihood"))
