"""Parsers of single settings.

Each takes what a flag, a variable or a TOML value can hold and raises ``ValueError`` with a text
that says what would be valid, fit for "… must be <text>".
"""

import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final, get_args

from streamagg.model.field_path import keys_of
from streamagg.model.places import PlaceKind, place_of
from streamagg.model.settings import (
    CLOCK_CALENDARS,
    CalendarSettings,
    KeepSettings,
    MeasureOp,
    MeasureSettings,
    StartAt,
)
from streamagg.settings.quantities import duration_ms, duration_parts, duration_text, moment_ms, size_bytes
from streamagg.settings.zones import resembling, zone_names

Parse = Callable[[object], object]
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_BROKER: Final = re.compile(r"(?:[A-Za-z_]+://)?(?:\[[^\[\]]+\]|[^\[\]:/\s]+)(?::([0-9]{1,5}))?")
_BARE_IPV6: Final = re.compile(r"[0-9A-Fa-f.]*(?::[0-9A-Fa-f.]*){2,}")
_MOST_PORT: Final = 65_535
"""A port has 16 bits."""
_MEASURE: Final = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<op>[a-z]+)\((?P<path>.*)\)", re.DOTALL
)
_KEEP: Final = re.compile(r"(?P<name>[a-z]+)=(?P<number>[1-9][0-9]{0,5})(?P<unit>[hdwy])")
_KEPT_MS: Final = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000, "y": 366 * 86_400_000}
_LENGTHS_MS: Final = {
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 25 * 3_600_000,
    "week": (7 * 24 + 1) * 3_600_000,
    "month": (31 * 24 + 1) * 3_600_000,
    "year": (366 * 24 + 1) * 3_600_000,
}
"""The longest that there are: clocks are put back by an hour."""
_YES: Final = ("true", "yes", "on", "1")
_NO: Final = ("false", "no", "off", "0")


