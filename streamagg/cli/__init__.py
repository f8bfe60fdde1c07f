"""The command line: verbs, exit codes, and how an error reaches the user.

A module for each verb. Imports core, decode, demo, engine, flink, http, ingest, model, panel, serve,
settings, sinks, sources, telemetry and tools. Begin with ``run``.
"""

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from streamagg import __version__
from streamagg.errors import ExitCode, StreamaggError
from streamagg.events import Log
from streamagg.telemetry import logs
from streamagg.telemetry.streams import ReaderGone, divert_stdout, prepare

VERBS: Final = {
    "run": "Count the unique users of a topic's windows, and publish them.",
    "flink": "Count the unique users of a topic's windows on Apache Flink.",
    "count": "Count the unique users of every window in files of JSON lines.",
    "serve": "Keep what was published, and answer questions about it over HTTP.",
    "advise": "Tell how late records come, and what each --max-lag would lose.",
    "verify": "Recount a topic independently, and compare what was published.",
    "ingest": "Take records by HTTP, into a topic or into files.",
    "replay": "Send JSON lines to a topic, and check that all of them arrive.",
    "generate": "Write made-up records as JSON lines, to try out and to measure.",
    "demo": "Show the whole pipeline at work, with a broker of its own.",
    "schema": "Print the JSON Schema of the records that are published.",
    "health": "Ask the run, ingest or serve on this machine whether it is alive.",
}
"""Each is the function of that name in the module of that name in this package. What it does stands here too,
so that the list of verbs imports none of them."""
DEBUG_FLAG: Final = "--debug"
log = Log(__name__)
EXIT_CODES: Final = (
    "Exit codes: 0 fine, 1 failure, 2 usage or configuration, 3 Kafka or other place unreachable,"
    " 4 data differs, 5 workers kept dying, 6 too many users, 7 nothing counted, 130 interrupted."
)


class VerbCommand(TyperCommand):
    """Shows its flags under headings by theme, in the full width even of 80 columns."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        themes: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                themes.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(row)
        for theme, rows in themes.items():
            with formatter.section(theme):
                formatter.write_dl(rows)


class Verbs(TyperGroup):
    """Imports a verb when it is asked for, so that each pays for its own imports only."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        verb = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(cmd_name, cls=VerbCommand, epilog=EXIT_CODES)(verb)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamagg {__version__}")
        raise typer.Exit


@app.callback()
def _before_verb(
    debug: Annotated[
        bool, typer.Option(DEBUG_FLAG, help="Log everything, show tracebacks. Also after a verb.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Counts the unique users of every window of event time in a Kafka topic of JSON records."""
    logs.setup("debug" if debug else "info")


def main() -> None:
    """Runs the verb on the command line and exits with a code of ``ExitCode``."""
    prepare()
    for number in (signal.SIGINT, signal.SIGTERM):
        # What the parent told to be ignored stays so: SIGINT, for a job in the background of a script.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Runs a verb and returns the exit code; errors go to stderr as one or two sentences."""
    return _flushed(_run(arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        app(_debug_first(arguments), prog_name="streamagg")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.FAILURE
    except StreamaggError as exc:
        return _failed(str(exc), exc.exit_code)
    except ReaderGone:
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except OSError as exc:
        return _refused(exc)
    except Exception as exc:
        text = (
            f"{type(exc).__name__}: {exc}. This is a defect; run again with {DEBUG_FLAG} for the traceback."
        )
        return _failed(text, ExitCode.FAILURE)
    return ExitCode.OK


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ends a verb through its clean-up; ``run`` and ``replay`` take these signals themselves."""
    logs.tell("interrupted", "interrupted")
    raise KeyboardInterrupt


def _debug_first(arguments: Sequence[str]) -> list[str]:
    """``--debug`` is a flag of the program, and may stand after the verb too."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if DEBUG_FLAG not in own:
        return list(arguments)
    return [DEBUG_FLAG, *(word for word in own if word != DEBUG_FLAG), *arguments[len(own) :]]


def _failed(text: str, code: ExitCode) -> ExitCode:
    if logs.form() == "json":
        trace = {"traceback": traceback.format_exc()} if logs.debugging() else {}
        log.error("failed", "{error}", error=text, exit_code=int(code), **trace)
        return code
    if logs.debugging():
        traceback.print_exc()
    print(f"streamagg: {text}", file=sys.stderr)
    return code


def _refused(error: OSError) -> ExitCode:
    text = f"The operating system refuses: {error}. Run again with {DEBUG_FLAG} for the traceback."
    return _failed(text, ExitCode.FAILURE)


def _flushed(code: int) -> int:
    """Flushes stdout; a reader that went away (``| head``) is not an error worth reporting."""
    try:
        sys.stdout.flush()
    except ReaderGone:
        return code
    except OSError as error:
        divert_stdout()
        return _refused(error) if code == ExitCode.OK else code
    return code
