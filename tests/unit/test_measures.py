"""The rules that every measure keeps; a further one is a line of ``MEASURES``.

::

    rows        a b a c │ b d      cut anywhere, in any order, in any number of shards: one value
    one state   ────────┼─────▶
    shards      ──▶  ──▶ combined
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamagg.core.measures import sketch, uniques
from streamagg.core.measures.contract import Measure, Summary
from streamagg.core.measures.records import Records
from streamagg.core.measures.sketch import Estimate
from streamagg.core.measures.uniques import Uniques
from streamagg.core.sharding import split
from streamagg.model.columns import USER, Columns, UInt64Column, selected
from streamagg.model.results import Value
from streamagg.model.settings import CeilingSettings
from tests.support.blocks import columns_of

Users = list[int]
KEPT = 5
"""Hashes of a sketch here, whose estimate tells which they are."""


@dataclass(frozen=True, slots=True)
class Case:
    """A measure, and what it comes to by plain sets; None: the window is refused."""

    name: str
    make: Callable[[], Measure]
    expected: Callable[[Users], Value | None]
    bytes_a_user: int

    def __str__(self) -> str:
        return self.name


def _up_to_nine(users: Users) -> Value | None:
    return Value(len(set(users))) if len(set(users)) <= 9 else None


def _about(users: Users) -> Value:
    found = sorted(set(users))
    return Value(len(found)) if len(found) <= 9 else Value(found[KEPT - 1], 0.5)


MEASURES = [
    Case("records", Records, lambda users: Value(len(users)), 0),
    Case("uniques", lambda: Uniques(USER), lambda users: Value(len(set(users))), 24),
    Case("uniques, stop", lambda: Uniques(USER, CeilingSettings(9)), _up_to_nine, 24),
    Case("uniques, approximate", lambda: Uniques(USER, CeilingSettings(9, "approximate")), _about, 24),
]
every = pytest.mark.parametrize("case", MEASURES, ids=str)
USERS = st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=60)


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


def summary_of(measure: Measure, *pieces: Columns) -> Summary:
    """As it arrives at the coordinator."""
    state = measure.initialize()
    for columns in pieces:
        state.update(columns, len(columns[USER]))
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state.summary()))


def combined(measure: Measure, summaries: Sequence[Summary]) -> Summary:
    whole = summaries[0]
    for summary in summaries[1:]:
        whole = measure.combine(whole, summary)
    return whole


def value(measure: Measure, summary: Summary) -> Value | None:
    return None if measure.refusal(summary) else measure.finish(summary)


def cut(columns: Columns, chance: random.Random) -> list[Columns]:
    pieces, first = [], 0
    while first < len(columns[USER]):
        stop = first + chance.randrange(1, 20)
        pieces.append(selected(columns, slice(first, stop)))
        first = stop
    return pieces


@every
@given(users=USERS, chance=st.randoms(use_true_random=False))
def test_neither_order_nor_cut_has_a_say(case: Case, users: Users, chance: random.Random) -> None:
    measure = case.make()
    shuffled = chance.sample(users, len(users))
    assert value(measure, summary_of(measure, *cut(columns_of(shuffled), chance))) == case.expected(users)


@every
@given(users=USERS, shards=st.integers(1, 5), chance=st.randoms(use_true_random=False))
def test_shards_combined_in_any_order_are_one(
    case: Case, users: Users, shards: int, chance: random.Random
) -> None:
    measure, columns = case.make(), columns_of(users)
    parts = split(columns, columns[USER], shards)
    summaries = [summary_of(measure, *cut(part, chance)) for part in parts]
    chance.shuffle(summaries)
    assert value(measure, combined(measure, summaries)) == case.expected(users)


@every
@given(users=USERS)
def test_a_summary_takes_nothing_away(case: Case, users: Users) -> None:
    """More rows may follow."""
    measure, columns = case.make(), columns_of(users)
    state = measure.initialize()
    state.update(columns, len(users))
    first = state.summary()
    assert state.summary() == first
    state.update(columns, len(users))
    assert value(measure, state.summary()) == case.expected(users + users)


@every
def test_nothing_comes_to_nothing(case: Case) -> None:
    measure = case.make()
    nothing, some = summary_of(measure), summary_of(measure, columns_of([1, 2, 2]))
    assert value(measure, nothing) == Value(0)
    for pair in ((nothing, some), (some, nothing)):
        assert value(measure, combined(measure, pair)) == case.expected([1, 2, 2])


@every
def test_a_refusal_is_the_end_of_a_sentence_that_says_what_to_do(case: Case) -> None:
    measure = case.make()
    refusal = measure.refusal(summary_of(measure, columns_of(list(range(100)))))
    if case.expected(list(range(100))) is None:
        assert refusal is not None
        assert refusal.startswith("has more than 9 ")
        assert "--max-users" in refusal
    else:
        assert refusal is None


@every
def test_memory_does_not_grow_with_users_who_come_again(case: Case) -> None:
    state, columns = case.make().initialize(), columns_of(list(range(10_000)))
    for _ in range(40):
        state.update(columns, 10_000)
    state.summary()
    assert state.nbytes <= 10_000 * case.bytes_a_user
    assert state.users <= 10_000


@every
def test_a_state_does_not_keep_what_it_was_given(case: Case) -> None:
    state, users = case.make().initialize(), np.arange(50, dtype=np.uint64)
    state.update((users,), 50)
    users[:] = 7
    measure = case.make()
    assert value(measure, state.summary()) == case.expected(list(range(50)))


def test_names_are_columns_of_the_table_and_different() -> None:
    assert {case.make().name for case in MEASURES} == {"users", "records"}
