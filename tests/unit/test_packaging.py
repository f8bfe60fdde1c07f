"""What surrounds the program: pinned requirements, the containers, the Makefile."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    assert [lock.stem for lock in LOCKS] == ["build", "dev", "run"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_locks_hold_pins_and_hashes_only(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []


def test_locks_agree() -> None:
    pins = [{line for line in lock.read_text().splitlines() if PIN.match(line)} for lock in LOCKS]
    build, dev, run = pins
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
    for target in ("install", "demo", "test", "check", "broker", "broker-stop", "replay", "run", "verify"):
        assert re.search(rf"^  {target} +\S", shown, re.MULTILINE), target
