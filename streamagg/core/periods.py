"""The open periods of one shard: unions of the windows that have closed.

::

    window  ──▶ hour ──▶ day ──▶ month      each gets what was new to the one before
                 │        │        │
                 ▼        ▼        ▼
              gained   gained   gained      what goes to the state topic, with the window
                 │        │        │
                 └────────┴────────┴──▶     and is read back at the next start

A window is read again from the log after a crash, but a month cannot be. So what it adds to each open period
is written down in the transaction that publishes it: users that are new to the period, and what all else
comes to. A start takes all of that; users lie in the shards of their hashes again, sums in the first shard.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from streamagg.core.calendars import Calendars
from streamagg.core.closed_window import Answer
from streamagg.core.group_table import GroupTable
from streamagg.core.measures.contract import Places
from streamagg.core.measures.kept import Gain, Kept, KeptUsers, kept_of
from streamagg.core.measures.published import Measures, measures_of
from streamagg.model.groups import NO_TEXTS, GroupTexts
from streamagg.model.periods import Gained
from streamagg.model.settings import CeilingSettings, DecodeSettings

_MOST_BYTES: Final = 500_000
"""Of a value: Kafka takes a record of a megabyte by default."""
_LAST: Final = b"\x00"
_MORE: Final = b"\x01"
"""Before each value: whether what was gained goes on in the next one."""


class _Addition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a window adds to a period in one shard."""

    dropped: bool
    """The period has more groups than it may have."""
    ids: bytes
    """Of the groups of the window, uint64; empty: there are none, and one place."""
    texts: GroupTexts
    """Of those that are new to the period."""
    gains: list[Any]
    """By measure."""


class Periods:
    """What one shard holds of all open periods."""

    def __init__(
        self,
        calendars: Calendars,
        decode: DecodeSettings,
        ceiling: CeilingSettings,
        *,
        sketches: bool = False,
        running: bool = False,
    ) -> None:
        """``running``: it is asked what they come to so far."""
        self._calendars = calendars
        # Where a ceiling stops the run all groups are kept, for one that goes on with a higher ceiling.
        most_groups = ceiling.max_groups if ceiling.above_groups == "totals" else None
        self._sketches = sketches
        self._rules = measures_of(decode, ceiling), bool(decode.group_by), most_groups, running
        self._open: dict[tuple[int, int], _OpenPeriod] = {}
        """By calendar and start."""
        self._through: int | None = None

    def absorb(self, window: int, gains: Sequence[Gain], answer: Answer) -> list[Gained]:
        """Take a window that has closed and has rows here; gives what it added to a period of each calendar.

        ``gains`` and ``answer``: see ``OpenWindow``. A window that the state holds already adds nothing.
        Raises StreamaggError if two groups have one hash.
        """
        if self._through is not None and window <= self._through:
            return []
        gained: list[Gained] = []
        before: list[tuple[int, Sequence[Gain]]] = []
        for calendar in range(len(self._calendars.names)):
            start_ms = self._calendars.period(calendar, window).start_ms
            # What a period began with no later than this one has seen, this one has seen, too.
            nearest = next((fresh for began_ms, fresh in reversed(before) if began_ms >= start_ms), gains)
            period = self._opened(calendar, start_ms)
            users = period.users
            addition = period.absorb(nearest, answer.groups, dropped=answer.dropped)
            before.append((start_ms, addition.gains))
            new = max(0, period.users - users)
            gained.append(Gained(calendar, start_ms, list(_values(addition)), new, period.groups))
        return gained

    def answer(self, calendar: int, start_ms: int, *, running: bool = False) -> Answer:
        """What a period comes to in this shard; ``running``: so far, and nobody wants sketches of that."""
        found = self._open.get((calendar, start_ms)) or _OpenPeriod(*self._rules)
        return found.answer(sketches=self._sketches and not running)

    def drop(self, calendar: int, start_ms: int) -> None:
        """The period is published."""
        self._open.pop((calendar, start_ms), None)

    def restore(self, gained: Iterable[Gained], through: int | None, shards: int, shard: int) -> None:
        """Take the share of a shard of what all shards have gained up to a window; nothing is open yet."""
        self._through = through
        for one in gained:
            self._opened(one.calendar, one.start_ms).refill(_additions(one.values), shards, shard)

    @property
    def users(self) -> int:
        """Users held, those of each period."""
        return sum(period.users for period in self._open.values())

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        return sum(period.nbytes for period in self._open.values())

    def _opened(self, calendar: int, start_ms: int) -> "_OpenPeriod":
        key = calendar, start_ms
        if key not in self._open:
            self._open[key] = _OpenPeriod(*self._rules)
        return self._open[key]


