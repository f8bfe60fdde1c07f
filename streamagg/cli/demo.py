"""``streamagg demo``: the whole pipeline on an embedded broker, to look at."""


def demo() -> None:
    """Show the whole pipeline at work, with a broker of its own.

    Counts generated records. Needs no Kafka, no Java and no settings; takes less than a minute and a half.
    """
    from streamagg.demo import run_demo

    run_demo()
