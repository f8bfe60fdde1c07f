"""A million lines of use in files, as programs drop them, and what is true of them.

::

    {"ts":1468281600,"uid":"user-81","client":"client-004","amount":17.05,"note":"GET /v1/objects/4711"}

A day, ten or so a second; of 200 clients the first has 3 % of all lines, the second 3 % of the others, and so
on. Four directories of six files each: JSON lines, JSON lines in gzip, CSV, CSV in gzip. Beside them the same
lines all as JSON, for who reads nothing else.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.scratch import DIRECTORY

HOME: Final = DIRECTORY / "places"
RECORDS: Final = 1_000_000
DAY_S: Final = 86_400
HOUR_S: Final = 3_600
FIRST_S: Final = 1_468_281_600
"""2016-07-12T00:00:00Z."""
CLIENTS: Final = 200
SHARE: Final = 0.03
USERS: Final = 100_000
FILES: Final = 6
"""Of a directory."""
HEADING: Final = b"ts,uid,client,amount,note\n"
LINE_OF_CSV: Final = b"%d,user-%d,client-%03d,%d.%02d,GET /v1/objects/%d\n"
LINE_OF_JSON: Final = (
    b'{"ts":%d,"uid":"user-%d","client":"client-%03d","amount":%d.%02d,"note":"GET /v1/objects/%d"}\n'
)
FORMS: Final = {"north": "jsonl", "east": "jsonl.gz", "south": "csv", "west": "csv.gz"}
"""How the files of each directory end."""

Key = tuple[str, int]
"""A client, and the second at which an hour begins."""


class Use(NamedTuple):
    """Of a client in an hour."""

    amount: float
    users: int | None
    """None: it was not asked for."""


Answer = dict[Key, Use]


class Usage(NamedTuple):
    """Where the lines are, and what is true of them."""

    mixed: Path
    lines: Path
    """The same, all as JSON."""
    records: int
    truth: Answer


class _Columns(NamedTuple):
    time_s: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    client: npt.NDArray[np.int64]
    cents: npt.NDArray[np.int64]


def usage(records: int = RECORDS) -> Usage:
    """Made once, and kept."""
    columns = _drawn(records)
    found = Usage(HOME / f"mixed-{records}", HOME / f"lines-{records}", records, _truth(columns))
    for root, forms in ((found.mixed, FORMS), (found.lines, dict.fromkeys(FORMS, "jsonl"))):
        if not (root / ".made").exists():
            _write(root, forms, columns)
            (root / ".made").touch()
    return found


def _drawn(records: int) -> _Columns:
    """In order of time."""
    random = np.random.default_rng(19)
    return _Columns(
        FIRST_S + np.arange(records) * DAY_S // records,
        random.integers(0, USERS, records),
        (np.log(1 - random.random(records)) / np.log(1 - SHARE)).astype(np.int64) % CLIENTS,
        random.integers(0, 20_000, records),
    )


def _truth(columns: _Columns) -> Answer:
    """With whole cents and plain sets."""
    cents: dict[Key, int] = {}
    users: dict[Key, set[int]] = {}
    for time_s, user, client, amount in zip(*(column.tolist() for column in columns), strict=True):
        key = (f"client-{client:03d}", time_s - time_s % HOUR_S)
        cents[key] = cents.get(key, 0) + amount
        users.setdefault(key, set()).add(user)
    return {key: Use(amount / 100, len(users[key])) for key, amount in cents.items()}


def _write(root: Path, forms: dict[str, str], columns: _Columns) -> None:
    for number, (name, form) in enumerate(forms.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        own = _Columns(*(column[number :: len(forms)] for column in columns))
        for part, split in enumerate(np.array_split(np.arange(len(own.time_s)), FILES)):
            content = _content(form, _Columns(*(column[split] for column in own)))
            packed = gzip.compress(content, 6, mtime=0) if form.endswith(".gz") else content
            (root / name / f"{part:02d}.{form}").write_bytes(packed)


def _content(form: str, columns: _Columns) -> bytes:
    csv = form.startswith("csv")
    line = LINE_OF_CSV if csv else LINE_OF_JSON
    rows = zip(*(column.tolist() for column in columns), strict=True)
    lines = [line % (t, user, client, *divmod(cents, 100), user % 9973) for t, user, client, cents in rows]
    return (HEADING if csv else b"") + b"".join(lines)


def of_csv(lines: Iterable[str]) -> Answer:
    """``client,hour,amount,users`` or without users, as programs print it."""
    rows = (line.strip().split(",") for line in lines if line.strip())
    return {
        (client, int(float(hour))): Use(float(amount), int(rest[0]) if rest else None)
        for client, hour, amount, *rest in rows
        if client != "client"
    }


def of_lines(lines: Iterable[bytes]) -> Answer:
    """As streamagg publishes it."""
    found = (json.loads(line) for line in lines)
    return {
        (row["group"]["client"], row["ts"]): Use(row["used"], row["cnt"]) for row in found if "group" in row
    }
