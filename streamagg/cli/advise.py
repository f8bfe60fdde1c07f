"""``streamagg advise``: how late records come, which clocks are fast, what other settings would lose."""

import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamagg.cli import options as opt
from streamagg.errors import SettingsError
from streamagg.settings.quantities import duration_parts
from streamagg.settings.table import READING

if TYPE_CHECKING:
    from rich.table import Table

    from streamagg.core.max_jumps import Loss
    from streamagg.engine.advise import Advice
    from streamagg.model.settings import AdviseSettings, WindowSettings

ONE_IN: Final = (100, 1_000, 10_000, None)
"""Max lags are looked for that lose at most one record in so many, or none."""
PIPE_WIDTH: Final = 100
"""Columns of the tables where no terminal gives a width."""
BAR_WIDTH: Final = 30
"""Columns: the table with it fits into 80."""
MOST_FAST: Final = 10
"""Partitions that are named for fast clocks; ``--json`` has all."""


@opt.with_settings
def advise(
    flags: opt.Flags,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILES...", help="JSON lines instead of a topic, plain, .gz or .zst; - is standard input."
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="Where to begin: earliest, or a time (ISO 8601 or epoch seconds). [earliest]",
            rich_help_panel=READING,
            show_default=False,
        ),
        opt.After("from"),
    ] = None,
    json: opt.Json = False,
) -> None:
    """Tell how late the records of a topic come, which clocks are fast, and what other settings would lose.

    Reads the topic as it is when the command begins, or files. Nothing is written or committed.
    """
    if files and (flags["input"] is not None or from_ is not None):
        raise SettingsError(
            "FILES are read from front to back instead of a topic: leave out --input and --from."
        )
    resolver = opt.resolver(flags)
    settings = resolver.advise(files or [])
    from streamagg.cli.printing import refuse_nothing
    from streamagg.cli.progress import progress_bar
    from streamagg.engine.advise import advise as read
    from streamagg.engine.advise import extents
    from streamagg.sources.contract import UNKNOWN_END

    found = extents(settings)
    total = sum(extent.end - extent.begin for extent in found.values())
    whole = float(total) if total < UNKNOWN_END else None
    with progress_bar("reading", whole, drawn=opt.can_draw(resolver)) as advance:
        advice = read(settings, found, advance)
    try:
        if json:
            typer.echo(as_json(settings, advice))
        else:
            print_advice(settings, advice)
    finally:
        # Whether anybody reads it or not.
        refuse_nothing(advice.nothing_counted)


def print_advice(settings: "AdviseSettings", advice: "Advice") -> None:
    """Tables below two lines that say what they are about, and what is said of fast clocks."""
    from rich.console import Console

    window = settings.window
    rejected = sum(advice.rejected.values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(advice.rejected.items()))
    typer.echo(
        f"{advice.records:,} records of {settings.input or ', '.join(settings.files)} read in"
        f" {advice.seconds:.1f} s: {advice.lateness.accepted:,} accepted, {rejected:,} rejected"
        + (f" ({reasons})" if reasons else "")
    )
    typer.echo(
        f"windows of {duration_parts(window.granularity_ms)}, max jump {duration_parts(window.max_jump_ms)}"
    )
    _print_groups(settings, advice)
    _print_fast(settings, advice)
    if not advice.lateness.accepted:
        return
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    tables = [_behind(advice), _lost(window, advice), _smallest(advice)]
    losses = advice.losses(window)
    if advice.fast() or len({(loss.late, loss.future) for loss in losses.values()}) > 1:
        tables.append(_max_jumps(window, losses, advice.lateness.accepted + advice.rejected.get("future", 0)))
    for table in tables:
        if not console.is_terminal:
            table.box = None
        console.print()
        console.print(table)


def _print_groups(settings: "AdviseSettings", advice: "Advice") -> None:
    """How many there are, and what measures would ignore."""
    from streamagg.engine.reporting.minute_summary import listed

    if advice.groups is not None:
        typer.echo(f"{advice.groups:,} groups by {', '.join(settings.decode.group_by)}")
    if advice.ignored:
        typer.echo(f"values ignored: {listed(advice.ignored)}")


