"""A leader that publishes to a topic, without anybody who counts."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.kafka.membership import Membership
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import LeaderPublisher, Publication, State
from streamagg.sinks.kafka.topic import TopicSink
from tests.support.blocks import window_table
from tests.support.instances import READY_S, wait_until

_CLOSE_S: Final = 1.0


def sink_of(settings: RunSettings) -> TopicSink:
    return TopicSink(settings, lambda point: None)


@contextmanager
def leading(settings: RunSettings, numbers: PublisherNumbers | None = None) -> Iterator[LeaderPublisher]:
    """What a leader publishes with, from its election to its end."""
    membership = Membership(settings.kafka, settings.kafka.group, settings.input)
    membership.join()

    def leads() -> bool:
        membership.poll()
        return membership.leader

    try:
        wait_until(leads, "leadership")
        publisher = sink_of(settings).publisher(
            membership, "signature", lambda: None, numbers or PublisherNumbers()
        )
        try:
            assert publisher.start(lambda: False)
            yield publisher
        finally:
            publisher.close(_CLOSE_S)
    finally:
        membership.close()


def publish(publisher: LeaderPublisher, state: State, number: int = 1) -> None:
    """To the end; raises what the publisher does."""
    places = {0: Checkpoint(PartitionState(100 * number), number, 100 * number)}
    publisher.submit(Publication((window_table(number, 1, 1),), places, state=state))
    assert select.select([publisher], [], [], READY_S)[0]
    assert publisher.finished() is not None


def found(publisher: LeaderPublisher) -> list[tuple[bytes, bytes]]:
    return list(publisher.state(lambda: None))
