"""The figures of ``serve`` for the report."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.block import Block, source
from bench.table import markdown

Found = Mapping[str, Any]
TIMES: Final = ("p50", "p90", "p99", "max")
QUESTIONS: Final = ("questions", *(f"{name} ms" for name in TIMES), "CPU ms", "memory MB")


def series(found: Found) -> list[Block]:
    """1,000 samples of 10 measures."""
    return [_block("series", "77 million rows, 1,000 samples of 10 measures", found)]


def users(found: Found) -> list[Block]:
    """Of 30 days of minutes."""
    return [_block("users", "30 days of minutes", found)]


def groups(found: Found) -> list[Block]:
    """Of 200 groups."""
    said = f"{found['disk_mb']:,} MB on disk, {found['memory_mb']:,} MB of memory behind these questions."
    return [_block("groups", "30 days of minutes with 200 groups", found, said)]


def live(found: Found) -> list[Block]:
    """1,000 clients."""
    ms = found["ms"]
    said = (
        f"{found['clients']:,} clients listened to {found['windows']} windows, one a second:"
        f" {found['cores']:.3f} cores, {found['idle_cores']:.3f} without them, {found['memory_mb']:,} MB."
        f" They were told {ms['p50']:,.0f} ms after a window was published in the median, {ms['p99']:,.0f} ms"
        f" in p99; {found['missed']} events were missed."
    )
    return [Block("serve-live", f"{said}\n\n{source(found['command'], found['made'])}")]


def fresh(found: Found) -> list[Block]:
    """While measurements come in."""
    age = found["age_ms"]
    cores = ", ".join(f"{name} {used:.2f}" for name, used in found["cores"].items())
    said = (
        f"{found['messages_a_second']:,} messages a second; windows close {found['max_lag_ms']} ms behind"
        f" their ends. The newest value of an answer had left the producer {age['p50']:,.0f} ms ago in the"
        f" median, {age['p99']:,.0f} ms in p99, {age['max']:,.0f} ms at most. Cores in use: {cores}."
    )
    return [_block("fresh", "1,000 samples while messages come in", found, said)]


def beside(found: Found) -> list[Block]:
    """What one would take instead."""
    headings = (
        "7.7 million rows, 1,000 samples",
        *(f"{name} ms" for name in TIMES),
        "disk MB",
        "loaded in s",
    )
    rows = [[row["what"], *_beside(row), _note(row)] for row in found["rows"]]
    text = markdown((*headings, "same answers"), rows, numbers=range(1, len(headings)))
    versions = ", ".join(" ".join(pair) for pair in found["versions"].items())
    return [Block("serve-beside", f"{text}\n\n{versions}; {source(found['command'], found['made'])}")]


def _beside(row: Found) -> Iterator[str]:
    for name in TIMES:
        yield f"{row['ms'][name]:,.1f}" if "ms" in row else "-"
    for name in ("disk_mb", "loading_s"):
        yield f"{row[name]:,}" if name in row else "-"


def _note(row: Found) -> str:
    if "unavailable" in row:
        return str(row["unavailable"])
    return {True: "yes", False: "**no**", None: ""}[row.get("agrees")]


def _block(name: str, title: str, found: Found, *notes: str) -> Block:
    rows = [
        [
            row["what"],
            str(row["questions"]),
            *(f"{row['ms'][name]:,.1f}" for name in TIMES),
            f"{row['cpu_ms']:,.1f}" if "cpu_ms" in row else "-",
            f"{row['memory_mb']:,}" if "memory_mb" in row else "-",
        ]
        for row in found["rows"]
    ]
    text = markdown((title, *QUESTIONS), rows, numbers=range(1, 1 + len(QUESTIONS)))
    return Block(f"serve-{name}", "\n\n".join([text, *notes, source(found["command"], found["made"])]))


FIGURES: Final = {f"serve-{part.__name__}": part for part in (series, users, groups, live, fresh, beside)}
"""Files of results, and what makes blocks of them."""
