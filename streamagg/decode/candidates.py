"""Which fields of a document may be the time and the user, by their names and what they hold."""

import re
from difflib import SequenceMatcher
from typing import Final, NamedTuple, get_args

from streamagg.decode.event_time import parse_time
from streamagg.decode.fields import MAX_USER_BYTES, Keys
from streamagg.decode.shape import Digits, Shape
from streamagg.model.settings import TimeUnit

EARLIEST_MS: Final = 978_307_200_000
"""2001: an earlier time is more often one in another unit than a true one."""
AHEAD_MS: Final = 86_400_000
"""A day: no clock that anybody looks after is further ahead."""

_WORD: Final = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])")
_OF_TIME: Final = re.compile(
    "t|ts|times?|timestamp|date|datetime|when|at|epoch|clock|instant|created|occurred"
)
_OF_USER: Final = re.compile(
    "users?|uid|userid|usr|username|login|account|customer|client|visitor|member|person|player|subscriber"
    "|subject|actor|principal|viewer"
)
_OF_ID: Final = re.compile("ids?|guid|uuid|email|mail|phone|msisdn|device|session|distinct|anonymous")
_ALIKE: Final = 0.7
"""Of 1: `user_id` and `userid` are 0.92 alike, `timestamp` and `time` 0.62."""
_LONGEST_TIME: Final = 40
"""Characters. Nothing longer is read as a time: ISO 8601 with nanoseconds and an offset has 35."""


class TimeField(NamedTuple):
    """A field that holds a time, and in which unit."""

    name: str
    unit: TimeUnit


def unit_of(value: object, latest_ms: int) -> TimeUnit | None:
    """The unit in which a value is a time between 2001 and ``latest_ms``, if it is one."""
    for unit in get_args(TimeUnit):
        time_ms = time_in(value, unit)
        if time_ms is not None and EARLIEST_MS <= time_ms <= latest_ms:
            return unit  # type: ignore[no-any-return]
    return None


def time_in(value: object, unit: TimeUnit) -> int | None:
    """Milliseconds since 1970 of a value in a unit; None if it is not a time in that unit."""
    if isinstance(value, Digits) and unit == "iso8601":
        return None
    text = repr(value) if isinstance(value, float) else value
    if not isinstance(text, str) or len(text) > _LONGEST_TIME:
        return None
    try:
        return parse_time(str(text), unit)
    except ValueError:
        return None


def is_user(value: object) -> bool:
    """Whether the decoder accepts it as a user."""
    return isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= MAX_USER_BYTES


def is_called_a_time(keys: Keys) -> bool:
    """Whether a field has the name of a time and of nothing else."""
    return _says(_OF_TIME, keys[-1]) and not _says(_OF_USER, keys[-1]) and not _says(_OF_ID, keys[-1])


def times(shape: Shape, wanted: Keys, latest_ms: int) -> list[TimeField]:
    """The fields that hold times, the likeliest first."""
    found = []
    for place, (keys, value) in enumerate(shape.fields.items()):
        unit, name = unit_of(value, latest_ms), shape.name(keys)
        if keys != wanted and unit is not None and name is not None:
            score = _alike(keys, wanted) + 2 * _says(_OF_TIME, keys[-1])
            found.append((-score, place, TimeField(name, unit)))
    return [field for *_, field in sorted(found)]


def users(shape: Shape, wanted: Keys, latest_ms: int) -> list[str]:
    """The fields that may be the user, the likeliest first: by name, or because it is inside the field that
    was configured."""
    found = []
    for place, (keys, value) in enumerate(shape.fields.items()):
        name = shape.name(keys)
        score = _likeness_to_user(keys, wanted)
        is_time = unit_of(value, latest_ms) is not None and (score < 3 or _says(_OF_TIME, keys[-1]))
        if keys != wanted and name is not None and score and is_user(value) and not is_time:
            found.append((-score, place, name))
    return [name for *_, name in sorted(found)]


def _likeness_to_user(keys: Keys, wanted: Keys) -> float:
    within = keys[: len(wanted)] == wanted
    called_so = any(_says(_OF_USER, key) for key in keys)
    return 5 * within + 3 * called_so + _says(_OF_ID, keys[-1]) + _alike(keys, wanted)


def _alike(keys: Keys, wanted: Keys) -> float:
    """4 for the same name but for its case and its underscores, less for a similar one."""
    mine, theirs = _plain(keys[-1]), _plain(wanted[-1])
    likeness = SequenceMatcher(None, mine, theirs).ratio()
    return 4 * likeness if likeness >= _ALIKE else 0


def _plain(key: str) -> str:
    return "".join(filter(str.isalnum, key)).lower()


def _says(subject: re.Pattern[str], key: str) -> bool:
    """Whether one of the words of a key is about that."""
    return any(subject.fullmatch(word.lower()) for word in _WORD.findall(key))
