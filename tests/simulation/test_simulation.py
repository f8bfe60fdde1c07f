"""The simulator: some seeds, the seeds that once failed, and that it finds what it should find."""

from itertools import chain
from pathlib import Path

import pytest

from tests.simulation import fast_clocks
from tests.simulation.mutants import MUTANTS, Mutant, hunt
from tests.simulation.oracle import Rules, Told, judge
from tests.simulation.world import simulate

RULES = Rules(granularity_ms=10, offset_ms=0, max_lag_ms=5, max_jump_ms=15)


# Each lasts only as long as scenarios are drawn as they are; a test of the part in question stays.
ONCE_WRONG = {
    "a gap that nobody read, as what waited behind it filled the memory": 900,
    "written between a question about silence and its late answer": 5_429,
    "an empty window that is the last one of a period, and partial": 2_353,
}


@pytest.mark.parametrize("seed", ONCE_WRONG.values(), ids=ONCE_WRONG)
def test_seeds_that_once_failed(seed: int) -> None:
    assert not simulate(seed).differences


def test_some_seeds() -> None:
    """`make simulate` plays more of them."""
    wrong = {seed: found for seed in range(60) if (found := simulate(seed).differences)}
    assert not wrong, "replay with python -m tests.simulation --seed N"


@pytest.mark.parametrize("seed", [3, 20, 7], ids=["a broker", "a directory", "a database"])
def test_a_seed_always_plays_the_same(seed: int) -> None:
    first: list[str] = []
    again: list[str] = []
    assert simulate(seed, first.append) == simulate(seed, again.append)
    assert first == again
    assert len(first) > 10


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutants_are_found(mutant: Mutant) -> None:
    seeds = chain([mutant.seed], range(mutant.within))
    assert hunt(mutant, seeds) is not None, f"not within {mutant.within} seeds"


def test_the_oracle_by_hand() -> None:
    """::

    10 to 33  the first of 25 is confirmed by the others
    99        out of reach and alone: future
    -5        its window ended at 0, plus lag 5: late
    """
    times = [10, *[12] * 24, 99, -5, 12]
    judged = judge([Told(time, "u", live=False) for time in times], RULES)
    assert judged.verdicts == [*[1] * 25, "future", "late", 1]


def test_the_oracle_trusts_live_records() -> None:
    judged = judge([Told(time, "u", live=True) for time in (10, 50, 20)], RULES)
    assert judged.verdicts == [1, 5, "late"]


def test_the_table_of_fast_clocks_is_that_of_the_program() -> None:
    page = (Path(__file__).parents[2] / "docs" / "design.md").read_text()
    assert fast_clocks.row_of_built() in page.splitlines()


@pytest.mark.parametrize("case", fast_clocks.CASES, ids=lambda case: case.name)
def test_fast_clocks_make_hardly_any_honest_record_late(case: fast_clocks.Case) -> None:
    found = fast_clocks.built(case)
    assert found.late < 0.02
    assert found.rejected < 0.002
    assert found.waited <= 100


def test_the_rule_before_lost_nearly_all() -> None:
    """What the table is about: the cases can tell a bad rule from a good one."""
    before = fast_clocks.TRIED[0]
    assert sum(fast_clocks.tried(before, case).late > 0.7 for case in fast_clocks.CASES) == 10
