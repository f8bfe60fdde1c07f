"""Made-up published records, and what any question about them must be answered with, from plain lists."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

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

    @property
    def starts(self) -> list[int]:
        """Of windows that somebody hit."""
        return sorted({start for start, _ in self.users})

    def between(self, begin: float, end: float, country: Any = ...) -> set[int]:
        """Users of the windows that begin in a range; of one country, if one is given."""
        found: set[int] = set()
        for (start, where), users in self.users.items():
            if begin <= start < end and country in (..., where):
                found |= users
        return found

    def window(self, start: int) -> dict[str, Any]:
        """The record of all users of a window."""
        groups = [where for at, where in self.users if at == start]
        record = self._record(start, self.between(start, start + 1))
        return record | {"groups": len(groups)} | self._measure(start, len(groups))

    def groups(self, start: int) -> list[dict[str, Any]]:
        """The records of its groups, the largest first."""
        found = [(where, users) for (at, where), users in self.users.items() if at == start]
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
        return first | record | {"groups": len(COUNTRIES), "price": 1.5}

    def published(self, hours: bool = True) -> Iterator[dict[str, Any]]:
        """All records in the order in which they are published."""
        hour = 3_600
        for start in self.starts:
            yield self.window(start)
            yield from self.groups(start)
            following = [at for at in self.starts if at > start]
            over = start // hour * hour + hour
            if hours and (not following or following[0] >= over):
                yield self.period("hour", over - hour, over)


def values(records: Iterator[dict[str, Any]]) -> list[bytes]:
    """As they stand in a topic."""
    return [json.dumps(record, ensure_ascii=False).encode() for record in records]
