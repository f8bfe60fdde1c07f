"""What the processes of the pipeline send to each other: tagged msgspec structs, packed with msgpack.

Columns travel as raw little-endian bytes inside the message; readers map them with
``numpy.frombuffer`` and copy nothing.
"""

from typing import Any

import msgspec
import numpy as np

from streamagg.model.columns import BoolColumn, Int64Column
from streamagg.model.groups import NO_TEXTS, GroupTexts
from streamagg.model.measured import ClientNumbers, StageTimes
from streamagg.model.periods import Gained
from streamagg.model.settings import CeilingSettings, DecodeSettings, SourceSettings, WindowSettings


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
    where: bytes = b""
    """What its offsets stand for; the source that gave it out understands it."""


class Misfit(Message, frozen=True, tag=True, array_like=True, gc=False):
    """What is wrong with one record of those that are rejected, or have an unlikely time: for a log.

    Tells names of fields and types, and nothing of a user.
    """

    why: str
    """One of ``model.rejections.REASONS``; or of an accepted record ``early`` or ``ahead``."""
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
        columns        |  see model.columns.schema_of: what else a record carries
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
    columns: tuple[bytes, ...]
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
    groups: GroupTexts = NO_TEXTS
    """At least those of the rows."""
    ignored: dict[str, int] = {}
    """Rows whose value is none and not null, by measure; without zeros."""
    growing: bool = False
    """It is caught up only for now: more may come, also where the run has an end."""

    def __len__(self) -> int:
        return len(self.delta) // 4

    def event_times(self) -> Int64Column:
        """Event times in milliseconds, shape ``(n,)``."""
        return np.frombuffer(self.event_time_ms, np.int64)

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
    columns: tuple[bytes, ...]
    """Those of ``model.columns.delivered_schema_of``, in this order; each column window by window."""
    groups: tuple[GroupTexts, ...] = ()
    """What names the groups of these rows."""


class CloseWindow(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: no row of this window follows; answer its count."""

    window: int


class AskPeriod(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: answer what a period comes to: no window of it follows."""

    calendar: int
    """See ``core.calendars.Calendars``."""
    start_ms: int
    running: bool = False
    """Windows of it may follow: answer what it comes to so far."""


class DropPeriod(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: the period is published."""

    calendar: int
    start_ms: int


class RestorePeriod(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator, behind ``Reset``: take a share of what all have gained of an open period."""

    gained: list[Gained]
    """Of this period; without any nothing but ``through`` is told."""
    through: int | None
    """The last window that is in it."""
    shards: int
    shard: int


class FreeWindow(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: the count is published; the slot may be used again."""

    window: int


class Reset(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator: forget everything; answers from now on carry this epoch."""

    epoch: int


ToAggregator = WindowRows | CloseWindow | FreeWindow | AskPeriod | DropPeriod | RestorePeriod | Reset
"""What an aggregator takes once it is set up."""


class ShardCount(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Aggregator to coordinator: what the rows of one closed window in one shard come to."""

    epoch: int
    window: int
    summaries: list[Any]
    """Of each measure (see ``core.measures.contract``)."""
    groups: GroupTexts = NO_TEXTS
    """By place."""
    dropped: bool = False
    """There were too many groups, so that these are forgotten (see ``core.closed_window.Answer``)."""
    gained: list[Gained] = []
    """What the window has added to open periods."""
    period: tuple[int, int] | None = None
    """Calendar and start: what a period comes to, and not the window."""
    smallest: tuple[bytes, bytes, bytes] | None = None
    """Users for sketches, where these are wanted (see ``core.measures.smallest_users``)."""
    running: bool = False
    """The period goes on."""


class UnmarshallerSetup(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to unmarshaller, first of all: where to read and how to decode."""

    decode: DecodeSettings
    max_jump_ms: int
    source: SourceSettings
    dead_letter: str | None = None
    """Topic for rejected records."""


class AggregatorSetup(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Coordinator to aggregator, first of all: how large the ring is, and what to compute."""

    slots: int
    ceiling: CeilingSettings = CeilingSettings()
    decode: DecodeSettings = DecodeSettings()
    window: WindowSettings = WindowSettings()
    """For calendars."""
    sketches: bool = False
    """They are wanted."""
    running: bool = False
    """It is asked what open periods come to so far."""


class Heartbeat(Message, frozen=True, tag=True, array_like=True, gc=False):
    """Worker to coordinator: alive, with its statistics since it began."""

    cpu_s: float
    rss_bytes: int
    times: StageTimes
    client: ClientNumbers = msgspec.field(default_factory=ClientNumbers)
    """Of an unmarshaller."""
    users: dict[int, int] = {}
    """Of an aggregator: users held, by window."""
    groups: dict[int, int] = {}
    """The same of groups."""
    held_bytes: int = 0
    """Memory of all that windows and periods hold."""


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
    | AskPeriod
    | DropPeriod
    | RestorePeriod
    | Reset
    | ShardCount
    | UnmarshallerSetup
    | AggregatorSetup
    | Heartbeat
    | WorkerFailed
)
