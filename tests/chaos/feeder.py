"""A stream of records into a topic."""

import time
from collections import Counter, defaultdict, deque
from random import Random
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from streamagg.errors import StreamaggError
from streamagg.kafka.admin import log_ends
from streamagg.kafka.broker_silence import BrokerSilence
from streamagg.model.settings import KafkaSettings
from tests.chaos.shape import Shape
from tests.chaos.stream import FLUSH_S, Stream
from tests.chaos.truth import Truth

_FLUSH_SLICE_S: Final = 1.0
_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


class Feeder(Stream):
    """Keeps on through whatever happens to its broker."""

    junk = (*Stream.junk, b"\xff\xfe")

    def __init__(self, address: str, topic: str, truth: Truth, shape: Shape, random: Random) -> None:
        super().__init__(truth, shape, random)
        self.failed: list[KafkaError] = []
        self._topic = topic
        self._address = address
        self._waiting: defaultdict[int, deque[bytes]] = defaultdict(deque)
        """Records that are not acknowledged, by partition, in order."""
        self._arrived: Counter[int] = Counter()
        """Those that are."""
        self._connect()

    def _connect(self) -> None:
        # A record that does not arrive, or arrives twice, would be a lie of the truth.
        self._producer = Producer(
            {
                "bootstrap.servers": self._address,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "reconnect.backoff.max.ms": 500,
                "queue.buffering.max.messages": 2_000_000,
                "log_level": 0,
            }
        )
        self._contact = BrokerSilence(self._producer, self._topic)

    def spread(self, partitions: list[int]) -> None:
        """Records go to these partitions from here on, once the producer has heard of all of them."""
        deadline = time.monotonic() + FLUSH_S
        while len(self._producer.list_topics(self._topic, FLUSH_S).topics[self._topic].partitions) <= max(
            partitions
        ):
            assert time.monotonic() < deadline, f"{self._topic} has no {len(partitions)} partitions"
        self.partitions = partitions

    def flush(self) -> None:
        """Wait until the broker has everything."""
        deadline = time.monotonic() + FLUSH_S
        while left := self._producer.flush(_FLUSH_SLICE_S):
            assert time.monotonic() < deadline, f"the feeder could not deliver {left} records in time"
            if self._contact.lost():
                self._reconnect()
        assert not any(self._waiting.values()), "the feeder could not connect again"
        assert not self.failed, self.failed[:3]

    def mistaken(self) -> list[int]:
        """Partitions that hold more or less than the truth was told, if nobody else writes to them."""
        ends = log_ends(KafkaSettings(self._address), self._topic, self.partitions)
        return [partition for partition, end in ends.items() if end != self._arrived[partition]]

    def _stepped(self) -> None:
        if any(self._waiting.values()) and self._contact.lost():
            self._reconnect()

    def _wait(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def _reconnect(self) -> None:
        """With another producer: one that has heard of a cluster without brokers never comes back.

        The place of a further record shows how much of what waits has been written without an answer: nobody
        else writes to the partition. (Its end does not: a broker that has just started reports an old one.)
        """
        self._producer.purge()
        self._producer.flush(_FLUSH_SLICE_S)
        while True:
            try:
                log_ends(KafkaSettings(self._address), self._topic, self.partitions)
                break
            except StreamaggError:
                if self._ending.is_set():
                    return
        self._connect()
        for partition, waiting in self._waiting.items():
            written = self._place_of_another(partition) - self._arrived[partition]
            assert 0 <= written <= len(waiting), f"somebody else writes to partition {partition}"
            self._arrived[partition] += written + 1
            for _ in range(written):
                waiting.popleft()
            for payload in waiting:
                self._enqueue(partition, payload)

    def _place_of_another(self, partition: int) -> int:
        """Offset of a record that is no record, and so none for the truth."""
        placed: list[int | None] = []
        self._producer.produce(
            self._topic,
            self.junk[0],
            partition=partition,
            on_delivery=lambda error, message: placed.append(None if error else message.offset()),
        )
        assert self._producer.flush(FLUSH_S) == 0, "no broker takes records"
        self.sent += 1
        (offset,) = placed
        assert offset is not None
        return offset

    def _put(self, partition: int, payload: bytes) -> None:
        self._waiting[partition].append(payload)
        self._enqueue(partition, payload)

    def _enqueue(self, partition: int, payload: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, payload, partition=partition, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            partition = message.partition()
            assert partition is not None
            self._waiting[partition].popleft()
            self._arrived[partition] += 1
            self._contact.heard()
        elif error.code() not in _PURGED:
            self.failed.append(error)
