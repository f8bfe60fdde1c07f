"""How records that the clock rejected are found again by their offsets."""

from collections.abc import Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from streamagg.errors import KafkaUnreachable
from streamagg.model.batch import Batch
from streamagg.model.settings import KafkaSettings
from streamagg.sources.kafka import dead_letters as module
from streamagg.sources.kafka.dead_letters import FutureLetters


class Answer:
    """A record, or an error that comes instead of one."""

    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset = offset
        self._error = error

    def error(self) -> KafkaError | None:
        return self._error

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return b"value %d" % self._offset

    def key(self) -> bytes:
        return b"key %d" % self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000 + self._offset


class ShelfConsumer:
    """Reads a partition that holds some offsets, from the first one on."""

    def __init__(self, offsets: Sequence[int]) -> None:
        self._offsets = offsets
        self._next: int | None = None
        self.assigned: list[tuple[int, int]] = []
        self.polls = 0

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned += [(place.partition, place.offset) for place in places]
        self._next = places[0].offset

    def unassign(self) -> None:
        self._next = None

    def poll(self, timeout_s: float) -> Answer | None:
        self.polls += 1
        assert self._next is not None
        if self._next < self._offsets[0]:
            return Answer(-1001, KafkaError(KafkaError._AUTO_OFFSET_RESET))
        at = next((offset for offset in self._offsets if offset >= self._next), None)
        if at is None:
            return None
        self._next = at + 1
        return Answer(at)


class Letters:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def put(self, batch: Batch, rejected: Sequence[tuple[int, str]]) -> None:
        for position, reason in rejected:
            row = (batch.partition, int(batch.offsets[position]), batch.payloads[position])
            self.rows.append((*row, *batch.origin(position), reason))


def sent(
    monkeypatch: pytest.MonkeyPatch, held: Sequence[int], places: Sequence[tuple[int, int]]
) -> tuple[list[tuple[Any, ...]], ShelfConsumer]:
    consumer, letters = ShelfConsumer(held), Letters()
    monkeypatch.setattr(module, "Consumer", lambda config: consumer)
    monkeypatch.setattr(module, "KafkaDeadLetters", lambda *_: letters)
    FutureLetters(KafkaSettings(), "dead", "in").put(places)
    return letters.rows, consumer


def letter(offset: int, partition: int = 0) -> tuple[Any, ...]:
    return partition, offset, b"value %d" % offset, b"key %d" % offset, 1_000 + offset, "future"


def gone(offset: int) -> tuple[Any, ...]:
    return 0, offset, None, None, -1, "future"


def test_what_is_near_is_read_up_to_and_what_is_far_is_gone_to(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, consumer = sent(monkeypatch, range(10_000), [(0, 5_900), (0, 10), (0, 30), (0, 5_901)])
    assert rows == [letter(10), letter(30), letter(5_900), letter(5_901)]
    assert consumer.assigned == [(0, 10), (0, 5_900)]
    assert consumer.polls == 23


def test_each_partition_is_read_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, consumer = sent(monkeypatch, range(10), [(1, 3), (0, 2), (1, 1)])
    assert rows == [letter(2), letter(1, 1), letter(3, 1)]
    assert consumer.assigned == [(0, 2), (1, 1)]


def test_of_records_that_are_gone_there_is_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """::

    offset   1 2 . . 5 6 7     1 and 2 removed by retention, 3 and 4 by compaction
    wanted   x   x   x   x
    """
    rows, consumer = sent(monkeypatch, [5, 6, 7], [(0, 1), (0, 3), (0, 5), (0, 7)])
    assert rows == [gone(1), gone(3), letter(5), letter(7)]
    rows, consumer = sent(monkeypatch, [2, 5, 6, 7], [(0, 3), (0, 4), (0, 5), (0, 7)])
    assert rows == [gone(3), gone(4), letter(5), letter(7)]
    assert (consumer.assigned, consumer.polls) == ([(0, 3)], 3)


def test_a_broker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaUnreachable, match="could not be read"):
        sent(monkeypatch, [1], [(0, 2)])
