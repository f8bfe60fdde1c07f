"""What came of breaking things: tables and charts of ``tests.chaos`` and ``tests.soak``."""

import statistics
from collections.abc import Sequence

from bench.block import Block, source
from bench.charts import Axis, Line, line_chart
from bench.plots import Found
from bench.table import markdown

HEADINGS = ("fault", "`--only`", "times", "windows", "wrong", "doubled", "lost", "recovery s, median", "most")


def chaos(found: Found) -> list[Block]:
    """Every fault, what was checked after it, and how long it took until windows came again."""
    rows = [_fault(outcome) for outcome in found["outcomes"]]
    text = markdown(HEADINGS, rows, numbers=range(2, len(HEADINGS)))
    sources = [f"{source(found['command'], found['made'])}, seed {found['seed']}"]
    again: dict[str, list[str]] = {}
    for outcome in found["outcomes"]:
        if "again" in outcome:
            how = source(outcome["again"]["command"], outcome["again"]["made"])
            again.setdefault(how, []).append(f"`{outcome['name']}`")
    sources += [f"{', '.join(names)} again: {how}" for how, names in again.items()]
    return [Block("chaos", "\n\n".join([text, *sources]))]


def _fault(outcome: Found) -> list[str]:
    verdict = outcome["verdict"]
    figures = [outcome["times"], *(verdict[name] for name in ("windows", "wrong", "doubled", "lost"))]
    title = outcome["title"] + "".join(f" **{problem}**" for problem in outcome["problems"])
    return [
        title,
        f"`{outcome['name']}`",
        *(f"{figure:,}" for figure in figures),
        *_waits(outcome["recoveries_s"]),
    ]


def _waits(seconds: Sequence[float]) -> list[str]:
    """Median and most."""
    return [f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}"] if seconds else ["-", "-"]


def soak(found: Found) -> list[Block]:
    """Memory of every process over a long run, and what grew in its second half."""
    minutes, samples = found["minutes"], found["samples"]
    title = f"Memory over {minutes:g} minutes at {found['rate']:,} records/s"
    times = sum(hit["times"] for hit in found["hits"])
    kinds = ("coordinator", "unmarshaller", "aggregator")
    svg = line_chart(
        title,
        f"{times} faults; a worker that was killed is followed by its successor",
        Axis("minutes"),
        Axis("resident MB, mean of each kind of process"),
        [Line(kind, [point for each in samples if (point := _memory(each, kind))]) for kind in kinds],
    )
    parts = [_soak_outcome(found), _soak_faults(found["hits"]), _soak_lines(found["lines"])]
    return [Block("soak", "\n\n".join([*parts, source(found["command"], found["made"])]), title, svg)]


def soak_serve(found: Found) -> list[Block]:
    """What grew in the second half of a long run of ``serve``."""
    outcome = (
        f"{found['minutes']:g} minutes, {found['clients']} clients, {found['windows']:,} windows:"
        f" {found['answers']:,} answers, {found['refused']:,} refused, {found['told']:,} events told."
        + "".join(f" Problem: {problem}." for problem in found["problems"])
    )
    parts = [outcome, _soak_lines(found["lines"]), source(found["command"], found["made"])]
    return [Block("soak-serve", "\n\n".join(parts))]


def _memory(sample: Found, kind: str) -> tuple[float, float] | None:
    """Minute and MB; None where none of the kind ran."""
    found = [usage["resident_bytes"] for role, usage in sample["usage"].items() if role.startswith(kind)]
    return (sample["minute"], statistics.mean(found) / 1e6) if found else None


def _soak_outcome(found: Found) -> str:
    verdict = found["verdict"]
    grown = [
        f"{line['role']}: {line['quantity']}" for line in found["lines"] if line["grows"] and line["judged"]
    ]
    return (
        f"{verdict['windows']:,} windows: {verdict['wrong']} wrong, {verdict['doubled']} doubled,"
        f" {verdict['lost']} lost. Grown: {', '.join(grown) or 'nothing'}."
        + "".join(f" Problem: {problem}." for problem in found["problems"])
    )


def _soak_faults(hits: Sequence[Found]) -> str:
    rows = []
    for title in dict.fromkeys(hit["title"] for hit in hits):
        same = [hit for hit in hits if hit["title"] == title]
        waits = [seconds for hit in same for seconds in hit["recoveries_s"]]
        seconds = _waits(waits)
        rows.append([title, str(sum(hit["times"] for hit in same)), *seconds])
    headings = ["fault", "times", "recovery s, median", "most"]
    return markdown(headings, rows, numbers=range(1, len(headings)))


def _soak_lines(lines: Sequence[Found]) -> str:
    rows = [
        [
            *(line["role"], line["quantity"], f"{line['level']:.1f}", f"{line['slope']:+.2f}"),
            f"{line['least']:+.2f} to {line['most']:+.2f}",
            "not judged" if not line["judged"] else "**GROWS**" if line["grows"] else "steady",
        ]
        for line in lines
    ]
    headings = ["second half", "", "median", "slope an hour", "99 % interval", "result"]
    return markdown(headings, rows, numbers=range(2, 5))
