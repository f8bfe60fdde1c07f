"""Rows on their way to the aggregators."""

from collections.abc import Sequence
from typing import Protocol

from streamagg.core.sharding import split
from streamagg.model.columns import UInt64Column
from streamagg.model.messages import WindowRows


class Outlet(Protocol):
    """What takes messages for one aggregator."""

    def post(self, message: WindowRows) -> None:
        """Take a message."""


class ShardRouter:
    """Gathers rows by shard and window: a message each costs more than the rows where windows are many."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = outlets
        self._columns: list[dict[int, list[UInt64Column]]] = [{} for _ in outlets]

    def add(self, window: int, users: UInt64Column) -> None:
        """Take rows of a window, shape ``(n,)``."""
        for columns, share in zip(self._columns, split(users, len(self._outlets)), strict=True):
            if len(share):
                columns.setdefault(window, []).append(share)

    def flush(self) -> None:
        """Send what has gathered."""
        for outlet, columns in zip(self._outlets, self._columns, strict=True):
            if columns:
                outlet.post(_message(columns))
                columns.clear()


def _message(columns: dict[int, list[UInt64Column]]) -> WindowRows:
    counts = [sum(map(len, parts)) for parts in columns.values()]
    users = b"".join(part.data for parts in columns.values() for part in parts)
    return WindowRows(list(columns), counts, users)
