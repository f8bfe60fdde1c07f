"""Publishes counts together with the checkpoint.

The protocol of one publication, exactly-once:

1. begin a transaction
2. produce a record per window
3. add the offsets and their metadata, under the generation in which this instance became leader
4. commit
5. free the slots (the session does, when it hears of it)

A thread of its own waits for the broker, so the coordinator never does.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.publication import OutputAway, Publication, PublishFailed, render
from streamagg.core.windows import Windows
from streamagg.errors import AccessDenied, CheckpointError, KafkaUnreachable, StreamaggError, TopicError
from streamagg.kafka.client import (
    Right,
    fatal_errors,
    is_denied,
    is_passing,
    is_time_refused,
    kafka_error,
    producer_config,
)
from streamagg.kafka.dead_letters import FutureLetters
from streamagg.kafka.identity import TopicIdentity
from streamagg.kafka.membership import Membership
from streamagg.settings import RunSettings

TRANSACTION_TIMEOUT_MS: Final = 12_000
"""A killed leader blocks read_committed readers for so long."""
_MESSAGE_TIMEOUT_MS: Final = 10_000
_CALL_TIMEOUT_S: Final = 10.0
_ATTEMPTS: Final = 3
_ATTEMPT_PAUSE_S: Final = 0.5
_FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
"""What becomes of records when their transaction fails."""
_STUCK_S: Final = 20.0
"""A call of the producer may hang, whatever time-out it was given: when its broker is started anew, or when
the wall clock is set back (librdkafka issue 2145)."""
_INIT_SLICE_S: Final = 0.5
_INIT_LOOK_S: Final = 0.05
_FULL_QUEUE_WAIT_S: Final = 0.05
_INIT_TIMEOUT_S: Final = 60.0

log = logging.getLogger(__name__)


class KafkaPublisher:
    """One producer, one thread, one publication at a time."""

    def __init__(
        self,
        settings: RunSettings,
        membership: Membership,
        input_: TopicIdentity,
        topic_id: str,
        at: Callable[[faults.Point], None],
    ) -> None:
        """``topic_id``: of the input that is counted; nothing is published once it is another topic.

        ``at`` is called at the named points of the protocol, for tests that break it there.
        """
        self._input = input_
        self._topic_id = topic_id
        self._settings = settings
        self._windows = Windows(settings.window)
        self._fingerprint = checkpoint.bound(
            checkpoint.fingerprint(settings.window, settings.decode), topic_id
        )
        self._membership = membership
        self._exactly_once = settings.delivery == "exactly-once"
        self._undelivered: KafkaError | None = None
        self._at = at
        self._producer = Producer(self._config())
        self._letters = (
            FutureLetters(settings.kafka, settings.dead_letter, settings.input)
            if settings.dead_letter
            else None
        )
        self._jobs: queue.SimpleQueue[Publication | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Publication | BaseException] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._refused: Exception | None = None
        """Why it could not start."""
        self._given_up = False
        self._called = 0.0
        """When the thread last asked for transactions."""
        self.busy = False
        self._submitted = 0.0

    def start(self, give_up: Callable[[], bool]) -> bool:
        """Fence the previous leader and settle its transaction; False if told to give up meanwhile.

        Raises KafkaUnreachable, or what the broker has against it.
        """
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._called = monotonic()
        self._thread.start()
        while not self._started.wait(_INIT_LOOK_S):
            if give_up():
                self._given_up = True
                return False
            if monotonic() - self._called > _STUCK_S:
                self._given_up = True
                raise KafkaUnreachable(f"Kafka did not answer a transactional producer within {_STUCK_S:g} s")
        if self._refused is not None:
            raise self._refused
        return True

    def fileno(self) -> int:
        """Readable when a publication is finished, for selectors."""
        return self._wake_read

    def submit(self, publication: Publication) -> None:
        """Begin to publish; only while not busy."""
        self.busy = True
        self._submitted = monotonic()
        self._jobs.put(publication)

    def finished(self) -> Publication | None:
        """The publication that is out since the last call.

        Raises PublishFailed, and what beginning again would not help against: AccessDenied,
        CheckpointError and TopicError.
        """
        try:
            result = self._results.get_nowait()
        except queue.Empty:
            if self.busy and monotonic() - self._submitted > _STUCK_S:
                self.busy = False
                raise OutputAway(f"Kafka did not finish a publication within {_STUCK_S:g} s") from None
            return None
        os.read(self._wake_read, 1)
        self.busy = False
        if isinstance(result, Publication):
            self._at("before-free")
            return result
        raise _failure(result) from result

    def close(self, timeout_s: float) -> None:
        """End the thread once what is under way is done, or the time is up."""
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return
        if self._letters is not None:
            self._letters.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _config(self) -> dict[str, Any]:
        owned: dict[str, Any] = {
            "linger_ms": 0,
            "enable_idempotence": True,
            "message_timeout_ms": _MESSAGE_TIMEOUT_MS,
        }
        if self._exactly_once:
            owned["transactional_id"] = self._transactional_id
            owned["transaction_timeout_ms"] = TRANSACTION_TIMEOUT_MS
        return producer_config(self._settings.kafka, **owned)

    @property
    def _transactional_id(self) -> str:
        return f"streamagg-{self._settings.group}-{self._settings.input}"

    def _init_transactions(self) -> None:
        deadline = monotonic() + _INIT_TIMEOUT_S
        while not self._given_up:
            self._called = monotonic()
            try:
                self._producer.init_transactions(_INIT_SLICE_S)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise kafka_error(error, "Starting transactions", *self._needs()) from error
                if monotonic() > deadline:
                    raise KafkaUnreachable(
                        f"Kafka did not grant a transactional producer within {_INIT_TIMEOUT_S:g} s; check "
                        "that the cluster can hold its transaction log, or use --delivery at-least-once"
                    ) from error
                continue
            return

    def _work(self) -> None:
        try:
            if self._exactly_once:
                self._init_transactions()
        except Exception as error:
            # Whatever it is: ``start`` raises it.
            self._refused = error
            return
        finally:
            self._started.set()
        self._publish_all()

    def _publish_all(self) -> None:
        while (publication := self._jobs.get()) is not None:
            try:
                self._publish(publication)
            except KafkaException as error:
                self._results.put(self._denied(error) or error)
            except Exception as error:
                # Whatever it is: were this thread to die of it, the session would wait in vain.
                self._results.put(error)
            else:
                self._results.put(publication)
            os.write(self._wake_write, b".")

    def _denied(self, error: KafkaException) -> StreamaggError | None:
        if not is_denied(error.args[0]):
            return None
        needs = self._needs()
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and "offsets" in error.args[0].str():
            # They are offsets of the input, which its own name in the text tells but the code does not.
            needs = [Right("READ", "topic", self._settings.input)]
        return kafka_error(error, f"Publishing to the topic {self._settings.output}", *needs)

    def _needs(self) -> list[Right]:
        needs = [
            Right("WRITE", "topic", self._settings.output),
            Right("READ", "group", self._settings.group),
        ]
        if self._exactly_once:
            needs.append(Right("WRITE", "transactional id", self._transactional_id))
        return needs

    def _publish(self, publication: Publication) -> None:
        # What was read before this answer came is of the topic that it tells of.
        self._input.confirm(self._topic_id)
        if self._letters is not None and publication.future:
            self._letters.put(publication.future)
        if not self._exactly_once:
            self._produce(publication)
            if self._undelivered is not None:
                raise KafkaException(self._undelivered)
            self._at("before-commit")
            self._membership.commit(self._offsets(publication))
            self._at("after-commit")
            return
        for attempt in range(_ATTEMPTS):
            try:
                self._transact(publication)
                return
            except KafkaException as error:
                if not self._aborted(error.args[0]) or is_denied(error.args[0]) or attempt == _ATTEMPTS - 1:
                    raise
                # The group has a new generation: its metadata comes with the next assignment.
                sleep(_ATTEMPT_PAUSE_S)
                if not self._membership.leader:
                    raise

    def _transact(self, publication: Publication) -> None:
        self._at("before-begin")
        self._producer.begin_transaction()  # 1
        self._produce(publication)  # 2
        self._at("before-offsets")
        # If the transaction has failed meanwhile, and its records were purged, this says why.
        self._producer.send_offsets_to_transaction(  # 3
            self._offsets(publication), self._membership.metadata, _CALL_TIMEOUT_S
        )
        if self._undelivered is not None:
            raise KafkaException(self._undelivered)
        self._at("before-commit")
        self._commit()  # 4
        self._at("after-commit")

    def _produce(self, publication: Publication) -> None:
        self._undelivered = None
        for count in publication.windows:
            key, value = render(self._windows, count)
            self._enqueue(key, value)
        self._at("after-produce")
        if publication.windows and self._flush():
            raise OutputAway("the output topic did not take the records in time")
        if self._undelivered is not None and self._undelivered.code() not in _PURGED:
            raise KafkaException(self._undelivered)

    def _flush(self) -> int:
        """How many records are not delivered."""
        try:
            with fatal_errors():
                return self._producer.flush(_CALL_TIMEOUT_S)
        except SystemError:
            # A callback has cleared the fatal error (seen when the producer was fenced meanwhile):
            # the next call of the transaction tells it again.
            if self._exactly_once:
                self._producer.abort_transaction(_CALL_TIMEOUT_S)
            raise

    def _enqueue(self, key: bytes, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._settings.output, value, key, on_delivery=self._delivered)
                return
            except BufferError:
                # A gap of a year with --empty-windows is half a million records.
                self._producer.poll(_FULL_QUEUE_WAIT_S)

    def _commit(self) -> None:
        deadline = monotonic() + _CALL_TIMEOUT_S
        while True:
            try:
                self._producer.commit_transaction(_CALL_TIMEOUT_S)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or monotonic() > deadline:
                    raise

    def _aborted(self, cause: KafkaError) -> bool:
        """The transaction is undone for sure, so that the publication may be tried once more.

        Otherwise the producer is thrown away, and its successor settles what is left.
        """
        log.info("a publication failed: %s", cause.str())
        if cause.code() in _FENCED or cause.fatal() or not cause.txn_requires_abort():
            return False
        try:
            self._producer.abort_transaction(_CALL_TIMEOUT_S)
        except KafkaException as error:
            log.info("aborting failed: %s", error.args[0].str())
            return False
        return True

    def _offsets(self, publication: Publication) -> list[TopicPartition]:
        return [
            TopicPartition(
                self._settings.input, partition, at.state.offset, checkpoint.encode(at, self._fingerprint)
            )
            for partition, at in publication.checkpoints.items()
        ]

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._undelivered = error


def _failure(cause: BaseException) -> Exception:
    """What the session hears of a publication that did not get out."""
    match cause:
        case AccessDenied() | CheckpointError() | TopicError() | OutputAway():
            return cause
        case KafkaUnreachable():
            return OutputAway(str(cause))
        case KafkaException(args=(KafkaError() as error, *_)) if is_time_refused(error):
            return OutputAway(str(kafka_error(error, "Publishing")))
        case KafkaException(args=(KafkaError() as error, *_)) if is_passing(error) or error.code() in _FENCED:
            # A broker that was away for longer than the transaction may take has fenced it off itself.
            return OutputAway(str(cause))
    return PublishFailed(str(cause))
