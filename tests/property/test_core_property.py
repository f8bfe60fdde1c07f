"""The core as a whole against plain sets: any cut, any order, any crash, the same windows."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.core.checkpoint import Checkpoint, decode, encode, fingerprint
from streamagg.core.closed_window import ClosedWindow
from streamagg.core.open_window import Rules
from streamagg.core.partition_clock import PartitionState
from streamagg.core.ring import Ring
from streamagg.core.sequencer import Closed, Reread, Rows, Sequencer
from streamagg.core.sharding import split
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.model.columns import USER
from streamagg.model.messages import ColumnBlock
from streamagg.model.settings import NO_CEILING, PLAIN, DecodeSettings, WindowSettings
from tests.support.blocks import Record, block
from tests.support.oracle import recount

TABLES = WindowTables(PLAIN, NO_CEILING)
TIME_OF_DAY_MS = 1 << 50
"""Behind every event time."""
SEEDS = st.integers(0, 2**32 - 1)
Log = list[Record]


def random_log(rng: random.Random, records: int, live: float) -> Log:
    """Disorder, honest gaps, flipped bits, gaps between offsets, records that cannot be decoded."""
    second, offset, log = 10_000 + rng.randrange(100), rng.choice((0, 0, 7_000_000_000)), []
    for _ in range(records):
        offset += 1 if rng.random() < 0.9 else rng.randrange(1, 5)
        if rng.random() < 0.02:
            log.append(Record(offset, reason=rng.choice(("bad_json", "tombstone"))))
            continue
        second += rng.randrange(0, 9) + (rng.randrange(100, 2000) if rng.random() < 0.01 else 0)
        back = rng.choices((0, rng.randrange(0, 6), rng.randrange(0, 400)), (80, 13, 7))[0]
        time = max(0, second - back) ^ (1 << rng.randrange(31) if rng.random() < 0.02 else 0)
        log.append(
            Record(offset, time * 1000 + rng.choice((0, 0, 999)), rng.randrange(12), rng.random() < live)
        )
    return log


def random_logs(rng: random.Random, partitions: int = 3) -> list[Log]:
    """Logs that differ in length and pace; some may be empty."""
    live = rng.choice((0.0, 0.0, 0.3, 1.0))
    return [random_log(rng, rng.choice((0, 5, 60, 160, 160)), live) for _ in range(partitions)]


@dataclass(slots=True)
class Topic:
    """The input, and what lasts when a process dies: committed checkpoints and published windows."""

    logs: Sequence[Log]
    windows: WindowSettings
    committed: dict[int, tuple[int, str]] = field(default_factory=dict)
    published: list[tuple[int, int, int]] = field(default_factory=list)
    """Window, unique users, records, in the order in which they were committed."""

    def start(self, partition: int) -> int:
        log = self.logs[partition]
        return log[0].offset if log else 0

    def end(self, partition: int) -> int:
        log = self.logs[partition]
        return log[-1].offset + 1 if log else 0

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.windows, DecodeSettings())

    def checkpoints(self) -> dict[int, Checkpoint]:
        """What a process that starts finds."""
        return {
            partition: decode(*self.committed[partition], self.fingerprint, self.windows, DecodeSettings())
            if partition in self.committed
            else Checkpoint(PartitionState(self.start(partition)), None, 0)
            for partition in range(len(self.logs))
        }


class Crash(Exception):
    """The process dies here."""


class Life:
    """One life of a process: everything outside the core, as small as it gets."""

    def __init__(
        self, topic: Topic, rng: random.Random, *, crash: float, slots: int, shards: int, naps: bool = False
    ) -> None:
        self.topic, self.rng, self.crash, self.naps = topic, rng, crash, naps
        self.silent_ms = 0
        found = topic.checkpoints()
        self.sequencer = Sequencer(
            Windows(topic.windows),
            slots,
            {partition: checkpoint.state for partition, checkpoint in found.items()},
            closed_through=next(iter(found.values())).closed_through,
            read_before={partition: checkpoint.read_before for partition, checkpoint in found.items()},
        )
        self.rings = [Ring(slots, Rules(PLAIN, NO_CEILING)) for _ in range(shards)]
        self.closed: list[tuple[int, int, int]] = []
        self.unfreed: list[int] = []
        self.timestamps = rng.random() < 0.5
        self.pending = {p: self.cut(p, c.state.offset, self.timestamps) for p, c in found.items()}

    def cut(self, partition: int, first: int, timestamps: bool) -> list[ColumnBlock]:
        """Blocks of random length from an offset to the end of the log."""
        end, blocks, typical = self.topic.end(partition), [], self.rng.choice((2, 15, 80))
        while first < end:
            stop = min(end, first + 1 + self.rng.randrange(typical))
            log = self.topic.logs[partition]
            blocks.append(block(log, first, stop, partition=partition, timestamps=timestamps, end=end))
            first, timestamps = stop, timestamps and self.rng.random() < 0.9
        return blocks

    def offer(self) -> bool:
        """Hand over one block, not always the next one, of any partition."""
        partition = self.rng.choice([p for p, blocks in self.pending.items() if blocks] or [-1])
        if partition < 0:
            return False
        blocks, part = self.pending[partition], self.sequencer.partitions[partition]
        if len(part.parked) >= 3 and part.position in part.parked:
            return False
        choice = 0 if len(part.parked) >= 3 else self.rng.randrange(min(3, len(blocks)))
        chosen = blocks.pop(choice)
        if chosen.consumed:
            self.silent_ms = 0
        self.sequencer.offer(chosen)
        return True

    def advance(self) -> None:
        """Aggregate what comes out, and check that every record is accounted for."""
        for step in self.sequencer.advance(self.silent_ms):
            match step:
                case Rows(window, columns):
                    shares = split(columns, columns[USER], len(self.rings))
                    for ring, share in zip(self.rings, shares, strict=True):
                        ring.add(window, share, len(share[USER]))
                case Closed(window, partial):
                    found = TABLES.combined([ring.window(window).answer() for ring in self.rings])
                    table = TABLES.table(ClosedWindow(window, partial), found)
                    assert table.users is not None
                    self.closed.append((window, table.users.count, table.records))
                case Reread(partition, offset):
                    self.pending[partition] = self.cut(partition, offset, timestamps=True)
        for part in self.sequencer.partitions.values():
            n = part.counts
            gone = n.counted + n.late + n.published_before + sum(n.rejected.values())
            assert n.consumed == gone + n.set_aside + n.waiting
            assert self.naps or n.closed_early == 0

    def publish(self) -> None:
        """Some of the closed windows and the checkpoint behind them, in one transaction."""
        batch = self.closed[: self.rng.randrange(1, len(self.closed) + 1)] if self.closed else []
        del self.closed[: len(batch)]
        through = max([w for w, _, _ in self.topic.published + batch], default=None)
        states = self.sequencer.checkpoint(through)
        if self.rng.random() < self.crash * 5:
            raise Crash
        for partition, state in states.items():
            part = self.sequencer.partitions[partition]
            checkpoint = Checkpoint(state, through, max(part.position, part.read_before))
            text = encode(checkpoint, self.topic.fingerprint, self.topic.windows)
            self.topic.committed[partition] = (state.offset, text)
        self.topic.published += batch
        self.unfreed += [window for window, _, _ in batch]

    def free(self) -> None:
        """Give up the slots of one published window."""
        if self.unfreed:
            window = self.unfreed.pop(self.rng.randrange(len(self.unfreed)))
            self.sequencer.free(window)
            for ring in self.rings:
                ring.free(window)

    def at_end(self, partition: int) -> bool:
        part = self.sequencer.partitions[partition]
        return not part.parked and part.position == self.topic.end(partition)

    def end_partition(self) -> None:
        """A partition that was read to its end falls idle."""
        parts = self.sequencer.partitions.items()
        ended = [p for p, part in parts if self.at_end(p) and not (part.idle and part.counts.set_aside == 0)]
        if ended:
            self.sequencer.set_ended(self.rng.choice(ended))

    def nap(self) -> None:
        """A partition falls idle in the middle of its log, and time goes by."""
        self.silent_ms += self.rng.randrange(100_000)
        drained = [p for p, part in self.sequencer.partitions.items() if part.drained and not part.idle]
        if drained:
            self.sequencer.set_idle(self.rng.choice(drained), TIME_OF_DAY_MS)

    def turn(self, *, ends: bool) -> None:
        """One step of the outer loop, at random."""
        if self.naps and self.rng.random() < 0.03:
            self.nap()
        action = self.rng.choice((self.offer, self.offer, self.advance, self.publish, self.free))
        if ends and self.rng.random() < 0.2:
            action = self.end_partition
        action()
        if self.rng.random() < self.crash:
            raise Crash

    def run(self, *, ends: bool = True, turns: int = 20_000) -> None:
        """Until every log is applied and published, or, without ``ends``, for so many turns."""
        parts = self.sequencer.partitions.items()
        for _ in range(turns):
            self.turn(ends=ends)
            if ends and all(
                p.idle and p.drained and self.at_end(n) and not p.counts.set_aside for n, p in parts
            ):
                break
        else:
            assert not ends, "stuck"
        if ends:
            self.sequencer.close_all()
        self.advance()
        while self.closed:
            self.publish()
        self.publish()


def lives(topic: Topic, rng: random.Random, *, crash: float, naps: bool = False) -> Life:
    """One life after the other, until one comes to the end; returns it."""
    fewest = topic.windows.fewest_slots
    while True:
        slots, shards = rng.randrange(fewest, 9), rng.randrange(1, 4)
        life = Life(topic, rng, crash=crash, slots=slots, shards=shards, naps=naps)
        try:
            life.run()
            return life
        except Crash:
            crash *= 0.9


def assert_published_once(topic: Topic) -> None:
    """No window twice, and in order."""
    numbers = [window for window, _, _ in topic.published]
    assert numbers == sorted(set(numbers))


def assert_published_as_counted_again(topic: Topic) -> None:
    """Every window of the oracle exactly once, with its unique users and records."""
    assert_published_once(topic)
    published = {window: (unique, records) for window, unique, records in topic.published}
    assert published == recount(topic.logs, topic.windows).published()


def random_topic(rng: random.Random) -> Topic:
    lag_ms = rng.choice((0, 5_000, 5_000, 5_000, 90_000))
    jump_ms = rng.choice((max(lag_ms, 6_000), 60_000 + lag_ms))
    windows = WindowSettings(60_000, rng.choice((0, 0, 7_000)), lag_ms, jump_ms)
    return Topic(random_logs(rng), windows)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(SEEDS)
def test_any_interleaving_and_any_crash_publish_the_same(seed: int) -> None:
    rng = random.Random(seed)
    topic = random_topic(rng)
    lives(topic, rng, crash=rng.choice((0.005, 0.02)))
    assert_published_as_counted_again(topic)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(SEEDS)
def test_without_a_crash_every_record_is_counted_under_its_reason(seed: int) -> None:
    rng = random.Random(seed)
    topic = random_topic(rng)
    life = lives(topic, rng, crash=0)
    assert_published_as_counted_again(topic)
    oracle = recount(topic.logs, topic.windows)
    counts = [part.counts for part in life.sequencer.partitions.values()]
    assert sum(n.late for n in counts) == oracle.late
    assert sum(n.rejected.get("future", 0) for n in counts) == oracle.future
    assert sum(n.consumed for n in counts) == sum(map(len, topic.logs))
    assert sum(n.set_aside + n.waiting + n.published_before for n in counts) == 0


@settings(max_examples=80, deadline=None, derandomize=True)
@given(SEEDS)
def test_a_pause_with_open_windows_leaves_no_trace(seed: int) -> None:
    rng = random.Random(seed)
    topic = random_topic(rng)
    for share in sorted(rng.random() for _ in range(rng.randrange(1, 4))):
        until_now = [log[: 1 + int(len(log) * share)] for log in topic.logs]
        paused = Topic(until_now, topic.windows, topic.committed, topic.published)
        Life(paused, rng, crash=0, slots=8, shards=2).run(ends=False, turns=rng.choice((20, 600)))
    lives(topic, rng, crash=0)
    assert_published_as_counted_again(topic)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(SEEDS)
def test_silence_at_any_time_publishes_nothing_twice_and_loses_nothing_unnoticed(seed: int) -> None:
    rng = random.Random(seed)
    topic, crash = random_topic(rng), rng.choice((0, 0, 0.01))
    life = lives(topic, rng, crash=crash, naps=True)
    assert_published_once(topic)
    if crash == 0:
        counts = [part.counts for part in life.sequencer.partitions.values()]
        assert sum(n.counted for n in counts) == sum(records for _, _, records in topic.published)
        assert sum(n.consumed for n in counts) == sum(map(len, topic.logs))
        assert sum(n.set_aside + n.waiting + n.published_before for n in counts) == 0
