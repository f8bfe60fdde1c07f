"""Configurations of Kafka clients, and questions to clusters that answer badly or not at all."""

import logging
import socket
from collections.abc import Iterator
from types import MappingProxyType

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from streamagg.errors import AccessDenied, KafkaFailed, KafkaUnreachable, StreamaggError, TopicError
from streamagg.kafka.admin import end_offsets, ensure_topic, partitions_of
from streamagg.kafka.client import (
    Right,
    admin_config,
    consumer_config,
    is_passing,
    kafka_error,
    objection,
    producer_config,
)
from streamagg.kafka.passthrough import REFUSED, refusal
from streamagg.model.settings import KafkaSettings

SHORT_MS = 700


@pytest.fixture(scope="module")
def mock_cluster() -> Iterator[str]:
    """Address of a simulated broker with the topic ``known`` of 4 partitions."""
    producer = Producer({"test.mock.num.brokers": "1", "logger": logging.getLogger("tests.mock")})
    metadata = producer.list_topics("known", timeout=10)
    broker = next(iter(metadata.brokers.values()))
    yield f"{broker.host}:{broker.port}"
    producer.flush(1)


@pytest.fixture
def closed_port() -> Iterator[str]:
    """A loopback address that nobody listens at; the socket keeps others from taking it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def passing(address: str = "127.0.0.1:9092", **client: str) -> KafkaSettings:
    return KafkaSettings(
        address, MappingProxyType({key.replace("_", "."): text for key, text in client.items()})
    )


def test_what_the_user_passes_replaces_what_is_tuned_and_gives_way_to_what_is_owned() -> None:
    kafka = passing(check_crcs="false", group_id="theirs", fetch_wait_max_ms="7")
    config = consumer_config(kafka, group_id="ours", enable_partition_eof=True)
    assert config["check.crcs"] == "false"
    assert config["fetch.queue.backoff.ms"] == 5
    assert config["fetch.wait.max.ms"] == "7"
    assert config["group.id"] == "ours"
    assert config["enable.partition.eof"] is True
    assert config["enable.auto.commit"] is False


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({}, 4_000_000),
        ({"fetch_message_max_bytes": "65536"}, 65_536),
        ({"max_partition_fetch_bytes": "65536", "fetch_max_bytes": "10000"}, 10_000),
        ({"fetch_message_max_bytes": "8000000"}, 4_000_000),
    ],
)
def test_no_broker_waits_for_more_than_it_may_send(given: dict[str, str], least: int) -> None:
    assert consumer_config(passing(**given))["fetch.min.bytes"] == least


def test_what_a_broker_waits_for_is_what_the_user_passes() -> None:
    kafka = passing(fetch_message_max_bytes="65536", fetch_min_bytes="99999")
    assert consumer_config(kafka)["fetch.min.bytes"] == "99999"


@pytest.mark.parametrize(
    ("code", "passing"),
    [
        (KafkaError.NOT_COORDINATOR, True),
        (KafkaError.NOT_ENOUGH_REPLICAS, True),
        (KafkaError._MSG_TIMED_OUT, True),
        (KafkaError.MSG_SIZE_TOO_LARGE, False),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, False),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, False),
    ],
)
def test_what_waiting_may_heal(code: int, passing: bool) -> None:
    assert is_passing(KafkaError(code)) is passing


def test_callbacks_keep_their_names() -> None:
    def on_error(error: KafkaError) -> None:
        raise AssertionError(error)

    config = producer_config(passing(), on_error=on_error, stats_cb=print)
    assert config["error_cb"] is on_error
    assert config["stats_cb"] is print


def test_settings_of_one_kind_of_client_are_no_noise_in_another(caplog: pytest.LogCaptureFixture) -> None:
    kafka = passing(linger_ms="3", fetch_wait_max_ms="100")
    Consumer(consumer_config(kafka, group_id="g")).close()
    Producer(producer_config(kafka)).flush(0)
    Producer(admin_config(kafka)).flush(0)
    assert [record.getMessage() for record in caplog.records if "CONFWARN" in record.getMessage()] == []


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_refused_settings_have_a_reason(key: str) -> None:
    assert refusal(key, "x") == REFUSED[key]


@pytest.mark.parametrize(
    "key", ["error_cb", "offset.store.path", "test.mock.num.brokers", "go.delivery.reports"]
)
def test_families_are_refused(key: str) -> None:
    assert refusal(key, "x")


def test_kerberos_values_cannot_leave_their_shell_word() -> None:
    assert refusal("sasl.kerberos.principal", "kafka/host.example@REALM") is None
    assert refusal("sasl.kerberos.keytab", '"; touch /tmp/x; "')


@pytest.mark.parametrize("key", ["security.protocol", "sasl.password", "ssl.ca.location", "compression.type"])
def test_the_rest_is_allowed(key: str) -> None:
    assert refusal(key, "any value") is None


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"no.such": "1"}, "no.such"),
        ({"session.timeout.ms": "400000"}, "session.timeout.ms"),
        ({"linger.ms": "3", "fetch.wait.max.ms": "100", "client.id": "x"}, None),
    ],
)
def test_librdkafka_judges_names_and_values(client: dict[str, str], words: str | None) -> None:
    text = objection(client)
    assert text is None if words is None else words in str(text)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, KafkaUnreachable),
        (KafkaError._AUTHENTICATION, KafkaUnreachable),
        (KafkaError._SSL, KafkaUnreachable),
        (KafkaError._RESOLVE, KafkaUnreachable),
        (KafkaError.INVALID_TIMESTAMP, KafkaUnreachable),
        (KafkaError.INVALID_RECORD, KafkaUnreachable),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AccessDenied),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, AccessDenied),
        (KafkaError.MSG_SIZE_TOO_LARGE, TopicError),
        (KafkaError.INVALID_REQUIRED_ACKS, KafkaFailed),
    ],
)
def test_errors_have_their_place_in_the_tree(code: int, kind: type[StreamaggError]) -> None:
    for cause in (KafkaError(code), KafkaException(KafkaError(code))):
        error = kafka_error(cause, "Reading the topic t")
        assert type(error) is kind
        assert str(error).startswith("Reading the topic t failed: ")


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "WRITE on the topic t."),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "READ on the group g."),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, "WRITE on the topic t."),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "WRITE on the topic t and READ on the group g."),
    ],
)
def test_a_right_that_is_missing_is_named(code: int, named: str) -> None:
    needs = Right("WRITE", "topic", "t"), Right("READ", "group", "g")
    error = kafka_error(KafkaError(code), "Working", *needs)
    assert str(error).endswith(f"This user needs the right {named}")
    assert error.exit_code == 2


def test_a_topic_is_found(mock_cluster: str) -> None:
    assert partitions_of(passing(mock_cluster), "known") == 4
    assert ensure_topic(passing(mock_cluster), "known", partitions=9, create=False) == 4
    assert end_offsets(passing(mock_cluster), "known", range(4), at="latest") == dict.fromkeys(range(4), 0)


def test_a_missing_topic_is_an_error_and_is_not_created_by_the_question(mock_cluster: str) -> None:
    for _ in range(2):
        with pytest.raises(TopicError, match="The topic absent does not exist"):
            partitions_of(passing(mock_cluster), "absent")
    with pytest.raises(TopicError, match="without --no-create-topics"):
        ensure_topic(passing(mock_cluster), "absent", create=False)


def test_nobody_answers(closed_port: str) -> None:
    with pytest.raises(KafkaUnreachable, match=f"Kafka at {closed_port} cannot be used: .*refused"):
        partitions_of(passing(closed_port), "t", timeout_ms=SHORT_MS)
    with pytest.raises(KafkaUnreachable, match=f"Kafka at {closed_port} cannot be used"):
        end_offsets(passing(closed_port), "t", [0], at=5, timeout_ms=SHORT_MS)


def test_credentials_that_are_not_wanted_end_it_at_once(mock_cluster: str) -> None:
    kafka = passing(
        mock_cluster,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="u",
        sasl_password="p",
    )
    # Far longer than the test may take: the answer must not wait for the time limit.
    with pytest.raises(KafkaUnreachable, match="SASL"):
        partitions_of(kafka, "known", timeout_ms=3_600_000)


def test_a_broker_without_tls_is_unreachable_with_it(mock_cluster: str) -> None:
    with pytest.raises(KafkaUnreachable, match="speaks no TLS"):
        partitions_of(passing(mock_cluster, security_protocol="SSL"), "known", timeout_ms=SHORT_MS)
