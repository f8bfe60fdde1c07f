"""The rules that every measure keeps; a further one is a line of ``MEASURES``.

::

    rows        a b a c │ b d      cut anywhere, in any order, in any number of shards: one value
    one state   ────────┼─────▶
    shards      ──▶  ──▶ combined  each with places of its own for the groups it has seen
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamagg.core.measures import sketch, uniques
from streamagg.core.measures.contract import Measure, Places, State, Summary
from streamagg.core.measures.counts import Count, Records
from streamagg.core.measures.distinct import Distinct
from streamagg.core.measures.ends import End
from streamagg.core.measures.exact_sum import Average, Sum
from streamagg.core.measures.extremes import Extreme
from streamagg.core.measures.published import measures_of
from streamagg.core.measures.sketch import Estimate
from streamagg.core.measures.uniques import Uniques
from streamagg.core.sharding import split
from streamagg.model.columns import Columns, UInt64Column, delivered_schema_of, selected
from streamagg.model.results import Number, Value, number_of
from streamagg.model.settings import NO_CEILING, CeilingSettings, DecodeSettings, MeasureOp, MeasureSettings

USER, NUMBER, HASH, TIME, PARTITION, OFFSET, GROUP = range(7)
"""Columns of the rows here; the last one is no measure's business."""
NONE = math.nan
KEPT = 5
"""Hashes of a sketch here, whose estimate tells which they are."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was decoded."""

    user: int
    group: int
    number: float
    hash: int
    time_ms: int
    partition: int
    offset: int


Rows = Sequence[Row]


@dataclass(frozen=True, slots=True)
class Case:
    """A measure, made for rows with groups or without, and what it comes to; None: the window is refused."""

    name: str
    make: Callable[[bool], Measure]
    expected: Callable[[Rows], Value | None]
    of_group: Callable[[Rows], Number]
    bytes_a_row: int = 0
    """At rest; each row of another user, with another value."""
    bytes_a_group: int = 0

    def __str__(self) -> str:
        return self.name


def plain(
    name: str, make: Callable[[], Measure], expected: Callable[[Rows], Number], bytes_a_group: int
) -> Case:
    return Case(name, lambda _: make(), lambda rows: Value(expected(rows)), expected, 0, bytes_a_group)


def users(rows: Rows) -> int:
    return len({row.user for row in rows})


def up_to_nine(rows: Rows) -> Value | None:
    return Value(users(rows)) if users(rows) <= 9 else None


def about(rows: Rows) -> Value:
    found = sorted({row.user for row in rows})
    return Value(len(found)) if len(found) <= 9 else Value(found[KEPT - 1], 0.5)


def values(rows: Rows) -> list[float]:
    return [row.number for row in rows if not math.isnan(row.number)]


def total(rows: Rows) -> Number:
    if not values(rows):
        return None
    exact = sum(map(Fraction, values(rows)))
    if exact.denominator == 1 and abs(exact) < 1 << 63:
        return int(exact)
    return rounded(exact)


def average(rows: Rows) -> Number:
    found = values(rows)
    return rounded(sum(map(Fraction, found)) / len(found)) if found else None


def rounded(exact: Fraction) -> Number:
    try:
        return number_of(float(exact))
    except OverflowError:
        return None


def least(rows: Rows) -> Number:
    return number_of(min(values(rows), default=NONE))


def greatest(rows: Rows) -> Number:
    return number_of(max(values(rows), default=NONE))


def in_order(rows: Rows) -> list[float]:
    return values(sorted(rows, key=lambda row: (row.time_ms, row.partition, row.offset)))


def first(rows: Rows) -> Number:
    return number_of([*in_order(rows), NONE][0])


def last(rows: Rows) -> Number:
    return number_of([NONE, *in_order(rows)][-1])


def distinct(rows: Rows) -> int:
    return len({row.hash for row in rows if row.hash})


def uniques_up_to(ceiling: CeilingSettings) -> Callable[[bool], Measure]:
    return lambda grouped: Uniques(USER, ceiling, grouped=grouped)


