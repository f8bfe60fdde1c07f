"""Rows on their way to the aggregators."""

from collections.abc import Sequence
from typing import Protocol

from streamagg.core.sharding import split
from streamagg.model.columns import USER, Columns
from streamagg.model.messages import WindowRows


class Outlet(Protocol):
    """What takes messages for one aggregator."""

    def post(self, message: WindowRows) -> None:
        """Take a message."""


class ShardRouter:
    """Gathers rows by shard and window: a message each costs more than the rows where windows are many."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = outlets
        self._pieces: list[dict[int, list[Columns]]] = [{} for _ in outlets]

    def add(self, window: int, columns: Columns) -> None:
        """Take rows of a window, columns of shape ``(n,)``."""
        shares = split(columns, columns[USER], len(self._outlets))
        for pieces, share in zip(self._pieces, shares, strict=True):
            if len(share[USER]):
                pieces.setdefault(window, []).append(share)

    def flush(self) -> None:
        """Send what has gathered."""
        for outlet, pieces in zip(self._outlets, self._pieces, strict=True):
            if pieces:
                outlet.post(_message(pieces))
                pieces.clear()


def _message(pieces: dict[int, list[Columns]]) -> WindowRows:
    counts = [sum([len(columns[USER]) for columns in parts]) for parts in pieces.values()]
    parts = [columns for parts in pieces.values() for columns in parts]
    whole = tuple([b"".join([part.data for part in column]) for column in zip(*parts, strict=True)])
    return WindowRows(list(pieces), counts, whole)
