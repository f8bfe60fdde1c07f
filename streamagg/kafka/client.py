"""Configurations of Kafka clients: tuned defaults < what the user passes through < what streamagg owns."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streamagg.errors import AccessDenied, KafkaFailed, KafkaUnreachable, StreamaggError, TopicError
from streamagg.model.settings import KafkaSettings

COOPERATIVE: Final = "cooperative-sticky"
"""How members of the group divide partitions with the classic protocol."""
Config = dict[str, Any]
OnError = Callable[[KafkaError], None]

TUNED: Final[Mapping[str, object]] = {
    # With "rebootstrap" a client whose brokers all went away for a moment forgets them, and may then wait for
    # one that it has forgotten for as long as it lives (librdkafka #5511): 22 s instead of 1 to 5.
    "metadata.recovery.strategy": "none",
    # The 10 s of librdkafka are added to every outage that was longer.
    "reconnect.backoff.max.ms": 1_000,
}
"""Of every client."""
_MOST_IN_ANSWER: Final = ("fetch.message.max.bytes", "max.partition.fetch.bytes", "fetch.max.bytes")
_LEAST_BYTES: Final = 4_000_000
"""With the 80 ms below: 0.19 cores at 40,000 records/s, where 1 MB and 50 ms took 0.27 ("Tried" in
REPORT.md)."""
TUNED_CONSUMER: Final[Mapping[str, object]] = {
    # How long a full queue stops fetching: the 1000 ms of librdkafka cost a factor of six, 0 spins.
    "fetch.queue.backoff.ms": 5,
    # What is thrown away when a partition is left. 16 MiB made no difference ("Tried" in REPORT.md).
    "queued.max.messages.kbytes": 32_768,
    # Of a partition in one answer: a fifth more records than with 1 MiB, and a third less CPU in the broker.
    "fetch.message.max.bytes": 4 << 20,
    # Live records come in answers of up to 80 ms, not one by one: half of the CPU here, and in the broker.
    # Nor can a question about partitions that are read to their end keep others waiting for longer.
    "fetch.min.bytes": _LEAST_BYTES,
    "fetch.wait.max.ms": 80,
    # Of a connection whose other end is gone, nothing is heard for so long: 60 s otherwise.
    "socket.timeout.ms": 20_000,
    "check.crcs": True,
}
OWNED_CONSUMER: Final[Mapping[str, object]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    # Of all but the member of the group, which brings its own.
    "group.protocol": "classic",
    # A missing offset is an error to report, never a silent jump to an end of the log.
    "auto.offset.reset": "error",
}
TUNED_PRODUCER: Final[Mapping[str, object]] = {"acks": "all"}

HOPELESS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._RESOLVE,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
    }
)
"""Waiting does not cure these, whereas a refused connection may be a broker that is still starting."""

_UNREACHABLE: Final = HOPELESS | {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.BROKER_NOT_AVAILABLE,
}
_PASSING: Final = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
_TIME_REFUSED: Final = frozenset({KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD})
"""The second is what the client makes of the first for each record of a batch."""
_TOPIC: Final = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
    }
)
Kind = Literal["topic", "group", "transactional id"]
_DENIED: Final[Mapping[int, Kind]] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional id",
    # The answer to an idempotent producer that may not write to any topic.
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "topic",
}


class Right(NamedTuple):
    """What a user of Kafka may do; its text is for the sentence "this user needs ..."."""

    operation: Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]
    kind: Kind
    name: str

    def __str__(self) -> str:
        included = " (which READ and WRITE include)" if self.operation == "DESCRIBE" else ""
        return f"{self.operation} on the {self.kind} {self.name}{included}"


_LOG: Final = logging.getLogger("streamagg.kafka.client")
_UNHEARD: Final = logging.getLogger("streamagg.kafka.unheard")
"""For clients whose errors reach the user as one sentence; heard at level debug only."""


def consumer_config(kafka: KafkaSettings, *, on_error: OnError | None = None, **owned: object) -> Config:
    """Configuration of a ``Consumer``; ``owned`` names carry underscores (``session_timeout_ms=9``)."""
    named = {**OWNED_CONSUMER, "group.id": kafka.group, **_dotted(owned)}
    tuned = {**TUNED_CONSUMER, "fetch.min.bytes": _least_in_answer(kafka)}
    return _config(kafka, tuned, named, on_error)


def producer_config(kafka: KafkaSettings, *, on_error: OnError | None = None, **owned: object) -> Config:
    """Configuration of a ``Producer``; ``owned`` names carry underscores for dots (``linger_ms=5``)."""
    return _config(kafka, {**TUNED_PRODUCER}, _dotted(owned), on_error)


def admin_config(kafka: KafkaSettings, *, on_error: OnError | None = None) -> Config:
    """Configuration of an ``AdminClient``, which does not log: its errors are reported as one sentence."""
    # Without the second setting, asking for a topic would make some brokers create it.
    owned: Config = {"logger": _UNHEARD, "allow.auto.create.topics": False}
    return _config(kafka, {}, owned, on_error)


def objection(client: Mapping[str, str]) -> str | None:
    """Why librdkafka refuses client settings, or None. It connects to nothing."""
    unheard: Config = {**client, "logger": _UNHEARD}
    try:
        Producer(unheard)
        Consumer({**unheard, "group.id": "settings-check"}).close()
    except KafkaException as exc:
        return sentence(exc.args[0])
    return None


def kafka_error(cause: KafkaException | KafkaError, doing: str, *needs: Right) -> StreamaggError:
    """The error of streamagg for one of Kafka; ``doing`` begins the sentence ("Creating topic t").

    ``needs`` are the rights that it takes: one of them is missing when Kafka says that one is.
    """
    error = cause.args[0] if isinstance(cause, KafkaException) else cause
    if not isinstance(error, KafkaError):
        return KafkaFailed(f"{doing} failed: {error}.")
    text = f"{doing} failed: {sentence(error)}"
    if is_denied(error):
        missing = [right for right in needs if right.kind == _DENIED[error.code()]] or needs
        lacks = f" This user needs the right {' and '.join(map(str, missing))}." if missing else ""
        return AccessDenied(f"{text}.{lacks}")
    if error.code() in _UNREACHABLE:
        return KafkaUnreachable(f"{text}. Check --bootstrap-servers, the network and the credentials.")
    if is_time_refused(error):
        return KafkaUnreachable(
            f"{text}. Brokers refuse records from a time far ahead of theirs: "
            "check the clock of this machine."
        )
    if is_too_large(error):
        return TopicError(
            f"{text}. Raise max.message.bytes of that topic: 65536 is enough for what is published, and the "
            "default of 1048588 for everything."
        )
    if error.code() in _TOPIC:
        return TopicError(f"{text}. Check the name of the topic and the rights of this user.")
    return KafkaFailed(f"{text} ({error.name()}).")


def is_passing(error: KafkaError) -> bool:
    """Whether waiting may cure it: brokers are away, restart, or hand partitions over to each other."""
    return error.retriable() or error.code() in _PASSING


def is_time_refused(error: KafkaError) -> bool:
    """Whether the wall clock here is too far ahead of the broker's (``message.timestamp.after.max.ms``)."""
    return error.code() in _TIME_REFUSED


