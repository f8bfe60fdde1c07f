"""``streamagg verify``: is what was published what the input says?"""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamagg.cli import options as opt
from streamagg.errors import DataDiffers, NothingCounted

if TYPE_CHECKING:
    from streamagg.model.settings import DecodeSettings, RunSettings
    from streamagg.tools.comparison import Verification
    from streamagg.tools.published import Count, Difference
    from streamagg.tools.recount import Recount

SHOWN: Final = 50
"""Differences that a person gets to see; ``--json`` has all."""
PIPE_WIDTH: Final = 160
"""Columns of the table where no terminal gives a width."""


@opt.with_settings
def verify(
    flags: opt.Flags,
    allow_open: Annotated[
        bool,
        typer.Option("--allow-open", help="Windows after the last published one may be missing yet."),
        opt.After("hold_timeout"),
    ] = False,
    allow_repeats: Annotated[
        bool,
        typer.Option("--allow-repeats", help="A window may be there again with the same value."),
        opt.After("hold_timeout"),
    ] = False,
    json: opt.Json = False,
) -> None:
    """Recount the input topic in a simple, independent way and compare every published window.

    Periods of calendars, and the groups of both, are compared likewise. Give it the settings of the run.
    The recount begins with the oldest record of the topic, so that it fits runs which did so too; windows
    published as partial are not compared. Exit code 4 if anything differs.
    """
    resolver = opt.resolver(flags)
    settings = resolver.run_on_topics()
    from streamagg.cli.progress import progress_bar
    from streamagg.tools.comparison import VerifySettings
    from streamagg.tools.verify import verify as compare_topics

    wanted = VerifySettings(
        input=settings.input,
        output=settings.output,
        window=settings.window,
        decode=settings.decode,
        kafka=settings.kafka,
        allow_open=allow_open,
        allow_repeats=allow_repeats,
        ceiling=settings.ceiling,
        hold_timeout_ms=settings.hold_timeout_ms,
    )
    with progress_bar(f"recounting {settings.input}", 1.0, drawn=opt.can_draw(resolver)) as advance:
        outcome = compare_topics(wanted, advance)
    try:
        if json:
            typer.echo(as_json(outcome))
        else:
            print_outcome(outcome, _things(settings))
    finally:
        # Whether anybody reads it or not.
        _judge(outcome, settings)


def _judge(outcome: "Verification", settings: "RunSettings") -> None:
    """Raises DataDiffers and NothingCounted."""
    from streamagg.cli.printing import refuse_nothing

    things = _things(settings)
    nothing_counted = _nothing_counted(outcome.recount, settings.decode)
    if outcome.differences:
        raise DataDiffers(
            f"{len(outcome.differences):,} of the {things} of {settings.output} differ from a recount of"
            f" {settings.input}. If the run had other settings than this recount, give it those."
        )
    refuse_nothing(nothing_counted)
    if not outcome.matching:
        raise NothingCounted(
            f"There was nothing to compare: {outcome.windows:,} {things} recounted, {outcome.open:,} not"
            f" published yet, {outcome.partial:,} partial. Does the run publish in {settings.output}, and has"
            " it yet?"
        )


def _things(settings: "RunSettings") -> str:
    """What was compared, in words."""
    periods = "windows and periods" if settings.window.calendars else "windows"
    return f"{periods} and groups".replace(" and ", ", ", 1) if settings.decode.group_by else periods


def _nothing_counted(recount: "Recount", decode: "DecodeSettings") -> str | None:
    """Why the recount is no success, if nearly none of the records fits the settings."""
    from streamagg.decode.misfit import find_misfit
    from streamagg.engine.reporting.symptoms import FitWatch, Symptoms

    now_ms = int(time() * 1_000)
    samples = {why: find_misfit(payload, why, decode, now_ms) for why, payload in recount.samples.items()}
    symptoms = Symptoms(recount.consumed, Counter(recount.unlikely), samples)
    return FitWatch().end(symptoms, recount.counted, recount.rejected)


