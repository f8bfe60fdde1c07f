"""Topics that mean harm: nothing but bad records, and batches that unpack to a thousand times their size."""

import itertools
import json
from collections import Counter

import pytest
from confluent_kafka import Producer

from streamagg.errors import ExitCode
from streamagg.kafka.delivery import Reports
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.instances import READY_S
from tests.support.pipeline import Feed, made_records, read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
MEBI = 1 << 20
BAD = {
    "bad_json": b"\xff\xfe{\x00}\x00",
    "bad_time": b'{"ts":"NaN","uid":"u"}',
    "bad_user": b'{"ts":1,"uid":""}',
    "missing_field": b'{"ts":1}',
    "tombstone": None,
}


def test_a_topic_of_bad_records_only(new_run: RunFactory, topic: TopicFactory) -> None:
    """Each goes to the dead letters once; the log and the memory know nothing of how many there are."""
    run, letters, count = new_run(2), topic("letters"), 20_000
    reasons = list(itertools.islice(itertools.cycle(BAD), count))
    Feed(run.bootstrap, run.input, 2).send(BAD[reason] for reason in reasons)
    path = run.directory / "stats.json"
    flags = ("--until-end", "--unmarshallers", "2", "--dead-letter", letters, "--stats-json", str(path))
    with run.start(*flags, level="info") as instance:
        assert instance.wait(240) == ExitCode.NOTHING_COUNTED, instance.log
    stats = json.loads(path.read_text())
    assert stats["records"] == count
    assert stats["rejected"] == dict(Counter(reasons))
    assert len(instance.log.splitlines()) < 50
    assert stats["peak_rss_bytes"] < 1_000 * MEBI
    places: Counter[tuple[bytes | None, bytes | None]] = Counter()
    told: Counter[str] = Counter()
    for letter in read_all(run.bootstrap, letters):
        headers = dict(letter.headers() or [])
        places[headers["partition"], headers["offset"]] += 1
        told[(headers["reason"] or b"").decode()] += 1
    assert len(places) == count
    assert set(places.values()) == {1}
    assert told == Counter(reasons)
    assert run.published() == []


@pytest.mark.parametrize("to", ["input", "output"])
def test_dead_letters_into_the_input_or_the_output_are_refused(to: str, new_run: RunFactory) -> None:
    run = new_run()
    code, line = run.refused("--dead-letter", {"input": run.input, "output": run.output}[to])
    assert code == 2
    assert "dead_letter" in line or "--dead-letter" in line


def send_bombs(bootstrap: str, topic: str, codec: str, batches: int) -> None:
    """Batches of 48 MB of blanks, each a few dozen kB on the wire."""
    reports = Reports[None]()
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "linger.ms": 2_000,
            "message.max.bytes": 64_000_000,
            "batch.size": 60_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    for _ in range(batches):
        for _ in range(48):
            producer.produce(
                topic,
                b" " * 1_000_000,
                partition=0,
                on_delivery=reports.hear,
            )
        assert producer.flush(READY_S) == 0
    assert reports.first is None, reports.first


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_batches_that_unpack_to_a_thousand_times_their_size(codec: str, new_run: RunFactory) -> None:
    """192 MB in all; what one fetch may bring bounds what is unpacked at once."""
    run, batches = new_run(), 4
    feed = Feed(run.bootstrap, run.input)
    made = made_records(1_000, corrupt=0)
    feed.send(made[:500])
    send_bombs(run.bootstrap, run.input, codec, batches)
    feed.send(made[500:])
    stats = run.until_end("--unmarshallers", "1", "-X", "fetch.message.max.bytes=65536")
    assert stats["rejected"] == {"bad_json": batches * 48}
    assert stats["counted"] + stats["late"] == 1_000
    assert stats["peak_rss_bytes"] < 480 * MEBI, stats["peak_rss_bytes"] // MEBI
