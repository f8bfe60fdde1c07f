"""What is computed of the rows of a window, and how to add to it: the contract of measures.

A measure is four verbs, those of the aggregate functions of databases::

    shard 0    initialize ── update ── update ──▶ summary ─┐
    shard 1    initialize ── update ────────────▶ summary ─┴─ combine ── finish ──▶ values of the table

Each works on all groups at once: a group is a *place*, a number from 0 on. Which group has which place is
the business of who calls, and may differ from shard to shard; ``combine`` is told where each lies in the
whole. Where records have no groups there is one place, and no column of places.

To implement one: a file in this folder with a class that has what ``Measure`` asks for, and one for its
state; a place in ``published.measures_of``; and if it needs a column that rows do not have yet, that column
in ``model.columns.schema_of`` and in the decoder. ``tests/unit/test_measures.py`` holds all measures to the
same rules, and takes a further one as a line of its list.

The rules: what ``finish`` returns depends on the rows alone, not on their order, on how they were cut, or on
how many shards there were (all rows of a user are in one shard). A state keeps no view of the columns it was
given, and its memory is bounded by the groups of the window and what is different in it, or by a ceiling. All
work is done on columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streamagg.model.columns import Columns
from streamagg.model.results import Number, Value

Places = npt.NDArray[np.intp]
"""Of the groups of rows, or of the groups of a summary in another one; shape ``(n,)``."""
Summary = Any
"""Of a state, to be sent and combined: plain values that msgpack carries (numbers, bytes, tuples).

What it says of groups are raw columns in the order of their places; a group in which no row was yet may be
missing at their end."""
Part = tuple[Summary, Places | None]
"""A summary, and where each of its groups lies in the whole; None: where it lies in the part."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a measure comes to."""

    all: Value
    """Of all groups together."""
    groups: list[Number]
    """Of each group, by place; of no meaning where records have no groups."""


class State(Protocol):
    """What a measure keeps of the rows of one window in one shard."""

    def update(self, columns: Columns, rows: int, places: Places | None, groups: int) -> None:
        """Take so many rows: columns of ``model.columns.delivered_schema_of``, shape ``(rows,)``.

        ``places``: the group of each, below ``groups``, which never falls; None: all are in group 0.
        """

    def ungroup(self) -> None:
        """There are too many groups: take all rows, those that have come and those that will, for one."""

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

    def combine(self, parts: Sequence[Part], groups: int) -> Summary:
        """What the rows of all parts come to together, over so many groups.

        Groups of a part may share a place.
        """

    def refusal(self, summary: Summary) -> str | None:
        """Why a window that comes to this, and all behind it, must not be published; None: it may be."""

    def finish(self, summary: Summary) -> Finished:
        """The values to publish; only of what is not refused."""
