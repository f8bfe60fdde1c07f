"""Topics change under a run: they grow, vanish, lose their beginning, hold transactions of others."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Final

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from tests.chaos.outcome import Published, Verdict, compare, parse
from tests.chaos.scenario import Scenario
from tests.chaos.shape import Shape
from tests.chaos.truth import WINDOWS, Count, Truth
from tests.chaos.world import PATIENCE_S, World
from tests.support.instances import Instance
from tests.support.pipeline import read_all

REFUSED: Final = 2
FOREIGN_USERS: Final = 1_000_000
"""Users of records that the feeder does not send."""
GROWN: Final = 8
ORDERLY: Final = Shape(max_lag_ms=4_000, disorder=0.0, late=0.0)
"""For partitions that begin without a clock, as those of the feeder do in their first seconds."""
NOT_IDLE: Final = Shape(idle_timeout_s=300)
COMPACTED: Final = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "100",
}
SOON_IDLE: Final = Shape(idle_timeout_s=3)


def admin(world: World) -> AdminClient:
    """A client for what a user may do to topics; its answers come only while somebody holds it."""
    return AdminClient({"bootstrap.servers": world.site.direct, "log_level": 0})


def delete(world: World, topic: str) -> None:
    """Delete a topic, and wait until nobody knows it."""
    client = admin(world)
    client.delete_topics([topic])[topic].result(PATIENCE_S)
    world.wait_until(lambda: topic not in client.list_topics(timeout=10).topics, f"the end of {topic}")


def create(world: World, topic: str, partitions: int) -> None:
    """Create a topic; the name of one that was just deleted is not free at once."""

    client = admin(world)

    def created() -> bool:
        try:
            client.create_topics([NewTopic(topic, partitions, -1)])[topic].result(PATIENCE_S)
        except KafkaException:
            return False
        return True

    world.wait_until(created, f"the creation of {topic}")


def records(world: World) -> list[tuple[bytes, bytes]]:
    """Keys and values of the output."""
    return [(m.key() or b"", m.value() or b"") for m in read_all(world.site.direct, world.run.output)]


def published(world: World) -> Published:
    """Every value of every window in the output."""
    return parse(records(world))


def refused(world: World, instance: Instance, *words: str) -> None:
    """The instance gives up with the exit code of a refusal, and says why."""
    code = instance.wait(PATIENCE_S)
    assert code == REFUSED, f"ended with {code}: {instance.log[-1_000:]}"
    last = instance.log.strip().rpartition("\n")[2]
    assert any(word in last for word in words), f"none of {words} in: {last}"
    world.expected_ends[instance.pid] = code


class OnlyPublished(Truth):
    """Demands of a run that has refused to go on: what came out is right, and came once."""

    def __init__(self, whole: Truth, found: Published, calendar: str = WINDOWS) -> None:
        self._whole = whole
        self._found = found
        self._calendar = calendar

    def closed(self, calendar: str = WINDOWS) -> dict[int, Count]:
        closed = self._whole.closed(self._calendar)
        return {start: count for start, count in closed.items() if start in self._found}

    def open(self, calendar: str = WINDOWS) -> dict[int, Count]:
        return self._whole.open(self._calendar)


def judge_published(world: World) -> Verdict:
    """For runs that were refused: nobody works any more, and what was published before is right."""
    world.feeder.stop()
    for instance in world.instances:
        assert not instance.running, f"{instance.log_path} still runs"
        assert not instance.workers(), f"workers of {instance.log_path} still run"
    found = records(world)
    verdict = Verdict()
    for calendar in world.truth.calendars:
        values = parse(found, calendar)
        verdict += compare(values, OnlyPublished(world.truth, values, calendar))
    return verdict


def grow(world: World, random: Random) -> int:
    """The input gets partitions, and records come into them at once."""
    world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    grown = [NewPartitions(world.run.input, GROWN)]
    client = admin(world)
    client.create_partitions(grown)[world.run.input].result(PATIENCE_S)
    world.topic_feeder.spread(list(range(GROWN)))
    world.recovered()
    world.wait_for_windows(8)
    instance = world.wait_for_leader()
    assert "a further partition: 7" in instance.log, "the new partitions were not found"
    return 1


def delete_records(world: World) -> None:
    """What retention does: the input begins at its present end."""
    everything = [TopicPartition(world.run.input, p, -1) for p in range(world.shape.partitions)]
    client = admin(world)
    for future in client.delete_records(everything).values():
        future.result(PATIENCE_S)


def trim_while_stopped(world: World, random: Random) -> int:
    """Retention removes what a stopped run had not read."""
    instance = world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    instance.signal(signal.SIGTERM)
    assert instance.wait(PATIENCE_S) == 0
    sent = world.feeder.sent
    world.wait_until(lambda: world.feeder.sent > sent + 1_000, "records that nobody reads")
    world.feeder.pause()
    world.feeder.flush()
    delete_records(world)
    refused(world, world.start_instance(), "retention has removed")
    return 1


def trim_while_running(world: World, random: Random) -> int:
    """Retention removes what unmarshallers that hang had not read."""
    instance = world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    frozen = instance.workers("unmarshaller")
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    sent = world.feeder.sent
    world.wait_until(lambda: world.feeder.sent > sent + 5_000, "records that nobody reads")
    world.feeder.pause()
    world.feeder.flush()
    delete_records(world)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    refused(world, instance, "retention has removed")
    refused(world, world.start_instance(), "retention has removed")
    return 1


def fill(world: World, records: int) -> None:
    """Other users at the same times, in every partition: more offsets than there were before."""
    producer = Producer({"bootstrap.servers": world.site.direct, "log_level": 0})
    for row in range(records):
        value = b'{"ts":%d,"uid":"%d"}' % (world.feeder.now_ms, FOREIGN_USERS + row)
        producer.produce(world.run.input, value, partition=row % world.shape.partitions)
        producer.poll(0)
    assert producer.flush(PATIENCE_S) == 0


def remake_input(world: World, random: Random) -> int:
    """The input is deleted, made again, and filled beyond the offsets that were read."""
    instance = world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    world.feeder.pause()
    world.feeder.flush()
    client = admin(world)
    client.delete_topics([world.run.input])[world.run.input].result(PATIENCE_S)
    create(world, world.run.input, world.shape.partitions)
    fill(world, 2 * world.feeder.sent)
    refused(world, instance, "deleted", "made anew")
    refused(world, world.start_instance(), "made anew")
    return 1


def remake_input_while_stopped(world: World, random: Random) -> int:
    """The same while nobody reads: the group's checkpoint is gone with the topic."""
    instance = world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    instance.signal(signal.SIGTERM)
    assert instance.wait(PATIENCE_S) == 0
    world.feeder.pause()
    world.feeder.flush()
    delete(world, world.run.input)
    create(world, world.run.input, world.shape.partitions)
    fill(world, 2 * world.feeder.sent)
    refused(world, world.start_instance(), "made anew")
    return 1


