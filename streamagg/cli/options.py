"""The flags that verbs share, one annotated type each, made from the table of settings.

A verb declares ``max_lag: MaxLag = None`` and hands ``locals()`` to ``resolver``; None means that
the flag was not given. ``--debug`` belongs to every verb and needs no declaration.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from streamagg.panel import terminal
from streamagg.settings.resolve import Resolver
from streamagg.settings.table import REPORTS, SETTINGS, TOPICS
from streamagg.telemetry import logs


def resolver(flags: Mapping[str, object]) -> Resolver:
    """The settings behind the flags of a verb (its ``locals()``); sets the level of the log too.

    A verb with ``log_format`` runs for long: its log is for whoever collects the logs of daemons. Raises
    ``SettingsError``.
    """
    path = flags.get("config")
    found = Resolver(flags, config_path=path if isinstance(path, Path) else None)
    level = "debug" if logs.debugging() else found.log_level()
    form = logs.form_for(found.log_format()) if "log_format" in flags else "human"
    logs.setup(level, form)
    return found


def can_draw(found: Resolver) -> bool:
    """A panel or a progress bar may be drawn: on a terminal, unless lines are wanted."""
    return not (found.plain() or logs.debugging()) and terminal.can_draw()


def _flag(name: str) -> Any:
    setting = SETTINGS[name]
    default = setting.default or setting.default_note
    return typer.Option(
        f"{setting.flag}/--no-{setting.flag[2:]}" if setting.is_switch else setting.flag,
        help=f"{setting.help} [{default}]",
        metavar=setting.metavar or None,
        rich_help_panel=setting.panel,
        show_default=False,
    )


BootstrapServers = Annotated[str | None, _flag("bootstrap_servers")]
Input = Annotated[str | None, _flag("input")]
Output = Annotated[str | None, _flag("output")]
DeadLetter = Annotated[str | None, _flag("dead_letter")]
LateTopic = Annotated[str | None, _flag("late_topic")]
Group = Annotated[str | None, _flag("group")]
Delivery = Annotated[str | None, _flag("delivery")]
CreateTopics = Annotated[bool | None, _flag("create_topics")]
OutputPartitions = Annotated[str | None, _flag("output_partitions")]
OutputReplicas = Annotated[str | None, _flag("output_replicas")]

Granularity = Annotated[str | None, _flag("granularity")]
MaxLag = Annotated[str | None, _flag("max_lag")]
MaxJump = Annotated[str | None, _flag("max_jump")]
WindowOffset = Annotated[str | None, _flag("window_offset")]
EmptyWindows = Annotated[bool | None, _flag("empty_windows")]
AsRun = Annotated[bool | None, _flag("as_run")]
IdleTimeout = Annotated[str | None, _flag("idle_timeout")]
MaxUsers = Annotated[str | None, _flag("max_users")]
AboveMaxUsers = Annotated[str | None, _flag("above_max_users")]

TimeField = Annotated[str | None, _flag("time_field")]
UserField = Annotated[str | None, _flag("user_field")]
TimeUnit = Annotated[str | None, _flag("time_unit")]
MaxRecordBytes = Annotated[str | None, _flag("max_record_bytes")]
Framing = Annotated[str | None, _flag("framing")]

From = Annotated[str | None, _flag("from")]
ChangeDestination = Annotated[bool | None, _flag("change_destination")]
UntilEnd = Annotated[bool | None, _flag("until_end")]
HoldTimeout = Annotated[str | None, _flag("hold_timeout")]
KeepOpen = Annotated[bool | None, _flag("keep_open")]

Unmarshallers = Annotated[str | None, _flag("unmarshallers")]
Aggregators = Annotated[str | None, _flag("aggregators")]
Inline = Annotated[bool | None, _flag("inline")]
Slots = Annotated[str | None, _flag("slots")]
MaxRestarts = Annotated[str | None, _flag("max_restarts")]

Format = Annotated[str | None, _flag("format")]
StatsJson = Annotated[str | None, _flag("stats_json")]
Http = Annotated[str | None, _flag("http")]
LogLevel = Annotated[str | None, _flag("log_level")]
LogFormat = Annotated[str | None, _flag("log_format")]
Plain = Annotated[bool | None, _flag("plain")]

ClientSettings = Annotated[
    list[str] | None,
    typer.Option(
        "-X",
        metavar="KEY=VALUE",
        help="A setting of librdkafka for all Kafka clients; may be repeated.",
        rich_help_panel=TOPICS,
        show_default=False,
    ),
]
"""For a parameter called ``kafka``."""
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file of settings; flags and STREAMAGG_* variables go before it.",
        rich_help_panel=REPORTS,
        show_default=False,
    ),
]
"""For a parameter called ``config``."""
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=REPORTS)
]
