"""Sees windows come out, as any reader of the output would."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import Consumer, TopicPartition

_POLL_S: Final = 0.1


class Watch(threading.Thread, ABC):
    """Notes when each window was first seen."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self.seen: dict[bytes, float] = {}
        """Monotonic time in seconds by key."""
        self.latest_ms = 0.0
        """Start of the latest window that is out, of no period."""
        self._ending = threading.Event()

    @abstractmethod
    def run(self) -> None:
        """Read until ``stop``; an output that is away is waited for."""

    def new_since(self, moment_s: float) -> int:
        """How many windows were seen for the first time after a moment."""
        return sum(at > moment_s for key, at in list(self.seen.items()) if b" " not in key)

    def stop(self) -> None:
        """Stop reading."""
        self._ending.set()
        if self.is_alive():
            self.join()

    def _note(self, key: bytes) -> None:
        self.seen.setdefault(key, time.monotonic())
        if b" " not in key:
            self.latest_ms = max(self.latest_ms, float(key) * 1000)


class TopicWatch(Watch):
    """Reads a topic with ``read_committed``."""

    def __init__(self, address: str, topic: str) -> None:
        super().__init__()
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "unused",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "reconnect.backoff.max.ms": 500,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        """Read until ``stop``; a broker that is away is waited for."""
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        while not self._ending.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is not None and message.error() is None:
                self._note(message.key() or b"")
        self._consumer.close()


class LookingWatch(Watch):
    """Looks at all that is out, again and again."""

    def __init__(self, keys: Callable[[], Iterable[bytes]]) -> None:
        """``keys``: none while the output cannot be read."""
        super().__init__()
        self._keys = keys

    def run(self) -> None:
        """Look until ``stop``."""
        while not self._ending.wait(_POLL_S):
            for key in self._keys():
                self._note(key)