def delete_output(world: World, random: Random) -> int:
    """The output is deleted while it is written; after the refusal a new start makes it again and goes on."""
    instance = world.start_instance()
    world.wait_for_windows(random.randint(1, 3))
    delete(world, world.run.output)
    refused(world, instance, world.run.output)
    world.start_instance()
    world.wait_until(lambda: bool(published(world)), "windows in the new topic")
    return 1


def judge_new_output(world: World) -> Verdict:
    """What was deleted is not missed: from the first window of the new topic on all are there, and right."""
    world.feeder.finish()
    last = max(world.truth.closed())
    world.wait_until(lambda: last in published(world), "the last window")
    for instance in world.running:
        instance.signal(signal.SIGTERM)
        assert instance.wait(PATIENCE_S) == 0, instance.log[-1_000:]
    found = published(world)
    first = min(found)
    must = {start: found.get(start, []) for start in world.truth.closed() if start >= first}
    return compare(must, OnlyPublished(world.truth, must))


class Stranger:
    """Another producer, whose transactions in the input end well, badly or not at all."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._producer = Producer(
            {
                "bootstrap.servers": world.site.direct,
                "transactional.id": f"{world.run.input}-{name}",
                "log_level": 0,
            }
        )
        self._producer.init_transactions(PATIENCE_S)

    def write(self, random: Random, partitions: list[int], *, counted: bool) -> None:
        """Begin a transaction and put records into it."""
        self._producer.begin_transaction()
        for row in range(200):
            partition, user = random.choice(partitions), FOREIGN_USERS + random.randrange(500)
            now_ms = self._world.feeder.now_ms
            if counted:
                self._world.truth.add(partition, now_ms, user)
            value = b'{"ts":%d,"uid":"%d"}' % (now_ms, user)
            self._producer.produce(self._world.run.input, value, partition=partition)
            self._producer.poll(0 if row % 20 else 0.01)
        assert self._producer.flush(PATIENCE_S) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(PATIENCE_S)

    def abort(self) -> None:
        self._producer.abort_transaction(PATIENCE_S)


def transactions_of_others(world: World, random: Random) -> int:
    """Some are committed, some aborted, beside the records of the feeder."""
    times = 6 if world.quick else 20
    stranger = Stranger(world, "quick")
    world.start_instance()
    world.wait_for_windows(1)
    for _ in range(times):
        counted = random.random() < 0.5
        stranger.write(random, list(range(world.shape.partitions)), counted=counted)
        stranger.commit() if counted else stranger.abort()
    world.recovered()
    return times


def hanging_transactions(world: World, random: Random) -> int:
    """One stays open for longer than the idle time-out: its partition is not silent, and nothing is late."""
    times = 2 if world.quick else 4
    stranger = Stranger(world, "slow")
    world.start_instance()
    for number in range(times):
        world.wait_for_windows(2)
        counted = number % 2 == 0
        stranger.write(random, [random.randrange(world.shape.partitions)], counted=counted)
        time.sleep(world.shape.idle_timeout_s * 3)
        stranger.commit() if counted else stranger.abort()
        world.recovered()
    return times


@contextmanager
def compacting(world: World) -> Iterator[None]:
    """The input is compacted as fast as the broker can."""
    alter(world, COMPACTED)
    try:
        yield
    finally:
        alter(world, {"cleanup.policy": "delete"})


def alter(world: World, config: Mapping[str, str], topic: str | None = None) -> None:
    """Change the configuration of a topic, of the input if none is named."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic or world.run.input, incremental_configs=entries)
    client = admin(world)
    for future in client.incremental_alter_configs([resource]).values():
        future.result(PATIENCE_S)


