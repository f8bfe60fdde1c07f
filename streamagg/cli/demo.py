"""``streamagg demo``: the whole pipeline on an embedded broker, to look at."""

from typing import Annotated

import typer


def demo(
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Leave a page to look at until Ctrl-C, or end by itself.")
    ] = True,
) -> None:
    """Show the whole pipeline at work, with a broker of its own.

    Counts generated records. Needs no Kafka, no Java and no settings; takes less than a minute and a half.
    Then its page is there to look at, if the packages for it are: pip install 'streamagg[serve]'.
    """
    from streamagg.demo import run_demo

    run_demo(with_page=page)
