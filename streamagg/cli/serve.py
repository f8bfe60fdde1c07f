"""``streamagg serve``: keeps what was published, and answers questions."""

from streamagg.cli import options as opt


@opt.with_settings
def serve(flags: opt.Flags) -> None:
    """Keep what was published, and answer questions about any range over HTTP.

    Runs until it is stopped. What it keeps can be deleted, and is then read anew; several beside each
    other need nothing of each other.
    """
    resolver = opt.resolver(flags)
    settings = resolver.serve()

    # librdkafka and numpy take their time to load.
    from streamagg.serve.run import serve as run

    run(settings, resolver.tokens)