ENDS = (NUMBER, TIME, PARTITION, OFFSET)
MEASURES = [
    Case("users", uniques_up_to(NO_CEILING), lambda rows: Value(users(rows)), users, 21, 8),
    Case("users, stop", uniques_up_to(CeilingSettings(9)), up_to_nine, users, 21, 8),
    Case("users, approximate", uniques_up_to(CeilingSettings(9, "approximate")), about, users, 21, 8),
    plain("records", Records, len, 16),
    plain("count", partial(Count, "count", NUMBER), lambda rows: len(values(rows)), 16),
    plain("sum", partial(Sum, "sum", NUMBER), total, 64),
    plain("avg", partial(Average, "avg", NUMBER), average, 64),
    plain("min", partial(Extreme, "min", NUMBER, "min"), least, 16),
    plain("max", partial(Extreme, "max", NUMBER, "max"), greatest, 16),
    plain("first", partial(End, "first", ENDS, "first"), first, 64),
    plain("last", partial(End, "last", ENDS, "last"), last, 64),
    Case(
        "uniques",
        lambda grouped: Distinct("uniques", HASH, grouped=grouped),
        lambda rows: Value(distinct(rows)),
        distinct,
        21,
        8,
    ),
]
every = pytest.mark.parametrize("case", MEASURES, ids=str)
some = settings(max_examples=30)
"""Of each measure and rule, of which there are many."""

IDS = st.integers(0, 40) | st.integers(0, 2**64 - 1)
NUMBERS = st.one_of(
    st.just(NONE),
    st.integers(-3, 3).map(float),
    st.integers(-(2**53), 2**53).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [0.1, 0.2, -0.3, 1e16, -1e16, 5e-324, 1.7e308, -1.7e308, -0.0, 2.0**31, 2.0**62, -(2.0**63)]
    ),
)
GROUPS = 6


