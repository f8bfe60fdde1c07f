"""Open periods of shards, with crashes, in whatever shards come after them, against plain sets.

::

    life 1   3 shards   windows 0 1 2 3 │ 4 5 ✗            published: 0–3, with what they added
    life 2   1 shard                    │ 4 5 6 7 8 │ 9 ✗  begins with what 0–3 have added
    life 3   2 shards                               │ 9 …
"""

import dataclasses
import math
import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np
import pytest

from streamagg.core import periods
from streamagg.core.calendars import Calendars
from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.measures import kept, sketch, uniques
from streamagg.core.measures.sketch import Estimate
from streamagg.core.open_window import OpenWindow, Rules
from streamagg.core.period_state import restored
from streamagg.core.periods import Periods
from streamagg.core.sharding import split
from streamagg.core.window_tables import WindowTables
from streamagg.core.windows import Windows
from streamagg.errors import CheckpointError
from streamagg.model.columns import Columns, delivered_schema_of
from streamagg.model.groups import group_text, texts_of
from streamagg.model.periods import Gained
from streamagg.model.results import Number, number_of
from streamagg.model.settings import (
    NO_CEILING,
    CalendarSettings,
    CeilingSettings,
    DecodeSettings,
    MeasureOp,
    MeasureSettings,
    WindowSettings,
)
from tests.support.periods import ended

MINUTE_MS = 60_000
WINDOW = WindowSettings(
    granularity_ms=15 * MINUTE_MS,
    calendars=(
        CalendarSettings("hour", 60 * MINUTE_MS),
        CalendarSettings("2h30m", 150 * MINUTE_MS),  # not all of them in one period of the next
        CalendarSettings("4h", 240 * MINUTE_MS),
        CalendarSettings("day", 24 * 60 * MINUTE_MS),
    ),
)
WINDOWS = Windows(WINDOW)
KEPT = 5
"""Hashes of a sketch here, whose estimate is the greatest of them."""
OPS: tuple[MeasureOp, ...] = ("count", "sum", "avg", "min", "max", "first", "last", "uniques")
Key = tuple[int, int]
"""Of a period, or of a window: then the calendar is -1."""
Out = TypeVar("Out")
Result = dict[str, list[Number]]
"""What each group comes to, by measure; of all groups together under an empty name."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was counted."""

    window: int
    user: int
    group: str
    value: float
    offset: int


@dataclass(frozen=True, slots=True)
class Job:
    """What is counted, and of what."""

    rows: Sequence[Row]
    grouped: bool
    ceiling: CeilingSettings = NO_CEILING

    @property
    def decode(self) -> DecodeSettings:
        return DecodeSettings(
            group_by=("g",) if self.grouped else (),
            measures=tuple(MeasureSettings(op, op, "v") for op in OPS),
        )


def job(seed: int, *, grouped: bool = True, windows: int = 45, **more: object) -> Job:
    """Rows of a day in a random order; some windows have none."""
    rng = random.Random(seed)
    users = [rng.getrandbits(64) for _ in range(14)]
    drawn = [
        (window, rng.choice(users), rng.choice("aaabc"), rng.choice([0.1, 0.2, 3.0, 1e16, math.nan]))
        for window in range(30, 30 + windows)
        for _ in range(rng.choice([0, 0, 1, 3, 6]))
    ]
    rows = [Row(*row, offset) for offset, row in enumerate(drawn)]
    rng.shuffle(rows)
    return Job(rows, grouped, **more)  # type: ignore[arg-type]


def hash_of(value: float) -> int:
    return 0 if math.isnan(value) else int.from_bytes(struct.pack("<d", value))


def columns_of(job: Job, rows: Sequence[Row]) -> Columns:
    schema = delivered_schema_of(job.decode)
    by_name = {
        "user": [row.user for row in rows],
        "group": texts_of(group_text([row.group]) for row in rows).id_column,
        "number:v": [row.value for row in rows],
        "hash:v": [hash_of(row.value) for row in rows],
        "event_time_ms": [WINDOWS.start_ms(row.window) for row in rows],
        "partition": [0] * len(rows),
        "offset": [row.offset for row in rows],
    }
    empty = zip(schema.names, schema.none(), strict=True)
    return tuple(np.array(by_name[name], column.dtype) for name, column in empty)


TEXTS = texts_of(group_text([name]) for name in "abc")


