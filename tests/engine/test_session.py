"""Sessions in memory: whatever is cut, killed or fails to publish, every window comes out once.

::

    log        0 ................................ end
    session 1  [=====x                                   ends at any turn
    session 2     [==========x                           begins at the checkpoint
    session 3          [=========================]
"""

import itertools
import json
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.measures import sketch, uniques
from streamagg.core.measures.sketch import Estimate
from streamagg.core.windows import Windows
from streamagg.decode import Decoder
from streamagg.engine.main_loop import turn
from streamagg.engine.session.leases import LeaseBook, LeaseSize
from streamagg.engine.session.plan import Opening, Plan
from streamagg.engine.session.session import Session
from streamagg.engine.workers.contract import ShardAnswer
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.engine.workers.unmarshaller import Unmarshaller
from streamagg.errors import TooManyUsers
from streamagg.model.batch import Standing
from streamagg.model.messages import AggregatorSetup, ColumnBlock
from streamagg.model.settings import NO_CEILING, CeilingSettings, DecodeSettings, WindowSettings
from streamagg.sinks.contract import PublishFailed
from streamagg.tools.recount import PartitionRecount, Recount
from tests.support.memory import MemoryOutput, MemoryPublisher, MemoryReader, MemoryTopic, Message

TIME_OF_DAY_MS = 1 << 50
"""Behind every event time."""

WINDOW = WindowSettings(10_000, max_lag_ms=5_000, max_jump_ms=15_000)
SLOTS = 4
MOST_TURNS = 5_000
LEASES = LeaseSize(60, 10)
Published = dict[int, tuple[int, int]]


def made_topic(chance: random.Random, partitions: int, most: int) -> MemoryTopic:
    """Times go forward with disorder, gaps, lies and broken records; offsets have gaps."""
    logs: dict[int, list[Message]] = {}
    for partition in range(partitions):
        time_s, offset = 1_000.0 + chance.randrange(200), 0
        logs[partition] = []
        for _ in range(chance.randrange(most)):
            offset += 1 if chance.random() < 0.9 else chance.randrange(2, 9)
            time_s += chance.choice([0, 0.1, 0.5, 2])
            luck = chance.random()
            if luck < 0.005:
                time_s += 500
            told = time_s + 5_000 if luck > 0.99 else time_s - chance.choice([0, 0, 0, 3, 12, 40])
            payload = json.dumps({"ts": told, "uid": f"u{chance.randrange(30)}"}).encode()
            logs[partition].append(Message(offset, b"broken" if 0.5 < luck < 0.51 else payload))
    ends = {p: (log[-1].offset + 1 + chance.randrange(3) if log else 0) for p, log in logs.items()}
    return MemoryTopic(logs, ends)


def recounted(topic: MemoryTopic) -> Published:
    return {start: (len(users), records) for start, (users, records) in recounted_users(topic).items()}


def smallest_hash(users: set[str], number: int) -> int:
    return sorted(xxh3_64_intdigest(user.encode()) for user in users)[number - 1]


def recounted_users(topic: MemoryTopic) -> dict[int, tuple[set[str], int]]:
    total = Recount()
    for log in topic.partitions.values():
        partition = PartitionRecount(WINDOW, DecodeSettings(), total)
        for message in log:
            partition.add(message.payload, None)
        partition.end()
    return {start: (window.users, window.records) for start, window in total.windows.items()}


