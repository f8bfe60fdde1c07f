"""References to late records on real Kafka: each once, whatever happens."""

import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from streamagg.model.settings import DecodeSettings
from streamagg.tools.recount import Recounter, Rejected
from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.simulation.oracle import Rules, Told, judge
from tests.support.pipeline import QUICK_GROUP, Feed, Run, feed_slowly, made_records, read_all, record
from tests.support.published import faults

pytestmark = pytest.mark.kafka
T0 = 1_468_244_380
Place = tuple[int, int]


def late_places(run: Run) -> dict[Place, int]:
    """Event time in milliseconds of each late record of the input, by the oracle, at partition and offset."""
    w = run.window
    rules = Rules(w.granularity_ms, w.offset_ms, w.max_lag_ms, w.max_jump_ms)
    logs: dict[int, list[tuple[int, Told]]] = defaultdict(list)
    recounter = Recounter(DecodeSettings())
    for message in read_all(run.bootstrap, run.input):
        told = told_of(message, recounter, w.max_jump_ms)
        if told is not None:
            logs[message.partition() or 0].append((message.offset() or 0, told))
    late = {}
    for partition, log in logs.items():
        verdicts = judge([told for _, told in log], rules).verdicts
        late.update(
            {
                (partition, offset): told.time_ms
                for (offset, told), verdict in zip(log, verdicts, strict=True)
                if verdict == "late"
            }
        )
    return late


def told_of(message: Message, recounter: Recounter, max_jump_ms: int) -> Told | None:
    try:
        event = recounter.event(message.value())
    except Rejected:
        return None
    kind, stamp_ms = message.timestamp()
    live = kind == TIMESTAMP_LOG_APPEND_TIME and abs(stamp_ms - event.time_ms) <= max_jump_ms
    return Told(event.time_ms, event.user, live)


def references(run: Run, topic: str) -> list[dict[str, Any]]:
    """The values of the late topic; each bears its place as the key."""
    values = []
    for message in read_all(run.bootstrap, topic):
        value = json.loads(message.value() or b"")
        assert message.key() == f"{value['partition']}:{value['offset']}".encode()
        values.append(value)
    return values


def check(run: Run, topic: str, *, repeats: bool = False) -> int:
    """Every late record is reported once, and nothing else; returns how many there are."""
    late = late_places(run)
    told = references(run, topic)
    assert [row for row in told if faults(row, "late")] == []
    places = Counter((row["partition"], row["offset"]) for row in told)
    assert places.keys() == late.keys()
    assert repeats or set(places.values()) <= {1}
    length_s = run.window.granularity_ms // 1_000
    for row in told:
        assert row["topic"] == run.input
        assert row["time"] * 1_000 == late[row["partition"], row["offset"]]
        assert row["window"] == row["time"] // length_s * length_s
        assert row["late_ms"] >= run.window.max_lag_ms
        assert not row["closed_early"]
    return len(late)


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_every_late_record_is_told(delivery: str, new_run: RunFactory, topic: TopicFactory) -> None:
    run, late = new_run(3), topic("late", partitions=2)
    Feed(run.bootstrap, run.input, 3).send(made_records(9_000))
    stats = run.until_end("--late-topic", late, "--delivery", delivery, "--unmarshallers", "2")
    assert check(run, late) == stats["late"] > 100
    run.check()


def test_one_row_by_hand(new_run: RunFactory, topic: TopicFactory) -> None:
    """Windows of 10 s and a max lag of 5 s: at 1 s before its end + 21 s, by the clock of its partition."""
    run, late = new_run(), topic("late")
    Feed(run.bootstrap, run.input).send([record(T0 + s) for s in (0, 3, 6, 9, 20, 31, 9.5, 32)])
    assert run.until_end("--inline", "--late-topic", late)["late"] == 1
    assert references(run, late) == [
        {
            "topic": run.input,
            "partition": 0,
            "offset": 6,
            "time": T0 + 9.5,
            "window": T0,
            "late_ms": 21_000,
            "closed_early": False,
            "v": 1,
        }
    ]


def test_a_flood_of_late_records_is_told_in_portions(new_run: RunFactory, topic: TopicFactory) -> None:
    """More than may wait, twice over, and not one window closes meanwhile."""
    run, late = new_run(), topic("late")
    flood = [record(T0 - 60)] * 120_000
    Feed(run.bootstrap, run.input).send([*[record(T0 + 1)] * 25, *flood, record(T0 + 2)])
    stats = run.until_end("--inline", "--late-topic", late)
    assert (stats["late"], stats["counted"], stats["windows"]) == (120_000, 26, 1)
    offsets = [row["offset"] for row in references(run, late)]
    assert offsets == list(range(25, 120_025))


def test_a_record_of_a_window_closed_in_silence(new_run: RunFactory, topic: TopicFactory) -> None:
    """By the clock of its partition it is in time, so late_ms is less than the max lag, and negative here."""
    run, late = new_run(), topic("late")
    feed = Feed(run.bootstrap, run.input)
    feed.send([record(T0 + 1)] * 4)
    with run.start("--inline", "--late-topic", late, "--idle-timeout", "500ms") as instance:
        while not run.published():
            assert instance.running, instance.log
        feed.send([record(T0 + 5)])
        while not references(run, late):
            assert instance.running, instance.log
    (row,) = references(run, late)
    assert (row["offset"], row["late_ms"], row["closed_early"]) == (4, -9_000, True)


@pytest.mark.slow
def test_none_is_lost_and_none_told_twice_when_the_process_is_killed(
    new_run: RunFactory, topic: TopicFactory
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    run, late = new_run(2), topic("late")
    made = made_records(20_000)
    feeding = feed_slowly(run, made, 2)
    try:
        for _ in range(4):
            run.kill_at_random(chance, "--late-topic", late)
    finally:
        feeding.join()
    run.until_end("--late-topic", late, *QUICK_GROUP)
    assert check(run, late) > 200
    run.check()
