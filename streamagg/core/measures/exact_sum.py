"""Sums and averages of doubles that do not depend on the order of rows: exact, and rounded once, at the end.

A plain sum rounds after every addition, so that another order of the same values comes to another sum. Here a
sum is an integer in units of 2**-1088, which every finite double is a multiple of. Only those of its *limbs*
are kept that were ever hit, each 32 bits of it in an int64::

    value         mantissa, 53 bits, × 2**exponent
                          ╰─ is cut into ─╮
    limbs         … │ 2**-32 │ 2**0 │ 2**32 │ …        each takes 2**29 additions before a carry is due

Neal: Fast exact summation using small and large superaccumulators, 2015.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamagg.core.measures.by_group import grown, lying
from streamagg.core.measures.contract import Finished, Part, Places
from streamagg.core.measures.counts import Tally
from streamagg.model.columns import Columns, Float64Column, Int64Column
from streamagg.model.results import Number, Value, number_of

Summary = tuple[bytes, int, int, bytes]
"""How many values each group has, int64; the first limb and the number of limbs; and the limbs, int64, group
by group, least first: all but the last from 0 up to 2**32, and that from -2**31 up to 2**31."""

_LIMB_BITS: Final = 32
_UNIT: Final = 34
"""The limb of 2**0."""
_LOWEST_BITS: Final = _UNIT * _LIMB_BITS - 1_074
"""The least double is 2**-1074; so far above the unit."""
_MOST_ADDED: Final = 1 << 29
"""An addition to a limb is below 2**33 in size."""
_ROWS_AT_ONCE: Final = 1 << 14
"""So that what is worked out of them stays in the cache."""
_MASK: Final = (1 << _LIMB_BITS) - 1
_MANTISSA_BITS: Final = 52
_INT64: Final = 1 << 63
_SMALL: Final = 2.0**31
"""Whole numbers below that are one addition to one limb."""
Piece = tuple[Int64Column | int, Int64Column]
"""Limbs, and what is added to each: shape ``(n,)``, or one limb for all."""


class ExactSums:
    """A sum for each group."""

    __slots__ = ("_added", "_first", "_groups", "_limbs")

    def __init__(self) -> None:
        self._limbs = np.zeros((1, 1), np.int64)
        """By group and limb."""
        self._first = _UNIT
        self._groups = 0
        self._added = 0
        """Additions since carries were made, of all groups together."""

    def add(self, values: Float64Column, places: Places | None, groups: int) -> None:
        """Finite values, shape ``(n,)``, each into the sum of its group."""
        self._reserve_groups(groups)
        for start in range(0, len(values), _ROWS_AT_ONCE):
            here = slice(start, start + _ROWS_AT_ONCE)
            rows = values[here]
            self._count(len(rows))
            for limbs, parts in _pieces(rows):
                self._add_piece(limbs, parts, None if places is None else places[here])

    def add_limbs(self, first: int, limbs: Int64Column, places: Places, groups: int) -> None:
        """Sums of other groups, as ``limbs`` has them, each into that of the place where it lies."""
        self._reserve_groups(groups)
        self._count(len(limbs))
        # All at once: one after the other each would copy what is there.
        self._reserve_limbs(first, first + limbs.shape[1] - 1)
        for number in range(limbs.shape[1]):
            self._add_piece(first + number, limbs[:, number], places)

    def ungroup(self) -> None:
        """Make one sum of all."""
        self._carry()
        self._limbs, self._groups = self._limbs.sum(axis=0, keepdims=True), 1
        self._carry()

    def limbs(self) -> tuple[int, Int64Column]:
        """The first limb; and all, shape ``(groups, n)``, as a summary has them."""
        self._carry()
        return self._first, self._limbs[: self._groups]

    @property
    def nbytes(self) -> int:
        """Memory."""
        return self._limbs.nbytes

    def _add_piece(self, limbs: Int64Column | int, parts: Int64Column, places: Places | None) -> None:
        if isinstance(limbs, int):
            self._reserve_limbs(limbs, limbs)
        else:
            self._reserve_limbs(int(limbs.min()), int(limbs.max()))
        at = limbs - self._first
        if places is not None:
            at = at + places * self._limbs.shape[1]
        np.add.at(self._limbs.reshape(-1), at, parts if np.ndim(at) else parts.sum())

    def _count(self, additions: int) -> None:
        if self._added + additions > _MOST_ADDED:
            self._carry()
        self._added += additions

    def _carry(self) -> None:
        """Every limb but the last has 32 bits afterwards, and that one a sign, too."""
        self._added = 0
        limbs = self._limbs
        number = 0
        while number < limbs.shape[1]:
            last = number == limbs.shape[1] - 1
            if last and not ((limbs[:, number] + (1 << 31)) >> _LIMB_BITS).any():
                break
            carry = limbs[:, number] >> _LIMB_BITS
            if last:
                limbs = np.pad(limbs, ((0, 0), (0, 1)))
            limbs[:, number] &= _MASK
            limbs[:, number + 1] += carry
            number += 1
        self._limbs = limbs

    def _reserve_groups(self, groups: int) -> None:
        self._limbs, self._groups = grown(self._limbs, groups, 0), groups

    def _reserve_limbs(self, low: int, high: int) -> None:
        below = max(0, self._first - low)
        above = max(0, high + 1 - self._first - self._limbs.shape[1])
        if below or above:
            self._limbs = np.pad(self._limbs, ((0, 0), (below, above)))
            self._first -= below


def _pieces(values: Float64Column) -> list[Piece]:
    """What is to be added for these values, shape ``(n,)``, finite, ``n > 0``."""
    if np.abs(values).max() < _SMALL:
        whole = values.astype(np.int64)
        if np.array_equal(whole, values):
            return [(_UNIT, whole)]
    bits = values.view(np.int64)
    exponent = (bits >> _MANTISSA_BITS) & 0x7FF
    mantissa = (bits & ((1 << _MANTISSA_BITS) - 1)) | ((exponent > 0).astype(np.int64) << _MANTISSA_BITS)
    # A subnormal double has the exponent of the least normal one, without the leading bit.
    shift = np.maximum(exponent, 1) + (_LOWEST_BITS - 1)
    limbs, within = shift >> 5, shift & (_LIMB_BITS - 1)
    # Nothing is added for a zero, and it must not ask for the limbs of the least doubles.
    limbs[mantissa == 0] = _UNIT
    sign = bits >> 63
    signed = (mantissa ^ sign) - sign
    low, high = (signed & _MASK) << within, (signed >> _LIMB_BITS) << within
    parts = low & _MASK, (low >> _LIMB_BITS) + (high & _MASK), high >> _LIMB_BITS
    return [(limbs + number, part) for number, part in enumerate(parts) if part.any()]


class _Summed:
    """Sums, and how many values are in them."""

    users = 0

    def __init__(self, column: int) -> None:
        self._column = column
        self._tally = Tally()
        self._sums = ExactSums()

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        values = columns[self._column]
        known = ~np.isnan(values)
        if not known.all():
            values, places = values[known], None if places is None else places[known]
        self._tally.add(len(values), places, groups)
        self._sums.add(values, places, groups)

    def take(self, summary: Summary, places: Places | None, groups: int) -> None:
        counts, first, width, raw = summary
        self._tally.add_part(counts, places, groups)
        limbs = np.frombuffer(raw, np.int64).reshape(-1, width)
        self._sums.add_limbs(first, limbs, lying(places, len(limbs)), groups)

    def ungroup(self) -> None:
        self._tally.ungroup()
        self._sums.ungroup()

    def summary(self) -> Summary:
        first, limbs = self._sums.limbs()
        return self._tally.column.tobytes(), first, limbs.shape[1], limbs.tobytes()

    @property
    def nbytes(self) -> int:
        return self._tally.nbytes + self._sums.nbytes


class _Summing:
    """What sums and averages have in common."""

    def __init__(self, name: str, column: int) -> None:
        """``column``: the place of the numbers among the columns, float64, NaN for no value."""
        self.name = name
        self._column = column

    def initialize(self) -> _Summed:
        """No value yet."""
        return _Summed(self._column)

    def combine(self, parts: Sequence[Part], groups: int) -> Summary:
        """The sums of the sums."""
        whole = self.initialize()
        for summary, places in parts:
            whole.take(summary, places, groups)
        return whole.summary()

    def refusal(self, _: Summary) -> None:
        """There may be any."""

    def finish(self, summary: Summary) -> Finished:
        """Rounded here and nowhere else; without values None."""
        counts = np.frombuffer(summary[0], np.int64).tolist()
        sums, exponent = _integers(summary)
        up, unit = max(0, exponent), 1 << max(0, -exponent)
        groups = self._numbers([total << up for total in sums] if up else sums, unit, counts)
        count = sum(counts)
        every = self._number(sum(sums) << up, unit, count) if count else None
        return Finished(Value(every), groups)

    def _numbers(self, sums: list[int], unit: int, counts: list[int]) -> list[Number]:
        """Of each group."""
        pairs = zip(sums, counts, strict=True)
        return [self._number(total, unit, count) if count else None for total, count in pairs]

    def _number(self, total: int, unit: int, count: int) -> Number:
        """Of a sum, in parts of which ``unit`` are 1, of so many values."""
        raise NotImplementedError


class Sum(_Summing):
    """A sum that is whole and below 2**63 in size is told to the last digit."""

    def _numbers(self, sums: list[int], unit: int, counts: list[int]) -> list[Number]:
        if unit == 1 and all(counts) and min(sums, default=0) > -_INT64 and max(sums, default=0) < _INT64:
            return list(sums)  # Nearly always: whole numbers, each group with a value.
        return super()._numbers(sums, unit, counts)

    def _number(self, total: int, unit: int, count: int) -> Number:
        whole, rest = divmod(total, unit)
        return whole if not rest and abs(whole) < _INT64 else _nearest(total, unit)


class Average(_Summing):
    """The double that is nearest to the exact sum divided by the number of values."""

    def _number(self, total: int, unit: int, count: int) -> Number:
        return _nearest(total, unit * count)


def _nearest(total: int, divisor: int) -> Number:
    """Python divides integers with one rounding; above the greatest double there is no number."""
    try:
        return number_of(total / divisor)
    except OverflowError:
        return None


def _integers(summary: Summary) -> tuple[list[int], int]:
    """The sums of all groups as integers, and of which power of two they are multiples."""
    _, first, width, raw = summary
    limbs = np.frombuffer(raw, np.int64).reshape(-1, width)
    exponent = (first - _UNIT) * _LIMB_BITS
    if width == 1:
        return limbs[:, 0].tolist(), exponent
    if width == 2:
        return ((limbs[:, 1] << _LIMB_BITS) + limbs[:, 0]).tolist(), exponent
    words, size = limbs.astype(np.uint32).tobytes(), 4 * width
    starts = range(0, len(words), size)
    return [int.from_bytes(words[at : at + size], "little", signed=True) for at in starts], exponent
