"""Checkpoints as records of the state topic, for an input that is no topic, so that no group can keep them.

They are in the transaction of what they belong to, and of each partition of the input the last one counts::

    key            value
    checkpoint 7   offset, a blank, and the text of ``core.checkpoint``
"""

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Final

from streamagg.errors import TopicError
from streamagg.sinks.contract import Stored
from streamagg.sinks.kafka.state import StateTopic

_PREFIX: Final = b"checkpoint "


def is_checkpoint(key: bytes) -> bool:
    """The record of the state topic is one, and no part of an open period."""
    return key.startswith(_PREFIX)


def records(stored: Stored) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each."""
    for partition, (offset, text) in stored.items():
        yield b"%b%d" % (_PREFIX, partition), f"{offset} {text}".encode()


class StoredCheckpoints:
    """Reads them back: the whole topic once, and then what has come since."""

    def __init__(self, topic: StateTopic) -> None:
        self._topic = topic
        self._found: Stored = {}
        self._next: int | None = None
        self._id = ""
        self._reading = Lock()
        """A standby asks in a thread, and may be elected meanwhile."""

    def read(self, partitions: Iterable[int], alive: Callable[[], object] = lambda: None) -> Stored:
        """Those that are committed; none if the topic is not there. Raises a StreamaggError."""
        with self._reading:
            self._read_on(alive)
            return {number: self._found[number] for number in partitions if number in self._found}

    def _read_on(self, alive: Callable[[], object]) -> None:
        try:
            topic_id = self._topic.identity()
        except TopicError:
            topic_id = ""
        if topic_id != self._id:
            self._found, self._next, self._id = {}, None, topic_id
        if topic_id:
            self._next = self._topic.read_on(self._next, self._keep, alive)

    def _keep(self, key: bytes, value: bytes | None) -> None:
        if is_checkpoint(key) and value is not None:
            offset, _, text = value.decode().partition(" ")
            self._found[int(key.removeprefix(_PREFIX))] = int(offset), text
