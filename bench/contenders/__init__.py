"""All contenders. The programs of some live in these packages too, so importing this imports none of them."""

from importlib import import_module
from typing import Final

from bench.contender import Contender

FAMILIES = (
    "bare",
    "streamagg",
    "rust",
    "go",
    "java",
    "kafka_streams",
    "flink",
    "python_loop",
    "bytewax",
    "quix",
    "faust",
)

MAIN: Final = frozenset(
    {
        "bare-1",
        "bare-2",
        "streamagg-1",
        "streamagg-2",
        "streamagg-2-alo",
        "streamagg-inline",
        "rust",
        "go-ancestor",
        "go-franz",
        "java",
        "flink-sql",
        "loop-tuned",
    }
)
"""Rows of every topic, also of those with ``main_rows_only``."""


def all_contenders() -> list[Contender]:
    """Every contender, in the order in which a round runs them."""
    families = [import_module(f"{__name__}.{name}") for name in FAMILIES]
    return [contender for family in families for contender in family.CONTENDERS]
