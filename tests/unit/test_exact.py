"""Values taken one by one: what they come to is exact, and rounded once."""

import math
import random
from fractions import Fraction

import pytest

from streamagg.model.settings import MeasureOp
from streamagg.tools.exact import MEASURES, Number, Value, as_published

NEVER = (0, 0, 0)


def of(op: MeasureOp, *values: Value) -> Number:
    measured = MEASURES[op]()
    for value in values:
        measured.add(value, NEVER)
    return measured.result()


def test_a_sum_is_exact_in_any_order() -> None:
    rng = random.Random(1)
    values = [rng.choice([1, -1]) * rng.random() * 10.0 ** rng.randrange(-300, 300) for _ in range(300)]
    for _ in range(5):
        rng.shuffle(values)
        assert of("sum", *values) == math.fsum(values)
    assert of("sum", 1e308, 5e-324, -1e308) == 5e-324
    assert sum([0.1] * 10) != 1
    assert of("sum", *[0.1] * 10) == 1


def test_an_average_is_rounded_once() -> None:
    assert of("avg", 1, 2) == 1.5
    assert of("avg", *[0.1] * 3) == 0.1
    assert of("avg", 2, 2.0**54) == 2**53
    values = [0.1, 0.2, 0.4, 1e16, -1e16]
    assert of("avg", *values) == float(sum(map(Fraction, values)) / len(values))


def test_sums_of_whole_numbers_stay_whole() -> None:
    large = of("sum", 2.0**53, 1.0)
    assert (type(large), large) == (int, 2**53 + 1)
    assert type(of("sum", 0.5, 0.5)) is int


@pytest.mark.parametrize(
    ("exact", "published"),
    [
        (-0.0, "0"),
        (3.0, "3"),
        (2.0**63 - 1024, "9223372036854774784"),
        (2.0**63, "9.223372036854776e+18"),
        (-(2.0**63), "-9.223372036854776e+18"),
        (Fraction(1, 3), "0.3333333333333333"),
        (Fraction(2**54 + 1, 2), "9007199254740992"),
        (Fraction(10**400), "None"),
        (5e-324, "5e-324"),
        (None, "None"),
    ],
)
def test_a_number_is_published_as_whole_as_it_is(exact: Fraction | float | None, published: str) -> None:
    assert repr(as_published(exact)) == published


def test_what_comes_to_nothing() -> None:
    results = {op: of(op) for op in MEASURES}
    assert results == dict.fromkeys(MEASURES) | {"count": 0, "uniques": 0}


def test_the_least_and_the_greatest() -> None:
    assert of("min", 3, -1.5, 7) == -1.5
    assert of("max", 3, -1.5, 7) == 7


def test_first_and_last_go_by_time_then_partition_then_offset() -> None:
    whens = [(5, 1, 0), (4, 1, 9), (4, 0, 7), (9, 0, 1), (9, 1, 1), (9, 1, 0), (4, 0, 8)]
    for op, wanted in (("first", (4, 0, 7)), ("last", (9, 1, 1))):
        measured = MEASURES[op]()  # type: ignore[index]
        for number, when in enumerate(whens):
            measured.add(float(number), when)
        assert measured.result() == whens.index(wanted)


def test_different_values() -> None:
    assert of("uniques", "a", "b", "a", "0") == 3
    assert of("count", "a", "b", "a", "0") == 4
