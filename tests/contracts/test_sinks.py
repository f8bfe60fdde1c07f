"""What every sink does: see ``streamagg.sinks.contract``."""

import random
import select
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamagg.core import checkpoint
from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError, TopicError
from streamagg.faults import Point
from streamagg.kafka.membership import Membership
from streamagg.model.measured import PublisherNumbers
from streamagg.model.results import USERS, WindowTable
from streamagg.model.settings import DecodeSettings, Delivery, KafkaSettings, RunSettings, WindowSettings
from streamagg.sinks.callback import CallbackPublisher
from streamagg.sinks.contract import LeaderPublisher, Publication, Publisher, PublishFailed, Sink, Stored
from streamagg.sinks.directory.manifest import read_manifest
from streamagg.sinks.directory.sink import DirectorySink
from streamagg.sinks.kafka.topic import TopicSink
from streamagg.sinks.open import open_leadership
from streamagg.sinks.postgres.sink import PostgresSink
from streamagg.sinks.publisher_thread import PublisherThread
from tests.simulation.broker import Broker
from tests.simulation.publisher import SimPublisher, View
from tests.simulation.scenario import scenario
from tests.simulation.sink import SimSink
from tests.simulation.tables import USERS_ALONE
from tests.support.blocks import window_table
from tests.support.instances import wait_until
from tests.support.pipeline import read_all
from tests.support.postgres import Postgres

PATIENCE_S = 30
CLOSE_S = 1.0
POLL_S = 0.05
PARTITIONS = range(2)
WINDOW = WindowSettings()
SIGNATURE = "settings:topic:destination"
POINTS: tuple[Point, ...] = (
    "before-begin",
    "after-produce",
    "before-offsets",
    "before-commit",
    "after-commit",
)
SEEDS = 30

Confirm = Callable[[], object]
Kept = dict[int, Checkpoint]
Seen = tuple[list[int], Kept]
"""Users of the windows that are out, in order, and the last checkpoints."""


class Broken(Exception):
    """Struck."""


def publication(number: int, windows: int = 1) -> Publication:
    """The windows from a number on, and how far reading had come then."""
    counts = tuple(window_table(number + more, number + more, 100) for more in range(windows))
    through = number + windows - 1
    places = {n: Checkpoint(PartitionState(100 * through + n), through, 100 * through) for n in PARTITIONS}
    return Publication(counts, places)


def kept_state(leader: LeaderPublisher) -> list[tuple[bytes, bytes]]:
    return list(leader.state(lambda: None))


class Bench(Protocol):
    """Where something may be published, and who looks at what is out."""

    def publisher(self) -> Publisher:
        """One that may begin."""

    def publish(self, publisher: Publisher, publication: Publication) -> Publication | None:
        """To the end; raises what the publisher does."""

    def seen(self) -> Seen:
        """By everybody."""


class SinkBench(Bench, Protocol):
    """The same with a sink for many instances."""

    sink: Sink[object]
    once: bool
    """Exactly."""

    def lead(self, confirm: Confirm = lambda: None) -> LeaderPublisher:
        """The instance that leads begins to publish, maybe again."""

    def depose(self) -> None:
        """Another instance leads from now on; the one that did so far does not hear of it."""

    def breaking(self) -> Iterator[LeaderPublisher]:
        """Leaders whose next publication may go wrong, each in its way."""


class CallbackBench:
    """A function."""

    def __init__(self) -> None:
        self._out: list[int] = []
        self._publisher = CallbackPublisher(Windows(WINDOW), self._emit, {})

    def publisher(self) -> Publisher:
        return self._publisher

    def publish(self, publisher: Publisher, publication: Publication) -> Publication | None:
        publisher.submit(publication)
        return publisher.finished()

    def seen(self) -> Seen:
        return self._out, self._publisher.checkpoints

    def _emit(self, windows: Windows, counts: Sequence[WindowTable]) -> None:
        self._out += [count.row[USERS].count for count in counts]


