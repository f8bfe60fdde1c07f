"""A model of a run as lines of text, for a terminal of any size and encoding."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from streamagg.panel.glyphs import Glyphs, cropped, printable, sparkline
from streamagg.panel.model import Facts, Figures, Line, Model
from streamagg.panel.table import WIDE, Row, moment, table, top_groups
from streamagg.settings.quantities import duration_parts

_MOST_ROWS: Final = 12
"""Windows that are published: more of them move too fast to be read."""
_LEAST_ROWS: Final = 3
"""Windows for whose sake other lines give way."""
_MOST_SPARED: Final = 5
"""Steps of ``_blocks``."""
_MOST_OPEN: Final = 3
"""Open windows, once some are published; with the defaults one or two are open."""
_WARNING_LINES: Final = 4
"""Of one at most, where there are enough rows."""
_FEWER_LINES: Final = 2
"""Of one where there are not."""
_ALL_LINES: Final = 100
"""More than any warning has."""
_MOST_SPARKS: Final = 40
"""Seconds in the sparkline: the line stays within 80 columns."""
_NOTABLE: Final = 0.02
"""From this share of the records on, late and rejected ones stand out; the same that a warning is logged
for."""
_UNITS: Final = ((365 * 86_400, "years"), (86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
_ENDS: Final = frozenset({"ended", "failed"})
_STYLES: Final = {"leader": "bold green", "ended": "bold green", "failed": "bold red"}
_WAITING: Final = "reaching {}, and joining the group ..."
_STANDBY: Final = "another instance of the group counts; this one takes over when that one ends"


def draw(model: Model, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The lines, none of them wider than ``width``, and fewer of them than ``height``.

    Only at the end there may be more: nothing is drawn over them, and all of the warnings can be read.
    """
    ended = model.state in _ENDS
    room = max(1, height - 1)
    # The fewer rows there are, the more is left out before the windows are.
    for spared in range(1 if ended else _MOST_SPARED + 1):
        top, middle, foot = blocks = _blocks(model, width, glyphs, spared)
        gaps = 0 if spared else 3
        left = room - sum(map(len, blocks)) - gaps - 1
        if left >= _LEAST_ROWS:
            break
    groups = _groups(model, left, width, glyphs) if gaps else []
    left -= len(groups) + 1 if groups else 0
    rows = _rows(model.figures, max(left, _LEAST_ROWS) if ended else left) if model.figures else []
    windows = table(rows, width, glyphs, dated=width >= WIDE, users=model.facts.users) if rows else []
    parts = [part for part in (top, middle, windows, groups, foot) if part]
    lines = [line for part in parts for line in (*([Text()] if gaps else []), *part)][1 if gaps else 0 :]
    return [cropped(line, width, glyphs) for line in (lines if ended else lines[:room])]


def draw_warnings(model: Model, width: int, glyphs: Glyphs) -> list[Text]:
    """The last warnings alone, to their ends."""
    return [cropped(line, width, glyphs) for line in _warnings(model.warnings, width, glyphs, _ALL_LINES)]


def rough(seconds: float) -> str:
    """A duration as one would say it: ``5 s``, ``2 min 14 s``, ``3 days``."""
    left = round(seconds)
    for (size, unit), (smaller, below) in zip(_UNITS, (*_UNITS[1:], (1, "")), strict=True):
        if left < size:
            continue
        number, rest = divmod(left, size)
        more = f" {rest // smaller} {below}" if below in ("min", "s") and rest >= smaller else ""
        return f"{number} {unit}{more}"
    return "under a second"


def _blocks(
    model: Model, width: int, glyphs: Glyphs, spared: int
) -> tuple[list[Text], list[Text], list[Text]]:
    """All but the windows.

    1 without empty lines, 2 without what the run is, 3 what it said, 4 what is counted, 5 and what is not.
    """
    top = [_title(model, width, glyphs), _about(model)]
    middle = _middle(model, width, glyphs)
    said = _said(model)
    if spared >= 2 and not model.unready:
        del top[1]
    if spared >= 3 and model.state != "stopping":
        said = []
    if spared >= 4:
        del middle[3 : 4 if spared == 4 else None]
    most = _ALL_LINES if model.state in _ENDS else _FEWER_LINES if spared else _WARNING_LINES
    return top, middle, [*_warnings(model.warnings, width, glyphs, most), *said]


def _title(model: Model, width: int, glyphs: Glyphs) -> Text:
    facts = model.facts
    waits = model.state == "waiting" and model.facts.bootstrap
    state = f"{'waiting for Kafka' if waits else model.state}  {_clock(model.elapsed_s)}"
    title = Text.assemble(("streamagg  ", "bold"), f"{facts.input} {glyphs.arrow} {facts.output}")
    title = cropped(title, width - len(state) - 2, glyphs)
    title.append(" " * (width - title.cell_len - len(state)))
    return title.append(state, _STYLES.get(model.state, "bold yellow"))


