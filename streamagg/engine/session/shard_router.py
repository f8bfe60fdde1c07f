"""Rows on their way to the aggregators."""

from collections.abc import Sequence
from typing import Protocol

from streamagg.core.sharding import split
from streamagg.model.columns import GROUP_COLUMN, USER_COLUMN, Columns, Schema
from streamagg.model.groups import GroupTexts, Tables
from streamagg.model.messages import WindowRows


class Outlet(Protocol):
    """What takes messages for one aggregator."""

    def post(self, message: WindowRows) -> None:
        """Take a message."""


class ShardRouter:
    """Gathers rows by shard and window: a message each costs more than the rows where windows are many."""

    def __init__(self, outlets: Sequence[Outlet], schema: Schema) -> None:
        """``schema``: what rows carry, perhaps with more behind it."""
        self._outlets = outlets
        self._pieces: list[dict[int, list[Columns]]] = [{} for _ in outlets]
        self._texts: dict[int, GroupTexts] = {}
        """Each once, though many windows have rows of one block."""
        self._key = next((schema.place(n) for n in (USER_COLUMN, GROUP_COLUMN) if n in schema.names), None)

    def add(self, window: int, columns: Columns, texts: Tables = ()) -> None:
        """Take rows of a window, columns of shape ``(n,)``; all rows of a user go to one shard."""
        for table in texts:
            self._texts[id(table)] = table
        if self._key is None:
            self._pieces[0].setdefault(window, []).append(columns)
            return
        shares = split(columns, columns[self._key], len(self._outlets))
        for pieces, share in zip(self._pieces, shares, strict=True):
            if len(share[0]):
                pieces.setdefault(window, []).append(share)

    def flush(self) -> None:
        """Send what has gathered."""
        for outlet, pieces in zip(self._outlets, self._pieces, strict=True):
            if pieces:
                outlet.post(_message(pieces, tuple(self._texts.values())))
                pieces.clear()
        self._texts.clear()


def _message(pieces: dict[int, list[Columns]], texts: Tables) -> WindowRows:
    counts = [sum([len(columns[0]) for columns in parts]) for parts in pieces.values()]
    parts = [columns for parts in pieces.values() for columns in parts]
    whole = tuple([b"".join([part.data for part in column]) for column in zip(*parts, strict=True)])
    return WindowRows(list(pieces), counts, whole, texts)
