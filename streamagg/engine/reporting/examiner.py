"""Finds the records of an unmarshaller that do not fit the settings, and looks at the first of each kind."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from streamagg.decode import Decoded
from streamagg.decode.candidates import AHEAD_MS, EARLIEST_MS
from streamagg.decode.misfit import find_misfit
from streamagg.model.batch import Batch
from streamagg.model.columns import BoolColumn
from streamagg.model.messages import Misfit
from streamagg.model.settings import DecodeSettings


class Findings(NamedTuple):
    """What a block tells of its misfits: see ``ColumnBlock``."""

    early: int = 0
    ahead: int = 0
    misfits: tuple[Misfit, ...] = ()


class Examiner:
    """Looks at one record of each kind in the life of a process: everything else is counting in columns."""

    def __init__(self, settings: DecodeSettings, clock: Callable[[], float] = time.time) -> None:
        """``clock`` returns Unix time in seconds."""
        self._settings = settings
        self._clock = clock
        self._misfits: dict[str, Misfit] = {}

    def examine(self, batch: Batch, decoded: Decoded) -> Findings:
        """What is odd about a batch."""
        places: dict[str, int] = {}
        for position, reason in decoded.rejected:
            places.setdefault(reason, position)
        odd = self._unlikely(batch, decoded) if len(decoded.index) else {}
        places |= {why: int(decoded.index[rows.argmax()]) for why, rows in odd.items()}
        counts = {why: int(np.count_nonzero(rows)) for why, rows in odd.items()}
        return Findings(**counts, misfits=tuple(self._misfit(why, batch, at) for why, at in places.items()))

    def _unlikely(self, batch: Batch, decoded: Decoded) -> dict[str, BoolColumn]:
        """Which of the accepted records, at least one, are early or ahead; in most batches none is."""
        times, odd = decoded.event_time_ms, dict[str, BoolColumn]()
        # Three passes that make no column are all that it costs nearly always.
        if times.min() < EARLIEST_MS:
            odd["early"] = times < EARLIEST_MS
        timestamps = batch.timestamps_ms
        now_ms = 0 if timestamps is None else int(timestamps.min())
        if now_ms < EARLIEST_MS:
            timestamps, now_ms = None, self._now_ms()
        if times.max() > now_ms + AHEAD_MS:
            odd["ahead"] = times > (now_ms if timestamps is None else timestamps[decoded.index]) + AHEAD_MS
        return {why: rows for why, rows in odd.items() if rows.any()}

    def _misfit(self, why: str, batch: Batch, position: int) -> Misfit:
        found = self._misfits.get(why)
        if found is None:
            found = find_misfit(batch.payloads[position], why, self._settings, self._now_ms())
            self._misfits[why] = found
        return found

    def _now_ms(self) -> int:
        return int(self._clock() * 1_000)
