"""What the session hears when a publication breaks in a way that the client does not explain."""

import select
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.core.publication import OutputAway, Publication, PublishFailed
from streamagg.kafka import publisher as module
from streamagg.kafka.publisher import KafkaPublisher
from streamagg.records import WindowCount
from streamagg.settings import RunSettings

WAIT_S = 10
ONE_WINDOW = Publication((WindowCount(1, 1, 1, False),), {0: Checkpoint(PartitionState(5), 1, 5)})
FENCED = KafkaException(KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True))


class BreakingProducer:
    """A transactional producer whose ``flush`` raises, and whose ``abort_transaction`` may."""

    def __init__(self, flush: Exception, abort: Exception | None) -> None:
        self._flush = flush
        self._abort = abort

    def init_transactions(self, timeout_s: float) -> None:
        """Granted."""

    def begin_transaction(self) -> None:
        """Begun."""

    def produce(self, *_: object, **__: object) -> None:
        """Taken."""

    def flush(self, timeout_s: float) -> int:
        raise self._flush

    def abort_transaction(self, timeout_s: float) -> None:
        if self._abort is not None:
            raise self._abort


def outcome(monkeypatch: pytest.MonkeyPatch, producer: BreakingProducer) -> Publication | None:
    """What ``finished`` says once the publication has ended."""
    monkeypatch.setattr(module, "Producer", lambda config: producer)
    membership: Any = SimpleNamespace(leader=True, metadata=None)
    identity: Any = SimpleNamespace(confirm=lambda topic_id: None)
    publisher = KafkaPublisher(RunSettings("in", "out"), membership, identity, "id", lambda point: None)
    try:
        assert publisher.start(lambda: False)
        publisher.submit(ONE_WINDOW)
        assert select.select([publisher], [], [], WAIT_S)[0], "the session waits in vain"
        return publisher.finished()
    finally:
        publisher.close(WAIT_S)


def test_a_fatal_error_that_the_client_lost_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fenced, and so no fault of this run."""
    lost = SystemError("flush returned NULL without setting an exception")
    with pytest.raises(OutputAway, match="fenced"):
        outcome(monkeypatch, BreakingProducer(lost, FENCED))


@pytest.mark.parametrize("broken", [SystemError("no reason given"), RuntimeError("no reason given")])
def test_whatever_breaks_the_thread_is_heard(broken: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PublishFailed, match="no reason given") as told:
        outcome(monkeypatch, BreakingProducer(broken, None))
    assert not isinstance(told.value, OutputAway)
