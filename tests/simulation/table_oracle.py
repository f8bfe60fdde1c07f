"""What a window must come to, record by record: the rules of docs/decoding.md and docs/output.md once more.

Plain dicts, sets and fractions; shares no code with what it judges.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

import orjson

from streamagg.model.settings import CeilingSettings, DecodeSettings, MeasureSettings

Published = tuple[bytes, bytes]
"""Key and value of a record."""


class Meaning(NamedTuple):
    """What a value of a document stands for."""

    group: str | None
    """As a part of a group."""
    number: float | None
    """To measures; None: there is none."""
    identity: str | None
    """To ``uniques``."""


NOTHING: Final = Meaning(None, None, None)
Fields = Mapping[str, Meaning]
"""By path."""


class Row(NamedTuple):
    """A record that a window counts; in the order of event time, partition and offset."""

    time_ms: int
    partition: int
    offset: int
    user: str
    fields: Fields


def records(
    rows: Sequence[Row],
    decode: DecodeSettings,
    ceiling: CeilingSettings,
    start_ms: int,
    granularity_ms: int,
    *,
    partial: bool,
    period: tuple[str, int] | None = None,
) -> Iterator[Published]:
    """What a window with these rows is published as, or a period: its calendar, and its end."""
    start = _seconds(start_ms)
    beginning: dict[str, Any] = {"ts": start}
    if period is not None:
        beginning |= {"calendar": period[0], "end": _seconds(period[1])}
    frame = (_seconds(granularity_ms), partial)
    groups: dict[bytes, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group(row, decode), []).append(row)
    about: dict[str, Any] = {}
    dropped = len(groups) > ceiling.max_groups
    if decode.group_by:
        about = {"groups_dropped": True} if dropped else {"groups": len(groups)}
    key = str(start).encode() if period is None else f"{period[0]} {start}".encode()
    yield key, orjson.dumps(beginning | _counts(rows, decode, *frame) | about | _measures(rows, decode))
    if not decode.group_by or dropped:
        return
    order = sorted(groups, key=lambda text: _rank(groups[text], decode, text))
    for text in order[: ceiling.top]:
        name = beginning | {"group": dict(zip(decode.group_by, orjson.loads(text), strict=True))}
        inside = groups[text]
        yield (
            key + b" " + text,
            orjson.dumps(name | _counts(inside, decode, *frame) | _measures(inside, decode)),
        )


def _group(row: Row, decode: DecodeSettings) -> bytes:
    return orjson.dumps([row.fields[path].group for path in decode.group_by])


def _rank(rows: Sequence[Row], decode: DecodeSettings, text: bytes) -> tuple[int, int, bytes]:
    users = 0 if decode.user_field is None else len({row.user for row in rows})
    return -users, -len(rows), text


def _counts(rows: Sequence[Row], decode: DecodeSettings, granularity: float, partial: bool) -> dict[str, Any]:
    users = {} if decode.user_field is None else {"cnt": len({row.user for row in rows})}
    return {**users, "granularity": granularity, "records": len(rows), "partial": partial, "v": 1}


def _measures(rows: Sequence[Row], decode: DecodeSettings) -> dict[str, Any]:
    return {measure.name: _published(_measured(measure, rows)) for measure in decode.measures}


def _measured(measure: MeasureSettings, rows: Sequence[Row]) -> Fraction | float | int | None:
    if measure.op == "uniques":
        return len({row.fields[measure.path].identity for row in rows} - {None})
    known = [(row[:3], number) for row in rows if (number := row.fields[measure.path].number) is not None]
    numbers = [number for _, number in known]
    if measure.op == "count" or not known:
        return len(known) if measure.op == "count" else None
    total = sum(map(Fraction, numbers), Fraction())
    match measure.op:
        case "sum":
            # To the last digit, where a double would not have them all.
            whole = total.denominator == 1 and abs(total) < 2**63
            return int(total) if whole else total
        case "avg":
            return total / len(numbers)
        case "min":
            return min(numbers)
        case "max":
            return max(numbers)
        case "first":
            return min(known)[1]
        case "last":
            return max(known)[1]


def _published(value: Fraction | float | int | None) -> float | int | None:
    """Rounded once; a whole number below 2**63 in size without a fraction; nothing beyond all doubles."""
    if value is None or isinstance(value, int):
        return value
    try:
        double = float(value)
    except OverflowError:
        return None
    return int(double) if double.is_integer() and abs(double) < 2**63 else double


def _seconds(time_ms: int) -> int | float:
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000
