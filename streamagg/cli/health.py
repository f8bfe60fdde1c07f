"""``streamagg health``: asks a run, an ``ingest`` or a ``serve`` whether it is well, for container checks."""

from contextlib import suppress
from typing import Annotated

import typer

from streamagg.cli import options as opt
from streamagg.errors import ExitCode
from streamagg.telemetry.streams import ReaderGone


@opt.with_settings
def health(
    flags: opt.Flags,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Ask whether it is ready, not only whether it is alive."),
        opt.After("http"),
    ] = False,
) -> None:
    """Ask the run, ingest or serve on this machine whether it is alive.

    Exits with 0 if it is, and with 1 and the reasons if it is not or does not answer.
    """
    settings = opt.resolver(flags).http()

    # No other verb loads a client of HTTP.
    from streamagg.telemetry.asking import ask

    verdict = ask(settings, "ready" if ready else "live")
    # It is the exit code that is asked for.
    with suppress(OSError, ReaderGone):
        typer.echo(verdict.text)
    if not verdict.good:
        raise typer.Exit(ExitCode.FAILURE)