@dataclass
class Bench:
    """Runs sessions on a topic, one after the other, until one has finished."""

    topic: MemoryTopic
    chance: random.Random
    unmarshallers: int = 2
    aggregators: int = 2
    failures: float = 0
    lease_size: LeaseSize = LEASES
    ceiling: CeilingSettings = NO_CEILING
    most_windows: int | None = None
    """Of a publication, empty ones included; None: many, and no empty ones."""
    output: MemoryOutput = field(default_factory=MemoryOutput)
    epochs: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def session(
        self,
        stops: dict[int, int] | None,
        *,
        keep_open: bool = False,
        workers: InlineWorkers | None = None,
    ) -> tuple[Session, InlineWorkers]:
        """Up to ``stops``, or without an end."""
        readers = [
            Unmarshaller(MemoryReader(self.topic, self.chance), Decoder(DecodeSettings()), WINDOW.max_jump_ms)
            for _ in range(self.unmarshallers)
        ]
        workers = workers or InlineWorkers(readers, [AggregatorSetup(SLOTS, self.ceiling)] * self.aggregators)
        known = self.output.checkpoints(list(self.topic.partitions), WINDOW)
        session = Session(
            Plan(
                replace(WINDOW, empty_windows=self.most_windows is not None),
                SLOTS,
                1_000,
                bounded=stops is not None,
                keep_open=keep_open,
                ceiling=self.ceiling,
                most_windows=self.most_windows or 10_000,
            ),
            {p: Opening(at, self.topic.ends[p], stops and stops[p]) for p, at in known.items()},
            LeaseBook(self.unmarshallers, itertools.count(), self.lease_size),
            workers.unmarshallers,
            workers.aggregators,
            MemoryPublisher(self.output, WINDOW, self.chance, self.failures),
            next(self.epochs),
            0,
        )
        return session, workers

    def until_end(self, *, crashes: int = 0, keep_open: bool = False) -> Session:
        """The session that finished; those before it ended at a random turn, or with a failure."""
        stops = dict(self.topic.ends)
        while True:
            session, workers = self.session(stops, keep_open=keep_open)
            last_turn = self.chance.randrange(60) if crashes else MOST_TURNS
            crashes -= 1
            try:
                for _ in range(last_turn):
                    if session.finished:
                        return session
                    turn(session, workers, 0)
            except PublishFailed:
                continue
            assert last_turn < MOST_TURNS, "the session does not come to an end"

    def published(self) -> Published:
        starts = [Windows(WINDOW).start_ms(count.window) for count in self.output.windows]
        assert len(set(starts)) == len(starts), "a window came out twice"
        return {
            start: (count.users.number, count.records)
            for start, count in zip(starts, self.output.windows, strict=True)
        }


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 4),
    unmarshallers=st.integers(1, 3),
    aggregators=st.integers(1, 3),
    crashes=st.integers(0, 6),
    failures=st.sampled_from([0, 0.3]),
)
def test_every_window_once_with_its_value(
    seed: int, partitions: int, unmarshallers: int, aggregators: int, crashes: int, failures: float
) -> None:
    chance = random.Random(seed)
    topic = made_topic(chance, partitions, 400)
    bench = Bench(topic, chance, unmarshallers, aggregators, failures)
    bench.until_end(crashes=crashes)
    assert bench.published() == recounted(topic)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 3),
    crashes=st.integers(0, 9),
    failures=st.sampled_from([0, 0.3]),
    most=st.integers(1, 7),
)
def test_a_gap_that_is_published_in_parts_comes_out_once_wherever_it_is_cut(
    seed: int, partitions: int, crashes: int, failures: float, most: int
) -> None:
    """::

    window     3  4  5  6  7  8  9     nothing between 3 and 9
    parts     (3  4  5)(6  7  8)(9)    a session may end between any two: the next one goes on there
    """
    chance = random.Random(seed)
    topic = made_topic(chance, partitions, 300)
    bench = Bench(topic, chance, failures=failures, most_windows=most)
    bench.until_end(crashes=crashes)
    hit = recounted(topic)
    wanted = (
        {s: hit.get(s, (0, 0)) for s in range(min(hit), max(hit) + 1, WINDOW.granularity_ms)} if hit else {}
    )
    assert list(bench.published().items()) == list(wanted.items())


