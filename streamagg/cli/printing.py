"""How counts and counters look on a terminal, in a pipe and in a file."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

from streamagg.core.windows import Windows
from streamagg.engine.reporting.minute_summary import Reasons
from streamagg.engine.reporting.stats import RunStats
from streamagg.errors import NothingCounted
from streamagg.events import Log
from streamagg.model.results import RECORDS, USERS, Row, WindowTable
from streamagg.model.settings import CountFormat, CountSettings
from streamagg.settings.quantities import duration_parts
from streamagg.sinks.json_records import render_row
from streamagg.telemetry import logs

log = Log(__name__)

_HEADINGS: Final[dict[CountFormat, str]] = {
    "table": f"{'window start (UTC)':<23}  {'unique users':>12}  {'records':>12}",
    "csv": "ts,cnt,records,partial,error",
}


class WindowPrinter:
    """Prints a line on stdout for each row of a window as it closes, below a heading if the form has one."""

    def __init__(self, form: CountFormat) -> None:
        self._line = {"table": _table_row, "jsonl": _json_line, "csv": _csv_row}[form]
        self._heading = _HEADINGS.get(form)

    def emit(self, windows: Windows, tables: Sequence[WindowTable]) -> None:
        """Print windows, in order."""
        self.print_heading()
        rows = ((table, row) for table in tables for row in table.rows.values())
        sys.stdout.writelines(self._line(windows, table, row) + "\n" for table, row in rows)
        sys.stdout.flush()

    def print_heading(self) -> None:
        """Print the heading unless it is out; late, so that an unreadable file leaves stdout empty."""
        if self._heading is not None:
            print(self._heading)
        self._heading = None


def summary(stats: RunStats) -> str:
    """The counters for a person, two lines."""
    rejected = sum(stats.rejected.values())
    return (
        f"{stats.records:,} records in {stats.seconds:.1f} s ({stats.records_per_second:,.0f} records/s),"
        f" {stats.windows:,} windows\n"
        f"counted {stats.counted:,}, late {stats.late:,}, rejected {rejected:,}{Reasons(stats.rejected)}"
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
        windows=stats.windows,
    )


def _json_line(windows: Windows, table: WindowTable, row: Row) -> str:
    return render_row(windows, table, row)[1].decode()


def _csv_row(windows: Windows, table: WindowTable, row: Row) -> str:
    key, _ = render_row(windows, table, row)
    users, records = row[USERS], row[RECORDS]
    error = "" if users.error is None else str(users.error)
    return f"{key.decode()},{users.number},{records.number},{str(table.partial).lower()},{error}"


def _table_row(windows: Windows, table: WindowTable, row: Row) -> str:
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=windows.start_ms(table.window))
    shown = start.isoformat(" ", "milliseconds" if start.microsecond else "seconds").removesuffix("+00:00")
    users, records = row[USERS], row[RECORDS]
    note = "" if users.error is None else f"  ± {100 * users.error:.2g} %"
    note += "  partial" if table.partial else ""
    return f"{shown:<23}  {users.number:>12,}  {records.number:>12,}{note}"
