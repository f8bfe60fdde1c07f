"""Why a record does not fit the settings, and which settings would fit it.

Looks at one record that was rejected or has an unlikely time, separately from the readers, which are fast and
give no more than a reason. The result is logged, so it reveals nothing about users: names of fields, types,
and one value at most, that of the time, where it is one in some unit and its field is called like one.
"""

import re
from shlex import quote
from typing import Final, NamedTuple

from streamagg.decode.candidates import AHEAD_MS, is_called_a_time, is_user, time_in, times, unit_of, users
from streamagg.decode.fields import MAX_USER_BYTES, find_paths
from streamagg.decode.foreign import foreign
from streamagg.decode.shape import Digits, Shape, at, kind, parse
from streamagg.decode.wrapping import unwrapped
from streamagg.model.groups import MAX_GROUP_BYTES
from streamagg.model.messages import Misfit
from streamagg.model.settings import DecodeSettings, Framing, TimeUnit

IN_UNIT: Final[dict[TimeUnit, str]] = {
    "s": "in seconds",
    "ms": "in milliseconds",
    "us": "in microseconds",
    "ns": "in nanoseconds",
    "iso8601": "in ISO 8601",
}
_MOST_NAMED: Final = 8
"""Fields listed in a hint, which is one line of a log."""
_MOST_CANDIDATES: Final = 3
"""Fields proposed for one setting: with more, whoever reads it has to search again."""
_DIGITS_OF_A_DATE: Final = 4
"""Fewer make no year."""
_LONGEST_PATTERN: Final = 32
"""Characters of a text whose pattern is shown: an RFC 1123 date has 29."""
_ABSENT: Final = object()


def find_misfit(payload: bytes | None, why: str, settings: DecodeSettings, now_ms: int) -> Misfit:
    """What is wrong with a record.

    ``why`` is one of ``model.rejections.REASONS``, or ``early`` or ``ahead`` of one that was accepted;
    ``now_ms`` is the wall clock.
    """
    if payload is None:
        return Misfit(why, "no value", "the records have no value: they are tombstones")
    limit = settings.max_record_bytes
    size = f"{len(payload):,} bytes" if len(payload) != 1 else "1 byte"
    if why == "poison":
        return Misfit(why, size, "the processes that read such a record die of it")
    if len(payload) > limit:
        return Misfit(why, size, f"the records have more than {limit:,} bytes, see --max-record-bytes")
    document = None if why == "bad_json" else _document(payload, settings.framing)
    if document is None:
        return Misfit(why, size, foreign(payload, settings.framing))
    return _Look(document, why, settings, now_ms).misfit()


