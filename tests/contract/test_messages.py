"""The private descriptor pool: our classes beside the official client's, and what is derived from v1 in memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, json_format

from vision_emulator.contract import messages
from vision_emulator.contract.messages import (
    BETAS,
    POOL,
    V1,
    AnnotateImageResponse,
    AnyMessage,
    AsyncBatchAnnotateImagesResponse,
    BadRequest,
    Duration,
    Feature,
    ImageContext,
    Likelihood,
    Operation,
    OperationMetadata,
    Status,
    Timestamp,
    http_rules,
    message_class,
    operation_types,
    pack,
)


def run_python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=60, check=False)


EMULATOR = "from vision_emulator.contract import messages"
CLIENT = "from google.cloud import vision"


@pytest.mark.parametrize("imports", [f"{EMULATOR}\n{CLIENT}", f"{CLIENT}\n{EMULATOR}"], ids=["emulator first", "client first"])
def test_the_official_client_is_imported_beside_us_in_either_order(imports: str) -> None:
    """Both register google.cloud.vision.v1.Image in one process, and read each other's bytes."""
    exchange = """
ours = messages.AnnotateImageRequest(image={"content": b"x"}, features=[{"type": 4, "max_results": 3}])
theirs = vision.AnnotateImageRequest.deserialize(ours.SerializeToString())
assert theirs.image.content == b"x" and theirs.features[0].type_ == 4
assert messages.AnnotateImageRequest.FromString(vision.AnnotateImageRequest.serialize(theirs)) == ours
"""
    done = run_python(imports + exchange)
    assert done.returncode == 0, done.stderr


def test_nothing_of_ours_reaches_the_default_pool() -> None:
    """Whoever imports us can still load any file of Google's into protobuf's default pool."""
    done = run_python(
        f"{EMULATOR}\nfrom google.protobuf import descriptor_pool\n"
        "for name in ('google.cloud.vision.v1.Image', 'google.rpc.Status', 'google.longrunning.Operation', 'google.api.HttpRule'):\n"
        "    try: descriptor_pool.Default().FindMessageTypeByName(name)\n"
        "    except KeyError: continue\n"
        "    raise SystemExit(name)"
    )
    assert done.returncode == 0, done.stderr


