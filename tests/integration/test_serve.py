"""``streamagg serve`` behind a real Kafka: what is committed, each once, whatever happens to it."""

import json
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.conftest import TopicFactory
from tests.support.published_history import EPOCH_S, Visits
from tests.support.serving import Serving, serving

pytestmark = pytest.mark.kafka

VISITS = Visits.made(seed=9, windows=400)
RECORDS = list(VISITS.published())
HALF = len(RECORDS) // 2


def key_of(record: dict[str, Any]) -> bytes:
    words = [record.get("calendar"), str(record["ts"])]
    if "group" in record:
        words.append(json.dumps(list(record["group"].values()), ensure_ascii=False, separators=(",", ":")))
    return " ".join(word for word in words if word is not None).encode()


class Publisher:
    """Publishes in transactions, as a run does."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex})
        self._producer.init_transactions(30)

    def publish(self, records: Iterable[dict[str, Any]], commit: bool = True) -> None:
        self._producer.begin_transaction()
        for record in records:
            self._producer.produce(self._topic, json.dumps(record).encode(), key_of(record))
        self._producer.flush(30)
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.abort_transaction(30)


def stored(served: Serving, *, groups: bool = False) -> list[dict[str, Any]]:
    """All windows, or all groups of windows."""
    answer = served.get(f"/v1/windows?from=0&limit=10000{'&groups=all' * groups}")
    found: list[dict[str, Any]] = answer["windows"]
    assert answer["next"] is None
    return found


def of_all(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if "group" not in record and "calendar" not in record]


def caught_up(status: dict[str, Any]) -> bool:
    return status["behind"] == 0 and "window" in status["calendars"]


def test_committed_records_each_once_though_it_is_killed(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    """While records of the past are read, and while new ones come."""
    name = topic(partitions=3)
    publisher = Publisher(broker, name)
    publisher.publish(RECORDS[:HALF])
    publisher.publish([record | {"cnt": 999_999} for record in RECORDS[HALF:]], commit=False)
    at = HALF
    for number in range(6):
        with serving(broker, name, tmp_path / "store") as served:
            if number % 2:
                served.wait_until(caught_up)
            publisher.publish(RECORDS[at : at + 100])
            at += 100
            served.kill()
    publisher.publish(RECORDS[at:])
    with serving(broker, name, tmp_path / "store") as served:
        served.wait_until(lambda status: caught_up(status) and len(stored(served)) >= len(of_all(RECORDS)))
        assert stored(served) == of_all(RECORDS)
        groups = [record for record in RECORDS if "group" in record and "calendar" not in record]
        assert sorted(map(key_of, stored(served, groups=True))) == sorted(map(key_of, groups))
        assert served.stop() == 0
    with serving(broker, name, tmp_path / "again") as other:
        other.wait_until(lambda status: caught_up(status) and len(stored(other)) >= len(of_all(RECORDS)))
        assert stored(other) == of_all(RECORDS), "a store is a function of the topic"


def test_a_topic_made_again_and_one_that_lost_records(broker: str, tmp_path: Path) -> None:
    """What the new one holds takes the place of what was there; nothing is there twice."""
    admin = AdminClient({"bootstrap.servers": broker})
    name = f"again-{uuid.uuid4().hex[:8]}"
    made = lambda: admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)  # noqa: E731
    made()
    Publisher(broker, name).publish(RECORDS[:HALF])
    with serving(broker, name, tmp_path / "store") as served:
        served.wait_until(caught_up)
        admin.delete_topics([name])[name].result(30)
        served.wait_until(lambda status: not status["following"])
        assert stored(served) == of_all(RECORDS[:HALF]), "old answers go on"
        made()
        changed = [record | {"cnt": 7} for record in RECORDS[HALF - 200 :]]
        Publisher(broker, name).publish(changed)
        wanted = of_all(RECORDS[: HALF - 200]) + of_all(changed)
        served.wait_until(lambda status: caught_up(status) and len(stored(served)) == len(wanted))
        assert stored(served) == wanted
        assert served.events("topic_anew")
    # Records that are gone before they are read are told, and reading goes on behind them.
    publisher = Publisher(broker, name)
    publisher.publish(RECORDS[:50])
    gone = admin.delete_records([TopicPartition(name, 0, -1)])
    next(iter(gone.values())).result(30)
    publisher.publish([RECORDS[0] | {"cnt": 5, "ts": EPOCH_S + 10**6}])
    with serving(broker, name, tmp_path / "store") as served:
        served.wait_until(
            lambda status: caught_up(status) and served.get("/v1/windows?from=-1m")["windows"][-1]["cnt"] == 5
        )
        assert served.events("history_gap")


def test_what_comes_is_told_and_answered_at_once(broker: str, topic: TopicFactory, tmp_path: Path) -> None:
    """Also when Kafka has neither the topic at first."""
    import urllib.request

    name, running = topic(), topic(config={"cleanup.policy": "compact"})
    so_far = VISITS.period("day", EPOCH_S, EPOCH_S + 86_400) | {"through": EPOCH_S, "final": False}
    with serving(broker, name, tmp_path / "store", "--running", running) as served:
        served.wait_until(lambda status: status["following"])
        with urllib.request.urlopen(f"{served.url}/v1/live", timeout=60) as events:
            Publisher(broker, running).publish([so_far])
            Publisher(broker, name).publish(RECORDS[:1])
            told = set()
            while len(told) < 2:
                line = events.readline().decode()
                if match := re.fullmatch(r"data: (\{.*\})\n", line):
                    told.add(match[1])
        assert {json.dumps(json.loads(text), sort_keys=True) for text in told} == {
            json.dumps(record, sort_keys=True) for record in (so_far, RECORDS[0])
        }
        assert served.get("/v1/windows?from=0")["windows"] == RECORDS[:1]
        assert served.get("/v1/status")["running"] == [so_far]
