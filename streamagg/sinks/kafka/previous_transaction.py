"""Ends what a broker has left open of the transactions of earlier leaders.

A broker that is killed may, once it is back, note a transaction as ended and never tell the partitions that
it wrote to (seen with Kafka 4.3.1). Committed readers then get no further than its records, and the next
commit of the same transactional id would bring these to light. A transaction that writes to the same
partitions and is aborted ends them as what they are.
"""

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Producer, TopicPartition

from streamagg.events import Log
from streamagg.kafka.admin import unended
from streamagg.model.settings import KafkaSettings
from streamagg.sinks.contract import OutputAway

_TIMEOUT_S: Final = 10.0
"""As long as any call of the publisher may take."""

log = Log(__name__)


def settle(
    producer: Producer, kafka: KafkaSettings, outputs: Sequence[str], offsets: tuple[str, Any] | None
) -> None:
    """Abort what is open under the transactional id of a producer that has fenced all others.

    It may be open in the output topics, and in the ``offsets``: those of a topic, in a group with this
    metadata; None if there are none in transactions. Transactions of other ids stay as they are. Raises
    OutputAway, a StreamaggError or KafkaException.
    """
    left_open = [(topic, number) for topic in outputs for number in unended(kafka, topic)]
    if not left_open:
        return
    producer.begin_transaction()
    for topic, number in left_open:
        log.warning(
            "transaction_left_open",
            "partition {partition} of {topic} holds a transaction that is not ended; if ours, it ends here",
            topic=topic,
            partition=number,
        )
        # A compacted topic takes no record without a key.
        producer.produce(topic, b"", b"", partition=number)
    # What is not sent when a transaction is aborted is no part of it.
    if producer.flush(_TIMEOUT_S):
        raise OutputAway("the output topic did not take the records that end an open transaction")
    if offsets is not None:
        topic, group = offsets
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, 0)], group, _TIMEOUT_S)
    producer.abort_transaction(_TIMEOUT_S)
