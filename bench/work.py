"""The questions that the benchmark asks, the form of an answer, and the truth from plain sets.

An answer is rows, published or written as JSON lines. Plain: ``{"ts": 1468244340, "cnt": 987}`` for each
window, ``ts`` its start in seconds. Grouped: ``{"ts": 1468244340, "page": "/toys/4", "cnt": 3, "records": 5,
"bytes": 81230, "slowest": 17.3}`` for each page of each window. In streamagg's rows the page stands under
``group``; those for all users, which have none, are not compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

Work = Literal["plain", "grouped"]
Row = Mapping[str, Any]
Answer = dict[Any, Any]
"""Unique users by start of the window; or unique users, records, sum of ``bytes`` and most ``latency_ms`` by
start and page."""

PAGE: Final = "page.path"
MEASURES: Final = {"bytes": "sum(bytes)", "slowest": "max(latency_ms)"}


def answer(rows: Iterable[Row], work: Work) -> Answer:
    """What rows say; of several about the same the last one counts."""
    if work == "plain":
        of_all = (row for row in rows if not row.keys() & {"group", "calendar"})
        return {int(row["ts"]): int(row["cnt"]) for row in of_all}
    return {
        (int(row["ts"]), page): (
            *(int(row[name]) for name in ("cnt", "records", "bytes")),
            float(row["slowest"]),
        )
        for row in rows
        if (page := row["group"][PAGE] if "group" in row else row.get("page")) is not None
    }


def truth(records: Iterable[Row], work: Work, window_s: int) -> Iterator[Row]:
    """The rows that are right, with plain sets and no code of streamagg."""
    if work == "plain":
        counts = unique_users(records, window_s)
        return ({"ts": start, "cnt": users} for start, users in counts.items())
    return _pages(records, window_s)


def unique_users(records: Iterable[Row], window_s: int) -> dict[int, int]:
    """Unique users by start of the window in seconds."""
    windows: dict[int, set[str]] = {}
    same: dict[str, str] = {}
    for record in records:
        time, user = record["ts"], record["uid"]
        # One string object for each user, in however many windows.
        windows.setdefault(time - time % window_s, set()).add(same.setdefault(user, user))
    return {start: len(users) for start, users in sorted(windows.items())}


def _pages(records: Iterable[Row], window_s: int) -> Iterator[Row]:
    pages: dict[tuple[int, str], list[Row]] = {}
    for record in records:
        start, page = record["ts"] - record["ts"] % window_s, record["page"]["path"]
        kept = {name: record[name] for name in ("uid", "bytes", "latency_ms")}
        pages.setdefault((start, page), []).append(kept)
    for (start, page), seen in sorted(pages.items()):
        yield {
            "ts": start,
            "page": page,
            "cnt": len({each["uid"] for each in seen}),
            "records": len(seen),
            "bytes": sum(each["bytes"] for each in seen),
            "slowest": max(each["latency_ms"] for each in seen),
        }
