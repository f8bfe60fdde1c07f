"""A record that kills its readers is found and left out; one that is only near a death is not."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamagg.decode import Decoded, Decoder
from streamagg.engine.main_loop import turn
from streamagg.engine.session.leases import LeaseSize
from streamagg.engine.session.poison import Suspicion
from streamagg.engine.workers.contract import Event, ShardAnswer, UnmarshallerReplaced
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.engine.workers.restart_limit import RestartLimit
from streamagg.engine.workers.unmarshaller import Unmarshaller
from streamagg.model.batch import Batch
from streamagg.model.messages import AggregatorSetup, ShardCount
from streamagg.model.settings import DecodeSettings
from tests.engine.test_session import MOST_TURNS, SLOTS, WINDOW, Bench, made_topic, recounted
from tests.support.memory import MemoryReader, MemoryTopic, Message

MARK = b"kills"


class Died(Exception):
    """In place of a signal."""


class Luck:
    """Strikes now and then, but the same records once only: what dies twice of one record is to blame it."""

    def __init__(self, chance: random.Random, odds: float) -> None:
        self._chance = chance
        self._odds = odds
        self._struck: set[tuple[bytes | None, ...]] = set()

    def strikes(self, payloads: Sequence[bytes | None]) -> bool:
        if self._chance.random() >= self._odds or tuple(payloads) in self._struck:
            return False
        self._struck.add(tuple(payloads))
        return True


class DeadlyDecoder:
    """Dies of records that hold ``MARK``; and of nothing, by bad luck."""

    def __init__(self, luck: Luck) -> None:
        self._decoder = Decoder(DecodeSettings())
        self._luck = luck

    def decode(self, payloads: Sequence[bytes | None]) -> Decoded:
        if any(MARK in payload for payload in payloads if payload) or self._luck.strikes(payloads):
            raise Died
        return self._decoder.decode(payloads)


@dataclass
class Letters:
    """Keeps what is rejected as poison: how often, by offset."""

    poison: dict[tuple[int, int], int] = field(default_factory=dict)

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        for position, reason in rejected:
            if reason == "poison":
                place = batch.partition, int(batch.offsets[position])
                self.poison[place] = self.poison.get(place, 0) + 1


class MortalWorkers(InlineWorkers):
    """Unmarshallers that die of what they read, and are replaced."""

    def __init__(self, topic: MemoryTopic, chance: random.Random, workers: int, luck: float) -> None:
        self.letters = Letters()
        self.exceeded = False
        self.deaths = 0
        self._budget = RestartLimit(5)
        bad_luck = Luck(chance, luck)
        self._make = lambda: Unmarshaller(
            MemoryReader(topic, chance, most=6), DeadlyDecoder(bad_luck), WINDOW.max_jump_ms, self.letters
        )
        super().__init__([self._make() for _ in range(workers)], [AggregatorSetup(SLOTS)])

    def poll(self, timeout_ms: int) -> list[Event]:
        events: list[Event] = []
        for number, local in enumerate(self._unmarshallers):
            try:
                # One by one: what was sent before a death has arrived.
                for event in local.unmarshaller.step(0) if local.unmarshaller.busy else ():
                    events.append(event)
            except Died:
                self.deaths += 1
                self._budget.spend(0)
                self.exceeded |= self._budget.exceeded
                local.unmarshaller = self._make()
                events.append(UnmarshallerReplaced(number))
        for shard, aggregator in enumerate(self._aggregators):
            answers: list[ShardCount] = list(aggregator.answers)
            aggregator.answers.clear()
            events += [ShardAnswer(shard, answer) for answer in answers]
        return events

    def excuse(self, deaths: int) -> None:
        self._budget.excuse(deaths, 0)


def poisoned(
    topic: MemoryTopic, chance: random.Random, count: int
) -> tuple[MemoryTopic, set[tuple[int, int]]]:
    """The topic with deadly records in the place of some; and which."""
    places = [(p, i) for p, log in topic.partitions.items() for i in range(len(log))]
    chosen = chance.sample(places, min(count, len(places)))
    logs = {p: list(log) for p, log in topic.partitions.items()}
    for p, i in chosen:
        logs[p][i] = Message(logs[p][i].offset, b'{"ts":1,"uid":"%s"}' % MARK)
    return MemoryTopic(logs, topic.ends), {(p, logs[p][i].offset) for p, i in chosen}


def without(topic: MemoryTopic, places: set[tuple[int, int]]) -> MemoryTopic:
    return MemoryTopic(
        {p: [m for m in log if (p, m.offset) not in places] for p, log in topic.partitions.items()},
        topic.ends,
    )


@settings(max_examples=40)
@example(seed=5390, partitions=3, workers=1, count=1, luck=0.01)
@given(
    seed=st.integers(0, 1 << 32),
    partitions=st.integers(1, 3),
    workers=st.integers(1, 3),
    count=st.integers(0, 5),
    luck=st.sampled_from([0.0, 0.0, 0.01]),
)
def test_poison_alone_is_left_out(seed: int, partitions: int, workers: int, count: int, luck: float) -> None:
    chance = random.Random(seed)
    topic, places = poisoned(made_topic(chance, partitions, 200), chance, count)
    bench = Bench(topic, chance, workers, 1, lease_size=LeaseSize(400, 10))
    mortal = MortalWorkers(topic, chance, workers, luck)
    session, _ = bench.session(dict(topic.ends), workers=mortal)
    for _ in range(MOST_TURNS):
        if session.finished:
            break
        turn(session, mortal, 0)
    assert session.finished
    counts = [part.counts for part in session.sequencer.partitions.values()]
    assert sum(c.rejected.get("poison", 0) for c in counts) == len(places)
    assert set(mortal.letters.poison) == places
    assert bench.published() == recounted(without(topic, places))
    if not luck:
        # Two to be suspected and two alone; fewer if the stretch was suspected already.
        assert 2 * len(places) <= mortal.deaths <= 4 * len(places)
        assert not mortal.exceeded


def test_deaths_in_one_place_are_no_proof() -> None:
    suspicion = Suspicion(100)
    assert [suspicion.died(1_000, None) for _ in range(10)] == [0, 2, *[0] * 8]
    assert suspicion.careful(1_000, 1_001) == ((1_000, 1_100),)
    assert suspicion.poison == set()


def test_two_careful_deaths_at_one_record_are() -> None:
    """::

    1000  normal, dies     1005  normal, dies     1040 alone, dies     1040 alone, dies: poison
    """
    suspicion = Suspicion(100)
    assert suspicion.died(1_000, None) == 0
    assert suspicion.careful(0, 2_000) == ()
    assert suspicion.died(1_005, None) == 2
    assert suspicion.careful(0, 2_000) == ((1_000, 1_105),)
    assert suspicion.died(1_040, 1_040) == 1
    assert suspicion.poison == set()
    assert suspicion.died(1_040, 1_040) == 1
    assert suspicion.poison == {1_040}


def test_who_reads_a_record_alone_and_lives_clears_it() -> None:
    suspicion = Suspicion(100)
    suspicion.died(10, 10)
    suspicion.survived(10)
    suspicion.died(10, 10)
    assert suspicion.poison == set()
    suspicion.died(10, 10)
    assert suspicion.poison == {10}


def test_readers_of_other_places_do_not_disturb() -> None:
    suspicion = Suspicion(100)
    suspicion.died(10, 10)
    suspicion.died(5_000, None)
    suspicion.died(10, 10)
    assert suspicion.poison == {10}


def test_deaths_far_apart_have_nothing_to_do_with_each_other() -> None:
    suspicion = Suspicion(100)
    for at in range(0, 10_000, 100):
        assert suspicion.died(at, None) == 0
    assert suspicion.careful(0, 10_000) == ()


@pytest.mark.parametrize("most", [0, 3])
def test_the_budget_forgets_what_is_excused(most: int) -> None:
    budget = RestartLimit(most)
    for death in range(most):
        assert budget.spend(death) == death
    assert not budget.exceeded
    budget.spend(most)
    assert budget.exceeded
    budget.excuse(1, most)
    assert not budget.exceeded
    budget.spend(10_000.0)
    assert budget.exceeded == (most == 0)


def test_poison_without_end_is_not_excused() -> None:
    budget = RestartLimit(5)
    for second in range(60):
        budget.spend(second)
        budget.excuse(1, second)
    assert not budget.exceeded
    for second in range(60, 66):
        budget.spend(second)
        budget.excuse(1, second)
    assert budget.exceeded