def _document(payload: bytes, framing: Framing) -> dict[str, object] | None:
    try:
        document = parse((unwrapped(payload, framing) or b"").decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Finding(NamedTuple):
    """What is to be said about one of the two fields, and the flags that would fix it."""

    words: list[str]
    flags: list[str]


class _Look:
    """At one document."""

    def __init__(self, document: dict[str, object], why: str, settings: DecodeSettings, now_ms: int) -> None:
        paths = find_paths(settings)
        self._shape = Shape(document)
        self._why = why
        self._settings = settings
        self._latest_ms = now_ms + AHEAD_MS
        self._time = paths.time
        self._user = paths.user
        self._time_value = at(document, paths.time, _ABSENT)
        self._user_value = None if paths.user is None else at(document, paths.user, _ABSENT)
        self._groups = [at(document, keys, None) for keys in paths.groups]

    def misfit(self) -> Misfit:
        """All that does not fit, and what would."""
        time, user = self._of_time(), self._of_user()
        words = (
            "; ".join([*self._absent(), *time.words, *user.words, *self._of_group()])
            or "a field of theirs is damaged"
        )
        flags = [quote(flag) for flag in time.flags + user.flags]
        hint = f"{words}, give {' '.join(flags)}" if flags else words
        return Misfit(self._why, self._shape.text(), hint, mendable=time.flags[:1] == ["--time-unit"])

    def _absent(self) -> list[str]:
        wanted = {self._settings.time_field: self._time_value, self._settings.user_field: self._user_value}
        absent = [f"`{name}`" for name, value in wanted.items() if value is _ABSENT]
        if not absent:
            return []
        names = [f"`{name}`" for name in self._shape.names()]
        more = [] if len(names) <= _MOST_NAMED else [f"{len(names) - _MOST_NAMED} more"]
        there = (
            f"they have {', '.join(names[:_MOST_NAMED] + more)}" if names else "what they have has no names"
        )
        return [f"the records have no {' and no '.join(absent)}", there]

    def _of_time(self) -> _Finding:
        value, unit = self._time_value, self._settings.time_unit
        fitting = unit_of(value, self._latest_ms)
        if fitting is not None and fitting != unit:
            shown = str(value) if is_called_a_time(self._time) else _holding(value)
            words = f"`{self._settings.time_field}` holds {shown}: that is a time {IN_UNIT[fitting]}"
            return _Finding([words], ["--time-unit", fitting])
        if self._why not in ("early", "ahead") and time_in(value, unit) is not None:
            return _Finding([], [])
        other = self._other_time()
        wrong = [] if value is _ABSENT else [self._wrong_time(value)]
        return _Finding(wrong + other.words, other.flags)

    def _wrong_time(self, value: object) -> str:
        field = f"`{self._settings.time_field}`"
        match self._why:
            case "early":
                return f"{field} lies before 2001"
            case "ahead":
                return f"{field} is more than a day ahead of Kafka's time, or of the wall clock"
        return f"{field} holds {_holding(value)}, which is no time {IN_UNIT[self._settings.time_unit]}"

    def _other_time(self) -> _Finding:
        found = times(self._shape, self._time, self._latest_ms)[:_MOST_CANDIDATES]
        if not found:
            return _Finding([], [])
        listed = " and ".join(f"`{field.name}` ({IN_UNIT[field.unit]})" for field in found)
        best = found[0]
        unit = [] if best.unit == self._settings.time_unit else ["--time-unit", best.unit]
        return _Finding([f"times are in {listed}"], ["--time-field", best.name, *unit])

    def _of_user(self) -> _Finding:
        value = self._user_value
        if self._user is None or is_user(value):
            return _Finding([], [])
        wrong = []
        if value is not _ABSENT:
            wrong = [f"`{self._settings.user_field}` holds {_user_words(value)}, which is no user"]
        found = users(self._shape, self._user, self._latest_ms)[:_MOST_CANDIDATES]
        if not found:
            return _Finding(wrong, [])
        listed = " or ".join(f"`{name}`" for name in found)
        return _Finding([*wrong, f"the user may be in {listed}"], ["--user-field", found[0]])

    def _of_group(self) -> list[str]:
        """About the fields of the group that cannot name one."""
        wrong = []
        for name, value in zip(self._settings.group_by, self._groups, strict=True):
            if isinstance(value, dict | list):
                wrong.append(f"`{name}` holds {_holding(value)}, which names no group")
            elif isinstance(value, str) and len(value.encode("utf-8", "replace")) > MAX_GROUP_BYTES:
                wrong.append(f"`{name}` holds more than {MAX_GROUP_BYTES} bytes, which name no group")
        return wrong


def _user_words(value: object) -> str:
    if not isinstance(value, str):
        return _holding(value)
    return f"text of more than {MAX_USER_BYTES} bytes" if value else "empty text"


def _holding(value: object) -> str:
    """What kind of thing a field holds, without showing it."""
    what = kind(value)
    if isinstance(value, str) and not isinstance(value, Digits):
        pattern = _pattern(value)
        return f"text like {pattern}" if pattern else "text"
    if what in ("null", "text"):
        return what
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def _pattern(text: str) -> str | None:
    """How a text is written that may be a date: 9 for digits, a for letters; None if it is none."""
    digits = sum(map(str.isdigit, text))
    if digits < _DIGITS_OF_A_DATE or len(text) > _LONGEST_PATTERN or not text.isprintable():
        return None
    return re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))
