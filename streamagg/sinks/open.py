"""Opens what settings name."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from streamagg import faults
from streamagg.errors import SettingsError
from streamagg.kafka.membership import Membership
from streamagg.model.places import shown
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
            made: Callable[..., Sink[Any]] = _found(settings, "postgres", "PostgresSink")
        case "stream":
            made = StreamSink
    return made(settings, faults.hook())


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
            made: Callable[..., Leadership] = _found(settings, "postgres", "AdvisoryLock")
        case "stream":
            return Alone()
    return made(settings)


def _found(settings: RunSettings, module: str, name: str) -> Any:
    """A class whose libraries are imported only where they are needed."""
    try:
        return getattr(import_module(f"streamagg.sinks.{module}"), name)
    except ModuleNotFoundError as error:
        raise SettingsError(f"This version cannot write to {shown(settings.output)} ({error}).") from error
