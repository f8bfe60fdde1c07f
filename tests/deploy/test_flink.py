"""deploy/flink: what it runs exists, and in the version that the job is compiled for."""

import re
from pathlib import Path
from typing import Any

import yaml

from streamagg.flink import jars, launch

FLINK = Path(__file__).resolve().parents[2] / "deploy" / "flink"
SPEC: dict[str, Any] = yaml.safe_load((FLINK / "flinkdeployment.yaml").read_text())["spec"]
COMPOSE: dict[str, Any] = yaml.safe_load((FLINK / "compose.yaml").read_text())
VERSION = re.findall(r"<flink.version>(.+)</flink.version>", (jars.PROJECT / "pom.xml").read_text())[0]


def test_both_run_the_job_with_settings_of_a_file() -> None:
    job = SPEC["job"]
    assert (job["entryClass"], job["args"]) == (launch.JOB, ["/settings/settings.json"])
    assert COMPOSE["services"]["jobmanager"]["command"][2:] == [launch.JOB, "/settings/settings.json"]
    source = jars.PROJECT / "src" / "main" / "java" / f"{launch.JOB.replace('.', '/')}.java"
    assert "public static void main" in source.read_text()


def test_both_are_of_the_version_that_the_job_is_compiled_for() -> None:
    major, minor, _ = VERSION.split(".")
    assert SPEC["flinkVersion"] == f"v{major}_{minor}"
    assert COMPOSE["services"]["jobmanager"]["image"] == f"flink:{VERSION}-java17"


def test_checkpoints_are_incremental_and_last() -> None:
    configuration = SPEC["flinkConfiguration"]
    properties = yaml.safe_load(COMPOSE["services"]["taskmanager"]["environment"]["FLINK_PROPERTIES"])
    for name in ("state.backend.type", "execution.checkpointing.interval"):
        assert configuration[name] == properties[name]
    assert configuration["execution.checkpointing.incremental"] == "true"
    assert properties["execution.checkpointing.incremental"] is True


def test_there_are_slots_for_the_job() -> None:
    properties = yaml.safe_load(COMPOSE["services"]["taskmanager"]["environment"]["FLINK_PROPERTIES"])
    replicas = COMPOSE["services"]["taskmanager"]["deploy"]["replicas"]
    assert replicas * properties["taskmanager.numberOfTaskSlots"] == properties["parallelism.default"]


def test_both_report_to_prometheus() -> None:
    name = "metrics.reporter.prom.factory.class"
    properties = yaml.safe_load(COMPOSE["services"]["taskmanager"]["environment"]["FLINK_PROPERTIES"])
    assert SPEC["flinkConfiguration"][name] == properties[name]
