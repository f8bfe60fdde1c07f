"""A topic as a sink; checkpoints are offsets of the input in a group, or else records of the state topic."""

from collections.abc import Callable, Iterable

from streamagg import faults
from streamagg.kafka.admin import end_offsets, ensure_topic, partitions_of
from streamagg.kafka.membership import Membership, committed_offsets
from streamagg.model.measured import ClientNumbers, PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import Stored
from streamagg.sinks.kafka.checkpoints import StoredCheckpoints
from streamagg.sinks.kafka.running import make_running_topic, require_running_topic
from streamagg.sinks.kafka.state import StateTopic, make_state_topic, require_state_topic
from streamagg.sinks.kafka.transaction import Output
from streamagg.sinks.publisher_thread import PublisherThread
from streamagg.sources.kafka.dead_letters import MOST_FUTURE


class TopicSink:
    """Implements ``sinks.contract.Sink``."""

    def __init__(self, settings: RunSettings, at: Callable[[faults.Point], None]) -> None:
        """``at`` is called at the named points of a publication, for tests that break it there."""
        self._settings = settings
        self._at = at
        self.most_future = MOST_FUTURE if settings.dead_letter else 0
        self._of_topic = settings.source.place.kind == "topic"
        self._stored: StoredCheckpoints | None = None
        """None where a group keeps them, or nobody does."""
        if settings.state_topic is not None and not self._of_topic:
            topic = StateTopic(settings.kafka, settings.state_topic, ClientNumbers())
            self._stored = StoredCheckpoints(topic)

    def make(self) -> None:
        """All topics that are written to; raises TopicError."""
        settings = self._settings
        for topic in (settings.output, settings.sketches):
            if topic is not None:
                ensure_topic(
                    settings.kafka,
                    topic,
                    partitions=settings.output_partitions,
                    replicas=settings.output_replicas,
                    create=settings.create_topics,
                )
        for topic in (settings.dead_letter, settings.late_topic):
            if topic is not None:
                ensure_topic(settings.kafka, topic, config={}, create=settings.create_topics)
        if settings.running is not None:
            make_running_topic(settings, settings.running)
        if settings.state_topic is not None:
            make_state_topic(settings, settings.state_topic)

    def require(self, alive: Callable[[], None]) -> None:
        """Without a topic that a transaction writes to every publication would fail; raises TopicError."""
        for topic in self._settings.published:
            partitions_of(self._settings.kafka, topic)
            alive()
        if self._settings.running is not None:
            require_running_topic(self._settings.kafka, self._settings.running)
            alive()
        if self._settings.state_topic is not None:
            require_state_topic(self._settings.kafka, self._settings.state_topic)
            alive()

    def holds_results(self) -> bool:
        """There are records in the output."""
        kafka, output = self._settings.kafka, self._settings.output
        partitions = range(partitions_of(kafka, output))
        begins = end_offsets(kafka, output, partitions, at="earliest")
        return begins != end_offsets(kafka, output, partitions, at="latest")

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """As the group has them, asked from outside, or the state topic."""
        kafka = self._settings.kafka
        if self._of_topic:
            return committed_offsets(kafka, kafka.group, self._settings.input, partitions)
        return {} if self._stored is None else self._stored.read(partitions)

    def publisher(
        self,
        membership: Membership,
        signature: str,
        confirm: Callable[[], object],
        numbers: PublisherNumbers,
    ) -> PublisherThread:
        """Publishes as this member of the group."""
        output = Output(self._settings, membership, signature, confirm, self._at, numbers, self._stored)
        return PublisherThread(output, self._at)
