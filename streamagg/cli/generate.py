"""``streamagg generate``: made-up records."""

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from streamagg.errors import SettingsError
from streamagg.settings.quantities import moment_ms


def generate(
    count: Annotated[int, typer.Option(help="How many records.")] = 1_000_000,
    users: Annotated[int, typer.Option(help="Users, each as likely as the others.")] = 100_000,
    rate: Annotated[float, typer.Option(help="Records a second of event time.")] = 1_000,
    size: Annotated[int, typer.Option(help="Bytes of a record, about.", metavar="BYTES")] = 2_200,
    disorder: Annotated[
        float, typer.Option(help="Fraction of the records that come late.", metavar="FRACTION")
    ] = 0,
    max_delay: Annotated[
        int, typer.Option(help="These come 1 to so many seconds late.", metavar="SECONDS")
    ] = 30,
    corrupt: Annotated[
        float,
        typer.Option(
            help="Fraction of broken records: bad JSON, fields missing or of wrong types, flipped bits.",
            metavar="FRACTION",
        ),
    ] = 0,
    start: Annotated[
        str | None,
        typer.Option(
            help="When the first record happens: now, ISO 8601 or seconds since 1970. Default: 1468244384.",
            metavar="TIME",
        ),
    ] = None,
    visits: Annotated[
        bool,
        typer.Option(
            "--visits",
            help="Add country, page.section, page.path to group by; bytes, latency_ms, price to measure.",
        ),
    ] = False,
    shape: Annotated[
        str,
        typer.Option(
            help="records, or measurements: a time in ns, a tag and ten values. [records]",
            metavar="SHAPE",
            show_default=False,
        ),
    ] = "records",
    seed: Annotated[int, typer.Option(help="The same seed gives the same records.")] = 1,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="File to write, .gz and .zst compressed. Default: stdout."),
    ] = None,
) -> None:
    """Write made-up records as JSON lines, for trying things out and for measuring.

    Nested fields of all JSON types with decoys of the two real ones, which stand anywhere in the root;
    event times begin at 1468244384 unless --start says otherwise. With --visits there are 200 countries
    and 10,000 pages in 20 sections, the n-th 1/n times as often as the first; some countries and prices
    are null. With --shape measurements there are 10,000 tags, of which the first has 1 % of all, the second
    1 % of the others, and so on.
    """
    from streamagg.sources.lines import open_output
    from streamagg.tools.generate import GenerateSettings, write
    from streamagg.tools.measurements import MeasurementSettings, write_measurements
    from streamagg.tools.shapes import FIRST_TIME_S

    first_time_s = FIRST_TIME_S if start is None else moment_s(start)
    if shape == "measurements":
        own = {"--users": users != 100_000, "--size": size != 2_200, "--corrupt": corrupt, "--visits": visits}
        _refuse(own)
        measured = MeasurementSettings(count, rate, disorder, max_delay, seed, first_time_s)
        with open_output(output) as out:
            write_measurements(measured, out)
        return
    if shape != "records":
        raise SettingsError(f"--shape {shape} must be records or measurements.")
    settings = GenerateSettings(
        count=count,
        users=users,
        rate=rate,
        size_bytes=size,
        disorder=disorder,
        max_delay_s=max_delay,
        corrupt=corrupt,
        seed=seed,
        first_time_s=first_time_s,
        visits=visits,
    )
    with open_output(output) as out:
        write(settings, out)


def _refuse(given: Mapping[str, object]) -> None:
    """Raises SettingsError for a flag that measurements do not have."""
    for flag, value in given.items():
        if value:
            raise SettingsError(f"{flag} has no meaning for --shape measurements: leave it out.")


def moment_s(text: str) -> int:
    """Whole seconds since 1970; raises SettingsError."""
    if text == "now":
        return int(time.time())
    try:
        return moment_ms(text) // 1_000
    except ValueError as error:
        raise SettingsError(f"--start {text} must be now, or {error}.") from None
