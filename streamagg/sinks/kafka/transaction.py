"""What is published, in one transaction with the checkpoint, and what becomes of errors.

The protocol of one publication, exactly-once:

1. begin a transaction
2. produce a record per window, one per late record where those are wanted, and what is to be kept
3. add the offsets and their metadata, under the generation in which this instance became leader; where the
   input is no topic, checkpoints are records among those of step 2
4. commit
5. free the slots (the session does, when it hears of it)
"""

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from time import monotonic, sleep, time
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streamagg import faults
from streamagg.core import checkpoint
from streamagg.core.windows import Windows
from streamagg.errors import KafkaUnreachable, StreamaggError
from streamagg.events import Log
from streamagg.kafka.client import (
    Right,
    fatal_errors,
    is_denied,
    is_passing,
    is_time_refused,
    is_too_large,
    kafka_error,
    producer_config,
)
from streamagg.kafka.client_metrics import observing
from streamagg.kafka.delivery import Reports
from streamagg.kafka.membership import Membership
from streamagg.model.measured import PublisherNumbers
from streamagg.model.settings import RunSettings
from streamagg.sinks.contract import OutputAway, Publication, State, Stored
from streamagg.sinks.json_records import render, render_late, render_running, render_sketches
from streamagg.sinks.kafka.checkpoints import StoredCheckpoints, is_checkpoint, records
from streamagg.sinks.kafka.previous_transaction import settle
from streamagg.sinks.kafka.state import StateTopic
from streamagg.sinks.publisher_thread import failure_of
from streamagg.sources.kafka.dead_letters import FutureLetters

TRANSACTION_TIMEOUT_MS: Final = 12_000
"""A killed leader blocks read_committed readers for so long."""
_MESSAGE_TIMEOUT_MS: Final = 10_000
"""Less than the transaction: a record that is given up must fail before the broker ends what it is part
of."""
_CALL_TIMEOUT_S: Final = 10.0
"""Less than the transaction, too, and half of what the publisher waits before it gives up a call that
hangs."""
_BATCH_BYTES: Final = 1 << 16
"""A batch that any topic takes: ``max.message.bytes`` has to be at least this (docs/operations.md)."""
_ATTEMPTS: Final = 3
"""Of a publication that could be aborted; after that the session begins again at its checkpoint."""
_ATTEMPT_PAUSE_S: Final = 0.5
"""A partition that moves to another broker has a leader again within a second or so."""
_FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
"""What becomes of records when their transaction fails."""
_INIT_SLICE_S: Final = 0.5
"""How often a stop is looked for while a transactional producer starts."""
_INIT_TIMEOUT_S: Final = 60.0
"""Long enough for a transaction of the leader before, which the broker ends after 12 s, and for a coordinator
that moves."""
_FULL_QUEUE_WAIT_S: Final = 0.05
"""Until some of the queue has left."""

log = Log(__name__)


