"""What a source hands to the decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streamagg.model.columns import Int64Column

Origin = Callable[[int], tuple[bytes | None, int]]
"""Key and Kafka timestamp (milliseconds, -1 for none) of a record, by its position."""


def no_origin(_: int) -> tuple[bytes | None, int]:
    """Lines of files have neither."""
    return None, -1


def behind_first(origin: Origin, first: int) -> Origin:
    """The origins of the records from position ``first`` on, by their positions there."""
    return lambda position: origin(first + position)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a reader hands to the decoder: payloads of one lease, in offset order."""

    lease: int
    partition: int
    first: int
    """The batch covers the offsets ``[first, next)``, including gaps."""
    next: int
    end: int
    """The end offset of the partition as last seen, -1 if unknown."""
    caught_up: bool
    payloads: Sequence[bytes | None]
    offsets: Int64Column
    """Shape ``(len(payloads),)``."""
    timestamps_ms: Int64Column | None = None
    """Kafka timestamps of the same shape, if the lease asks for them; -1 where a record has none."""
    appended_ms: Int64Column | None = None
    """Those of them at which the broker has appended the record; -1 where its producer has stamped it."""
    origin: Origin = no_origin
    """What else is known of each record."""
    growing: bool = False
    """It is caught up only for now: its log ends when whoever writes it says so."""
    payload_bytes: int = 0
    """Size of the payloads; 0 for files, where nobody asks."""


class Standing(NamedTuple):
    """How far a partition is read that is not read to the end it shall be read to, and waits for more."""

    offset: int
    end: int


class Identity(NamedTuple):
    """Which source it is."""

    id: str
    """Another one when the logs are others under the same name; empty where that cannot be known."""
    partitions: int
    """As many as there were when the id was asked for; may grow."""

    def differs(self, expected: str) -> bool:
        """It is another one for sure: a cluster that is upgraded under a run gives ids from then on."""
        return bool(self.id and expected and self.id != expected)
