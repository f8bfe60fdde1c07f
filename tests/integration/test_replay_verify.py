"""Replay into real Kafka, and verify against an output topic made by hand."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from streamagg.errors import ExitCode, TopicError
from streamagg.kafka.sender import SendStats
from streamagg.model.settings import DecodeSettings, KafkaSettings, WindowSettings
from streamagg.sources.lines import LineFile, open_output
from streamagg.tools.generate import GenerateSettings, records
from streamagg.tools.recount import PartitionRecount, Recount
from streamagg.tools.replay import ReplaySettings, ReplayStats, StopSwitch, replay

pytestmark = pytest.mark.kafka
TopicFactory = Callable[..., str]

GENERATED = GenerateSettings(count=6_000, rate=20, size_bytes=120, disorder=0.1, corrupt=0.05)
RECORDS = [record for chunk in records(GENERATED) for record in chunk]


def send(broker: str, topic: str, path: Path, **settings: object) -> ReplayStats:
    kafka = KafkaSettings(broker)
    # Some of the corrupt records are no text.
    given = ReplaySettings(source=str(path), topic=topic, kafka=kafka, raw=True, **settings)  # type: ignore[arg-type]
    return replay(given, StopSwitch(), lambda sent, file: None)


def stream(directory: Path, lines: list[bytes]) -> Path:
    path = directory / "stream.jsonl.zst"
    with open_output(str(path)) as out:
        out.write(b"\n".join(lines))
    return path


def read(broker: str, topic: str, partitions: int) -> list[list[tuple[bytes | None, bytes | None]]]:
    """Keys and values of every partition, in offset order."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "reader", "enable.partition.eof": True})
    found: list[list[tuple[bytes | None, bytes | None]]] = []
    for number in range(partitions):
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        found.append([])
        while (message := consumer.poll(10)) is not None and message.error() is None:
            found[-1].append((message.key(), message.value()))
        assert message is not None, "the end of the partition did not come"
    consumer.close()
    return found


