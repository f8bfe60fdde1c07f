"""Counts the windows of a topic a second time, record by record, on plain sets of raw user ids.

This is the simple path that the fast one is checked against. It shares no code with the decoder and
the core; what both follow is the written policy (docs/decoding.md) and the rules of event time.
"""

import heapq
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from time import time as wall_clock_s
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, cast

import orjson
from xxhash import xxh3_64_intdigest

from streamagg.model.settings import (
    SKETCH_USERS,
    CeilingSettings,
    DecodeSettings,
    MeasureSettings,
    TimeUnit,
    WindowSettings,
)
from streamagg.tools.exact import MEASURES, Measured, Value, When
from streamagg.tools.periods import Period, Periods

# The numbers of docs/decoding.md and of the rules in docs/design.md, written a second time on purpose:
# what is checked here has its own.
YEAR_2001_MS: Final = 978_307_200_000
YEAR_10000_MS: Final = 253_402_300_800_000
DAY_MS: Final = 86_400_000
MAX_USER_BYTES: Final = 512
MAX_GROUP_BYTES: Final = 256
MOST_LEVELS: Final = 512
VOTES_NEEDED: Final = 24
MOST_WAITING: Final = 32
HAS_NO_VOTE: Final = 5
MS_PER_UNIT: Final[dict[TimeUnit, Fraction]] = {
    "s": Fraction(1_000),
    "ms": Fraction(1),
    "us": Fraction(1, 1_000),
    "ns": Fraction(1, 1_000_000),
}
BIGGEST: Final = Decimal("1e24")
"""More than any time in any unit; it spares exact arithmetic on numbers of a million digits."""
INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
ISO8601: Final = re.compile(
    r"""[0-9]{4} ( -[0-9]{2}-[0-9]{2} | [0-9]{4} )
        ( [T ] (?!24) ( [0-9]{2}
                      | [0-9]{2}:[0-9]{2} ( :[0-9]{2} ([.,][0-9]+)? )?
                      | [0-9]{4} ( [0-9]{2} ([.,][0-9]+)? )? )
          ( Z | [+-] (?!24) [0-9]{2} ( :?[0-5][0-9] )? )? )?""",
    re.ASCII | re.VERBOSE,
)
ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB]..\\u[dD][c-fC-F].. | (?P<half>\\u[dD][89a-fA-F]..) | \\.", re.DOTALL | re.VERBOSE
)
"""An escape in a JSON string, or the two of a surrogate pair; ``half`` is one without the other."""
TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
"""What makes up the nesting of a document: strings, which do not, and brackets."""
PLACE: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
"""What in a path may be the place of a value in an array."""
NAME: Final = re.compile(r"(?:\\.|[^.])+", re.DOTALL)
UTF8_MARK: Final = b"\xef\xbb\xbf"
ABSENT: Final = object()
ODD: Final = object()
"""What needs a closer look."""
K = TypeVar("K")


Group = tuple[str | None, ...]
"""The texts of what is in the fields to group by, None where nothing is."""


class Event(NamedTuple):
    """An accepted record."""

    time_ms: int
    user: str | None
    """None if no users are counted."""
    group: Group = ()
    """Empty if there are no groups."""
    values: tuple[Value | None, ...] = ()
    """Of each measure, None if it has none."""
    ignored: tuple[str, ...] = ()
    """Measures whose field holds something that is no value."""
    place: tuple[int, int] = (0, 0)
    """Partition, and how many records of it were before this one."""


class Rejected(Exception):
    """A record that is not counted; its argument is the reason."""


class Integer(str):
    """The text of an integer in JSON, of any length."""


class Field(NamedTuple):
    """What a measure takes."""

    measure: MeasureSettings
    path: list[str]


