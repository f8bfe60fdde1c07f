"""Public data: `streamagg count` against the truth by pandas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Row = Mapping[str, Any]
Key = tuple[Any, ...]
KEY: Final = ("calendar", "ts", "group")
"""Fields that say what a row is about; the others are values."""


@dataclass(slots=True)
class Comparison:
    """What was compared, and where the two sides differ."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows of the truth: ``windows``, ``periods``, ``groups`` (of either)."""
    values: int = 0
    differences: list[str] = field(default_factory=list)


def key_of(row: Row) -> Key:
    """Of which window or period, and of which group, a row tells."""
    group = row.get("group")
    return row.get("calendar"), row["ts"], None if group is None else tuple(group.items())


def compare(truth: Iterable[Row], counted: Iterable[Row]) -> Comparison:
    """Every value of the truth with what was counted: equal to the last digit, or a difference."""
    found = Comparison({"windows": 0, "periods": 0, "groups": 0})
    left: dict[Key, Row] = {}
    for row in counted:
        key = key_of(row)
        if key in left:
            found.differences.append(f"{key}: counted twice")
        left[key] = row
    for expected in truth:
        found.rows[_kind(expected)] += 1
        _compare_row(expected, left.pop(key_of(expected), None), found)
    found.differences += [f"{key}: counted, not in the truth" for key in left]
    return found


def _kind(row: Row) -> str:
    if "group" in row:
        return "groups"
    return "periods" if "calendar" in row else "windows"


def _compare_row(expected: Row, row: Row | None, found: Comparison) -> None:
    figures = {name: value for name, value in expected.items() if name not in KEY}
    found.values += len(figures)
    if row is None:
        found.differences.append(f"{key_of(expected)}: not counted")
        return
    found.differences += [
        f"{key_of(expected)}: {name} is {row.get(name, 'missing')}, not {value}"
        for name, value in figures.items()
        if name not in row or row[name] != value
    ]
