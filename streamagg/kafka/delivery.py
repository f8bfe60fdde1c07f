"""What becomes of records on their way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from confluent_kafka import KafkaError, Message

T = TypeVar("T")


@dataclass(slots=True)
class Undelivered(Generic[T]):
    """Records that did not arrive, all for the same reason."""

    error: KafkaError
    topic: str | None
    """Where the first of them was to go."""
    records: int = 0
    which: list[T] = field(default_factory=list)
    """Those of them that are known (see ``Reports.hear_of``)."""


class Reports(Generic[T]):
    """Remembers what did not arrive.

    Apart from whoever produces: a record that is given up together with its producer holds the callback for
    its report, and through a method of the owner it would hold the producer too, threads, sockets and all.
    """

    def __init__(self) -> None:
        self._undelivered: dict[tuple[int, str], Undelivered[T]] = {}

    def hear(self, error: KafkaError | None, record: Message, which: T | None = None) -> None:
        """For ``on_delivery``."""
        if error is None:
            return
        reason = error.code(), error.str()
        if reason not in self._undelivered:
            self._undelivered[reason] = Undelivered(error, record.topic())
        alike = self._undelivered[reason]
        alike.records += 1
        if which is not None:
            alike.which.append(which)

    def hear_of(self, which: T) -> Callable[[KafkaError | None, Message], None]:
        """For ``on_delivery`` of a record that has to be known."""
        return partial(self.hear, which=which)

    @property
    def first(self) -> Undelivered[T] | None:
        """Those like the first that did not arrive: the others may only follow from it."""
        return next(iter(self._undelivered.values()), None)

    def take(self) -> list[Undelivered[T]]:
        """By reason, what did not arrive since the last call."""
        taken, self._undelivered = list(self._undelivered.values()), {}
        return taken