class Recounter:
    """Reads records as the policy says, each on its own."""

    def __init__(self, settings: DecodeSettings) -> None:
        self._settings = settings
        self._time_path = _keys(settings.time_field)
        self._user_path = None if settings.user_field is None else _keys(settings.user_field)
        self._group_paths = [_keys(path) for path in settings.group_by]
        self._fields = [Field(measure, _keys(measure.path)) for measure in settings.measures]

    def event(self, payload: bytes | None) -> Event:
        """The event time and user of a record; raises Rejected."""
        if payload is None:
            raise Rejected("tombstone")
        if len(payload) > self._settings.max_record_bytes:
            raise Rejected("too_large")
        payload = self._document(payload)
        if _is_too_deep(payload):
            raise Rejected("bad_json")
        return self._quick(payload) or self._careful(payload)

    def time_ms(self, payload: bytes) -> int:
        """The event time of a record, whoever it is of; raises Rejected."""
        if _is_too_deep(payload):
            raise Rejected("bad_json")
        time = _at(_parse(self._document(payload)), self._time_path)
        if time is ABSENT:
            raise Rejected("missing_field")
        return _time_ms(time, self._settings.time_unit)

    def _document(self, payload: bytes) -> bytes:
        """The payload from its JSON on; raises Rejected if a number must be there and is not."""
        numbered = len(payload) >= 5 and payload[0] == 0
        if self._settings.framing == "registry" and not numbered:
            raise Rejected("bad_json")
        start = 5 if numbered and self._settings.framing != "none" else 0
        return payload[start + 3 if payload.startswith(UTF8_MARK, start) else start :]

    def _quick(self, payload: bytes) -> Event | None:
        """The event of a record as it should be, None for whatever needs a closer look."""
        try:
            document = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        time = _at(document, self._time_path)
        if type(time) is not int or not 0 <= time < YEAR_10000_MS // 1_000 or self._settings.time_unit != "s":
            return None
        user = None if self._user_path is None else _at(document, self._user_path)
        if self._user_path is not None and not _is_short(user):
            return None
        group = tuple([_quick_text(_at(document, path)) for path in self._group_paths])
        values = tuple([_quick_value(_at(document, path), measure) for measure, path in self._fields])
        if ODD in group or ODD in values:
            return None
        return Event(time * 1_000, cast("str | None", user), group, values)

    def _careful(self, payload: bytes) -> Event:
        document = _parse(payload)
        time = _at(document, self._time_path)
        user = None if self._user_path is None else _at(document, self._user_path)
        group = [_at(document, path) for path in self._group_paths]
        if time is ABSENT or user is ABSENT:
            raise Rejected("missing_field")
        if not all(map(_is_text, (time, user, *group))):
            raise Rejected("bad_json")
        time_ms = _time_ms(time, self._settings.time_unit)
        name = None if self._user_path is None else _user(user)
        texts = tuple(map(_group_text, group))
        values, ignored = self._values(document)
        return Event(time_ms, name, texts, values, ignored)

    def _values(self, document: object) -> tuple[tuple[Value | None, ...], tuple[str, ...]]:
        """Of each measure, and the names of those whose field holds something else."""
        found, ignored = [], []
        for measure, path in self._fields:
            held = _at(document, path)
            value = _unique(held) if measure.op == "uniques" else _double(held)
            found.append(value)
            if value is None and held is not None and held is not ABSENT:
                ignored.append(measure.name)
        return tuple(found), tuple(ignored)


def _keys(path: str) -> list[str]:
    """The names in a path, which dots part that have no backslash before them."""
    return [re.sub(r"\\(.)", r"\1", name) for name in NAME.findall(path)]


