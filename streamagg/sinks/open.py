"""Opens what settings name."""

from importlib.util import find_spec
from typing import Any

from streamagg import faults
from streamagg.errors import SettingsError
from streamagg.kafka.membership import Membership
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Sink
from streamagg.sinks.kafka.topic import TopicSink
from streamagg.sinks.leadership import Alone, Leadership
from streamagg.sinks.stream import StreamSink


def open_sink(settings: RunSettings) -> Sink[Any]:
    """The output; asks nobody yet. It takes the leadership of ``open_leadership`` for the same settings."""
    match settings.sink.kind:
        case "topic":
            return TopicSink(settings, faults.hook())
        case "directory":
            from streamagg.sinks.directory.sink import DirectorySink

            return DirectorySink(settings, faults.hook())
        case "postgres":
            _require_psycopg()
            from streamagg.sinks.postgres.sink import PostgresSink

            return PostgresSink(settings, faults.hook())
        case "stream":
            return StreamSink(settings, faults.hook())


def open_leadership(settings: RunSettings) -> Leadership:
    """What decides which instance works; asks nobody yet."""
    kafka = settings.kafka
    if settings.source.place.kind == "topic":
        return Membership(kafka, kafka.group, settings.input)
    match settings.sink.kind:
        case "topic":
            return Membership(kafka, kafka.group, settings.output)
        case "directory":
            from streamagg.sinks.directory.lock import DirectoryLock

            return DirectoryLock(settings)
        case "postgres":
            _require_psycopg()
            from streamagg.sinks.postgres.lock import AdvisoryLock

            return AdvisoryLock(settings)
        case "stream":
            return Alone()


def _require_psycopg() -> None:
    """Raises SettingsError if it is not installed."""
    if find_spec("psycopg") is None:
        raise SettingsError(
            "An output in PostgreSQL needs the package psycopg: install it with pip install"
            " 'streamagg[postgres]'."
        )