@contextmanager
def fatal_errors() -> Iterator[None]:
    """Around calls of a producer that run callbacks: a fatal error is always raised as KafkaException.

    The package raises it before it runs the callbacks that wait, and their first call of anything turns it
    into a SystemError.
    """
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise


def is_too_large(error: KafkaError) -> bool:
    """Whether a record is larger than client, topic or broker allow."""
    return error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def is_gone(error: KafkaError) -> bool:
    """Whether retention has removed what was to be read."""
    return error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


def is_denied(error: KafkaError) -> bool:
    """Whether a right is missing, which neither waiting nor trying again cures."""
    return error.code() in _DENIED


def sentence(error: KafkaError) -> str:
    """The words of an error, without the full stop."""
    words: str = error.str()
    return words.rstrip(". ")


def _config(
    kafka: KafkaSettings, tuned: Config, owned: Mapping[str, object], on_error: OnError | None
) -> Config:
    config: Config = {
        "client.id": "streamagg",
        "logger": _LOG,
        **TUNED,
        **tuned,
        **kafka.client,
        **owned,
        "bootstrap.servers": kafka.bootstrap_servers,
    }
    if on_error is not None:
        config["error_cb"] = on_error
    return config


def _least_in_answer(kafka: KafkaSettings) -> int:
    """What a broker waits for; not for more than it may send of one partition, or every answer would wait."""
    given = [int(kafka.client[name]) for name in _MOST_IN_ANSWER if kafka.client.get(name, "").isdecimal()]
    return min([_LEAST_BYTES, *given])


def _dotted(owned: Mapping[str, object]) -> Config:
    """librdkafka's names: dots for underscores, except in the names of callbacks."""
    return {key if key.endswith("_cb") else key.replace("_", "."): value for key, value in owned.items()}


def _is_of_this_kind(record: logging.LogRecord) -> bool:
    """False for the remark that a consumer setting means nothing to a producer, or the reverse.

    What the user passes through goes to all clients, so it is expected.
    """
    return "property and will be ignored by this" not in record.getMessage()


def _is_debugging(_record: logging.LogRecord) -> bool:
    return logging.getLogger("streamagg").isEnabledFor(logging.DEBUG)


def _named(record: logging.LogRecord) -> bool:
    """Gives lines that librdkafka writes through a logger the name of an event."""
    record.event = "kafka_client"
    record.fields = {"line": record.getMessage()}
    return True


_LOG.addFilter(_is_of_this_kind)
_LOG.addFilter(_named)
_UNHEARD.addFilter(_is_debugging)
_UNHEARD.addFilter(_named)
