"""A consumer and its fetches, as ``sources.kafka.reader.LeaseReader`` sees them."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from streamagg.model.columns import Int64Column
from streamagg.sources.kafka.fetching import Fetched
from tests.simulation.broker import Broker, Difference, Record


@dataclass(slots=True)
class _Place:
    position: int
    end_told: int = -1
    """The last end-of-partition event."""


class SimConsumer:
    """Positions of the partitions that are assigned."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.places: dict[int, _Place] = {}

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these, from their offsets on."""
        for at in partitions:
            if at.partition in self.places:
                raise Difference(f"partition {at.partition} is assigned twice")
            self.places[at.partition] = _Place(at.offset)

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        """Fetch these no more."""
        for at in partitions:
            del self.places[at.partition]

    def get_watermark_offsets(self, at: TopicPartition, *, cached: bool) -> tuple[int, int]:
        """Begin and end."""
        assert cached
        log = self._broker.logs[at.partition]
        return log.begin, log.end


class SimFetching:
    """Fetches at random: how much, and whether a partition answers at all."""

    def __init__(self, broker: Broker, chance: random.Random, stalled: Callable[[int], bool]) -> None:
        self.consumer: Any = SimConsumer(broker)
        self._broker = broker
        self._chance = chance
        self._stalled = stalled

    def lost(self) -> bool:
        return False

    def fetch(self, limit: int, timeout_ms: int) -> Iterable[Fetched]:
        """Some of the records behind each position; the end of a partition is reported once."""
        for partition, place in list(self.consumer.places.items()):
            if not self._stalled(partition):
                fetched = self._fetch(partition, place)
                if fetched is not None:
                    yield fetched

    def close(self) -> None:
        """Forget everything."""
        self.consumer.places.clear()

    def _fetch(self, partition: int, place: _Place) -> Fetched | None:
        log = self._broker.logs[partition]
        if not log.begin <= place.position <= log.end:
            raise Difference(f"partition {partition} is fetched at {place.position}: it ends at {log.end}")
        first = log.index(place.position)
        last = log.index(log.committed_end)
        records = log.records[first : min(last, first + self._chance.choice((1, 4, 12, 40)))]
        at_end = first + len(records) >= last
        place.position = max(place.position, log.committed_end) if at_end else records[-1].offset + 1
        end = None
        # The event comes behind the records, sometimes not with them.
        if at_end and place.end_told != place.position and self._chance.random() < 0.8:
            end = place.end_told = place.position
        if not records and end is None:
            return None
        return Fetched(
            partition,
            [record.content.payload for record in records],
            np.array([record.offset for record in records], np.int64),
            lambda: _timestamps(records),
            lambda: _timestamps(records),
            end,
        )


def _timestamps(records: list[Record]) -> Int64Column:
    return np.array([record.content.timestamp_ms for record in records], np.int64)