def text(value: object) -> str:
    """A non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def brokers(value: object) -> str:
    """Addresses joined by commas, each with a port or without; a client would cut a port to 16 bits."""
    written = text(value)
    found = [address.strip() for address in written.split(",") if address.strip()]
    if not found or not all(_BARE_IPV6.fullmatch(address) or _is_broker(address) for address in found):
        raise ValueError(
            f"addresses such as kafka-1:9092, joined by commas, with ports from 1 to {_MOST_PORT}"
        )
    return written


def _is_broker(address: str) -> bool:
    match = _BROKER.fullmatch(address)
    return match is not None and (match[1] is None or 1 <= int(match[1]) <= _MOST_PORT)


def file_to_write(value: object) -> str:
    """The path of a file in a directory that is there: not known only when hours of work are done."""
    path = text(value)
    if Path(path).is_dir() or not Path(path).parent.is_dir():
        raise ValueError("the path of a file, in a directory that exists")
    return path


def file_to_read(value: object) -> str:
    """The path of a file that is there."""
    path = text(value)
    if not Path(path).is_file():
        raise ValueError("the path of a file that exists")
    return path


def switch(value: object) -> bool:
    """A yes or no."""
    word = str(value).strip().lower()
    if word not in _YES + _NO:
        raise ValueError("true or false")
    return word in _YES


def whole_number(at_least: int, at_most: int = 1 << 31) -> Parse:
    """A parser of integers in a range, both ends included."""

    def parse(value: object) -> int:
        digits = str(value).strip()
        if not re.fullmatch("-?[0-9]{1,10}", digits) or not at_least <= int(digits) <= at_most:
            limit = f"from {at_least} to {at_most}" if at_most < 1 << 31 else f"of at least {at_least}"
            raise ValueError(f"a whole number {limit}")
        return int(digits)

    return parse


def duration(at_least_ms: int) -> Parse:
    """A parser of durations, to milliseconds, with a least one."""

    def parse(value: object) -> int:
        found_ms = duration_ms(value)
        if found_ms < at_least_ms:
            raise ValueError(f"a duration of at least {duration_text(at_least_ms)}, such as 500ms, 60s or 2m")
        return found_ms

    return parse


def calendar(value: object) -> CalendarSettings:
    """One whose periods go by the clock of a time zone, or are all equally long."""
    word = str(value)
    if word in CLOCK_CALENDARS:
        return CalendarSettings(word, CLOCK_CALENDARS[word])
    try:
        length_ms = duration_ms(value)
    except ValueError:
        length_ms = 0
    if length_ms <= 0:
        raise ValueError(f"one of {', '.join(CLOCK_CALENDARS)}, or a duration such as 15m")
    return CalendarSettings(duration_parts(length_ms), length_ms)


def time_zone(value: object) -> str:
    """The name of a time zone that this machine has data of; UTC needs none."""
    name = str(value)
    if name == "UTC":
        return name
    names = zone_names()
    if not names:
        raise ValueError("UTC, since there are no data of other time zones here: pip install tzdata")
    if name not in names:
        close = resembling(name, names)
        hint = f" (did you mean {close}?)" if close else ""
        raise ValueError(f"the name of a time zone such as Europe/Berlin{hint}")
    return name


def record_size(value: object) -> int:
    """A size in bytes, at least one and below 2 GiB."""
    size = size_bytes(value)
    if not 0 < size < 1 << 31:
        raise ValueError("a size from 1 byte to less than 2GiB")
    return size


def choice(*words: str) -> Parse:
    """A parser that takes one of a few words."""

    def parse(value: object) -> str:
        if value not in words:
            raise ValueError("one of " + ", ".join(words))
        return str(value)

    return parse


def topic_name(value: object) -> str:
    """A name that Kafka takes for a topic."""
    if not isinstance(value, str) or not _TOPIC.fullmatch(value) or value in (".", ".."):
        raise ValueError("a topic name: up to 249 letters, digits, dots, underscores or hyphens")
    return value


def place_to_read(value: object) -> str:
    """A topic, a directory or standard input; a path is made absolute."""
    return _place(value, ("topic", "directory", "stream"), "a topic name, dir:PATH, or - for standard input")


def place_to_write(value: object) -> str:
    """The same of a topic, a directory, a database or standard output."""
    every: tuple[PlaceKind, ...] = ("topic", "directory", "postgres", "stream")
    valid = "a topic name, dir:PATH, postgresql://USER@HOST/DATABASE, or - for standard output"
    return _place(value, every, valid)


def place_to_follow(value: object) -> str:
    """The same of what results can be read from again."""
    return _place(value, ("topic", "directory"), "a topic name, or dir:PATH")


def _place(value: object, kinds: Container[PlaceKind], valid: str) -> str:
    place = place_of(str(value))
    if place.kind not in kinds or not place.at:
        raise ValueError(valid)
    if place.kind == "directory":
        return f"dir:{Path(place.at).absolute()}"
    if place.kind == "topic":
        try:
            topic_name(value)
        except ValueError:
            raise ValueError(valid) from None
    return str(value)


def field_path(value: object) -> str:
    """A dotted path from the root of a record, such as ``event.user.id``."""
    try:
        keys_of(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(
            "the name of a field, or names joined by dots such as event.user.id, none of them empty;"
            " a dot in a name is written \\."
        ) from None
    return str(value)


def user_field(value: object) -> str | None:
    """Such a path; None for ``none``."""
    return None if value == "none" else field_path(value)


def measure(value: object) -> MeasureSettings:
    """``NAME=OP(PATH)``, such as ``bytes=sum(size)``."""
    match = _MEASURE.fullmatch(value.strip() if isinstance(value, str) else "")
    if match is None:
        raise ValueError(
            "NAME=OP(PATH) such as bytes=sum(response.size), the name of letters, digits and underscores"
        )
    if match["op"] not in get_args(MeasureOp):
        raise ValueError(f"NAME=OP(PATH) with one of {', '.join(get_args(MeasureOp))} for OP")
    return MeasureSettings(match["name"], match["op"], field_path(match["path"]))  # type: ignore[arg-type]


def start_at(value: object) -> StartAt:
    """Where reading begins."""
    for kind in ("committed", "earliest", "latest"):
        if value == kind:
            return StartAt(kind)
    try:
        return StartAt("time", moment_ms(value))
    except ValueError as exc:
        raise ValueError(f"committed, earliest, latest, or {exc}") from None


def keep_rules(value: object) -> tuple[KeepSettings, ...]:
    """``minute=7d,hour=90d``: for how long windows and periods of at most that length are kept."""
    valid = f"rules such as minute=7d,hour=90d,day=5y, each of {', '.join(_LENGTHS_MS)} once"
    found: dict[int, int] = {}
    for rule in str(value).split(","):
        match = _KEEP.fullmatch(rule.strip())
        if match is None or match["name"] not in _LENGTHS_MS or _LENGTHS_MS[match["name"]] in found:
            raise ValueError(valid)
        found[_LENGTHS_MS[match["name"]]] = int(match["number"]) * _KEPT_MS[match["unit"]]
    return tuple(KeepSettings(length_ms, keep_ms) for length_ms, keep_ms in sorted(found.items()))


def listen_address(value: object) -> str | None:
    """``host:port``; a bare port binds to loopback; None for ``off``."""
    if str(value).strip() == "off":
        return None
    try:
        return address(value)
    except ValueError:
        raise ValueError(
            f"an address such as 0.0.0.0:9464, a port such as 9464 (at most {_MOST_PORT}), or off"
        ) from None


def metrics_page(value: object) -> str:
    """The address of a page over HTTP."""
    text = str(value).strip()
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@#]*)?", text):
        raise ValueError("an address such as http://127.0.0.1:9464/metrics, without a user or a password")
    return text


def address(value: object) -> str:
    """``host:port``; a bare port binds to loopback."""
    host, _, port = str(value).strip().rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MOST_PORT:
        raise ValueError(f"an address such as 0.0.0.0:8080, or a port such as 8080 (at most {_MOST_PORT})")
    return f"{host or '127.0.0.1'}:{port}"
