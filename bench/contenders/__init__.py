"""All contenders. The programs of some live in these packages too, so importing this imports none of them."""

from importlib import import_module

from bench.contender import Contender

FAMILIES = (
    "bare",
    "streamagg",
    "rust",
    "go",
    "java",
    "kafka_streams",
    "flink",
    "spark",
    "hazelcast",
    "python_loop",
    "query_engines",
    "bytewax",
    "quix",
    "faust",
    "pathway",
)


def all_contenders() -> list[Contender]:
    """Every contender, in the order in which a round runs them."""
    families = [import_module(f"{__name__}.{name}") for name in FAMILIES]
    return [contender for family in families for contender in family.CONTENDERS]