def _behind(advice: "Advice") -> "Table":
    from streamagg.core.lateness_survey import LISTED_MS

    table = _table(
        "How far records are behind the clock of their partition", "behind", "records", "share", ""
    )
    counts = advice.lateness.behind()
    highest = max(counts[1:])
    bounds = [duration_parts(bound) for bound in LISTED_MS]
    between = [f"{low} to {high}" for low, high in pairwise(bounds)]
    names = ["not at all", f"less than {bounds[1]}", *between[1:], f"{bounds[-1]} or more"]
    for name, count in zip(names, counts, strict=True):
        if count:
            bar = "" if name == names[0] else "█" * -(-count * BAR_WIDTH // highest)
            table.add_row(name, f"{count:,}", _share(count, advice.lateness.accepted), bar)
    return table


def _lost(window: "WindowSettings", advice: "Advice") -> "Table":
    table = _table("What comes too late for its window", "--max-lag", "late records", "share", "")
    lost = advice.lateness.lost()
    least = min(lost.values())
    for max_lag_ms, count in lost.items():
        present = max_lag_ms == window.max_lag_ms
        # Once a longer one does not help, the rest would be the same row again and again.
        if present or count > least or max_lag_ms <= _first(lost, least):
            note = "← the present one" if present else ""
            share = _share(count, advice.lateness.accepted)
            table.add_row(duration_parts(max_lag_ms), f"{count:,}", share, note)
    return table


def _first(lost: Mapping[int, int], least: int) -> int:
    """The least max lag that loses no more than this."""
    return min(max_lag_ms for max_lag_ms, count in lost.items() if count == least)


def _smallest(advice: "Advice") -> "Table":
    table = _table("The least max lag that is enough", "to lose", "--max-lag")
    for one_in in ONE_IN:
        smallest_ms = _readable_ms(advice.lateness.smallest_max_lag_ms(one_in))
        what = "nothing" if one_in is None else f"at most {100 / one_in:g} %"
        table.add_row(what, duration_parts(smallest_ms))
    return table


def _print_fast(settings: "AdviseSettings", advice: "Advice") -> None:
    """A sentence for each partition with clocks that are fast, those with most first."""
    fast = advice.fast()
    if fast:
        typer.echo()
    for number, ahead in fast[:MOST_FAST]:
        of = f"partition {number}" if settings.input else settings.files[number]
        least_s, median_s, most_s = (_round_s(ahead.quantile_ms(part)) for part in (0.05, 0.5, 0.95))
        by, more = f"about {median_s:,.10g} s", ""
        if most_s > 1.25 * least_s:
            by, more = f"{least_s:,.10g} to {most_s:,.10g} s", f", half of them {median_s:,.10g} s or more"
        typer.echo(f"{_percent(ahead.share)} of the records of {of} are {by} ahead of the others{more}")
    if len(fast) > MOST_FAST:
        typer.echo(f"and so are some of {len(fast) - MOST_FAST:,} more partitions")


def _round_s(duration_ms: int) -> float:
    """Seconds with three digits that matter."""
    return float(f"{duration_ms / 1_000:.3g}")


def _percent(share: float) -> str:
    """One or two digits that matter, never 0 %."""
    return f"{max(100 * share, 0.0001):.2g} %"


def _max_jumps(window: "WindowSettings", losses: Mapping[int, "Loss"], records: int) -> "Table":
    columns = ("--max-jump", "late records", "rejected as future", "share", "")
    table = _table("What other max jumps would bring", *columns)
    table.columns[3].justify = "right"
    for max_jump_ms, loss in losses.items():
        table.add_row(
            duration_parts(max_jump_ms),
            f"{loss.late:,}",
            f"{loss.future:,}",
            _share(loss.late + loss.future, records),
            "← the present one" if max_jump_ms == window.max_jump_ms else "",
        )
    return table


def _readable_ms(duration_ms: int) -> int:
    """A max lag as people write it, never less: whole seconds above one."""
    return duration_ms if duration_ms <= 1_000 else -(-duration_ms // 1_000) * 1_000


def _share(count: int, accepted: int) -> str:
    """Never 0 % unless there is none."""
    percent = 100 * count / accepted
    return f"{percent:.4f} %" if percent >= 0.0001 or not count else "< 0.0001 %"


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", min_width=len(title) + 4)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if 0 < number < 3 else "left", no_wrap=True)
    return table


def as_json(settings: "AdviseSettings", advice: "Advice") -> str:
    """The advice for a program; durations in seconds, not rounded to whole ones."""
    import orjson

    from streamagg.core.lateness_survey import LISTED_MS

    lateness, window = advice.lateness, settings.window
    bounds = [None, *(bound / 1_000 for bound in LISTED_MS), None]
    return orjson.dumps(
        {
            "records": advice.records,
            "accepted": lateness.accepted,
            "rejected": advice.rejected,
            "groups": advice.groups,
            "ignored": advice.ignored,
            "granularity": window.granularity_ms / 1_000,
            "window_offset": window.offset_ms / 1_000,
            "max_jump": window.max_jump_ms / 1_000,
            "behind": [
                {"from": low, "below": high, "records": count}
                for (low, high), count in zip(pairwise(bounds), lateness.behind(), strict=True)
            ],
            "max_lags": [
                {"max_lag": max_lag_ms / 1_000, "late": count, "share": count / max(1, lateness.accepted)}
                for max_lag_ms, count in lateness.lost().items()
            ],
            "smallest": [
                {
                    "share": 0 if one_in is None else 1 / one_in,
                    "max_lag": lateness.smallest_max_lag_ms(one_in) / 1_000,
                }
                for one_in in ONE_IN
            ],
            "ahead": [
                {
                    "partition": number,
                    "records": ahead.records,
                    "share": ahead.share,
                    "from": ahead.quantile_ms(0.05) / 1_000,
                    "median": ahead.quantile_ms(0.5) / 1_000,
                    "to": ahead.quantile_ms(0.95) / 1_000,
                }
                for number, ahead in advice.fast()
            ],
            "max_jumps": [
                {"max_jump": max_jump_ms / 1_000, "late": loss.late, "future": loss.future}
                for max_jump_ms, loss in advice.losses(window).items()
            ],
            "seconds": round(advice.seconds, 3),
        }
    ).decode()