class Output:
    """One producer; every call may wait for the broker."""

    def __init__(
        self,
        settings: RunSettings,
        membership: Membership,
        signature: str,
        confirm: Callable[[], object],
        at: Callable[[faults.Point], None],
        numbers: PublisherNumbers,
        stored: StoredCheckpoints | None = None,
    ) -> None:
        """``signature``, ``confirm`` and ``numbers``: see ``sinks.contract.Sink.publisher``.

        ``stored``: the checkpoints, where they are no offsets of the input in the group.
        ``at`` is called at the named points of the protocol, for tests that break it there.
        """
        self._signature = signature
        self._confirm = confirm
        self._settings = settings
        self._windows = Windows(settings.window)
        self._membership = membership
        self._exactly_once = settings.delivery == "exactly-once"
        self._reports = Reports[None]()
        self._at = at
        self._numbers = numbers
        self._stored = stored
        self._of_topic = settings.source.place.kind == "topic"
        self._producer = Producer(self._config())
        self._letters = (
            FutureLetters(settings.kafka, settings.dead_letter, settings.input)
            if settings.dead_letter
            else None
        )
        self._state: StateTopic | None = None
        if settings.state_topic is not None:
            self._state = StateTopic(settings.kafka, settings.state_topic, numbers.client)
            numbers.state_bytes = numbers.state_bytes or 0

    name = "Kafka"

    def open(self, waiting: Callable[[], bool]) -> None:
        """Fence the previous leader and settle what it has left; ``waiting`` is false once nobody wants it.

        Raises a StreamaggError, OutputAway or PublishFailed.
        """
        if self._exactly_once:
            self._init_transactions(waiting)
            if waiting():
                self._settle()

    def publish(self, publication: Publication, submitted_s: float) -> None:
        """Write it and commit; ``submitted_s`` is when it was asked for.

        Raises what went wrong, for ``failure`` to name.
        """
        # What was read before this answer came is of the topic that it tells of.
        self._confirm()
        if self._state is not None and publication.state:
            self._state.confirm()
        if self._letters is not None and publication.future:
            self._letters.put(publication.future)
        began = submitted_s
        if not self._exactly_once:
            self._produce(publication, began)
            self._require_delivery()
            self._at("before-commit")
            began = monotonic()
            self._membership.commit(self._offsets(publication))
            self._note_commit(publication, began)
            self._at("after-commit")
            return
        for attempt in range(_ATTEMPTS):
            try:
                self._transact(publication, began)
                return
            except KafkaException as error:
                hopeless = is_denied(error.args[0]) or is_too_large(error.args[0])
                if not self._aborted(error.args[0]) or hopeless or attempt == _ATTEMPTS - 1:
                    raise
                # The group has a new generation: its metadata comes with the next assignment.
                sleep(_ATTEMPT_PAUSE_S)
                if not self._membership.leader:
                    raise
                began = monotonic()

    def checkpoints(self, partitions: Iterable[int]) -> Stored:
        """The last ones; waits for transactions under way. Raises a StreamaggError."""
        if self._of_topic:
            return self._membership.committed(list(partitions))
        return {} if self._stored is None else self._stored.read(partitions)

    def state(self, alive: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
        """What the state topic holds; see ``sinks.contract.LeaderPublisher.state``."""
        if self._state is None:
            return iter(())
        began = monotonic()
        values = self._state.read(alive)
        self._numbers.restore_s = monotonic() - began
        # Whoever takes them need not hold all of them twice.
        return ((key, values.pop(key)) for key in list(values) if not is_checkpoint(key))

    def serve(self) -> None:
        """Let the client tell what it meets with."""
        # A fatal error is reported again by the next call of the transaction.
        with suppress(KafkaException, SystemError):
            self._producer.poll(0)

    def failure(self, cause: Exception) -> Exception:
        """What the session hears of a publication that did not get out."""
        if isinstance(cause, KafkaException):
            self._numbers.client.failed(cause.args[0].name())
            cause = self._denied(cause) or self._unfit(cause) or cause
        return _failure(cause)

    def close(self) -> None:
        """Give up connections; an exception may hold this object for long, but not the client's threads."""
        del self._producer
        if self._letters is not None:
            self._letters.close()

    def _config(self) -> dict[str, Any]:
        owned: dict[str, Any] = {
            "linger_ms": 0,
            "enable_idempotence": True,
            # A topic refuses a batch for its size as it would a record.
            "batch_size": _BATCH_BYTES,
            "message_timeout_ms": _MESSAGE_TIMEOUT_MS,
            # Reports of what arrived take a fifth of the time that many groups do.
            "delivery_report_only_error": True,
        }
        if self._exactly_once:
            owned["transactional_id"] = self._transactional_id
            owned["transaction_timeout_ms"] = TRANSACTION_TIMEOUT_MS
        return producer_config(self._settings.kafka, **observing(self._numbers.client), **owned)

    @property
    def _transactional_id(self) -> str:
        topic = self._settings.input if self._of_topic else self._settings.output
        return f"streamagg-{self._settings.kafka.group}-{topic}"

    def _init_transactions(self, waiting: Callable[[], bool]) -> None:
        deadline = monotonic() + _INIT_TIMEOUT_S
        while waiting():
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

    def _settle(self) -> None:
        settings = self._settings
        offsets = (settings.input, self._membership.metadata) if self._of_topic else None
        try:
            settle(self._producer, settings.kafka, settings.published, offsets)
        except KafkaException as error:
            raise self.failure(error) from error

    def _denied(self, error: KafkaException) -> StreamaggError | None:
        if not is_denied(error.args[0]):
            return None
        needs = self._needs()
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and "offsets" in error.args[0].str():
            # They are offsets of the input, which its own name in the text tells but the code does not.
            needs = [Right("READ", "topic", self._settings.input)]
        return kafka_error(error, f"Publishing to the topic {self._settings.output}", *needs)

    def _unfit(self, error: KafkaException) -> StreamaggError | None:
        if not is_too_large(error.args[0]):
            return None
        first = self._reports.first
        topic = None if first is None else first.topic
        return kafka_error(error, f"Publishing to the topic {topic or self._settings.output}")

    def _needs(self) -> list[Right]:
        needs = [Right("WRITE", "topic", topic) for topic in self._settings.published]
        needs.append(Right("READ", "group", self._settings.kafka.group))
        if self._exactly_once:
            needs.append(Right("WRITE", "transactional id", self._transactional_id))
        return needs

    def _transact(self, publication: Publication, began: float) -> None:
        self._at("before-begin")
        self._producer.begin_transaction()  # 1
        self._produce(publication, began)  # 2
        self._at("before-offsets")
        began = monotonic()
        if self._of_topic:
            # If the transaction has failed meanwhile, and its records were purged, this says why.
            self._producer.send_offsets_to_transaction(  # 3
                self._offsets(publication), self._membership.metadata, _CALL_TIMEOUT_S
            )
        self._require_delivery()
        self._at("before-commit")
        self._commit()  # 4
        self._numbers.committed += 1
        self._note_commit(publication, began)
        self._at("after-commit")

    def _note_commit(self, publication: Publication, began: float) -> None:
        self._numbers.times.took("commit", monotonic() - began)
        self._numbers.last_commit_s = time()
        if self._numbers.state_bytes is not None:
            self._numbers.state_bytes += sum(len(k) + len(v or b"") for k, v in publication.state)

    def _produce(self, publication: Publication, began: float) -> None:
        self._reports.take()
        for count in publication.tables:
            for key, value in render(self._windows, count, self._settings.decode.group_by):
                self._enqueue(self._settings.output, key, value)
            if self._settings.sketches is not None:
                for key, value in render_sketches(self._windows, count):
                    self._enqueue(self._settings.sketches, key, value)
        if self._settings.running is not None:
            self._produce_running(self._settings.running, publication)
        if self._settings.late_topic is not None:
            self._produce_late(self._settings.late_topic, publication)
        if self._state is not None:
            self._produce_state(self._state.name, publication)
        self._at("after-produce")
        if publication.windows or publication.late or publication.state or publication.running:
            self._deliver()
        if publication.windows:
            self._numbers.times.took("publish", monotonic() - began)

    def _produce_running(self, topic: str, publication: Publication) -> None:
        for running in publication.running:
            for key, value in render_running(self._windows, running, self._settings.decode.group_by):
                self._enqueue(topic, key, value)

    def _produce_late(self, topic: str, publication: Publication) -> None:
        for references in publication.late:
            for key, value in render_late(self._settings.input, self._windows, references):
                self._enqueue(topic, key, value)

    def _produce_state(self, topic: str, publication: Publication) -> None:
        for step in (publication.state,) if self._exactly_once else _steps(publication.state):
            if step and not self._exactly_once:
                self._deliver()
            for key, value in step:
                self._enqueue(topic, key, value)
        if self._stored is not None:
            for key, text in records(self._encoded(publication)):
                self._enqueue(topic, key, text)

    def _deliver(self) -> None:
        left = self._flush()
        # Behind a record that is refused the others wait.
        self._require_delivery(but=_PURGED)
        if left:
            raise OutputAway("the output topic did not take the records in time")

    def _require_delivery(self, but: Container[int] = ()) -> None:
        """Raises KafkaException if a record did not arrive, but for these reasons."""
        first = self._reports.first
        if first is not None and first.error.code() not in but:
            raise KafkaException(first.error)

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

    def _enqueue(self, topic: str, key: bytes, value: bytes | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._reports.hear)
                return
            except BufferError:
                # The client's queue may be set to hold less than a publication.
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
        log.info("publication_failed", "a publication failed: {error}", error=cause.str(), code=cause.name())
        if cause.code() in _FENCED or cause.fatal() or not cause.txn_requires_abort():
            return False
        try:
            self._producer.abort_transaction(_CALL_TIMEOUT_S)
        except KafkaException as error:
            log.info(
                "abort_failed",
                "aborting failed: {error}",
                error=error.args[0].str(),
                code=error.args[0].name(),
            )
            return False
        self._numbers.aborted += 1
        return True

    def _offsets(self, publication: Publication) -> list[TopicPartition]:
        return [
            TopicPartition(self._settings.input, partition, offset, text)
            for partition, (offset, text) in self._encoded(publication).items()
        ]

    def _encoded(self, publication: Publication) -> Stored:
        window, decode = self._settings.window, self._settings.decode
        return {
            partition: (at.state.offset, checkpoint.encode(at, self._signature, window, decode))
            for partition, at in publication.checkpoints.items()
        }


def _steps(state: State) -> tuple[State, State, State]:
    """Without transactions each is out before the next: ``sinks.contract`` says why."""
    values = tuple(record for record in state if record[1] is not None)
    return values[:-1], values[-1:], tuple(record for record in state if record[1] is None)


def _failure(cause: BaseException) -> Exception:
    """What the session hears of a publication that did not get out."""
    match cause:
        case KafkaException(args=(KafkaError() as error, *_)) if is_time_refused(error):
            return OutputAway(str(kafka_error(error, "Publishing")))
        case KafkaException(args=(KafkaError() as error, *_)) if is_passing(error) or error.code() in _FENCED:
            # A broker that was away for longer than the transaction may take has fenced it off itself.
            return OutputAway(str(cause))
    return failure_of(cause)
