"""Whether a topic is still the one that it was: one that is deleted and made again keeps only its name.

The client goes on reading the new topic at the old offsets, and the group commits them there, without an
error from anybody. Brokers give every topic an id that is never used again (KIP-516).
"""

import ctypes
import sys
from concurrent.futures import TimeoutError as NoAnswer
from types import SimpleNamespace
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from streamagg.errors import CheckpointError, KafkaUnreachable, TopicError
from streamagg.kafka.client import Right, admin_config, kafka_error
from streamagg.kafka.embedded import PARTITIONS, is_embedded
from streamagg.model.batch import Identity
from streamagg.model.settings import KafkaSettings

_TIMEOUT_S: Final = 5.0
"""For one answer, for which a publication waits as well."""
_ATTEMPTS: Final = 2
"""The second one over a new connection."""
_NO_ID: Final = "A" * 22
"""Sixteen zero bytes in base64."""


class TopicIdentity:
    """Asks for one topic again and again, over one connection; may be used by several threads."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        """Raises KafkaFailed if the client settings are impossible together."""
        self._kafka = kafka
        self._topic = topic
        self._client = self._connect()
        self._embedded: bool | None = None
        """The broker of the demo, which would leave the question unanswered; None until it is known."""

    def ask(self) -> Identity:
        """What the topic is; brokers older than 2.8 give no id.

        Raises TopicError when it does not exist, or another StreamaggError.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._answer()
            except KafkaUnreachable:
                # A client keeps to the controller that it knows, however long that broker has been lost.
                self._client = self._connect()
        return self._answer()

    def confirm(self, expected: str) -> Identity:
        """The same as ``ask``; raises CheckpointError when the topic is another one than expected."""
        found = self.ask()
        if found.differs(expected):
            raise CheckpointError(
                f"the topic {self._topic} was deleted and made anew while it was read, and nothing of it has "
                "been counted since; start anew with --from earliest"
            )
        return found

    def _connect(self) -> AdminClient:
        try:
            return AdminClient(admin_config(self._kafka))
        except KafkaException as error:
            raise kafka_error(error, "Setting up the Kafka client") from error

    def _answer(self) -> Identity:
        try:
            if self._embedded is None:
                metadata = self._client.list_topics(self._topic, timeout=_TIMEOUT_S)
                self._embedded = is_embedded(metadata.cluster_id)
            if self._embedded:
                return Identity("", PARTITIONS)
            topics = TopicCollection([self._topic])
            asked = self._client.describe_topics(topics, request_timeout=_TIMEOUT_S)
            found = asked[self._topic].result(2 * _TIMEOUT_S)
        except NoAnswer:
            raise KafkaUnreachable(f"Kafka at {self._kafka.bootstrap_servers} does not answer.") from None
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                where = self._kafka.bootstrap_servers
                raise TopicError(
                    f"The topic {self._topic} does not exist at {where}: it was deleted."
                ) from error
            right = Right("DESCRIBE", "topic", self._topic)
            raise kafka_error(error, f"Looking up the topic {self._topic}", right) from error
        _let_go(found)
        given = str(found.topic_id)
        return Identity("" if given == _NO_ID else given, len(found.partitions))


def _let_go(found: Any) -> None:
    """Take back the reference to the id that confluent-kafka 2.16 forgets: each answer would stay in memory.

    Once it no longer does, the id has as many references as that of our own making, and nothing is done.
    """
    ours = SimpleNamespace(topic_id=object())
    if sys.getrefcount(found.topic_id) > sys.getrefcount(ours.topic_id):
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(found.topic_id))
