"""Periods of calendars on real Kafka: each comes out once, with its right value, whatever happens on the way.

::

    windows of a minute   |.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|.|
    periods of 10 m       |         |         |         |
    hours, days           |              Berlin's: 01:00 is followed by 03:00 on 29 March 2026
    parts that are fed    |────|────|────|────|────|────|       so that something dies within every period
"""

import itertools
import json
import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from streamagg.faults import POINTS
from streamagg.model.settings import CalendarSettings, DecodeSettings, MeasureSettings, WindowSettings
from tests.integration.conftest import RunFactory
from tests.integration.test_standby import LEADING, led_by_one
from tests.support.instances import READY_S, Instance, wait_until
from tests.support.pipeline import QUICK_GROUP, Feed, Run, read_all

pytestmark = pytest.mark.kafka

ZONE: Final = "Europe/Berlin"
MINUTE_S: Final = 60
TEN_S: Final = 600
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
CALENDARS: Final = (
    CalendarSettings("10m", TEN_S * 1_000),
    CalendarSettings("hour", HOUR_S * 1_000),
    CalendarSettings("day", DAY_S * 1_000),
)
WINDOW: Final = WindowSettings(
    MINUTE_S * 1_000, max_lag_ms=30_000, max_jump_ms=60_000, calendars=CALENDARS, time_zone=ZONE
)
GROUPED: Final = DecodeSettings(
    group_by=("country",),
    measures=(
        MeasureSettings("bytes", "sum", "bytes"),
        MeasureSettings("slowest", "max", "ms"),
        MeasureSettings("price", "last", "price"),
    ),
)
START_S: Final = int(datetime(2026, 3, 28, 20, 50, tzinfo=UTC).timestamp())
"""Ten to ten in the evening: two hours and ten minutes later the day begins that has 23 hours."""
STEP_S: Final = 15
PARTITIONS: Final = 2
COUNTRIES: Final = ("DE", "FR", "PL", None)
LIVE: Final = ("--idle-timeout", "10m", *QUICK_GROUP)
"""What closes windows is the log, however slow the machine is."""
ENDS: Final = 15.0
"""Seconds that an instance may take to end."""


