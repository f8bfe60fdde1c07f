"""The broker inside librdkafka: enough of Kafka for the demo, in this process, with nothing to install.

Any process on this machine can be its client. Tried with librdkafka 2.16.

Works: producing and fetching (compressed too), idempotent and transactional producers (init, begin,
send offsets, commit, abort), groups with the classic and the consumer protocol (the first assignment of a
classic group takes 3 s), committing offsets with metadata outside transactions, offsets by partition
(beginning and end).

Is wrong without an error:

- a partition keeps its newest 5 MiB, as they were sent (compressed, if so), and drops what is older;
- offsets sent with a transaction are accepted and forgotten: ``committed`` finds none;
- records of aborted transactions stay visible to ``read_committed``, and old producers are not fenced;
- offsets by timestamp are always -1.

Never answers, so that the call runs into its time-out: creating and deleting topics, describing the cluster
or topics, or their settings. A topic exists, with ``PARTITIONS`` partitions, as soon as it is asked for.

So it shows the path of the records and proves nothing about delivery guarantees or speed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaException, Producer

from streamagg.errors import KafkaFailed

PARTITIONS: Final = 4
"""Partitions of every topic; librdkafka has no setting for it."""
PARTITION_BYTES: Final = 5 << 20
"""What a partition keeps of the newest records, as they were sent."""
START_TIMEOUT_S: Final = 10.0
"""It is in this process and answers at once; on a machine that is overloaded, within seconds."""
_CLUSTER: Final = "mockCluster"


def is_embedded(cluster_id: str | None) -> bool:
    """Whether it is this broker that calls its cluster so."""
    return cluster_id is not None and cluster_id.startswith(_CLUSTER)


@contextmanager
def embedded_broker(topics: Iterable[str]) -> Iterator[str]:
    """Bootstrap servers of a broker that has these topics and lives as long as the context.

    Raises ``KafkaFailed`` when it does not answer.
    """
    # The broker is part of this client and ends with it, when this frame does.
    # Its log would only tell of connections that other clients closed.
    host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    try:
        for topic in topics:
            host.list_topics(topic, timeout=START_TIMEOUT_S)
        brokers = host.list_topics(timeout=START_TIMEOUT_S).brokers.values()
    except KafkaException as error:
        raise KafkaFailed(f"The embedded broker did not start: {error.args[0].str()}.") from error
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