@settings(max_examples=40)
@given(seed=st.integers(0, 1 << 32), partitions=st.integers(1, 3), cuts=st.integers(1, 4))
def test_runs_that_keep_open_continue_as_if_there_had_been_no_pause(
    seed: int, partitions: int, cuts: int
) -> None:
    chance = random.Random(seed)
    whole = made_topic(chance, partitions, 300)
    bench = Bench(MemoryTopic(whole.partitions, {}), chance)
    for cut in range(1, cuts + 1):
        bench.topic.ends = {p: end * cut // (cuts + 1) for p, end in whole.ends.items()}
        bench.topic.partitions = {
            p: [m for m in log if m.offset < bench.topic.ends[p]] for p, log in whole.partitions.items()
        }
        bench.until_end(keep_open=True, crashes=chance.randrange(2))
    bench.topic = whole
    bench.until_end()
    assert bench.published() == recounted(whole)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 3),
    aggregators=st.integers(1, 3),
    crashes=st.integers(0, 4),
    failures=st.sampled_from([0, 0.3]),
    most=st.integers(1, 30),
)
def test_above_the_ceiling_a_run_stops_before_that_window_whatever_happens(
    seed: int, partitions: int, aggregators: int, crashes: int, failures: float, most: int
) -> None:
    chance = random.Random(seed)
    topic = made_topic(chance, partitions, 400)
    expected = recounted(topic)
    first = min((start for start, (unique, _) in expected.items() if unique > most), default=None)
    bench = Bench(topic, chance, 2, aggregators, failures, ceiling=CeilingSettings(most))
    stopped = False
    try:
        bench.until_end(crashes=crashes)
    except TooManyUsers:
        stopped = True
    assert stopped == (first is not None)
    assert bench.published() == {s: value for s, value in expected.items() if first is None or s < first}


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1 << 32),
    aggregators=st.integers(1, 3),
    crashes=st.integers(0, 4),
    most=st.integers(5, 30),
)
def test_above_the_ceiling_a_count_is_the_estimate_of_all_users_whatever_happens(
    seed: int, aggregators: int, crashes: int, most: int
) -> None:
    """With a sketch of 5 users, and an estimate that tells which they are."""
    chance = random.Random(seed)
    topic = made_topic(chance, 2, 400)
    expected = {
        start: (int(smallest_hash(users, 5)) if len(users) > most else len(users), records)
        for start, (users, records) in recounted_users(topic).items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uniques, "KEPT_USERS", 5)
        patch.setattr(sketch, "KEPT_USERS", 5)
        patch.setattr(uniques, "estimate", lambda smallest: Estimate(int(smallest[4]), 0.5))
        bench = Bench(topic, chance, 2, aggregators, ceiling=CeilingSettings(most, "approximate"))
        bench.until_end(crashes=crashes)
    assert bench.published() == expected
    starts = {Windows(WINDOW).start_ms(count.window) for count in bench.output.windows if count.users.error}
    assert starts == {start for start, (users, _) in recounted_users(topic).items() if len(users) > most}


def test_a_continued_run_reads_before_it_says_that_it_has_finished() -> None:
    session, _ = Bench(MemoryTopic({0: [Message(0, b"{}")]}, {0: 1}), random.Random(1)).session(
        {0: 1}, keep_open=True
    )
    assert not session.finished


def test_the_last_windows_of_a_bounded_run_go_out_together() -> None:
    """::

    windows       [0][1][2]   all read, all closed
    counted        x  x       nothing goes out
                         x    one publication
    """
    rows = [Message(i, json.dumps({"ts": 1_000 + 10 * i, "uid": "u"}).encode()) for i in range(3)]
    session, workers = Bench(MemoryTopic({0: rows}, {0: 3}), random.Random(1), aggregators=1).session({0: 3})
    answers: list[ShardAnswer] = []
    while len(answers) < 3:
        for event in workers.poll(0):
            if isinstance(event, ShardAnswer):
                answers.append(event)
            else:
                assert isinstance(event, ColumnBlock)
                session.receive_block(event, 0)
        session.tick(0)
    for told, answer in enumerate(answers):
        assert session.windows_published == 0, f"{told} of 3 are counted"
        session.receive_count(answer.count, answer.shard)
        session.tick(0)
    while not session.windows_published:
        session.tick(0)
    assert session.windows_published == 3