def _about(model: Model) -> Text:
    if model.unready:
        return Text("not ready: " + "; ".join(model.unready), "yellow")
    facts = model.facts
    text = (
        f"group {printable(facts.group)}, windows of {duration_parts(facts.granularity_ms)},"
        f" max lag {duration_parts(facts.max_lag_ms)}"
    )
    return Text(text + (f", {model.url}/metrics" if model.url else ""), "dim")


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def _middle(model: Model, width: int, glyphs: Glyphs) -> list[Text]:
    """The figures; a sentence while there are none."""
    if model.figures is not None and model.state != "standby":
        return _figures(model.figures, model.now_ms, width, glyphs)
    text = _STANDBY if model.state == "standby" else _WAITING.format(_reached(model.facts))
    return _wrapped(Text(text), width, glyphs, most=3)


def _reached(facts: Facts) -> str:
    return f"Kafka at {facts.bootstrap}" if facts.bootstrap else facts.output


def _figures(figures: Figures, now_ms: int, width: int, glyphs: Glyphs) -> list[Text]:
    values = {
        "rate": Text.assemble((f"{figures.rate:,.0f} records/s  ", "bold")),
        "to read": Text(_to_read(figures)),
        "event time": Text(_event_time(figures.watermark_ms, now_ms)),
        "counted": Text(f"{figures.counted:,} of {figures.records:,}"),
        "late": _outsiders(figures.late, figures.records, {"closed_early": figures.closed_early}),
        "rejected": _outsiders(sum(figures.rejected.values()), figures.records, figures.rejected),
    }
    label = max(map(len, values)) + 2
    room = min(_MOST_SPARKS, width - label - values["rate"].cell_len)
    if room > 0:
        values["rate"].append(sparkline(figures.rates[-room:], glyphs), "cyan")
    return [Text.assemble((f"{name:<{label}}", "dim"), value) for name, value in values.items()]


def _to_read(figures: Figures) -> str:
    lag, falls = figures.lag, figures.lag_falls
    if not lag:
        return "nothing: read to the end"
    text = f"{lag:,}"
    if lag <= 2 * figures.rate:
        return f"{text}, keeping up"
    if falls is None:
        return text
    if falls > 0:
        return f"{text}, caught up in {rough(lag / falls)}"
    return f"{text}, growing by {-falls:,.0f} a second" if round(falls) else f"{text}, not getting fewer"


def _event_time(watermark_ms: int | None, now_ms: int) -> str:
    if watermark_ms is None:
        return "not known before every partition has had a record"
    apart_s = (now_ms - watermark_ms) / 1_000
    side = "behind" if apart_s >= 0 else "ahead of"
    return f"{rough(abs(apart_s))} {side} the clock: {moment(watermark_ms, dated=True)}"


def _outsiders(number: int, records: int, reasons: Mapping[str, int]) -> Text:
    """Records that are not counted: how many, which part of all, and why."""
    if not number:
        return Text("0")
    share = number / records if records else 0.0
    style = "bold yellow" if share >= _NOTABLE else ""
    text = Text.assemble((f"{number:,} ({_percent(share)})", style))
    known = sorted(((count, reason) for reason, count in reasons.items() if count), reverse=True)
    if known:
        text.append(": " + ", ".join(f"{reason} {count:,}" for count, reason in known))
    return text


def _percent(share: float) -> str:
    if share < 0.0001:
        return "<0.01 %"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _rows(figures: Figures, room: int) -> list[Row]:
    """The last windows that were published, and below them the first of those that are open."""
    if room < 1:
        return []
    waiting = [Row(window.start_ms, None, window.records, open=True) for window in figures.open]
    waiting = waiting[: min(_MOST_OPEN, room // 3 if figures.published else room)]
    published = [
        Row(window.start_ms, window.unique, window.records, window.partial, window.error is not None)
        for window in figures.published
    ]
    few = min(_MOST_ROWS, room - len(waiting))
    return [*(published[-few:] if few else []), *waiting]


def _groups(model: Model, left: int, width: int, glyphs: Glyphs) -> list[Text]:
    """The first groups of the last window that was published, in about half of the lines ``left``."""
    last = model.figures.published[-1] if model.figures and model.figures.published else None
    most = (left - 1) // 2 - 1
    return top_groups(last, most, width, glyphs) if last is not None and last.top and most > 0 else []


def _warnings(lines: Sequence[Line], width: int, glyphs: Glyphs, most: int) -> list[Text]:
    drawn: list[Text] = []
    for line in lines:
        style = "bold red" if line.level == "error" else "yellow"
        text = Text.assemble((f"{line.at}  ", "dim"), (f"{line.level.upper()}  ", style), line.text)
        drawn += _wrapped(text, width, glyphs, most)
    return drawn


def _said(model: Model) -> list[Text]:
    if model.state == "stopping":
        return [Text("stopping ... what is under way is finished; Ctrl-C again ends it at once", "bold")]
    return [] if model.said is None else [Text(f"{model.said.at}  {model.said.text}", "dim")]


def _wrapped(text: Text, width: int, glyphs: Glyphs, most: int) -> list[Text]:
    """In so many lines at most."""
    lines: list[Text] = []
    while len(lines) < most - 1 and text.cell_len > width:
        cut = text.plain.rfind(" ", 0, width + 1)
        head, *_, text = text.divide([cut, cut + 1] if cut > 0 else [width])
        lines.append(head)
    return [*lines, cropped(text, width, glyphs)]