def kept(stored: Stored) -> Kept:
    return {
        n: checkpoint.decode(offset, text, SIGNATURE, WINDOW, DecodeSettings())
        for n, (offset, text) in stored.items()
    }


class SimBench:
    """The simulator's broker."""

    def __init__(self, delivery: Delivery) -> None:
        self.once = delivery == "exactly-once"
        made = scenario(*(random.Random(1) for _ in range(4)))
        calm = replace(made.odds, publish=0)
        calmed = replace(made, delivery=delivery, window=WINDOW, asked=USERS_ALONE, odds=calm)
        # With at-least-once delivery nothing but the generation of the group shuts a leader out.
        self._calm = replace(calmed, in_group=True, to_directory=False)
        self._broker = Broker()
        self.sink = SimSink(self._calm, self._broker, random.Random(1))
        self.depose()

    def publisher(self) -> SimPublisher:
        return self.lead()

    def lead(self, confirm: Confirm = lambda: None) -> SimPublisher:
        return self._started(self.sink, confirm)

    def depose(self) -> None:
        self._broker.elect(None)
        self._view = View()
        self._view.leader, self._view.generation = True, self._broker.generation

    def breaking(self) -> Iterator[SimPublisher]:
        wild = replace(self._calm, odds=replace(self._calm.odds, publish=0.4))
        for seed in range(SEEDS):
            yield self._started(SimSink(wild, self._broker, random.Random(seed)), lambda: None)

    def publish(self, publisher: Publisher, publication: Publication) -> Publication | None:
        assert isinstance(publisher, SimPublisher)
        publisher.submit(publication)
        while publisher.working:
            publisher.step()
        return publisher.finished()

    def seen(self) -> Seen:
        users = [orjson.loads(value)["cnt"] for _, _, value in self._broker.output]
        return users, kept(self.sink.checkpoints(PARTITIONS))

    def _started(self, sink: SimSink, confirm: Confirm) -> SimPublisher:
        publisher = sink.publisher(self._view, SIGNATURE, confirm, PublisherNumbers())
        assert publisher.start(lambda: False)
        return publisher


class ThreadBench:
    """Of a sink that publishes in a thread; a publication breaks at a point where that is wanted."""

    once = True
    points = POINTS
    """At which a publication may break."""
    sink: Sink[Any]

    def __init__(self) -> None:
        self._breaks_at: Point | None = None
        self._publishers: list[LeaderPublisher] = []

    @property
    def member(self) -> Membership | None:
        """The place in the group of the instance that leads, where there is one."""
        return None

    def publisher(self) -> Publisher:
        return self.lead()

    def lead(self, confirm: Confirm = lambda: None) -> LeaderPublisher:
        member = self.member
        publisher = self.sink.publisher(member, SIGNATURE, confirm, PublisherNumbers())
        self._publishers.append(publisher)
        assert publisher.start(lambda: member is not None and not member.leader)
        return publisher

    def depose(self) -> None:
        """The next one to lead shuts out the one before."""

    def breaking(self) -> Iterator[LeaderPublisher]:
        for point in self.points:
            publisher = self.lead()
            self._breaks_at = point
            yield publisher

    def publish(self, publisher: Publisher, publication: Publication) -> Publication | None:
        assert isinstance(publisher, PublisherThread)
        publisher.submit(publication)
        assert publisher.busy
        assert select.select([publisher], [], [], PATIENCE_S)[0]
        return publisher.finished()

    def close(self) -> None:
        for publisher in self._publishers:
            publisher.close(CLOSE_S)

    def _reached(self, point: Point) -> None:
        if point == self._breaks_at:
            self._breaks_at = None
            raise Broken(point)


