"""Opens what settings name."""

from streamagg import faults
from streamagg.kafka.membership import Membership
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Sink
from streamagg.sinks.kafka.topic import TopicSink


def open_sink(settings: RunSettings) -> Sink[Membership]:
    """The output topic; asks nobody yet."""
    return TopicSink(settings, faults.hook())