def _parse(payload: bytes) -> dict[str, object]:
    """The document, with numbers as Decimal or Integer; raises Rejected."""
    try:
        # Text that nobody looks at may be anything: bytes that are not UTF-8 become lone surrogates.
        text = payload.decode("utf-8", "surrogateescape")
        document = json.loads(text, parse_float=_nearest, parse_int=Integer, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise Rejected("bad_json") from error
    if not isinstance(document, dict) or any(escape["half"] for escape in ESCAPE.finditer(text)):
        raise Rejected("bad_json")
    return document


def _is_too_deep(payload: bytes) -> bool:
    if payload.count(b"{") + payload.count(b"[") <= MOST_LEVELS:
        return False
    depth = 0
    for token in TOKEN.finditer(payload):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth > MOST_LEVELS:
            return True
    return False


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _nearest(number: str) -> Decimal:
    """What every reader of JSON makes of a number that is not an integer: the nearest double."""
    return Decimal(repr(float(number)))


def _at(document: object, path: list[str]) -> object:
    """The value at a path, or ABSENT."""
    for name in path:
        if isinstance(document, dict):
            document = document.get(name, ABSENT)
        elif isinstance(document, list) and PLACE.fullmatch(name) and int(name) < len(document):
            document = document[int(name)]
        else:
            return ABSENT
    return document


def _quick_text(value: Any) -> Any:
    return value if _is_short(value) else None if value is None or value is ABSENT else ODD


def _quick_value(value: Any, measure: MeasureSettings) -> Any:
    if measure.op == "uniques":
        return _quick_text(value)
    return float(value) if type(value) in (int, float) else None if value is None or value is ABSENT else ODD


def _is_short(value: object) -> bool:
    """A text that is good wherever one is asked for."""
    return type(value) is str and 0 < len(value) <= MAX_GROUP_BYTES // 4


def _is_text(value: object) -> bool:
    """Not a string that has no UTF-8 form."""
    return not (isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value))


def _user(value: object) -> str:
    """The user id; raises Rejected."""
    if not isinstance(value, str) or not 0 < len(value.encode()) <= MAX_USER_BYTES:
        raise Rejected("bad_user")
    return "0" if isinstance(value, Integer) and value == "-0" else str(value)