def streamagg(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamagg", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_without_keys_records_go_to_the_partitions_in_turn_and_keep_their_order(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    name = topic(partitions=3)
    stats = send(broker, name, stream(tmp_path, RECORDS))
    assert (stats.sent.records, stats.delivered, stats.sent.reasons) == (len(RECORDS), len(RECORDS), {})
    assert read(broker, name, 3) == [[(None, line) for line in RECORDS[number::3]] for number in range(3)]


def test_with_a_key_all_records_of_a_user_are_in_one_partition(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    name = topic(partitions=3)
    lines = [b'{"ts":%d,"uid":"user %d"}' % (number, number % 10) for number in range(1_000)]
    assert send(broker, name, stream(tmp_path, lines), key_field="uid").sent.without_key == 0
    partitions = read(broker, name, 3)
    places = {(key, number) for number, found in enumerate(partitions) for key, _ in found}
    assert len(places) == 10
    for found in partitions:
        values = [value for _, value in found]
        assert values == sorted(values, key=lambda value: json.loads(value or b"")["ts"])


def test_records_without_a_key_or_a_time_are_counted(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    lines = [b'{"ts":1,"uid":"a"}', b'{"ts":true,"uid":"a"}', b'{"uid":"a"}', b'{"ts":2}', b"text"]
    stats = send(broker, topic(), stream(tmp_path, lines), key_field="uid", speed=100)
    assert (stats.delivered, stats.sent.without_key) == (5, 2)
    assert stats.sent.untimed == {"bad_time": 1, "missing_field": 1, "bad_json": 1}


def test_the_topic_is_created_with_the_partitions_asked_for(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    name, path = topic() + "-new", stream(tmp_path, RECORDS[:10])
    send(broker, name, path, partitions=5)
    assert sum(map(len, read(broker, name, 5))) == 10
    with pytest.raises(TopicError, match="has 5 partitions, not 4"):
        send(broker, name, path, partitions=4)


def test_an_absent_topic_is_an_error(broker: str, tmp_path: Path) -> None:
    with pytest.raises(TopicError, match="does not exist"):
        send(broker, "absent-topic", stream(tmp_path, RECORDS[:10]))


def test_what_the_broker_refuses_is_counted_and_the_exit_code_says_so(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    # The broker refuses a batch as a whole: which records share one with the large record is chance.
    name = topic(config={"max.message.bytes": "2000"})
    path = stream(tmp_path, [b'{"n":1}', b'{"n":"%b"}' % (b"x" * 5_000), b'{"n":3}'])
    outcome = streamagg("replay", str(path), "--topic", name, "--json", "--bootstrap-servers", broker)
    assert outcome.returncode == 1
    stats = json.loads(outcome.stdout)
    assert stats["failed"] >= 1
    assert stats["failed"] + stats["delivered"] == 3
    assert f"{stats['failed']} of 3 records were not delivered" in outcome.stderr
    assert len(read(broker, name, 1)[0]) == stats["delivered"]


def test_a_record_too_large_for_the_client_is_counted_and_the_others_arrive(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    name = topic()
    path = stream(tmp_path, [b'{"n":1}', b'{"n":"%b"}' % (b"x" * 1_100_000), b'{"n":3}'])
    stats = send(broker, name, path)
    assert (stats.delivered, stats.sent.failed) == (2, 1)
    assert [value for _, value in read(broker, name, 1)[0]] == [b'{"n":1}', b'{"n":3}']


def test_a_loop_goes_on_until_it_is_stopped(broker: str, topic: TopicFactory, tmp_path: Path) -> None:
    name, path, stop = topic(), stream(tmp_path, RECORDS[:100]), StopSwitch()

    def watch(sent: SendStats, file: LineFile) -> None:
        stop.requested = sent.records >= 250

    stats = replay(ReplaySettings(str(path), name, KafkaSettings(broker), loop=True), stop, watch)
    assert stats.interrupted
    assert 250 <= stats.delivered == stats.sent.records <= 350
    assert [value for _, value in read(broker, name, 1)[0]] == (RECORDS[:100] * 4)[: stats.delivered]


def test_a_signal_ends_a_replay_from_a_pipe_with_its_summary(broker: str, topic: TopicFactory) -> None:
    name = topic()
    command = [sys.executable, "-m", "streamagg", "replay", "-", "--topic", name, "--json"]
    process = subprocess.Popen(
        [*command, "--bootstrap-servers", broker], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b'{"n":1}\n')
        process.stdin.flush()
        wait_for_records(broker, name, 1)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        stats = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert (stats["delivered"], stats["interrupted"]) == (1, True)


def wait_for_records(broker: str, topic: str, records: int) -> None:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "waiter"})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = consumer.consume(records, 60)
    consumer.close()
    assert len(found) == records


def test_verify_agrees_with_what_is_right_and_finds_what_is_wrong(
    broker: str, topic: TopicFactory, tmp_path: Path
) -> None:
    source, right, wrong = topic(partitions=2), topic(), topic()
    send(broker, source, stream(tmp_path, RECORDS))
    counted = counted_by_partition(2)
    values = [(start_ms // 1_000, len(w.users), w.records) for start_ms, w in sorted(counted.windows.items())]
    assert len(values) >= 5
    publish(broker, right, values)
    ts, unique, counted_records = values[2]
    publish(broker, wrong, [values[0], values[0], (ts, unique + 1, counted_records), (60, 1, 1), *values[3:]])

    where = ("--input", source, "--bootstrap-servers", broker, "--json")
    agreed = streamagg("verify", "--output", right, *where)
    assert agreed.returncode == 0, agreed.stderr
    assert json.loads(agreed.stdout)["matching"] == len(values)
    assert json.loads(agreed.stdout)["records"] == len(RECORDS)

    differs = streamagg("verify", "--output", wrong, *where)
    assert differs.returncode == 4
    found = {(one["kind"], one["ts"]) for one in json.loads(differs.stdout)["differences"]}
    assert found == {
        ("unexpected", 60),
        ("doubled", values[0][0]),
        ("missing", values[1][0]),
        ("different", ts),
    }


def test_verify_ignores_aborted_records(broker: str, topic: TopicFactory) -> None:
    source, output = topic(), topic()
    producer = Producer({"bootstrap.servers": broker, "transactional.id": f"aborts-{source}"})
    producer.init_transactions(30)
    for topic_name, key, value in ((source, None, b'{"ts":60,"uid":"u"}'), (output, b"0", b"{}")):
        producer.begin_transaction()
        producer.produce(topic_name, value, key)
        producer.flush(30)
        producer.abort_transaction(30)
    outcome = streamagg(
        "verify", "--input", source, "--output", output, "--bootstrap-servers", broker, "--json"
    )
    assert outcome.returncode == ExitCode.NOTHING_COUNTED, outcome.stderr
    assert json.loads(outcome.stdout)["records"] == 0


def counted_by_partition(partitions: int) -> Recount:
    result = Recount()
    for number in range(partitions):
        partition = PartitionRecount(WindowSettings(), DecodeSettings(), result)
        for line in RECORDS[number::partitions]:
            partition.add(line, None)
        partition.end()
    return result


def publish(broker: str, topic: str, values: list[tuple[int, int, int]]) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for ts, unique, counted_records in values:
        value = {
            "ts": ts,
            "cnt": unique,
            "granularity": 60,
            "records": counted_records,
            "partial": False,
            "v": 1,
        }
        producer.produce(topic, json.dumps(value).encode(), str(ts).encode())
    assert producer.flush(30) == 0
