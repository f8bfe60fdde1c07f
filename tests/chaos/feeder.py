"""Keeps producing while things break, and tells the truth what it has sent."""

import threading
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
from tests.chaos.truth import Truth

TICK_MS: Final = 20
_ORDERLY_MS: Final = 2_000
"""How long a partition begins in order, so that it has a clock."""
_FLUSH_S: Final = 60.0
_FLUSH_SLICE_S: Final = 1.0
_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
_JUNK: Final = (b"", b"{", b"[]", b'{"ts":null,"uid":"x"}', b'{"ts":1,"uid":""}', b"\xff\xfe", b'{"uid":"x"}')


class Feeder(threading.Thread):
    """Event time passes as the wall clock does, in steps of ``TICK_MS``; it begins at the present."""

    def __init__(self, address: str, topic: str, truth: Truth, shape: Shape, random: Random) -> None:
        super().__init__(name="feeder", daemon=True)
        self.rate: float = shape.rate
        """Records a second from the next step on."""
        self.partitions = list(range(shape.partitions))
        """Where records go; may be replaced by another list at any time."""
        self.behind_ms: dict[int, int] = {}
        """By how much a partition lies behind the others; set it before the start."""
        self.failed: list[KafkaError] = []
        self.sent = 0
        self._topic = topic
        self._truth = truth
        self._shape = shape
        self._random = random
        self.now_ms = int(time.time() * 1000)
        """Event time in ms of the step that is fed."""
        self._since_ms: dict[int, int] = {}
        self._owed = 0.0
        self._paused = threading.Event()
        self._ending = threading.Event()
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

    def run(self) -> None:
        """Feed until ``stop``."""
        due = time.monotonic()
        while not self._ending.is_set():
            if not self._paused.is_set():
                self._step(self._random)
            if any(self._waiting.values()) and self._contact.lost():
                self._reconnect()
            # What the machine was too busy for is not made up: event time stands still meanwhile.
            due = max(due + TICK_MS / 1000, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                self._producer.poll(left)

    def spread(self, partitions: list[int]) -> None:
        """Records go to these partitions from here on, once the producer has heard of all of them."""
        deadline = time.monotonic() + _FLUSH_S
        while len(self._producer.list_topics(self._topic, _FLUSH_S).topics[self._topic].partitions) <= max(
            partitions
        ):
            assert time.monotonic() < deadline, f"{self._topic} has no {len(partitions)} partitions"
        self.partitions = partitions

    def pause(self) -> None:
        """Send nothing until ``resume``; event time stands still."""
        self._paused.set()

    def resume(self) -> None:
        """End a ``pause``."""
        self._paused.clear()

    def stop(self) -> None:
        """Send nothing more."""
        self._ending.set()
        if self.is_alive():
            self.join()

    def finish(self) -> None:
        """Stop, and send what it takes to close every window that holds a record so far."""
        self.stop()
        closing_ms = self.now_ms + self._shape.window.max_lag_ms + 2 * self._shape.granularity_ms
        self._owed = 0.0
        while self.now_ms < closing_ms:
            self.now_ms += TICK_MS
            for partition in self.partitions:
                self._send(partition, self.now_ms - self.behind_ms.get(partition, 0))
        self.flush()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        deadline = time.monotonic() + _FLUSH_S
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

    def _step(self, chance: Random) -> None:
        self.now_ms += TICK_MS
        self._owed += self.rate * TICK_MS / 1000
        number = int(self._owed)
        self._owed -= number
        for row in range(number):
            partition = chance.choice(self.partitions)
            time_ms = self.now_ms + row * TICK_MS // number - self.behind_ms.get(partition, 0)
            if chance.random() < self._shape.broken:
                self._produce(partition, chance.choice(_JUNK))
            else:
                self._send(partition, time_ms - self._delay_ms(partition, chance))
        if self.now_ms // 1_000 != (self.now_ms - TICK_MS) // 1_000:
            self._truth.settle()

    def _delay_ms(self, partition: int, chance: Random) -> int:
        if self.now_ms < self._since_ms.setdefault(partition, self.now_ms) + _ORDERLY_MS:
            return 0
        kind = chance.random()
        window = self._shape.window
        if kind < self._shape.late:
            return chance.randint(1, 5_000) + 2 * window.granularity_ms + window.max_lag_ms
        return chance.randint(0, window.max_lag_ms * 3 // 4) if kind < self._shape.disorder else 0

    def _send(self, partition: int, time_ms: int) -> None:
        user = self._random.randrange(self._shape.users)
        self._truth.add(partition, time_ms, user)
        self._produce(partition, b'{"ts":%d,"uid":"%d"}' % (time_ms, user))

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
            _JUNK[0],
            partition=partition,
            on_delivery=lambda error, message: placed.append(None if error else message.offset()),
        )
        assert self._producer.flush(_FLUSH_S) == 0, "no broker takes records"
        self.sent += 1
        (offset,) = placed
        assert offset is not None
        return offset

    def _produce(self, partition: int, payload: bytes) -> None:
        self._waiting[partition].append(payload)
        self._enqueue(partition, payload)
        self.sent += 1

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