def _group_text(value: object) -> str | None:
    """Of a field to group by; raises Rejected."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite():
        return repr(float(value))
    if not isinstance(value, str) or len(value.encode()) > MAX_GROUP_BYTES:
        raise Rejected("bad_group")
    return "0" if isinstance(value, Integer) and value == "-0" else str(value)


def _unique(value: object) -> str | None:
    """What is a user in the field of a user, None if it is none."""
    try:
        return _user(value) if _is_text(value) else None
    except Rejected:
        return None


def _double(value: object) -> float | None:
    """The nearest double of a number, None if it is none or too large."""
    if not isinstance(value, Integer | Decimal):
        return None
    nearest = float(value)
    return nearest if math.isfinite(nearest) else None


def _time_ms(value: object, unit: TimeUnit) -> int:
    """Milliseconds since the epoch, rounded down; raises Rejected."""
    time_ms = _iso8601_ms(value) if unit == "iso8601" else _number_ms(value, MS_PER_UNIT[unit])
    if time_ms is None or not 0 <= time_ms < YEAR_10000_MS:
        raise Rejected("bad_time")
    return time_ms


def _number_ms(value: object, ms_per_unit: Fraction) -> int | None:
    if isinstance(value, str) and INTEGER.fullmatch(value):
        value = Decimal(value)
    elif isinstance(value, str) and NUMBER.fullmatch(value):
        value = _nearest(value)
    if not isinstance(value, Decimal) or not 0 <= value < BIGGEST:
        return None
    return int(Fraction(value) * ms_per_unit)


def _iso8601_ms(value: object) -> int | None:
    if not isinstance(value, str) or isinstance(value, Integer) or not ISO8601.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@dataclass(slots=True)
class Window:
    """What was counted in one window, one period, or a group of them."""

    users: set[str] = field(default_factory=set)
    records: int = 0
    measured: list[Measured] = field(default_factory=list)
    """In the order of the settings."""
    groups: "dict[Group, Window]" = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """One record more."""
        self.records += 1
        if event.user is not None:
            self.users.add(event.user)
        if event.values:
            self._measure(event)

    def _measure(self, event: Event) -> None:
        when: When = (event.time_ms, *event.place)
        for measured, value in zip(self.measured, event.values, strict=True):
            if value is not None:
                measured.add(value, when)


def window_of(measures: tuple[MeasureSettings, ...]) -> Window:
    """One without records."""
    return Window(measured=[MEASURES[measure.op]() for measure in measures])


def counted_users(users: set[str], ceiling: CeilingSettings, seed: int = 0) -> tuple[int, bool]:
    """How many users there are, and whether that is approximate.

    Above the ceiling it is what the least hashes say: as many as are in a sketch, over the share of all
    possible hashes that is less than the next one.
    """
    if ceiling.above == "stop" or ceiling.max_users is None or len(users) <= ceiling.max_users:
        return len(users), False
    hashes = (xxh3_64_intdigest(user.encode(), seed) >> 1 for user in users)
    next_one = heapq.nsmallest(SKETCH_USERS + 1, hashes)[-1]
    return round(SKETCH_USERS / (next_one / 2**63)), True


@dataclass(slots=True)
class Recount:
    """What a topic came to: windows by their start in milliseconds, and what was not counted."""

    windows: dict[int, Window] = field(default_factory=dict)
    periods: dict[Period, Window] = field(default_factory=dict)
    consumed: int = 0
    late: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    unlikely: dict[str, int] = field(default_factory=dict)
    """Accepted records from before 2001 (``early``) or a day ahead of Kafka's time (``ahead``)."""
    ignored: dict[str, int] = field(default_factory=dict)
    """By measure, accepted records whose field holds something that is no value."""
    samples: dict[str, bytes | None] = field(default_factory=dict)
    """The first payload of each reason of rejection, and of these two."""

    @property
    def counted(self) -> int:
        """Records in windows."""
        return sum(window.records for window in self.windows.values())

    def reject(self, reason: str) -> None:
        """Count a record under the reason why it is in no window."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


def _unlikely(time_ms: int, kafka_time_ms: int | None) -> str | None:
    """Whether a time is ``early`` or ``ahead``; where Kafka's is unknown the wall clock takes its place."""
    if time_ms < YEAR_2001_MS:
        return "early"
    if kafka_time_ms is None or kafka_time_ms < YEAR_2001_MS:
        kafka_time_ms = int(wall_clock_s() * 1_000)
    return "ahead" if time_ms > kafka_time_ms + DAY_MS else None


@dataclass(slots=True)
class Waiting:
    """A record too far ahead of the clock, and what the records behind it say."""

    event: Event
    votes: int = 0
    """For it, less those against it."""


