"""A topic as a source."""

from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import Final

from streamagg.kafka.admin import (
    Reach,
    end_offsets,
    log_ends,
    partitions_of,
    reaches,
    transaction_timeout_ms,
)
from streamagg.kafka.identity import TopicIdentity
from streamagg.model.batch import Identity, Standing
from streamagg.model.measured import ClientNumbers
from streamagg.model.settings import KafkaSettings
from streamagg.sources.contract import At, Unit
from streamagg.sources.kafka.fetching import open_fetching
from streamagg.sources.kafka.reader import LeaseReader

OPEN_TRANSACTION: Final = "a transaction there is not ended"
NO_LEADER: Final = "it has no leader"
CUT_SHORT: Final = "what was behind it is gone"


class TopicSource:
    """Implements ``sources.contract.Source``; what it asks is bounded in time."""

    unit: Unit = "records"
    repeatable = True
    marks = None
    hidden_by = OPEN_TRANSACTION

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self.name = topic

    @cached_property
    def _identity(self) -> TopicIdentity:
        return TopicIdentity(self._kafka, self.name)

    def partitions(self) -> int:
        """How many there are; raises TopicError if there is no such topic."""
        return partitions_of(self._kafka, self.name)

    def identity(self) -> Identity:
        """The topic's id is empty on brokers older than 2.8."""
        return self._identity.ask()

    def confirm(self, expected: str) -> Identity:
        """Raises CheckpointError when the topic was made anew."""
        return self._identity.confirm(expected)

    def offsets(self, partitions: Iterable[int], at: At) -> dict[int, int]:
        """As a committed reader finds them."""
        return end_offsets(self._kafka, self.name, partitions, at=at)

    def log_ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Behind the last record, committed or not."""
        return log_ends(self._kafka, self.name, partitions)

    def held(self, standing: Mapping[int, Standing]) -> dict[int, str]:
        """Why committed readers get no further."""
        found = reaches(self._kafka, self.name, standing)
        whys = {number: held_by(at, found[number]) for number, at in standing.items()}
        return {number: why for number, why in whys.items() if why is not None}

    def hold_timeout_ms(self) -> int:
        """As long as the broker lets a transaction be open."""
        return transaction_timeout_ms(self._kafka, self.name)

    def reader(self, max_record_bytes: int, numbers: ClientNumbers) -> LeaseReader:
        """Records of any size come whole."""
        return LeaseReader(partial(open_fetching, self._kafka, self.name, numbers), self.name)


def held_by(at: Standing, reach: Reach | None) -> str | None:
    """Why a partition stands still; None if it could be read on."""
    if reach is None:
        return NO_LEADER
    if reach.committed > at.offset:
        return None
    return OPEN_TRANSACTION if reach.end > reach.committed else CUT_SHORT