@pytest.mark.parametrize("unmarshallers", [1, 3])
def test_a_bounded_run_is_not_over_where_its_reader_finds_no_more(unmarshallers: int) -> None:
    """Behind offset 40 a transaction is open: what its records may change stays open, and the rest is out.

    ::

        partition 0   10 s ───── 30 s │ open ....... 39 s │   its clock lets the window [10, 20) close
        partition 1   10 s ──────────────────────── 109 s     read to its end
    """
    rows = {
        0: [Message(i, json.dumps({"ts": 10 + i / 2, "uid": f"a{i}"}).encode()) for i in range(60)],
        1: [Message(i, json.dumps({"ts": 10 + i, "uid": f"b{i}"}).encode()) for i in range(100)],
    }
    whole = MemoryTopic(rows, {0: 60, 1: 100})
    bench = Bench(MemoryTopic(rows | {0: rows[0][:41]}, {0: 41, 1: 100}), random.Random(7), unmarshallers)
    session, workers = bench.session(dict(whole.ends))
    for _ in range(400):
        turn(session, workers, 0)
    assert not session.finished
    assert session.standing() == {0: Standing(41, 60)}
    assert bench.published().keys() == {10_000}
    bench.topic.partitions, bench.topic.ends = whole.partitions, whole.ends
    turns = 0
    while not session.finished:
        turn(session, workers, 0)
        turns += 1
        assert turns < MOST_TURNS
    assert session.standing() == {}
    assert bench.published() == recounted(whole)


@pytest.mark.parametrize("unmarshallers", [1, 3])
def test_a_worker_that_is_replaced(unmarshallers: int) -> None:
    chance = random.Random(3)
    topic = made_topic(chance, 2, 400)
    bench = Bench(topic, chance, unmarshallers)
    session, workers = bench.session(dict(topic.ends))
    turns = 0
    while not session.finished:
        turn(session, workers, 0)
        turns += 1
        assert turns < MOST_TURNS
        if turns % 7 == 0 and turns < 70:
            lost = chance.randrange(unmarshallers)
            workers._unmarshallers[lost].unmarshaller.close()
            session.replace_unmarshaller(lost, workers.unmarshallers)
    assert bench.published() == recounted(topic)


def test_a_silent_topic_closes_its_windows() -> None:
    """An unbounded session: nothing arrives any more, time runs on by the wall clock."""
    rows = [Message(i, json.dumps({"ts": 1_000 + i / 5, "uid": str(i)}).encode()) for i in range(31)]
    bench = Bench(MemoryTopic({0: rows, 1: []}, {0: 31, 1: 0}), random.Random(5))
    session, workers = bench.session(None)
    for _ in range(100):
        session.tick(0)
        for event in workers.poll(0):
            assert isinstance(event, ColumnBlock)
            session.receive_block(event, 0)
    session.tick(0)
    assert session.silent(499, TIME_OF_DAY_MS) == []
    assert session.silent(500, TIME_OF_DAY_MS) == [1], "the other has rows that wait for the watermark"
    session.confirm_idle({1: 1}, 500, TIME_OF_DAY_MS)
    assert session.silent(500, TIME_OF_DAY_MS) == [1], "its end has moved: something is on the way"
    session.confirm_idle({1: 0}, 500, TIME_OF_DAY_MS)
    session.confirm_idle({1: 0}, 999, TIME_OF_DAY_MS)
    assert session.silent(999, TIME_OF_DAY_MS) == [1], "the idle time-out is not over"
    session.confirm_idle({1: 0}, 1_000, TIME_OF_DAY_MS)
    session.tick(1_000)
    assert session.silent(1_000, TIME_OF_DAY_MS) == [0]
    for asked_ms in (1_000, 1_500):
        session.confirm_idle({0: 31}, asked_ms, TIME_OF_DAY_MS)
    # The window [1000, 1010) closes at 1015 of event time, 9 s after the last record.
    for now_ms in (1_500, 8_900):
        session.tick(now_ms)
        assert not counted(workers)
    session.tick(9_000)
    assert counted(workers)


