"""What the values of a field come to, taken one by one: exact, and rounded once at the end."""

from collections.abc import Callable
from fractions import Fraction
from typing import Final, Protocol

from streamagg.model.settings import MeasureOp

Number = int | float | None
Value = float | str
"""Of a field: a double, or what is told apart for ``uniques``."""
When = tuple[int, int, int]
"""Event time, partition and offset of a record."""

LEAST_DOUBLE_BITS: Final = 1_074
"""Every double is a whole number of 2**-1074."""


class Measured(Protocol):
    """The values so far."""

    def add(self, value: Value, when: When) -> None:
        """One more."""

    def result(self) -> Number:
        """What they come to, as it is published; None where there is none."""


def as_published(exact: Fraction | float | None) -> Number:
    """A whole number below 2**63 as that, any other as the nearest double; None if that is none."""
    if exact is None:
        return None
    exact = Fraction(exact)
    if exact.denominator == 1 and abs(exact) < 2**63:
        return int(exact)
    nearest = nearest_double(exact)
    return int(nearest) if nearest is not None and nearest.is_integer() and abs(nearest) < 2**63 else nearest


def nearest_double(exact: Fraction) -> float | None:
    """None if it is too large for one."""
    try:
        return float(exact)
    except OverflowError:
        return None


class Count:
    """How many values there are."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values = 0

    def add(self, value: Value, when: When) -> None:
        """One more."""
        self._values += 1

    def result(self) -> Number:
        """The number of them."""
        return self._values


class Sum:
    """Their sum, as a whole number of 2**-1074."""

    __slots__ = ("_units", "_values")

    def __init__(self) -> None:
        self._units = self._values = 0

    def add(self, value: Value, when: When) -> None:
        """One more."""
        numerator, denominator = float(value).as_integer_ratio()
        # The denominator is a power of two.
        self._units += numerator << LEAST_DOUBLE_BITS + 1 - denominator.bit_length()
        self._values += 1

    def result(self) -> Number:
        """The sum, rounded."""
        return as_published(self._exact()) if self._values else None

    def _exact(self) -> Fraction:
        return Fraction(self._units, 1 << LEAST_DOUBLE_BITS)


class Average(Sum):
    """Their sum by their number, rounded to a double even where it is a whole number."""

    __slots__ = ()

    def result(self) -> Number:
        """The average, rounded."""
        return as_published(nearest_double(self._exact() / self._values)) if self._values else None


class Best:
    """One of them: the first in an order."""

    __slots__ = ("_best", "_comes_before", "_value")

    def __init__(self, comes_before: Callable[[Value, When, Value, When], bool]) -> None:
        self._comes_before = comes_before
        self._value: Value | None = None
        self._best: When = (0, 0, 0)

    def add(self, value: Value, when: When) -> None:
        """One more."""
        if self._value is None or self._comes_before(value, when, self._value, self._best):
            self._value, self._best = value, when

    def result(self) -> Number:
        """That one."""
        return None if self._value is None else as_published(float(self._value))


class Uniques:
    """How many are different."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: set[Value] = set()

    def add(self, value: Value, when: When) -> None:
        """One more."""
        self._values.add(value)

    def result(self) -> Number:
        """The number of different ones."""
        return len(self._values)


MEASURES: Final[dict[MeasureOp, Callable[[], Measured]]] = {
    "count": Count,
    "sum": Sum,
    "avg": Average,
    "min": lambda: Best(lambda value, when, best, then: value < best),  # type: ignore[operator]
    "max": lambda: Best(lambda value, when, best, then: value > best),  # type: ignore[operator]
    "first": lambda: Best(lambda value, when, best, then: when < then),
    "last": lambda: Best(lambda value, when, best, then: when > then),
    "uniques": Uniques,
}
