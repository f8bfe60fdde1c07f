"""What surrounds the program: pinned requirements, the containers, the Makefile."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamagg.telemetry.endpoint import serving
from streamagg.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(r"^[a-z0-9][a-z0-9.-]*==\S+( ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
NAME = re.compile(r"[A-Za-z0-9.-]+")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    found: dict[str, Any] = parsed["services"]
    return found


def test_there_are_locks() -> None:
    assert [lock.stem for lock in LOCKS] == ["audit", "build", "dev", "run"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_locks_hold_pins_and_hashes_only(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []


def test_locks_agree() -> None:
    pins = [{line for line in lock.read_text().splitlines() if PIN.match(line)} for lock in LOCKS]
    _, build, dev, run = pins
    assert build <= dev
    assert run <= dev


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    pinned = {line.split("==")[0] for line in (ROOT / "requirements" / "dev.lock").read_text().splitlines()}
    names = {match[0].lower() for match in map(NAME.match, wanted) if match}
    assert len(names) == len(wanted)
    assert names <= pinned


def test_compose_runs_a_kafka_without_zookeeper(services: dict[str, Any]) -> None:
    kafka = services["kafka"]
    assert kafka["environment"]["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert services["streamagg"]["environment"]["STREAMAGG_BOOTSTRAP_SERVERS"] == "kafka:19092"
    assert "INSIDE://kafka:19092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_container_can_do_little(services: dict[str, Any]) -> None:
    container = services["streamagg"]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["user"] == "10001:10001"
    assert not container.keys() & {
        "tmpfs",
        "volumes",
        "privileged",
        "cap_add",
        "ports",
        "network_mode",
        "pid",
    }


def stages() -> list[list[str]]:
    """Instructions of each stage of the Dockerfile, continued lines joined."""
    text = (ROOT / "docker" / "Dockerfile").read_text().replace("\\\n", "")
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("FROM "):
            found.append([])
        if line and not line.startswith("#"):
            found[-1].append(line)
    return found


def instruction(stage: list[str], name: str) -> str:
    """What follows the only instruction of a name."""
    (value,) = (line.removeprefix(f"{name} ") for line in stage if line.startswith(f"{name} "))
    return value.strip()


def test_the_image_is_built_apart_and_from_pinned_files_only() -> None:
    build, _ = stages()
    installs = [
        part
        for line in build
        for part in line.split("&&")
        if " pip install " in f" {part} " or "/pip " in part
    ]
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install, install
    assert any("gcc" in line for line in build)


def test_the_image_holds_neither_compiler_nor_pip_and_is_not_root() -> None:
    _, final = stages()
    text = "\n".join(final)
    assert "apt-get" not in text
    assert "pip uninstall --yes pip" in text
    assert instruction(final, "USER") == "10001:10001"
    assert [line.split()[1] for line in final if line.startswith("COPY ")] == ["--from=build"]
    # Everything behind USER is done by it; only what is started stands there.
    after = final[[line.split()[0] for line in final].index("USER") + 1 :]
    assert {line.split()[0] for line in after} == {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


def test_base_images_are_named_without_a_registry(services: dict[str, Any]) -> None:
    bases = [stage[0].split()[1] for stage in stages()]
    pulled = [service["image"] for service in services.values() if "image" in service]
    for image in [*bases, *pulled]:
        name, _, tag = image.partition(":")
        assert tag not in {"", "latest"}, image
        assert "." not in name.split("/")[0], image


@pytest.mark.parametrize("healthy", [True, False])
def test_the_health_check_of_the_image(healthy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very command, against the real endpoint."""
    _, final = stages()
    command = json.loads(instruction(final, "HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "python"
    metrics = Metrics()
    if not healthy:
        monkeypatch.setattr("streamagg.telemetry.metrics.STUCK_S", 0.0)
    with serving("127.0.0.1:0", metrics) as url:
        environment = {"STREAMAGG_METRICS": url.removeprefix("http://")}
        done = subprocess.run(
            [sys.executable, *command[1:]], env=environment, capture_output=True, check=False, timeout=60
        )
    assert (done.returncode == 0) is healthy, done.stderr


def test_what_the_image_copies_exists(services: dict[str, Any]) -> None:
    build = services["streamagg"]["build"]
    dockerfile = (ROOT / "docker" / build["context"] / build["dockerfile"]).resolve()
    copied = [
        source
        for line in dockerfile.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_help_is_the_default_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    for target in (
        "install",
        "demo",
        "test",
        "check",
        "broker",
        "broker-stop",
        "replay",
        "run",
        "verify",
        "audit",
        "sbom",
        "soak",
    ):
        assert re.search(rf"^  {target} +\S", shown, re.MULTILINE), target