class PartitionRecount:
    """Applies the records of one partition, in offset order, and adds them to a recount.

    The rules: a record is late if its window, plus max lag, had ended by the partition's clock. One more than
    max jump ahead of the clock waits until those behind it that are no older than that lead the others by 24,
    or are behind by 24. One within max jump moves the clock, unless most are half of max jump behind it.
    """

    def __init__(
        self, window: WindowSettings, decode: DecodeSettings, recount: Recount, number: int = 0
    ) -> None:
        """``number``: that of the partition."""
        self._window = window
        self._measures = decode.measures
        self._periods = Periods(window)
        self._number = number
        self._consumed = 0
        self._jump_ms = window.max_jump_ms
        self._recounter = Recounter(decode)
        self._recount = recount
        self._clock_ms: int | None = None
        self._agreement = VOTES_NEEDED
        self._waiting: list[Waiting] = []

    def add(self, payload: bytes | None, kafka_time_ms: int | None, *, by_broker: bool = False) -> None:
        """One record and its Kafka timestamp (milliseconds since the epoch), if it has one.

        ``by_broker``: that is when the broker has appended it, and not a time of its producer.
        """
        self._recount.consumed += 1
        self._consumed += 1
        try:
            event = self._recounter.event(payload)
        except Rejected as rejected:
            self._recount.reject(str(rejected))
            self._recount.samples.setdefault(str(rejected), payload)
            return
        if (why := _unlikely(event.time_ms, kafka_time_ms)) is not None:
            self._recount.unlikely[why] = self._recount.unlikely.get(why, 0) + 1
            self._recount.samples.setdefault(why, payload)
        if event.values:
            event = event._replace(place=(self._number, self._consumed))
        for name in event.ignored:
            self._recount.ignored[name] = self._recount.ignored.get(name, 0) + 1
        stands = self._agreement <= 0
        self._vote(event)
        if self._reaches(event):
            self._apply(event, moves=not stands)
        elif by_broker and kafka_time_ms is not None and abs(kafka_time_ms - event.time_ms) <= self._jump_ms:
            self._apply(event)
        else:
            self._wait(event)
        if self._waiting:
            self._decide()

    def end(self) -> None:
        """No record follows: what still waits is believed unless more records were against it than for it."""
        self._apply_while(lambda waiting: waiting.votes >= 0)
        for _ in self._waiting:
            self._recount.reject("future")
        self._waiting.clear()

    def _vote(self, event: Event) -> None:
        """A record votes on those that wait, and on the clock, unless it is far behind."""
        behind_ms = 0 if self._clock_ms is None else self._clock_ms - event.time_ms
        if behind_ms > HAS_NO_VOTE * self._jump_ms:
            return
        for waiting in self._waiting:
            waiting.votes += 1 if event.time_ms >= waiting.event.time_ms - self._jump_ms else -1
        if self._clock_ms is not None:
            agreement = self._agreement + (1 if behind_ms <= self._jump_ms // 2 else -1)
            self._agreement = max(-VOTES_NEEDED, min(VOTES_NEEDED, agreement))

    def _wait(self, event: Event) -> None:
        self._waiting.append(Waiting(event))
        if len(self._waiting) > MOST_WAITING:
            latest = max(waiting.event.time_ms for waiting in self._waiting)
            self._give_up([w for w in self._waiting if w.event.time_ms == latest][-1:])

    def _decide(self) -> None:
        self._apply_while(lambda waiting: waiting.votes >= VOTES_NEEDED)
        self._give_up([waiting for waiting in self._waiting if waiting.votes <= -VOTES_NEEDED])

    def _give_up(self, waiting: list[Waiting]) -> None:
        for one in waiting:
            self._waiting = [other for other in self._waiting if other is not one]
            self._recount.reject("future")

    def _apply_while(self, believed: Callable[[Waiting], bool]) -> None:
        """Apply, one after the other, the first that is believed or within reach since the clock moved."""
        while True:
            first = next((w for w in self._waiting if believed(w) or self._reaches(w.event)), None)
            if first is None:
                return
            self._waiting = [other for other in self._waiting if other is not first]
            self._apply(first.event, moves=not self._reaches(first.event) or self._agreement > 0)

    def _reaches(self, event: Event) -> bool:
        return self._clock_ms is not None and event.time_ms <= self._clock_ms + self._jump_ms

    def _apply(self, event: Event, *, moves: bool = True) -> None:
        length, offset = self._window.granularity_ms, self._window.offset_ms
        start_ms = (event.time_ms - offset) // length * length + offset
        if self._clock_ms is not None and start_ms + length + self._window.max_lag_ms <= self._clock_ms:
            self._recount.late += 1
            return
        if self._clock_ms is None or (moves and event.time_ms > self._clock_ms):
            self._clock_ms = event.time_ms
        self._count(self._recount.windows, start_ms, event)
        for period in self._periods.of(start_ms):
            self._count(self._recount.periods, period, event)

    def _count(self, windows: dict[K, Window], key: K, event: Event) -> None:
        """In one of the windows or periods, and in its group of that."""
        counted = windows.get(key) or windows.setdefault(key, window_of(self._measures))
        counted.add(event)
        if event.group:
            groups = counted.groups
            own = groups.get(event.group) or groups.setdefault(event.group, window_of(self._measures))
            own.add(event)
