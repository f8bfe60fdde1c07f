"""Builds the reader that an unmarshaller's setup asks for."""

from functools import partial

from streamagg.kafka.dead_letters import KafkaDeadLetters
from streamagg.kafka.fetching import open_fetching
from streamagg.kafka.reader import LeaseReader
from streamagg.measured import ClientNumbers
from streamagg.pipeline.examiner import Examiner
from streamagg.pipeline.files import FileReader
from streamagg.pipeline.unmarshaller import Decodes, Unmarshaller
from streamagg.records import UnmarshallerSetup


def open_unmarshaller(setup: UnmarshallerSetup, decoder: Decodes) -> Unmarshaller:
    """An unmarshaller that reads files, or else a Kafka topic."""
    examiner = Examiner(setup.decode)
    if setup.files:
        files = FileReader(setup.files, setup.decode.max_record_bytes)
        return Unmarshaller(files, decoder, setup.max_jump_ms, examiner=examiner)
    letters = KafkaDeadLetters(setup.kafka, setup.dead_letter, setup.topic) if setup.dead_letter else None
    numbers = ClientNumbers()
    topic = LeaseReader(partial(open_fetching, setup.kafka, setup.topic, numbers), setup.topic)
    return Unmarshaller(topic, decoder, setup.max_jump_ms, letters, numbers, examiner)
