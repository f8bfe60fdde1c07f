"""Windows with groups or measures in any order: every window is open until all rows have come."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from streamagg.core.open_window import OpenWindow, Rules
from streamagg.model.columns import Columns, Int64Column, selected
from streamagg.model.groups import GroupTexts, each_once
from streamagg.model.settings import CeilingSettings, DecodeSettings

_GATHERED: Final = 1 << 18
"""Rows that are taken together: to take a few of a window costs as much as to take a thousand."""


class WindowStore:
    """Takes rows as they come, and answers for all windows in the end. All of it is in memory."""

    def __init__(self, decode: DecodeSettings, ceiling: CeilingSettings) -> None:
        self._rules = Rules(decode, ceiling)
        self._open: dict[int, OpenWindow] = {}
        self._gathered: list[tuple[Int64Column, Columns, GroupTexts]] = []
        self._rows = 0

    def add(self, windows: Int64Column, columns: Columns, texts: GroupTexts) -> None:
        """Rows, columns of ``model.columns.delivered_schema_of``, and their windows; shape ``(n,)``.

        Raises StreamaggError if two groups of a window have one hash.
        """
        self._gathered.append((windows, columns, texts))
        self._rows += len(windows)
        if self._rows >= _GATHERED:
            self._take()

    def windows(self) -> Iterator[OpenWindow]:
        """Every window, in order; each is given up with the next one."""
        self._take()
        for number in sorted(self._open):
            yield self._open.pop(number)

    def _take(self) -> None:
        if not self._rows:
            return
        windows = np.concatenate([part for part, _, _ in self._gathered])
        columns = tuple(np.concatenate(each) for each in zip(*(c for _, c, _ in self._gathered), strict=True))
        texts = (each_once(texts for _, _, texts in self._gathered),)
        self._gathered, self._rows = [], 0
        order = np.argsort(windows, kind="stable")
        windows, columns = windows[order], selected(columns, order)
        starts = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)]
        for start, stop in pairwise(starts):
            number = int(windows[start])
            window = self._open.get(number) or self._open.setdefault(number, OpenWindow(number, self._rules))
            window.add(selected(columns, slice(start, stop)), stop - start, texts)