@dataclass(slots=True)
class Truth:
    """All records that were sent, and what has to come of them: sets and sums, with the clock of the zone."""

    seed: int = 1
    sent: list[dict[str, Any]] = field(default_factory=list)

    def part(self, minutes: int) -> Iterator[bytes]:
        """Records of the next minutes; some are out of order, none is too late."""
        chance = random.Random(f"{self.seed} {len(self.sent)}")
        for _ in range(minutes * MINUTE_S // STEP_S):
            number = len(self.sent)
            # No two in one millisecond: which of them is the last would be a matter of partitions.
            at = START_S + (number + chance.randrange(3)) * STEP_S + number % 400 / 400
            user = chance.randrange(150)
            made = {
                "ts": at,
                "uid": f"user {user}",
                "bytes": chance.randrange(5_000),
                "ms": chance.random() * 900,
            }
            made |= {"country": chance.choice(COUNTRIES), "price": round(chance.random() * 100, 2)}
            self.sent.append(made)
            yield json.dumps(made).encode()

    def expected(self, *, grouped: bool) -> dict[str, dict[str, Any]]:
        """By key, of every window that holds a record, and of the periods that end with one or before it."""
        held: dict[str, list[dict[str, Any]]] = defaultdict(list)
        until_s = max(one["ts"] for one in self.sent) // MINUTE_S * MINUTE_S + MINUTE_S
        for one in self.sent:
            for name in (name for name, end_s in spans(one["ts"]).items() if end_s <= until_s):
                held[name].append(one)
                if grouped:
                    text = json.dumps([one["country"]], separators=(",", ":"))
                    held[f"{name} {text}"].append(one)
        return {key: self._value(key, of, grouped=grouped) for key, of in held.items()}

    def _value(self, key: str, of: list[dict[str, Any]], *, grouped: bool) -> dict[str, Any]:
        value: dict[str, Any] = {"cnt": len({one["uid"] for one in of}), "records": len(of)}
        if not grouped:
            return value
        value["bytes"] = sum(one["bytes"] for one in of)
        value["slowest"] = max(one["ms"] for one in of)
        value["price"] = max(of, key=lambda one: one["ts"])["price"]
        if not key.endswith("]"):
            value["groups"] = len({one["country"] for one in of})
        return value


def spans(time_s: float) -> dict[str, int]:
    """Keys of the window and of the periods that a time lies in, with their ends."""
    zone = ZoneInfo(ZONE)
    today = datetime.fromtimestamp(time_s, zone).date()
    day, tomorrow = (
        int(datetime.combine(one, datetime.min.time(), zone).timestamp())
        for one in (today, today + timedelta(days=1))
    )
    found = {f"day {day}": tomorrow}
    # Berlin's clock is changed by a whole hour, so that its hours begin with those of UTC.
    for name, length_s in (("", MINUTE_S), ("10m ", TEN_S), ("hour ", HOUR_S)):
        start_s = int(time_s // length_s * length_s)
        found[f"{name}{start_s}"] = start_s + length_s
    return found


def output(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """Keys and values of the committed output, in its order."""
    found = read_all(run.bootstrap, run.output)
    return [((message.key() or b"").decode(), json.loads(message.value() or b"")) for message in found]


def compared(run: Run, truth: Truth, *, once: bool = True) -> dict[str, dict[str, Any]]:
    """Fails unless everything came out, once, as plain Python and ``verify`` say; the output by key."""
    expected = truth.expected(grouped=bool(run.decode.group_by))
    found = output(run)
    by_key = dict(found)
    assert by_key.keys() == expected.keys()
    assert not once or len(found) == len(by_key), "something was published twice"
    for key, value in found:
        assert {name: value[name] for name in expected[key]} == expected[key], key
        assert not value["partial"]
    run.check(allow_repeats=not once, allow_open=True)
    return by_key


def state_topic(run: Run) -> str:
    return f"{run.output}.{run.group or run.output}.state"


def keys_of_state(run: Run) -> set[str]:
    """Of the values that the state topic has, as a start reads them."""
    held: dict[str, bool] = {}
    for message in read_all(run.bootstrap, state_topic(run)):
        held[(message.key() or b"").decode()] = message.value() is not None
    return {key for key, there in held.items() if there}


@pytest.fixture(params=["plain", "grouped"])
def decode(request: pytest.FixtureRequest) -> DecodeSettings:
    return GROUPED if request.param == "grouped" else DecodeSettings()


def test_runs_with_an_end_go_on_with_what_the_others_left(
    decode: DecodeSettings, new_run: RunFactory
) -> None:
    """Each with another number of aggregators."""
    run = new_run(PARTITIONS, window=WINDOW, decode=decode)
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    for aggregators in (1, 3, 2):
        feed.send(truth.part(500))
        run.until_end("--keep-open", "--aggregators", str(aggregators), *QUICK_GROUP)
    assert {key.split(" ")[0] for key in keys_of_state(run)} == {"head", "10m", "hour", "day"}
    feed.send(truth.part(30))
    run.until_end("--inline", *QUICK_GROUP)
    found = compared(run, truth)
    days = [value for key, value in found.items() if key.startswith("day") and not key.endswith("]")]
    assert [(day["end"] - day["ts"]) // HOUR_S for day in days] == [24, 23]


def goes_on_or_ends(run: Run, instance: Instance, before: int) -> Callable[[], bool]:
    return lambda: not instance.running or len(output(run)) > before


def dies_at(run: Run, point: str, feed: Feed, truth: Truth, *flags: str) -> None:
    """An instance that dies at its first publication that gets there, in the midst of records."""
    with run.start(*flags, *LIVE, env={"STREAMAGG_FAULT": f"{point}:0.3,seed:{point}"}) as instance:
        instance.wait_for(LEADING)
        while instance.running:
            before = len(output(run))
            # More than the votes that a partition without a clock waits for.
            feed.send(truth.part(21))
            wait_until(goes_on_or_ends(run, instance, before), "windows, or the end")
        assert instance.wait() == -signal.SIGKILL, instance.log
        assert f"breaking at {point}" in instance.log


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_a_death_at_each_point_of_a_publication(delivery: str, new_run: RunFactory) -> None:
    run = new_run(PARTITIONS, window=WINDOW, decode=GROUPED)
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    once = delivery == "exactly-once"
    points = POINTS if once else [one for one in POINTS if one not in ("before-begin", "before-offsets")]
    for point, aggregators in zip(points, itertools.cycle((1, 2, 3)), strict=False):
        dies_at(run, point, feed, truth, "--delivery", delivery, "--aggregators", str(aggregators))
    run.until_end("--delivery", delivery, *QUICK_GROUP)
    compared(run, truth, once=once)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "asleep"])
def test_a_standby_goes_on_with_open_periods(how: signal.Signals, new_run: RunFactory) -> None:
    """A leader that sleeps wakes up when its successor has published; it adds nothing to the state."""
    run = new_run(PARTITIONS, window=WINDOW, decode=GROUPED)
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    feed.send(truth.part(35))
    with run.start("--aggregators", "1", *LIVE) as one:
        one.wait_for(LEADING)
        with run.start("--aggregators", "3", *LIVE) as other:
            leader, standby = led_by_one(PARTITIONS, one, other)
            wait_until(lambda: bool(output(run)), "windows of the leader")
            for_good = standby.log.count(LEADING) + 1
            leader.signal(how)
            try:
                before = len(output(run))
                feed.send(truth.part(35))
                standby.wait_for(LEADING, for_good)
                wait_until(lambda: len(output(run)) > before, "windows of the standby")
            finally:
                if how == signal.SIGSTOP:
                    leader.signal(signal.SIGCONT)
            feed.send(truth.part(100))
            end(standby, *([leader] if how == signal.SIGSTOP else []))
    run.until_end(*QUICK_GROUP)
    compared(run, truth)


def end(*instances: Instance) -> None:
    for instance in instances:
        instance.signal(signal.SIGTERM)
        assert instance.wait(ENDS) == 0, instance.log


@pytest.fixture
def halted(new_run: RunFactory) -> tuple[Run, Truth]:
    """A run that was ended within an hour and a day."""
    run = new_run(PARTITIONS, window=WINDOW)
    feed, truth = Feed(run.bootstrap, run.input, PARTITIONS), Truth()
    feed.send(truth.part(35))
    run.until_end("--inline", "--keep-open")
    assert len(keys_of_state(run)) > 1
    feed.send(truth.part(35))
    return run, truth


def refused(run: Run, *words: str) -> None:
    """In one sentence, with the way out; nothing is published."""
    before = len(output(run))
    found, told = run.refused("--inline")
    assert found == 2, told
    for word in (*words, "--from earliest"):
        assert word in told
    assert len(output(run)) == before


def begun_anew(run: Run, truth: Truth) -> None:
    """The way out leads to the right values, and nothing of the old state is left."""
    before, old = len(output(run)), keys_of_state(run)
    run.until_end("--inline", "--from", "earliest")
    expected = truth.expected(grouped=False)
    anew = output(run)[before:]
    assert len(anew) == len(expected)
    assert {key: value["cnt"] for key, value in anew} == {
        key: value["cnt"] for key, value in expected.items()
    }
    assert len(keys_of_state(run)) > 1
    assert keys_of_state(run) & old <= {"head"}
    assert run.until_end("--inline")["windows"] == 0


def test_a_state_topic_that_was_deleted_is_refused(halted: tuple[Run, Truth]) -> None:
    run, truth = halted
    client, topic = AdminClient({"bootstrap.servers": run.bootstrap}), state_topic(run)
    client.delete_topics([topic])[topic].result(READY_S)
    wait_until(lambda: topic not in client.list_topics(timeout=READY_S).topics, "the end of the state topic")
    refused(run, "deleted or emptied")
    begun_anew(run, truth)


def remove(run: Run, key: bytes) -> None:
    """From the state topic, as compaction does behind a record without a value."""
    producer = Producer({"bootstrap.servers": run.bootstrap})
    producer.produce(state_topic(run), None, key, partition=0)
    assert producer.flush(READY_S) == 0


def test_a_record_of_an_open_period_that_was_removed_is_refused(halted: tuple[Run, Truth]) -> None:
    run, truth = halted
    remove(run, min(key for key in keys_of_state(run) if key.startswith("day ")).encode())
    refused(run, "the state topic has lost 1 of", "open day")
    begun_anew(run, truth)


def test_a_head_that_was_removed_is_refused(halted: tuple[Run, Truth]) -> None:
    run, truth = halted
    remove(run, b"head")
    refused(run, "does not say what open periods hold")
    begun_anew(run, truth)


def test_other_calendars_are_refused(halted: tuple[Run, Truth]) -> None:
    run, truth = halted
    others: list[dict[str, Any]] = [
        {"time_zone": "Europe/Lisbon"},
        {"calendars": CALENDARS[1:]},
        {"calendars": ()},
    ]
    for change in others:
        refused(replace(run, window=replace(WINDOW, **change)))
    run.until_end("--inline")
    compared(run, truth)
