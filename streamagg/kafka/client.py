"""Configurations of Kafka clients: tuned defaults < what the user passes through < what streamagg owns."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streamagg.errors import KafkaFailed, KafkaUnreachable, StreamaggError, TopicError
from streamagg.settings import KafkaSettings

Config = dict[str, Any]
OnError = Callable[[KafkaError], None]

TUNED_CONSUMER: Final[Mapping[str, object]] = {
    # How long a full queue stops fetching: the 1000 ms of librdkafka cost a factor of six, 0 spins.
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 32_768,
    "fetch.message.max.bytes": 1 << 20,
    "check.crcs": True,
}
OWNED_CONSUMER: Final[Mapping[str, object]] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
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
"""Waiting does not heal these, while a refused connection may be a broker that is still starting."""

_UNREACHABLE: Final = HOPELESS | {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.BROKER_NOT_AVAILABLE,
}
_TOPIC: Final = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.POLICY_VIOLATION,
    }
)

_LOG: Final = logging.getLogger("streamagg.kafka.client")
_UNHEARD: Final = logging.getLogger("streamagg.kafka.unheard")
"""For clients whose errors reach the user as one sentence; heard at level debug only."""


def consumer_config(kafka: KafkaSettings, *, on_error: OnError | None = None, **owned: object) -> Config:
    """Configuration of a ``Consumer``; ``owned`` names carry underscores for dots (``group_id="g"``)."""
    return _config(kafka, {**TUNED_CONSUMER}, {**OWNED_CONSUMER, **_dotted(owned)}, on_error)


def producer_config(kafka: KafkaSettings, *, on_error: OnError | None = None, **owned: object) -> Config:
    """Configuration of a ``Producer``; ``owned`` names carry underscores for dots (``linger_ms=5``)."""
    return _config(kafka, {**TUNED_PRODUCER}, _dotted(owned), on_error)


def admin_config(kafka: KafkaSettings, *, on_error: OnError | None = None) -> Config:
    """Configuration of an ``AdminClient``, whose log is unheard: its errors are reported as one sentence."""
    # Without the second setting, asking for a topic would make some brokers create it.
    owned: Config = {"logger": _UNHEARD, "allow.auto.create.topics": False}
    return _config(kafka, {}, owned, on_error)


def objection(client: Mapping[str, str]) -> str | None:
    """What librdkafka has against client settings, or None. It connects to nothing."""
    unheard: Config = {**client, "logger": _UNHEARD}
    try:
        Producer(unheard)
        Consumer({**unheard, "group.id": "settings-check"}).close()
    except KafkaException as exc:
        return sentence(exc.args[0])
    return None


def kafka_error(cause: KafkaException | KafkaError, doing: str) -> StreamaggError:
    """The error of streamagg for one of Kafka; ``doing`` begins the sentence ("Creating topic t")."""
    error = cause.args[0] if isinstance(cause, KafkaException) else cause
    if not isinstance(error, KafkaError):
        return KafkaFailed(f"{doing} failed: {error}.")
    text = f"{doing} failed: {sentence(error)}"
    if error.code() in _UNREACHABLE:
        return KafkaUnreachable(f"{text}. Check --bootstrap-servers, the network and the credentials.")
    if error.code() in _TOPIC:
        return TopicError(f"{text}. Check the name of the topic and the rights of this user.")
    return KafkaFailed(f"{text} ({error.name()}).")


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
        **tuned,
        **kafka.client,
        **owned,
        "bootstrap.servers": kafka.bootstrap_servers,
    }
    if on_error is not None:
        config["error_cb"] = on_error
    return config


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


_LOG.addFilter(_is_of_this_kind)
_UNHEARD.addFilter(_is_debugging)
