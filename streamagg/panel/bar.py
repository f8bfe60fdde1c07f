"""One progress bar: what part is done, how many records, how fast, and how long it will take."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from rich.text import Text

from streamagg.panel.drawing import rough
from streamagg.panel.glyphs import Glyphs, cropped

_MOST_BAR: Final = 30
"""Columns: one for each three per cent."""
_LEAST_BAR: Final = 5
"""With fewer, the number beside it says more."""


class BarFoot:
    """A bar at the foot of a terminal; what others write goes above it."""

    def __init__(self, doing: str, total: float | None, clock: Callable[[], float] = monotonic) -> None:
        """``total`` None means that nobody knows where the end is; ``clock`` returns seconds."""
        self._doing = doing
        self._total = total
        self._clock = clock
        self._began_s = clock()
        self._done = (0.0, 0)

    def advance(self, done: float, records: int) -> None:
        """So much is done (in the unit of the total), and so many records that were."""
        self._done = (done, records)

    def lines(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text]:
        """The bar."""
        done, records = self._done
        part = None if self._total is None else min(1.0, done / self._total) if self._total else 1.0
        return [draw_bar(self._doing, part, records, self._clock() - self._began_s, width, glyphs)]

    def hear(self, line: str) -> str:
        """All of it."""
        return line

    def last(self, width: int, height: int, glyphs: Glyphs) -> Sequence[Text]:
        """Nothing: the outcome is printed."""
        return []


def draw_bar(
    doing: str, part: float | None, records: int, elapsed_s: float, width: int, glyphs: Glyphs
) -> Text:
    """``part`` is what is done of 1; None if nobody knows."""
    rate = records / elapsed_s if elapsed_s else 0.0
    words = f"{records:,} records, {rate:,.0f}/s"
    if part is None:
        return cropped(Text(f"{doing}  ").append(words, "bold"), width, glyphs)
    if 0 < part < 1:
        words += f", {rough(elapsed_s * (1 - part) / part)} left"
    share = f"{100 * part:3.0f} %"
    room = min(_MOST_BAR, width - len(f"{doing}  {share}  {words}") - 2)
    line = Text(f"{doing}  ")
    if room >= _LEAST_BAR:
        filled = round(part * room)
        line.append(glyphs.full * filled, "green").append(glyphs.rest * (room - filled) + "  ", "dim")
    return cropped(line.append(f"{share}  ").append(words, "bold"), width, glyphs)
