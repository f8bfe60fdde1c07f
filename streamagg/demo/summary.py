"""What the demo says at the end."""

from rich.console import Console

from streamagg.demo.feed import Feed
from streamagg.demo.pipeline import AGGREGATORS, UNMARSHALLERS
from streamagg.engine.reporting.stats import RunStats
from streamagg.tools.comparison import Verification
from streamagg.tools.published import Difference, group_text

SHOWN_DIFFERENCES = 5
"""There should be none; a few are enough for a report."""


def print_summary(console: Console, found: Verification, stats: RunStats, feed: Feed) -> None:
    """The verdict first, then where the records went, then what to do next."""
    good = not found.differences and feed.agrees(stats)
    verdict = f"{found.matching} of {found.windows} counts equal an independent recount of the records"
    console.print(f"\n{'OK' if good else 'DIFFERENT'}  {verdict}", style="bold green" if good else "bold red")
    for line in _lines(found, stats, feed):
        console.print(f"    {line}", soft_wrap=True)


def _lines(found: Verification, stats: RunStats, feed: Feed) -> list[str]:
    rejected = sum(stats.rejected.values())
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in sorted(stats.rejected.items()))
    lines = [
        f"{stats.records:,} records = {stats.counted:,} counted + {stats.late:,} late"
        f" + {rejected:,} rejected{':' if reasons else ''}",
    ]
    if reasons:
        lines.append(f"  {reasons}")
    if not feed.agrees(stats):
        recount = feed.recount
        lines.append(
            f"recount: {feed.sent:,} sent, {recount.counted:,} counted, {recount.late:,} late, "
            f"rejected {dict(sorted(recount.rejected.items()))}"
        )
    lines += map(_difference, found.differences[:SHOWN_DIFFERENCES])
    lines.append(
        f"{1 + UNMARSHALLERS + AGGREGATORS} processes, {stats.peak_rss_bytes / 1e6:,.0f} MB together;"
        f" {stats.records_per_second:,.0f} records/s, the pace of the demo"
    )
    lines.append("On a real Kafka: make broker, make replay, make run (see README.md)")
    return lines


def _difference(one: Difference) -> str:
    window = "" if one.window_ms is None else f" window {one.window_ms}"
    window += "" if one.group is None else f" {group_text(one.group)}"
    recounted = "nothing" if one.recounted is None else one.recounted
    detail = f" ({one.detail})" if one.detail else ""
    return f"{one.kind}:{window} recounted {recounted}, published {one.published or 'nothing'}{detail}"