class TopicBench(ThreadBench):
    """A topic of a real broker."""

    def __init__(self, bootstrap: str, delivery: Delivery, *, of_topic: bool = True) -> None:
        """``of_topic``: the input is one, too; else checkpoints are in the state topic."""
        super().__init__()
        self.once = delivery == "exactly-once"
        if not self.once:
            self.points = ("after-produce", "before-commit", "after-commit")
        self._bootstrap = bootstrap
        name = uuid.uuid4().hex[:12]
        # Who does not come back to the group for so long has left it.
        quick = {
            "session.timeout.ms": "3000",
            "heartbeat.interval.ms": "500",
            "max.poll.interval.ms": "6000",
        }
        kafka = KafkaSettings(bootstrap, quick, group=f"group-{name}")
        input_ = f"in-{name}" if of_topic else "dir:/in"
        self.settings = RunSettings(
            input_, f"out-{name}", kafka=kafka, delivery=delivery, state_topic=f"state-{name}"
        )
        if of_topic:
            client = AdminClient({"bootstrap.servers": bootstrap})
            client.create_topics([NewTopic(input_, len(PARTITIONS), 1)])[input_].result(PATIENCE_S)
        self.sink = TopicSink(self.settings, self._reached)
        self.sink.make()
        self._members: list[Membership] = []
        self._ended = threading.Event()
        self._polling = threading.Thread(target=self._poll, daemon=True)
        self._polling.start()
        self.depose()

    @property
    def member(self) -> Membership:
        return self._members[-1]

    def depose(self) -> None:
        member = open_leadership(self.settings)
        assert isinstance(member, Membership)
        member.join()
        self._members.append(member)
        wait_until(lambda: member.leader, "leadership")

    def seen(self) -> Seen:
        values = [message.value() for message in read_all(self._bootstrap, self.settings.output)]
        users = [orjson.loads(value or b"")["cnt"] for value in values]
        return users, kept(self.sink.checkpoints(PARTITIONS))

    def close(self) -> None:
        super().close()
        self._ended.set()
        self._polling.join()
        for member in self._members:
            member.close()

    def _poll(self) -> None:
        """The last member stays in the group, however long anything takes; those before drop out of it."""
        while not self._ended.wait(POLL_S):
            for member in self._members[-1:]:
                member.poll()