def print_outcome(outcome: "Verification", things: str) -> None:
    """Differences as a table, then two lines of totals, of what ``things`` says."""
    if outcome.differences:
        _print_table(outcome.differences)
    recount = outcome.recount
    rejected = "".join(f", {reason} {count:,}" for reason, count in sorted(recount.rejected.items()))
    ignored = "".join(f", {name} {count:,}" for name, count in sorted(recount.ignored.items()))
    typer.echo(
        f"{recount.consumed:,} records recounted in {outcome.seconds:.1f} s: {recount.counted:,} counted,"
        f" {recount.late:,} late, {sum(recount.rejected.values()):,} rejected{rejected}"
        + (f"; values ignored{ignored.replace(',', ':', 1)}" if ignored else "")
    )
    typer.echo(
        f"{outcome.matching:,} of {outcome.windows:,} {things} agree, {len(outcome.differences):,} differ,"
        f" {outcome.open:,} not published yet, {outcome.partial:,} partial"
    )


def _print_table(differences: "tuple[Difference, ...]") -> None:
    """On a terminal with lines and colours, in a pipe without."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("window start (UTC)", "epoch", "what", "recounted: users / records", "published")
    for difference in differences[:SHOWN]:
        table.add_row(
            *_when(difference.window_ms),
            escape(_what(difference)),
            "-" if difference.recounted is None else _words(difference.recounted),
            "\n".join(map(_words, difference.published)) or escape(difference.detail) or "-",
        )
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if not console.is_terminal:
        table.box = None
    console.print(table)
    if len(differences) > SHOWN:
        typer.echo(f"... and {len(differences) - SHOWN:,} more; --json has all")


def _when(window_ms: int | None) -> tuple[str, str]:
    if window_ms is None:
        return "-", "-"
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=window_ms)
    return f"{start:%Y-%m-%d %H:%M:%S}", f"{window_ms / 1_000:.15g}"


def _what(difference: "Difference") -> str:
    """What is wrong with which period or group."""
    from streamagg.tools.published import group_text

    group = None if difference.group is None else group_text(difference.group)
    return " ".join(word for word in (difference.kind, difference.calendar, group) if word is not None)


def _words(count: "Count") -> str:
    users = "-" if count.unique is None else f"{'about ' if count.approximate else ''}{count.unique:,}"
    values = [f"{name} {'null' if value is None else value}" for name, value in count.measures]
    return ", ".join([f"{users} / {count.records:,}", *_groups(count), *values])


def _groups(count: "Count") -> list[str]:
    if count.groups_dropped:
        return ["groups dropped"]
    return [] if count.groups is None else [f"{count.groups:,} groups"]


def as_json(outcome: "Verification") -> str:
    """The outcome for a program; times in seconds."""
    import orjson

    recount = outcome.recount
    return orjson.dumps(
        {
            "windows": outcome.windows,
            "matching": outcome.matching,
            "open": outcome.open,
            "partial": outcome.partial,
            "differences": [_difference(one) for one in outcome.differences],
            "records": recount.consumed,
            "counted": recount.counted,
            "late": recount.late,
            "rejected": recount.rejected,
            "ignored": recount.ignored,
            "seconds": round(outcome.seconds, 3),
        }
    ).decode()


def _difference(one: "Difference") -> dict[str, object]:
    return {
        "ts": None if one.window_ms is None else one.window_ms / 1_000,
        "kind": one.kind,
        "calendar": one.calendar,
        "group": one.group,
        "recounted": None if one.recounted is None else _count(one.recounted),
        "published": [_count(count) for count in one.published],
        "detail": one.detail,
    }


def _count(count: "Count") -> dict[str, object]:
    known = count._asdict() | {"measures": dict(count.measures)}
    end_ms = known.pop("end_ms")
    return known | {"end": None if end_ms is None else end_ms / 1_000}
