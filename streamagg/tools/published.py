"""What an output record says, read back."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import orjson

from streamagg.tools.exact import Number
from streamagg.tools.recount import Group

OWN_FIELDS: Final = frozenset(
    {
        *("ts", "cnt", "granularity", "records", "partial", "v", "approximate", "error"),
        *("group", "groups", "groups_dropped", "calendar", "end"),
    }
)
"""Of published records; all others are measures."""

Kind = Literal["missing", "unexpected", "different", "doubled", "unordered", "unreadable"]


class Count(NamedTuple):
    """What is known of one window or period, or of a group of it."""

    unique: int | None
    """None where no users are counted."""
    records: int
    approximate: bool = False
    measures: tuple[tuple[str, Number], ...] = ()
    """By name."""
    groups: int | None = None
    """How many there are; None for a group, where there are none, and where they are dropped."""
    groups_dropped: bool = False
    end_ms: int | None = None
    """Of a period."""


class Place(NamedTuple):
    """What a count is of."""

    window_ms: int
    """Start of the window or period."""
    calendar: str | None = None
    group: Group | None = None
    """None: all of them."""

    @property
    def whole(self) -> "Place":
        """The window or period itself."""
        return self._replace(group=None)


class Published(NamedTuple):
    """One record of the output topic."""

    window_ms: int
    """Start of the window or period."""
    value: Count
    partial: bool
    calendar: str | None = None
    group: Group | None = None
    partition: int = 0

    @property
    def place(self) -> Place:
        """What it is of."""
        return Place(self.window_ms, self.calendar, self.group)


@dataclass(frozen=True, slots=True)
class Difference:
    """One count, or one output record that cannot be read, about which the two disagree."""

    kind: Kind
    window_ms: int | None
    recounted: Count | None
    published: tuple[Count, ...]
    detail: str = ""
    calendar: str | None = None
    group: Group | None = None


def published_count(
    key: bytes | None, payload: bytes | None, where: str, partition: int = 0, group_by: tuple[str, ...] = ()
) -> Published | Difference:
    """An output record as a count; ``where`` says where it was found."""
    try:
        record = orjson.loads(payload or b"")
        start, calendar = record["ts"], record.get("calendar")
        group = _group(record, group_by)
        words = [calendar, str(start), None if group is None else group_text(group)]
        if key is None or key.decode() != " ".join(word for word in words if word is not None):
            raise ValueError("the key is not that of the record")
        return Published(
            round(start * 1_000), _count(record), bool(record["partial"]), calendar, group, partition
        )
    except (ValueError, TypeError, KeyError) as error:
        return Difference("unreadable", None, None, (), f"{where}: {error}")


def group_text(group: Group) -> str:
    """As it stands in a key."""
    return json.dumps(group, ensure_ascii=False, separators=(",", ":"))


def _group(record: dict[str, Any], group_by: tuple[str, ...]) -> Group | None:
    if "group" not in record:
        return None
    group = dict(record["group"])
    if tuple(group) != group_by:
        raise ValueError(f"it is a group by {', '.join(group)}")
    if not all(text is None or isinstance(text, str) for text in group.values()):
        raise ValueError("the values of a group are text or null")
    return tuple(group.values())


def _count(record: dict[str, Any]) -> Count:
    measures = {name: _number(name, value) for name, value in record.items() if name not in OWN_FIELDS}
    dropped = bool(record.get("groups_dropped", False))
    return Count(
        unique=int(record["cnt"]) if "cnt" in record else None,
        records=int(record["records"]),
        approximate=bool(record.get("approximate", False)),
        measures=tuple(sorted(measures.items())),
        groups=int(record["groups"]) if "groups" in record and not dropped else None,
        groups_dropped=dropped,
        end_ms=round(record["end"] * 1_000) if "end" in record else None,
    )


def _number(name: str, value: object) -> Number:
    """The value of a measure; whole numbers are written without a fraction, unless they are very large."""
    if value is not None and type(value) not in (int, float):
        raise ValueError(f"{name} is no number")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        raise ValueError(f"{name} is {value} and not {int(value)}")
    return value  # type: ignore[return-value]
