"""Checkpoints in the state topic: read once as a whole, and then what has come since."""

from collections.abc import Callable
from typing import Any, cast

from streamagg.errors import TopicError
from streamagg.sinks.kafka.checkpoints import StoredCheckpoints, is_checkpoint, records
from streamagg.sinks.kafka.state import StateTopic


class Topic:
    """Stands for a state topic; its offsets have no gaps."""

    def __init__(self) -> None:
        self.id = ""
        """Empty: there is none."""
        self.records: list[tuple[bytes, bytes | None]] = []
        self.read: list[int] = []
        """How many records each reading took."""

    def identity(self) -> str:
        if not self.id:
            raise TopicError("there is none")
        return self.id

    def read_on(self, begin: int | None, keep: Callable[[bytes, bytes | None], None], alive: object) -> int:
        fresh = self.records[begin or 0 :]
        for key, value in fresh:
            keep(key, value)
        self.read.append(len(fresh))
        return len(self.records)

    def publish(self, **stored: tuple[int, str]) -> None:
        self.records += records({int(name[1:]): at for name, at in stored.items()})


def reading(topic: Topic) -> StoredCheckpoints:
    return StoredCheckpoints(cast(StateTopic, cast(Any, topic)))


def test_only_what_has_come_since_is_read_again() -> None:
    topic = Topic()
    stored = reading(topic)
    assert stored.read([0, 1]) == {}, "there is no topic yet"
    topic.id = "one"
    topic.publish(p0=(5, "a b"), p1=(7, "c"))
    topic.records.append((b"day 1774738800000 5f3a 0", b"of an open period"))
    assert stored.read([0, 1]) == {0: (5, "a b"), 1: (7, "c")}
    topic.publish(p0=(9, "d e"))
    assert stored.read([0]) == {0: (9, "d e")}
    assert topic.read == [3, 1]


def test_another_topic_of_the_name_is_read_from_its_beginning() -> None:
    topic = Topic()
    stored = reading(topic)
    topic.id = "one"
    topic.publish(p0=(5, "a"), p1=(7, "c"))
    stored.read([0])
    topic.id, topic.records = "two", []
    topic.publish(p0=(1, "z"))
    assert stored.read([0, 1]) == {0: (1, "z")}
    topic.id = ""
    assert stored.read([0, 1]) == {}


def test_open_periods_are_none() -> None:
    assert [is_checkpoint(key) for key in (b"checkpoint 0", b"head", b"day 1 5f3a 0")] == [True, False, False]
