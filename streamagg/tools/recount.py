"""Counts the windows of a topic a second time, record by record, on plain sets of raw user ids.

This is the simple path that the fast one is checked against. It shares no code with the decoder and
the core; what both follow is the written policy (docs/decoding.md) and the rules of event time.
"""

import heapq
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from time import time as wall_clock_s
from typing import Final, NamedTuple, NoReturn

import orjson
from xxhash import xxh3_64_intdigest

from streamagg.model.settings import SKETCH_USERS, CeilingSettings, DecodeSettings, TimeUnit, WindowSettings

# The numbers of docs/decoding.md and of the rules in docs/design.md, written a second time on purpose:
# what is checked here has its own.
YEAR_2001_MS: Final = 978_307_200_000
YEAR_10000_MS: Final = 253_402_300_800_000
DAY_MS: Final = 86_400_000
MAX_USER_BYTES: Final = 512
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
NAME: Final = re.compile(r"(?:\\.|[^.])+", re.DOTALL)
UTF8_MARK: Final = b"\xef\xbb\xbf"
ABSENT: Final = object()


class Event(NamedTuple):
    """An accepted record."""

    time_ms: int
    user: str


class Rejected(Exception):
    """A record that is not counted; its argument is the reason."""


class Integer(str):
    """The text of an integer in JSON, of any length."""


class Recounter:
    """Reads records as the policy says, each on its own."""

    def __init__(self, settings: DecodeSettings) -> None:
        self._settings = settings
        self._time_path = _keys(settings.time_field)
        self._user_path = _keys(settings.user_field or "")

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
        time, user = _at(document, self._time_path), _at(document, self._user_path)
        if type(time) is not int or type(user) is not str or not 0 < len(user) <= MAX_USER_BYTES // 4:
            return None
        if self._settings.time_unit != "s" or not 0 <= time < YEAR_10000_MS // 1_000:
            return None
        return Event(time * 1_000, user)

    def _careful(self, payload: bytes) -> Event:
        document = _parse(payload)
        time, user = _at(document, self._time_path), _at(document, self._user_path)
        if time is ABSENT or user is ABSENT:
            raise Rejected("missing_field")
        if not _is_text(time) or not _is_text(user):
            raise Rejected("bad_json")
        return Event(_time_ms(time, self._settings.time_unit), _user(user))


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
        if not isinstance(document, dict):
            return ABSENT
        document = document.get(name, ABSENT)
    return document


def _is_text(value: object) -> bool:
    """Not a string that has no UTF-8 form."""
    return not (isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value))


def _user(value: object) -> str:
    """The user id; raises Rejected."""
    if not isinstance(value, str) or not 0 < len(value.encode()) <= MAX_USER_BYTES:
        raise Rejected("bad_user")
    return "0" if isinstance(value, Integer) and value == "-0" else str(value)


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
    """What was counted in one window."""

    users: set[str] = field(default_factory=set)
    records: int = 0


def counted_users(users: set[str], ceiling: CeilingSettings) -> tuple[int, bool]:
    """How many users there are, and whether that is approximate.

    Above the ceiling it is what the least hashes say: as many as are in a sketch, over the share of all
    possible hashes that is less than the next one.
    """
    if ceiling.above == "stop" or ceiling.max_users is None or len(users) <= ceiling.max_users:
        return len(users), False
    hashes = (xxh3_64_intdigest(user.encode()) >> 1 for user in users)
    next_one = heapq.nsmallest(SKETCH_USERS + 1, hashes)[-1]
    return round(SKETCH_USERS / (next_one / 2**63)), True


@dataclass(slots=True)
class Recount:
    """What a topic came to: windows by their start in milliseconds, and what was not counted."""

    windows: dict[int, Window] = field(default_factory=dict)
    consumed: int = 0
    late: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    unlikely: dict[str, int] = field(default_factory=dict)
    """Accepted records from before 2001 (``early``) or a day ahead of Kafka's time (``ahead``)."""
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

    def __init__(self, window: WindowSettings, decode: DecodeSettings, recount: Recount) -> None:
        self._window = window
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
        try:
            event = self._recounter.event(payload)
        except Rejected as rejected:
            self._recount.reject(str(rejected))
            self._recount.samples.setdefault(str(rejected), payload)
            return
        if (why := _unlikely(event.time_ms, kafka_time_ms)) is not None:
            self._recount.unlikely[why] = self._recount.unlikely.get(why, 0) + 1
            self._recount.samples.setdefault(why, payload)
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
        counted = self._recount.windows.setdefault(start_ms, Window())
        counted.users.add(event.user)
        counted.records += 1
