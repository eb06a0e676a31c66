"""What cannot be run here is read as those who run it would: compose, the cluster's manifest, the workflow."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from vision_emulator.config import OPTIONS

FOLDER = Path(__file__).parents[2] / "docker"
VARIABLE = re.compile(r"VISION_EMULATOR_(?!HOST\b)([A-Z_]+)")
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.iterdir() if path.is_file()))
def test_variables_are_options(file: str) -> None:
    """Every variable that a file sets is one that the emulator reads."""
    for name in VARIABLE.findall((FOLDER / file).read_text()):
        assert name.lower() in OPTIONS


def test_what_the_image_is_made_of_is_there() -> None:
    """Each file that is copied exists, is not ignored, and is what the package is built from."""
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (FOLDER.parent / source).exists()
            assert f"!{source}" in ignored


def test_the_image_has_no_shell_in_its_way() -> None:
    """Health check, entry point and command are lists, so that signals and exit codes are the emulator's own; the user has no rights."""
    for word in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
        (line,) = re.findall(rf"^{word} (.*)$", DOCKERFILE, re.MULTILINE)
        assert ast.literal_eval(line[line.index("[") :])[0] in ("vision-emulator", "serve")
    users = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)
    assert users == ["65532:65532"] * 2
    assert DOCKERFILE.rstrip().endswith("USER 65532:65532")


def test_compose_waits_for_what_it_needs() -> None:
    """The test starts when the emulator is healthy, and speaks to it and to the storage by their services' names."""
    (compose,) = read("compose.yaml")
    services = compose["services"]
    assert services["test"]["depends_on"]["vision"]["condition"] == "service_healthy"
    told = services["test"]["environment"]
    assert told["VISION_EMULATOR_HOST"] == "vision:8970"
    assert told["STORAGE_EMULATOR_HOST"] == services["vision"]["environment"]["VISION_EMULATOR_STORAGE"]
    assert told["VISION_EMULATOR_CONTROL_TOKEN"] == services["vision"]["environment"]["VISION_EMULATOR_CONTROL_TOKEN"]
    assert (FOLDER / services["vision"]["build"]["context"] / services["vision"]["build"]["dockerfile"]).is_file()
    assert (FOLDER / services["test"]["volumes"][0].split(":")[0] / "test_batch.py").is_file()


def test_the_cluster_runs_what_the_image_is() -> None:
    """Selectors meet labels, the service meets the port, the probes ask what is answered, and the user is the image's."""
    deployment, service = read("kubernetes.yaml")
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    (container,) = pod["spec"]["containers"]
    (port,) = container["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/_emulator/health", "port": port["name"]}
    assert container["livenessProbe"]["grpc"]["port"] == port["containerPort"] == 8970
    assert f"USER {pod['spec']['securityContext']['runAsUser']}:" in DOCKERFILE


def test_the_workflow_checks_health_as_the_image_does() -> None:
    """The service is asked by the image's own command."""
    (workflow,) = read("github-actions.yaml")
    service = workflow["jobs"]["test"]["services"]["vision"]
    assert '--health-cmd "vision-emulator healthcheck"' in service["options"]
    assert service["ports"] == ["8970:8970"]


@pytest.mark.parametrize("file", ["example/test_batch.py", "testcontainers/example.py"])
def test_examples_are_python(file: str) -> None:
    """They compile."""
    compile((FOLDER / file).read_text(), file, "exec")