class DirectoryBench(ThreadBench):
    """A directory; the leadership of another instance is its higher epoch."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory / "counts"
        self.sink = DirectorySink(RunSettings("in", f"dir:{self._directory}"), self._reached)
        self.sink.make()

    def seen(self) -> Seen:
        users: list[int] = []
        found = read_manifest(self._directory)
        for day in () if found is None else found.days.values():
            for file in day.jsonl:
                lines = (self._directory / file.path).read_bytes()[: file.bytes].splitlines()
                users += [orjson.loads(line)["cnt"] for line in lines]
        return users, kept(self.sink.checkpoints(PARTITIONS))


class PostgresBench(ThreadBench):
    """A database of a real server; the leadership of another instance is its higher epoch."""

    def __init__(self, server: Postgres, database: str) -> None:
        super().__init__()
        self._server = server
        self._database = database
        self.sink = PostgresSink(RunSettings("in", server.url(database)), self._reached)
        self.sink.make()

    def seen(self) -> Seen:
        rows = self._server.run("SELECT cnt FROM streamagg_results ORDER BY ts", database=self._database)
        return [cnt for (cnt,) in rows], kept(self.sink.checkpoints(PARTITIONS))


DELIVERIES: tuple[Delivery, ...] = ("exactly-once", "at-least-once")


SINKS = [
    pytest.param(("directory", None), id="directory"),
    pytest.param(("postgres", None), id="postgres"),
    *(pytest.param(("simulated", delivery), id=f"simulated-{delivery}") for delivery in DELIVERIES),
    *(
        pytest.param(("topic", delivery), id=f"topic-{delivery}", marks=pytest.mark.kafka)
        for delivery in DELIVERIES
    ),
    pytest.param(("topic-alone", "exactly-once"), id="topic-alone", marks=pytest.mark.kafka),
]


EVERY = pytest.mark.parametrize(
    "bench", [pytest.param(("callback", None), id="callback"), *SINKS], indirect=True
)


@pytest.fixture(params=SINKS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    kind, delivery = request.param
    if kind == "callback":
        yield CallbackBench()
    elif kind == "simulated":
        yield SimBench(delivery)
    elif kind == "directory":
        directory = DirectoryBench(request.getfixturevalue("tmp_path"))
        yield directory
        directory.close()
    elif kind == "postgres":
        server, database = request.getfixturevalue("postgres"), request.getfixturevalue("database")
        tables = PostgresBench(server, database)
        yield tables
        tables.close()
    else:
        topic = TopicBench(request.getfixturevalue("broker"), delivery, of_topic=kind == "topic")
        yield topic
        topic.close()


def test_nothing_is_there_at_first(bench: SinkBench) -> None:
    bench.sink.require(lambda: None)
    assert bench.lead().checkpoints(PARTITIONS) == {}
    assert bench.seen() == ([], {})
    assert not bench.sink.holds_results()


@EVERY
def test_windows_and_checkpoint_are_out_when_that_is_told(bench: Bench) -> None:
    publisher = bench.publisher()
    first, second = publication(1), publication(2, windows=3)
    assert publisher.finished() is None
    assert bench.publish(publisher, first) is first
    assert bench.seen() == ([1], first.checkpoints)
    assert (publisher.finished(), publisher.busy) == (None, False), "it is told once"
    assert bench.publish(publisher, second) is second
    assert bench.seen() == ([1, 2, 3, 4], second.checkpoints)


@EVERY
def test_a_checkpoint_may_come_without_windows(bench: Bench) -> None:
    publisher = bench.publisher()
    bench.publish(publisher, publication(1))
    alone = replace(publication(2), windows=())
    assert bench.publish(publisher, alone) is alone
    assert bench.seen() == ([1], alone.checkpoints)


def test_the_next_leader_finds_the_last_checkpoint(bench: SinkBench) -> None:
    bench.publish(bench.lead(), publication(1))
    found = bench.lead().checkpoints(PARTITIONS)
    assert kept(found) == publication(1).checkpoints
    assert bench.sink.checkpoints(PARTITIONS) == found
    assert bench.sink.checkpoints([1]) == {1: found[1]}
    assert bench.sink.holds_results()


def test_a_leader_that_was_replaced_is_refused(bench: SinkBench) -> None:
    before = bench.lead()
    bench.publish(before, publication(1))
    bench.depose()
    after = bench.lead()
    assert kept(after.checkpoints(PARTITIONS)) == publication(1).checkpoints

    with pytest.raises(PublishFailed):
        bench.publish(before, publication(7))

    users, checkpoints = bench.seen()
    assert checkpoints == publication(1).checkpoints
    assert users == [1] or not bench.once
    bench.publish(after, publication(2))
    users, checkpoints = bench.seen()
    assert checkpoints == publication(2).checkpoints
    assert users == [1, 2] or not bench.once


def test_windows_and_checkpoint_are_out_together_or_not_at_all(bench: SinkBench) -> None:
    failures = 0
    users, checkpoints = bench.seen()
    for number, leader in enumerate(bench.breaking(), 1):
        told = publication(number)
        whole = [*users, number], told.checkpoints
        try:
            bench.publish(leader, told)
        except PublishFailed:
            failures += 1
            # What has been left open is settled by the next leader.
            bench.lead()
            repeated = [] if bench.once else [([*users, number], checkpoints)]
            assert bench.seen() in [(users, checkpoints), whole, *repeated]
        else:
            assert bench.seen() == whole
        users, checkpoints = bench.seen()
    assert failures


def test_nothing_is_published_once_the_input_is_another_one(bench: SinkBench) -> None:
    def another() -> None:
        raise CheckpointError("the topic was made anew")

    bench.publish(bench.lead(), publication(1))
    with pytest.raises(CheckpointError, match="made anew"):
        bench.publish(bench.lead(another), publication(2))
    assert bench.seen() == ([1], publication(1).checkpoints)


def test_there_is_no_state_at_first(bench: SinkBench) -> None:
    assert kept_state(bench.lead()) == []


def test_the_next_leader_finds_the_last_value_of_each_key_in_order(bench: SinkBench) -> None:
    leader = bench.lead()
    first = ((b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"empty", b""))
    bench.publish(leader, replace(publication(1), state=first))
    bench.publish(leader, publication(2))
    bench.publish(leader, replace(publication(3), state=((b"b", b"4"), (b"c", None), (b"a", b"5"))))
    bench.publish(leader, replace(publication(4), windows=(), state=((b"d", b"6"), (b"d", b"7"))))
    assert kept_state(bench.lead()) == [(b"empty", b""), (b"b", b"4"), (b"a", b"5"), (b"d", b"7")]


def test_a_key_that_was_removed_may_come_again(bench: SinkBench) -> None:
    leader = bench.lead()
    for value in (b"1", None, b"2"):
        bench.publish(leader, replace(publication(1), state=((b"key", value),)))
    assert kept_state(bench.lead()) == [(b"key", b"2")]


def test_much_state_is_found_whole(bench: SinkBench) -> None:
    """Many records, and some as large as they may be."""
    many = tuple((b"%d" % number, b"of %d" % number) for number in range(20_000))
    large = tuple((b"large %d" % number, bytes([number]) * (512 << 10)) for number in range(3))
    bench.publish(bench.lead(), replace(publication(1), state=(*many, *large)))
    calls = 0

    def alive() -> None:
        nonlocal calls
        calls += 1

    assert list(bench.lead().state(alive)) == [*many, *large]
    assert calls


def test_state_of_a_leader_that_was_replaced_is_refused(bench: SinkBench) -> None:
    before = bench.lead()
    bench.publish(before, replace(publication(1), state=((b"key", b"before"),)))
    bench.depose()
    bench.lead()
    with pytest.raises(PublishFailed):
        bench.publish(before, replace(publication(7), state=((b"key", b"of nobody"), (b"more", b""))))
    if bench.once:
        assert kept_state(bench.lead()) == [(b"key", b"before")]
    after = bench.lead()
    bench.publish(after, replace(publication(2), state=((b"key", b"after"), (b"more", None))))
    assert kept_state(bench.lead()) == [(b"key", b"after")]


def test_state_is_out_together_with_the_windows_or_not_at_all(bench: SinkBench) -> None:
    failures = 0
    (users, checkpoints), state = bench.seen(), dict[bytes, bytes]()
    for number, leader in enumerate(bench.breaking(), 1):
        # Keys of this publication alone, one that changes, and one of the last publication that goes.
        added = {b"%d %d" % (number, key): b"made" for key in range(500)} | {b"through": b"%d" % number}
        gone = b"%d 0" % (number - 1)
        told = replace(publication(number), state=(*added.items(), (gone, None)))
        out = ([*users, number], told.checkpoints), {k: v for k, v in state.items() if k != gone} | added
        try:
            bench.publish(leader, told)
        except PublishFailed:
            failures += 1
            # What has been left open is settled by the next leader.
            found = bench.seen(), dict(kept_state(bench.lead()))
            assert found in [((users, checkpoints), state), out] or not bench.once
            if found[1] != state:
                assert found[0][0] == [*users, number]
                # Of the steps of at-least-once delivery each is out before the next.
                is_through = found[1].get(b"through") == added[b"through"]
                assert found[1].items() >= added.items() or not is_through
                assert gone in found[1] or gone not in state or is_through
        else:
            assert (bench.seen(), dict(kept_state(bench.lead()))) == out
        (users, checkpoints), state = bench.seen(), dict(kept_state(bench.lead()))
    assert failures


@pytest.mark.kafka
def test_a_topic_that_is_missing_is_told(broker: str) -> None:
    settings = RunSettings("in", f"out-{uuid.uuid4().hex[:12]}", kafka=KafkaSettings(broker))
    with pytest.raises(TopicError):
        TopicSink(settings, lambda point: None).require(lambda: None)
    with pytest.raises(TopicError):
        TopicSink(replace(settings, create_topics=False), lambda point: None).make()
