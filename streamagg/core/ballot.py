"""The vote about the records of one partition that are too far ahead of its clock to be believed."""

import struct
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

LEAD: Final = 24
"""Votes by which one side must win. A random quarter of the records leads by 24 with a chance of (1/3) to the
power of 24, 3e-12; with 8, bursts of 10 fast records won (the table in docs/design.md). An honest gap waits
for as many records."""
ROOM: Final = 32
"""Records set aside at once: the 24 of an honest gap and a third more. They are in every checkpoint: 25 bytes
each."""
NEVER_MS: Final = 1 << 62
"""Later than any time, in milliseconds."""


class SetAside(NamedTuple):
    """A record out of reach of the clock, waiting for the votes of the records behind it."""

    offset: int
    event_time_ms: int
    row: bytes
    """What else it carries, packed by its schema."""
    lead: int = 0
    """Votes for it, less those against it."""


Candidate = tuple[int, int, bytes]
"""Offset, event time in milliseconds and packed row of a record set aside."""


@cache
def packing(width: int) -> struct.Struct:
    """A record set aside, little-endian, unpadded: offset, event time (int64), its row, lead (int8)."""
    return struct.Struct(f"<qq{width}sb")


def pack(records: Iterable[SetAside], width: int) -> bytes:
    """Records set aside as bytes, one ``packing`` after the other; ``width``: bytes of a row."""
    packed = packing(width)
    return b"".join([packed.pack(*record) for record in records])


def unpack(packed: bytes, width: int) -> tuple[SetAside, ...]:
    """What ``pack`` has packed; raises struct.error."""
    return tuple([SetAside(*record) for record in packing(width).iter_unpack(packed)])


class Standing(NamedTuple):
    """How a vote stood: references to what is never changed, put together only when somebody asks."""

    candidates: tuple[Candidate, ...]
    marks: tuple[int, ...]
    votes: int

    def records(self) -> tuple[SetAside, ...]:
        """The records set aside, in offset order."""
        return tuple(
            SetAside(*candidate, mark + self.votes)
            for candidate, mark in zip(self.candidates, self.marks, strict=True)
        )


class Ballot:
    """Records set aside, in offset order, and the vote about each.

    Where records are sparse, each one finds 24 others set aside that it supports. So a vote that all of them
    get is one addition: the lead of a record is its mark plus ``votes``. And the tuples are replaced, never
    changed: what somebody else holds stays as it was.
    """

    __slots__ = (
        "_max_jump_ms",
        "_times_ms",
        "candidates",
        "farthest_ms",
        "marks",
        "nearest_ms",
        "top",
        "votes",
    )

    def __init__(self, records: Iterable[SetAside], max_jump_ms: int) -> None:
        kept = tuple(records)
        self._max_jump_ms = max_jump_ms
        self._times_ms = tuple(record.event_time_ms for record in kept)
        self.candidates: tuple[Candidate, ...] = tuple(record[:3] for record in kept)
        self.marks = tuple(record.lead for record in kept)
        self.votes = 0
        self.nearest_ms = min(self._times_ms, default=NEVER_MS)
        """The least event time set aside."""
        self.farthest_ms = max(self._times_ms, default=-1)
        """The greatest."""
        self.top = max(self.marks, default=-NEVER_MS)
        """The greatest mark."""

    def standing(self) -> Standing:
        """How the vote stands."""
        return Standing(self.candidates, self.marks, self.votes)

    def vote(self, time_ms: int) -> bool:
        """A record supports those it is no more than max jump older than, and contradicts the others.

        Returns whether there are others.
        """
        self.votes += 1
        limit_ms = time_ms + self._max_jump_ms
        if self.farthest_ms <= limit_ms:
            return False
        self.marks = tuple(
            [mark - 2 if at > limit_ms else mark for at, mark in zip(self._times_ms, self.marks, strict=True)]
        )
        self.top = max(self.marks)
        return True

    def add(self, record: Candidate) -> Candidate | None:
        """Set a record aside.

        Returns the one that there is no room for: the furthest ahead, of equals the last.
        """
        time_ms, mark = record[1], -self.votes
        self.candidates += (record,)
        self._times_ms += (time_ms,)
        self.marks += (mark,)
        if time_ms > self.farthest_ms:
            self.farthest_ms = time_ms
        if time_ms < self.nearest_ms:
            self.nearest_ms = time_ms
        if mark > self.top:
            self.top = mark
        if len(self.marks) <= ROOM:
            return None
        return self._remove(max(range(ROOM + 1), key=lambda at: (self._times_ms[at], at)))

    def take(self, reach_ms: int, lead: int, until_ms: int = NEVER_MS) -> Candidate | None:
        """Remove the first record up to ``reach_ms``, or up to ``until_ms`` with such a lead."""
        needed = lead - self.votes
        for at, time_ms in enumerate(self._times_ms):
            if time_ms <= reach_ms or (self.marks[at] >= needed and time_ms <= until_ms):
                return self._remove(at)
        return None

    def take_refuted(self) -> list[Candidate]:
        """Remove those against whom the votes lead."""
        limit = -LEAD - self.votes
        return self._remove_all([at for at, mark in enumerate(self.marks) if mark <= limit])

    def take_rest(self) -> list[Candidate]:
        """Remove all that are left."""
        return self._remove_all(list(range(len(self.marks))))

    def _remove_all(self, places: list[int]) -> list[Candidate]:
        return [self._remove(at) for at in reversed(places)][::-1]

    def _remove(self, at: int) -> Candidate:
        removed, time_ms, mark = self.candidates[at], self._times_ms[at], self.marks[at]
        self.candidates = self.candidates[:at] + self.candidates[at + 1 :]
        self._times_ms = self._times_ms[:at] + self._times_ms[at + 1 :]
        self.marks = self.marks[:at] + self.marks[at + 1 :]
        if time_ms == self.nearest_ms:
            self.nearest_ms = min(self._times_ms, default=NEVER_MS)
        if time_ms == self.farthest_ms:
            self.farthest_ms = max(self._times_ms, default=-1)
        if mark == self.top:
            self.top = max(self.marks, default=-NEVER_MS)
        return removed
