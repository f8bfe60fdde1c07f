"""``streamagg serve``: keeps what was published, and answers questions."""

from typing import Annotated

import typer

from streamagg.cli import options as opt
from streamagg.settings.table import SERVING, TOPICS


@opt.with_settings
def serve(
    flags: opt.Flags,
    followed: Annotated[
        str,
        typer.Option(
            "--from",
            help="Where what was published is read: a topic, or dir:PATH.",
            metavar="TOPIC",
            rich_help_panel=TOPICS,
            show_default=False,
        ),
    ],
    kept: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="How long windows and periods up to a length are kept, such as minute=7d,hour=90d,day=5y."
            " [all is kept]",
            metavar="RULES",
            rich_help_panel=SERVING,
            show_default=False,
        ),
        opt.After("store"),
    ] = None,
) -> None:
    """Keep what was published, and answer questions about any range over HTTP.

    Runs until it is stopped. What it keeps can be deleted, and is then read anew; several beside each
    other need nothing of each other.
    """
    resolver = opt.resolver(flags)
    settings = resolver.serve(followed, kept)

    # librdkafka and numpy take their time to load.
    from streamagg.serve.run import serve as run

    run(settings, resolver.tokens)
