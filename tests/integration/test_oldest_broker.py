"""The oldest Kafka that is supported: it has ZooKeeper, and gives topics no id."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamagg.kafka.identity import TopicIdentity
from streamagg.model.settings import KafkaSettings
from tests.support.instances import READY_S, wait_until
from tests.support.oldest_broker import OldestBroker
from tests.support.pipeline import QUICK_GROUP, WINDOW, Feed, Run

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def oldest(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. It depends on ``broker`` for the decision whether there can be one here."""
    own = OldestBroker(tmp_path_factory.mktemp("oldest"))
    try:
        yield own.start().address
    finally:
        own.kill()


def enter(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamagg", *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_generated_records_are_counted_right_through_a_crash(oldest: str, tmp_path: Path) -> None:
    records = str(tmp_path / "records.jsonl")
    enter("generate", "--count", "20000", "--rate", "50", "--users", "2000", "-o", records)
    enter("replay", records, "--topic", "in", "--partitions", "2", "--bootstrap-servers", oldest)
    run = Run(oldest, "in", "out", tmp_path, WINDOW, group="oldest")
    with run.start(*QUICK_GROUP, env={"STREAMAGG_FAULT": "before-commit:1"}) as broken:
        wait_until(lambda: not broken.running, "it dies in its first transaction")
    with run.start(*QUICK_GROUP) as killed:
        wait_until(lambda: len(run.published()) > 5, "windows")
        killed.kill()
    elsewhere = Run(oldest, "in", "other", tmp_path, WINDOW, group="oldest")
    assert elsewhere.refused(*QUICK_GROUP)[0] == 2
    run.until_end(*QUICK_GROUP)
    assert run.check() > 30
    counts = run.counts()
    assert len(counts) == len(run.published())


def test_topics_have_no_id(oldest: str) -> None:
    """So that one is no reason to refuse, also once a newer broker gives ids."""
    admin = AdminClient({"bootstrap.servers": oldest})
    admin.create_topics([NewTopic("plain", 1, 1)])["plain"].result(READY_S)
    identity = TopicIdentity(KafkaSettings(oldest), "plain")
    assert identity.ask() == ("", 1)
    assert identity.confirm("an id of a newer broker").id == ""


def test_the_consumer_protocol_is_refused(oldest: str, tmp_path: Path) -> None:
    admin = AdminClient({"bootstrap.servers": oldest})
    admin.create_topics([NewTopic("waiting", 1, 1)])["waiting"].result(READY_S)
    Feed(oldest, "waiting").send([b"{}"])
    code, words = Run(oldest, "waiting", "nowhere", tmp_path).refused("-X", "group.protocol=consumer")
    assert code == 1
    assert "needs Kafka 4.0" in words
