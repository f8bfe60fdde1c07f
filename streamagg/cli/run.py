"""``streamagg run``: from a topic to published counts."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from streamagg.cli import options as opt
from streamagg.errors import SettingsError
from streamagg.model.places import STREAM
from streamagg.model.settings import RunSettings

if TYPE_CHECKING:
    from streamagg.engine.reporting.liveness import Outside


@opt.with_settings
def run(
    flags: opt.Flags,
    json: opt.Json = False,
    # For its place in the help only.
    plain: Annotated[bool | None, opt.option("plain"), opt.After("log_format")] = None,
) -> None:
    """Count the unique users of a topic's windows, and publish them.

    Runs until it is stopped, or with --until-end to the end of the topic. A second instance of the
    same group is a standby that takes over.
    """
    found = opt.resolver(flags)
    settings = found.run()
    if json and settings.output == STREAM:
        raise SettingsError("--json and --output - both write to standard output: use --stats-json instead.")

    # librdkafka and numpy take their time to load, and no other verb waits for this one's.
    import msgspec

    from streamagg.cli.printing import refuse_nothing, tell_end
    from streamagg.engine.reporting.liveness import Outside
    from streamagg.engine.run import run as run_pipeline

    outside = Outside()
    # Whoever has chosen a form of the log wants to read it.
    panel = opt.can_draw(found) and found.log_format() == "auto" and settings.output != STREAM
    with _panel(settings, outside) if panel else nullcontext():
        stats = run_pipeline(settings, outside)
    tell_end(stats)
    try:
        if json:
            typer.echo(msgspec.json.encode(stats))
    finally:
        # Whether anybody reads it or not.
        refuse_nothing(stats.nothing_counted)


def _panel(settings: RunSettings, outside: "Outside") -> AbstractContextManager[None]:
    from streamagg.panel.model import Facts
    from streamagg.panel.panel import panel

    of_kafka = "topic" in (settings.source.place.kind, settings.sink.kind)
    facts = Facts(
        settings.input,
        settings.output,
        settings.kafka.group,
        settings.kafka.bootstrap_servers if of_kafka else None,
        settings.window.granularity_ms,
        settings.window.max_lag_ms,
        settings.decode.user_field is not None,
    )
    return panel(facts, outside.metrics, outside.health)
