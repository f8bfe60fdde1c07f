"""The live table on a terminal; elsewhere one line for each window."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from streamagg.demo.feed import MINUTES, WINDOW
from streamagg.demo.pipeline import AGGREGATORS, UNMARSHALLERS, Counters
from streamagg.panel.glyphs import glyphs_for
from streamagg.panel.table import Row, table
from streamagg.tools.published import Published

TITLE: Final = "streamagg demo: unique users of every minute and country, counted from a Kafka topic"
PARTS: Final = (
    f"embedded Kafka broker, 1 coordinator, {UNMARSHALLERS} unmarshallers, {AGGREGATORS} aggregators"
)
OTHER_LINES: Final = 10
"""Lines of the screen that are not rows."""
RATE_OVER_S: Final = 3.0
"""Long enough for the rate not to jump with every scrape, of which there are two a second."""
REFRESH_EVERY_S: Final = 0.125
"""Eight pictures a second: smooth to the eye, and little work."""


class Board:
    """What there is to see; a context, so that the terminal is left as it was."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[Published] = []
        self._early: dict[int, Published] = {}
        self._groups: list[Published] = []
        """Of the last minute of which there are any."""
        self._recent: deque[Counters] = deque()
        self._phase = ""
        self._drawn_s = 0.0
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def phase(self, text: str) -> None:
        """What is going on."""
        self._phase = text
        if self._console.is_terminal:
            self._live.update(self._screen(), refresh=True)
        else:
            self._console.print(text, soft_wrap=True)

    def add(self, fresh: Iterable[Published]) -> None:
        """Windows that were published; they may come from several partitions, and are shown in order."""
        for row in fresh:
            if row.group is None:
                self._early[row.window_ms] = row
            else:
                self._group(row)
        while self._early:
            first_ms = min(self._early)
            if self._rows and first_ms > self._rows[-1].window_ms + WINDOW.granularity_ms:
                return
            row = self._early.pop(first_ms)
            self._rows.append(row)
            if not self._console.is_terminal:
                users, records, *_ = row.value
                sums = "".join(f"  {number:>13,} {name}" for name, number in row.value.measures)
                self._console.print(f"{_minute(row)}  {users:>8,} unique users  {records:>8,} records{sums}")

    def _group(self, row: Published) -> None:
        last_ms = self._groups[0].window_ms if self._groups else row.window_ms
        if row.window_ms > last_ms:
            self._groups = []
        if row.window_ms >= last_ms:
            self._groups = sorted([*self._groups, row], key=lambda each: -(each.value.unique or 0))

    def status(self, counters: Counters | None) -> None:
        """The newest counters of the run."""
        if counters is None or (self._recent and self._recent[-1] == counters):
            return
        self._recent.append(counters)
        while counters.at_s - self._recent[0].at_s > RATE_OVER_S:
            self._recent.popleft()

    def refresh(self) -> None:
        """Draw, if it is time."""
        if self._console.is_terminal and monotonic() - self._drawn_s >= REFRESH_EVERY_S:
            self._drawn_s = monotonic()
            self._live.update(self._screen(), refresh=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(f"{TITLE}\n{PARTS}", soft_wrap=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is KeyboardInterrupt:
            self.phase("Stopping ...")
        self._live.stop()

    def _screen(self) -> RenderableType:
        return Group(
            Text(TITLE, "bold", overflow="ellipsis", no_wrap=True),
            Text(PARTS, "dim", overflow="ellipsis", no_wrap=True),
            "",
            *self._table(),
            "",
            Text(self._countries(), overflow="ellipsis", no_wrap=True),
            Text(self._counters(), "bold", overflow="ellipsis", no_wrap=True),
            Text(self._phase, "dim", overflow="ellipsis", no_wrap=True),
        )

    def _table(self) -> list[Text]:
        rows = [Row(row.window_ms, row.value.unique, row.value.records) for row in self._shown()]
        return table(
            rows, self._console.width, glyphs_for(self._console.encoding), dated=False, named="minute"
        )

    def _shown(self) -> Sequence[Published]:
        """As many of the latest rows as the screen has lines for."""
        return self._rows[-max(3, min(MINUTES, self._console.height - OTHER_LINES)) :]

    def _countries(self) -> str:
        """The first ones of a minute, by users."""
        if not self._groups:
            return ""
        shown = [f"{(row.group or ('',))[0]} {row.value.unique:,}" for row in self._groups]
        return f"{_minute(self._groups[0])} by country: {'   '.join(shown)}"

    def _counters(self) -> str:
        if not self._recent:
            return ""
        first, last = self._recent[0], self._recent[-1]
        seconds = last.at_s - first.at_s
        rate = (last.records - first.records) / seconds if seconds else 0
        return (f"{rate:,.0f} records/s   " if rate else "") + (
            f"read {last.records:,}   late {last.late:,}"
            f"   rejected {last.rejected:,}   open windows {last.open_windows}"
        )


def _minute(row: Published) -> str:
    return datetime.fromtimestamp(row.window_ms / 1_000, UTC).strftime("%H:%M")
