"""Builds the reader that an unmarshaller's setup asks for."""

from functools import partial

from streamagg.engine.reporting.examiner import Examiner
from streamagg.engine.workers.unmarshaller import Decodes, Unmarshaller
from streamagg.model.measured import ClientNumbers
from streamagg.model.messages import UnmarshallerSetup
from streamagg.sources.files import FileReader
from streamagg.sources.kafka.dead_letters import KafkaDeadLetters
from streamagg.sources.kafka.fetching import open_fetching
from streamagg.sources.kafka.reader import LeaseReader


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
