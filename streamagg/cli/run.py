"""``streamagg run``: from a topic to published counts."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import typer

from streamagg.cli import options as opt
from streamagg.model.settings import RunSettings

if TYPE_CHECKING:
    from streamagg.engine.reporting.liveness import Outside


def run(
    input_: opt.Input = None,
    output: opt.Output = None,
    bootstrap_servers: opt.BootstrapServers = None,
    kafka: opt.ClientSettings = None,
    group: opt.Group = None,
    delivery: opt.Delivery = None,
    dead_letter: opt.DeadLetter = None,
    late_topic: opt.LateTopic = None,
    create_topics: opt.CreateTopics = None,
    output_partitions: opt.OutputPartitions = None,
    output_replicas: opt.OutputReplicas = None,
    granularity: opt.Granularity = None,
    max_lag: opt.MaxLag = None,
    max_jump: opt.MaxJump = None,
    window_offset: opt.WindowOffset = None,
    empty_windows: opt.EmptyWindows = None,
    idle_timeout: opt.IdleTimeout = None,
    max_users: opt.MaxUsers = None,
    above_max_users: opt.AboveMaxUsers = None,
    time_field: opt.TimeField = None,
    user_field: opt.UserField = None,
    time_unit: opt.TimeUnit = None,
    max_record_bytes: opt.MaxRecordBytes = None,
    framing: opt.Framing = None,
    from_: opt.From = None,
    change_destination: opt.ChangeDestination = None,
    until_end: opt.UntilEnd = None,
    keep_open: opt.KeepOpen = None,
    hold_timeout: opt.HoldTimeout = None,
    unmarshallers: opt.Unmarshallers = None,
    aggregators: opt.Aggregators = None,
    inline: opt.Inline = None,
    slots: opt.Slots = None,
    max_restarts: opt.MaxRestarts = None,
    http: opt.Http = None,
    stats_json: opt.StatsJson = None,
    json: opt.Json = False,
    log_level: opt.LogLevel = None,
    log_format: opt.LogFormat = None,
    plain: opt.Plain = None,
    config: opt.ConfigFile = None,
) -> None:
    """Count the unique users of a topic's windows, and publish them.

    Runs until it is stopped, or with --until-end to the end of the topic. A second instance of the
    same group is a standby that takes over.
    """
    found = opt.resolver(locals())
    settings = found.run()

    # librdkafka and numpy take their time to load, and no other verb waits for this one's.
    import msgspec

    from streamagg.cli.printing import refuse_nothing, tell_end
    from streamagg.engine.reporting.liveness import Outside
    from streamagg.engine.run import run as run_pipeline

    outside = Outside()
    # Who has chosen a form of the log wants to read it.
    panel = opt.can_draw(found) and found.log_format() == "auto"
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

    facts = Facts(
        settings.input,
        settings.output,
        settings.kafka.group,
        settings.kafka.bootstrap_servers,
        settings.window.granularity_ms,
        settings.window.max_lag_ms,
    )
    return panel(facts, outside.metrics, outside.health)
