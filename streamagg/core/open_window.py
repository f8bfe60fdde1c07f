"""A window of one shard while its rows come in."""

from streamagg.core.closed_window import Answer
from streamagg.core.group_table import GroupTable
from streamagg.core.measures.kept import Gain, gain_of
from streamagg.core.measures.published import measures_of
from streamagg.model.columns import GROUP_COLUMN, Columns, delivered_schema_of
from streamagg.model.groups import NO_TEXTS, Tables
from streamagg.model.settings import CeilingSettings, DecodeSettings


class Rules:
    """What is computed of every window."""

    def __init__(self, decode: DecodeSettings, ceiling: CeilingSettings) -> None:
        self.measures = measures_of(decode, ceiling)
        self.grouped = bool(decode.group_by)
        self.group_column = delivered_schema_of(decode).place(GROUP_COLUMN) if self.grouped else 0
        self.most_groups = ceiling.max_groups


class OpenWindow:
    """Its groups, and a state of each measure."""

    __slots__ = ("_dropped", "_groups", "_rows", "_rules", "_states", "number")

    def __init__(self, number: int, rules: Rules) -> None:
        self.number = number
        self._rules = rules
        self._rows = 0
        self._states = [measure.initialize() for measure in rules.measures]
        self._groups = GroupTable() if rules.grouped else None
        self._dropped = False
        """There were more groups than a window may have: from then on all rows are of one."""

    def add(self, columns: Columns, rows: int, texts: Tables) -> None:
        """Take so many rows, columns of ``model.columns.delivered_schema_of``, and what names their groups.

        Raises StreamaggError if two groups have one hash.
        """
        places, groups = None, 1
        if self._groups is not None:
            places = self._groups.places(columns[self._rules.group_column], texts)
            groups = len(self._groups)
        self._rows += rows
        for state in self._states:
            state.update(columns, rows, places, groups)
        if groups > self._rules.most_groups:
            self._drop()

    def answer(self) -> Answer:
        """What the rows come to; more of them may follow."""
        texts = NO_TEXTS if self._groups is None else self._groups.texts()
        return Answer([state.summary() for state in self._states], texts, self._dropped)

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
        return groups + sum(state.nbytes for state in self._states)

    def _drop(self) -> None:
        self._groups, self._dropped = None, True
        for state in self._states:
            state.ungroup()