def test_a_package_that_was_never_built_says_what_to_do(tmp_path: Path) -> None:
    """Without the compiled contract the import fails with the path that is missing and the command that makes it."""
    package = tmp_path / "vision_emulator"
    shutil.copytree(Path(messages.__file__).parent, package / "contract", ignore=shutil.ignore_patterns("*.fds", "__pycache__"))
    (package / "__init__.py").touch()
    done = run_python(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{EMULATOR}")
    assert "RuntimeError" in done.stderr
    assert str(package / "contract" / "contract.fds") in done.stderr
    assert "pip install -e ." in done.stderr


def test_any_and_well_known_types_go_through_json_with_our_pool() -> None:
    """An operation with metadata, response and times survives JSON when, and only when, json_format is given our pool."""
    done = Operation(
        name="projects/p/operations/0123456789abcdef",
        metadata=pack(OperationMetadata(state=OperationMetadata.State.DONE, create_time=Timestamp(seconds=1_600_000_000))),
        done=True,
        response=pack(AsyncBatchAnnotateImagesResponse(output_config={"gcs_destination": {"uri": "gs://b/o/"}, "batch_size": 2})),
    )
    text = json_format.MessageToJson(done, descriptor_pool=POOL)
    assert json.loads(text)["metadata"] == {
        "@type": "type.googleapis.com/google.cloud.vision.v1.OperationMetadata",
        "state": "DONE",
        "createTime": "2020-09-13T12:26:40Z",
    }
    assert json_format.Parse(text, Operation(), descriptor_pool=POOL) == done


def test_packing_names_the_full_type() -> None:
    """What is packed carries its type URL and unpacks to the same value; a beta's message carries the beta's name."""
    status = Status(code=3, details=[pack(BadRequest(field_violations=[{"field": "f", "description": "d"}]))])
    inside = BadRequest()
    assert status.details[0].Unpack(inside)
    assert inside.field_violations[0].field == "f"
    for package in BETAS:
        wrapped = pack(message_class(f"{package}.OperationMetadata")(state=2))
        assert isinstance(wrapped, AnyMessage)
        assert wrapped.type_url == f"type.googleapis.com/{package}.OperationMetadata"


def test_well_known_types_have_their_conveniences() -> None:
    """Classes of our pool are full members of protobuf: times convert, enums know their names."""
    assert Duration(seconds=2).ToTimedelta().total_seconds() == 2
    assert Likelihood.Name(5) == "VERY_LIKELY"
    assert Feature.Type.Value("OBJECT_LOCALIZATION") == 19


@pytest.mark.parametrize("package", BETAS)
def test_betas_are_v1_under_another_name(package: str) -> None:
    """A beta's file is v1's with its own names throughout: no type of v1 is reachable from it, and its URLs carry its version."""
    file = descriptor_pb2.FileDescriptorProto()
    POOL.FindMessageTypeByName(f"{package}.Image").file.CopyToProto(file)
    assert V1 + "." not in str(file)
    version = package.rpartition(".")[2]
    for service in ("ImageAnnotator", "ProductSearch"):
        for method in POOL.FindServiceByName(f"{package}.{service}").methods:
            paths = [getattr(rule, rule.WhichOneof("pattern")) for rule in http_rules(method)]
            assert paths
            assert all(path.startswith(f"/{version}/") for path in paths)
            if method.output_type.full_name == "google.longrunning.Operation":
                assert operation_types(method)[1].startswith(f"{package}.")


def test_v1p4beta1_alone_knows_celebrities() -> None:
    """The last beta has two fields more than v1; they pass through v1's classes as bytes and are not lost."""
    beta = message_class("google.cloud.vision.v1p4beta1.ImageContext")(face_recognition_params={"celebrity_set": ["a"]})
    assert beta.FromString(ImageContext.FromString(beta.SerializeToString()).SerializeToString()) == beta
    face = message_class("google.cloud.vision.v1p4beta1.FaceAnnotation")(
        recognition_result=[{"celebrity": {"name": "n"}, "confidence": 0.5}]
    )
    assert json_format.MessageToDict(face) == {"recognitionResult": [{"celebrity": {"name": "n"}, "confidence": 0.5}]}
    for package in (V1, *BETAS[:3]):
        with pytest.raises(KeyError):
            message_class(f"{package}.FaceRecognitionParams")


def test_reflection_has_a_twin_for_older_clients() -> None:
    """grpc.reflection.v1alpha is v1 under another name, wire-identical, all of its own package."""
    twin = POOL.FindServiceByName("grpc.reflection.v1alpha.ServerReflection")
    assert twin.methods[0].input_type.full_name == "grpc.reflection.v1alpha.ServerReflectionRequest"
    asked = message_class("grpc.reflection.v1.ServerReflectionRequest")(list_services="*")
    answered = message_class("grpc.reflection.v1alpha.ServerReflectionResponse")(
        original_request={"list_services": "*"}, list_services_response={"service": [{"name": "s"}]}
    )
    assert answered.original_request.SerializeToString() == asked.SerializeToString()
    assert answered.list_services_response.DESCRIPTOR.full_name.startswith("grpc.reflection.v1alpha.")


def test_every_message_of_the_contract_has_a_name_here() -> None:
    """The door is complete: each top-level message of vision.proto can be imported from it, and is of our pool."""
    for name, descriptor in POOL.FindFileByName("vision.proto").message_types_by_name.items():
        assert getattr(messages, name).DESCRIPTOR is descriptor
    with pytest.raises(KeyError):
        message_class(f"{V1}.Nothing")
    assert AnnotateImageResponse.DESCRIPTOR.file.pool is POOL
