"""``streamagg ingest``: records by HTTP, into a topic or into files."""

from streamagg.cli import options as opt


@opt.with_settings
def ingest(flags: opt.Flags) -> None:
    """Take records by HTTP, into a topic or into files.

    POST them to /v1/records; GET / says how. A request is answered when all of it is there for good. Runs
    until it is stopped.
    """
    resolver = opt.resolver(flags)
    settings = resolver.ingest()

    # librdkafka takes its time to load.
    from streamagg.ingest.supervisor import run

    run(settings, resolver.tokens)