def feed_keyed(world: World, random: Random, steps: int, first: int) -> None:
    """Records under keys of their own, and between them junk under one key, which compaction removes.

    Returns once windows come out.
    """
    producer = Producer({"bootstrap.servers": world.site.direct, "log_level": 0, "linger.ms": 5})
    seen = len(world.watch.seen)
    for step in range(first, first + steps):
        world.feeder.now_ms += 20
        for partition in range(world.shape.partitions):
            user = random.randrange(FOREIGN_USERS)
            world.truth.add(partition, world.feeder.now_ms, user)
            value = b'{"ts":%d,"uid":"%d"}' % (world.feeder.now_ms, user)
            producer.produce(world.run.input, value, b"%d" % step, partition)
            producer.produce(world.run.input, b"junk", b"junk", partition)
        producer.poll(0.02)
    assert producer.flush(PATIENCE_S) == 0
    world.wait_until(lambda: len(world.watch.seen) > seen, "windows of these records")


def compact(world: World, random: Random) -> int:
    """Instances are killed, so that what was read before compaction is read again after it."""
    times = 2 if world.quick else 4
    with compacting(world):
        for number in range(times):
            instance = world.start_instance()
            feed_keyed(world, random, 200, 200 * number)
            instance.kill()
            world.wait_until(lambda: has_gaps(world), "gaps")
            world.start_instance()
            feed_keyed(world, random, 200, 10_000 + 200 * number)
            world.running[0].kill()
    world.feeder.resume()
    return times


def has_gaps(world: World) -> bool:
    """The first partition holds fewer records than offsets."""
    offsets = [m.offset() or 0 for m in read_all(world.site.direct, world.run.input) if m.partition() == 0]
    return len(offsets) <= max(offsets)


SCENARIOS = (
    Scenario("topic-grow", "input grows from 4 to 8 partitions", grow, ORDERLY, quick=True),
    Scenario(
        "topic-trimmed-stopped",
        "retention beyond the checkpoint of a stopped run: refused",
        trim_while_stopped,
        judge=judge_published,
    ),
    Scenario(
        "topic-trimmed-running",
        "retention beyond the position of a running one: refused",
        trim_while_running,
        judge=judge_published,
    ),
    Scenario(
        "topic-remade-running",
        "input deleted and made again under a run: refused",
        remake_input,
        judge=judge_published,
    ),
    Scenario(
        "topic-remade-stopped",
        "input deleted and made again while stopped: refused",
        remake_input_while_stopped,
        judge=judge_published,
    ),
    Scenario(
        "topic-output-deleted",
        "output deleted under a run: refused, a new start goes on",
        delete_output,
        NOT_IDLE,
        judge=judge_new_output,
    ),
    Scenario("topic-transactions", "transactions of others, committed and aborted", transactions_of_others),
    Scenario(
        "topic-hanging",
        "transactions of others open for three idle time-outs",
        hanging_transactions,
        SOON_IDLE,
        quick=True,
    ),
    Scenario(
        "topic-compacted",
        "compacted input with gaps, read again after SIGKILL",
        compact,
        NOT_IDLE,
        prepare=lambda world: world.feeder.pause(),
    ),
)