class Shard:
    """A shard of a session: counts windows, and periods of them."""

    def __init__(self, job: Job) -> None:
        self.rules = Rules(job.decode, job.ceiling)
        self.periods = Periods(Calendars(WINDOW), job.decode, job.ceiling, running=True)

    def close(self, number: int, rows: Columns) -> tuple[list[Gained], Answer]:
        """What a window adds, and what it comes to."""
        window = OpenWindow(number, self.rules)
        window.add(rows, len(rows[0]), (TEXTS,))
        answer = window.answer()
        return self.periods.absorb(number, window.gains(answer), answer), answer


def result(job: Job, answers: Sequence[Answer]) -> Result:
    """What shards come to together."""
    tables = WindowTables(job.decode, job.ceiling)
    table = tables.table(ClosedWindow(0, False), tables.combined(answers))
    found: Result = {"": [value.number for value in table.row.values()]}
    if table.groups is not None and table.groups.found is not None:
        rows = zip(*table.groups.columns.values(), strict=True)
        found |= {text.decode(): [*row] for text, row in zip(table.groups.texts, rows, strict=True)}
    return found


def expected(job: Job) -> dict[Key, Result]:
    """Every window and every period, from plain sets and lists."""
    calendars = Calendars(WINDOW)
    rows: dict[Key, list[Row]] = {}
    for row in job.rows:
        keys = [(-1, row.window)]
        keys += [(number, calendars.period(number, row.window).start_ms) for number in range(4)]
        for key in keys:
            rows.setdefault(key, []).append(row)
    return {key: expected_answer(job, found) for key, found in rows.items()}


def expected_answer(job: Job, rows: Sequence[Row]) -> Result:
    names = {row.group for row in rows}
    if not job.grouped or len(names) > job.ceiling.max_groups:
        return {"": expected_values(rows, job.ceiling)}
    groups = {name: [row for row in rows if row.group == name] for name in names}
    return {"": expected_values(rows, job.ceiling)} | {
        group_text([name]).decode(): expected_values(found) for name, found in groups.items()
    }


def expected_values(rows: Sequence[Row], ceiling: CeilingSettings = NO_CEILING) -> list[Number]:
    """Users, records, and what is in ``OPS``."""
    in_order = [row.value for row in sorted(rows, key=lambda row: row.offset)]
    known = [value for value in in_order if not math.isnan(value)]
    found = sorted({row.user for row in rows})
    users = len(found)
    if ceiling.max_users is not None and users > ceiling.max_users:
        users = found[KEPT - 1]
    if not known:
        return [users, len(rows), 0, *[None] * 6, 0]
    exact = sum(map(Fraction, known))
    total = int(exact) if exact.denominator == 1 else float(exact)
    numbers = [float(exact / len(known)), min(known), max(known), known[0], known[-1]]
    return [users, len(rows), len(known), total, *map(number_of, numbers), len(set(known))]


