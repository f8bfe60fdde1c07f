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
    from streamagg.tools.recount import Recount
    from streamagg.tools.verify import Count, Difference, Verification

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

    Give it the settings of the run. The recount begins with the oldest record of the topic, so that it
    fits runs which did so too; windows published as partial are not compared. Exit code 4 if anything
    differs.
    """
    resolver = opt.resolver(flags)
    settings = resolver.run()
    from streamagg.cli.progress import progress_bar
    from streamagg.tools.verify import VerifySettings
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
            print_outcome(outcome)
    finally:
        # Whether anybody reads it or not.
        _judge(outcome, settings)


def _judge(outcome: "Verification", settings: "RunSettings") -> None:
    """Raises DataDiffers and NothingCounted."""
    from streamagg.cli.printing import refuse_nothing

    nothing_counted = _nothing_counted(outcome.recount, settings.decode)
    if outcome.differences:
        raise DataDiffers(
            f"{len(outcome.differences):,} of the windows of {settings.output} differ from a recount of"
            f" {settings.input}. If the run had other settings than this recount, give it those."
        )
    refuse_nothing(nothing_counted)
    if not outcome.matching:
        raise NothingCounted(
            f"There was nothing to compare: {outcome.windows:,} windows recounted, {outcome.open:,} not"
            f" published yet, {outcome.partial:,} partial. Does the run publish in {settings.output}, and has"
            " it yet?"
        )


def _nothing_counted(recount: "Recount", decode: "DecodeSettings") -> str | None:
    """Why the recount is no success, if nearly none of the records fits the settings."""
    from streamagg.decode.misfit import find_misfit
    from streamagg.engine.reporting.symptoms import FitWatch, Symptoms

    now_ms = int(time() * 1_000)
    samples = {why: find_misfit(payload, why, decode, now_ms) for why, payload in recount.samples.items()}
    symptoms = Symptoms(recount.consumed, Counter(recount.unlikely), samples)
    return FitWatch().end(symptoms, recount.counted, recount.rejected)


def print_outcome(outcome: "Verification") -> None:
    """Differences as a table, then two lines of totals."""
    if outcome.differences:
        _print_table(outcome.differences)
    recount = outcome.recount
    rejected = "".join(f", {reason} {count:,}" for reason, count in sorted(recount.rejected.items()))
    typer.echo(
        f"{recount.consumed:,} records recounted in {outcome.seconds:.1f} s: {recount.counted:,} counted,"
        f" {recount.late:,} late, {sum(recount.rejected.values()):,} rejected{rejected}"
    )
    typer.echo(
        f"{outcome.matching:,} of {outcome.windows:,} windows agree, {len(outcome.differences):,} differ,"
        f" {outcome.open:,} not published yet, {outcome.partial:,} partial"
    )


def _print_table(differences: "tuple[Difference, ...]") -> None:
    """On a terminal with lines and colours, in a pipe without."""
    from rich.console import Console
    from rich.table import Table

    table = Table("window start (UTC)", "epoch", "what", "recounted: users / records", "published")
    for difference in differences[:SHOWN]:
        table.add_row(
            *_when(difference.window_ms),
            difference.kind,
            "-" if difference.recounted is None else _words(difference.recounted),
            "\n".join(map(_words, difference.published)) or difference.detail or "-",
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


def _words(count: "Count") -> str:
    return f"{'about ' if count.approximate else ''}{count.unique:,} / {count.records:,}"


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
            "seconds": round(outcome.seconds, 3),
        }
    ).decode()


def _difference(one: "Difference") -> dict[str, object]:
    return {
        "ts": None if one.window_ms is None else one.window_ms / 1_000,
        "kind": one.kind,
        "recounted": None if one.recounted is None else one.recounted._asdict(),
        "published": [count._asdict() for count in one.published],
        "detail": one.detail,
    }
