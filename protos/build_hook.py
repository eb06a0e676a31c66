"""Compiles protos/*.proto into the package: one descriptor set for run time, one stub for type checkers.

Hatchling runs this for wheels and editable installs (pyproject.toml, [tool.hatch.build.hooks.custom]).
The outputs are derived files and ignored by git; an sdist carries the .proto text and builds them again.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONTRACT = Path("emulator/vision_emulator/contract")
OWN = ("vision.proto", "health.proto", "reflection.proto")
# Not imported by our own files, but sent inside google.protobuf.Any by errors and understood by clients.
CARRIED = ("google/rpc/error_details.proto", "google/rpc/code.proto", "google/protobuf/struct.proto", "google/protobuf/wrappers.proto")


def compile_contract(root: Path) -> tuple[Path, Path]:
    """Compiles root/protos and answers the paths of contract.fds and vision_pb2.pyi; RuntimeError when protoc refuses."""
    from grpc_tools import protoc

    longrunning = importlib.util.find_spec("google.longrunning")
    if longrunning is None or not longrunning.submodule_search_locations:
        raise RuntimeError("googleapis-common-protos is missing: the contract imports google/rpc, google/type and google/longrunning")
    common = Path(next(iter(longrunning.submodule_search_locations))).parents[1]
    bundled = importlib.resources.files("grpc_tools") / "_proto"
    descriptors, stub = root / CONTRACT / "contract.fds", root / CONTRACT / "vision_pb2.pyi"
    with tempfile.TemporaryDirectory() as scratch:
        arguments = [
            "protoc",
            f"-I{root / 'protos'}",
            # The package ships this file under another name than the one it registers and everyone imports.
            f"-Igoogle/longrunning/operations.proto={common / 'google/longrunning/operations_proto.proto'}",
            f"-I{common}",
            f"-I{bundled}",
            "--include_imports",
            f"--descriptor_set_out={descriptors}",
            *OWN,
            *CARRIED,
        ]
        if protoc.main(arguments) != 0:
            raise RuntimeError(f"protoc refused the contract; its message is above. Command: {' '.join(arguments)}")
        stub_arguments = [*arguments[:5], f"--pyi_out={scratch}", "vision.proto"]
        if protoc.main(stub_arguments) != 0:
            raise RuntimeError(f"protoc wrote no stub. Command: {' '.join(stub_arguments)}")
        shutil.copyfile(Path(scratch) / "vision_pb2.pyi", stub)
    return descriptors, stub


class ContractBuildHook(BuildHookInterface[Any]):
    """Runs before hatchling collects the files of a wheel or an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            for path in compile_contract(Path(self.root)):
                build_data["artifacts"].append(str(path.relative_to(self.root)))
