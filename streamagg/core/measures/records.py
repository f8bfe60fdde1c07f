"""How many records a window has."""

from streamagg.model.columns import Columns
from streamagg.model.results import RECORDS, Value


class _Counted:
    users = nbytes = 0

    def __init__(self) -> None:
        self._records = 0

    def update(self, _: Columns, rows: int) -> None:
        self._records += rows

    def summary(self) -> int:
        return self._records


class Records:
    """Every row is one; a summary is their number."""

    name = RECORDS

    def initialize(self) -> _Counted:
        """None yet."""
        return _Counted()

    def combine(self, one: int, other: int) -> int:
        """Their sum."""
        return one + other

    def refusal(self, _: int) -> None:
        """There may be any number."""

    def finish(self, summary: int) -> Value:
        """As it is."""
        return Value(summary)
