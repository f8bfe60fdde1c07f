"""``streamagg replay``: JSON lines into a topic."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from streamagg.cli import options as opt
from streamagg.errors import KafkaFailed, SettingsError, StreamaggError

if TYPE_CHECKING:
    from streamagg.tools.replay import ReplaySettings, ReplayStats


@opt.with_settings
def replay(
    flags: opt.Flags,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON lines, plain, .gz or .zst; - is standard input.")
    ],
    topic: Annotated[str, typer.Option(help="Topic to write to.", metavar="TOPIC")],
    rate: Annotated[
        str | None, typer.Option(help="Records a second. Default: as fast as possible.", metavar="N[/s]")
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            help="As the records happened, at a multiple of that speed; gaps over 10 minutes are skipped.",
            metavar="Nx",
        ),
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Begin again at the end of the file, with the same event times.")
    ] = False,
    key_field: Annotated[
        str | None,
        typer.Option(help="Field that becomes the key. Default: no key, partitions in turn.", metavar="PATH"),
    ] = None,
    partitions: Annotated[
        int | None, typer.Option(help="Create the topic with so many if it is absent.", metavar="N")
    ] = None,
    compression: Annotated[
        str, typer.Option(help="Of the batches sent.", metavar="none|lz4|zstd|snappy|gzip")
    ] = "none",
    raw: Annotated[
        bool, typer.Option("--raw", help="Send every line as it stands, also what is not text.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Send JSON lines to a topic, and check that every one of them arrives.

    Records without what --key-field or --speed look for are sent all the same and counted at the end;
    exit code 1 if no record has it. Ctrl-C ends it after what is under way has arrived; a second Ctrl-C
    ends it at once.
    """
    resolver = opt.resolver(flags)
    from streamagg.cli.progress import progress_bar
    from streamagg.sources.lines import file_size
    from streamagg.tools.replay import ReplaySettings, StopSwitch
    from streamagg.tools.replay import replay as send

    settings = ReplaySettings(
        source=file,
        topic=topic,
        kafka=resolver.kafka(),
        decode=resolver.decode(),
        rate=None if rate is None else number_with_unit("--rate", rate, "/s"),
        speed=None if speed is None else number_with_unit("--speed", speed, "x"),
        loop=loop,
        key_field=key_field,
        partitions=partitions,
        compression=compression,
        raw=raw,
    )
    stop = StopSwitch()
    total = None if loop else file_size(file)
    drawn = opt.can_draw(resolver)
    with stop.installed(), progress_bar(f"to {topic}", total, drawn=drawn) as advance:
        stats = send(settings, stop, lambda sent, source: advance(source.position, sent.records))
    try:
        typer.echo(as_json(stats) if json else as_text(stats, topic))
    finally:
        # Whether anybody reads it or not.
        _judge(stats, settings)


def _judge(stats: "ReplayStats", settings: "ReplaySettings") -> None:
    """Reports what some records lacked.

    Raises KafkaFailed, what kept the file from being read to its end, or StreamaggError if no record had it.
    """
    if stats.unreadable is not None:
        raise stats.unreadable
    if stats.sent.failed:
        from streamagg.tools.replay import NOT_TEXT, TOO_LONG

        reason, _ = max(stats.sent.reasons.items(), key=lambda item: item[1])
        advice = {
            NOT_TEXT: "Give --raw to send such lines as they stand",
            TOO_LONG: "Give a file of JSON lines",
        }.get(reason, "Check the broker and its limits")
        raise KafkaFailed(
            f"{stats.sent.failed:,} of {stats.sent.records:,} records were not delivered: {reason}."
            f" {advice}, then replay again into an empty topic."
        )
    for records, text in lacking(stats, settings):
        if 0 < stats.sent.records <= records:
            raise StreamaggError(text)
        if records:
            typer.echo(text, err=True)


def lacking(stats: "ReplayStats", settings: "ReplaySettings") -> list[tuple[int, str]]:
    """How many records lack what a flag asks of them, and what became of them."""
    untimed = sum(stats.sent.untimed.values())
    reasons = ", ".join(f"{reason} {records:,}" for reason, records in sorted(stats.sent.untimed.items()))
    every = stats.sent.records
    return [
        (
            stats.sent.without_key,
            f"{stats.sent.without_key:,} of {every:,} records have no text or integer at {settings.key_field}"
            " and were sent without a key: check --key-field.",
        ),
        (
            untimed,
            f"{untimed:,} of {every:,} records have no time to go by at {settings.decode.time_field}"
            f" ({reasons}) and were sent at once: check --time-field and --time-unit.",
        ),
    ]


def number_with_unit(flag: str, text: str, unit: str) -> float:
    """A number, with or without its unit behind it; raises SettingsError."""
    number = text.strip().removesuffix(unit)
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", number):
        raise SettingsError(f"{flag} {text} must be a number such as 10 or 10{unit}.")
    return float(number)


def as_text(stats: "ReplayStats", topic: str) -> str:
    """The outcome for a person."""
    ended = "Stopped: " if stats.interrupted else ""
    return (
        f"{ended}{stats.delivered:,} records ({stats.sent.bytes / 1e6:,.1f} MB) delivered to {topic}"
        f" in {stats.seconds:.1f} s, {stats.records_per_second:,.0f} records/s"
    )


def as_json(stats: "ReplayStats") -> str:
    """The outcome for a program."""
    import orjson

    return orjson.dumps(
        {
            "records": stats.sent.records,
            "delivered": stats.delivered,
            "failed": stats.sent.failed,
            "reasons": stats.sent.reasons,
            "without_key": stats.sent.without_key,
            "without_time": dict(stats.sent.untimed),
            "bytes": stats.sent.bytes,
            "seconds": round(stats.seconds, 3),
            "records_per_second": round(stats.records_per_second, 1),
            "interrupted": stats.interrupted,
        }
    ).decode()
