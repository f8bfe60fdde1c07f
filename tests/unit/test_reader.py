"""Leases against what a consumer fetches: gaps, ends, one lease after the other."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from streamagg.engine.workers.unmarshaller import _singles
from streamagg.model.messages import Lease
from streamagg.sources.kafka.fetching import Fetched
from streamagg.sources.kafka.reader import LeaseReader


class Scripted:
    """A fetching with prepared answers, one call after the other; itself the consumer."""

    def __init__(self, *fetches: Fetched) -> None:
        self.consumer: Any = self
        self.assigned: list[tuple[int, int]] = []
        self._fetches = list(fetches)

    def fetch(self, limit: int, timeout_ms: int) -> Iterable[Fetched]:
        return [self._fetches.pop(0)] if self._fetches else []

    def lost(self) -> bool:
        return not self._fetches

    def close(self) -> None:
        pass

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned += [(place.partition, place.offset) for place in partitions]

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        pass

    def get_watermark_offsets(self, partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        return 0, 6


def fetched(*offsets: int, end: int | None = None) -> Fetched:
    column = np.array(offsets, np.int64)
    none = np.full(len(offsets), -1, np.int64)
    return Fetched(0, [b""] * len(offsets), column, lambda: none, lambda: none, end)


def test_the_end_behind_a_gap_is_told_to_every_lease_up_to_it() -> None:
    """::

    offset    0 1 2 3 . . 6    4 and 5 are transaction markers
    leases    [=======[====[======
    """
    reader = LeaseReader(lambda: Scripted(fetched(0, 1, 2, 3), fetched(end=6)), "input")
    for number, (start, stop) in enumerate([(0, 5), (5, 6), (6, 20)]):
        reader.add(Lease(number, 0, start, stop))
    reader.poll(0)
    batches = reader.poll(0)
    assert [(b.lease, b.first, b.next, b.caught_up) for b in batches] == [(0, 4, 5, False), (1, 5, 6, True)]
    assert reader.busy, "the third lease waits for what will be written"


def test_when_no_broker_answers_reading_goes_on_with_another_consumer() -> None:
    first, second = Scripted(fetched(0, 1, 2)), Scripted(fetched(3, 4))
    fetchings = iter([first, second])
    reader = LeaseReader(lambda: next(fetchings), "input")
    reader.add(Lease(1, 0, 0, 5))
    assert [batch.next for _ in range(3) for batch in reader.poll(0)] == [3, 5]
    assert (first.assigned, second.assigned) == ([(0, 0)], [(0, 3)])


def test_every_batch_knows_the_origin_of_its_records() -> None:
    """::

    offset    0 1 2 3 4 5
    leases    [=====[====[      one fetch goes to several batches, and a batch is read record by record
    """
    offsets = [0, 1, 2, 3, 4, 5]
    known = replace(fetched(*offsets), origin=lambda position: (b"%d" % position, 10 * position))
    reader = LeaseReader(lambda: Scripted(known), "input")
    for number, (start, stop) in enumerate([(0, 3), (3, 5), (5, 20)]):
        reader.add(Lease(number, 0, start, stop))
    batches = reader.poll(0)
    assert [len(batch.offsets) for batch in batches] == [3, 2, 1]
    singles = [single for batch in batches for single in _singles(batch)]
    for each in (*batches, *singles):
        for position, offset in enumerate(each.offsets.tolist()):
            assert each.origin(position) == (b"%d" % offset, 10 * offset)
