"""What the parts of the pipeline hand to each other.

What crosses process walls is a tagged msgspec struct, packed with msgpack.

Columns travel as raw little-endian bytes inside the message; readers map them with
``numpy.frombuffer`` and copy nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from streamagg.measured import ClientNumbers, StageTimes
from streamagg.settings import CeilingSettings, DecodeSettings, KafkaSettings

Int64Column = npt.NDArray[np.int64]
UInt64Column = npt.NDArray[np.uint64]
UInt32Column = npt.NDArray[np.uint32]
BoolColumn = npt.NDArray[np.bool_]

REASONS: Final = (
    "bad_time",
    "bad_user",
    "missing_field",
    "bad_json",
    "tombstone",
    "too_large",
    "future",
    "poison",
)
"""Why a record is rejected.

Found by decoding it; but ``future`` by the clock, and ``poison`` by what became of its readers.
"""


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Root of everything that crosses a process wall."""


class Lease(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to unmarshaller: read the offsets ``[start, stop)`` of a partition."""

    id: int
    partition: int
    start: int
    stop: int
    timestamps: bool = False
    """Look up when the broker has appended every record (see ``ColumnBlock.live``)."""
    careful: tuple[tuple[int, int], ...] = ()
    """Ranges of offsets in which records are read one at a time (see ``Trying``)."""
    poison: tuple[int, ...] = ()
    """Offsets of records that are to be rejected without being decoded."""


class Misfit(Message, frozen=True, tag=True, array_like=True, gc=False):
    """What is wrong with one record of those that are rejected, or have an unlikely time: for a log.

    Tells names of fields and types, and nothing of a user.
    """

    why: str
    """One of ``REASONS``; or of an accepted record ``early`` or ``ahead``."""
    shape: str
    hint: str
    mendable: bool = False
    """The time is one in another unit than the setting says."""


class Revoke(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to unmarshaller: forget the leases of a partition, or all of them."""

    partition: int | None = None


class Trying(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Unmarshaller to coordinator: the record at this offset is decoded next, by itself.

    Who gets this and then no block knows which record killed the unmarshaller.
    """

    lease: int
    partition: int
    offset: int


class ColumnBlock(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Unmarshaller to coordinator: a run of decoded records of one partition, in offset order.

    It covers the offsets ``[first, next)`` of its lease, including gaps and rejected records;
    row ``i`` of every column is the same accepted record::

        event_time_ms  |  8 bytes int64   |  milliseconds since the epoch
        user           |  8 bytes uint64  |  xxh3 of the user id
        delta          |  4 bytes uint32  |  offset minus ``first``
        live           |  1 byte bool     |  absent, or: appended by the broker within max_jump of event time
    """

    lease: int
    partition: int
    first: int
    next: int
    end: int
    """The end offset of the partition as the reader last saw it."""
    caught_up: bool
    """``next`` is the end of the partition."""
    consumed: int
    """Records read, accepted or rejected."""
    rejected: dict[str, int]
    event_time_ms: bytes
    user: bytes
    delta: bytes
    live: bytes | None = None
    payload_bytes: int = 0
    """Size of the payloads of all records read."""
    early: int = 0
    """Accepted records from before 2001."""
    ahead: int = 0
    """Accepted records from a day after Kafka's time, or after the wall clock where that is unknown."""
    misfits: tuple[Misfit, ...] = ()
    """Of each reason of rejection here, ``early`` and ``ahead``: the first one that this reader has seen."""

    def __len__(self) -> int:
        return len(self.delta) // 4

    def event_times(self) -> Int64Column:
        """Event times in milliseconds, shape ``(n,)``."""
        return np.frombuffer(self.event_time_ms, np.int64)

    def users(self) -> UInt64Column:
        """User hashes, shape ``(n,)``."""
        return np.frombuffer(self.user, np.uint64)

    def offsets(self) -> Int64Column:
        """Offsets in the partition, shape ``(n,)``."""
        return np.add(np.frombuffer(self.delta, np.uint32), self.first, dtype=np.int64)

    def live_flags(self) -> BoolColumn | None:
        """Which records are live, shape ``(n,)``, or None when it was not looked up."""
        return None if self.live is None else np.frombuffer(self.live, np.bool_)


class WindowRows(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: rows of some windows that fall in its shard."""

    windows: list[int]
    """Window numbers (see ``core.windows``)."""
    counts: list[int]
    """Rows of each of them."""
    user: bytes
    """uint64 hashes, window by window."""


class CloseWindow(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: no row of this window follows; answer its count."""

    window: int


class FreeWindow(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: the count is published; the slot may be used again."""

    window: int


class Reset(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: forget everything; answers from now on carry this epoch."""

    epoch: int


class ShardCount(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Aggregator to coordinator: unique users of one closed window in one shard."""

    epoch: int
    window: int
    unique: int | None
    """None: more than the ceiling."""
    smallest: bytes = b""
    """The smallest hashes of users, uint64, ascending, where a sketch may be asked for."""


class UnmarshallerSetup(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to unmarshaller, first of all: where to read and how to decode."""

    decode: DecodeSettings
    max_jump_ms: int
    topic: str
    """Input topic; empty when files are read."""
    kafka: KafkaSettings
    dead_letter: str | None = None
    files: tuple[str, ...] = ()
    """Paths; partition ``i`` is file ``i``."""


class AggregatorSetup(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator, first of all: how large the ring is."""

    slots: int
    ceiling: CeilingSettings = CeilingSettings()


class Heartbeat(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Worker to coordinator: alive, with its statistics since it began."""

    cpu_s: float
    rss_bytes: int
    times: StageTimes
    client: ClientNumbers = msgspec.field(default_factory=ClientNumbers)
    """Of an unmarshaller."""
    users: dict[int, int] = {}
    """Of an aggregator: users held, by window."""
    users_bytes: int = 0


class WorkerFailed(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Worker to coordinator: an error that ends the run, as the user shall read it."""

    kind: str
    """Class name in ``streamagg.errors``."""
    text: str


AnyMessage = (
    Lease
    | Revoke
    | Trying
    | ColumnBlock
    | WindowRows
    | CloseWindow
    | FreeWindow
    | Reset
    | ShardCount
    | UnmarshallerSetup
    | AggregatorSetup
    | Heartbeat
    | WorkerFailed
)


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
    payload_bytes: int = 0
    """Size of the payloads; 0 for files, where nobody asks."""


class Standing(NamedTuple):
    """How far a partition is read that is not read to the end it shall be read to, and waits for more."""

    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class WindowCount:
    """A closed window and its unique users over all shards."""

    window: int
    unique: int
    records: int
    partial: bool
    error: float | None = None
    """Greatest relative error of ``unique`` if that is an estimate; None: exact."""
