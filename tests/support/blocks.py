"""Logs of one partition as plain records, and their cut into column blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamagg.core.ballot import SetAside
from streamagg.core.measures.contract import Summary
from streamagg.decode import Decoded
from streamagg.model.columns import ROWS, USER, Columns
from streamagg.model.messages import ColumnBlock
from streamagg.model.results import RECORDS, USERS, Value, WindowTable


@dataclass(frozen=True, slots=True)
class Record:
    """One message of a log; one with a ``reason`` cannot be decoded and has no time or user."""

    offset: int
    time_ms: int = 0
    user: int = 0
    live: bool = False
    reason: str | None = None


def records_at(*times_s: float, first: int = 0, live: bool = False) -> list[Record]:
    """Records with these event times in seconds, at the offsets from ``first`` on, each of another user."""
    return [Record(first + i, round(time * 1000), 100 + i, live) for i, time in enumerate(times_s)]


def columns_of(users: Sequence[int]) -> Columns:
    """What the rows of these users carry."""
    return (np.array(users, np.uint64),)


def users_in(columns: Columns) -> list[int]:
    """The users of rows."""
    users: list[int] = columns[USER].tolist()
    return users


def outcomes(decoded: Decoded) -> list[tuple[int, int] | str]:
    """What became of every payload, in order: its time and user, or why it was rejected."""
    places: dict[int, tuple[int, int] | str] = dict(decoded.rejected)
    rows = zip(decoded.index.tolist(), decoded.event_time_ms.tolist(), users_in(decoded.columns), strict=True)
    places |= {place: (time_ms, user) for place, time_ms, user in rows}
    assert sorted(places) == list(range(len(decoded.index) + len(decoded.rejected)))
    return [places[place] for place in sorted(places)]


def set_aside(offset: int, time_ms: int, user: int, lead: int = 0) -> SetAside:
    """A record of this user that is set aside."""
    return SetAside(offset, time_ms, bytes(ROWS.pack(columns_of([user]))), lead)


def block(
    log: Sequence[Record], first: int, stop: int, *, partition: int = 0, timestamps: bool = True, end: int = 0
) -> ColumnBlock:
    """What an unmarshaller sends for the offsets ``[first, stop)`` of a log that ends at ``end``."""
    here = [record for record in log if first <= record.offset < stop]
    good = [record for record in here if record.reason is None]
    rejected: dict[str, int] = {}
    for record in here:
        if record.reason is not None:
            rejected[record.reason] = rejected.get(record.reason, 0) + 1
    return ColumnBlock(
        lease=0,
        partition=partition,
        first=first,
        next=stop,
        end=end,
        caught_up=stop == end,
        consumed=len(here),
        rejected=rejected,
        event_time_ms=np.array([r.time_ms for r in good], np.int64).tobytes(),
        columns=tuple([column.tobytes() for column in columns_of([r.user for r in good])]),
        delta=np.array([r.offset - first for r in good], np.uint32).tobytes(),
        live=np.array([r.live for r in good], np.bool_).tobytes() if timestamps else None,
    )


def whole(log: Sequence[Record], *, partition: int = 0, timestamps: bool = True) -> ColumnBlock:
    """All of a log in one block."""
    stop = log[-1].offset + 1
    return block(log, log[0].offset, stop, partition=partition, timestamps=timestamps, end=stop)


def answer(users: int | None, records: int, smallest: bytes = b"") -> list[Summary]:
    """Summaries of users and records where there are no groups."""
    return [(users, smallest, b""), records.to_bytes(8, "little")]


def window_table(
    window: int, users: int, records: int, partial: bool = False, error: float | None = None
) -> WindowTable:
    """A closed window with these counts."""
    return WindowTable(window, partial, {USERS: Value(users, error), RECORDS: Value(records)})
