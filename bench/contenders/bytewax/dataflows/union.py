"""Windows of partitions become windows of the topic."""

from bytewax import operators as op
from bytewax.operators import KeyedStream

Partial = tuple[int, set[str]]
"""How many partitions have closed a window, and their users."""


def union(closed: KeyedStream[tuple[int, set[str]]], partitions: int) -> KeyedStream[tuple[int, int]]:
    """Windows and their unique users, anew with every partition that closes the window.

    ``closed``: number of the window and its users, keyed by partition.
    """

    def unite(
        partial: Partial | None, closing: tuple[int, set[str]]
    ) -> tuple[Partial | None, tuple[int, int]]:
        window, users = closing
        seen, united = partial or (0, set())
        united |= users
        complete = seen + 1 == partitions
        return None if complete else (seen + 1, united), (window, len(united))

    by_window = op.map("by window", closed, lambda item: (str(item[1][0]), item[1]))
    return op.stateful_map("union", by_window, unite)
