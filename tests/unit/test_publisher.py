"""What the session hears when a publication breaks in a way that the client does not explain."""

import select
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from streamagg.core.checkpoint import Checkpoint
from streamagg.core.partition_clock import PartitionState
from streamagg.errors import AccessDenied, Unreachable
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import KafkaSettings, RunSettings
from streamagg.sinks import publisher_thread as module
from streamagg.sinks.contract import OutputAway, Publication, PublishFailed
from streamagg.sinks.kafka import transaction as output
from streamagg.sinks.kafka.transaction import Output
from streamagg.sinks.publisher_thread import PublisherThread
from tests.support.blocks import window_table
from tests.support.broker import free_port

WAIT_S = 10
ONE_WINDOW = Publication((window_table(1, 1, 1, False),), {0: Checkpoint(PartitionState(5), 1, 5)})
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


class GoodProducer:
    """Does everything at once; ``aborts`` is how often a commit is refused before."""

    def __init__(self, aborts: int = 0) -> None:
        self._aborts = aborts
        self.served = threading.Event()

    def init_transactions(self, timeout_s: float) -> None:
        """Granted."""

    def begin_transaction(self) -> None:
        """Begun."""

    def produce(self, *_: object, **__: object) -> None:
        """Taken."""

    def flush(self, timeout_s: float) -> int:
        return 0

    def poll(self, timeout_s: float) -> int:
        self.served.set()
        # The package raises a fatal error like this, and what callbacks make of it like the other.
        raise FENCED if self._aborts else SystemError("a callback has cleared the fatal error")

    def send_offsets_to_transaction(self, *_: object) -> None:
        """Taken."""

    def commit_transaction(self, timeout_s: float) -> None:
        if self._aborts:
            self._aborts -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no", txn_requires_abort=True))

    def abort_transaction(self, timeout_s: float) -> None:
        """Undone."""


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


def made(
    monkeypatch: pytest.MonkeyPatch,
    producer: object,
    numbers: PublisherNumbers | None = None,
    stuck_s: float = module.STUCK_S,
) -> PublisherThread:
    """A publisher that believes this to be Kafka's."""
    monkeypatch.setattr(output, "Producer", lambda config: producer)
    monkeypatch.setattr(output, "settle", lambda *_: None)
    membership: Any = SimpleNamespace(leader=True, metadata=None)
    numbers = numbers or PublisherNumbers()
    into = Output(RunSettings("in", "out"), membership, "print", lambda: None, lambda point: None, numbers)
    return PublisherThread(into, lambda point: None, stuck_s)


def outcome(
    monkeypatch: pytest.MonkeyPatch,
    producer: BreakingProducer | GoodProducer,
    numbers: PublisherNumbers | None = None,
    publication: Publication = ONE_WINDOW,
) -> Publication | None:
    """What ``finished`` says once the publication has ended."""
    publisher = made(monkeypatch, producer, numbers)
    try:
        assert publisher.start(lambda: False)
        publisher.submit(publication)
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
    producer = HangingProducer()
    publisher = made(monkeypatch, producer, stuck_s=0.1)
    with pytest.raises(Unreachable, match="Kafka did not let a publisher in"):
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


def test_a_transaction_left_open_is_looked_for_in_every_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Mock()
    monkeypatch.setattr(output, "Producer", lambda config: GoodProducer())
    monkeypatch.setattr(output, "settle", settle)
    settings = RunSettings(
        "in", "out", late_topic="late", sketches="sketches", running="running", state_topic="state"
    )
    into = Output(settings, Mock(), "print", lambda: None, lambda point: None, PublisherNumbers())
    into.open(lambda: True)
    assert settle.call_args.args[2] == ("out", "late", "sketches", "running", "state")


def batches(numbers: PublisherNumbers) -> dict[str, int]:
    return {stage: sum(times.counts) for stage, times in numbers.times.by_stage.items()}


def test_a_publication_is_counted_when_it_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = PublisherNumbers()
    before_s = time.time()
    assert outcome(monkeypatch, GoodProducer(), numbers) is ONE_WINDOW
    assert (numbers.committed, numbers.aborted, numbers.client.errors) == (1, 0, {})
    assert batches(numbers) == {"publish": 1, "commit": 1}
    assert numbers.last_commit_s is not None
    assert before_s <= numbers.last_commit_s <= time.time()


def test_a_checkpoint_without_windows_produces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = PublisherNumbers()
    assert outcome(monkeypatch, GoodProducer(), numbers, Publication((), ONE_WINDOW.checkpoints)) is not None
    assert batches(numbers) == {"commit": 1}
    assert numbers.committed == 1


def test_an_attempt_that_is_undone_counts_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_ATTEMPT_PAUSE_S", 0.0)
    monkeypatch.setattr(output, "_CALL_TIMEOUT_S", 0.0)
    numbers = PublisherNumbers()
    assert outcome(monkeypatch, GoodProducer(aborts=2), numbers) is ONE_WINDOW
    assert (numbers.committed, numbers.aborted) == (1, 2)
    assert batches(numbers) == {"publish": 3, "commit": 1}


def test_a_publication_that_fails_for_good_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = PublisherNumbers()
    with pytest.raises(OutputAway):
        outcome(monkeypatch, BreakingProducer(FENCED, None), numbers)
    assert numbers.client.errors == {"_FENCED": 1}
    assert (numbers.committed, numbers.last_commit_s) == (0, None)


@pytest.mark.parametrize("aborts", [0, 1])
def test_the_client_is_served_while_there_is_nothing_to_publish(
    monkeypatch: pytest.MonkeyPatch, aborts: int
) -> None:
    """Its errors and statistics would pile up; what it raises then does not end the thread."""
    monkeypatch.setattr(module, "_SERVE_EVERY_S", 0.01)
    monkeypatch.setattr(output, "_ATTEMPT_PAUSE_S", 0.0)
    producer = GoodProducer(aborts)
    publisher = made(monkeypatch, producer)
    assert publisher.start(lambda: False)
    assert producer.served.wait(WAIT_S)
    publisher.submit(ONE_WINDOW)
    assert select.select([publisher], [], [], WAIT_S)[0]
    assert publisher.finished() is ONE_WINDOW
    publisher.close(WAIT_S)


def test_a_client_is_let_go_with_records_that_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_CALL_TIMEOUT_S", 0.1)
    kafka = KafkaSettings(f"127.0.0.1:{free_port()}")
    settings = RunSettings("in", "out", kafka=kafka, delivery="at-least-once")
    before = clients()
    into = Output(settings, Mock(), "print", lambda: None, lambda _: None, PublisherNumbers())
    publisher = PublisherThread(into, lambda _: None)
    del into
    assert publisher.start(lambda: False)
    assert clients() == before + 1
    publisher.submit(ONE_WINDOW)
    assert select.select([publisher], [], [], WAIT_S)[0]
    with pytest.raises(OutputAway) as held:
        publisher.finished()

    publisher.close(WAIT_S)

    assert clients() == before
    assert held.value.__traceback__ is not None


def clients() -> int:
    """Clients of librdkafka in this process: each has one thread of this name."""
    found = []
    for name in Path("/proc/self/task").glob("*/comm"):
        # A thread may end while this looks at the others.
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(name.read_text())
    return found.count("rdk:main\n")
