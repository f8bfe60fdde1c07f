"""``streamagg flink``: the same job, where one machine is not enough."""

from pathlib import Path
from typing import Annotated, Final

import typer

from streamagg.cli import options as opt
from streamagg.errors import SettingsError
from streamagg.settings.quantities import duration_ms
from streamagg.telemetry import logs

FLINK: Final = "Where it runs"


def _here(text: str, metavar: str | None = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        help=text, metavar=metavar, rich_help_panel=FLINK, show_default=False
    )
    return option


@opt.with_settings
def flink(
    flags: opt.Flags,
    local: Annotated[bool, _here("Run it here, with a cluster in its own process.")] = False,
    submit: Annotated[str | None, _here("Run it on the cluster with this REST address.", "ADDRESS")] = None,
    show: Annotated[
        bool,
        typer.Option("--print", help="Print its settings, and how to run it by hand.", rich_help_panel=FLINK),
    ] = False,
    jar: Annotated[Path | None, _here("Write its jar for a cluster to this file.", "FILE")] = None,
    hand_back: Annotated[
        bool, _here("Let streamagg run go on where --savepoint says that the job has stopped.")
    ] = False,
    parallelism: Annotated[
        int, typer.Option(min=1, help="Subtasks of each part.", rich_help_panel=FLINK)
    ] = 2,
    checkpoint_interval: Annotated[
        str, typer.Option(help="Time between checkpoints, with which it publishes.", rich_help_panel=FLINK)
    ] = "10s",
    checkpoints: Annotated[
        Path | None, _here("With --local: directory for checkpoints and savepoints.", "DIR")
    ] = None,
    savepoint: Annotated[
        str | None, _here("Continue from this savepoint, or the newest one in this directory.", "PATH")
    ] = None,
) -> None:
    """Count the unique users of a topic's windows on Apache Flink, with the settings of run.

    Needs Java 17, and Maven the first time. What Flink cannot keep is refused before anything begins.
    """
    settings = opt.resolver(flags).run_on_topics()
    if local + show + (submit is not None) + (jar is not None) + hand_back != 1:
        raise SettingsError("Give one of --local, --submit, --print, --jar and --hand-back.")
    if checkpoints is not None and not local:
        raise SettingsError("--checkpoints is for --local: a cluster has a place of its own for them.")
    if savepoint is not None and settings.until_end:
        raise SettingsError(
            "--until-end cannot be given with --savepoint: Flink keeps in it whether the input has an end."
        )
    try:
        checkpoint_ms = duration_ms(checkpoint_interval)
    except ValueError as error:
        raise SettingsError(f"--checkpoint-interval {checkpoint_interval} must be {error}.") from None

    from streamagg.flink import jars, launch, promises

    promises.check(settings, checkpoint_ms)
    plan = launch.Plan(parallelism, checkpoint_ms, checkpoints, savepoint)
    if show:
        typer.echo(launch.by_hand(settings, plan))
    elif jar is not None:
        jars.built().write_jar(jar)
    elif submit is not None:
        jars.built()
        typer.echo(f"job {launch.submit(settings, plan, launch.prepare(settings, plan), submit)}")
    elif hand_back:
        launch.hand_back(settings, plan, debug=logs.debugging())
    else:
        jars.built()
        launch.run_here(settings, plan, launch.prepare(settings, plan), debug=logs.debugging())
