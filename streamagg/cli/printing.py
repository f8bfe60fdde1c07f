"""How counts and counters look on a terminal, in a pipe and in a file."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Final

import orjson
import typer

from streamagg.core.windows import Windows
from streamagg.engine.reporting.minute_summary import Reasons, listed
from streamagg.engine.reporting.stats import RunStats
from streamagg.errors import NothingCounted
from streamagg.events import Log
from streamagg.model.results import RECORDS, USERS, Number, WindowTable
from streamagg.model.settings import PLAIN, CountFormat, CountSettings, DecodeSettings
from streamagg.settings.quantities import duration_parts
from streamagg.sinks.json_records import render, rows_of
from streamagg.telemetry import logs

log = Log(__name__)

_ALL: Final = "(all)"
_GROUP_WIDTH: Final = 24
_NUMBER_WIDTH: Final = 12


class WindowPrinter:
    """Prints a line on stdout for each row of a window as it closes, below a heading if the form has one."""

    def __init__(self, form: CountFormat, decode: DecodeSettings = PLAIN, *, periods: bool = False) -> None:
        """``periods``: some lines are of periods of calendars."""
        self._periods = periods
        self._group_by = decode.group_by
        self._measures = [measure.name for measure in decode.measures]
        self._counts = [USERS, RECORDS] if decode.user_field is not None else [RECORDS]
        self._lines = {"table": self._table_lines, "jsonl": self._json_lines, "csv": self._csv_lines}[form]
        self._heading = {"table": self._table_heading, "csv": self._csv_heading}.get(form, lambda: None)()

    def emit(self, windows: Windows, tables: Sequence[WindowTable]) -> None:
        """Print windows, in order."""
        self.print_heading()
        for table in tables:
            # One call: without a buffer each would be a write of its own, and there may be many groups.
            sys.stdout.write("".join(line + "\n" for line in self._lines(windows, table)))
        sys.stdout.flush()

    def print_heading(self) -> None:
        """Print the heading unless it is out; late, so that an unreadable file leaves stdout empty."""
        if self._heading is not None:
            print(self._heading)
        self._heading = None

    def _json_lines(self, windows: Windows, table: WindowTable) -> Iterator[str]:
        return (value.decode() for _, value in render(windows, table, self._group_by))

    def _csv_heading(self) -> str:
        of_groups = [*self._group_by, "groups"] if self._group_by else []
        counts = ["cnt" if name == USERS else name for name in self._counts]
        of_periods = ["calendar", "end"] if self._periods else []
        return _csv(["ts", *of_periods, *of_groups, *counts, *self._measures, "partial", "error"])

    def _csv_lines(self, windows: Windows, table: WindowTable) -> Iterator[str]:
        start = [f"{_start_ms(windows, table) / 1_000:.15g}", *self._csv_period(table)]
        error = None if table.users is None else table.users.error
        partial = str(table.partial).lower()
        numbers = {name: value.number for name, value in table.row.items()}
        of_all = [*[None] * len(self._group_by), _found(table)] if self._group_by else []
        yield _csv([*start, *of_all, *self._numbers(numbers), partial, error])
        for values, row in _groups(table):
            yield _csv([*start, *values, None, *self._numbers(row), partial, None])

    def _csv_period(self, table: WindowTable) -> list[object]:
        if not self._periods:
            return []
        period = table.period
        return [None, None] if period is None else [period.calendar, f"{period.end_ms / 1_000:.15g}"]

    def _table_heading(self) -> str:
        counts = ["unique users" if name == USERS else name for name in self._counts]
        group = [f"{', '.join(self._group_by):<{_GROUP_WIDTH}}"] if self._group_by else []
        names = [f"{name:>{_NUMBER_WIDTH}}" for name in [*counts, *self._measures]]
        return "  ".join([f"{'window start (UTC)':<23}", *group, *names])

    def _table_lines(self, windows: Windows, table: WindowTable) -> Iterator[str]:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=_start_ms(windows, table))
        form = "milliseconds" if start.microsecond else "seconds"
        calendar = "" if table.period is None else f" {table.period.calendar}"
        shown = f"{start.isoformat(' ', form).removesuffix('+00:00') + calendar:<23}"
        error = None if table.users is None else table.users.error
        note = "" if error is None else f"  ± {100 * error:.2g} %"
        note += "  too many groups" if table.groups is not None and table.groups.found is None else ""
        note += "  partial" if table.partial else ""
        numbers = {name: value.number for name, value in table.row.items()}
        group = [f"{_ALL:<{_GROUP_WIDTH}}"] if self._group_by else []
        yield "  ".join([shown, *group, *map(_padded, self._numbers(numbers))]) + note
        for values, row in _groups(table):
            named = ", ".join("(null)" if value is None else value for value in values)
            yield "  ".join([shown, f"{named:<{_GROUP_WIDTH}}", *map(_padded, self._numbers(row))])

    def _numbers(self, numbers: Mapping[str, Number]) -> list[Number]:
        return [numbers[name] for name in [*self._counts, *self._measures]]


def _start_ms(windows: Windows, table: WindowTable) -> int:
    return windows.start_ms(table.window) if table.period is None else table.period.start_ms


def _groups(table: WindowTable) -> Iterator[tuple[list[str | None], dict[str, Number]]]:
    if table.groups is not None:
        yield from ((orjson.loads(text), numbers) for text, numbers in rows_of(table.groups))


def _found(table: WindowTable) -> int | None:
    return None if table.groups is None else table.groups.found


def _padded(number: Number) -> str:
    return f"{'-' if number is None else format(number, ','):>{_NUMBER_WIDTH}}"


def _csv(cells: Sequence[object]) -> str:
    """A line as RFC 4180 has it, without its end."""
    line = StringIO()
    # Quotes stand where a cell has a character of this end.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")


def summary(stats: RunStats) -> str:
    """The counters for a person, two lines, and a third if values were ignored."""
    rejected = sum(stats.rejected.values())
    return (
        f"{stats.records:,} records in {stats.seconds:.1f} s ({stats.records_per_second:,.0f} records/s),"
        f" {stats.windows:,} windows\n"
        f"counted {stats.counted:,}, late {stats.late:,}, rejected {rejected:,}{Reasons(stats.rejected)}"
        + (f"\nvalues ignored: {listed(stats.values_ignored)}" if stats.values_ignored else "")
    )


def rules(settings: CountSettings) -> str:
    """By which rules files were counted, for a person, one line."""
    if not settings.as_run:
        return "in any order: no record is late"
    window = settings.window
    lag, jump = duration_parts(window.max_lag_ms), duration_parts(window.max_jump_ms)
    return f"by the rules of run: max lag {lag}, max jump {jump}"


def refuse_nothing(why: str | None) -> None:
    """The last word on a run to an end that was no success; raises NothingCounted."""
    if why is not None:
        raise NothingCounted(f"Nothing was counted as it is meant: {why}")


def tell_end(stats: RunStats) -> None:
    """The counters at the end of a run: for a person, or as an event in a log for programs."""
    if logs.form() == "human":
        typer.echo(summary(stats), err=True)
        return
    log.info(
        "finished",
        "{records} records in {seconds:.1f} s: counted {counted}, late {late},"
        " rejected {rejected}{reasons}; {windows} windows",
        records=stats.records,
        seconds=stats.seconds,
        counted=stats.counted,
        late=stats.late,
        rejected=sum(stats.rejected.values()),
        reasons=Reasons(stats.rejected),
        values_ignored=stats.values_ignored,
        windows=stats.windows,
    )
