"""The histories that are asked about, made once and kept (4 GB, some minutes).

``series``  24 h of the measurement store: base windows of half a second of 2,000 tags, the n-th 0.99 times as
            often as the one before, 10 measures each: 77 million rows
``slice``   every tenth of these tags, for stores that take long to load: 7.7 million rows
``users``   30 days of minutes of all users, 10,000 in each, with sketches, 1.4 GB of them
``groups``  30 days of minutes with 200 groups: 8.6 million rows
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench.scratch import DIRECTORY
from bench.topics import Told
from streamagg.core.measures.theta import compact_theta
from streamagg.serve.records import WINDOW, Rows
from streamagg.serve.store.store import Batch, SketchRow, Store
from streamagg.serve.store.unions import unite

HOME: Final = DIRECTORY / "serve"
START_MS: Final = 1_788_220_800_000
"""2026-09-01T00:00:00Z."""
DAY_MS: Final = 86_400_000
TAGS: Final = 2_000
SLICE: Final = 10
"""Of the slice every such tag."""
MEASURES: Final = tuple(f"v{number}" for number in range(10))
HALF_SECOND_MS: Final = 500
CHUNK_MS: Final = 720_000
USERS: Final = 10_000
GROUPS: Final = 200
DAYS: Final = 30


class Chunk(NamedTuple):
    """Rows of some minutes in order of time."""

    starts: Any
    """Milliseconds, int64, shape ``(n,)``."""
    tags: Any
    """Numbers, int64, shape ``(n,)``."""
    values: Any
    """Float64, shape ``(10, n)``."""


def tag(number: int) -> str:
    """Its name."""
    return f"tag-{number}"


def chunk(begin_ms: int, length_ms: int, every: int = 1) -> Chunk:
    """What a stretch of the measurement store holds; ``every``: tag of so many. The same for the same
    stretch."""
    random = np.random.default_rng(begin_ms)
    often = 1 - np.exp(-50 * 0.99 ** np.arange(TAGS))
    windows = length_ms // HALF_SECOND_MS
    tags, starts, values = [], [], []
    for number in range(0, TAGS, every):
        hit = np.flatnonzero(random.random(windows) < often[number])
        steps = random.integers(-3, 4, size=(len(hit), len(MEASURES))) * 0.01
        tags.append(np.full(len(hit), number))
        starts.append(begin_ms + hit * HALF_SECOND_MS)
        values.append((100 + number % 10 + np.cumsum(steps, axis=0)).round(2))
    start = np.concatenate(starts)
    order = np.argsort(start, kind="stable")
    return Chunk(
        start[order], np.concatenate(tags)[order], np.ascontiguousarray(np.concatenate(values)[order].T)
    )


def chunks(every: int = 1, begin_ms: int = START_MS) -> Iterator[Chunk]:
    """24 h of it."""
    for at_ms in range(begin_ms, START_MS + DAY_MS, CHUNK_MS):
        yield chunk(at_ms, CHUNK_MS, every)


def rows(starts: Any, groups: Sequence[bytes | None], length_ms: int, counts: Any, measures: Any) -> Rows:
    """Of windows; ``starts`` and ``counts`` int64, shape ``(n,)``."""
    number = len(starts)
    return Rows(
        WINDOW,
        groups,
        [None if text is None else ("tag",) for text in groups],
        {
            "ts": starts,
            "span": np.full(number, length_ms),
            "granularity": np.full(number, length_ms),
            "cnt": counts,
            "records": counts,
            "flags": np.zeros(number, np.uint8),
            "error": np.ma.masked_array(np.zeros(number), True),
            "groups": np.ma.masked_array(np.zeros(number, np.int64), True),
        },
        measures,
        [],
    )


def of_measurements(found: Chunk) -> Batch:
    """As it comes to the store, with the windows of all tags together."""
    texts = [f'["{tag(number)}"]'.encode() for number in range(TAGS)]
    groups: list[bytes | None] = [texts[number] for number in found.tags.tolist()]
    every = np.unique(found.starts)
    of_all = {name: np.full(len(every), 100.0) for name in MEASURES}
    ones = np.ones(len(groups), np.int64)
    return Batch(
        [
            rows(every, [None] * len(every), HALF_SECOND_MS, np.full(len(every), 5_000), of_all),
            rows(found.starts, groups, HALF_SECOND_MS, ones, dict(zip(MEASURES, found.values, strict=True))),
        ]
    )


@contextmanager
def made(name: str, told: Told) -> Iterator[Path]:
    """The directory of a store, made if it is not there."""
    directory = HOME / name
    if not (directory / "made").exists():
        began = time.perf_counter()
        store = Store(directory)
        FILLED[name](store)
        store.connection.execute("CHECKPOINT")
        store.close()
        (directory / "made").touch()
        told(f"made the store {name} in {time.perf_counter() - began:.0f} s")
    yield directory


def behind(store: Store) -> int:
    """Where a filling that was ended goes on."""
    extent = store.extents.get(WINDOW)
    return START_MS if extent is None else extent.end_ms


def fill_series(every: int, store: Store) -> None:
    """With the skew of the measurement store."""
    for found in chunks(every, behind(store)):
        store.append(of_measurements(found))
        while store.sort():
            pass


def fill_users(store: Store) -> None:
    """Half of the users of a minute are those of the one before."""
    users = np.random.default_rng(2).integers(0, 2**64, USERS, dtype=np.uint64)
    minutes = DAYS * DAY_MS // 60_000
    for begin in range((behind(store) - START_MS) // 60_000, minutes, 1_440):
        random = np.random.default_rng(begin)
        starts = START_MS + 60_000 * np.arange(begin, begin + 1_440)
        sketches = []
        for start in starts.tolist():
            users[random.integers(0, USERS, USERS // 2)] = random.integers(
                0, 2**64, USERS // 2, dtype=np.uint64
            )
            sketches.append(SketchRow(WINDOW, start, None, compact_theta(distinct(users))))
        counts = np.full(1_440, USERS)
        store.append(Batch([rows(starts, [None] * 1_440, 60_000, counts, {})], sketches))
    while unite(store):
        pass


def distinct(users: Any) -> Any:
    """Ascending."""
    ordered = np.sort(users)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


def fill_groups(store: Store) -> None:
    """All groups in all minutes."""
    texts: list[bytes | None] = [None, *(f'["group-{number}"]'.encode() for number in range(GROUPS))]
    for begin in range((behind(store) - START_MS) // 60_000, DAYS * 1_440, 720):
        random = np.random.default_rng(begin)
        starts = START_MS + 60_000 * np.repeat(np.arange(begin, begin + 720), GROUPS + 1)
        counts = random.integers(1, 5_000, len(starts))
        measures = {"bytes": random.integers(0, 10**6, len(starts)).astype(float)}
        store.append(Batch([rows(starts, texts * 720, 60_000, counts, measures)]))
        while store.sort():
            pass


FILLED: Final[dict[str, Callable[[Store], None]]] = {
    "series": partial(fill_series, 1),
    "slice": partial(fill_series, SLICE),
    "users": fill_users,
    "groups": fill_groups,
}
