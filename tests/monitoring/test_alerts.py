"""The rules of the alerts: what promtool says of them, and that each is tested and explains itself."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import ALERTS, MONITORING, hurried, promtool

TESTS = MONITORING / "alerts.test.yaml"
(GROUP,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]
NAMES = [rule["alert"] for rule in RULES]


def test_promtool_accepts_the_rules() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", ALERTS)


@pytest.mark.slow
def test_every_alert_fires_and_is_silent_when_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]:
        for case in test["alert_rule_test"]:
            cases[case["alertname"]].add(bool(case.get("exp_alerts")))
    assert cases == {name: {True, False} for name in NAMES}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_what_whoever_is_woken_needs(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert notes["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert notes["summary"] == notes["summary"].strip(". ")
    assert "{{ $labels." in notes["description"] or "with $labels." in notes["description"]


def test_hurried_rules_are_the_same_in_shorter_times(tmp_path: Path) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text(hurried(ALERTS.read_text("utf-8"), 20), "utf-8")
    promtool("check", "rules", quick)
    (group,) = yaml.safe_load(quick.read_text("utf-8"))["groups"]
    found = {rule["alert"]: rule for rule in group["rules"]}
    assert found["StreamaggNoLeader"]["for"] == "6000ms"
    assert "[15000ms] offset 30000ms" in found["StreamaggNoWindowPublished"]["expr"]
    assert "streamagg_max_lag_seconds <= 300" in found["StreamaggNoWindowPublished"]["expr"]
    assert not re.search(r"\d[mhd]\b", "".join(rule["expr"] for rule in group["rules"]))
