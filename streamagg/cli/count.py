"""``streamagg count``: files and standard input, without Kafka."""

from typing import Annotated

import typer

from streamagg.cli import options as opt


@opt.with_settings
def count(
    flags: opt.Flags,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="JSON lines, plain, .gz or .zst; - is standard input."),
    ],
) -> None:
    """Count the unique users of every window in files of JSON lines.

    Files are finished: every record counts, in whatever order they are, and the windows are printed at
    the end.

    With --as-run, --max-lag or --max-jump the rules of run apply, and each window is printed as it closes:
    with --format jsonl exactly the records that run would publish.
    """
    resolver = opt.resolver(flags)
    settings = resolver.count(files)

    # numpy takes its time to load.
    from streamagg.cli.printing import WindowPrinter, refuse_nothing, rules, summary
    from streamagg.cli.progress import progress_bar
    from streamagg.engine.count import count as count_files
    from streamagg.engine.count import whole_size
    from streamagg.engine.early_end import EarlyEnd

    printer, ending = (
        WindowPrinter(settings.format, settings.decode, periods=bool(settings.window.calendars)),
        EarlyEnd(),
    )
    bar = progress_bar("counting", whole_size(settings), drawn=opt.can_draw(resolver))
    with ending.installed(), bar as advance:
        stats = count_files(settings, printer.emit, ending, advance)
    printer.print_heading()
    if settings.stats_json is not None:
        stats.write(settings.stats_json)
    typer.echo(f"{summary(stats)}\n{rules(settings)}", err=True)
    ending.judge()
    refuse_nothing(stats.nothing_counted)
