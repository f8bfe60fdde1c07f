"""A run under load is scraped by Prometheus; Alertmanager tells when its broker stops and when it is back."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.monitoring.dashboard import built
from streamagg.model.settings import CalendarSettings, DecodeSettings, MeasureSettings, WindowSettings
from tests.monitoring.names import OF_A_RUN, metrics_in
from tests.monitoring.runbook import queries
from tests.support.broker import HOST, Broker, free_port
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import QUICK_GROUP, Feed, Run, record
from tests.support.prometheus import ALERTS, Prometheus, alertmanager, fetch, hurried, prometheus, webhook

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

JOB = "streamagg"
ALERT = "StreamaggNoLeader"
TIMES_FASTER = 20
"""Two minutes without a leader are six seconds here."""
WINDOW = WindowSettings(
    granularity_ms=1_000, max_lag_ms=1_000, max_jump_ms=10_000, calendars=(CalendarSettings("5s", 5_000),)
)
GROUPED = DecodeSettings(group_by=("country",), measures=(MeasureSettings("bytes", "sum", "bytes"),))
"""So that every panel has something to show."""
PARTITIONS = 2
NOT_YET = {
    "streamagg_kafka_errors_total",
    "streamagg_memory_limit_bytes",
    # librdkafka's statistics come every ten seconds or less often.
    "streamagg_broker_round_trip_seconds",
}


def test_a_broker_that_stops_is_told_and_told_again_when_it_is_back(
    own_broker: Broker, tmp_path: Path
) -> None:
    run = Run(own_broker.address, "in", "out", tmp_path, WINDOW, GROUPED, group="visits")
    client = AdminClient({"bootstrap.servers": own_broker.address})
    client.create_topics([NewTopic("in", PARTITIONS, 1)])["in"].result(READY_S)
    rules = tmp_path / "alerts.yaml"
    rules.write_text(hurried(ALERTS.read_text("utf-8"), TIMES_FASTER), "utf-8")
    target = f"{HOST}:{free_port()}"
    with (
        live_records(own_broker.address),
        run.start("--http", target, "--max-users", "1000000", *QUICK_GROUP),
        webhook() as (webhook_url, told),
        alertmanager(tmp_path, webhook_url) as alertmanager_url,
        prometheus(tmp_path, rules, target, JOB, alertmanager_url) as server,
    ):
        wait_until(lambda: published(server) > 3, "windows, as Prometheus sees them")
        assert set(re.findall(r"^# TYPE (\w+)", fetch(f"http://{target}/metrics"), re.MULTILINE)) == OF_A_RUN
        check_rules(server)
        check_dashboard(server)
        for query in queries():
            server.query(query)
        # Two minutes are so short here that the start may have been reported.
        wait_until(lambda: not server.query(f'ALERTS{{alertname="{ALERT}"}}'), "a leader")
        told.alerts.clear()

        own_broker.stop()
        wait_until(lambda: bool(told.of(ALERT, "firing")), "the notification that nobody leads")
        alert = told.of(ALERT, "firing")[0]
        assert (alert["labels"]["job"], alert["labels"]["group"]) == (JOB, "visits")
        assert alert["annotations"]["runbook_url"] == "docs/runbook.md#streamaggnoleader"

        own_broker.start_again()
        wait_until(lambda: bool(told.of(ALERT, "resolved")), "the notification that all is well")
        before = published(server)
        wait_until(lambda: published(server) > before + 3, "windows after the loss")


@contextmanager
def live_records(bootstrap: str) -> Iterator[None]:
    """Some hundred records a second for as long as the context lasts, whatever becomes of the broker."""
    feed, ended = Feed(bootstrap, "in", PARTITIONS), threading.Event()

    def produce() -> None:
        number = 0
        while not ended.wait(0.01):
            for _ in range(4):
                number += 1
                feed.enqueue(record(time.time(), f"user-{number % 500}"))

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def published(server: Prometheus) -> float:
    """Windows published by the run, as far as they were scraped."""
    return server.value("sum(streamagg_windows_published_total)") or 0


def check_rules(server: Prometheus) -> None:
    """Prometheus can evaluate every rule on what the run exposes."""
    wait_until(lambda: all(rule["health"] == "ok" for rule in server.rules()), "rules without an error")
    assert len(server.rules()) == ALERTS.read_text("utf-8").count("- alert:")


def check_dashboard(server: Prometheus) -> None:
    """Prometheus can evaluate every panel, and all but those of what has not happened show something."""
    # Rates need two scrapes.
    wait_until(lambda: in_empty_panels(server) <= NOT_YET, "something in every panel")


def in_empty_panels(server: Prometheus) -> set[str]:
    """Metrics that are asked for in vain."""
    empty = set()
    for panel in built()["panels"]:
        for target in panel.get("targets", ()):
            expression = in_this_test(target["expr"])
            if not server.query(expression) and "> 0" not in expression:
                empty |= metrics_in(expression) & OF_A_RUN
    return empty


def in_this_test(expression: str) -> str:
    """An expression of the dashboard with the values that Grafana would put in."""
    for variable, value in {
        "$__rate_interval": "10s",
        "$__range": "1m",
        "$job": JOB,
        "$instance": ".*",
    }.items():
        expression = expression.replace(variable, value)
    return expression
