"""Tables of what ``bench.ingest`` has measured."""

from collections.abc import Mapping
from typing import Any, Final

from bench.block import Block, source
from bench.table import markdown

Found = Mapping[str, Any]
_SPEEDS: Final = {
    "bodies_of_100": "bodies of 100, 32 connections, two workers",
    "single_one_worker": "single records, 256 connections, one worker",
    "single_bare_uvicorn": "the same at a bare uvicorn, without Kafka",
}


def ingest(found: Found) -> list[Block]:
    """At full speed, when due, and the traffic of a measurement store."""
    rows = [
        [
            title,
            f"{found[name]['requests_per_second']:,}",
            f"{found[name].get('records_per_second', 0):,}" if "records_per_second" in found[name] else "-",
            f"{found[name]['cpu_us_a_request']:,.0f}",
            f"{found[name]['p50_ms']:,.0f}, {found[name]['p99_ms']:,.0f}",
            f"{found[name]['machine_cores']:.1f}",
        ]
        for name, title in _SPEEDS.items()
    ]
    headings = [
        "as fast as can be",
        "requests/s",
        "records/s",
        "CPU µs a request",
        "p50, p99 ms",
        "cores of all",
    ]
    due = found["single_5000_a_second"]
    ms = due["ms"]
    when_due = (
        f"Of {due['rate']:,} requests a second of one record each, for {due['seconds']:g} s, half were"
        f" answered within {ms['p50']:.0f} ms of when they were due, 99 of 100 within {ms['p99']:.0f} ms;"
        f" two workers used {due['cores']:.2f} cores."
    )
    command = source(found["command"], found["made"])
    speeds = f"{markdown(headings, rows, numbers=range(1, len(headings)))}\n\n{when_due}\n\n{command}"
    return [Block("ingest", speeds), Block("ingest-traffic", f"{_traffic(found)}\n\n{command}")]


def store(found: Found) -> list[Block]:
    """The whole traffic of a measurement store."""
    return [Block("ingest-store", f"{_traffic(found)}\n\n{source(found['command'], found['made'])}")]


def _traffic(found: Found) -> str:
    rows = [
        [
            f"{phase['measurements_per_second']:,}",
            f"{phase['seconds']:,}",
            f"{phase['sent']:,}",
            f"{phase['lost']:,}",
            f"{phase['refused']:,}",
            f"{phase['ms']['p50']:.0f}, {phase['ms']['p99']:.0f}",
            f"{phase['cores']:.2f}",
            f"{phase['memory_mb']:,}",
        ]
        for phase in found["measurement_store"]
    ]
    headings = ["measurements/s", "s", "sent", "lost", "refused", "p50, p99 ms", "cores", "memory MB"]
    return markdown(headings, rows, numbers=range(len(headings)))


def overload(found: Found) -> list[Block]:
    """More than there is room for."""
    memory = found["memory_mb"]
    rows = [
        ["records that came", f"{found['requests'] * 1_000:,}"],
        ["times what was taken", f"{found['times_what_was_taken']:g}"],
        ["acknowledged", f"{found['acknowledged']:,}"],
        ["of these not in the topic", f"{found['lost']:,}"],
        ["requests refused with 503", f"{found['refused']:,}"],
        ["connections that were ended", f"{found['broken']:,}"],
        ["requests without an answer for 30 s", f"{found['late']:,}"],
        ["memory MB at first", f"{memory['at_first']:,}"],
        ["most in the first quarter", f"{memory['most_of_first_quarter']:,}"],
        ["most in the last quarter", f"{memory['most_of_last_quarter']:,}"],
    ]
    title = f"{found['seconds']:,.0f} s"
    table = markdown([title, ""], rows, numbers=(1,))
    return [Block("ingest-overload", f"{table}\n\n{source(found['command'], found['made'])}")]
