"""What the session hears when a publication breaks in a way that the client does not explain."""

import select
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.clock import PartitionState
from streamagg.core.publication import OutputAway, Publication, PublishFailed
from streamagg.errors import AccessDenied, KafkaUnreachable
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


class HangingProducer:
    """``init_transactions`` takes no notice of its time-out."""

    def __init__(self) -> None:
        self.calls = 0
        self.release = threading.Event()

    def init_transactions(self, timeout_s: float) -> None:
        self.calls += 1
        assert self.release.wait(WAIT_S)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "not yet", retriable=True))


class RefusedProducer:
    """May take part in no transaction."""

    def init_transactions(self, timeout_s: float) -> None:
        raise KafkaException(KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED))


def made(monkeypatch: pytest.MonkeyPatch, producer: object) -> KafkaPublisher:
    """A publisher that believes this to be Kafka's."""
    monkeypatch.setattr(module, "Producer", lambda config: producer)
    membership: Any = SimpleNamespace(leader=True, metadata=None)
    identity: Any = SimpleNamespace(confirm=lambda topic_id: None)
    return KafkaPublisher(RunSettings("in", "out"), membership, identity, "id", lambda point: None)


def outcome(monkeypatch: pytest.MonkeyPatch, producer: BreakingProducer) -> Publication | None:
    """What ``finished`` says once the publication has ended."""
    publisher = made(monkeypatch, producer)
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


@pytest.mark.parametrize("code", [KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD])
def test_a_clock_far_ahead_is_no_fault_of_this_run(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = KafkaException(KafkaError(code))
    with pytest.raises(OutputAway, match="check the clock of this machine"):
        outcome(monkeypatch, BreakingProducer(refused, None))


def test_a_start_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STUCK_S", 0.1)
    producer = HangingProducer()
    publisher = made(monkeypatch, producer)
    with pytest.raises(KafkaUnreachable, match="did not answer"):
        publisher.start(lambda: False)
    producer.release.set()
    publisher.close(WAIT_S)
    assert producer.calls == 1, "it must not fence whoever publishes by then"


def test_a_start_that_hangs_ends_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = HangingProducer()
    publisher = made(monkeypatch, producer)
    assert not publisher.start(lambda: producer.calls > 0)
    producer.release.set()
    publisher.close(WAIT_S)
    assert producer.calls == 1


def test_what_the_broker_has_against_the_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = made(monkeypatch, RefusedProducer())
    with pytest.raises(AccessDenied, match="WRITE on the transactional id"):
        publisher.start(lambda: False)
    publisher.close(WAIT_S)
