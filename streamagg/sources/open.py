"""Opens what settings name."""

from streamagg.model.settings import SourceSettings
from streamagg.sources.contract import DeadLetters, Source
from streamagg.sources.files import FileSource
from streamagg.sources.kafka.dead_letters import KafkaDeadLetters
from streamagg.sources.kafka.topic import TopicSource


def open_source(settings: SourceSettings) -> Source:
    """Files if there are any, else the topic; asks nobody yet."""
    if settings.files:
        return FileSource(settings.files)
    return TopicSource(settings.kafka, settings.topic)


def open_dead_letters(settings: SourceSettings, dead_letter: str | None) -> DeadLetters | None:
    """Where rejected records of a source go, if they are wanted."""
    if dead_letter is None:
        return None
    return KafkaDeadLetters(settings.kafka, dead_letter, settings.topic)
