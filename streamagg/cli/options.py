"""The flags that verbs share, made from the table of settings.

A verb ``with_settings`` declares only what is its own, and hands the ``flags`` that it gets to ``resolver``;
None means that a flag was not given. ``--debug`` belongs to every verb and needs no declaration.
"""

import inspect
import keyword
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from streamagg.panel import terminal
from streamagg.settings.resolve import Resolver
from streamagg.settings.table import REPORTS, SETTINGS, TOPICS, Setting
from streamagg.telemetry import logs

Flags = Mapping[str, Any]
"""What was given, by the names of parameters."""


def resolver(flags: Flags) -> Resolver:
    """The settings behind the flags of a verb; sets the level of the log too.

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


class After(NamedTuple):
    """Beside the type of a verb's own flag: its help has it behind that setting, not before all of them."""

    setting: str


def with_settings(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the flags of its settings by the table, and with them ``-X`` and ``--config``.

    It is called with all values in ``flags``, and with those of the parameters that it declares itself. One
    of these that has the name of a setting stands for that setting's flag.
    """
    own = dict(list(inspect.signature(verb).parameters.items())[1:])

    @wraps(verb)
    def with_flags(**flags: Any) -> None:
        verb(flags, **{name: flags[name] for name in own})

    parameters = _parameters(verb.__name__, own)
    with_flags.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
    return with_flags


def _parameters(verb: str, own: Mapping[str, Parameter]) -> Iterator[Parameter]:
    """In the order of the help; whoever asks Kafka takes settings of its client, too."""
    following: dict[str, list[Parameter]] = defaultdict(list)
    for parameter in own.values():
        following[_place(parameter)].append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
    yield from following[""]
    for row in SETTINGS.values():
        name = row.name + "_" * keyword.iskeyword(row.name)
        if verb in row.verbs.split() and name not in own:
            yield _optional(name, Annotated[_type(row), option(row.name)])
            if row.name == "bootstrap_servers":
                yield _optional("kafka", ClientSettings)
        yield from following[row.name]
    yield _optional("config", ConfigFile)


def _place(own: Parameter) -> str:
    """The setting that a flag stands behind, or nothing."""
    beside = getattr(own.annotation, "__metadata__", ())
    return next((one.setting for one in beside if isinstance(one, After)), "")


def _optional(name: str, annotation: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def option(name: str) -> Any:
    """The flag of a setting."""
    setting = SETTINGS[name]
    default = setting.default or setting.default_note
    return typer.Option(
        f"{setting.flag}/--no-{setting.flag[2:]}" if setting.is_switch else setting.flag,
        help=f"{setting.help} [{default}]",
        metavar=setting.metavar or None,
        rich_help_panel=setting.panel,
        show_default=False,
    )


def _type(setting: Setting) -> Any:
    if setting.repeated:
        return list[str] | None
    return bool | None if setting.is_switch else str | None


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
Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON object.", rich_help_panel=REPORTS),
    After("stats_json"),
]