class _OpenPeriod:
    """One shard of it."""

    def __init__(self, measures: Measures, grouped: bool, most_groups: int | None, running: bool) -> None:
        self._kept: list[Kept] = [kept_of(measure, grouped=grouped) for measure in measures]
        self._table = GroupTable() if grouped else None
        self._most_groups = most_groups
        self._dropped = False
        self._running = running
        self._before = NO_TEXTS
        """The groups that there were when there were too many, where somebody may know them."""

    def absorb(self, gains: Sequence[Gain], texts: GroupTexts, *, dropped: bool) -> _Addition:
        """Take what a window adds; gives what of it was new."""
        if dropped:
            self._drop()
        known = self._count
        places = self._places(texts)
        fresh = [kept.absorb(gain, places, self._count) for kept, gain in zip(self._kept, gains, strict=True)]
        if self._table is None:
            return _Addition(self._dropped, b"", NO_TEXTS, fresh)
        if self._most_groups is not None and self._count > self._most_groups:
            self._drop()
        return _Addition(self._dropped, texts.ids, texts.selected(np.flatnonzero(places >= known)), fresh)

    def refill(self, additions: Iterable[_Addition], shards: int, shard: int) -> None:
        """Take a shard's share of what all shards have gained."""
        for addition in additions:
            if addition.dropped:
                self._drop()
            self._places(addition.texts)
            places = self._places_of(addition)
            for kept, gain in zip(self._kept, addition.gains, strict=True):
                ours = kept.share(gain, shards, shard)
                if ours is not None:
                    kept.refill(ours, places, self._count)
        for kept in self._kept:
            kept.settle()

    def answer(self, *, sketches: bool) -> Answer:
        """What it comes to."""
        texts = self._before if self._table is None else self._table.texts()
        users = self._kept[0]
        smallest = users.smallest() if sketches and isinstance(users, KeptUsers) else None
        return Answer([kept.summary(self._count) for kept in self._kept], texts, self._dropped, smallest)

    @property
    def users(self) -> int:
        """Users held."""
        return sum(kept.users for kept in self._kept)

    @property
    def nbytes(self) -> int:
        """Memory."""
        groups = self._before.nbytes if self._table is None else self._table.nbytes
        return groups + sum(kept.nbytes for kept in self._kept)

    @property
    def groups(self) -> int:
        """Groups held; 0 if there are none any more."""
        return 0 if self._table is None else len(self._table)

    @property
    def _count(self) -> int:
        """Places."""
        return 1 if self._table is None else len(self._table)

    def _places(self, texts: GroupTexts) -> Places:
        """Where these groups lie; those that are new come to lie behind all others."""
        if self._table is None:
            return np.zeros(max(1, len(texts)), np.intp)
        return self._table.places(texts.id_column, (texts,))

    def _places_of(self, addition: _Addition) -> Places:
        ids = np.frombuffer(addition.ids, np.uint64)
        if self._table is None:
            return np.zeros(max(1, len(ids)), np.intp)
        return self._table.places(ids, ())

    def _drop(self) -> None:
        if self._table is not None:
            for kept in self._kept:
                kept.ungroup(self._count)
            if self._running:
                self._before = self._table.texts()
        self._table, self._dropped = None, True


def _values(addition: _Addition) -> Iterator[bytes]:
    whole = msgspec.msgpack.encode(addition)
    for start in range(0, len(whole), _MOST_BYTES):
        more = start + _MOST_BYTES < len(whole)
        yield (_MORE if more else _LAST) + whole[start : start + _MOST_BYTES]


_DECODER: Final = msgspec.msgpack.Decoder(_Addition)


def _additions(values: Iterable[bytes]) -> Iterator[_Addition]:
    parts: list[bytes] = []
    for value in values:
        parts.append(value[1:])
        if value[:1] == _LAST:
            yield _DECODER.decode(b"".join(parts))
            parts = []
