"""Opens the source that the setup of an unmarshaller names."""

from functools import partial
from typing import NamedTuple

from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import UnmarshallerSetup
from streamagg.sources.files import FileReader
from streamagg.sources.kafka.dead_letters import KafkaDeadLetters
from streamagg.sources.kafka.fetching import open_fetching
from streamagg.sources.kafka.reader import LeaseReader


class Source(NamedTuple):
    """What an unmarshaller reads, and where it puts what it rejects."""

    reader: FileReader | LeaseReader
    dead_letters: KafkaDeadLetters | None
    client: ClientNumbers
    """Where the reader notes what its clients meet with."""


def open_source(setup: UnmarshallerSetup) -> Source:
    """Files, or else a Kafka topic."""
    numbers = ClientNumbers()
    if setup.files:
        return Source(FileReader(setup.files, setup.decode.max_record_bytes), None, numbers)
    letters = KafkaDeadLetters(setup.kafka, setup.dead_letter, setup.topic) if setup.dead_letter else None
    reader = LeaseReader(partial(open_fetching, setup.kafka, setup.topic, numbers), setup.topic)
    return Source(reader, letters, numbers)
