"""Dashboard, alerts and documentation name metrics that there are, and each metric is shown somewhere."""

import re
from pathlib import Path

import pytest

from streamagg.sinks.postgres.schema import schema
from tests.monitoring.names import METRICS, metrics_in
from tests.support.prometheus import ALERTS, MONITORING

ROOT = MONITORING.parents[1]
DASHBOARD = MONITORING / "dashboard.json"
TABLES = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", schema()))
"""Of an output in PostgreSQL."""
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    "file", [ALERTS, MONITORING / "alerts.test.yaml", DASHBOARD, *PAGES], ids=lambda file: file.name
)
def test_every_metric_that_is_named_exists(file: Path) -> None:
    assert metrics_in(file.read_text("utf-8")) - METRICS - TABLES == set()


def test_every_metric_is_in_the_dashboard_or_an_alert() -> None:
    used = metrics_in(DASHBOARD.read_text("utf-8")) | metrics_in(ALERTS.read_text("utf-8"))
    assert METRICS - used == set()
