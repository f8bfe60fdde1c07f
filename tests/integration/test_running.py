"""What open periods come to so far, on a real broker: each value is a recount, whatever dies meanwhile."""

import json
import signal
from collections import defaultdict
from dataclasses import replace
from typing import Any, Final

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streamagg.model.settings import CeilingSettings
from tests.integration.conftest import RunFactory
from tests.integration.test_calendars import (
    GROUPED,
    LIVE,
    MINUTE_S,
    PARTITIONS,
    WINDOW,
    Truth,
    dies_at,
    spans,
)
from tests.integration.test_standby import LEADING
from tests.support.instances import READY_S, wait_until
from tests.support.pipeline import QUICK_GROUP, Feed, Run, read_all
from tests.support.published import check_published

pytestmark = pytest.mark.kafka

TOP: Final = 2
Row = dict[str, Any]


def topic_of(run: Run) -> str:
    return f"{run.output}-so-far"


def told(run: Run) -> list[tuple[str, Row | None]]:
    """All that was committed to the topic, in its order; None removes."""
    found = read_all(run.bootstrap, topic_of(run))
    values = [((one.key() or b"").decode(), one.value()) for one in found]
    check_published([value for _, value in values if value is not None])
    return [(key, None if value is None else json.loads(value)) for key, value in values]


def recount(truth: Truth, name: str, through: float) -> dict[str, Row]:
    """Of one period, and of its groups of which most is to be told, from all windows up to then."""
    held: dict[str, list[Row]] = defaultdict(list)
    for one in truth.sent:
        if name in spans(one["ts"]) and one["ts"] // MINUTE_S * MINUTE_S + MINUTE_S <= through:
            held[name].append(one)
            held[f"{name} {json.dumps([one['country']], separators=(',', ':'))}"].append(one)
    values = {key: truth._value(key, of, grouped=True) for key, of in held.items()}
    groups = sorted((-of["cnt"], -of["records"], key) for key, of in values.items() if key != name)
    return {key: values[key] for key in (name, *(key for *_, key in groups[:TOP]))}


def check_told(run: Run, truth: Truth) -> dict[str, Row]:
    """Whoever reads it finds recounts only, at each moment; what is there in the end, by key."""
    there: dict[str, dict[str, Row]] = defaultdict(dict)
    for key, value in told(run):
        name = key.partition(" [")[0]
        if value is None:
            there[name].pop(key, None)
            continue
        expected = recount(truth, name, value["through"])[key]
        assert {field: value[field] for field in expected} == expected, key
        assert (value["through"] == value["end"]) == value["final"]
        there[name][key] = value
    for name, rows in there.items():
        assert {row["through"] for row in rows.values()} == {rows[name]["through"]}, "groups of two moments"
        assert rows.keys() == recount(truth, name, rows[name]["through"]).keys()
    return {key: row for rows in there.values() for key, row in rows.items()}


def published_until(run: Run) -> int:
    """The end of the last window in the output."""
    return max(
        (row["ts"] + MINUTE_S for row in map(json.loads, run.published()) if "end" not in row), default=0
    )


def told_until(run: Run) -> int:
    """The same, once periods are told up to there; 0 before. Nobody reads what is ahead of the windows."""
    so_far = max((row["through"] for _, row in told(run) if row is not None), default=0)
    until = published_until(run)
    assert so_far <= until
    return until if so_far == until else 0


@pytest.fixture
def run(new_run: RunFactory) -> Run:
    made = new_run(PARTITIONS, window=WINDOW, decode=GROUPED)
    return replace(made, ceiling=CeilingSettings(top=TOP))


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_whatever_dies_each_value_is_that_of_the_windows_so_far(delivery: str, run: Run) -> None:
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    once = delivery == "exactly-once"
    flags = ("--running", topic_of(run), "--delivery", delivery, "--top", str(TOP))
    for point, aggregators in (("after-produce", 1), ("before-commit", 3), ("after-commit", 2)):
        dies_at(run, point, feed, truth, *flags, "--aggregators", str(aggregators))
        so_far = max((row["through"] for _, row in told(run) if row is not None), default=0)
        # Without transactions what is told may be out before its windows.
        assert not once or so_far <= published_until(run)
        check_told(run, truth)
    feed.send(truth.part(200))
    run.until_end(*flags, *QUICK_GROUP)
    there = check_told(run, truth)
    assert {row["through"] for row in there.values() if not row["final"]} == {published_until(run)}
    finals = {key: row for key, row in there.items() if row["final"]}
    output = {
        key.decode(): json.loads(value)
        for key, value in map(key_and_value, read_all(run.bootstrap, run.output))
    }
    ended = {key: row for key, row in output.items() if "end" in row}
    assert finals == {key: {**row, "through": row["end"], "final": True} for key, row in ended.items()}
    assert {key.split(" ")[0] for key in finals} == {"10m", "hour", "day"}
    run.check(allow_repeats=not once, allow_open=True)


def key_and_value(message: Any) -> tuple[bytes, bytes]:
    return message.key(), message.value()


def test_it_is_told_with_its_windows_and_after_a_restart(run: Run) -> None:
    """The last windows are told of though none follows; and with fewer groups than the run before."""
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    flags = ("--running", topic_of(run), "--top", str(TOP))
    with run.start(*flags, *LIVE) as instance:
        instance.wait_for(LEADING)
        feed.send(truth.part(40))
        wait_until(lambda: told_until(run) > 0, "all windows to be told of")
        first_s = published_until(run)
        feed.send(truth.part(40))
        wait_until(lambda: told_until(run) > first_s, "the others")
        instance.signal(signal.SIGTERM)
        assert instance.wait() == 0
    before = check_told(run, truth)
    run.until_end("--running", topic_of(run), "--keep-open", "--top", "1")
    there = {key: row for key, row in latest(run).items() if not row["final"]}
    assert there.keys() == {
        key for key, row in before.items() if not row["final"] and first(key, row, before)
    }


def latest(run: Run) -> dict[str, Row]:
    there: dict[str, Row] = {}
    for key, value in told(run):
        there.pop(key, None)
        if value is not None:
            there[key] = value
    return there


def first(key: str, row: Row, rows: dict[str, Row]) -> bool:
    """All groups, or the first one."""
    name = key.partition(" [")[0]
    others = [other for other in rows if other.startswith(f"{name} [")]
    return key == name or key == min(others, key=lambda one: (-rows[one]["cnt"], -rows[one]["records"], one))


def test_a_topic_that_is_not_compacted_is_refused(run: Run) -> None:
    client = AdminClient({"bootstrap.servers": run.bootstrap})
    topic = NewTopic(topic_of(run), 1, config={"cleanup.policy": "delete"})
    client.create_topics([topic])[topic.topic].result(READY_S)
    code, text = run.refused("--running", topic_of(run))
    assert (code, "has cleanup.policy=delete" in text) == (2, True), text