@st.composite
def row_lists(draw: st.DrawFn) -> list[Row]:
    """Rows of few times and groups, each at a place of its own in the log."""
    kinds = st.tuples(IDS, st.integers(0, GROUPS - 1), NUMBERS, st.integers(0, 5) | IDS, st.integers(-2, 3))
    drawn = draw(st.lists(kinds, max_size=40))
    return [Row(*each, partition=at % 3, offset=at // 3) for at, each in enumerate(drawn)]


ROWS = row_lists()
CHANCES = st.randoms(use_true_random=False)


@pytest.fixture(autouse=True, scope="module")
def small_sketches() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uniques, "KEPT_USERS", KEPT)
        patch.setattr(sketch, "KEPT_USERS", KEPT)
        patch.setattr(uniques, "estimate", _told)
        yield


def _told(smallest: UInt64Column) -> Estimate:
    assert len(smallest) == KEPT
    return Estimate(int(smallest[-1]), 0.5)


def columns_of(rows: Rows) -> Columns:
    return (
        np.array([row.user for row in rows], np.uint64),
        np.array([row.number for row in rows], np.float64),
        np.array([row.hash for row in rows], np.uint64),
        np.array([row.time_ms for row in rows], np.int64),
        np.array([row.partition for row in rows], np.int64),
        np.array([row.offset for row in rows], np.int64),
        np.array([row.group for row in rows], np.intp),
    )


class Shard:
    """Gives groups places in the order in which it sees them, as an aggregator does."""

    def __init__(self, state: State, *, grouped: bool = True) -> None:
        self.state = state
        self.groups: list[int] = []
        self._grouped = grouped

    def update(self, columns: Columns) -> None:
        rows = len(columns[USER])
        if not self._grouped:
            self.state.update(columns, rows, None, 1)
            return
        groups = columns[GROUP].tolist()
        self.groups += [group for group in dict.fromkeys(groups) if group not in self.groups]
        places = np.array([self.groups.index(group) for group in groups], np.intp)
        self.state.update(columns, rows, places, len(self.groups))

    def part(self) -> tuple[Summary, Places | None]:
        """As it arrives at the coordinator."""
        places = np.array(self.groups, np.intp) if self._grouped else None
        return msgspec.msgpack.decode(msgspec.msgpack.encode(self.state.summary())), places


def cut(columns: Columns, chance: random.Random) -> list[Columns]:
    pieces, start = [], 0
    while start < len(columns[USER]):
        stop = start + chance.randrange(1, 20)
        pieces.append(selected(columns, slice(start, stop)))
        start = stop
    return pieces


def told(measure: Measure, summary: Summary) -> tuple[str | None, list[str]]:
    """Values of all and of each group, with their types; None: refused."""
    if measure.refusal(summary) is not None:
        return None, []
    finished = measure.finish(summary)
    return repr(finished.all), list(map(repr, finished.groups))


def expected(case: Case, rows: Rows) -> tuple[str | None, list[str]]:
    every = case.expected(rows)
    if every is None:
        return None, []
    groups = [case.of_group([row for row in rows if row.group == group]) for group in range(GROUPS)]
    return repr(every), list(map(repr, groups))


@every
@some
@given(rows=ROWS, chance=CHANCES)
def test_neither_order_nor_cut_has_a_say(case: Case, rows: list[Row], chance: random.Random) -> None:
    measure = case.make(True)
    shard = Shard(measure.initialize())
    for piece in cut(columns_of(chance.sample(rows, len(rows))), chance):
        shard.update(piece)
    assert told(measure, measure.combine([shard.part()], GROUPS)) == expected(case, rows)


@every
@some
@given(rows=ROWS, chance=CHANCES)
def test_without_groups_it_is_what_all_come_to(case: Case, rows: list[Row], chance: random.Random) -> None:
    measure = case.make(False)
    parts = []
    for share in split(columns_of(rows), columns_of(rows)[USER], chance.randrange(1, 4)):
        shard = Shard(measure.initialize(), grouped=False)
        for piece in cut(share, chance):
            shard.update(piece)
        parts.append(shard.part())
    assert told(measure, measure.combine(parts, 1))[0] == expected(case, rows)[0]


@every
@some
@given(rows=ROWS, shards=st.integers(1, 5), chance=CHANCES)
def test_shards_combined_in_any_order_are_one(
    case: Case, rows: list[Row], shards: int, chance: random.Random
) -> None:
    measure, columns = case.make(True), columns_of(rows)
    parts = []
    for share in split(columns, columns[USER], shards):
        shard = Shard(measure.initialize())
        for piece in cut(share, chance):
            shard.update(piece)
        parts.append(shard.part())
    chance.shuffle(parts)
    # Some at once, and the others with what these come to.
    some = chance.randrange(1, shards + 1)
    whole = measure.combine([(measure.combine(parts[:some], GROUPS), None), *parts[some:]], GROUPS)
    assert told(measure, whole) == expected(case, rows)


@every
@some
@given(rows=ROWS)
def test_a_summary_takes_nothing_away(case: Case, rows: list[Row]) -> None:
    """More rows may follow."""
    measure, columns = case.make(True), columns_of(rows)
    state = measure.initialize()
    state.update(columns, len(rows), columns[GROUP], GROUPS)
    once = state.summary()
    assert state.summary() == once
    assert told(measure, once) == expected(case, rows)
    state.update(columns, len(rows), columns[GROUP], GROUPS)
    assert told(measure, state.summary()) == expected(case, [*rows, *rows])


@every
@pytest.mark.parametrize("grouped", [False, True])
def test_nothing_comes_to_nothing(case: Case, grouped: bool) -> None:
    measure = case.make(grouped)
    nothing = measure.initialize().summary()
    rows = [Row(7, 2, 0.5, 3, 1, 0, 9), Row(7, 0, 0.25, 3, 1, 0, 8)]
    columns = columns_of(rows)
    state = measure.initialize()
    state.update(columns, 2, columns[GROUP] if grouped else None, GROUPS if grouped else 1)
    assert told(measure, nothing) == (expected(case, [])[0], [])
    for pair in ((nothing, state.summary()), (state.summary(), nothing)):
        found = told(measure, measure.combine([(each, None) for each in pair], GROUPS if grouped else 1))
        assert found[: 1 + grouped] == expected(case, rows)[: 1 + grouped]


@every
def test_a_refusal_is_the_end_of_a_sentence_that_says_what_to_do(case: Case) -> None:
    measure, rows = case.make(False), [Row(user, 0, 1.0, 1, 0, 0, user) for user in range(100)]
    state = measure.initialize()
    state.update(columns_of(rows), 100, None, 1)
    refusal = measure.refusal(state.summary())
    if case.expected(rows) is None:
        assert refusal is not None
        assert refusal.startswith("has more than 9 ")
        assert "--max-users" in refusal
    else:
        assert refusal is None


@every
@pytest.mark.parametrize("grouped", [False, True])
def test_memory_does_not_grow_with_what_comes_again(case: Case, grouped: bool) -> None:
    count, groups = 10_000, 100 if grouped else 1
    rows = [Row(at, at % groups, at / 100, at + 1, at, 0, at) for at in range(count)]
    columns, state = columns_of(rows), case.make(grouped).initialize()
    for _ in range(40):
        state.update(columns, count, columns[GROUP] if grouped else None, groups)
    state.summary()
    assert state.nbytes <= count * case.bytes_a_row + groups * case.bytes_a_group
    assert state.users <= count


@every
@pytest.mark.parametrize("grouped", [False, True])
def test_a_state_does_not_keep_what_it_was_given(case: Case, grouped: bool) -> None:
    rows = [Row(at, at % GROUPS, float(at), at + 1, at, 0, at) for at in range(50)]
    measure, columns = case.make(grouped), columns_of(rows)
    state = measure.initialize()
    state.update(columns, 50, columns[GROUP] if grouped else None, GROUPS if grouped else 1)
    for column in columns:
        column[:] = 3
    assert told(measure, state.summary())[0] == expected(case, rows)[0]


OPS: tuple[MeasureOp, ...] = ("count", "sum", "avg", "min", "max", "first", "last", "uniques")


@pytest.mark.parametrize("user_field", ["uid", None])
@pytest.mark.parametrize("group_by", [(), ("country",)])
def test_measures_are_published_in_the_order_of_the_settings(
    user_field: str | None, group_by: tuple[str, ...]
) -> None:
    asked = tuple(MeasureSettings(op.title(), op, "bytes") for op in OPS)
    decode = DecodeSettings(user_field=user_field, group_by=group_by, measures=asked)
    names = [measure.name for measure in measures_of(decode, NO_CEILING)]
    assert names == ["users"] * (user_field is not None) + ["records", *map(str.title, OPS)]


@pytest.mark.parametrize("op", OPS)
def test_a_measure_reads_the_column_of_its_field(op: MeasureOp) -> None:
    asked = (
        MeasureSettings("other", "max", "a"),
        MeasureSettings("it", op, "b"),
        MeasureSettings("z", "last", "c"),
    )
    schema = delivered_schema_of(decode := DecodeSettings(measures=asked))
    columns = dict.fromkeys(schema.names, np.array([5, 6, 7, 8], np.int64))
    columns |= {"number:b": np.array([2.0, NONE, 4.0, 4.0]), "hash:b": np.array([0, 9, 9, 9], np.uint64)}
    measure = measures_of(decode, NO_CEILING)[3]
    state = measure.initialize()
    state.update(tuple(columns[name] for name in schema.names), 4, None, 1)
    expected = {"count": 3, "sum": 10, "avg": 10 / 3, "min": 2, "max": 4, "first": 2, "last": 4, "uniques": 1}
    assert measure.finish(state.summary()).all == Value(expected[op])


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (-0.0, "0"),
        (3.0, "3"),
        (0.5, "0.5"),
        (2.0**62, str(2**62)),
        (2.0**63, repr(2.0**63)),
        (-(2.0**63), repr(-(2.0**63))),
        (math.nan, "None"),
        (math.inf, "None"),
    ],
)
def test_a_whole_number_below_two_to_63_has_no_fraction(value: float, number: str) -> None:
    assert repr(number_of(value)) == number
