"""Made-up published records, and what any question about them must be answered with, from plain lists."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import Any, Final

import numpy as np

from streamagg.core.measures.theta import compact_theta
from streamagg.serve.store.store import SketchRow

MINUTE_S: Final = 60
EPOCH_S: Final = 1_468_238_400
"""2016-07-11T12:00:00Z."""
COUNTRIES: Final = ("DE", "US", "", None, 'F"R')


@dataclass
class Visits:
    """Who was there in each window, in each group."""

    users: dict[tuple[int, str | None], set[int]] = field(default_factory=dict)
    """By start of the window and country; every visit has a country, which may be null."""
    granularity: int = MINUTE_S

    @classmethod
    def made(cls, seed: int, windows: int, users: int = 40, granularity: int = MINUTE_S) -> "Visits":
        """Windows that nobody hit are among them."""
        random = Random(seed)
        visits = cls(granularity=granularity)
        for number in range(windows):
            if random.random() < 0.15:
                continue
            start = EPOCH_S + number * granularity
            for country in COUNTRIES:
                if random.random() < 0.7:
                    present = {random.randrange(users) for _ in range(random.randrange(1, 30))}
                    visits.users[start, country] = present
        return visits

    @cached_property
    def windows(self) -> dict[int, dict[str | None, set[int]]]:
        """Users by country, by start of the window, in order of time; of windows that somebody hit."""
        found: dict[int, dict[str | None, set[int]]] = {}
        for (start, country), users in sorted(self.users.items(), key=lambda item: item[0][0]):
            found.setdefault(start, {})[country] = users
        return found

    @cached_property
    def starts(self) -> list[int]:
        """Of windows that somebody hit."""
        return list(self.windows)

    def between(self, begin: float, end: float, country: Any = ...) -> set[int]:
        """Users of the windows that begin in a range; of one country, if one is given."""
        found: set[int] = set()
        for start in self.starts[bisect_left(self.starts, begin) : bisect_left(self.starts, end)]:
            for where, users in self.windows[start].items():
                if country in (..., where):
                    found |= users
        return found

    def window(self, start: int) -> dict[str, Any]:
        """The record of all users of a window."""
        groups = len(self.windows[start])
        record = self._record(start, self.between(start, start + 1))
        return record | {"groups": groups} | self._measure(start, groups)

    def groups(self, start: int) -> list[dict[str, Any]]:
        """The records of its groups, the largest first."""
        found = list(self.windows[start].items())
        found.sort(key=lambda item: (-len(item[1]), json.dumps([item[0]])))
        return [
            {"ts": start, "group": {"country": where}}
            | self._record(start, users)
            | self._measure(start, len(users))
            for where, users in found
        ]

    def _record(self, start: int, users: set[int]) -> dict[str, Any]:
        return {
            "ts": start,
            "cnt": len(users),
            "granularity": self.granularity,
            "records": 3 * len(users),
            "partial": False,
            "v": 1,
        }

    def _measure(self, start: int, size: int) -> dict[str, Any]:
        return {"price": None if start % 7 == 0 else size + (start % 5) / 4}

    def period(self, calendar: str, begin: int, end: int) -> dict[str, Any]:
        """The record of a period of a calendar."""
        record = self._record(begin, self.between(begin, end))
        first = {"ts": begin, "calendar": calendar, "end": end}
        groups = sum(bool(self.between(begin, end, country)) for country in COUNTRIES)
        return first | record | {"groups": groups, "price": 1.5}

    def period_groups(self, calendar: str, begin: int, end: int) -> Iterator[dict[str, Any]]:
        """The records of its groups."""
        for country in COUNTRIES:
            if users := self.between(begin, end, country):
                first = {"ts": begin, "calendar": calendar, "end": end, "group": {"country": country}}
                parts = [len(self.windows[at].get(country, ())) for at in self.starts if begin <= at < end]
                yield first | self._record(begin, users) | {"records": 3 * sum(parts), "price": 2}

    def published(self, hours: bool = True) -> Iterator[dict[str, Any]]:
        """All records in the order in which they are published."""
        hour = 3_600
        for start, following in pairwise([*self.starts, 2**40]):
            yield self.window(start)
            yield from self.groups(start)
            over = start // hour * hour + hour
            if hours and following >= over:
                yield self.period("hour", over - hour, over)
                yield from self.period_groups("hour", over - hour, over)


def values(records: Iterator[dict[str, Any]]) -> list[bytes]:
    """As they stand in a topic."""
    return [json.dumps(record, ensure_ascii=False).encode() for record in records]


def hashed(users: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """As the sketches hash them."""
    return np.unique(scattered(np.array(sorted(users), np.uint64)))


def scattered(
    numbers: np.ndarray[tuple[int], np.dtype[np.uint64]],
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Any function that scatters will do."""
    found = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    found ^= found >> np.uint64(29)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(32)
    return found


def sketches(visits: Visits, hours: bool = True) -> list[SketchRow]:
    """Of all windows and hours, and of their groups."""
    rows = []
    for start in visits.starts:
        whole = compact_theta(hashed(visits.between(start, start + 1)))
        rows.append(SketchRow("window", start * 1_000, None, whole))
        for country, users in visits.windows[start].items():
            text = json.dumps([country]).encode()
            rows.append(SketchRow("window", start * 1_000, text, compact_theta(hashed(users))))
    for record in visits.published(hours):
        if "calendar" in record:
            group = record.get("group")
            users = visits.between(record["ts"], record["end"], group["country"] if group else ...)
            key = json.dumps(list(group.values())).encode() if group else None
            rows.append(SketchRow("hour", record["ts"] * 1_000, key, compact_theta(hashed(users))))
    return rows
