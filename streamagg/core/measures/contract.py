"""What is computed of the rows of a window, and how to add to it: the contract of measures.

A measure is four verbs, those of the aggregate functions of databases::

    shard 0    initialize ── update ── update ──▶ summary ─┐
    shard 1    initialize ── update ────────────▶ summary ─┴─ combine ── finish ──▶ a value of the table

To implement one: a file in this folder with a class that has what ``Measure`` asks for, and one for its
state; a place in ``published.measures_of``; and if it needs a column that rows do not have yet, that column
in ``model.columns.ROWS`` and in the decoder. ``tests/unit/test_measures.py`` holds all measures to the same
rules, and takes a further one as a line of its list.

The rules: what ``finish`` returns depends on the rows alone, not on their order, on how they were cut, or on
how many shards there were (all rows of a user are in one shard). A state keeps no view of the columns it was
given, and its memory is bounded by the users of the window, or by a ceiling. All work is done on columns.
"""

from typing import Any, Protocol

from streamagg.model.columns import Columns
from streamagg.model.results import Value

Summary = Any
"""Of a state, to be sent and combined: plain values that msgpack carries (numbers, bytes, tuples)."""


class State(Protocol):
    """What a measure keeps of the rows of one window and group in one shard."""

    def update(self, columns: Columns, rows: int) -> None:
        """Take so many rows: columns of ``model.columns.ROWS``, shape ``(rows,)``."""

    def summary(self) -> Summary:
        """What these rows come to; more of them may follow."""

    @property
    def users(self) -> int:
        """Users that are kept, and rows that are not merged with them yet; 0 if it keeps none."""

    @property
    def nbytes(self) -> int:
        """Memory that grows with the rows."""


class Measure(Protocol):
    """Something to compute; holds settings, and nothing of any window."""

    @property
    def name(self) -> str:
        """Which column of the table it makes."""

    def initialize(self) -> State:
        """The state of no rows."""

    def combine(self, one: Summary, other: Summary) -> Summary:
        """What the rows of two shards come to together."""

    def refusal(self, summary: Summary) -> str | None:
        """Why a window that comes to this, and all behind it, must not be published; None: it may be."""

    def finish(self, summary: Summary) -> Value:
        """The value to publish; only of what is not refused."""
