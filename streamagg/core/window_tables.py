"""From the answers of all shards to the table that is published."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from streamagg.core.closed_window import Answer, ClosedWindow
from streamagg.core.group_table import GroupTable
from streamagg.core.measures.contract import Places
from streamagg.core.measures.published import measures_of
from streamagg.core.measures.smallest_users import NOBODY, Smallest, sketches_of, united
from streamagg.core.measures.uniques import too_many
from streamagg.errors import TooManyGroups, TooManyUsers
from streamagg.model.groups import NO_TEXTS
from streamagg.model.results import RECORDS, USERS, Groups, Number, PeriodName, WindowTable
from streamagg.model.settings import CeilingSettings, DecodeSettings

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class WindowTables:
    """Makes them by the settings."""

    def __init__(self, decode: DecodeSettings, ceiling: CeilingSettings, *, sketches: bool = False) -> None:
        self._sketches = sketches
        self._measures = measures_of(decode, ceiling)
        self._grouped = bool(decode.group_by)
        self._ceiling = ceiling

    def combined(self, answers: Sequence[Answer]) -> Answer:
        """What several come to together."""
        dropped = any(answer.dropped for answer in answers)
        if dropped or not self._grouped:
            return self._sum(answers, None, dropped=dropped)
        found = answers[0] if len(answers) == 1 else self._by_group(answers)
        return replace(found, dropped=len(found.groups) > self._ceiling.max_groups)

    def refusal(self, found: Answer, what: str) -> TooManyUsers | None:
        """Why the run stops here: neither this window nor one behind it may be published; None: it may be.

        ``what``: which window or period it is, for a person.
        """
        if found.dropped and self._ceiling.above_groups == "stop":
            return self._too_many_groups(what)
        for measure, summary in zip(self._measures, found.summaries, strict=True):
            if (why := measure.refusal(summary)) is not None:
                return TooManyUsers(f"The {what} {why}")
        return None

    def refusal_of_period(self, users: int, groups: int, what: str) -> TooManyUsers | None:
        """The same of a period that is open, by how many it has so far."""
        ceiling = self._ceiling
        if ceiling.max_users is not None and users > ceiling.max_users and ceiling.above == "stop":
            return TooManyUsers(f"The {what} {too_many(ceiling.max_users)}")
        if groups > ceiling.max_groups and ceiling.above_groups == "stop":
            return self._too_many_groups(what)
        return None

    def _too_many_groups(self, what: str) -> TooManyGroups:
        return TooManyGroups(
            f"The {what} has more than {self._ceiling.max_groups:,} groups, so neither it nor a later one is"
            " published. Run again with a higher --max-groups, or with --above-max-groups totals."
        )

    def table(self, closed: ClosedWindow, found: Answer, period: PeriodName | None = None) -> WindowTable:
        """What is published: of a window, or of a period, whose last window it is then."""
        finished = {
            measure.name: measure.finish(summary)
            for measure, summary in zip(self._measures, found.summaries, strict=True)
        }
        row = {name: one.all for name, one in finished.items()}
        groups, order = None, []
        if found.dropped:
            groups = Groups(None, [], {})
        elif self._grouped:
            columns = {name: one.groups for name, one in finished.items()}
            texts = found.groups.texts()
            order = _order(columns, texts)[: self._ceiling.top].tolist()
            groups = _groups(columns, texts, order)
        sketches = None if found.smallest is None else sketches_of(found.smallest, order)
        return WindowTable(closed.window, closed.partial, row, groups, period, sketches)

    def period(self, name: PeriodName, closed: ClosedWindow) -> WindowTable:
        """What is published of a period, whose answers ``closed`` has; raises TooManyUsers."""
        found = self.combined(closed.answers)
        if (refusal := self.refusal(found, named(name.calendar, name.start_ms))) is not None:
            raise refusal
        return self.table(closed, found, name)

    def running(self, name: PeriodName, closed: ClosedWindow) -> WindowTable | None:
        """The same of a period that is open; None: it is refused, and so will it be in the end."""
        try:
            return self.period(name, closed)
        except TooManyUsers:
            return None

    def empty(self, window: int, partial: bool = False) -> WindowTable:
        """One that nobody hit."""
        return self.table(ClosedWindow(window, partial), self.nothing())

    def nothing(self) -> Answer:
        """Of no rows."""
        nobody = NOBODY if self._sketches else None
        return Answer([measure.initialize().summary() for measure in self._measures], smallest=nobody)

    def _by_group(self, answers: Sequence[Answer]) -> Answer:
        table = GroupTable()
        places = [table.places(answer.groups.id_column, (answer.groups,)) for answer in answers]
        return replace(self._sum(answers, places, groups=len(table)), groups=table.texts())

    def _sum(
        self,
        answers: Sequence[Answer],
        places: Sequence[Places] | None,
        groups: int = 1,
        *,
        dropped: bool = False,
    ) -> Answer:
        if len(answers) == 1 and not dropped:
            return answers[0]
        summaries = []
        for number, measure in enumerate(self._measures):
            parts = [answer.summaries[number] for answer in answers]
            if places is None:
                zeros = [np.zeros(max(1, len(answer.groups)), np.intp) for answer in answers]
                summaries.append(measure.combine(list(zip(parts, zeros, strict=True)), 1))
            else:
                summaries.append(measure.combine(list(zip(parts, places, strict=True)), groups))
        return Answer(summaries, NO_TEXTS, dropped, _united(answers, places))


def _united(answers: Sequence[Answer], places: Sequence[Places] | None) -> Smallest | None:
    lie = [None] * len(answers) if places is None else places
    parts = [(a.smallest, at) for a, at in zip(answers, lie, strict=True) if a.smallest is not None]
    return united(parts) if parts else None


def _groups(columns: dict[str, list[Number]], texts: list[bytes], order: list[int]) -> Groups:
    """In the order in which they are published, without those that are not."""
    return Groups(
        len(texts),
        [texts[place] for place in order],
        {name: [column[place] for place in order] for name, column in columns.items()},
    )


def _order(columns: dict[str, list[Number]], texts: list[bytes]) -> Places:
    """Most users first, of equals most records, of equals by text."""
    by_text = np.empty(len(texts), np.intp)
    by_text[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    records = -np.array(columns[RECORDS], np.int64)
    users = -np.array(columns[USERS], np.int64) if USERS in columns else records
    order: Places = np.lexsort((by_text, records, users))
    return order


def named(what: str, start_ms: int) -> str:
    """A window or period for a person: ``window of 2016-07-11T13:39:00Z``."""
    return f"{what} of {_EPOCH + timedelta(milliseconds=start_ms):%Y-%m-%dT%H:%M:%SZ}"