@dataclass(slots=True)
class World:
    """What outlives sessions."""

    results: dict[Key, Result] = field(default_factory=dict)
    """As committed readers have seen them."""
    again: int = 0
    """Answers that came again."""
    changed: int = 0
    """And were others."""
    state: dict[bytes, bytes] = field(default_factory=dict)
    longest: int = 0
    """Of all values of periods."""
    published: int | None = None
    """The last window that is published by the checkpoint."""

    def publish(self, answers: Iterable[tuple[Key, Result]]) -> None:
        for key, value in answers:
            self.again += key in self.results
            self.changed += self.results.get(key, value) != value
            self.results[key] = value

    def keep(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in records:
            self.state.pop(key, None)
            if value is not None:
                self.state[key] = value
                self.longest = max(self.longest, 0 if key == b"head" else len(value))


class Session:
    """From one start to a crash."""

    def __init__(
        self, world: World, job: Job, rng: random.Random, *, exactly_once: bool, mutant: str
    ) -> None:
        self.world, self.job, self.rng = world, job, rng
        self.exactly_once, self.mutant = exactly_once, mutant
        calendars = Calendars(WINDOW)
        until_ms = None if world.published is None else WINDOWS.start_ms(world.published + 1)
        self.state, gained = restored(
            world.state.items(), calendars, f"{rng.getrandbits(64):x}", until_ms, exactly_once=exactly_once
        )
        through_ms = self.state.through_ms
        through = None if through_ms is None or mutant == "no through" else WINDOWS.number(through_ms) - 1
        self.shards = [Shard(job) for _ in range(rng.choice([1, 2, 3]))]
        for number, shard in enumerate(self.shards):
            shard.periods.restore(gained, through, len(self.shards), number)

    def run(self, crash: float) -> bool:
        """Whether it has come to the end."""
        last = max(row.window for row in self.job.rows)
        window = (
            min(row.window for row in self.job.rows)
            if self.world.published is None
            else self.world.published + 1
        )
        while window <= last:
            through = min(last, window + self.rng.choice([0, 0, 1, 5]))
            if not self.publication(range(window, through + 1), crash):
                return False
            window = through + 1
        # Time goes on, until all periods are over.
        return self.publication(range(last + 1, last + 200), crash)

    def publication(self, windows: range, crash: float) -> bool:
        answers = [one for window in windows for one in self.close(window)]
        self.check_so_far(windows[-1])
        return self.end(answers, windows[-1], crash)

    def end(self, answers: list[tuple[Key, Result]], through: int, crash: float) -> bool:
        """What is over with the last window comes behind it."""
        until_ms = WINDOWS.start_ms(through + 1)
        over = ended(self.state, Calendars(WINDOW), until_ms)
        self.check_users()
        for calendar, period in over:
            key = calendar, period.start_ms
            answers.append((key, result(self.job, [shard.periods.answer(*key) for shard in self.shards])))
            for shard in self.shards:
                shard.periods.drop(*key)
        records = self.state.records([] if self.mutant == "kept" else over, until_ms)
        return self.commit(answers, records, through, crash)

    def check_users(self) -> None:
        """The state knows how many there are in each period; asked now and then."""
        if self.job.ceiling.max_users is not None or self.mutant or self.rng.random() < 0.75:
            return
        for key, period in self.state._periods.items():
            found = result(self.job, [shard.periods.answer(*key) for shard in self.shards])
            assert period.users == found[""][0]

    def check_so_far(self, through: int) -> None:
        """What open periods come to is that of their windows; asked now and then, which changes nothing."""
        if not self.exactly_once or self.mutant or through % 3:
            return
        rows = [row for row in self.job.rows if row.window <= through]
        known = expected(replace(self.job, rows=rows))
        for key in self.state.users:
            answers = [shard.periods.answer(*key, running=True) for shard in self.shards]
            assert result(self.job, answers) == known[key]

    def close(self, window: int) -> list[tuple[Key, Result]]:
        """A window without rows is not even noticed."""
        rows = [row for row in self.job.rows if row.window == window]
        if not rows:
            return []
        columns = columns_of(self.job, rows)
        parts = []
        for shard, share in zip(self.shards, split(columns, columns[0], len(self.shards)), strict=True):
            if len(share[0]):
                gained, part = shard.close(window, share)
                self.state.take(gained)
                parts.append(part)
        return [((-1, window), result(self.job, parts))]

    def commit(
        self,
        answers: list[tuple[Key, Result]],
        records: Sequence[tuple[bytes, bytes | None]],
        through: int,
        crash: float,
    ) -> bool:
        """All at once, or step by step as ``sinks.contract`` says; False: it dies on the way."""
        dies = self.rng.random() < crash
        if self.mutant == "apart":
            self.world.keep(records)
        if dies and self.exactly_once:
            return False
        values = [record for record in records if record[1] is not None]
        removed = [record for record in records if record[1] is None]
        last = self.rng.randrange(4) if dies else 4
        self.world.publish(self.some(answers, whole=last > 0))
        for number, step in enumerate((values[:-1], values[-1:], removed), 1):
            if number <= last:
                self.world.keep(self.some(step, whole=last > number))
        if not dies:
            self.world.published = through
        return not dies

    def some(self, step: Sequence[Out], *, whole: bool) -> Sequence[Out]:
        """What of a step gets out."""
        return step if whole else self.rng.sample(step, self.rng.randrange(len(step) + 1))


def counted(job: Job, seed: int, *, exactly_once: bool, mutant: str = "") -> World:
    """What is published by sessions that crash."""
    world, rng, crash = World(), random.Random(seed), 0.3
    while not Session(world, job, rng, exactly_once=exactly_once, mutant=mutant).run(crash):
        crash *= 0.95
    return world


def check(job: Job, seed: int, *, exactly_once: bool) -> None:
    world = counted(job, seed, exactly_once=exactly_once)
    assert world.results == expected(job)
    assert world.changed == 0
    if exactly_once:
        assert world.again == 0
    assert list(world.state) == [b"head"]


@pytest.mark.parametrize("exactly_once", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_periods_come_out_as_if_nothing_had_happened(seed: int, grouped: bool, exactly_once: bool) -> None:
    check(job(seed, grouped=grouped), seed, exactly_once=exactly_once)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 116))
