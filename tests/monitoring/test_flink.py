"""Metrics and alerts of the job on Flink: names that there are, rules that promtool accepts and plays."""

import re
from collections import defaultdict
from typing import Any

import pytest
import yaml

from streamagg.flink import jars
from tests.monitoring.names import METRICS, metrics_in
from tests.support.prometheus import MONITORING, promtool

FLINK = MONITORING.parent / "flink"
ALERTS, TESTS = FLINK / "alerts.yaml", FLINK / "alerts.test.yaml"
(GROUP,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]
(SCRAPE,) = yaml.safe_load((FLINK / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
(RELABEL,) = SCRAPE["metric_relabel_configs"]
METERED = {
    f"streamagg_{name}"
    for source in (jars.PROJECT / "src" / "main").rglob("*.java")
    for name in re.findall(r'\.(?:counter|gauge)\(\s*"(\w+)"', source.read_text("utf-8"))
}


def test_the_metrics_of_the_job_have_the_names_that_they_have_in_run() -> None:
    assert len(METERED) >= 15
    assert METERED <= METRICS


def test_alerts_name_metrics_that_the_job_has() -> None:
    for rule in RULES:
        assert metrics_in(rule["expr"]) <= METERED


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("records_consumed_total", "streamagg_records_consumed_total"),
        ("reason_records_rejected_total", "streamagg_records_rejected_total"),
        ("partition_partition_idle", "streamagg_partition_idle"),
        ("measure_values_ignored_total", "streamagg_values_ignored_total"),
    ],
)
def test_what_flink_reports_gets_its_name_again(reported: str, name: str) -> None:
    found = re.fullmatch(RELABEL["regex"], f"flink_taskmanager_job_task_operator_streamagg_{reported}")
    assert found is not None
    assert RELABEL["replacement"].replace("$1", found[1]) == name


def test_promtool_accepts_rules_and_configuration() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)
    assert "SUCCESS" in promtool("check", "config", FLINK / "prometheus.yaml")


def test_every_alert_fires_and_is_silent_when_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)
    cases: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]:
        for case in test["alert_rule_test"]:
            cases[case["alertname"]].add(bool(case.get("exp_alerts")))
    assert cases == {rule["alert"]: {True, False} for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_whoever_is_woken_needs(rule: dict[str, Any]) -> None:
    page = (MONITORING.parents[1] / "docs" / "flink.md").read_text("utf-8")
    assert rule["annotations"]["runbook_url"] == "docs/flink.md#alerts"
    assert f"`{rule['alert']}`" in page