def counted(workers: InlineWorkers) -> bool:
    """An aggregator has answered."""
    return any(isinstance(event, ShardAnswer) for event in workers.poll(0))


def test_an_answer_older_than_the_last_arrival_makes_nothing_idle() -> None:
    """::

    asked at 1,000 ── the end is 7 ── records up to 7 arrive at 1,500 ── answered at 9,000
    """
    session = seven_read(1_500)
    session.confirm_idle({0: 7}, 1_000, TIME_OF_DAY_MS)
    session.confirm_idle({0: 7}, 9_000, TIME_OF_DAY_MS)
    assert session.silent(9_499, TIME_OF_DAY_MS) == [0], "who knows what was written since"
    session.confirm_idle({0: 7}, 9_500, TIME_OF_DAY_MS)
    assert session.silent(9_500, TIME_OF_DAY_MS) == []


def test_a_time_in_which_nobody_could_write_is_no_silence() -> None:
    """::

    records up to 7 at 0 ── no answer from 500 on ── the broker is back at 60,000, and its producers soon
    """
    session = seven_read(0)
    session.confirm_idle({0: 7}, 500, TIME_OF_DAY_MS)
    session.ends_unknown()
    session.confirm_idle({0: 7}, 60_000, TIME_OF_DAY_MS)
    session.confirm_idle({0: 7}, 60_499, TIME_OF_DAY_MS)
    assert session.silent(60_499, TIME_OF_DAY_MS) == [0]
    session.confirm_idle({0: 7}, 60_500, TIME_OF_DAY_MS)
    assert session.silent(60_500, TIME_OF_DAY_MS) == []


def test_silence_begins_again_where_the_end_has_moved() -> None:
    session = seven_read(0)
    session.confirm_idle({0: 7}, 500, TIME_OF_DAY_MS)
    session.confirm_idle({0: 8}, 700, TIME_OF_DAY_MS)
    session.confirm_idle({0: 7}, 1_000, TIME_OF_DAY_MS)
    assert session.silent(1_000, TIME_OF_DAY_MS) == [0]
    session.confirm_idle({0: 7}, 1_500, TIME_OF_DAY_MS)
    assert session.silent(1_500, TIME_OF_DAY_MS) == []


def test_what_trickles_in_is_believed_after_the_idle_time_out() -> None:
    """::

    500 ── seven records, all set aside ── 1,400 ── another arrival ── 1,500 ── the first has waited for 1,000

    The partition is not idle: it holds the watermark, at the clock that it has now.
    """
    session = seven_read(500)
    part = session.sequencer.partitions[0]
    session._silence.arrived(0, 1_400)
    assert session.silent(1_450, 0) == [], "by the time of day all of them are from the future"
    assert session.silent(1_450, TIME_OF_DAY_MS) == [0]
    for asked_ms, clock_ms in ((1_450, None), (1_499, None), (1_500, 1_006_000)):
        session.confirm_idle({0: 7}, asked_ms, TIME_OF_DAY_MS)
        assert (part.clock.state.clock_ms, part.idle) == (clock_ms, False)


def test_what_a_checkpoint_has_set_aside_waits_like_any_other() -> None:
    session = seven_read(500)
    state = session.sequencer.partitions[0].clock.state
    session.add_partition(9, Opening(Checkpoint(state, None, 7), 7), 900)
    session.sequencer.partitions[9].caught_up = True
    assert session.silent(1_399, TIME_OF_DAY_MS) == [0]
    assert session.silent(1_400, TIME_OF_DAY_MS) == [0, 9]


def seven_read(now_ms: int) -> Session:
    """A session that has read a topic of seven records, all at the same time."""
    rows = [Message(i, json.dumps({"ts": 1_000 + i, "uid": str(i)}).encode()) for i in range(7)]
    session, workers = Bench(MemoryTopic({0: rows}, {0: 7}), random.Random(5)).session(None)
    for _ in range(100):
        session.tick(now_ms)
        for event in workers.poll(0):
            assert isinstance(event, ColumnBlock)
            session.receive_block(event, now_ms)
    session.tick(now_ms)
    return session