def test_so_they_do_in_many_runs(seed: int) -> None:
    check(job(seed, grouped=seed % 2 == 0, windows=90), seed, exactly_once=seed % 4 < 2)


@pytest.mark.parametrize("seed", range(3))
def test_so_do_those_with_too_many_groups(seed: int) -> None:
    ceiling = CeilingSettings(max_groups=2, above_groups="totals")
    check(job(seed, ceiling=ceiling), seed, exactly_once=seed != 1)


def test_groups_that_are_forgotten_are_named_to_whoever_was_told_of_them() -> None:
    """Also when a session has begun since."""
    rows = [Row(window, 1, group, 1.0, window) for window, group in enumerate("abc")]
    many = Job(rows, grouped=True, ceiling=CeilingSettings(max_groups=2, above_groups="totals"))
    shard, after, gained = Shard(many), Shard(many), list[Gained]()
    for row in rows:
        gained += shard.close(row.window, columns_of(many, [row]))[0]
    after.periods.restore(gained, 2, 1, 0)
    for one in (shard, after):
        for calendar in range(len(WINDOW.calendars)):
            answer = one.periods.answer(calendar, 0, running=True)
            assert answer.dropped
            assert {*texts_of([b'["a"]', b'["b"]']).texts()} <= {*answer.groups.texts()}


@pytest.fixture
def _few_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sketch, whose estimate is the last one."""
    for module in (sketch, uniques):
        monkeypatch.setattr(module, "KEPT_USERS", KEPT)
    monkeypatch.setattr(uniques, "estimate", lambda hashes: Estimate(int(hashes[KEPT - 1]), 0.5))


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("_few_hashes")
def test_so_do_those_that_are_approximated(seed: int, grouped: bool) -> None:
    ceiling = CeilingSettings(max_users=6, above="approximate")
    check(job(seed, grouped=grouped, ceiling=ceiling), seed, exactly_once=seed != 1)


@pytest.mark.parametrize(
    ("mutant", "exactly_once"), [("apart", False), ("kept", True), ("no through", False), ("shards", True)]
)
def test_a_mistake_would_be_noticed(mutant: str, exactly_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ``core.period_state`` tells of."""
    if mutant == "shards":
        monkeypatch.setattr(kept, "shards_of", lambda hashes, shards: (hashes * 0 + 1) % shards)
    wrong = 0
    for seed in range(4):
        asked = job(seed, grouped=seed % 2 == 0)
        world = counted(asked, seed, exactly_once=exactly_once, mutant=mutant)
        wrong += world.results != expected(asked) or world.changed > 0
    assert wrong


def test_state_outside_of_the_transaction_is_refused() -> None:
    """It is ahead of the checkpoint."""
    with pytest.raises(CheckpointError, match="of different moments"):
        counted(job(0), 0, exactly_once=True, mutant="apart")


@pytest.mark.parametrize("grouped", [True, False])
def test_one_that_stops_at_a_ceiling_knows_where_and_goes_on_with_a_higher_one(grouped: bool) -> None:
    """All users are kept up to there, so that nothing is lost."""
    asked = job(5, grouped=grouped)
    low = dataclasses.replace(asked, ceiling=CeilingSettings(max_users=6))
    first = min(row.window for row in asked.rows)
    world, rng = World(), random.Random(5)
    session = Session(world, low, rng, exactly_once=True, mutant="")
    for window in range(first, first + 100):
        answers = session.close(window)
        crowded = any(users > 6 for users in session.state.users.values())
        starts = {Calendars(WINDOW).period(number, window).start_ms for number in range(4)}
        users = max(
            len(
                {
                    row.user
                    for row in asked.rows
                    if start <= WINDOWS.start_ms(row.window) and row.window <= window
                }
            )
            for start in starts
        )
        assert crowded == (users > 6)
        if crowded:
            break
        assert session.end(answers, window, crash=0)
    while not Session(world, asked, rng, exactly_once=True, mutant="").run(0.2):
        pass
    assert world.results == expected(asked)


def test_what_is_large_is_cut_and_put_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "_MOST_BYTES", 100)
    asked = job(6)
    world = counted(asked, 6, exactly_once=True)
    assert world.results == expected(asked)
    assert world.longest == 101
