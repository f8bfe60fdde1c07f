"""What surrounds the program: pinned requirements, the image, the Makefile."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from streamagg.telemetry.endpoint import Shown, serving
from streamagg.telemetry.health import STUCK_S, Health
from supply.wheels import MODULES, build_sdist, build_wheel, lacks
from tests.support.dockerfile import stages

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
    assert [lock.stem for lock in LOCKS] == ["audit", "build", "deploy", "dev", "image", "run", "wheels"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_locks_hold_pins_and_hashes_only(lock: Path) -> None:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []


def test_locks_agree() -> None:
    pins = [{line for line in lock.read_text().splitlines() if PIN.match(line)} for lock in LOCKS]
    _, build, _, dev, image, run, _ = pins
    assert build <= dev
    assert run <= dev
    assert run <= image
    # What is needed there on one platform only may be needed here on all of them.
    assert {pin.split()[0] for pin in image} <= {pin.split()[0] for pin in dev}


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *(wish for extra in extras.values() for wish in extra)]
    # The extras of this package name each other.
    wanted = {wish for wish in listed if not wish.startswith("streamagg[")}
    pinned = {line.split("==")[0] for line in (ROOT / "requirements" / "dev.lock").read_text().splitlines()}
    names = {match[0].lower() if (match := NAME.match(wish)) else wish for wish in wanted}
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


def test_the_image_is_built_apart_and_from_pinned_files_only() -> None:
    build, _ = stages()
    ran = [each.text for each in build.all("RUN")]
    installs = [
        part for text in ran for part in text.split("&&") if " pip install " in f" {part} " or "/pip " in part
    ]
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install, install
    assert any("gcc" in text for text in ran)


def test_the_image_holds_neither_compiler_nor_pip_and_is_not_root() -> None:
    _, final = stages()
    text = "\n".join(each.text for each in final.instructions)
    assert "apt-get" not in text
    assert "pip uninstall --yes pip" in text
    assert final.only("USER").text == "10001:10001"
    assert [each.text.split()[0] for each in final.all("COPY")] == ["--from=build"]
    # Everything behind USER is done by it; only what is started stands there.
    words = [each.word for each in final.instructions]
    assert set(words[words.index("USER") + 1 :]) == {"HEALTHCHECK", "ENTRYPOINT", "CMD"}


def test_labels_say_what_the_image_is() -> None:
    _, final = stages()
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', final.only("LABEL").text))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert labels["title"] == project["name"]
    assert labels["revision"] == "${REVISION}"
    assert len(labels["description"]) > 20


def test_base_images_are_named_without_a_registry(services: dict[str, Any]) -> None:
    bases = [stage.base for stage in stages()]
    pulled = [service["image"] for service in services.values() if "image" in service]
    for image in [*bases, *pulled]:
        name, _, tag = image.partition(":")
        assert tag not in {"", "latest"}, image
        assert "." not in name.split("/")[0], image


@pytest.mark.parametrize("healthy", [True, False])
def test_the_health_check_of_the_image(healthy: bool) -> None:
    """The very command, against the real endpoint."""
    _, final = stages()
    command = final.only("HEALTHCHECK").exec_form
    assert command[0] == "streamagg"
    now = 0.0
    health = Health(lambda: now)
    health.show([])
    now = 0.0 if healthy else STUCK_S
    with serving("127.0.0.1:0", Shown(CollectorRegistry(), health)) as url:
        environment = {"STREAMAGG_HTTP": url.removeprefix("http://")}
        program = [sys.executable, "-m", *command]
        done = subprocess.run(program, env=environment, capture_output=True, check=False, timeout=60)
    assert (done.returncode == 0) is healthy, done.stderr


def test_what_the_image_copies_exists(services: dict[str, Any]) -> None:
    build = services["streamagg"]["build"]
    dockerfile = (ROOT / "docker" / build["context"] / build["dockerfile"]).resolve()
    copied = [
        source
        for stage in stages(dockerfile)
        for each in stage.all("COPY")
        if "--from" not in each.text
        for source in each.text.split()[:-1]
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
        "check-c",
        "test-native",
        "broker",
        "broker-stop",
        "replay",
        "run",
        "verify",
        "audit",
        "check-deploy",
        "check-image",
        "sbom",
        "wheels",
        "soak",
        "soak-serve",
    ):
        assert re.search(rf"^  {target} +\S", shown, re.MULTILINE), target


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sdist(tmp_path_factory.mktemp("sdist"))


@pytest.mark.slow
def test_the_sdist_holds_all_that_the_wheel_is_built_of(sdist: Path, tmp_path: Path) -> None:
    assert lacks(build_wheel(sdist, tmp_path)) == []


@pytest.mark.slow
def test_the_sdist_is_built_and_counts_without_a_compiler(sdist: Path, tmp_path: Path) -> None:
    wheel = build_wheel(sdist, tmp_path, path=str(tmp_path))
    assert lacks(wheel) == [*MODULES]
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", f"--target={site}", wheel], check=True)
    records = tmp_path / "records.jsonl"
    records.write_text('{"ts":1468244384,"uid":"a"}\n{"ts":1468244385,"uid":"b"}\n')
    program = (
        "import streamagg; from streamagg.cli import main; from streamagg.decode import NATIVE_AVAILABLE; "
        "print(streamagg.__file__, NATIVE_AVAILABLE, flush=True); main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "count", records],
        env={"PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    where, *counted = ran.stdout.splitlines()
    assert where == f"{site / 'streamagg/__init__.py'} False"
    assert counted[1].split() == ["2016-07-11", "13:39:00", "2", "2"]
