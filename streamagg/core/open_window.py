"""A window of one shard while its rows come in."""

from typing import Final

import numpy as np

from streamagg.core.closed_window import Answer
from streamagg.core.group_table import GroupTable
from streamagg.core.measures.kept import Gain, gain_of
from streamagg.core.measures.published import measures_of
from streamagg.core.measures.smallest_users import Smallest
from streamagg.core.measures.uniques import CountedPairs, CountedUsers
from streamagg.model.columns import GROUP_COLUMN, Columns, delivered_schema_of
from streamagg.model.groups import NO_TEXTS, Tables, joined
from streamagg.model.settings import CeilingSettings, DecodeSettings

_GATHERED: Final = 1 << 14
"""Rows worth the calls of numpy that they take, about a hundred."""


class Rules:
    """What is computed of every window."""

    def __init__(self, decode: DecodeSettings, ceiling: CeilingSettings, *, sketches: bool = False) -> None:
        self.sketches = sketches
        self.measures = measures_of(decode, ceiling)
        self.grouped = bool(decode.group_by)
        self.group_column = delivered_schema_of(decode).place(GROUP_COLUMN) if self.grouped else 0
        self.most_groups = ceiling.max_groups
        self.gathers = not decode.plain
        """Rows are taken many at once. A set of users alone gathers them itself."""


class OpenWindow:
    """Its groups, and a state of each measure."""

    __slots__ = ("_dropped", "_gathered", "_groups", "_rows", "_rules", "_states", "_waiting", "number")

    def __init__(self, number: int, rules: Rules) -> None:
        self.number = number
        self._rules = rules
        self._rows = 0
        self._gathered: list[tuple[Columns, Tables]] = []
        self._waiting = 0
        """Rows that are gathered."""
        self._states = [measure.initialize() for measure in rules.measures]
        self._groups = GroupTable() if rules.grouped else None
        self._dropped = False
        """There were more groups than a window may have: from then on all rows are of one."""

    def add(self, columns: Columns, rows: int, texts: Tables) -> None:
        """Take so many rows, columns of ``model.columns.delivered_schema_of``, and what names their groups.

        Raises StreamaggError if two groups have one hash.
        """
        self._rows += rows
        if not self._rules.gathers:
            self._take(columns, rows, texts)
            return
        self._gathered.append((columns, texts))
        self._waiting += rows
        if self._waiting >= _GATHERED:
            self._take_gathered()

    def _take_gathered(self) -> None:
        if not self._waiting:
            return
        gathered, rows = self._gathered, self._waiting
        self._gathered, self._waiting = [], 0
        columns = [np.concatenate(parts) for parts in zip(*(c for c, _ in gathered), strict=True)]
        # Each table once: many messages have rows of one block.
        tables = {id(table): table for _, texts in gathered for table in texts}
        self._take(tuple(columns), rows, (joined(tables.values()),) if self._groups is not None else ())

    def _take(self, columns: Columns, rows: int, texts: Tables) -> None:
        places, groups = None, 1
        if self._groups is not None:
            places = self._groups.places(columns[self._rules.group_column], texts)
            groups = len(self._groups)
        for state in self._states:
            state.update(columns, rows, places, groups)
        if groups > self._rules.most_groups:
            self._drop()

    def answer(self) -> Answer:
        """What the rows come to; more of them may follow."""
        self._take_gathered()
        texts = NO_TEXTS if self._groups is None else self._groups.texts()
        summaries = [state.summary() for state in self._states]
        return Answer(summaries, texts, self._dropped, self._smallest())

    def _smallest(self) -> Smallest | None:
        users = self._states[0]  # Nothing stands before them where they are counted.
        if not self._rules.sketches or not isinstance(users, CountedUsers | CountedPairs):
            return None
        return users.smallest()

    def gains(self, answer: Answer) -> list[Gain]:
        """What it adds to the periods that it lies in, by measure; ``answer``: its own, which is the last."""
        known = zip(self._rules.measures, self._states, answer.summaries, strict=True)
        return [gain_of(measure, state, summary) for measure, state, summary in known]

    @property
    def empty(self) -> bool:
        """No row has come."""
        return not self._rows

    @property
    def users(self) -> int:
        """Users held (see ``State.users``)."""
        return sum(state.users for state in self._states)

    @property
    def groups(self) -> int:
        """Groups held."""
        return 0 if self._groups is None else len(self._groups)

    @property
    def nbytes(self) -> int:
        """Memory of all that is held."""
        groups = 0 if self._groups is None else self._groups.nbytes
        waiting = sum(column.nbytes for columns, _ in self._gathered for column in columns)
        return groups + waiting + sum(state.nbytes for state in self._states)

    def _drop(self) -> None:
        self._groups, self._dropped = None, True
        for state in self._states:
            state.ungroup()
