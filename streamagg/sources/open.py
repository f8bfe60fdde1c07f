"""Opens what settings name."""

from streamagg.model.settings import SourceSettings
from streamagg.sources.contract import DeadLetters, Source
from streamagg.sources.directory import DirectorySource
from streamagg.sources.files import FileSource
from streamagg.sources.kafka.dead_letters import KafkaDeadLetters
from streamagg.sources.kafka.topic import TopicSource
from streamagg.sources.stream import StreamSource


def open_source(settings: SourceSettings) -> Source:
    """Files if there are any, else the input; asks nobody yet."""
    if settings.files:
        return FileSource(settings.files)
    match settings.place.kind:
        case "directory":
            place, settle_ms = settings.place.at, settings.settle_ms
            return DirectorySource(place, settle_ms, settings.done_dir, settings.number_fields)
        case "stream":
            return StreamSource(live=settings.live)
        case _:
            return TopicSource(settings.kafka, settings.input)


def open_dead_letters(settings: SourceSettings, dead_letter: str | None) -> DeadLetters | None:
    """Where rejected records of a source go, if they are wanted."""
    if dead_letter is None:
        return None
    return KafkaDeadLetters(settings.kafka, dead_letter, settings.input)
